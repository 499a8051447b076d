/*
 * Firmware module files: read, judged, written. Where each kind of module belongs on a Photon.
 */
#ifndef VPHOTON_MODULE_FILE_H
#define VPHOTON_MODULE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devmodel/factory.h"
#include "devmodel/module.h"
#include "emulator/complaint.h"

/* A region of the flash that one kind of module belongs into. */
struct module_place {
    const char *name;   /* in messages: "system-part1" */
    const char *option; /* on the command line: "part1" */
    uint8_t function, index;
    uint32_t address, size;
};

extern const struct module_place module_places[FACTORY_MODULES];

/* The place of a kind of module; NULL when a Photon has none. */
const struct module_place *module_place_of(uint8_t function, uint8_t index);

/* A whole file of at most a flash's size, to be freed; NULL with a complaint that begins with the
 * path. */
uint8_t *module_file_read(const char *path, size_t *length, struct complaint *complaint);
/* module_parse() with a complaint. */
bool module_file_parse(struct module *module, const uint8_t *bytes, size_t length,
                       struct complaint *complaint);
/* Would a board take it? CRC, platform, kind, address and size. */
bool module_file_check(const struct module *module, struct complaint *complaint);
/* Writes a file, or leaves what was there; a complaint begins with the path. */
bool module_file_write(const char *path, const uint8_t *bytes, size_t length,
                       struct complaint *complaint);

#endif
