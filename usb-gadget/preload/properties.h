/*
 * The names and values that the kernel and udev tell about a device: in uevent messages, in sysfs
 * `uevent` files and in udev's database.
 */
#ifndef GADGET_PRELOAD_PROPERTIES_H
#define GADGET_PRELOAD_PROPERTIES_H

#include "usb-gadget/preload/device.h"

#define PROPERTIES_MAX 4096

/* "NAME=value" texts, each with its NUL. Overlong ones are left out. */
struct properties {
    size_t length;
    char text[PROPERTIES_MAX];
};

void properties_add(struct properties *properties, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the kernel says about a device, or about one of its interfaces; `driver`: the DRIVER line
 * of one that is bound. `node_prefix` is "" for the kernel and "/dev/" for udev. */
void properties_of_device(struct properties *properties, const struct usb_device *device,
                          const char *node_prefix, bool driver);
void properties_of_interface(struct properties *properties, const struct usb_device *device,
                             const struct usb_interface *interface);
/* What udev's rules add to it. */
void properties_of_udev_device(struct properties *properties, const struct usb_device *device);
void properties_of_udev_interface(struct properties *properties, const struct usb_device *device,
                                  const struct usb_interface *interface);

/* The same for a serial port that `interface` of the device carries. */
void properties_of_tty(struct properties *properties, unsigned index, const char *node_prefix);
void properties_of_udev_tty(struct properties *properties, const struct usb_device *device,
                            const struct usb_interface *interface);
/* udev's links to the port's node, below /dev; `size` is the room of each. */
void properties_tty_links(const struct usb_device *device, const struct usb_interface *interface,
                          char *by_id, char *by_path, size_t size);

#endif
