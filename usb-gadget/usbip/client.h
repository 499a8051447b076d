/*
 * The client's side of USB/IP's operations, on blocking sockets: what a server has, and an import.
 */
#ifndef GADGET_USBIP_CLIENT_H
#define GADGET_USBIP_CLIENT_H

#include "usb-gadget/usbip/codec.h"

/* What became of an operation. */
enum usbip_outcome {
    USBIP_DONE,
    USBIP_REFUSED, /* the server's status says why */
    USBIP_LOST,    /* the connection failed or ended early */
    USBIP_NONSENSE /* the server does not speak USB/IP 1.1.1 */
};

/* Imports `busid` over a fresh connection, which carries its transfers afterwards. `status` is the
 * server's (enum usbip_status). */
enum usbip_outcome usbip_client_import(int fd, const char *busid, struct usbip_device *device,
                                       uint32_t *status);

/* Looks through the server's list, over a fresh connection, for a device with this path, or whose
 * path ends in "/<name>"; false in `*found` when there is none. */
enum usbip_outcome usbip_client_find(int fd, const char *name, struct usbip_device *device,
                                     bool *found);

#endif
