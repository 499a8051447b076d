/*
 * The key pair of a Photon: RSA of 1024 bits, the private key as PKCS#1 DER in the room that the
 * board's settings have for it. Always the same from the same number, and no secret: it is for a
 * board that is made of software.
 */
#ifndef VPHOTON_KEY_PAIR_H
#define VPHOTON_KEY_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "devmodel/photon.h"

/* The key of the board that `vphoton run` makes without -d, from this number. It takes longer to
 * find than such a run lasts, so it is made when the program is built. */
#define KEY_PAIR_FRESH 1
extern const uint8_t key_pair_fresh[PHOTON_KEY_SIZE];

/* A photon_keygen; needs no context. What the key leaves of the room is zero. False when memory is
 * short. Takes about ten milliseconds. */
bool key_pair_make(void *context, uint64_t number, uint8_t der[PHOTON_KEY_SIZE]);

#endif
