#include "dct.h"

#include <string.h>
#include <zlib.h>

#include "flash_map.h"
#include "little_endian.h"

/*
 * Layout of one copy (device-os v0.4.4 dct.h, the WICED library objects, images 3a-1006 executed).
 * The header is the same in both formats, the tail belongs to the sequence format.
 */
#define HEADER_SIZE       UINT32_C(0x184)
#define HEADER_STATE      UINT32_C(8) /* write_incomplete, is_current */
#define HEADER_IS_CURRENT UINT32_C(9)
#define HEADER_MAGIC      UINT32_C(12)
#define TAIL              UINT32_C(0x3FF0)
#define TAIL_SIZE         UINT32_C(16)
#define TAIL_CRC          UINT32_C(8)
#define TAIL_SEQUENCE     UINT32_C(13)

#define STATE_CURRENT     UINT16_C(0x0100)
#define STATE_SUPERSEDED  UINT16_C(0x0000)

/* From the state on; before it and behind it are zeros. A copy that was written, and the empty one
 * that the sequence format starts with. */
static const uint8_t header_written[8] = {0x00, 0x01, 0x01, 0x00, 'B', 'R', 'C', 'M'};
static const uint8_t header_empty[8] = {0x00, 0x01, 0x00, 0x00, 'B', 'R', 'C', 'M'};
static const uint8_t tail_start[8] = {0xCD, 0x00, 0x02, 0xDC, 0x00, 0x00, 0x70, 0x03};

/* What the sequence format's driver takes for one copy beyond the programming: 110 ms in all. */
#define SEQUENCE_CPU_NS UINT64_C(44000000)

struct copy {
    uint32_t address;
    unsigned sector;
};

static const struct copy copies[2] = {{MAP_DCT1, MAP_SECTOR_DCT1}, {MAP_DCT2, MAP_SECTOR_DCT2}};

static const struct copy *other_copy(const struct copy *copy)
{
    return &copies[copy == &copies[0]];
}

/* --- which copy holds --- */

static bool header_is(const struct flash *flash, const struct copy *copy, uint16_t state)
{
    uint8_t magic[4];

    flash_read(flash, copy->address + HEADER_MAGIC, magic, sizeof(magic));
    return flash_read16(flash, copy->address + HEADER_STATE) == state &&
           memcmp(magic, "BRCM", sizeof(magic)) == 0;
}

/* The current copy; when both say so, copy 1. NULL when none does. */
static const struct copy *current_copy(const struct flash *flash, const struct dct_rules *rules)
{
    for (unsigned i = 0; i < 2; i++) {
        if (header_is(flash, &copies[i], STATE_CURRENT)) {
            return &copies[i];
        }
    }
    if (rules->format == DCT_FORMAT_SEQUENCE && header_is(flash, &copies[0], STATE_SUPERSEDED)) {
        return &copies[0];
    }
    return NULL;
}

/* The copy that is read and written: without a current one that is copy 1. */
static const struct copy *used_copy(const struct flash *flash, const struct dct_rules *rules)
{
    const struct copy *copy = current_copy(flash, rules);

    return copy != NULL ? copy : &copies[0];
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

/* --- steps of a write --- */

/* The driver tries an erase until it succeeds. */
static enum dct_status erase_copy(struct flash *flash, const struct copy *copy)
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

/* As WICED's flash writer: words where the address is aligned and more than 15 bytes remain, else
 * bytes. */
static enum dct_status write_chunk(struct flash *flash, uint32_t address, const uint8_t *data,
                                   size_t length)
{
    size_t head = (0u - address) % sizeof(uint32_t);

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

static enum dct_status write_header(struct flash *flash, const struct copy *copy,
                                    const uint8_t state_and_magic[8])
{
    uint8_t header[HEADER_SIZE] = {0};

    memcpy(header + HEADER_STATE, state_and_magic, 8);
    return write_chunk(flash, copy->address, header, sizeof(header));
}

/* A write in the terms of the sectors: `data` goes to `start`, up to `end`, of the copy that
 * becomes current. */
struct change {
    const struct copy *from, *to;
    uint32_t start, end; /* offsets in the sector */
    const uint8_t *data;
};

/* Fills the new copy up to the end of the new data. */
static enum dct_status copy_start(struct flash *flash, const struct change *change)
{
    uint8_t bytes[MAP_DCT_SIZE];
    size_t length = change->start - HEADER_SIZE;
    enum dct_status status;

    flash_read(flash, change->from->address + HEADER_SIZE, bytes, length);
    status = write_chunk(flash, change->to->address + HEADER_SIZE, bytes, length);
    if (status != DCT_OK) {
        return status;
    }
    return write_chunk(flash, change->to->address + change->start, change->data,
                       change->end - change->start);
}

/* Copies from the end of the new data to offset `limit`. Upwards, so that a limit beyond the sector
 * finds what has just been copied there. */
static enum dct_status copy_rest(struct flash *flash, const struct change *change, uint32_t limit)
{
    enum dct_status status = DCT_OK;
    uint8_t bytes[MAP_DCT_SIZE];

    for (uint32_t at = change->end; at < limit && status == DCT_OK; at += MAP_DCT_SIZE) {
        size_t length = limit - at < MAP_DCT_SIZE ? limit - at : MAP_DCT_SIZE;

        flash_read(flash, change->from->address + at, bytes, length);
        status = write_chunk(flash, change->to->address + at, bytes, length);
    }
    return status;
}

/* --- swap format --- */

static bool seems_blank(const struct flash *flash, const struct copy *copy,
                        enum dct_blank_check check)
{
    return flash_is_blank(flash, copy->address,
                          check == DCT_BLANK_FULL ? MAP_DCT_SIZE : HEADER_SIZE);
}

static enum dct_status swap_write(struct flash *flash, const struct dct_rules *rules,
                                  const struct change *change)
{
    enum dct_status status = DCT_OK;

    if (change->end > MAP_DCT_SIZE) {
        return DCT_ERROR;
    }
    if (!seems_blank(flash, change->to, rules->blank_check)) {
        status = erase_copy(flash, change->to);
    }
    if (status == DCT_OK) {
        status = copy_start(flash, change);
    }
    if (status == DCT_OK) {
        status = copy_rest(flash, change, MAP_DCT_SIZE);
    }
    if (status == DCT_OK) {
        status = write_header(flash, change->to, header_written);
    }
    if (status == DCT_OK) {
        status = erase_copy(flash, change->from);
    }
    return status;
}

/* Programs over the current copy, however far that reaches. Did that do? An error on the way does
 * not matter, only the comparison does. */
static bool write_in_place(struct flash *flash, const struct change *change)
{
    uint32_t address = change->from->address + change->start;
    size_t length = change->end - change->start;

    (void)write_chunk(flash, address, change->data, length);
    return flash_equals(flash, address, change->data, length);
}

/* --- sequence format --- */

static enum dct_status write_tail(struct flash *flash, const struct change *change)
{
    uint8_t tail[TAIL_SIZE] = {0};
    uint8_t old[TAIL_SIZE];
    uint8_t sequence = 0; /* a copy without tail, as from the factory, counts as 0 */

    flash_read(flash, change->from->address + TAIL, old, sizeof(old));
    if (memcmp(old, tail_start, sizeof(tail_start)) == 0) {
        sequence = old[TAIL_SEQUENCE];
    }
    memcpy(tail, tail_start, sizeof(tail_start));
    le32_put(tail + TAIL_CRC, flash_crc32(flash, change->to->address, TAIL));
    tail[TAIL_SEQUENCE] = (uint8_t)(sequence + 1);
    return write_chunk(flash, change->to->address + TAIL, tail, sizeof(tail));
}

/*
 * The old copy is kept. New data that reach into the tail make the length of the remainder
 * negative, and the driver copies on through the sectors behind, as far as the system parts.
 */
static enum dct_status sequence_write(struct flash *flash, const struct change *change)
{
    static const uint8_t not_current = 0;
    enum dct_status status;

    if (change->end > MAP_DCT_SIZE) {
        return DCT_ERROR;
    }
    status = erase_copy(flash, change->to);
    if (status == DCT_OK) {
        status = copy_start(flash, change);
    }
    if (status == DCT_OK && change->end > TAIL) {
        (void)copy_rest(flash, change, MAP_SYSTEM_PART1 - change->to->address);
        return DCT_ERROR;
    }
    if (status == DCT_OK) {
        status = copy_rest(flash, change, TAIL);
    }
    if (status == DCT_OK) {
        flash_set_clock(flash, flash_clock(flash) + SEQUENCE_CPU_NS);
        status = write_header(flash, change->to, header_written);
    }
    if (status == DCT_OK) {
        status = write_tail(flash, change);
    }
    if (status == DCT_OK) {
        status = write_chunk(flash, change->from->address + HEADER_IS_CURRENT, &not_current, 1);
    }
    return status;
}

/* --- the driver --- */

enum dct_status dct_open(struct flash *flash, const struct dct_rules *rules)
{
    bool sequence = rules->format == DCT_FORMAT_SEQUENCE;
    enum dct_status status;

    if (current_copy(flash, rules) != NULL) {
        return DCT_OK;
    }
    status = erase_copy(flash, &copies[0]);
    if (status == DCT_OK && sequence) {
        status = erase_copy(flash, &copies[1]);
    }
    if (status == DCT_OK) {
        status = write_header(flash, &copies[0], sequence ? header_empty : header_written);
    }
    return status;
}

enum dct_status dct_write_section(struct flash *flash, const struct dct_rules *rules,
                                  uint32_t start, const void *data, size_t length)
{
    enum dct_status status = dct_open(flash, rules);
    const struct copy *copy = used_copy(flash, rules);

    if (status != DCT_OK) {
        return status;
    }
    if (start < HEADER_SIZE || start > FLASH_SIZE ||
        !flash_contains(copy->address + start, length)) {
        return DCT_ERROR;
    }

    struct change change = {.from = copy,
                            .to = other_copy(copy),
                            .start = start,
                            .end = start + (uint32_t)length,
                            .data = data};

    if (rules->format == DCT_FORMAT_SEQUENCE) {
        return sequence_write(flash, &change);
    }
    if (rules->in_place && write_in_place(flash, &change)) {
        return DCT_OK;
    }
    return swap_write(flash, rules, &change);
}

enum dct_status dct_write(struct flash *flash, const struct dct_rules *rules, uint32_t offset,
                          const void *data, size_t length)
{
    uint32_t start = offset > FLASH_SIZE ? FLASH_SIZE : DCT_APPLICATION + offset;

    return dct_write_section(flash, rules, start, data, length);
}
