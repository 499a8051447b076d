/*
 * The bootloader's way to the DCT: its own driver up to 0.6.4, functions inside system-part2 from
 * 0.7.0 on.
 *
 * The borrowed driver is looked up once a boot, at the first access, and only when part1 and part2
 * are intact. What happens when the parts change under it differs by image. Source: device-os
 * v0.7.0, v1.5.0, v2.2.0 bootloader/src/photon/bootloader_dct.c.
 */
#ifndef PHOTON_SETTINGS_H
#define PHOTON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dct.h"

struct photon;

enum settings_state { SETTINGS_NOT_LOOKED_UP, SETTINGS_USABLE, SETTINGS_UNUSABLE };

struct settings_link {
    enum settings_state state;
    uint32_t part2_crc; /* stored CRC of the part2 whose functions were found */
    bool part2_touched; /* part2 was erased or written since */
};

enum settings_status {
    SETTINGS_OK,
    SETTINGS_NONE,  /* no driver: reads give nothing, writes fail */
    SETTINGS_ERROR, /* the driver refused or failed */
    SETTINGS_HUNG   /* the CPU is lost in it */
};

/* Finds the driver. SETTINGS_OK, SETTINGS_NONE, or SETTINGS_HUNG when it runs into functions that
 * are gone. */
enum settings_status settings_open(struct photon *photon);
/* Flash address of the application section; only after settings_open() gave SETTINGS_OK. */
uint32_t settings_address(struct photon *photon);
enum settings_status settings_write(struct photon *photon, uint32_t offset, const void *data,
                                    size_t length);

/* The system flags, wherever this bootloader keeps them. */
enum settings_status settings_load_flags(struct photon *photon);
enum settings_status settings_save_flags(struct photon *photon);

/* DFU changed flash at `address`. */
void settings_flash_erased(struct photon *photon, uint32_t address);
void settings_flash_written(struct photon *photon, uint32_t address);

#endif
