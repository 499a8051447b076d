/*
 * Boards on this machine's own Linux kernel, without a network: one end of a socket pair goes to
 * vhci_hcd, the other is served as a USB/IP host's.
 */
#ifndef VPHOTON_VHCI_LOCAL_H
#define VPHOTON_VHCI_LOCAL_H

#include "emulator/complaint.h"
#include "usb-gadget/usbip/server.h"

struct vhci_local;

/* Plugs every board in as soon as it is attached and nobody has it, once for each attach: what the
 * user pulls out stays out until the board comes anew. NULL with a complaint when this kernel has
 * no vhci_hcd or we may not use it. */
struct vhci_local *vhci_local_new(struct usbip_server *server, struct outlet *outlets, size_t count,
                                  struct complaint *complaint);
/* Before the server and the outlets. */
void vhci_local_free(struct vhci_local *local);

#endif
