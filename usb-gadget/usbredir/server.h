/*
 * The usbredir link: a board for a virtual machine, or whoever else is a usb-guest of the protocol
 * (QEMU's usb-redir, SPICE). One listening socket is one board's; one client at a time has it.
 *
 * A client that connects is told of the board that is attached, then of each detach and attach, all
 * on one connection. What a client has in flight or does not read is bounded; one that sends
 * nonsense is sent away, and the next is served. Source: usb-redirection-protocol 0.7.
 */
#ifndef GADGET_USBREDIR_SERVER_H
#define GADGET_USBREDIR_SERVER_H

#include "usb-gadget/outlet.h"

struct usbredir_server;

/* One line for people: why a client was sent away. */
typedef void usbredir_say(void *context, const char *line);

/* Serves `outlet` to clients of `listener`, a stream socket that listens and does not block; it is
 * closed with the server, or at once when memory is short and NULL comes back. Without a listener
 * (-1) clients come by usbredir_server_accept() only. */
struct usbredir_server *usbredir_server_new(struct event_base *base, struct outlet *outlet,
                                            int listener, usbredir_say *say, void *context);
void usbredir_server_free(struct usbredir_server *server);
/* Serves a connected stream socket, nonblocking, and closes it some time. */
void usbredir_server_accept(struct usbredir_server *server, int fd);

#endif
