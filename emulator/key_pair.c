#include "emulator/key_pair.h"

#include <openssl/bn.h>
#include <string.h>

#include "emulator/digest.h"

#define PRIME_SIZE 64
#define EXPONENT   65537

/* --- what a number stands for --- */

struct source {
    uint8_t seed[2 * sizeof(uint64_t)]; /* the number, and how much of it has been used */
};

static void advance(struct source *source)
{
    size_t i = sizeof(uint64_t);
    while (i < sizeof source->seed && ++source->seed[i] == 0) {
        i++;
    }
}

/* Bytes without a pattern: digests of the number and a counter. */
static void draw(struct source *source, uint8_t bytes[PRIME_SIZE])
{
    for (size_t i = 0; i < PRIME_SIZE; i += MODULE_SHA256_SIZE) {
        digest_sha256(source->seed, sizeof source->seed, bytes + i);
        advance(source);
    }
}

/* --- primes --- */

/* All numbers of a key, in the order that PKCS#1 has them (RFC 8017 §A.1.2). */
enum part { VERSION, MODULUS, PUBLIC, PRIVATE, P, Q, P_EXPONENT, Q_EXPONENT, COEFFICIENT, PARTS };

struct key {
    BN_CTX *context;
    BIGNUM *part[PARTS];
    BIGNUM *p1, *q1, *phi; /* p - 1, q - 1, their product */
};

/* A prime of full length, so that two of them make a modulus of full length, whose predecessor does
 * not divide by the (prime) public exponent. */
static bool find_prime(struct key *key, struct source *source, BIGNUM *prime)
{
    for (;;) {
        uint8_t bytes[PRIME_SIZE];
        draw(source, bytes);
        bytes[0] |= 0xC0;
        bytes[PRIME_SIZE - 1] |= 1;
        int found =
            BN_bin2bn(bytes, sizeof bytes, prime) ? BN_check_prime(prime, key->context, NULL) : -1;
        if (found < 0) {
            return false;
        }
        if (found > 0 && BN_mod_word(prime, EXPONENT) != 1) {
            return true;
        }
    }
}

static bool find_primes(struct key *key, uint64_t number)
{
    struct source source = {{0}};
    BIGNUM **part = key->part;
    for (size_t i = 0; i < sizeof number; i++) {
        source.seed[i] = (uint8_t)(number >> (8 * i));
    }
    if (!find_prime(key, &source, part[P]) || !find_prime(key, &source, part[Q])) {
        return false;
    }
    if (BN_cmp(part[P], part[Q]) < 0) {
        BN_swap(part[P], part[Q]);
    }
    return true;
}

static bool calculate(struct key *key)
{
    BIGNUM **part = key->part;
    BN_CTX *context = key->context;
    return BN_set_word(part[PUBLIC], EXPONENT) &&
           BN_mul(part[MODULUS], part[P], part[Q], context) &&
           BN_sub(key->p1, part[P], BN_value_one()) && BN_sub(key->q1, part[Q], BN_value_one()) &&
           BN_mul(key->phi, key->p1, key->q1, context) &&
           BN_mod_inverse(part[PRIVATE], part[PUBLIC], key->phi, context) &&
           BN_mod(part[P_EXPONENT], part[PRIVATE], key->p1, context) &&
           BN_mod(part[Q_EXPONENT], part[PRIVATE], key->q1, context) &&
           BN_mod_inverse(part[COEFFICIENT], part[Q], part[P], context);
}

/* --- DER --- */

#define DER_INTEGER  0x02
#define DER_SEQUENCE 0x30

/* A positive number has a zero byte before it when its first bit is set; zero is one byte. */
static size_t integer_size(const BIGNUM *number)
{
    return (size_t)BN_num_bits(number) / 8 + 1;
}

static uint8_t *put_head(uint8_t *at, uint8_t tag, size_t length)
{
    *at++ = tag;
    if (length > 0xFF) {
        *at++ = 0x82;
        *at++ = (uint8_t)(length >> 8);
    } else if (length > 0x7F) {
        *at++ = 0x81;
    }
    *at++ = (uint8_t)length;
    return at;
}

/* Head included. */
static size_t element_size(size_t length)
{
    return length + (length > 0xFF ? 4 : length > 0x7F ? 3 : 2);
}

static bool encode(const struct key *key, uint8_t der[PHOTON_KEY_SIZE])
{
    size_t length = 0;
    for (size_t i = 0; i < PARTS; i++) {
        length += element_size(integer_size(key->part[i]));
    }
    if (element_size(length) > PHOTON_KEY_SIZE) {
        return false;
    }
    memset(der, 0, PHOTON_KEY_SIZE);
    uint8_t *at = put_head(der, DER_SEQUENCE, length);
    for (size_t i = 0; i < PARTS; i++) {
        int size = (int)integer_size(key->part[i]);
        at = put_head(at, DER_INTEGER, (size_t)size);
        BN_bn2binpad(key->part[i], at, size);
        at += size;
    }
    return true;
}

bool key_pair_make(void *context, uint64_t number, uint8_t der[PHOTON_KEY_SIZE])
{
    struct key key = {.context = BN_CTX_new()};
    (void)context;
    if (!key.context) {
        return false;
    }
    BN_CTX_start(key.context);
    for (size_t i = 0; i < PARTS; i++) {
        key.part[i] = BN_CTX_get(key.context);
    }
    key.p1 = BN_CTX_get(key.context);
    key.q1 = BN_CTX_get(key.context);
    key.phi = BN_CTX_get(key.context); /* NULL when any of them is */
    bool made = key.phi && find_primes(&key, number) && calculate(&key) && encode(&key, der);
    BN_CTX_end(key.context);
    BN_CTX_free(key.context);
    return made;
}
