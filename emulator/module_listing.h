/*
 * What a module file says of itself, for people and for scripts.
 */
#ifndef VPHOTON_MODULE_LISTING_H
#define VPHOTON_MODULE_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devmodel/module.h"

/* Room for "system-part1 17" and the like. */
#define MODULE_TITLE 48

/* Kind and version, as "system-part1 17". */
void module_title(uint8_t function, uint8_t index, uint16_t version, char title[MODULE_TITLE]);
/* "needs system-part1 17 and bootloader 1003", or "needs nothing". */
void module_needs(const struct module_info *info, char needs[3 * MODULE_TITLE]);
/* Does the SHA-256 in the suffix belong to the file? A board never asks. */
bool module_digest_ok(const struct module *module, const uint8_t *bytes);

/* `length` is the file's, which may be longer than the module. */
void module_print(const char *path, const struct module *module, const uint8_t *bytes,
                  size_t length);
/* The field names and values of Particle's own parser (npm: binary-version-reader 1.3.0) for the
 * same file. NULL when memory is short. */
json_t *module_json(const char *path, const struct module *module);

#endif
