/*
 * Makes device keys with key_pair_make(), which is in a library of its own: what it needs of
 * libcrypto would be most of the program, and slow down every run.
 */
#ifndef VPHOTON_KEY_MAKER_H
#define VPHOTON_KEY_MAKER_H

#include "emulator/key_pair.h"

/* A photon_keygen; needs no context. False when the library cannot be loaded or memory is short. */
bool key_maker(void *context, uint64_t number, uint8_t der[PHOTON_KEY_SIZE]);
/* Why it cannot be loaded; NULL when it can. Good until the next call. */
const char *key_maker_missing(void);

#endif
