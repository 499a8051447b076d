/* The one-shot SHA256() of OpenSSL 3 loads its providers first, which takes longer than hashing a
 * whole board. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "emulator/digest.h"

#include <openssl/sha.h>

void digest_sha256(const void *data, size_t length, uint8_t digest[MODULE_SHA256_SIZE])
{
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, data, length);
    SHA256_Final(digest, &context);
}
