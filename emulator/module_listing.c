#include "emulator/module_listing.h"

#include <stdio.h>
#include <string.h>

#include "emulator/digest.h"
#include "emulator/module_file.h"

static const char *const platforms[] = {
    [0] = "Core",      [3] = "gcc",           [6] = "Photon", [8] = "P1",
    [10] = "Electron", [12] = "Argon",        [13] = "Boron", [14] = "Xenon",
    [22] = "A SoM",    [23] = "B SoM",        [24] = "X SoM", [25] = "B5 SoM",
    [26] = "Tracker",  [31] = "Raspberry Pi", [88] = "Duo",   [103] = "Bluz",
};

static const char *const functions[] = {
    [MODULE_NONE] = "no module",          [MODULE_RESOURCE] = "resource",
    [MODULE_BOOTLOADER] = "bootloader",   [MODULE_MONOLITHIC] = "monolithic firmware",
    [MODULE_SYSTEM_PART] = "system part", [MODULE_USER_PART] = "user part",
    [MODULE_SETTINGS] = "settings",       [MODULE_NCP] = "NCP firmware",
    [MODULE_RADIO_STACK] = "radio stack",
};

static const char *platform_name(uint16_t platform)
{
    const char *name = NULL;

    if (platform < sizeof(platforms) / sizeof(platforms[0])) {
        name = platforms[platform];
    }
    return name ? name : "unknown";
}

void module_title(uint8_t function, uint8_t index, uint16_t version, char title[MODULE_TITLE])
{
    const struct module_place *place = module_place_of(function, index);

    if (place) {
        snprintf(title, MODULE_TITLE, "%s %u", place->name, version);
    } else if (function < sizeof(functions) / sizeof(functions[0])) {
        snprintf(title, MODULE_TITLE, "%s (%u/%u) %u", functions[function], function, index,
                 version);
    } else {
        snprintf(title, MODULE_TITLE, "unknown kind (%u/%u) %u", function, index, version);
    }
}

void module_needs(const struct module_info *info, char needs[3 * MODULE_TITLE])
{
    size_t used = (size_t)snprintf(needs, 3 * MODULE_TITLE, "needs");
    const char *between = "";

    for (size_t i = 0; i < 2; i++) {
        const struct module_dependency *dependency = &info->dependency[i];
        char title[MODULE_TITLE];

        if (dependency->function == MODULE_NONE) {
            continue;
        }
        module_title(dependency->function, dependency->index, dependency->version, title);
        used += (size_t)snprintf(needs + used, 3 * MODULE_TITLE - used, "%s %s", between, title);
        between = " and";
    }
    if (*between == '\0') {
        snprintf(needs + used, 3 * MODULE_TITLE - used, " nothing");
    }
}

bool module_digest_ok(const struct module *module, const uint8_t *bytes)
{
    uint8_t digest[MODULE_SHA256_SIZE];

    /* Behind the digest: the suffix's size, then the CRC. */
    digest_sha256(bytes, module->size - MODULE_CRC_SIZE - 2 - MODULE_SHA256_SIZE, digest);
    return memcmp(digest, module->suffix.sha256, sizeof(digest)) == 0;
}

static void print_hex(const uint8_t *bytes, size_t length, char *text)
{
    for (size_t i = 0; i < length; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void list_checks(const struct module *module, const uint8_t *bytes)
{
    char sha256[2 * MODULE_SHA256_SIZE + 1];

    print_hex(module->suffix.sha256, MODULE_SHA256_SIZE, sha256);
    printf("  SHA-256   %s, %s\n", sha256,
           module_digest_ok(module, bytes) ? "good" : "not that of this file (no board asks)");
    if (module->crc_stored == module->crc_computed) {
        printf("  CRC       %08X, good\n", module->crc_stored);
    } else {
        printf("  CRC       %08X, BAD: the file has %08X\n", module->crc_stored,
               module->crc_computed);
    }
}

void module_print(const char *path, const struct module *module, const uint8_t *bytes,
                  size_t length)
{
    const struct module_info *info = &module->info;
    const struct module_suffix *suffix = &module->suffix;
    char title[MODULE_TITLE], needs[3 * MODULE_TITLE];

    module_title(info->function, info->index, info->version, title);
    module_needs(info, needs);
    printf("%s: %s, %s\n", path, title, needs);
    printf("  size      %u bytes\n", module->size);
    if (length > module->size) {
        printf("  behind it %zu bytes that do not belong to the module\n", length - module->size);
    }
    printf("  place     0x%08X to 0x%08X, prefix at offset 0x%X\n", info->start, info->end,
           module->prefix_offset);
    printf("  platform  %u (%s)\n", info->platform, platform_name(info->platform));
    printf("  suffix    %u bytes, ", suffix->size);
    if (suffix->product_id == MODULE_NO_PRODUCT) {
        printf("no product\n");
    } else {
        printf("product %u version %u\n", suffix->product_id, suffix->product_version);
    }
    list_checks(module, bytes);
}

static json_t *crc_json(const struct module *module)
{
    char stored[9], actual[9];

    snprintf(stored, sizeof(stored), "%08x", module->crc_stored);
    snprintf(actual, sizeof(actual), "%08x", module->crc_computed);
    return json_pack("{s:b, s:s, s:s}", "ok", module->crc_stored == module->crc_computed,
                     "storedCrc", stored, "actualCrc", actual);
}

static json_t *prefix_json(const struct module *module)
{
    const struct module_info *info = &module->info;
    const struct module_dependency *dependency = info->dependency;
    char start[9], end[9];

    snprintf(start, sizeof(start), "%x", info->start);
    snprintf(end, sizeof(end), "%x", info->end);
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
        "moduleStartAddy", start, "moduleEndAddy", end, "reserved", info->reserved, "moduleFlags",
        info->flags, "moduleVersion", info->version, "platformID", info->platform, "moduleFunction",
        info->function, "moduleIndex", info->index, "depModuleFunction", dependency[0].function,
        "depModuleIndex", dependency[0].index, "depModuleVersion", dependency[0].version,
        "dep2ModuleFunction", dependency[1].function, "dep2ModuleIndex", dependency[1].index,
        "dep2ModuleVersion", dependency[1].version, "prefixOffset", (int)module->prefix_offset);
}

static json_t *suffix_json(const struct module *module)
{
    const struct module_suffix *suffix = &module->suffix;
    /* Without the fields the parser says -1; with them, 65535 for none. */
    bool product = suffix->size >= MODULE_SUFFIX_MAX;
    char sha256[2 * MODULE_SHA256_SIZE + 1], crc[9];

    print_hex(suffix->sha256, MODULE_SHA256_SIZE, sha256);
    snprintf(crc, sizeof(crc), "%08x", module->crc_stored);
    return json_pack("{s:i, s:i, s:s, s:i, s:i, s:s}", "productId",
                     product ? suffix->product_id : -1, "productVersion",
                     product ? suffix->product_version : -1, "fwUniqueId", sha256, "reserved",
                     suffix->reserved, "suffixSize", suffix->size, "crcBlock", crc);
}

json_t *module_json(const char *path, const struct module *module)
{
    /* The name is null when it is no UTF-8. */
    return json_pack("{s:o?, s:o, s:o, s:o}", "filename", json_string(path), "crc",
                     crc_json(module), "prefixInfo", prefix_json(module), "suffixInfo",
                     suffix_json(module));
}
