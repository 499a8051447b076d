#include "support_dct.h"

#include <check.h>
#include <string.h>

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

unsigned support_dct_erases(const struct flash *flash)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FLASH_SECTORS; i++) {
        count += flash_wear(flash, i);
    }
    return count;
}
