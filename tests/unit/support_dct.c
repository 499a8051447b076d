#include "support_dct.h"

#include <check.h>
#include <string.h>
#include <zlib.h>

const struct dct_rules support_dct_rules[DRIVERS] = {
    [DRIVER_2] = {.format = DCT_FORMAT_SWAP, .blank_check = DCT_BLANK_HEADER_ONLY},
    [DRIVER_3A] = {.format = DCT_FORMAT_SWAP, .blank_check = DCT_BLANK_FULL},
    [DRIVER_3B] = {.format = DCT_FORMAT_SWAP, .blank_check = DCT_BLANK_FULL, .in_place = true},
    [DRIVER_SEQUENCE] = {.format = DCT_FORMAT_SEQUENCE},
};

uint8_t support_dct_byte(uint32_t at)
{
    return at < 0x3E00 ? (uint8_t)(at * 5 + at / 256) : 0xFF;
}

void support_dct_load(struct flash *flash, uint32_t address, const char state[8])
{
    uint8_t bytes[COPY_SIZE] = {0};

    memcpy(bytes + 8, state, 8);
    for (uint32_t at = 0x184; at < COPY_SIZE; at++) {
        bytes[at] = support_dct_byte(at);
    }
    ck_assert(flash_load(flash, address, bytes, sizeof(bytes)));
}

static uint32_t fold(uint32_t sum, const uint8_t *data, size_t length)
{
    return ~((uint32_t)crc32(0, data, (uInt)length) ^ sum);
}

void support_dct_seal(struct flash *flash, uint32_t address, uint8_t sequence, uint8_t error)
{
    uint8_t copy[COPY_SIZE];
    uint8_t tail[16] = {0xCD, 0x00, 0x02, 0xDC, 0x00, 0x00, 0x70, 0x03};
    uint32_t sum;

    flash_read(flash, address, copy, sizeof(copy));
    tail[13] = sequence;
    copy[8] = 0;
    copy[9] = 1;
    sum = fold(UINT32_MAX, copy, 0x184);
    for (size_t at = 0x184; at < 0x3FF0; at += 32) {
        sum = fold(sum, copy + at, at + 32 > 0x3FF0 ? 0x3FF0 - at : 32);
    }
    sum = fold(sum, tail, sizeof(tail)) ^ error;
    for (unsigned i = 0; i < 4; i++) {
        tail[8 + i] = (uint8_t)(sum >> (8 * i));
    }
    ck_assert(flash_load(flash, address + 0x3FF0, tail, sizeof(tail)));
}

unsigned support_dct_erases(const struct flash *flash)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FLASH_SECTORS; i++) {
        count += flash_wear(flash, i);
    }
    return count;
}
