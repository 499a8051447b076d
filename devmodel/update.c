#include "update.h"

#include <string.h>

#include "engine.h"
#include "flash_map.h"
#include "module_flash.h"
#include "module_list.h"
#include "module_slot.h"

/* The most that one call may store: a YMODEM packet or a control request's chunk. */
#define STORE_MAX   1024

#define SECTOR_SIZE UINT32_C(0x20000)

void update_begin(struct photon *photon, uint32_t size)
{
    if (size > MAP_OTA_SIZE) {
        return;
    }
    for (uint32_t offset = 0; offset < size; offset += SECTOR_SIZE) {
        int sector = flash_sector_of(MAP_OTA + offset);

        if (flash_erase_unprotecting(photon->flash, (unsigned)sector) != FLASH_COMPLETE) {
            return;
        }
    }
}

bool update_store(struct photon *photon, uint32_t offset, const uint8_t *data, size_t length)
{
    uint8_t words[STORE_MAX];
    uint32_t address = MAP_OTA + offset;
    size_t padded = (length + 3) & ~(size_t)3;

    if (length > sizeof(words)) {
        return false;
    }
    if (offset > FLASH_SIZE || !flash_contains(address, padded)) {
        system_crash(photon, "hard fault: update runs past the end of flash");
        return false;
    }
    memset(words, 0xFF, sizeof(words));
    memcpy(words, data, length);
    return flash_program(photon->flash, address, words, padded, FLASH_WORD) == FLASH_COMPLETE &&
           flash_equals(photon->flash, address, data, length);
}

/* --- judging --- */

/* Every other installed system part that needs the candidate must be content with it. */
static bool others_content(const struct flash *flash, size_t dependencies,
                           const struct module_info *candidate)
{
    static const uint32_t parts[] = {MAP_SYSTEM_PART1, MAP_SYSTEM_PART2};

    if (candidate->function != MODULE_SYSTEM_PART) {
        return true;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct module_info part;

        if (!module_flash_info(flash, parts[i], &part) || part.index == candidate->index) {
            continue;
        }
        for (size_t k = 0; k < dependencies; k++) {
            const struct module_dependency *needs = &part.dependency[k];

            if (needs->function == candidate->function && needs->index == candidate->index &&
                needs->version > candidate->version) {
                return false;
            }
        }
    }
    return true;
}

static bool dependencies_met(const struct photon *photon, const struct module_info *candidate)
{
    const struct system_quirks *quirks = photon->system.quirks;

    /* A newer application is welcome: the next start is safe mode, and the cloud heals. */
    if (candidate->function == MODULE_USER_PART) {
        return true;
    }
    for (size_t i = 0; i < quirks->dependencies; i++) {
        const struct module_dependency *needs = &candidate->dependency[i];
        bool optional = quirks->full_dependency_check && needs->function == MODULE_BOOTLOADER;

        if (!optional && !module_dependency_met(photon->flash, needs)) {
            return false;
        }
    }
    return !quirks->full_dependency_check ||
           others_content(photon->flash, quirks->dependencies, candidate);
}

static enum update_verdict judge(struct photon *photon, struct module_info *candidate)
{
    if (!module_flash_info(photon->flash, MAP_OTA, candidate) || !module_has_region(candidate)) {
        return UPDATE_NO_MODULE;
    }
    if (!module_end_in_bounds(candidate)) {
        return UPDATE_BAD_ADDRESS;
    }
    if (candidate->platform != MAP_PLATFORM_PHOTON) {
        return UPDATE_BAD_PLATFORM;
    }
    if (!module_flash_crc_ok(photon->flash, MAP_OTA, candidate)) {
        return UPDATE_BAD_CRC;
    }
    return dependencies_met(photon, candidate) ? UPDATE_OK : UPDATE_BAD_DEPENDENCY;
}

enum update_verdict update_judge(struct photon *photon)
{
    struct module_info candidate;

    return judge(photon, &candidate);
}

unsigned update_failures(struct photon *photon)
{
    struct module_info candidate;
    unsigned failures = 0;

    if (!module_flash_info(photon->flash, MAP_OTA, &candidate) || !module_has_region(&candidate) ||
        !module_end_in_bounds(&candidate)) {
        return MODULE_CHECK_ALL | MODULE_CHECK_FULL_DEPENDENCIES;
    }
    if (candidate.platform != MAP_PLATFORM_PHOTON) {
        failures |= MODULE_CHECK_PLATFORM;
    }
    if (!dependencies_met(photon, &candidate)) {
        failures |= MODULE_CHECK_DEPENDENCIES | MODULE_CHECK_FULL_DEPENDENCIES;
    }
    if (!module_flash_crc_ok(photon->flash, MAP_OTA, &candidate)) {
        failures |= MODULE_CHECK_INTEGRITY;
    }
    return failures;
}

/* --- installing --- */

static struct module_slot pending_slot(const struct module_info *module)
{
    return (struct module_slot){
        .magic = MODULE_SLOT_PENDING,
        .source = MAP_OTA,
        .destination = module->start,
        .length = module->end - module->start + MODULE_CRC_SIZE,
        .flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION | MODULE_VERIFY_FUNCTION,
        .function = module->function,
    };
}

static bool set_slot(struct photon *photon, const struct module_info *module)
{
    struct module_slot slot = pending_slot(module);
    uint8_t bytes[MODULE_SLOT_SIZE];

    for (uint32_t number = 1; number < MODULE_SLOTS; number++) {
        uint32_t offset = DCT_FLASH_MODULES + number * MODULE_SLOT_SIZE;
        struct module_slot found;

        system_read_dct(photon, offset, bytes, sizeof(bytes));
        module_slot_decode(&found, bytes);
        if (found.magic != MODULE_SLOT_PENDING) {
            module_slot_encode(&slot, bytes);
            return system_write_dct(photon, offset, bytes, sizeof(bytes));
        }
    }
    return false;
}

static bool install_bootloader(struct photon *photon, const struct module_info *module)
{
    struct module_slot slot = pending_slot(module);
    struct module_copy copy = {
        .source = slot.source,
        .destination = slot.destination,
        .length = slot.length,
        .flags = slot.flags,
        .function = slot.function,
        .platform = MAP_PLATFORM_PHOTON,
    };

    return module_flash_copy(photon->flash, &copy) == MODULE_COPY_OK;
}

enum update_verdict update_finish(struct photon *photon)
{
    struct module_info candidate;
    enum update_verdict verdict = judge(photon, &candidate);
    bool stored;

    if (verdict != UPDATE_OK) {
        engine_boot_event(photon, "update refused");
        return verdict;
    }
    stored = candidate.function == MODULE_BOOTLOADER ? install_bootloader(photon, &candidate)
                                                     : set_slot(photon, &candidate);
    engine_boot_event(photon, stored ? "update accepted" : "update could not be stored");
    return stored ? UPDATE_OK : UPDATE_NOT_STORED;
}
