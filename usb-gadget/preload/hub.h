/*
 * The root hub as a USB device: what it answers when a program opens it and asks.
 */
#ifndef GADGET_PRELOAD_HUB_H
#define GADGET_PRELOAD_HUB_H

#include "usb-gadget/preload/device.h"

/* Whether a port of the hub has a device. */
typedef bool hub_connected(const void *context, unsigned position);

/* Answers one control request. `data` has room for `wLength` bytes or more; the number of bytes of
 * the data stage, or a negative errno. */
int hub_control(const struct usb_device *hub, const uint8_t setup[8], uint8_t *data,
                hub_connected *connected, const void *context);

#endif
