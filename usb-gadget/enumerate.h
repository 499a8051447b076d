/*
 * What a host's hub driver does with a new device: reset, address, descriptors, configuration.
 * For links that play the kernel themselves or must describe the device before anybody asks.
 */
#ifndef GADGET_ENUMERATE_H
#define GADGET_ENUMERATE_H

#include "usb-gadget/root_port.h"

#define ENUMERATE_CONFIG_MAX 512
#define ENUMERATE_STRING_MAX 128

struct usb_identity {
    uint8_t device[18];
    uint8_t config[ENUMERATE_CONFIG_MAX];
    size_t config_length;
    /* UTF-8; empty when the device has none. */
    char manufacturer[ENUMERATE_STRING_MAX * 3];
    char product[ENUMERATE_STRING_MAX * 3];
    char serial[ENUMERATE_STRING_MAX * 3];
};

/* Enumerates the attached board as Linux does: reset, SET_ADDRESS(address), descriptors, strings,
 * SET_CONFIGURATION; board time jumps over what the board makes the host wait for. False when the
 * device did not play along. */
bool enumerate(struct root_port *port, uint8_t address, struct usb_identity *identity);
/* Resets a known device and gives it an address, for a host that does the rest by itself but has
 * no way to do this. False when the device did not take it. */
bool enumerate_address(struct root_port *port, uint8_t address);
/* Reads the string descriptor `index` as UTF-8; empty when the device has none. */
bool enumerate_string(struct root_port *port, uint8_t index, char *text, size_t size);

/* One synchronous control transfer on a port that jumps; `actual` may be NULL. For tests and
 * enumeration. */
enum transfer_status control_transfer(struct root_port *port, const uint8_t setup[8], void *data,
                                      size_t *actual);

#endif
