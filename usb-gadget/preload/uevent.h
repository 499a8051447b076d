/*
 * Hotplug messages: what the kernel sends over netlink when devices come and go, and what udev
 * sends on after it has handled them (libudev's binary format, with its MurmurHash2 filter
 * values).
 */
#ifndef GADGET_PRELOAD_UEVENT_H
#define GADGET_PRELOAD_UEVENT_H

#include "usb-gadget/preload/properties.h"

/* Netlink multicast groups, as bits. */
#define UEVENT_KERNEL 1u
#define UEVENT_UDEV   2u

#define UEVENT_MAX    (PROPERTIES_MAX + 512)

/* Something that happened to a device, or to one of its interfaces. */
struct uevent {
    const char *action; /* "add", "bind", "unbind", "remove" */
    const struct usb_device *device;
    const struct usb_interface *interface; /* NULL: the device */
    bool tty;                              /* rather the device's serial port */
    uint64_t sequence;
};

/* The message for one of the groups; its length. */
size_t uevent_format(const struct uevent *event, uint32_t group, uint8_t out[static UEVENT_MAX]);

/* Austin Appleby's MurmurHash2 with seed 0, the hash of libudev's filters. */
uint32_t uevent_hash(const char *text);

#endif
