/*
 * The bootloader's DFU class: DFU 1.1 with ST's DfuSe commands, as Photon bootloaders really do it.
 *
 * Source: device-os v0.4.4-v2.2.0 usbd_dfu_core.c, usbd_dfu_mal.c; the real images, every request
 * in every state.
 */
#ifndef PHOTON_DFU_H
#define PHOTON_DFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct photon;
struct usb_function;
struct usb_setup;

#define DFU_TRANSFER_SIZE 4096
/* A DNLOAD may run over the buffer by this much before it hits something vital. */
#define DFU_OVERRUN 64

enum dfu_state {
    DFU_IDLE = 2,
    DFU_DNLOAD_SYNC = 3,
    DFU_DNBUSY = 4,
    DFU_DNLOAD_IDLE = 5,
    DFU_MANIFEST_SYNC = 6,
    DFU_MANIFEST = 7,
    DFU_MANIFEST_WAIT_RESET = 8,
    DFU_UPLOAD_IDLE = 9,
    DFU_ERROR = 10,
    DFU_STALLED_PACKET =
        15 /* a status code (DFU 1.1 errSTALLEDPKT) that the firmware uses as a state */
};

enum dfu_request {
    DFU_DETACH = 0,
    DFU_DNLOAD = 1,
    DFU_UPLOAD = 2,
    DFU_GETSTATUS = 3,
    DFU_CLRSTATUS = 4,
    DFU_GETSTATE = 5,
    DFU_ABORT = 6
};

#define DFU_STATUS_OK      0x00
#define DFU_STATUS_UNKNOWN 0x0E

/* Alternate settings. */
enum dfu_alternate { DFU_ALT_FLASH = 0, DFU_ALT_DCT = 1, DFU_ALTERNATES = 2 };

struct dfu {
    uint8_t state;
    /* The GETSTATUS record. */
    uint8_t status;
    uint32_t poll_ms;
    uint8_t reported_state;
    /* The block under way. */
    uint16_t block;
    uint32_t length;   /* 0: nothing pending */
    uint32_t received; /* bytes of the data stage so far */
    bool stuck;        /* an oversize block broke the state machine */
    /* Survive everything but a CPU reset. */
    uint32_t pointer;
    uint8_t alternate;
    uint8_t buffer[DFU_TRANSFER_SIZE + DFU_OVERRUN];
};

/* DFU on the device stack (dfu_function.c). */
extern const struct usb_function dfu_function;

/* A CPU reset. */
void dfu_reset(struct dfu *dfu);
void dfu_configured(struct photon *photon, bool configured);
/* A class request to the interface; prepares the answer on endpoint 0. */
void dfu_setup(struct photon *photon, const struct usb_setup *setup);
/* One packet of a DNLOAD's data stage; false when it crashed the CPU. */
bool dfu_data(struct photon *photon, const uint8_t *data, size_t length);
/* The host took the data of an IN transfer on endpoint 0: pending work runs now, before the status
 * stage. */
void dfu_data_sent(struct photon *photon);
/* The timer that a leave started has run down. */
void dfu_leave(struct photon *photon);

/* --- memories behind the alternate settings (dfu_memory.c) --- */

enum dfu_result { DFU_DONE, DFU_FAILED, DFU_HUNG };

/* Polling times of the memory that `pointer` belongs to; false when it belongs to none. */
bool dfu_memory_poll(const struct photon *photon, bool erase, uint32_t *poll_ms);
enum dfu_result dfu_memory_erase(struct photon *photon, uint32_t address);
/* `data` has room for padding to a multiple of 4. */
enum dfu_result dfu_memory_write(struct photon *photon, uint32_t address, uint8_t *data,
                                 uint32_t length);
/* Prepares the answer to an UPLOAD on endpoint 0. */
void dfu_memory_upload(struct photon *photon, uint32_t address, uint32_t length);

#endif
