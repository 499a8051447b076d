/*
 * The DCT of WICED 3.7.0-7 (bootloaders from 101, systems from 0.7.0; the code is system-part2's):
 * both sectors hold a copy, and a tail with a checksum and a sequence number tells which is newer.
 */
#include <string.h>
#include <zlib.h>

#include "dct_format.h"
#include "little_endian.h"

#define TAIL          UINT32_C(0x3FF0)
#define TAIL_SIZE     UINT32_C(16)
#define TAIL_MAGIC    UINT32_C(0xDC0200CD)
#define TAIL_VERSION  6
#define TAIL_CHECKSUM 8
#define TAIL_INITIAL  12
#define TAIL_SEQUENCE 13

/* The tail's version, 3.7.0, and what a copy without a valid tail counts as. */
#define VERSION     UINT16_C(0x0370)
#define OLD_VERSION UINT16_C(0x0330)

#define NO_SEQUENCE (-1)

/* Copies are made, and their checksums, in pieces of so many bytes. */
#define COPY_PIECE     UINT32_C(64)
#define CHECKSUM_PIECE UINT32_C(32)

/* --- which copy holds --- */

static uint32_t add_to_checksum(uint32_t sum, const void *data, size_t length)
{
    return ~((uint32_t)crc32(0, data, (uInt)length) ^ sum);
}

/* Of a complete copy with this header and this tail. */
static uint32_t checksum(const struct flash *flash, const struct dct_copy *copy,
                         const uint8_t complete_header[DCT_HEADER_SIZE],
                         const uint8_t unsigned_tail[TAIL_SIZE])
{
    uint32_t sum = add_to_checksum(UINT32_MAX, complete_header, DCT_HEADER_SIZE);

    for (uint32_t at = DCT_HEADER_SIZE; at < TAIL; at += CHECKSUM_PIECE) {
        uint32_t length = TAIL - at < CHECKSUM_PIECE ? TAIL - at : CHECKSUM_PIECE;
        uint8_t piece[CHECKSUM_PIECE];

        flash_read(flash, copy->address + at, piece, length);
        sum = add_to_checksum(sum, piece, length);
    }
    return add_to_checksum(sum, unsigned_tail, TAIL_SIZE);
}

/* The version of a copy's format, 0 when its header is no good. */
static uint16_t copy_version(const struct flash *flash, const struct dct_copy *copy)
{
    uint8_t header[DCT_HEADER_SIZE];
    uint8_t tail[TAIL_SIZE];

    flash_read(flash, copy->address, header, sizeof(header));
    flash_read(flash, copy->address + TAIL, tail, sizeof(tail));
    if (le32_get(header + DCT_HEADER_MAGIC) != DCT_MAGIC || header[DCT_HEADER_INCOMPLETE] != 0 ||
        le32_get(header + 4) > le32_get(header)) { /* used size, full size */
        return 0;
    }

    uint16_t version = le16_get(tail + TAIL_VERSION);

    return le32_get(tail) == TAIL_MAGIC && version >= 1 && version <= VERSION ? VERSION
                                                                              : OLD_VERSION;
}

static bool says_current(const struct flash *flash, const struct dct_copy *copy)
{
    uint8_t current;

    flash_read(flash, copy->address + DCT_HEADER_CURRENT, &current, 1);
    return current != 0;
}

/* The sequence number of a copy with a tail, or NO_SEQUENCE when its checksum is wrong. */
static int copy_sequence(const struct flash *flash, const struct dct_copy *copy)
{
    uint8_t header[DCT_HEADER_SIZE];
    uint8_t tail[TAIL_SIZE];
    uint32_t expected;

    flash_read(flash, copy->address, header, sizeof(header));
    flash_read(flash, copy->address + TAIL, tail, sizeof(tail));
    expected = le32_get(tail + TAIL_CHECKSUM);
    le32_put(tail + TAIL_CHECKSUM, 0);
    tail[TAIL_INITIAL] = 0;
    return checksum(flash, copy, header, tail) == expected ? tail[TAIL_SEQUENCE] : NO_SEQUENCE;
}

/* Of two copies with tails. The checksum of a superseded one is wrong, as is_current is part of it
 * and has been cleared; when both are wrong, is_current decides. */
static bool second_is_newer(const struct flash *flash)
{
    bool first_current = says_current(flash, &dct_copies[0]);

    if (!first_current || !says_current(flash, &dct_copies[1])) {
        return !first_current;
    }
    return copy_sequence(flash, &dct_copies[0]) < copy_sequence(flash, &dct_copies[1]);
}

static const struct dct_copy *sequence_current(const struct flash *flash)
{
    uint16_t first = copy_version(flash, &dct_copies[0]);
    uint16_t second = copy_version(flash, &dct_copies[1]);

    if (first == 0 && second == 0) {
        return NULL;
    }
    if (first != second) {
        return &dct_copies[first < second];
    }
    return &dct_copies[first == VERSION && second_is_newer(flash)];
}

/* --- making a copy --- */

/* Programs and compares. */
static enum dct_status write_checked(struct flash *flash, uint32_t address, const uint8_t *data,
                                     size_t length)
{
    enum dct_status status = dct_program(flash, address, data, length);

    return status == DCT_OK && !flash_equals(flash, address, data, length) ? DCT_ERROR : status;
}

static enum dct_status clear_byte(struct flash *flash, const struct dct_copy *copy, uint32_t offset)
{
    static const uint8_t zero = 0;

    return write_checked(flash, copy->address + offset, &zero, 1);
}

/* Header, tail, and then the mark that makes them hold. */
static enum dct_status complete(struct flash *flash, const struct dct_copy *copy,
                                uint8_t header[DCT_HEADER_SIZE], const uint8_t tail[TAIL_SIZE])
{
    enum dct_status status;

    header[DCT_HEADER_INCOMPLETE] = 1;
    status = write_checked(flash, copy->address, header, DCT_HEADER_SIZE);
    if (status == DCT_OK) {
        status = write_checked(flash, copy->address + TAIL, tail, TAIL_SIZE);
    }
    return status == DCT_OK ? clear_byte(flash, copy, DCT_HEADER_INCOMPLETE) : status;
}

/* Copies piece by piece, upwards. A length that has wrapped below zero goes on through the sectors
 * behind until something there does not take what comes from one sector before. */
static enum dct_status copy_bytes(struct flash *flash, const struct dct_change *change,
                                  uint32_t start, uint32_t length)
{
    enum dct_status status = DCT_OK;

    while (length > 0 && status == DCT_OK) {
        uint32_t part = length < COPY_PIECE ? length : COPY_PIECE;
        uint8_t piece[COPY_PIECE];

        if (!flash_contains(change->from->address + start, part)) {
            return DCT_ERROR;
        }
        flash_read(flash, change->from->address + start, piece, part);
        status = write_checked(flash, change->to->address + start, piece, part);
        start += part;
        length -= part;
    }
    return status;
}

/* The driver copies section by section, and writes the new data where their section's turn comes.
 */
static enum dct_status fill(struct flash *flash, const struct dct_change *change)
{
    bool application = change->start >= DCT_APPLICATION;
    uint32_t below = application ? DCT_APPLICATION : change->start;
    enum dct_status status = copy_bytes(flash, change, DCT_HEADER_SIZE, below - DCT_HEADER_SIZE);

    if (status == DCT_OK) {
        status = application
                     ? copy_bytes(flash, change, DCT_APPLICATION, change->start - DCT_APPLICATION)
                     : copy_bytes(flash, change, change->end, DCT_APPLICATION - change->end);
    }
    if (status == DCT_OK) {
        status = write_checked(flash, change->to->address + change->start, change->data,
                               change->end - change->start);
    }
    if (status == DCT_OK) {
        uint32_t rest = application ? change->end : DCT_APPLICATION;

        status = copy_bytes(flash, change, rest, TAIL - rest);
    }
    return status;
}

/* The new copy's header and tail follow from the old one's. */
static void succeed(const struct flash *flash, const struct dct_change *change,
                    uint8_t header[DCT_HEADER_SIZE], uint8_t tail[TAIL_SIZE])
{
    flash_read(flash, change->from->address, header, DCT_HEADER_SIZE);
    header[DCT_HEADER_INCOMPLETE] = 0;
    header[DCT_HEADER_CURRENT] = 1;
    header[DCT_HEADER_VALID] = 1;
    flash_read(flash, change->from->address + TAIL, tail, TAIL_SIZE);
    if (le32_get(tail) != TAIL_MAGIC) {
        memset(tail, 0, TAIL_SIZE); /* as from the factory */
    }
    le32_put(tail, TAIL_MAGIC);
    le16_put(tail + 4, 0);
    le16_put(tail + TAIL_VERSION, VERSION);
    le32_put(tail + TAIL_CHECKSUM, 0);
    tail[TAIL_INITIAL] = 0;
    tail[TAIL_SEQUENCE]++;
    le32_put(tail + TAIL_CHECKSUM, checksum(flash, change->to, header, tail));
}

static enum dct_status sequence_write(struct flash *flash, const struct dct_rules *rules,
                                      const struct dct_change *change)
{
    uint8_t header[DCT_HEADER_SIZE];
    uint8_t tail[TAIL_SIZE];
    enum dct_status status;

    (void)rules;
    if (change->end > MAP_DCT_SIZE) {
        return DCT_ERROR;
    }
    status = dct_erase_copy(flash, change->to);
    if (status == DCT_OK) {
        status = fill(flash, change);
    }
    if (status == DCT_OK) {
        succeed(flash, change, header, tail);
        status = complete(flash, change->to, header, tail);
    }
    if (status == DCT_OK) {
        status = clear_byte(flash, change->from, DCT_HEADER_CURRENT);
    }
    return status == DCT_OK ? clear_byte(flash, change->from, TAIL + TAIL_INITIAL) : status;
}

/* Eight empty application locations of 36 bytes, one more in the boot detail. */
static void empty_header(uint8_t header[DCT_HEADER_SIZE])
{
    memset(header, 0, DCT_HEADER_SIZE);
    le32_put(header + DCT_HEADER_MAGIC, DCT_MAGIC);
    header[DCT_HEADER_CURRENT] = 1;
    header[0x34] = 1;
    for (unsigned i = 0; i < 8; i++) {
        header[0x60 + 36 * i] = 2;
        header[0x64 + 36 * i] = (uint8_t)(0x22 * i);
    }
}

static enum dct_status sequence_make(struct flash *flash)
{
    uint8_t header[DCT_HEADER_SIZE];
    uint8_t tail[TAIL_SIZE] = {[TAIL_INITIAL] = 1, [TAIL_SEQUENCE] = 1};
    enum dct_status status = dct_erase_copy(flash, &dct_copies[0]);

    empty_header(header);
    le32_put(tail, TAIL_MAGIC);
    if (status == DCT_OK) {
        status = complete(flash, &dct_copies[0], header, tail);
    }
    return status == DCT_OK ? dct_erase_copy(flash, &dct_copies[1]) : status;
}

const struct dct_driver dct_sequence = {
    .current = sequence_current, .make = sequence_make, .write = sequence_write};
