#include "release.h"

#include <string.h>

/*
 * Bootloader images. Sizes up to 11, of 501 and of 1006 are those of the real images, except 2's;
 * the others are choices between their neighbours. 2 was never embedded; listings from the field
 * show it with a failed integrity check.
 */
static const struct bootloader_image bl2 = {"2", 2, 36, 13600, true};
static const struct bootloader_image bl3a = {"3a", 3, 36, 13636, false};
static const struct bootloader_image bl3b = {"3b", 3, 40, 13672, false};
static const struct bootloader_image bl4 = {"4", 4, 40, 13860, false};
static const struct bootloader_image bl7 = {"7", 7, 40, 14052, false};
static const struct bootloader_image bl11 = {"11", 11, 40, 16076, false};
static const struct bootloader_image bl101 = {"101", 101, 40, 16200, false};
static const struct bootloader_image bl201 = {"201", 201, 40, 16200, false};
static const struct bootloader_image bl301 = {"301", 301, 40, 16200, false};
static const struct bootloader_image bl311 = {"311", 311, 40, 16200, false};
static const struct bootloader_image bl401 = {"401", 401, 40, 15336, false};
static const struct bootloader_image bl500 = {"500", 500, 40, 15336, false};
static const struct bootloader_image bl501 = {"501", 501, 40, 15336, false};
static const struct bootloader_image bl502 = {"502", 502, 40, 15336, false};
static const struct bootloader_image bl1003 = {"1003", 1003, 40, 15124, false};
static const struct bootloader_image bl1005 = {"1005", 1005, 40, 15124, false};
static const struct bootloader_image bl1006 = {"1006", 1006, 40, 15124, false};

/* Tinker's sizes: the real ones of the 0.4.0 and 0.4.5 eras. */
#define TINKER_OLD 3952
#define TINKER     5324

/*
 * Final releases, by module version. Sizes of part2 0.4.3, part1 0.4.7, part1 0.6.2 and of both
 * parts of 0.5.2, 1.5.0 and 2.2.0 are real; the others are choices between their neighbours.
 * 0.4.3 was published, though its tree has only release candidates; 0.4.8, 0.8.0, 0.9.0 and 1.5.3
 * have no final release for the Photon.
 */
const struct release releases[] = {
    /* name, number, system, user, bootloader, embedded, part2 needs, part1 needs, sizes, suffix */
    {"0.4.0", 0x00040000, 1, 2, &bl2, false, 0, 0, 244000, 149000, TINKER_OLD, 36},
    {"0.4.1", 0x00040100, 1, 2, &bl2, false, 0, 0, 244000, 149000, TINKER_OLD, 36},
    {"0.4.2", 0x00040200, 2, 2, &bl3a, true, 0, 0, 245000, 150000, TINKER_OLD, 36},
    {"0.4.3", 0x00040300, 3, 2, &bl3b, true, 0, 0, 246000, 151192, TINKER_OLD, 40},
    {"0.4.4", 0x00040400, 5, 3, &bl3b, true, 0, 0, 247000, 155000, TINKER, 40},
    {"0.4.5", 0x00040500, 6, 3, &bl4, true, 0, 0, 248000, 160000, TINKER, 40},
    {"0.4.6", 0x00040600, 7, 3, &bl4, true, 0, 0, 249000, 164000, TINKER, 40},
    {"0.4.7", 0x00040700, 8, 3, &bl4, true, 0, 0, 249740, 168000, TINKER, 40},
    {"0.4.9", 0x00040900, 11, 3, &bl7, true, 0, 0, 250000, 174000, TINKER, 40},
    {"0.5.0", 0x00050000, 13, 4, &bl7, true, 0, 0, 250800, 184000, TINKER, 40},
    {"0.5.1", 0x00050100, 15, 4, &bl7, true, 0, 0, 250900, 186000, TINKER, 40},
    {"0.5.2", 0x00050200, 17, 4, &bl7, true, 0, 0, 250956, 187492, TINKER, 40},
    {"0.5.3", 0x00050300, 21, 4, &bl7, true, 0, 0, 251200, 188000, TINKER, 40},
    {"0.5.4", 0x00050400, 22, 5, &bl7, true, 0, 0, 251200, 189000, TINKER, 40},
    {"0.5.5", 0x00050500, 23, 5, &bl7, true, 0, 0, 251200, 189200, TINKER, 40},
    {"0.6.0", 0x00060000, 102, 4, &bl7, true, 0, 0, 255000, 210000, TINKER, 40},
    {"0.6.1", 0x00060100, 105, 4, &bl11, true, 0, 0, 255800, 214000, TINKER, 40},
    {"0.6.2", 0x00060200, 108, 4, &bl11, true, 0, 0, 256040, 216000, TINKER, 40},
    {"0.6.3", 0x00060300, 109, 4, &bl11, true, 0, 0, 256040, 216000, TINKER, 40},
    {"0.6.4", 0x00060400, 110, 4, &bl11, true, 0, 0, 256040, 216400, TINKER, 40},
    {"0.7.0", 0x00070000, 207, 5, &bl101, false, 101, 0, 240000, 230000, TINKER, 40},
    {"1.0.0", 0x01000000, 1000, 5, &bl201, false, 201, 204, 239000, 245000, TINKER, 40},
    {"1.0.1", 0x01000100, 1002, 5, &bl201, false, 201, 204, 239000, 245200, TINKER, 40},
    {"1.1.0", 0x01010000, 1102, 6, &bl301, false, 201, 204, 239000, 248000, TINKER, 40},
    {"1.1.1", 0x01010100, 1104, 6, &bl301, false, 201, 204, 239000, 248200, TINKER, 40},
    {"1.2.1", 0x01020100, 1213, 6, &bl311, false, 311, 204, 238600, 254000, TINKER, 40},
    {"1.3.1", 0x01030100, 1321, 6, &bl401, false, 400, 204, 238600, 257000, TINKER, 40},
    {"1.4.0", 0x01040000, 1401, 6, &bl500, false, 400, 204, 238400, 259000, TINKER, 40},
    {"1.4.1", 0x01040100, 1403, 6, &bl500, false, 400, 207, 238400, 259200, TINKER, 40},
    {"1.4.2", 0x01040200, 1404, 6, &bl501, false, 400, 207, 238400, 259400, TINKER, 40},
    {"1.4.3", 0x01040300, 1405, 6, &bl501, false, 400, 207, 238400, 259600, TINKER, 40},
    {"1.4.4", 0x01040400, 1406, 6, &bl501, false, 400, 207, 238400, 259800, TINKER, 40},
    {"1.5.0", 0x01050000, 1502, 6, &bl501, false, 400, 207, 238408, 261048, TINKER, 40},
    {"1.5.1", 0x01050100, 1511, 6, &bl501, false, 400, 207, 238408, 261060, TINKER, 40},
    {"1.5.2", 0x01050200, 1512, 6, &bl502, false, 400, 207, 238408, 261080, TINKER, 40},
    {"2.0.0", 0x02000000, 2008, 6, &bl1003, false, 1003, 207, 241000, 260900, TINKER, 40},
    {"2.0.1", 0x02000100, 2011, 6, &bl1005, false, 1003, 207, 241000, 260920, TINKER, 40},
    {"2.0.2", 0x02000200, 2021, 6, &bl1005, false, 1003, 207, 241000, 260940, TINKER, 40},
    {"2.1.0", 0x02010000, 2101, 6, &bl1005, false, 1003, 207, 241200, 260960, TINKER, 40},
    {"2.2.0", 0x02020000, 2202, 6, &bl1006, false, 1003, 207, 241496, 260840, TINKER, 40},
    {"2.3.0", 0x02030000, 2301, 6, &bl1006, false, 1003, 207, 241496, 261000, TINKER, 40},
    {"2.3.1", 0x02030100, 2302, 6, &bl1006, false, 1003, 207, 241496, 261020, TINKER, 40},
};
const size_t release_count = sizeof(releases) / sizeof(releases[0]);

const struct release *release_find(const char *name)
{
    for (size_t i = 0; i < release_count; i++) {
        if (strcmp(releases[i].name, name) == 0) {
            return &releases[i];
        }
    }
    return NULL;
}

const struct release *release_of_system(uint16_t system)
{
    const struct release *found = NULL;

    for (size_t i = 0; i < release_count && releases[i].system <= system; i++) {
        if (!found || releases[i].system > found->system) {
            found = &releases[i];
        }
    }
    return found;
}
