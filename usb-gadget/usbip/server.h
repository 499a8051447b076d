/*
 * The USB/IP link: boards in outlets for hosts with Linux' vhci_hcd or usbip-win2.
 *
 * A connection asks for the list of boards, or imports one and then carries its transfers. The
 * protocol has no word for a device that goes, so the connection ends when the board leaves the bus
 * - reset, another mode, unplugged - and the host imports again. A board that is detached or in
 * somebody's hands cannot be imported and is not in the list.
 */
#ifndef GADGET_USBIP_SERVER_H
#define GADGET_USBIP_SERVER_H

#include "usb-gadget/outlet.h"

struct usbip_server;

/* Serves `count` outlets, which outlive the server. NULL when memory is short. */
struct usbip_server *usbip_server_new(struct event_base *base, struct outlet *outlets,
                                      size_t count);
void usbip_server_free(struct usbip_server *server);

/* Accepts connections on a socket that listens, nonblocking; takes it over. False when memory is
 * short. */
bool usbip_server_listen(struct usbip_server *server, int listener);
/* Serves one connected stream socket, nonblocking; takes it over, also on failure. */
bool usbip_server_accept(struct usbip_server *server, int fd);

/* The same for a host that has imported the outlet's board already, without having asked in so many
 * words. False when the board is not to be had. */
bool usbip_server_plug(struct usbip_server *server, struct outlet *outlet, int fd);
/* The number by which that host's commands name the board. */
uint32_t usbip_device_id(const struct outlet *outlet);

/* What the clients make the server hold at this moment, in bytes; for tests. */
size_t usbip_server_memory(const struct usbip_server *server);

#endif
