#include "factory.h"

#include <stdlib.h>
#include <string.h>

#include "dct.h"
#include "flash_map.h"

/* First two words of the images with a vector table: the end of the SRAM, and a reset handler in
 * the image (Thumb, so odd). */
static const uint32_t bootloader_vectors[2] = {UINT32_C(0x20020000), MAP_BOOTLOADER + 0x19D};
static const uint32_t part1_vectors[2] = {UINT32_C(0x20020000), MAP_SYSTEM_PART1 + 0x231};
static const uint32_t part2_vectors[2] = {UINT32_C(0x20020000), MAP_SYSTEM_PART2 + 0x14B75};

/* What is the same in every release. */
static const struct {
    uint32_t start;
    uint8_t function, index;
    const uint32_t *vectors;
} layout[FACTORY_MODULES] = {
    [FACTORY_BOOTLOADER] = {MAP_BOOTLOADER, MODULE_BOOTLOADER, 0, bootloader_vectors},
    [FACTORY_PART1] = {MAP_SYSTEM_PART1, MODULE_SYSTEM_PART, 1, part1_vectors},
    [FACTORY_PART2] = {MAP_SYSTEM_PART2, MODULE_SYSTEM_PART, 2, part2_vectors},
    [FACTORY_USER] = {MAP_USER, MODULE_USER_PART, 1, NULL},
};

static struct module_dependency needs(enum factory_module which, uint16_t version)
{
    struct module_dependency dependency = {0};

    if (version != 0) {
        dependency.function = layout[which].function;
        dependency.index = layout[which].index;
        dependency.version = version;
    }
    return dependency;
}

void factory_spec(const struct release *release, enum factory_module which, module_digest *digest,
                  struct module_spec *spec)
{
    *spec = (struct module_spec){
        .info = {.start = layout[which].start,
                 .version = release->system,
                 .platform = MAP_PLATFORM_PHOTON,
                 .function = layout[which].function,
                 .index = layout[which].index},
        .suffix_size = release->suffix_size,
        .product_id = MODULE_NO_PRODUCT,
        .product_version = MODULE_NO_PRODUCT,
        .vectors = layout[which].vectors,
        .digest = digest,
    };
    switch (which) {
    case FACTORY_BOOTLOADER:
        spec->info.version = release->bootloader->version;
        spec->size = release->bootloader->size;
        spec->suffix_size = release->bootloader->suffix_size;
        break;
    case FACTORY_PART1:
        spec->size = release->part1_size;
        spec->info.dependency[0] = needs(FACTORY_PART2, release->part1_needs_part2);
        break;
    case FACTORY_PART2:
        spec->size = release->part2_size;
        spec->info.dependency[0] = needs(FACTORY_PART1, release->system);
        spec->info.dependency[1] = needs(FACTORY_BOOTLOADER, release->part2_needs_bootloader);
        break;
    case FACTORY_USER:
        spec->info.version = release->user;
        spec->size = release->user_size;
        spec->info.dependency[0] = needs(FACTORY_PART2, release->system);
        break;
    }
    /* An image is the same in every release that has it, and no two images are. */
    spec->fill_seed = spec->info.start ^ (spec->size << 12) ^ spec->info.version;
}

uint32_t factory_embedded_offset(const struct release *release)
{
    const uint32_t behind = 8192, alignment = 256;

    return (release->part2_size - release->bootloader->size - behind) & ~(alignment - 1);
}

uint32_t factory_build(const struct release *release, enum factory_module which,
                       module_digest *digest, uint8_t *image)
{
    /* What the post-link step replaces by the CRC. */
    static const uint8_t no_crc[MODULE_CRC_SIZE] = {0x78, 0x56, 0x34, 0x12};
    bool unsealed = which == FACTORY_BOOTLOADER && release->bootloader->unsealed;
    bool embeds = which == FACTORY_PART2 && release->embeds_bootloader; /* sealed after that */
    struct module_spec spec;

    factory_spec(release, which, unsealed || embeds ? NULL : digest, &spec);
    module_build(&spec, image);
    if (unsealed) {
        memcpy(image + spec.size - sizeof(no_crc), no_crc, sizeof(no_crc));
    }
    if (embeds) {
        factory_build(release, FACTORY_BOOTLOADER, digest,
                      image + factory_embedded_offset(release));
        module_seal(image, spec.size, digest);
    }
    return spec.size;
}

/* The first DCT copy as the factory's programmer leaves it: a header that says "complete, current",
 * and the cloud's address. Offsets: device-os v0.4.4 dct.h; bytes: dct_prep.bin. */
static bool load_dct(struct flash *flash)
{
    static const uint8_t header[0x184] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 'B', 'R', 'C', 'M'};
    static const uint8_t server[] = "\x01\x0F"
                                    "device.spark.io";

    return flash_load(flash, MAP_DCT1, header, sizeof(header)) &&
           flash_load(flash, MAP_DCT1 + DCT_APPLICATION + DCT_SERVER_ADDRESS, server,
                      sizeof(server) - 1);
}

bool factory_find_sums(const struct release *release, module_digest *digest,
                       struct factory_sums *sums)
{
    uint8_t *image = malloc(FACTORY_MAX_SIZE);

    for (int which = 0; image && which < FACTORY_MODULES; which++) {
        uint32_t size = factory_build(release, (enum factory_module)which, digest, image);

        module_sums_decode(&sums->of[which], image, size);
    }
    free(image);
    return image != NULL;
}

/* factory_build() with sums that are known. */
static uint32_t build_known(const struct release *release, enum factory_module which,
                            const struct factory_sums *sums, uint8_t *image)
{
    struct module_spec spec;

    factory_spec(release, which, NULL, &spec);
    spec.sums = &sums->of[which];
    module_build(&spec, image);
    if (which == FACTORY_PART2 && release->embeds_bootloader) {
        build_known(release, FACTORY_BOOTLOADER, sums, image + factory_embedded_offset(release));
    }
    return spec.size;
}

bool factory_flash_known(struct flash *flash, const struct release *release,
                         const struct factory_sums *sums)
{
    uint8_t *image = malloc(FACTORY_MAX_SIZE);
    bool done = image && load_dct(flash);

    for (int which = 0; done && which < FACTORY_MODULES; which++) {
        uint32_t size = build_known(release, (enum factory_module)which, sums, image);

        done = flash_load(flash, layout[which].start, image, size);
    }
    free(image);
    return done;
}

bool factory_flash(struct flash *flash, const struct release *release, module_digest *digest,
                   bool factory_image)
{
    uint8_t *image = malloc(FACTORY_MAX_SIZE);
    bool done = image && load_dct(flash);
    uint32_t size = 0;

    for (int which = 0; done && which < FACTORY_MODULES; which++) {
        size = factory_build(release, (enum factory_module)which, digest, image);
        done = flash_load(flash, layout[which].start, image, size);
    }
    /* The loop ends with the application. */
    if (done && factory_image) {
        done = flash_load(flash, MAP_FACTORY, image, size);
    }
    free(image);
    return done;
}
