/*
 * The modules of a board as its running system lists and judges them: `s` on the console, describe,
 * module info. Source: device-os v0.4.4 hal/src/photon/ota_flash_hal.cpp; v0.7.0 and v2.2.0
 * hal/src/stm32/ota_module.cpp.
 */
#ifndef PHOTON_MODULE_LIST_H
#define PHOTON_MODULE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "flash.h"
#include "module.h"
#include "system_quirks.h"

/* Bits of what was checked and what passed. */
#define MODULE_CHECK_INTEGRITY    2
#define MODULE_CHECK_DEPENDENCIES 4
#define MODULE_CHECK_RANGE        8
#define MODULE_CHECK_PLATFORM     16
#define MODULE_CHECK_ALL                                                                           \
    (MODULE_CHECK_INTEGRITY | MODULE_CHECK_DEPENDENCIES | MODULE_CHECK_RANGE |                     \
     MODULE_CHECK_PLATFORM)
/* Of an update: the dependencies of other modules on it. */
#define MODULE_CHECK_FULL_DEPENDENCIES 64

enum module_store { MODULE_STORE_MAIN, MODULE_STORE_FACTORY };

/* The regions in the order of the listing. */
#define MODULE_LIST_SIZE 5

struct module_entry {
    enum module_store store;
    uint32_t maximum; /* size of the region, as printed */
    bool known;       /* range passed: `info` and `sha256` mean something */
    uint8_t checked, passed;
    struct module_info info;
    uint8_t sha256[MODULE_SHA256_SIZE]; /* user parts: as the release reads it */
};

/* Judges every region. */
void module_list(const struct flash *flash, const struct system_quirks *quirks,
                 struct module_entry entries[MODULE_LIST_SIZE]);
/* There is a place for the module's function and index. */
bool module_has_region(const struct module_info *info);
/* And the module ends inside it. */
bool module_end_in_bounds(const struct module_info *info);
/* The version of the installed module (function, index) is at least what is needed. */
bool module_dependency_met(const struct flash *flash, const struct module_dependency *needs);

/* The text between the braces: "p":6,"m":[...]. At most MODULE_JSON_MAX bytes with the NUL; returns
 * its length. */
#define MODULE_JSON_MAX 2048
size_t module_list_json(const struct flash *flash, const struct system_quirks *quirks,
                        char json[MODULE_JSON_MAX]);

#endif
