/*
 * SHA-256 for the device model, which has none of its own.
 */
#ifndef VPHOTON_DIGEST_H
#define VPHOTON_DIGEST_H

#include "devmodel/module.h"

void digest_sha256(const void *data, size_t length, uint8_t digest[MODULE_SHA256_SIZE]);

#endif
