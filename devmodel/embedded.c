#include "embedded.h"

#include "factory.h"
#include "flash_map.h"
#include "module_flash.h"

/* Is there a bootloader at `address` that ends, with its CRC, not behind `limit`? */
static bool is_bootloader(const struct flash *flash, uint32_t address, uint32_t limit,
                          struct module_info *info)
{
    return module_prefix_offset(flash_read32(flash, address)) == MODULE_PREFIX_AFTER_VECTORS &&
           module_flash_info(flash, address, info) && info->function == MODULE_BOOTLOADER &&
           info->start == MAP_BOOTLOADER && info->end > info->start &&
           (uint64_t)address + (info->end - info->start) + MODULE_CRC_SIZE <= limit;
}

/* Where our own modules and the real 0.5.2 have it, which saves the search; else part2's start. */
static uint32_t likely(const struct module_info *part2)
{
    const struct release *release = release_of_system(part2->version);
    uint32_t size = part2->end - part2->start + MODULE_CRC_SIZE;

    return release && release->embeds_bootloader && size == release->part2_size
               ? MAP_SYSTEM_PART2 + factory_embedded_offset(release)
               : MAP_SYSTEM_PART2;
}

bool embedded_bootloader(const struct flash *flash, uint32_t *address, struct module_info *info)
{
    struct module_info part2;

    if (!module_flash_info(flash, MAP_SYSTEM_PART2, &part2) || part2.start != MAP_SYSTEM_PART2 ||
        part2.end > FLASH_END || part2.end < part2.start + MODULE_MIN_SIZE) {
        return false;
    }
    *address = likely(&part2);
    if (is_bootloader(flash, *address, part2.end, info)) {
        return true;
    }
    for (*address = part2.start; *address < part2.end - 3; *address += 4) {
        if (is_bootloader(flash, *address, part2.end, info)) {
            return true;
        }
    }
    return false;
}
