/*
 * Device OS releases for the Photon and their module numbers, sizes and dependencies, as a table.
 * Source: device-os tags v0.4.0-v2.3.1, system_version.h, system_module_version.mk,
 * bootloader/import.mk; sizes of real files from particle-cli packages.
 */
#ifndef PHOTON_RELEASE_H
#define PHOTON_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bootloader image that real boards carry. */
struct bootloader_image {
    const char *name; /* "3a" */
    uint16_t version;
    uint16_t suffix_size;
    uint32_t size;
    bool unsealed; /* carries the linker's place holders instead of SHA-256 and CRC */
};

struct release {
    const char *name;                          /* "0.4.3" */
    uint32_t number;                           /* 0xMMmmppRR */
    uint16_t system;                           /* module version of part1 and part2 */
    uint16_t user;                             /* module version of an application built with it */
    const struct bootloader_image *bootloader; /* the one a board of this release has */
    bool embeds_bootloader; /* part2 carries that image and installs it over an older one */
    uint16_t part2_needs_bootloader; /* 0: none */
    uint16_t part1_needs_part2;      /* 0: none */
    uint32_t part1_size, part2_size, user_size;
    uint16_t suffix_size;
};

extern const struct release releases[];
extern const size_t release_count;

/* By name ("0.4.3"); NULL when unknown. */
const struct release *release_find(const char *name);
/* By the module version of part2; the closest release not above it, or NULL. */
const struct release *release_of_system(uint16_t system);

#endif
