/* SHA-256 for module_build() and its relatives, by libcrypto. */
#ifndef SUPPORT_DIGEST_H
#define SUPPORT_DIGEST_H

#include "module.h"

void support_sha256(const void *data, size_t length, uint8_t digest[MODULE_SHA256_SIZE]);

#endif
