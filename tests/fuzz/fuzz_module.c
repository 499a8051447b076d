/*
 * Hostile modules: parsed as a file, looked at in flash, and copied as a pending slot asks.
 *
 * The first byte says whether the rest is the image itself, or a recipe for one (which reaches
 * deeper): a spec for module_build(), then bytes to overwrite. Promised: no crash, no read outside
 * the image, what file and flash say agrees, and a refused copy leaves the flash alone.
 */
#include <stdlib.h>
#include <string.h>

#include "devmodel/embedded.h"
#include "devmodel/flash_map.h"
#include "devmodel/module_flash.h"
#include "tests/fuzz/input.h"

#define IMAGE_MAX 8192

static struct flash *base;

struct image {
    uint8_t *bytes; /* exactly as long as it says, so that the sanitizer guards its end */
    size_t length;
};

/* A digest that tells images apart, and nothing more. */
static void digest(const void *data, size_t length, uint8_t out[MODULE_SHA256_SIZE])
{
    const uint8_t *bytes = data;

    memset(out, (int)length, MODULE_SHA256_SIZE);
    for (size_t i = 0; i < length; i++) {
        out[i % MODULE_SHA256_SIZE] ^= bytes[i];
    }
}

/* One of the starts that mean something, or any other. */
static uint32_t take_address(struct input *input)
{
    static const uint32_t addresses[] = {MAP_BOOTLOADER, MAP_SYSTEM_PART1, MAP_SYSTEM_PART2,
                                         MAP_USER,       MAP_OTA,          MAP_FACTORY};
    uint8_t which = input_u8(input);

    return which < sizeof(addresses) / sizeof(addresses[0]) ? addresses[which] : input_u32(input);
}

static struct module_spec take_spec(struct input *input, uint32_t vectors[2])
{
    struct module_spec spec = {.digest = digest, .fill_seed = 1};
    uint8_t prefix[MODULE_PREFIX_SIZE];

    for (size_t i = 0; i < sizeof(prefix); i++) {
        prefix[i] = input_u8(input);
    }
    module_info_decode(&spec.info, prefix);
    spec.info.start = take_address(input);
    spec.size = input_u16(input) % IMAGE_MAX & ~UINT32_C(3);
    spec.suffix_size = input_u8(input) & 1 ? 36 : 40;
    spec.product_id = input_u16(input);
    spec.product_version = input_u16(input);
    if (input_u8(input) & 1) {
        vectors[0] = input_u8(input) & 1 ? UINT32_C(0x20020000) : input_u32(input);
        vectors[1] = input_u32(input);
        spec.vectors = vectors;
    }
    return spec;
}

/* What was built parses, and says what was asked for. */
static void check_built(const struct module_spec *spec, const struct image *image)
{
    struct module module;

    MUST(module_parse(&module, image->bytes, image->length) == MODULE_OK);
    MUST(module.size == spec->size && module.crc_stored == module.crc_computed);
    MUST(module.info.start == spec->info.start && module.info.version == spec->info.version);
    MUST(module.suffix.size == spec->suffix_size);
}

static struct image build_image(struct input *input)
{
    uint32_t vectors[2];
    struct module_spec spec = take_spec(input, vectors);
    struct image image = {malloc(spec.size + 1), spec.size};
    unsigned patches = input_u8(input) % 8;
    bool seal = input_u8(input) & 1;

    MUST(image.bytes);
    if (!module_build(&spec, image.bytes)) {
        image.length = 0;
        return image;
    }
    check_built(&spec, &image);
    for (unsigned i = 0; i < patches; i++) {
        size_t offset = input_u16(input) % image.length;

        image.bytes[offset] = input_u8(input);
    }
    if (seal) {
        module_seal(image.bytes, image.length, digest);
    }
    return image;
}

static struct image raw_image(const struct input *input)
{
    struct image image = {malloc(input->left + 1), input->left};

    MUST(image.bytes);
    memcpy(image.bytes, input->bytes, input->left);
    return image;
}

static void check_file(const struct image *image)
{
    uint8_t encoded[MODULE_PREFIX_SIZE];
    struct module module;

    if (module_parse(&module, image->bytes, image->length) != MODULE_OK) {
        return;
    }
    MUST(module.size >= MODULE_MIN_SIZE && module.size <= image->length);
    MUST(module.suffix.size == 36 || module.suffix.size == 40);
    module_info_encode(&module.info, encoded);
    MUST(memcmp(encoded, image->bytes + module.prefix_offset, sizeof(encoded)) == 0);
    (void)module_function_letter(module.info.function);
}

static void check_flash(const struct flash *flash, const struct image *image, uint32_t address)
{
    struct module_suffix suffix;
    struct module_info info;
    struct module module;
    uint32_t found;

    if (embedded_bootloader(flash, &found, &info)) {
        MUST(info.start == MAP_BOOTLOADER && flash_contains(found, info.end - info.start));
    }
    if (!module_flash_info(flash, address, &info)) {
        return;
    }
    (void)module_flash_in_place(&info, address, FLASH_END, MAP_PLATFORM_PHOTON);
    (void)module_flash_suffix(flash, address, &info, &suffix);
    (void)module_flash_crc_ok(flash, address, &info);
    if (module_parse(&module, image->bytes, image->length) == MODULE_OK) {
        MUST(memcmp(&module.info, &info, sizeof(info)) == 0);
        MUST(module_flash_suffix(flash, address, &info, &suffix));
        MUST(memcmp(&module.suffix, &suffix, sizeof(suffix)) == 0);
        MUST(module_flash_crc_ok(flash, address, &info) ==
             (module.crc_stored == module.crc_computed));
    }
}

static void check_copy(struct flash *flash, struct input *input)
{
    struct module_copy copy = {
        .source = take_address(input),
        .destination = take_address(input),
        .length = input_u8(input) & 1 ? input_u32(input) : input_u16(input),
        .flags = input_u8(input),
        .function = input_u8(input),
        .platform = input_u8(input) & 1 ? MAP_PLATFORM_PHOTON : input_u16(input),
        .whole_sectors_by_length = input_u8(input) & 1,
    };
    enum module_copy_status status;
    bool allowed;

    flash_set_nwrp(flash, input_u16(input) & FLASH_NWRP_NONE);
    if (input_u8(input) & 1) {
        flash_cut_at(flash, input_u16(input), (enum flash_cut)(input_u8(input) % 3));
    }
    allowed = module_flash_copy_allowed(flash, &copy);
    status = module_flash_copy(flash, &copy);
    MUST((status == MODULE_COPY_REFUSED) == !allowed);
    MUST(allowed || flash_operations(flash) == 0);
    MUST(status != MODULE_COPY_OK || flash_operations(flash) >= (copy.length + 3) / 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t how = input_u8(&input);
    struct input parameters = {input.bytes, input.left < 32 ? input.left : 32};
    uint32_t address = take_address(&parameters);
    struct image image = how & 1 ? build_image(&input) : raw_image(&input);
    struct flash *flash;

    if (!base) {
        base = flash_new(1);
    }
    flash = flash_clone(base);
    MUST(flash);
    check_file(&image);
    if (flash_load(flash, address, image.bytes, image.length)) {
        check_flash(flash, &image, address);
        check_copy(flash, how & 1 ? &input : &parameters);
    }
    flash_free(flash);
    free(image.bytes);
    return 0;
}
