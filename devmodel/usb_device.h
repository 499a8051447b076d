/*
 * The firmware's USB device stack: endpoint 0 transaction by transaction, and chapter 9 with its
 * faults.
 *
 * Firmware acts at SETUP time and when the last IN data packet was acknowledged; in between the
 * hardware answers by what was prepared: data, a status packet, a STALL, or nothing (NAK until the
 * host gives up). Source: device-os v0.4.4 and v0.6.0 STM32_USB_Device_Driver usbd_req.c,
 * usbd_core.c.
 */
#ifndef PHOTON_USB_DEVICE_H
#define PHOTON_USB_DEVICE_H

#include "board.h"

struct photon;

enum usb_state { USB_DEFAULT, USB_ADDRESSED, USB_CONFIGURED };

enum ep0_stage {
    EP0_NOTHING, /* nothing prepared: every token is NAKed */
    EP0_DATA_IN,
    EP0_DATA_OUT,
    EP0_STATUS_IN,
    EP0_STATUS_OUT,
    EP0_STALL
};

/* bmRequestType */
#define USB_DIRECTION_IN   0x80
#define USB_TYPE_MASK      0x60
#define USB_TYPE_STANDARD  0x00
#define USB_TYPE_CLASS     0x20
#define USB_TYPE_VENDOR    0x40
#define USB_RECIPIENT_MASK 0x1F

enum usb_recipient { USB_RECIPIENT_DEVICE, USB_RECIPIENT_INTERFACE, USB_RECIPIENT_ENDPOINT };

/* Standard requests, USB 2.0 table 9-4. */
enum usb_request {
    USB_GET_STATUS = 0,
    USB_CLEAR_FEATURE = 1,
    USB_SET_FEATURE = 3,
    USB_SET_ADDRESS = 5,
    USB_GET_DESCRIPTOR = 6,
    USB_GET_CONFIGURATION = 8,
    USB_SET_CONFIGURATION = 9,
    USB_GET_INTERFACE = 10,
    USB_SET_INTERFACE = 11
};

struct usb_setup {
    uint8_t type, request;
    uint16_t value, index, length;
};

struct ep0 {
    enum ep0_stage stage;
    struct usb_setup setup;
    /* IN: bytes come from `data`, zeros after the first `data_size`; or, when `data` is NULL, from
     * flash at `address`. */
    const uint8_t *data;
    uint32_t data_size;
    uint32_t address;
    uint32_t total, done;
    uint8_t small[64]; /* short answers that nobody else keeps */
};

/* What a stack makes of a vendor request to the device. */
enum usb_vendor {
    USB_VENDOR_UNSEEN, /* it does not look at the type bits: bRequest counts as a standard one */
    USB_VENDOR_DONE,
    USB_VENDOR_REFUSED /* STALL */
};

/* What sits on the stack: the bootloader's DFU, or the running system's serial port and control
 * interface. */
struct usb_function {
    void (*get_descriptor)(struct photon *photon, const struct usb_setup *setup);
    enum usb_vendor (*vendor)(struct photon *photon, const struct usb_setup *setup);
    /* Highest low byte of wIndex that an interface request may have. */
    uint8_t (*interface_limit)(const struct photon *photon);
    void (*interface)(struct photon *photon, const struct usb_setup *setup);
    /* SET_CONFIGURATION changed the configuration to 1 (true) or 0. NULL: nothing to do. */
    void (*configured)(struct photon *photon, bool configured);
    /* One packet of an OUT data stage; false when it crashed the CPU. */
    bool (*data)(struct photon *photon, const uint8_t *data, size_t length);
    /* The whole OUT data stage has arrived; the status stage has not begun. NULL: nothing to do. */
    void (*data_received)(struct photon *photon);
    /* The host took the last packet of an IN data stage; the status stage has not
     * begun. NULL: nothing to do. */
    void (*data_sent)(struct photon *photon);
    /* Other endpoints than 0; NULL: there are none. */
    enum usb_handshake (*out)(struct photon *photon, uint8_t endpoint, const void *data,
                              size_t length);
    enum usb_handshake (*in)(struct photon *photon, uint8_t endpoint, void *data, size_t *length);
};

struct usb_device {
    const struct usb_function *function; /* NULL while nothing serves */
    bool attached;
    enum usb_state state;
    bool remote_wakeup;
    bool ep0_was_stalled; /* since the CPU's reset; nothing clears it */
    uint32_t halted;      /* endpoints 1-15 OUT in the low half, IN in the high half */
    bool setup_latched;   /* the CPU was busy: `latched` waits for it */
    uint8_t latched[8];
    struct ep0 ep0;
    uint8_t descriptor[256]; /* a descriptor made for the request under way */
};

/* A CPU reset. */
void usb_device_reset(struct usb_device *usb);
void usb_device_bus_reset(struct usb_device *usb);

/* The CPU handles a SETUP packet. */
void usb_device_setup(struct photon *photon, const uint8_t packet[8]);
/* `*taken`: that was the last packet of a data stage. */
enum usb_handshake usb_device_in(struct photon *photon, uint8_t endpoint, void *data,
                                 size_t *length, bool *taken);
enum usb_handshake usb_device_out(struct photon *photon, uint8_t endpoint, const void *data,
                                  size_t length);

/* Answers that a request handler prepares. */
void ep0_stall(struct usb_device *usb);
void ep0_nothing(struct usb_device *usb);
void ep0_status(struct usb_device *usb);
/* `data` stays valid until the next SETUP. No more is sent than `length`, whatever wLength says. */
void ep0_send(struct usb_device *usb, const void *data, uint32_t length);
/* `size` bytes of data, then zeros up to `length`. */
void ep0_send_padded(struct usb_device *usb, const void *data, uint32_t size, uint32_t length);
/* Copies up to 64 bytes. */
void ep0_send_small(struct usb_device *usb, const void *data, uint32_t length);
void ep0_send_flash(struct usb_device *usb, uint32_t address, uint32_t length);
void ep0_receive(struct usb_device *usb, uint32_t length);

#endif
