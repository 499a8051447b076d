/*
 * A device's descriptors in the words of the usbredir protocol.
 */
#ifndef GADGET_USBREDIR_DESCRIBE_H
#define GADGET_USBREDIR_DESCRIBE_H

#include <stdbool.h>
#include <usbredirparser.h>

#include "usb-gadget/enumerate.h"

/* Interfaces and endpoints (0-15 OUT, then 0-15 IN) that the protocol has room for. */
#define USBREDIR_SLOTS 32

/* What the device's configuration looks like now. */
struct usbredir_shape {
    bool configured;
    uint8_t alternates[USBREDIR_SLOTS]; /* setting in force, by interface number */
    /* Made from these and the descriptors by usbredir_describe(). */
    struct usb_redir_interface_info_header interfaces;
    struct usb_redir_ep_info_header endpoints;
};

void usbredir_describe(const struct usb_identity *identity, struct usbredir_shape *shape);
void usbredir_describe_device(const struct usb_identity *identity,
                              struct usb_redir_device_connect_header *device);
/* Place of an endpoint address in the table. */
unsigned usbredir_slot(uint8_t endpoint);

#endif
