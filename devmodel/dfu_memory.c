/*
 * The memories behind the alternate settings: internal flash and the application section of the
 * DCT. Source: device-os v0.4.4-v2.2.0 usbd_dfu_mal.c, usbd_flash_if.c, usbd_dct_if.c.
 */
#include <string.h>

#include "dfu.h"
#include "engine.h"
#include "flash_map.h"

/* Flash that DFU may erase and write starts here, whatever the memory string says. */
#define WRITABLE_FROM  MAP_SYSTEM_PART1
#define DCT_WINDOW     UINT32_C(0x4000)

#define VERIFY_ROUNDS  3
#define WRITE_ATTEMPTS 2

/* What GETSTATUS announces for the DCT; the declared times, but swapped. */
#define DCT_POLL_ERASE_MS 500
#define DCT_POLL_OTHER_MS 1

enum memory { MEMORY_NONE, MEMORY_FLASH, MEMORY_DCT };

static enum memory memory_at(const struct photon *photon, uint32_t address)
{
    enum memory memory = MEMORY_NONE;

    if (address < DCT_WINDOW) {
        memory = MEMORY_DCT;
    } else if (flash_contains(address, 1)) {
        memory = MEMORY_FLASH;
    }
    if (photon->boot.quirks->memory_by_alternate &&
        memory != (photon->dfu.alternate == DFU_ALT_FLASH ? MEMORY_FLASH : MEMORY_DCT)) {
        return MEMORY_NONE;
    }
    return memory;
}

bool dfu_memory_poll(const struct photon *photon, bool erase, uint32_t *poll_ms)
{
    switch (memory_at(photon, photon->dfu.pointer)) {
    case MEMORY_FLASH:
        *poll_ms = photon->boot.quirks->flash_poll_ms;
        return true;
    case MEMORY_DCT:
        *poll_ms = erase ? DCT_POLL_ERASE_MS : DCT_POLL_OTHER_MS;
        return true;
    default:
        return false;
    }
}

static enum dfu_result flash_result(enum flash_status status)
{
    return status == FLASH_COMPLETE ? DFU_DONE : DFU_FAILED;
}

static enum dfu_result erase_flash(struct photon *photon, uint32_t address)
{
    if (address < WRITABLE_FROM) {
        return DFU_FAILED;
    }
    settings_flash_erased(photon, address);
    return flash_result(
        flash_erase_unprotecting(photon->flash, (unsigned)flash_sector_of(address)));
}

enum dfu_result dfu_memory_erase(struct photon *photon, uint32_t address)
{
    switch (memory_at(photon, address)) {
    case MEMORY_FLASH:
        return erase_flash(photon, address);
    case MEMORY_DCT:
        return DFU_DONE;
    default:
        return DFU_FAILED;
    }
}

static enum dfu_result program_flash(struct photon *photon, uint32_t address, const uint8_t *data,
                                     uint32_t length)
{
    enum flash_status status = flash_program(photon->flash, address, data, length, FLASH_WORD);

    if (status == FLASH_ERROR_OPERATION) {
        engine_hang(photon, "write past the end of flash: bus fault");
        return DFU_HUNG;
    }
    return flash_result(status);
}

/* Once more after a failure, then read back, three rounds of it. */
static enum dfu_result program_verified(struct photon *photon, uint32_t address,
                                        const uint8_t *data, uint32_t length)
{
    for (int round = 0; round < VERIFY_ROUNDS; round++) {
        enum dfu_result result = DFU_FAILED;

        for (int attempt = 0; attempt < WRITE_ATTEMPTS && result == DFU_FAILED; attempt++) {
            result = program_flash(photon, address, data, length);
        }
        if (result != DFU_DONE || flash_equals(photon->flash, address, data, length)) {
            return result;
        }
    }
    return DFU_FAILED;
}

static enum dfu_result write_flash(struct photon *photon, uint32_t address, uint8_t *data,
                                   uint32_t length)
{
    uint32_t padded = (length + 3) & ~UINT32_C(3);
    enum dfu_result result;

    if (address < WRITABLE_FROM) {
        return DFU_FAILED;
    }
    memset(data + length, 0xFF, padded - length);
    if (photon->boot.quirks->verify) {
        result = program_verified(photon, address, data, padded);
    } else {
        result = program_flash(photon, address, data, padded);
    }
    settings_flash_written(photon, address);
    return result;
}

static enum dfu_result write_dct(struct photon *photon, uint32_t offset, const uint8_t *data,
                                 uint32_t length)
{
    switch (settings_write(photon, offset, data, length)) {
    case SETTINGS_OK:
        return DFU_DONE;
    case SETTINGS_HUNG:
        return DFU_HUNG;
    default:
        return DFU_FAILED;
    }
}

enum dfu_result dfu_memory_write(struct photon *photon, uint32_t address, uint8_t *data,
                                 uint32_t length)
{
    switch (memory_at(photon, address)) {
    case MEMORY_FLASH:
        return write_flash(photon, address, data, length);
    case MEMORY_DCT:
        return write_dct(photon, address, data, length);
    default:
        return DFU_FAILED;
    }
}

/* Where there is nothing to read the transfer buffer shows, or zeros. */
static void upload_nothing(struct photon *photon, uint32_t length)
{
    const struct dfu *dfu = &photon->dfu;

    ep0_send_padded(&photon->usb, dfu->buffer,
                    photon->boot.quirks->unmapped_upload_zero ? 0 : sizeof(dfu->buffer), length);
}

void dfu_memory_upload(struct photon *photon, uint32_t address, uint32_t length)
{
    switch (memory_at(photon, address)) {
    case MEMORY_FLASH:
        ep0_send_flash(&photon->usb, address, length);
        break;
    case MEMORY_DCT:
        switch (settings_open(photon)) {
        case SETTINGS_OK:
            ep0_send_flash(&photon->usb, settings_address(photon) + address, length);
            break;
        case SETTINGS_HUNG:
            break;
        default:
            upload_nothing(photon, length);
            break;
        }
        break;
    default:
        upload_nothing(photon, length);
        break;
    }
}
