#include "tests/bench/dfu_client.h"

#include "usb-gadget/enumerate.h"

#define SECTOR        UINT32_C(0x20000)
#define POLLS_MAX     10

#define DFU_DNLOAD    1
#define DFU_GETSTATUS 3

enum { STATE_DNLOAD_IDLE = 5 };

static bool download(struct root_port *port, uint16_t block, const uint8_t *data, size_t length)
{
    const uint8_t setup[8] = {0x21, DFU_DNLOAD, (uint8_t)block,  (uint8_t)(block >> 8),
                              0,    0,          (uint8_t)length, (uint8_t)(length >> 8)};

    return control_transfer(port, setup, (void *)data, NULL) == TRANSFER_OK;
}

/* GETSTATUS until the block is done: the device answers "busy" once. */
static bool wait_done(struct root_port *port)
{
    static const uint8_t setup[8] = {0xA1, DFU_GETSTATUS, 0, 0, 0, 0, 6, 0};
    uint8_t status[6] = {0};

    for (unsigned poll = 0; poll < POLLS_MAX && status[4] != STATE_DNLOAD_IDLE; poll++) {
        if (control_transfer(port, setup, status, NULL) != TRANSFER_OK || status[0] != 0) {
            return false;
        }
    }
    return status[4] == STATE_DNLOAD_IDLE;
}

static bool command(struct root_port *port, uint8_t number, uint32_t address)
{
    const uint8_t data[5] = {number, (uint8_t)address, (uint8_t)(address >> 8),
                             (uint8_t)(address >> 16), (uint8_t)(address >> 24)};

    return download(port, 0, data, sizeof data) && wait_done(port);
}

bool dfu_client_erase(struct root_port *port, uint32_t address)
{
    return command(port, 0x41, address);
}

bool dfu_client_set_address(struct root_port *port, uint32_t address)
{
    return command(port, 0x21, address);
}

bool dfu_client_block(struct root_port *port, const uint8_t *data, size_t length)
{
    return download(port, 2, data, length) && wait_done(port);
}

bool dfu_client_download(struct root_port *port, uint32_t address, const uint8_t *data,
                         size_t length)
{
    for (size_t at = 0; at < length; at += SECTOR) {
        if (!dfu_client_erase(port, address + (uint32_t)at)) {
            return false;
        }
    }
    for (size_t at = 0; at < length; at += DFU_CLIENT_BLOCK) {
        size_t left = length - at;
        if (!dfu_client_set_address(port, address + (uint32_t)at) ||
            !dfu_client_block(port, data + at, left < DFU_CLIENT_BLOCK ? left : DFU_CLIENT_BLOCK)) {
            return false;
        }
    }
    return true;
}
