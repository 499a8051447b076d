#include "dct_format.h"

const struct dct_copy dct_copies[2] = {{MAP_DCT1, MAP_SECTOR_DCT1}, {MAP_DCT2, MAP_SECTOR_DCT2}};

static const struct dct_driver *const drivers[] = {
    [DCT_FORMAT_SWAP] = &dct_swap,
    [DCT_FORMAT_SEQUENCE] = &dct_sequence,
};

enum dct_status dct_erase_copy(struct flash *flash, const struct dct_copy *copy)
{
    switch (flash_erase(flash, copy->sector)) {
    case FLASH_COMPLETE:
        return DCT_OK;
    case FLASH_NO_POWER:
        return DCT_ERROR;
    default:
        return DCT_HANG;
    }
}

enum dct_status dct_program(struct flash *flash, uint32_t address, const uint8_t *data,
                            size_t length)
{
    size_t head = (0U - address) % sizeof(uint32_t);

    if (head > length) {
        head = length;
    }

    size_t words = length - head > 15 ? (length - head - 12) / 4 * 4 : 0;
    size_t tail = length - head - words;

    if (flash_program(flash, address, data, head, FLASH_BYTE) != FLASH_COMPLETE) {
        return DCT_ERROR;
    }
    address += (uint32_t)head;
    data += head;
    if (flash_program(flash, address, data, words, FLASH_WORD) != FLASH_COMPLETE) {
        return DCT_ERROR;
    }
    address += (uint32_t)words;
    data += words;
    if (flash_program(flash, address, data, tail, FLASH_BYTE) != FLASH_COMPLETE) {
        return DCT_ERROR;
    }
    return DCT_OK;
}

/* The copy that is read and written: without one that holds it is copy 1. */
static const struct dct_copy *used_copy(const struct flash *flash, const struct dct_rules *rules)
{
    const struct dct_copy *copy = drivers[rules->format]->current(flash);

    return copy != NULL ? copy : &dct_copies[0];
}

uint32_t dct_application(const struct flash *flash, const struct dct_rules *rules)
{
    return used_copy(flash, rules)->address + DCT_APPLICATION;
}

void dct_read(const struct flash *flash, const struct dct_rules *rules, uint32_t offset, void *data,
              size_t length)
{
    flash_read(flash, dct_application(flash, rules) + offset, data, length);
}

enum dct_status dct_open(struct flash *flash, const struct dct_rules *rules)
{
    const struct dct_driver *driver = drivers[rules->format];

    return driver->current(flash) != NULL ? DCT_OK : driver->make(flash);
}

enum dct_status dct_write_section(struct flash *flash, const struct dct_rules *rules,
                                  uint32_t start, const void *data, size_t length)
{
    enum dct_status status = dct_open(flash, rules);
    const struct dct_copy *copy = used_copy(flash, rules);

    if (status != DCT_OK) {
        return status;
    }
    if (start < DCT_HEADER_SIZE || start > FLASH_SIZE ||
        !flash_contains(copy->address + start, length)) {
        return DCT_ERROR;
    }

    struct dct_change change = {.from = copy,
                                .to = &dct_copies[copy == &dct_copies[0]],
                                .start = start,
                                .end = start + (uint32_t)length,
                                .data = data};

    return drivers[rules->format]->write(flash, rules, &change);
}

enum dct_status dct_write(struct flash *flash, const struct dct_rules *rules, uint32_t offset,
                          const void *data, size_t length)
{
    uint32_t start = offset > FLASH_SIZE ? FLASH_SIZE : DCT_APPLICATION + offset;

    return dct_write_section(flash, rules, start, data, length);
}
