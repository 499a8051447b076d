#include "settings.h"

#include "engine.h"
#include "flash_map.h"
#include "module_flash.h"

/* part2 exports its DCT functions from this module version on (0.7.0-rc.1). */
#define PART2_WITH_DCT 200

/* CRC of part1 and part2, from the time line of image 1006: a pending copy starts 28 ms after
 * reset. */
#define LOOKUP_NS (9 * BOARD_NS_PER_MS)

static const struct dct_rules *rules(const struct photon *photon)
{
    return &photon->boot.quirks->dct;
}

static bool intact(const struct photon *photon, uint32_t start, uint16_t version,
                   struct module_info *info)
{
    return module_flash_info(photon->flash, start, info) && info->start == start &&
           info->end > start && info->end <= start + MAP_SYSTEM_PART_SIZE &&
           info->version >= version && module_flash_crc_ok(photon->flash, start, info);
}

/* Both system parts are whole and belong together; gives part2's stored CRC. */
static bool part2_has_driver(const struct photon *photon, uint32_t *part2_crc)
{
    struct module_info part1;
    struct module_info part2;
    const struct module_dependency *needs = &part2.dependency[0];

    if (!intact(photon, MAP_SYSTEM_PART2, PART2_WITH_DCT, &part2)) {
        return false;
    }
    *part2_crc = flash_read32(photon->flash, part2.end);
    return needs->function != MODULE_SYSTEM_PART || needs->index != 1 ||
           intact(photon, MAP_SYSTEM_PART1, needs->version, &part1);
}

static enum settings_status open_driver(struct photon *photon)
{
    switch (dct_open(photon->flash, rules(photon))) {
    case DCT_OK:
        return SETTINGS_OK;
    case DCT_HANG:
        engine_hang(photon, "DCT sector cannot be erased: the driver tries for ever");
        return SETTINGS_HUNG;
    default:
        return SETTINGS_ERROR;
    }
}

static void look_up(struct photon *photon)
{
    struct settings_link *link = &photon->settings;

    cpu_spend(photon, LOOKUP_NS);
    link->state = part2_has_driver(photon, &link->part2_crc) ? SETTINGS_USABLE : SETTINGS_UNUSABLE;
    link->part2_touched = false;
}

enum settings_status settings_open(struct photon *photon)
{
    struct settings_link *link = &photon->settings;
    uint32_t crc;

    if (!photon->boot.quirks->dct_in_part2) {
        return open_driver(photon);
    }
    if (link->state == SETTINGS_NOT_LOOKED_UP) {
        look_up(photon);
    }
    if (link->state == SETTINGS_UNUSABLE) {
        return SETTINGS_NONE;
    }
    if (link->part2_touched && (!part2_has_driver(photon, &crc) || crc != link->part2_crc)) {
        engine_hang(photon, "called DCT functions of a system-part2 that is gone");
        return SETTINGS_HUNG;
    }
    return open_driver(photon);
}

uint32_t settings_address(struct photon *photon)
{
    return dct_application(photon->flash, rules(photon));
}

enum settings_status settings_write(struct photon *photon, uint32_t offset, const void *data,
                                    size_t length)
{
    enum settings_status status = settings_open(photon);

    if (status != SETTINGS_OK) {
        return status;
    }
    switch (dct_write(photon->flash, rules(photon), offset, data, length)) {
    case DCT_OK:
        return SETTINGS_OK;
    case DCT_HANG:
        engine_hang(photon, "DCT sector cannot be erased: the driver tries for ever");
        return SETTINGS_HUNG;
    default:
        return SETTINGS_ERROR;
    }
}

enum settings_status settings_load_flags(struct photon *photon)
{
    enum settings_status status = SETTINGS_OK;

    if (photon->boot.quirks->flags == FLAGS_IN_DCT) {
        status = settings_open(photon);
        if (status != SETTINGS_OK) {
            return status;
        }
    }
    system_flags_load(&photon->boot.flags, photon->boot.quirks->flags, photon->flash, rules(photon),
                      &photon->backup);
    return status;
}

enum settings_status settings_save_flags(struct photon *photon)
{
    struct backup backup = photon->backup;

    switch (system_flags_save(&photon->boot.flags, photon->boot.quirks->flags, photon->flash,
                              rules(photon), &backup)) {
    case DCT_OK:
        break;
    case DCT_HANG:
        engine_hang(photon, "DCT sector cannot be erased: the driver tries for ever");
        return SETTINGS_HUNG;
    default:
        return SETTINGS_ERROR;
    }
    for (unsigned i = 0; i < BACKUP_REGISTERS; i++) {
        engine_backup(photon, i, backup.dr[i]);
    }
    return SETTINGS_OK;
}

static bool in_region(uint32_t address, uint32_t start, uint32_t size)
{
    return address >= start && address - start < size;
}

void settings_flash_erased(struct photon *photon, uint32_t address)
{
    if (in_region(address, MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE)) {
        photon->settings.part2_touched = true;
    }
}

void settings_flash_written(struct photon *photon, uint32_t address)
{
    if (photon->boot.quirks->dct_reresolved &&
        in_region(address, MAP_SYSTEM_PART1, 2 * MAP_SYSTEM_PART_SIZE)) {
        photon->settings.state = SETTINGS_NOT_LOOKED_UP;
    }
    settings_flash_erased(photon, address);
}
