/*
 * What a flash holds, for people and scripts: modules and their validity, settings, flags.
 */
#ifndef VPHOTON_FLASH_VIEW_H
#define VPHOTON_FLASH_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "devmodel/backup.h"
#include "devmodel/module_list.h"
#include "devmodel/system_flags.h"
#include "emulator/device_format.h"

/* In the order of module_list(). */
enum view_region { VIEW_BOOTLOADER, VIEW_PART1, VIEW_PART2, VIEW_USER, VIEW_FACTORY, VIEW_REGIONS };

struct module_view {
    bool present; /* a prefix with a known function whose end lies in its region */
    struct module_info info;
    uint32_t size; /* with CRC */
    bool crc_ok;
    unsigned validity; /* MODULE_CHECK_* passed, as the board's own system prints it (`vv`) */
    bool has_suffix;
    struct module_suffix suffix;
};

struct flash_view {
    struct module_view modules[VIEW_REGIONS];
    const char *release;    /* closest to part2's version; NULL without part2 */
    const char *bootloader; /* row of behaviour; NULL when the board has none to run */
    enum system_flags_store store;
    bool settings; /* a DCT driver is there: the fields below hold */
    unsigned dct_copy;
    struct system_flags flags;
};

const char *view_region_name(enum view_region region);
uint32_t view_region_address(enum view_region region);
uint32_t view_region_size(enum view_region region);

void flash_view(const struct flash *flash, const struct backup *backup, struct flash_view *view);

/* One module as JSON: release-independent facts and validity. Null when there is none. */
json_t *flash_view_module_json(const struct module_view *module);
/* "system-part1 17, 250956 bytes" or what is wrong; for one line. */
void flash_view_module_words(const struct module_view *module, char *text, size_t size);

#endif
