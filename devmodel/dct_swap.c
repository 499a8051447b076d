/*
 * The DCT of WICED 3.3 (bootloaders up to 11, systems up to 0.6.4): one copy holds, the other
 * sector is blank, and each write that cannot be done in place moves the DCT over.
 */
#include <string.h>

#include "dct_format.h"
#include "little_endian.h"

/* The driver tries to program what is write-protected again and again, for 10 to 20 ms in all. */
#define GIVING_UP_NS UINT64_C(15000000)

/* write_incomplete = 0, is_current = 1. */
#define STATE_CURRENT UINT16_C(0x0100)

static const struct dct_copy *swap_current(const struct flash *flash)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t header[DCT_HEADER_SIZE];

        flash_read(flash, dct_copies[i].address, header, sizeof(header));
        if (le16_get(header + DCT_HEADER_INCOMPLETE) == STATE_CURRENT &&
            le32_get(header + DCT_HEADER_MAGIC) == DCT_MAGIC) {
            return &dct_copies[i];
        }
    }
    return NULL;
}

/* The header is written last and makes its copy hold. */
static enum dct_status write_header(struct flash *flash, const struct dct_copy *copy,
                                    uint8_t header[DCT_HEADER_SIZE])
{
    memset(header, 0, DCT_HEADER_INCOMPLETE);
    le16_put(header + DCT_HEADER_INCOMPLETE, STATE_CURRENT);
    header[DCT_HEADER_VALID] = 1;
    return dct_program(flash, copy->address, header, DCT_HEADER_SIZE);
}

static enum dct_status swap_make(struct flash *flash)
{
    uint8_t header[DCT_HEADER_SIZE] = {0};
    enum dct_status status = dct_erase_copy(flash, &dct_copies[0]);

    le32_put(header + DCT_HEADER_MAGIC, DCT_MAGIC);
    return status == DCT_OK ? write_header(flash, &dct_copies[0], header) : status;
}

/* Copies what lies between two offsets. */
static enum dct_status copy_bytes(struct flash *flash, const struct dct_change *change,
                                  uint32_t start, uint32_t end)
{
    uint8_t bytes[MAP_DCT_SIZE];

    flash_read(flash, change->from->address + start, bytes, end - start);
    return dct_program(flash, change->to->address + start, bytes, end - start);
}

static enum dct_status fill(struct flash *flash, const struct dct_change *change)
{
    enum dct_status status = copy_bytes(flash, change, DCT_HEADER_SIZE, change->start);

    if (status == DCT_OK) {
        status = dct_program(flash, change->to->address + change->start, change->data,
                             change->end - change->start);
    }
    if (status == DCT_OK) {
        status = copy_bytes(flash, change, change->end, MAP_DCT_SIZE);
    }
    return status;
}

static enum dct_status move(struct flash *flash, const struct dct_rules *rules,
                            const struct dct_change *change)
{
    uint32_t looked_at = rules->blank_check == DCT_BLANK_FULL ? MAP_DCT_SIZE : DCT_HEADER_SIZE;
    uint8_t header[DCT_HEADER_SIZE];
    enum dct_status status = DCT_OK;

    flash_read(flash, change->from->address, header, sizeof(header));
    if (!flash_is_blank(flash, change->to->address, looked_at)) {
        status = dct_erase_copy(flash, change->to);
    }
    if (status == DCT_OK) {
        status = fill(flash, change);
    }
    if (status == DCT_OK) {
        status = write_header(flash, change->to, header);
    }
    return status == DCT_OK ? dct_erase_copy(flash, change->from) : status;
}

/* Programs over the current copy, however far that reaches. Did that do? An error on the way does
 * not matter, only the comparison does. */
static bool write_in_place(struct flash *flash, const struct dct_change *change)
{
    uint32_t address = change->from->address + change->start;
    size_t length = change->end - change->start;

    (void)dct_program(flash, address, change->data, length);
    return flash_equals(flash, address, change->data, length);
}

static enum dct_status swap_write(struct flash *flash, const struct dct_rules *rules,
                                  const struct dct_change *change)
{
    enum dct_status status;

    if (rules->in_place && write_in_place(flash, change)) {
        return DCT_OK;
    }
    if (change->end > MAP_DCT_SIZE) {
        return DCT_ERROR;
    }
    status = move(flash, rules, change);
    if (status == DCT_ERROR && flash_powered(flash)) {
        flash_set_clock(flash, flash_clock(flash) + GIVING_UP_NS);
    }
    return status;
}

const struct dct_driver dct_swap = {
    .current = swap_current, .make = swap_make, .write = swap_write};
