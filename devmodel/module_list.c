#include "module_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "flash_map.h"
#include "module_flash.h"

/* The hash ends this many bytes before the module's end. */
#define SHA256_BEFORE_END 34

struct region {
    uint32_t address, size;
    enum module_store store;
    uint8_t function, index;
};

/* In the listing's order; bounds are looked up by function and index, first match. */
static const struct region regions[MODULE_LIST_SIZE] = {
    {MAP_BOOTLOADER, MAP_BOOTLOADER_SIZE, MODULE_STORE_MAIN, MODULE_BOOTLOADER, 0},
    {MAP_SYSTEM_PART1, MAP_SYSTEM_PART_SIZE, MODULE_STORE_MAIN, MODULE_SYSTEM_PART, 1},
    {MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE, MODULE_STORE_MAIN, MODULE_SYSTEM_PART, 2},
    {MAP_USER, MAP_USER_SIZE, MODULE_STORE_MAIN, MODULE_USER_PART, 1},
    {MAP_FACTORY, MAP_FACTORY_SIZE, MODULE_STORE_FACTORY, MODULE_USER_PART, 1},
};

static const struct region *region_of(uint8_t function, uint8_t index)
{
    for (size_t i = 0; i < MODULE_LIST_SIZE; i++) {
        if (regions[i].function == function && regions[i].index == index) {
            return &regions[i];
        }
    }
    return NULL;
}

bool module_dependency_met(const struct flash *flash, const struct module_dependency *needs)
{
    const struct region *region = region_of(needs->function, needs->index);
    struct module_info info;

    if (needs->function == MODULE_NONE) {
        return true;
    }
    return region != NULL && module_flash_info(flash, region->address, &info) &&
           info.function == needs->function && info.index == needs->index &&
           info.version >= needs->version;
}

bool module_end_in_bounds(const struct module_info *info)
{
    const struct region *region = region_of(info->function, info->index);

    /* The start is not looked at, and both bounds are inclusive. */
    return region != NULL && info->end >= region->address &&
           info->end <= region->address + region->size;
}

bool module_has_region(const struct module_info *info)
{
    return region_of(info->function, info->index) != NULL;
}

static bool dependencies_met(const struct flash *flash, const struct system_quirks *quirks,
                             const struct module_info *info)
{
    for (size_t i = 0; i < quirks->dependencies; i++) {
        if (!module_dependency_met(flash, &info->dependency[i])) {
            return false;
        }
    }
    return true;
}

/* Up to 0.6 the suffix is read through the prefix's end address, so that a factory image shows the
 * hash of the application; later releases read it in the copy. */
static void read_sha256(const struct flash *flash, const struct system_quirks *quirks,
                        const struct region *region, struct module_entry *entry)
{
    uint32_t end = entry->info.end;
    uint32_t address = end - SHA256_BEFORE_END;

    if (quirks->dependencies > 1) {
        address = region->address + (end - entry->info.start) - SHA256_BEFORE_END;
    }
    memset(entry->sha256, 0xFF, sizeof(entry->sha256));
    if (flash_contains(address, sizeof(entry->sha256))) {
        flash_read(flash, address, entry->sha256, sizeof(entry->sha256));
    }
}

static void judge(const struct flash *flash, const struct system_quirks *quirks,
                  const struct region *region, struct module_entry *entry)
{
    const struct module_info *info = &entry->info;
    bool optional = region->store == MODULE_STORE_FACTORY;

    *entry = (struct module_entry){
        .store = region->store, .maximum = region->size, .checked = MODULE_CHECK_ALL};
    if (!module_flash_info(flash, region->address, &entry->info) || !module_end_in_bounds(info)) {
        return;
    }
    entry->known = true;
    entry->passed = MODULE_CHECK_RANGE;
    if (info->platform == MAP_PLATFORM_PHOTON) {
        entry->passed |= MODULE_CHECK_PLATFORM;
    }
    if (module_flash_crc_ok(flash, region->address, info)) {
        entry->passed |= MODULE_CHECK_INTEGRITY;
    }
    if (optional || dependencies_met(flash, quirks, info)) {
        entry->passed |= MODULE_CHECK_DEPENDENCIES;
    }
    read_sha256(flash, quirks, region, entry);
}

void module_list(const struct flash *flash, const struct system_quirks *quirks,
                 struct module_entry entries[MODULE_LIST_SIZE])
{
    for (size_t i = 0; i < MODULE_LIST_SIZE; i++) {
        judge(flash, quirks, &regions[i], &entries[i]);
    }
}

/* --- JSON --- */

struct text {
    char *bytes;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
{
    va_list arguments;
    int written;

    va_start(arguments, format);
    written =
        vsnprintf(text->bytes + text->length, MODULE_JSON_MAX - text->length, format, arguments);
    va_end(arguments);
    if (written > 0) {
        text->length += (size_t)written;
    }
    if (text->length >= MODULE_JSON_MAX) {
        text->length = MODULE_JSON_MAX - 1;
    }
}

static void append_dependencies(struct text *text, const struct system_quirks *quirks,
                                const struct module_info *info)
{
    const char *separator = "";

    for (size_t i = 0; i < quirks->dependencies; i++) {
        const struct module_dependency *needs = &info->dependency[i];

        if (needs->function != MODULE_NONE) {
            append(text, "%s{\"f\":\"%c\",\"n\":\"%u\",\"v\":%u%s}", separator,
                   module_function_letter(needs->function), (unsigned)needs->index,
                   (unsigned)needs->version, quirks->json_empty_pair ? ",\"_\":\"\"" : "");
            separator = ",";
        }
    }
}

static void append_entry(struct text *text, const struct system_quirks *quirks,
                         const struct module_entry *entry)
{
    append(text, "{\"s\":%u,\"l\":\"%c\",\"vc\":%u,\"vv\":%u", (unsigned)entry->maximum,
           entry->store == MODULE_STORE_FACTORY ? 'f' : 'm', (unsigned)entry->checked,
           (unsigned)entry->passed);
    if (entry->known && entry->info.function == MODULE_USER_PART) {
        append(text, ",\"u\":\"");
        for (size_t i = 0; i < sizeof(entry->sha256); i++) {
            append(text, "%02X", (unsigned)entry->sha256[i]);
        }
        append(text, "\"");
    }
    if (entry->known) {
        append(text, ",\"f\":\"%c\",\"n\":\"%u\",\"v\":%u",
               module_function_letter(entry->info.function), (unsigned)entry->info.index,
               (unsigned)entry->info.version);
    }
    append(text, ",\"d\":[");
    if (entry->known) {
        append_dependencies(text, quirks, &entry->info);
    }
    append(text, "]}");
}

size_t module_list_json(const struct flash *flash, const struct system_quirks *quirks,
                        char json[MODULE_JSON_MAX])
{
    struct module_entry entries[MODULE_LIST_SIZE];
    struct text text = {.bytes = json};
    const char *separator = "";

    module_list(flash, quirks, entries);
    append(&text, "\"p\":%u,\"m\":[", (unsigned)MAP_PLATFORM_PHOTON);
    for (size_t i = 0; i < MODULE_LIST_SIZE; i++) {
        if (entries[i].known || quirks->json_lists_empty) {
            append(&text, "%s", separator);
            append_entry(&text, quirks, &entries[i]);
            separator = ",";
        }
    }
    append(&text, "]");
    return text.length;
}
