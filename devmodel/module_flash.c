#include "module_flash.h"

/* The unit of the <= 0.4.8 driver, which counts every sector as this large. */
#define LARGE_SECTOR UINT32_C(0x20000)

#define WORD         4

/* An image of which more than one word in this many is erased is not there to be run. */
#define ERASED_WORDS_LIMIT 16

bool module_flash_info(const struct flash *flash, uint32_t address, struct module_info *info)
{
    uint8_t bytes[MODULE_PREFIX_SIZE];
    uint32_t prefix;

    if (!flash_contains(address, WORD)) {
        return false;
    }
    prefix = address + module_prefix_offset(flash_read32(flash, address));
    if (!flash_contains(prefix, sizeof(bytes))) {
        return false;
    }
    flash_read(flash, prefix, bytes, sizeof(bytes));
    module_info_decode(info, bytes);
    return true;
}

/* Length of the body of the module at `address`; false when body and CRC do not lie in the flash.
 */
static bool body_length(uint32_t address, const struct module_info *info, uint32_t *length)
{
    *length = info->end - info->start;
    return info->end > info->start && *length < FLASH_SIZE &&
           flash_contains(address, *length + MODULE_CRC_SIZE);
}

bool module_flash_suffix(const struct flash *flash, uint32_t address,
                         const struct module_info *info, struct module_suffix *suffix)
{
    uint8_t bytes[MODULE_SUFFIX_MAX];
    uint32_t length;

    if (!body_length(address, info, &length) || length < sizeof(bytes)) {
        return false;
    }
    flash_read(flash, address + length - MODULE_SUFFIX_MAX, bytes, sizeof(bytes));
    module_suffix_decode(suffix, bytes);
    return true;
}

bool module_flash_crc_ok(const struct flash *flash, uint32_t address,
                         const struct module_info *info)
{
    uint8_t stored[MODULE_CRC_SIZE];
    uint32_t length;

    if (!body_length(address, info, &length)) {
        return false;
    }
    flash_read(flash, address + length, stored, sizeof(stored));
    return flash_crc32(flash, address, length) == module_crc_decode(stored);
}

bool module_flash_in_place(const struct module_info *info, uint32_t start, uint32_t limit,
                           uint16_t platform)
{
    return info->start == start && info->end <= limit && info->platform == platform;
}

static bool mostly_there(const struct flash *flash, uint32_t address, uint32_t length)
{
    uint32_t erased = 0;

    for (uint32_t i = 0; i + WORD <= length; i += WORD) {
        erased += flash_read32(flash, address + i) == UINT32_MAX;
    }
    return erased <= length / WORD / ERASED_WORDS_LIMIT;
}

bool module_flash_executable(const struct flash *flash, uint32_t address,
                             const struct module_info *info)
{
    const uint32_t behind = MODULE_SUFFIX_MAX + WORD;
    uint32_t length;

    if (module_flash_crc_ok(flash, address, info)) {
        return true;
    }
    return body_length(address, info, &length) && length > behind &&
           flash_read32(flash, address + length - behind) != UINT32_MAX &&
           mostly_there(flash, address, length);
}

/* The tests in the firmware's order. Lengths wrap at 32 bits as they do there. */
static bool acceptable(const struct flash *flash, const struct module_copy *copy)
{
    struct module_info info;

    if (copy->flags == 0) {
        return true;
    }
    if (!module_flash_info(flash, copy->source, &info)) {
        return false;
    }
    if ((copy->flags & MODULE_VERIFY_FUNCTION) &&
        copy->length < info.end - info.start + MODULE_CRC_SIZE) {
        return false;
    }
    if (info.platform != copy->platform && info.function != MODULE_RESOURCE) {
        return false;
    }
    if ((copy->flags & MODULE_VERIFY_DESTINATION) && info.start != copy->destination) {
        return false;
    }
    if ((copy->flags & MODULE_VERIFY_FUNCTION) && info.function != copy->function) {
        return false;
    }
    return !(copy->flags & MODULE_VERIFY_CRC) || module_flash_crc_ok(flash, copy->source, &info);
}

/* The <= 0.4.8 driver takes every sector for a large one; harmless where it is used, because
 * modules start at the sectors that are. */
static bool erase(struct flash *flash, const struct module_copy *copy)
{
    unsigned sector = (unsigned)flash_sector_of(copy->destination);
    unsigned last = copy->whole_sectors_by_length
                        ? sector + (copy->length - 1) / LARGE_SECTOR
                        : (unsigned)flash_sector_of(copy->destination + copy->length - 1);

    for (; sector <= last; sector++) {
        if (flash_erase_unprotecting(flash, sector) != FLASH_COMPLETE) {
            return false;
        }
    }
    return true;
}

/* Word by word, so a length that is not a multiple takes along what follows the source. */
static bool program(struct flash *flash, const struct module_copy *copy)
{
    uint8_t words[FLASH_PAGE];

    for (uint32_t done = 0; done < copy->length; done += sizeof(words)) {
        uint32_t left = (copy->length - done + WORD - 1) / WORD * WORD;
        uint32_t part = left < sizeof(words) ? left : (uint32_t)sizeof(words);

        if (!flash_contains(copy->source + done, part)) {
            return false;
        }
        flash_read(flash, copy->source + done, words, part);
        if (flash_program(flash, copy->destination + done, words, part, FLASH_WORD) !=
            FLASH_COMPLETE) {
            return false;
        }
    }
    return true;
}

bool module_flash_copy_allowed(const struct flash *flash, const struct module_copy *copy)
{
    return copy->length > 0 && flash_contains(copy->source, copy->length) &&
           flash_contains(copy->destination, copy->length) && acceptable(flash, copy);
}

enum module_copy_status module_flash_copy_begin(struct flash *flash, const struct module_copy *copy)
{
    if (!module_flash_copy_allowed(flash, copy)) {
        return MODULE_COPY_REFUSED;
    }
    return erase(flash, copy) ? MODULE_COPY_OK : MODULE_COPY_FAILED;
}

enum module_copy_status module_flash_copy_finish(struct flash *flash,
                                                 const struct module_copy *copy)
{
    return program(flash, copy) ? MODULE_COPY_OK : MODULE_COPY_FAILED;
}

enum module_copy_status module_flash_copy(struct flash *flash, const struct module_copy *copy)
{
    enum module_copy_status status = module_flash_copy_begin(flash, copy);

    return status == MODULE_COPY_OK ? module_flash_copy_finish(flash, copy) : status;
}
