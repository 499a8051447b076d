#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/flash.h"
#include "devmodel/flash_map.h"
#include "emulator/cmd_module.h"
#include "emulator/complaint.h"
#include "emulator/digest.h"
#include "emulator/module_file.h"
#include "emulator/options.h"
#include "emulator/recipe.h"

enum {
    OPT_OUTPUT,
    OPT_PART,
    OPT_RELEASE,
    OPT_FUNCTION,
    OPT_INDEX,
    OPT_VERSION,
    OPT_PLATFORM,
    OPT_START,
    OPT_SIZE,
    OPT_DEPENDENCY,
    OPT_SUFFIX,
    OPT_PRODUCT_ID,
    OPT_PRODUCT_VERSION,
    OPT_SEED,
    OPT_COUNT
};

static const struct option_row rows[OPT_COUNT] = {
    [OPT_OUTPUT] = {'o', "output", "FILE", "Where the module goes."},
    [OPT_PART] = {'p', "part", "PART",
                  "bootloader, part1, part2 or user: function, index and start\nas a Photon has "
                  "them."},
    [OPT_RELEASE] = {'r', "release", "R",
                     "PART as boards of this release have it: all the rest follows."},
    [OPT_FUNCTION] =
        {'f', "function", "F",
         "none, resource, bootloader, monolithic, system, user,\nsettings, ncp, radio, "
         "or a number from 0 to 255."},
    [OPT_INDEX] = {'i', "index", "N", "Index within the function (0)."},
    [OPT_VERSION] = {'v', "version", "N", "Module version (1)."},
    [OPT_PLATFORM] = {'\0', "platform", "N", "Platform id (6, Photon)."},
    [OPT_START] = {'s', "start", "ADDRESS", "Where the module belongs in the flash."},
    [OPT_SIZE] = {'\0', "size", "N", "Bytes of the whole file (4096)."},
    [OPT_DEPENDENCY] = {'d', "dependency", "F,I,V",
                        "Needs function F index I of version V or later, as system,2,17.\nMay be "
                        "given twice."},
    [OPT_SUFFIX] = {'\0', "suffix", "N",
                    "Bytes of the suffix: 36, or 40 with product fields (40)."},
    [OPT_PRODUCT_ID] = {'\0', "product-id", "N", "Product (65535, none)."},
    [OPT_PRODUCT_VERSION] = {'\0', "product-version", "N", "Version of the product (65535, none)."},
    [OPT_SEED] = {'\0', "seed", "N",
                  "The body is noise, always the same from the same number (0)."},
};

static const struct command_help help = {
    .name = "module build",
    .usage = "-o FILE --release R --part PART\n-o FILE --part PART [OPTIONS]\n"
             "-o FILE --function F --start ADDRESS [OPTIONS]",
    .purpose = "Makes a firmware module with prefix, suffix, SHA-256 and CRC; its body is noise.",
    .rows = rows,
    .count = OPT_COUNT,
    .notes = "Numbers may be hexadecimal: 0x080A0000. A bootloader, system part or monolithic "
             "firmware\nbegins with a vector table, and its prefix follows that.",
};

/* Options that are plain numbers: the most they may be, and what holds without them. */
static const struct {
    uint32_t most, otherwise;
} numbers[OPT_COUNT] = {
    [OPT_INDEX] = {UINT8_MAX, 0},
    [OPT_VERSION] = {UINT16_MAX, 1},
    [OPT_PLATFORM] = {UINT16_MAX, MAP_PLATFORM_PHOTON},
    [OPT_START] = {UINT32_MAX, 0},
    [OPT_SIZE] = {FLASH_SIZE, 4096},
    [OPT_SUFFIX] = {40, 40},
    [OPT_PRODUCT_ID] = {UINT16_MAX, MODULE_NO_PRODUCT},
    [OPT_PRODUCT_VERSION] = {UINT16_MAX, MODULE_NO_PRODUCT},
    [OPT_SEED] = {UINT32_MAX, 0},
};

/* What the command line asks for. */
struct wish {
    const char *output, *release;
    const struct module_place *place;
    uint8_t function;
    uint32_t values[OPT_COUNT];
    bool given[OPT_COUNT];
    struct module_dependency dependency[2];
    size_t dependencies;
};

/* --- values --- */

/* Decimal, or hexadecimal after 0x. */
static bool parse_number(const char *text, uint32_t most, uint32_t *number)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;

    if (strncmp(text, "0x", 2) != 0 && strncmp(text, "0X", 2) != 0) {
        return options_number(text, most, number);
    }
    text += 2;
    if (*text == '\0') {
        return false;
    }
    for (; *text; text++) {
        const char *digit = strchr(digits, *text >= 'A' && *text <= 'F' ? *text + 32 : *text);

        if (!digit) {
            return false;
        }
        value = 16 * value + (uint64_t)(digit - digits);
        if (value > most) {
            return false;
        }
    }
    *number = (uint32_t)value;
    return true;
}

static bool parse_function(const char *text, uint8_t *function)
{
    static const char *const names[] = {
        [MODULE_NONE] = "none",
        [MODULE_RESOURCE] = "resource",
        [MODULE_BOOTLOADER] = "bootloader",
        [MODULE_MONOLITHIC] = "monolithic",
        [MODULE_SYSTEM_PART] = "system",
        [MODULE_USER_PART] = "user",
        [MODULE_SETTINGS] = "settings",
        [MODULE_NCP] = "ncp",
        [MODULE_RADIO_STACK] = "radio",
    };
    uint32_t number;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *function = (uint8_t)i;
            return true;
        }
    }
    if (!parse_number(text, UINT8_MAX, &number)) {
        return false;
    }
    *function = (uint8_t)number;
    return true;
}

/* "system,2,17" */
static bool parse_dependency(const char *text, struct module_dependency *dependency)
{
    char copy[32], *index, *version;
    uint32_t number;

    if (strlen(text) >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, strlen(text) + 1);
    index = strchr(copy, ',');
    version = index ? strchr(index + 1, ',') : NULL;
    if (!version) {
        return false;
    }
    *index++ = '\0';
    *version++ = '\0';
    if (!parse_function(copy, &dependency->function) || !parse_number(index, UINT8_MAX, &number)) {
        return false;
    }
    dependency->index = (uint8_t)number;
    if (!parse_number(version, UINT16_MAX, &number)) {
        return false;
    }
    dependency->version = (uint16_t)number;
    return true;
}

static const struct module_place *parse_part(const char *text)
{
    for (size_t i = 0; i < FACTORY_MODULES; i++) {
        if (strcmp(text, module_places[i].option) == 0) {
            return &module_places[i];
        }
    }
    return NULL;
}

/* --- options --- */

static int take_number(struct wish *wish, int option, const char *value)
{
    if (!parse_number(value, numbers[option].most, &wish->values[option])) {
        return options_wrong(&help, "%s \"%s\" found, a number from 0 to %u expected",
                             rows[option].name, value, numbers[option].most);
    }
    return EXIT_DONE;
}

static int take_dependency(struct wish *wish, const char *value)
{
    if (wish->dependencies == 2) {
        return options_wrong(&help, "more than two dependencies");
    }
    if (!parse_dependency(value, &wish->dependency[wish->dependencies++])) {
        return options_wrong(&help, "dependency \"%s\" found, one like system,2,17 expected",
                             value);
    }
    return EXIT_DONE;
}

static int take_option(struct wish *wish, int option, const char *value)
{
    wish->given[option] = true;
    switch (option) {
    case OPT_OUTPUT:
        wish->output = value;
        return EXIT_DONE;
    case OPT_RELEASE:
        wish->release = value;
        return EXIT_DONE;
    case OPT_PART:
        wish->place = parse_part(value);
        return wish->place
                   ? EXIT_DONE
                   : options_wrong(&help,
                                   "part \"%s\" found; bootloader, part1, part2 or user expected",
                                   value);
    case OPT_FUNCTION:
        return parse_function(value, &wish->function)
                   ? EXIT_DONE
                   : options_wrong(&help, "function \"%s\" found; see --help for the known ones",
                                   value);
    case OPT_DEPENDENCY:
        return take_dependency(wish, value);
    default:
        return take_number(wish, option, value);
    }
}

/* Which options go together. */
static int check_wish(const struct wish *wish)
{
    if (!wish->output) {
        return options_wrong(&help, "no --output given");
    }
    for (int option = OPT_FUNCTION; wish->release && option < OPT_COUNT; option++) {
        if (wish->given[option]) {
            return options_wrong(&help, "--%s does not go with --release, which settles it",
                                 rows[option].name);
        }
    }
    if (wish->release && !wish->place) {
        return options_wrong(&help, "--release needs --part");
    }
    if (wish->place &&
        (wish->given[OPT_FUNCTION] || wish->given[OPT_INDEX] || wish->given[OPT_START])) {
        return options_wrong(&help, "--part settles function, index and start");
    }
    if (!wish->place && !(wish->given[OPT_FUNCTION] && wish->given[OPT_START])) {
        return options_wrong(&help, "--part, or --function and --start expected");
    }
    return EXIT_DONE;
}

/* --- building --- */

static bool has_vectors(uint8_t function)
{
    return function == MODULE_BOOTLOADER || function == MODULE_MONOLITHIC ||
           function == MODULE_SYSTEM_PART;
}

/* Says which of the numbers cannot be. */
static int check_spec(const struct module_spec *spec)
{
    uint32_t before = spec->vectors ? MODULE_PREFIX_AFTER_VECTORS : 0;
    uint32_t least = before + MODULE_PREFIX_SIZE + spec->suffix_size + MODULE_CRC_SIZE;

    if (spec->suffix_size != 36 && spec->suffix_size != 40) {
        return options_wrong(&help, "suffix %u found, 36 or 40 expected", spec->suffix_size);
    }
    if (spec->size < least || spec->size % 4 != 0) {
        return options_wrong(&help, "size %u found, a multiple of 4 from %u on expected",
                             spec->size, least);
    }
    if (spec->size > UINT32_MAX - spec->info.start) {
        return options_wrong(&help, "start 0x%08X and size %u reach behind the address space",
                             spec->info.start, spec->size);
    }
    if (!spec->vectors && module_prefix_offset(spec->info.start) != 0) {
        return options_wrong(&help,
                             "start 0x%08X looks like a stack pointer, so that no prefix would be "
                             "found there",
                             spec->info.start);
    }
    return EXIT_DONE;
}

/* `vectors` is where the spec's vectors are kept. */
static void fill_spec(const struct wish *wish, struct module_spec *spec, uint32_t vectors[2])
{
    const uint32_t *values = wish->values;

    *spec = (struct module_spec){
        .info = {.start = values[OPT_START],
                 .version = (uint16_t)values[OPT_VERSION],
                 .platform = (uint16_t)values[OPT_PLATFORM],
                 .function = wish->function,
                 .index = (uint8_t)values[OPT_INDEX],
                 .dependency = {wish->dependency[0], wish->dependency[1]}},
        .size = values[OPT_SIZE],
        .suffix_size = (uint16_t)values[OPT_SUFFIX],
        .product_id = (uint16_t)values[OPT_PRODUCT_ID],
        .product_version = (uint16_t)values[OPT_PRODUCT_VERSION],
        .fill_seed = values[OPT_SEED],
        .digest = digest_sha256,
    };
    if (wish->place) {
        spec->info.start = wish->place->address;
        spec->info.function = wish->place->function;
        spec->info.index = wish->place->index;
    }
    if (has_vectors(spec->info.function)) {
        /* The end of the SRAM, and a reset handler behind the prefix (Thumb, so odd). */
        vectors[0] = UINT32_C(0x20020000);
        vectors[1] = (spec->info.start + MODULE_PREFIX_AFTER_VECTORS + MODULE_PREFIX_SIZE) | 1;
        spec->vectors = vectors;
    }
}

static int write_module(const struct wish *wish, const uint8_t *image, uint32_t size)
{
    struct complaint complaint;

    if (!module_file_write(wish->output, image, size, &complaint)) {
        say_complaint(&complaint);
        return EXIT_ENVIRONMENT;
    }
    return EXIT_DONE;
}

static int build_release(const struct wish *wish, uint8_t *image)
{
    struct complaint complaint;
    const struct release *release = recipe_release(wish->release, &complaint);

    if (!release) {
        say_complaint(&complaint);
        return EXIT_USAGE;
    }
    return write_module(wish, image,
                        factory_build(release, (enum factory_module)(wish->place - module_places),
                                      digest_sha256, image));
}

static int build_from_options(const struct wish *wish, uint8_t *image)
{
    struct module_spec spec;
    uint32_t vectors[2];
    int code;

    fill_spec(wish, &spec, vectors);
    code = check_spec(&spec);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!module_build(&spec, image)) {
        return options_wrong(&help, "no such module can be made");
    }
    return write_module(wish, image, spec.size);
}

int module_build_main(int argc, char **argv)
{
    struct wish wish = {0};
    struct options options;
    int option, code = EXIT_DONE;
    uint8_t *image;

    for (int i = 0; i < OPT_COUNT; i++) {
        wish.values[i] = numbers[i].otherwise;
    }
    options_begin(&options, &help, argc, argv);
    while (code == EXIT_DONE && (option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        }
        code = take_option(&wish, option, options.value);
    }
    if (code == EXIT_DONE && options.next < argc) {
        code = options_wrong(&help, "\"%s\" found, no more words expected", argv[options.next]);
    }
    if (code == EXIT_DONE) {
        code = check_wish(&wish);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    image = malloc(FLASH_SIZE);
    if (!image) {
        say_error("memory is short");
        return EXIT_ENVIRONMENT;
    }
    code = wish.release ? build_release(&wish, image) : build_from_options(&wish, image);
    free(image);
    return code;
}
