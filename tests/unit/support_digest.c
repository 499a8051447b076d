#include "support_digest.h"

#include <openssl/sha.h>

void support_sha256(const void *data, size_t length, uint8_t digest[MODULE_SHA256_SIZE])
{
    SHA256(data, length, digest);
}
