#include "dfu.h"

#include <string.h>

#include "engine.h"
#include "flash_map.h"
#include "little_endian.h"

/* Commands of block 0 (ST UM0424, AN3156). */
#define COMMAND_GET         0x00
#define COMMAND_SET_ADDRESS 0x21
#define COMMAND_ERASE       0x41

/* Blocks from this number on are data. */
#define FIRST_DATA_BLOCK 2

#define LEAVE_DELAY_NS   (500 * BOARD_NS_PER_MS)
/* From the data packet to the pull-up going off, where the reset comes inside the status request.
 */
#define LEAVE_DETACH_NS (12 * BOARD_NS_PER_US)
/* Pull-up off time of a DETACH, and when the device answers again. */
#define DETACH_NS (1300 * BOARD_NS_PER_US)

void dfu_reset(struct dfu *dfu)
{
    dfu->state = DFU_IDLE;
    dfu->reported_state = DFU_IDLE;
    dfu->status = DFU_STATUS_OK;
    dfu->poll_ms = 0;
    dfu->block = 0;
    dfu->length = 0;
    dfu->received = 0;
    dfu->stuck = false;
    dfu->pointer = MAP_SYSTEM_PART1;
    dfu->alternate = DFU_ALT_FLASH;
    memset(dfu->buffer, 0, sizeof(dfu->buffer));
}

static void enter(struct photon *photon, uint8_t state)
{
    struct dfu *dfu = &photon->dfu;
    struct board_event event = {.kind = BOARD_EVENT_DFU};

    event.u.dfu.from = dfu->state;
    event.u.dfu.to = state;
    event.u.dfu.status = dfu->status;
    dfu->state = state;
    dfu->reported_state = state;
    if (event.u.dfu.from != state) {
        engine_tell(photon, &event);
    }
}

/* Where the firmware clears the poll bytes; later images forgot to. */
static void clear_poll(struct photon *photon)
{
    if (photon->boot.quirks->poll_cleared) {
        photon->dfu.poll_ms = 0;
    }
}

static void drop_block(struct dfu *dfu)
{
    dfu->block = 0;
    dfu->length = 0;
}

void dfu_configured(struct photon *photon, bool configured)
{
    if (configured && photon->boot.quirks->configuration_clears_status) {
        photon->dfu.status = DFU_STATUS_OK;
    }
    enter(photon, DFU_IDLE);
    drop_block(&photon->dfu);
}

/* States that ABORT and DETACH leave. */
static bool abortable(uint8_t state)
{
    return state == DFU_IDLE || state == DFU_DNLOAD_SYNC || state == DFU_DNLOAD_IDLE ||
           state == DFU_MANIFEST_SYNC || state == DFU_UPLOAD_IDLE;
}

static void back_to_idle(struct photon *photon)
{
    photon->dfu.status = DFU_STATUS_OK;
    clear_poll(photon);
    drop_block(&photon->dfu);
    enter(photon, DFU_IDLE);
}

/* --- requests --- */

static void request_detach(struct photon *photon, const struct usb_setup *setup)
{
    (void)setup;
    if (abortable(photon->dfu.state)) {
        back_to_idle(photon);
    }
    if (photon->boot.quirks->detach_visible) {
        engine_attach(photon, false);
        cpu_spend(photon, DETACH_NS);
        engine_attach(photon, true);
        cpu_spend(photon, DETACH_NS);
    }
}

static void request_dnload(struct photon *photon, const struct usb_setup *setup)
{
    struct dfu *dfu = &photon->dfu;

    if (dfu->state != DFU_IDLE && dfu->state != DFU_DNLOAD_IDLE) {
        ep0_stall(&photon->usb);
        return;
    }
    if (setup->length == 0) {
        clear_poll(photon);
        enter(photon, DFU_MANIFEST_SYNC);
        return;
    }
    dfu->block = setup->value;
    dfu->length = setup->length;
    dfu->received = 0;
    enter(photon, DFU_DNLOAD_SYNC);
    ep0_receive(&photon->usb, setup->length);
}

static void upload_commands(struct photon *photon, const struct usb_setup *setup)
{
    static const uint8_t commands[] = {COMMAND_GET, COMMAND_SET_ADDRESS, COMMAND_ERASE};

    clear_poll(photon);
    enter(photon, setup->length > sizeof(commands) ? DFU_IDLE : DFU_UPLOAD_IDLE);
    ep0_send_small(&photon->usb, commands, sizeof(commands));
}

static void request_upload(struct photon *photon, const struct usb_setup *setup)
{
    struct dfu *dfu = &photon->dfu;

    if (setup->length == 0) {
        clear_poll(photon);
        enter(photon, DFU_IDLE);
        return;
    }
    if (dfu->state != DFU_IDLE && dfu->state != DFU_UPLOAD_IDLE) {
        drop_block(dfu);
        ep0_stall(&photon->usb);
        return;
    }
    dfu->block = setup->value;
    dfu->length = setup->length;
    if (setup->value == 0) {
        upload_commands(photon, setup);
    } else if (setup->value < FIRST_DATA_BLOCK) {
        enter(photon, DFU_STALLED_PACKET);
        clear_poll(photon);
        ep0_stall(&photon->usb);
    } else {
        clear_poll(photon);
        enter(photon, DFU_UPLOAD_IDLE);
        dfu_memory_upload(
            photon, dfu->pointer + (uint32_t)(setup->value - FIRST_DATA_BLOCK) * DFU_TRANSFER_SIZE,
            setup->length);
    }
}

/* GETSTATUS in dfuDNLOAD-SYNC: announces the pending command, which runs once the host has the
 * answer. */
static void getstatus_sync(struct photon *photon)
{
    struct dfu *dfu = &photon->dfu;
    bool erase = dfu->block == 0 && dfu->buffer[0] == COMMAND_ERASE;

    if (dfu->length == 0) {
        clear_poll(photon);
        enter(photon, DFU_DNLOAD_IDLE);
        return;
    }
    if (dfu->stuck) {
        return;
    }
    (void)dfu_memory_poll(photon, erase, &dfu->poll_ms);
    enter(photon, DFU_DNBUSY);
}

static void getstatus_manifest_sync(struct photon *photon)
{
    struct dfu *dfu = &photon->dfu;

    enter(photon, DFU_MANIFEST);
    if (photon->boot.quirks->leave == LEAVE_RESET_IN_STATUS) {
        dfu->poll_ms = 1;
    } else {
        clear_poll(photon);
        dfu->reported_state = DFU_DNLOAD_IDLE;
    }
}

static void request_getstatus(struct photon *photon, const struct usb_setup *setup)
{
    struct dfu *dfu = &photon->dfu;
    uint8_t record[6] = {0};

    switch (dfu->state) {
    case DFU_DNLOAD_SYNC:
        getstatus_sync(photon);
        break;
    case DFU_MANIFEST_SYNC:
        getstatus_manifest_sync(photon);
        break;
    case DFU_MANIFEST:
        if (photon->boot.quirks->leave == LEAVE_DELAYED) {
            clear_poll(photon);
            enter(photon, DFU_IDLE);
        }
        break;
    default:
        break;
    }
    if (setup->length == 0) {
        return;
    }
    record[0] = dfu->status;
    record[1] = (uint8_t)dfu->poll_ms;
    record[2] = (uint8_t)(dfu->poll_ms >> 8);
    record[3] = (uint8_t)(dfu->poll_ms >> 16);
    record[4] = dfu->reported_state;
    ep0_send_small(&photon->usb, record, sizeof(record));
}

static void request_clrstatus(struct photon *photon, const struct usb_setup *setup)
{
    bool error = photon->dfu.state == DFU_ERROR;

    (void)setup;
    clear_poll(photon);
    photon->dfu.status = error ? DFU_STATUS_OK : DFU_STATUS_UNKNOWN;
    enter(photon, error ? DFU_IDLE : DFU_ERROR);
}

static void request_getstate(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->length > 0) {
        ep0_send_small(&photon->usb, &photon->dfu.state, 1);
    }
}

static void request_abort(struct photon *photon, const struct usb_setup *setup)
{
    (void)setup;
    if (abortable(photon->dfu.state)) {
        back_to_idle(photon);
    }
}

void dfu_setup(struct photon *photon, const struct usb_setup *setup)
{
    static void (*const handlers[])(struct photon * photon, const struct usb_setup *setup) = {
        [DFU_DETACH] = request_detach,       [DFU_DNLOAD] = request_dnload,
        [DFU_UPLOAD] = request_upload,       [DFU_GETSTATUS] = request_getstatus,
        [DFU_CLRSTATUS] = request_clrstatus, [DFU_GETSTATE] = request_getstate,
        [DFU_ABORT] = request_abort,
    };

    if (setup->request < sizeof(handlers) / sizeof(handlers[0])) {
        handlers[setup->request](photon, setup);
    } else {
        ep0_stall(&photon->usb);
    }
}

/* --- the data stage of a DNLOAD --- */

bool dfu_data(struct photon *photon, const uint8_t *data, size_t length)
{
    static const uint8_t padding[3];
    struct dfu *dfu = &photon->dfu;
    size_t tail = (4 - length % 4) % 4;

    if (dfu->received + length + tail > sizeof(dfu->buffer)) {
        engine_hang(photon, "DNLOAD ran over the transfer buffer into vital variables");
        return false;
    }
    memcpy(dfu->buffer + dfu->received, data, length);
    /* The USB core's FIFO is read in words. */
    memcpy(dfu->buffer + dfu->received + length, padding, tail);
    dfu->received += (uint32_t)length;
    if (dfu->received > DFU_TRANSFER_SIZE && photon->boot.quirks->oversize == OVERSIZE_STUCK) {
        dfu->stuck = true;
    }
    return true;
}

/* --- execution --- */

static enum dfu_result execute_command(struct photon *photon)
{
    struct dfu *dfu = &photon->dfu;
    const uint8_t *data = dfu->buffer;
    uint32_t address =
        data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 | (uint32_t)data[4] << 24;

    if (dfu->length == 1 && data[0] == COMMAND_GET) {
        return DFU_DONE;
    }
    if (dfu->length == 5 && (data[0] == COMMAND_SET_ADDRESS || data[0] == COMMAND_ERASE)) {
        dfu->pointer = address;
        return data[0] == COMMAND_ERASE ? dfu_memory_erase(photon, address) : DFU_DONE;
    }
    ep0_stall(&photon->usb);
    return DFU_DONE;
}

static void execute(struct photon *photon)
{
    struct dfu *dfu = &photon->dfu;
    enum dfu_result result = DFU_DONE;

    if (dfu->block == 0) {
        result = execute_command(photon);
    } else if (dfu->block >= FIRST_DATA_BLOCK) {
        uint32_t offset = (uint32_t)(dfu->block - FIRST_DATA_BLOCK) * DFU_TRANSFER_SIZE;
        /* A block announced longer than the buffer, but not sent, has nothing behind it here. */
        uint32_t length =
            dfu->length < sizeof(dfu->buffer) ? dfu->length : (uint32_t)sizeof(dfu->buffer);

        result = dfu_memory_write(photon, dfu->pointer + offset, dfu->buffer, length);
    }
    if (result == DFU_FAILED && photon->boot.quirks->errors_stall) {
        ep0_stall(&photon->usb);
    }
    drop_block(dfu);
    clear_poll(photon);
    enter(photon, DFU_DNLOAD_SYNC);
}

void dfu_data_sent(struct photon *photon)
{
    struct dfu *dfu = &photon->dfu;

    if (dfu->state == DFU_DNBUSY) {
        execute(photon);
    } else if (dfu->state == DFU_MANIFEST) {
        if (photon->boot.quirks->leave == LEAVE_RESET_IN_STATUS) {
            cpu_spend(photon, LEAVE_DETACH_NS);
            dfu_leave(photon);
        } else {
            enter(photon, DFU_MANIFEST_WAIT_RESET);
            engine_set_timer(photon, TIMER_LEAVE, cpu_now(photon) + LEAVE_DELAY_NS);
        }
    }
}

void dfu_leave(struct photon *photon)
{
    engine_boot_event(photon, "DFU: leave");
    bootloader_finish_update(photon);
}
