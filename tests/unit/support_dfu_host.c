#include "tests/unit/support_dfu_host.h"

#include "tests/unit/support_host.h"

#define LARGE_SECTOR UINT32_C(0x20000)

enum { STATE_DNLOAD_IDLE = 5 };

static bool get_status(struct board *board, uint8_t status[6])
{
    return host_in(board, 0xA1, 3, 0, status, 6);
}

bool dfu_host_dnload(struct board *board, uint16_t block, const void *data, uint16_t length)
{
    uint8_t status[6];

    return host_out(board, 0x21, 1, block, data, length) && get_status(board, status) &&
           get_status(board, status) && status[4] == STATE_DNLOAD_IDLE;
}

bool dfu_host_special(struct board *board, uint8_t letter, uint32_t address)
{
    const uint8_t bytes[5] = {letter, (uint8_t)address, (uint8_t)(address >> 8),
                              (uint8_t)(address >> 16), (uint8_t)(address >> 24)};

    return dfu_host_dnload(board, 0, bytes, sizeof(bytes));
}

bool dfu_host_select(struct board *board, uint16_t alternate)
{
    return host_out(board, 0x01, 0x0B, alternate, NULL, 0);
}

bool dfu_host_write(struct board *board, uint32_t address, const void *data, uint16_t length)
{
    return dfu_host_special(board, 0x21, address) && dfu_host_dnload(board, 2, data, length);
}

bool dfu_host_download(struct board *board, uint32_t address, const uint8_t *data, size_t length)
{
    bool done = true;

    for (size_t at = 0; done && at < length; at += LARGE_SECTOR) {
        done = dfu_host_special(board, 0x41, address + (uint32_t)at);
    }
    for (size_t at = 0; done && at < length; at += DFU_BLOCK) {
        size_t left = length - at;

        done = dfu_host_write(board, address + (uint32_t)at, data + at,
                              (uint16_t)(left < DFU_BLOCK ? left : DFU_BLOCK));
    }
    return done;
}

bool dfu_host_leave(struct board *board)
{
    uint8_t status[6];

    if (!host_out(board, 0x21, 1, 0, NULL, 0)) {
        return false;
    }
    (void)get_status(board, status); /* up to bootloader 3 it goes in the middle of that */
    board_advance(board, BOARD_NS_PER_S);
    return true;
}
