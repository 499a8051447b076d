/*
 * The running system's serial port: CDC-ACM as the firmware has it, which looks at little and
 * stores what it gets. Source: device-os v0.4.4 usbd_cdc_core.c, hal/src/stm32f2xx/usb_hal.c;
 * v0.6.0 usbd_mcdc.c.
 */
#ifndef PHOTON_CDC_H
#define PHOTON_CDC_H

#include "board.h"

struct photon;
struct usb_setup;

#define CDC_RING         256
#define CDC_LINE_CODING  7
#define CDC_ENDPOINT_OUT 0x01
#define CDC_ENDPOINT_IN  0x81

struct cdc_ring {
    uint8_t bytes[CDC_RING];
    uint16_t head, used;
};

struct cdc {
    /* The control buffer: line coding first; longer requests read and write what lies behind. */
    uint8_t control[BOARD_USB_PACKET];
    uint16_t control_received;
    uint8_t control_request; /* bRequest of the OUT data stage under way */
    bool opened;             /* DTR */
    bool owes_empty_packet;  /* the last IN packet was a full one */
    struct cdc_ring from_host, to_host;
};

void cdc_reset(struct cdc *cdc);
/* The firmware opens its port: 9600 baud, data bits 0. */
void cdc_begin(struct cdc *cdc);

/* USB side */
void cdc_class_request(struct photon *photon, const struct usb_setup *setup);
bool cdc_control_data(struct photon *photon, const uint8_t *data, size_t length);
/* Line rate when SET_LINE_CODING just completed; 0 for any other request. */
uint32_t cdc_control_received(struct photon *photon);
enum usb_handshake cdc_out(struct photon *photon, const void *data, size_t length);
enum usb_handshake cdc_in(struct photon *photon, void *data, size_t *length);

/* Firmware side */
/* The next byte from the host, or -1. */
int cdc_read(struct cdc *cdc);
/* The same without taking it. */
int cdc_peek(const struct cdc *cdc);
void cdc_flush_input(struct cdc *cdc);
/* Room for bytes to the host. */
size_t cdc_room(const struct cdc *cdc);
/* Queues bytes; returns how many fitted. */
size_t cdc_write(struct cdc *cdc, const void *data, size_t length);

#endif
