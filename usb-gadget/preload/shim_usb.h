/*
 * usbfs in the program: what its rooms share. Results are 0 or more, or -errno.
 */
#ifndef GADGET_PRELOAD_SHIM_USB_H
#define GADGET_PRELOAD_SHIM_USB_H

#include "usb-gadget/preload/shim.h"
#include "usb-gadget/preload/translation.h"

/* --- shim_handle.c --- */

/* Connects `urbs` unless it is. False with errno; the handle may be dead then. */
bool shim_usb_connect_urbs(struct shim_slot *slot);
/* One request with its reply. `*in_size` is the room for data and becomes what came. */
int shim_usb_call(struct shim_slot *slot, struct preload_request *request, const void *out,
                  size_t out_size, void *in, size_t *in_size);

/* --- shim_urb.c --- */

int shim_urb_submit(struct shim_slot *slot, int fd, const struct usbdevfs_urb *urb);
int shim_urb_reap(struct shim_slot *slot, int fd, bool wait, void **out);
int shim_urb_discard(struct shim_slot *slot, const void *urb);

/* --- shim_usbfs.c --- */

/* The kernel claims what a transfer needs, and a program wants to hear at once when it cannot. */
int shim_usb_claim_for(struct shim_slot *slot, const struct preload_request *transfer);

#endif
