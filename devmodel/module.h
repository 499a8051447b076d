/*
 * Firmware modules as files and bytes: prefix, suffix, CRC; parse, verify, build.
 *
 * All integers are little-endian except the CRC-32 behind the body, most significant byte first.
 * Source: device-os v0.4.4 dynalib/inc/module_info.h; v0.7.0 and v2.2.0 same.
 */
#ifndef PHOTON_MODULE_H
#define PHOTON_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODULE_PREFIX_SIZE          24
#define MODULE_PREFIX_AFTER_VECTORS UINT32_C(0x184)
#define MODULE_CRC_SIZE             4
#define MODULE_SHA256_SIZE          32
/* Bytes before the end that module_suffix_decode() reads; the shorter suffix leaves the first 4
 * alone. */
#define MODULE_SUFFIX_MAX 40
#define MODULE_SUFFIX_MIN 36
#define MODULE_NO_PRODUCT UINT16_C(0xFFFF)
/* Smallest suffix (36) + prefix + CRC: nothing shorter is a module. */
#define MODULE_MIN_SIZE (MODULE_PREFIX_SIZE + 36 + MODULE_CRC_SIZE)

enum module_function {
    MODULE_NONE = 0,
    MODULE_RESOURCE = 1,
    MODULE_BOOTLOADER = 2,
    MODULE_MONOLITHIC = 3,
    MODULE_SYSTEM_PART = 4,
    MODULE_USER_PART = 5,
    MODULE_SETTINGS = 6,
    MODULE_NCP = 7,
    MODULE_RADIO_STACK = 8
};

struct module_dependency {
    uint8_t function;
    uint8_t index;
    uint16_t version; /* minimum */
};

/* The prefix. `end` is exclusive; the CRC is stored at it. */
struct module_info {
    uint32_t start, end;
    uint8_t reserved, flags;
    uint16_t version;
    uint16_t platform;
    uint8_t function, index;
    struct module_dependency dependency[2];
};

struct module_suffix {
    uint16_t size; /* 36, or 40 with product fields */
    uint16_t reserved;
    uint16_t product_id, product_version; /* MODULE_NO_PRODUCT; only in the 40-byte suffix */
    uint8_t sha256[MODULE_SHA256_SIZE];
};

/* A parsed file. */
struct module {
    uint32_t prefix_offset; /* 0 or MODULE_PREFIX_AFTER_VECTORS */
    uint32_t size;          /* whole file: end - start + 4 */
    struct module_info info;
    struct module_suffix suffix;
    uint32_t crc_stored, crc_computed;
};

enum module_error {
    MODULE_OK,
    MODULE_TOO_SHORT,  /* no room for prefix and suffix */
    MODULE_BAD_BOUNDS, /* end <= start, no room between them, or the body is longer than the file */
    MODULE_BAD_SUFFIX  /* suffix size is neither 36 nor 40 */
};

/* Where the prefix lies, from the first word of an image (does it look like an initial stack
 * pointer?). */
uint32_t module_prefix_offset(uint32_t first_word);
void module_info_decode(struct module_info *info, const uint8_t bytes[MODULE_PREFIX_SIZE]);
void module_info_encode(const struct module_info *info, uint8_t bytes[MODULE_PREFIX_SIZE]);
/* The suffix, from the last MODULE_SUFFIX_MAX bytes before the end. */
void module_suffix_decode(struct module_suffix *suffix, const uint8_t bytes[MODULE_SUFFIX_MAX]);

/* The CRC as stored behind the body. */
uint32_t module_crc_decode(const uint8_t bytes[MODULE_CRC_SIZE]);

/* Parses a file image. `module` is valid as far as it could be read; MODULE_OK says nothing about
 * the CRC. */
__attribute__((warn_unused_result)) enum module_error
module_parse(struct module *module, const uint8_t *image, size_t length);
/* JSON letter of a module function: n r b m s u c a, '_' for anything else. */
char module_function_letter(uint8_t function);

typedef void module_digest(const void *data, size_t length, uint8_t digest[MODULE_SHA256_SIZE]);

/* What module_seal() writes into an image. */
struct module_sums {
    uint8_t sha256[MODULE_SHA256_SIZE];
    uint32_t crc;
};

/* What module_build() makes. */
struct module_spec {
    struct module_info info; /* `end` is computed */
    uint32_t
        size; /* of the whole file; at least what prefix, suffix and CRC need; a multiple of 4 */
    uint16_t suffix_size; /* 36 or 40 */
    uint16_t product_id, product_version;
    const uint32_t
        *vectors; /* first two words for images with a vector table (prefix at 0x184), else NULL */
    uint32_t fill_seed;             /* the body is reproducible noise from this seed */
    module_digest *digest;          /* SHA-256; NULL leaves the placeholder bytes 01 02 ... 20 */
    const struct module_sums *sums; /* known already: written instead of computing them; or NULL */
};

/* Writes `spec->size` bytes to `image`. False when the spec cannot be met. */
bool module_build(const struct module_spec *spec, uint8_t *image);
/* Writes SHA-256 (or its placeholder when `digest` is NULL) and CRC into a file image whose
 * contents were changed; `size` is at least MODULE_MIN_SIZE. */
void module_seal(uint8_t *image, size_t size, module_digest *digest);
/* What stands in the places of a file image that module_seal() writes to. */
void module_sums_decode(struct module_sums *sums, const uint8_t *image, size_t size);

#endif
