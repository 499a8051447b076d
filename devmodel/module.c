#include "module.h"

#include <string.h>
#include <zlib.h>

#include "little_endian.h"

/* Offsets in the prefix. */
enum prefix_field {
    PREFIX_START = 0,
    PREFIX_END = 4,
    PREFIX_RESERVED = 8,
    PREFIX_FLAGS = 9,
    PREFIX_VERSION = 10,
    PREFIX_PLATFORM = 12,
    PREFIX_FUNCTION = 14,
    PREFIX_INDEX = 15,
    PREFIX_DEPENDENCIES = 16
};
#define DEPENDENCY_SIZE 4

/* Offsets in the last MODULE_SUFFIX_MAX bytes of the body. */
enum suffix_field {
    SUFFIX_PRODUCT_ID = 0,
    SUFFIX_PRODUCT_VERSION = 2,
    SUFFIX_RESERVED = 4,
    SUFFIX_SHA256 = 6,
    SUFFIX_SIZE = 38
};

uint32_t module_crc_decode(const uint8_t bytes[MODULE_CRC_SIZE])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_crc(uint8_t bytes[MODULE_CRC_SIZE], uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

uint32_t module_prefix_offset(uint32_t first_word)
{
    return (first_word & UINT32_C(0x2FF10000)) == UINT32_C(0x20000000) ? MODULE_PREFIX_AFTER_VECTORS
                                                                       : 0;
}

void module_info_decode(struct module_info *info, const uint8_t bytes[MODULE_PREFIX_SIZE])
{
    info->start = le32_get(bytes + PREFIX_START);
    info->end = le32_get(bytes + PREFIX_END);
    info->reserved = bytes[PREFIX_RESERVED];
    info->flags = bytes[PREFIX_FLAGS];
    info->version = le16_get(bytes + PREFIX_VERSION);
    info->platform = le16_get(bytes + PREFIX_PLATFORM);
    info->function = bytes[PREFIX_FUNCTION];
    info->index = bytes[PREFIX_INDEX];
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *entry = bytes + PREFIX_DEPENDENCIES + i * DEPENDENCY_SIZE;

        info->dependency[i].function = entry[0];
        info->dependency[i].index = entry[1];
        info->dependency[i].version = le16_get(entry + 2);
    }
}

void module_info_encode(const struct module_info *info, uint8_t bytes[MODULE_PREFIX_SIZE])
{
    le32_put(bytes + PREFIX_START, info->start);
    le32_put(bytes + PREFIX_END, info->end);
    bytes[PREFIX_RESERVED] = info->reserved;
    bytes[PREFIX_FLAGS] = info->flags;
    le16_put(bytes + PREFIX_VERSION, info->version);
    le16_put(bytes + PREFIX_PLATFORM, info->platform);
    bytes[PREFIX_FUNCTION] = info->function;
    bytes[PREFIX_INDEX] = info->index;
    for (size_t i = 0; i < 2; i++) {
        uint8_t *entry = bytes + PREFIX_DEPENDENCIES + i * DEPENDENCY_SIZE;

        entry[0] = info->dependency[i].function;
        entry[1] = info->dependency[i].index;
        le16_put(entry + 2, info->dependency[i].version);
    }
}

void module_suffix_decode(struct module_suffix *suffix, const uint8_t bytes[MODULE_SUFFIX_MAX])
{
    bool product;

    suffix->size = le16_get(bytes + SUFFIX_SIZE);
    suffix->reserved = le16_get(bytes + SUFFIX_RESERVED);
    product = suffix->size >= MODULE_SUFFIX_MAX;
    suffix->product_id = product ? le16_get(bytes + SUFFIX_PRODUCT_ID) : MODULE_NO_PRODUCT;
    suffix->product_version =
        product ? le16_get(bytes + SUFFIX_PRODUCT_VERSION) : MODULE_NO_PRODUCT;
    memcpy(suffix->sha256, bytes + SUFFIX_SHA256, MODULE_SHA256_SIZE);
}

enum module_error module_parse(struct module *module, const uint8_t *image, size_t length)
{
    uint32_t body;

    memset(module, 0, sizeof(*module));
    if (length < MODULE_MIN_SIZE) {
        return MODULE_TOO_SHORT;
    }
    module->prefix_offset = module_prefix_offset(le32_get(image));
    if (length < module->prefix_offset + MODULE_MIN_SIZE) {
        return MODULE_TOO_SHORT;
    }
    module_info_decode(&module->info, image + module->prefix_offset);
    body = module->info.end - module->info.start;
    if (module->info.end <= module->info.start || body > length - MODULE_CRC_SIZE ||
        body < module->prefix_offset + MODULE_MIN_SIZE - MODULE_CRC_SIZE) {
        return MODULE_BAD_BOUNDS;
    }
    module->size = body + MODULE_CRC_SIZE;
    module->crc_stored = module_crc_decode(image + body);
    module->crc_computed = (uint32_t)crc32_z(0, image, body);
    module_suffix_decode(&module->suffix, image + body - MODULE_SUFFIX_MAX);
    if (module->suffix.size != MODULE_SUFFIX_MIN && module->suffix.size != MODULE_SUFFIX_MAX) {
        return MODULE_BAD_SUFFIX;
    }
    if (body < module->prefix_offset + MODULE_PREFIX_SIZE + module->suffix.size) {
        return MODULE_BAD_BOUNDS;
    }
    return MODULE_OK;
}

char module_function_letter(uint8_t function)
{
    static const char letters[] = {
        [MODULE_NONE] = 'n',       [MODULE_RESOURCE] = 'r',    [MODULE_BOOTLOADER] = 'b',
        [MODULE_MONOLITHIC] = 'm', [MODULE_SYSTEM_PART] = 's', [MODULE_USER_PART] = 'u',
        [MODULE_SETTINGS] = '_',   [MODULE_NCP] = 'c',         [MODULE_RADIO_STACK] = 'a',
    };

    return function < sizeof(letters) ? letters[function] : '_';
}

/* --- the body: bytes that mean nothing and come out the same on every machine --- */

/* xorshift, Marsaglia. */
static uint32_t next_word(uint32_t state)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^ state << 5;
}

/* Each word waits for the one before it, so several stretches are made side by side. */
#define LANES      4
#define LANE_WORDS 1024
#define LANE_BYTES (LANE_WORDS * sizeof(uint32_t))

/* The generator is linear over GF(2): what some steps make of a state is the sum of what they make
 * of its bits. */
struct leap {
    uint32_t of_bit[32];
};

static uint32_t leap_from(const struct leap *leap, uint32_t state)
{
    uint32_t sum = 0;

    for (unsigned bit = 0; bit < 32; bit++) {
        sum ^= leap->of_bit[bit] & -(state >> bit & 1);
    }
    return sum;
}

/* Over a lane: one step, twice, four times as many. */
static void leap_init(struct leap *leap)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        leap->of_bit[bit] = next_word(UINT32_C(1) << bit);
    }
    for (unsigned steps = 1; steps < LANE_WORDS; steps *= 2) {
        const struct leap half = *leap;

        for (unsigned bit = 0; bit < 32; bit++) {
            leap->of_bit[bit] = leap_from(&half, half.of_bit[bit]);
        }
    }
}

/* Fills LANES stretches; the state after them. */
static uint32_t fill_lanes(uint8_t *bytes, uint32_t state, const struct leap *leap)
{
    uint32_t states[LANES] = {state};

    for (unsigned lane = 1; lane < LANES; lane++) {
        states[lane] = leap_from(leap, states[lane - 1]);
    }
    for (size_t i = 0; i < LANE_BYTES; i += sizeof(uint32_t)) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            states[lane] = next_word(states[lane]);
            le32_put(bytes + lane * LANE_BYTES + i, states[lane]);
        }
    }
    return states[LANES - 1];
}

static void fill(uint8_t *bytes, size_t length, uint32_t seed)
{
    uint32_t state = seed ^ UINT32_C(0x9E3779B9);
    struct leap leap;

    if (state == 0) {
        state = 1;
    }
    leap_init(&leap);
    for (; length >= LANES * LANE_BYTES; length -= LANES * LANE_BYTES) {
        state = fill_lanes(bytes, state, &leap);
        bytes += LANES * LANE_BYTES;
    }
    for (size_t i = 0; i < length; i += sizeof(uint32_t)) {
        uint8_t word[sizeof(uint32_t)];

        state = next_word(state);
        le32_put(word, state);
        memcpy(bytes + i, word, length - i < sizeof(word) ? length - i : sizeof(word));
    }
}

/* --- building --- */

static bool can_build(const struct module_spec *spec, uint32_t prefix_offset)
{
    uint32_t first_word = spec->vectors ? spec->vectors[0] : spec->info.start;

    if (spec->suffix_size != MODULE_SUFFIX_MIN && spec->suffix_size != MODULE_SUFFIX_MAX) {
        return false;
    }
    return module_prefix_offset(first_word) == prefix_offset && spec->size % 4 == 0 &&
           spec->size >= prefix_offset + MODULE_PREFIX_SIZE + spec->suffix_size + MODULE_CRC_SIZE &&
           spec->size - MODULE_CRC_SIZE <= UINT32_MAX - spec->info.start;
}

static void put_suffix(const struct module_spec *spec, uint8_t bytes[MODULE_SUFFIX_MAX])
{
    if (spec->suffix_size == MODULE_SUFFIX_MAX) {
        le16_put(bytes + SUFFIX_PRODUCT_ID, spec->product_id);
        le16_put(bytes + SUFFIX_PRODUCT_VERSION, spec->product_version);
    }
    le16_put(bytes + SUFFIX_RESERVED, 0);
    le16_put(bytes + SUFFIX_SIZE, spec->suffix_size);
}

/* In a file of `size` bytes. */
static size_t sha256_offset(size_t size)
{
    return size - MODULE_CRC_SIZE - MODULE_SUFFIX_MAX + SUFFIX_SHA256;
}

bool module_build(const struct module_spec *spec, uint8_t *image)
{
    uint32_t prefix_offset = spec->vectors ? MODULE_PREFIX_AFTER_VECTORS : 0;
    uint32_t body = spec->size - MODULE_CRC_SIZE;
    struct module_info info = spec->info;

    if (!can_build(spec, prefix_offset)) {
        return false;
    }
    memset(image, 0, prefix_offset);
    if (spec->vectors) {
        le32_put(image, spec->vectors[0]);
        le32_put(image + 4, spec->vectors[1]);
    }
    info.end = info.start + body;
    module_info_encode(&info, image + prefix_offset);
    fill(image + prefix_offset + MODULE_PREFIX_SIZE, body - prefix_offset - MODULE_PREFIX_SIZE,
         spec->fill_seed);
    put_suffix(spec, image + body - MODULE_SUFFIX_MAX);
    if (spec->sums) {
        memcpy(image + sha256_offset(spec->size), spec->sums->sha256, MODULE_SHA256_SIZE);
        put_crc(image + body, spec->sums->crc);
    } else {
        module_seal(image, spec->size, spec->digest);
    }
    return true;
}

void module_seal(uint8_t *image, size_t size, module_digest *digest)
{
    size_t body = size - MODULE_CRC_SIZE;
    size_t sha256 = sha256_offset(size);

    if (digest) {
        digest(image, sha256, image + sha256);
    } else {
        for (uint8_t i = 0; i < MODULE_SHA256_SIZE; i++) {
            image[sha256 + i] = (uint8_t)(i + 1);
        }
    }
    put_crc(image + body, (uint32_t)crc32_z(0, image, body));
}

void module_sums_decode(struct module_sums *sums, const uint8_t *image, size_t size)
{
    memcpy(sums->sha256, image + sha256_offset(size), MODULE_SHA256_SIZE);
    sums->crc = module_crc_decode(image + size - MODULE_CRC_SIZE);
}
