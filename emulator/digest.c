#include "emulator/digest.h"

#include <openssl/sha.h>

void digest_sha256(const void *data, size_t length, uint8_t digest[MODULE_SHA256_SIZE])
{
    SHA256(data, length, digest);
}
