#include "emulator/flash_view.h"

#include <string.h>

#include "devmodel/flash_map.h"
#include "devmodel/module_flash.h"
#include "devmodel/quirks.h"
#include "devmodel/release.h"

static const struct {
    const char *name;
    uint32_t address, size;
} regions[VIEW_REGIONS] = {
    [VIEW_BOOTLOADER] = {"bootloader", MAP_BOOTLOADER, MAP_BOOTLOADER_SIZE},
    [VIEW_PART1] = {"system-part1", MAP_SYSTEM_PART1, MAP_SYSTEM_PART_SIZE},
    [VIEW_PART2] = {"system-part2", MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE},
    [VIEW_USER] = {"user", MAP_USER, MAP_USER_SIZE},
    [VIEW_FACTORY] = {"factory", MAP_FACTORY, MAP_FACTORY_SIZE},
};

const char *view_region_name(enum view_region region)
{
    return regions[region].name;
}

uint32_t view_region_address(enum view_region region)
{
    return regions[region].address;
}

uint32_t view_region_size(enum view_region region)
{
    return regions[region].size;
}

static void view_module(const struct flash *flash, enum view_region region,
                        const struct module_entry *entry, struct module_view *module)
{
    uint32_t address = regions[region].address;
    module->present = entry->known;
    if (!entry->known) {
        return;
    }
    module->info = entry->info;
    module->validity = entry->passed;
    module->size = entry->info.end - entry->info.start + MODULE_CRC_SIZE;
    module->crc_ok = module_flash_crc_ok(flash, address, &entry->info);
    module->has_suffix = module_flash_suffix(flash, address, &entry->info, &module->suffix);
}

/* The oldest rules hold where there is no system to have any. */
static void view_modules(const struct flash *flash, struct flash_view *view)
{
    struct module_info part2;
    struct module_entry entries[MODULE_LIST_SIZE];
    bool has_part2 = module_flash_info(flash, MAP_SYSTEM_PART2, &part2) &&
                     part2.function == MODULE_SYSTEM_PART && part2.index == 2;
    const struct release *release = has_part2 ? release_of_system(part2.version) : NULL;
    view->release = release ? release->name : NULL;
    module_list(flash, system_quirks(has_part2 ? part2.version : 0), entries);
    for (int i = 0; i < VIEW_REGIONS; i++) {
        view_module(flash, (enum view_region)i, &entries[i], &view->modules[i]);
    }
}

static void view_settings(const struct flash *flash, const struct backup *backup,
                          struct flash_view *view)
{
    const struct module_view *bootloader = &view->modules[VIEW_BOOTLOADER];
    const struct bootloader_quirks *quirks =
        bootloader->present ? bootloader_quirks(bootloader->info.version, bootloader->suffix.size)
                            : NULL;
    view->bootloader = quirks ? quirks->name : NULL;
    view->settings = quirks != NULL;
    if (quirks) {
        view->store = quirks->flags;
        view->dct_copy = dct_application(flash, &quirks->dct) >= MAP_DCT2 ? 2 : 1;
        system_flags_load(&view->flags, quirks->flags, flash, &quirks->dct, backup);
    }
}

void flash_view(const struct flash *flash, const struct backup *backup, struct flash_view *view)
{
    memset(view, 0, sizeof *view);
    view_modules(flash, view);
    view_settings(flash, backup, view);
}

static json_t *dependencies_json(const struct module_info *info)
{
    json_t *list = json_array();
    for (int i = 0; i < 2; i++) {
        const struct module_dependency *need = &info->dependency[i];
        if (need->function != MODULE_NONE) {
            json_array_append_new(list, json_pack("{s:i, s:i, s:i}", "function", need->function,
                                                  "index", need->index, "version", need->version));
        }
    }
    return list;
}

json_t *flash_view_module_json(const struct module_view *module)
{
    char sha[2 * MODULE_SHA256_SIZE + 1] = "";
    if (!module->present) {
        return json_null();
    }
    for (size_t i = 0; module->has_suffix && i < MODULE_SHA256_SIZE; i++) {
        snprintf(sha + 2 * i, 3, "%02x", module->suffix.sha256[i]);
    }
    return json_pack("{s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:b, s:i, s:o, s:s}", "function",
                     module->info.function, "index", module->info.index, "version",
                     module->info.version, "platform", module->info.platform, "start",
                     (json_int_t)module->info.start, "end", (json_int_t)module->info.end, "size",
                     (json_int_t)module->size, "crc_ok", module->crc_ok, "validity",
                     (int)module->validity, "dependencies", dependencies_json(&module->info),
                     "sha256", sha);
}

void flash_view_module_words(const struct module_view *module, char *text, size_t size)
{
    static const struct {
        unsigned bit;
        const char *name;
    } faults[] = {
        {MODULE_CHECK_INTEGRITY, "CRC wrong"},
        {MODULE_CHECK_DEPENDENCIES, "dependency not met"},
        {MODULE_CHECK_PLATFORM, "another platform's"},
    };
    if (!module->present) {
        snprintf(text, size, "-");
        return;
    }
    int used =
        snprintf(text, size, "%-7u %6u  %2u", module->info.version, module->size, module->validity);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (!(module->validity & faults[i].bit) && used > 0 && (size_t)used < size) {
            used += snprintf(text + used, size - (size_t)used, "  %s", faults[i].name);
        }
    }
}
