/*
 * Linux' virtual host controller vhci_hcd, as its files in sysfs show it: which ports are free, and
 * how a connected socket becomes the cable between a port and a device.
 *
 * Source: Linux, drivers/usb/usbip/vhci_sysfs.c; state numbers: include/uapi/linux/usbip.h.
 */
#ifndef GADGET_USBIP_VHCI_H
#define GADGET_USBIP_VHCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHCI_NO_PORT (-1)

/* The first free port for a full-speed device in the text of a `status` file, no less than `from`,
 * or VHCI_NO_PORT. Lines that make no sense are no ports. */
int vhci_free_port(const char *status, int from);

/* The controller's folder, or NULL when this kernel has none. `folder` NULL looks in the places
 * where kernels have it. */
const char *vhci_folder(const char *folder);

/* Hands a connected socket to a free port, `preferred` if possible (VHCI_NO_PORT: any). The port,
 * or a negative errno: -EBUSY when no port is free. The socket stays the caller's, too: it hangs up
 * when the cable is gone. */
int vhci_attach(const char *folder, int preferred, int fd, uint32_t devid, uint32_t speed);
/* Pulls the cable. 0 or a negative errno. */
int vhci_detach(const char *folder, int port);

#endif
