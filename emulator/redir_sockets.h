/*
 * Where usb-guests of the usbredir protocol find the boards of `vphoton serve`: one socket a board.
 */
#ifndef VPHOTON_REDIR_SOCKETS_H
#define VPHOTON_REDIR_SOCKETS_H

#include "emulator/complaint.h"
#include "usb-gadget/outlet.h"

struct redir_sockets;

/* Listens for each of `count` outlets: at `where[N]`, which is the path of a socket file or
 * "ADDRESS:PORT"; or, with a single `where` that has a '%' in it, there with the board's number for
 * the '%'. NULL with a complaint. */
struct redir_sockets *redir_sockets_open(struct event_base *base, struct outlet *outlets,
                                         size_t count, const char *const *where, size_t where_count,
                                         bool allow_remote, struct complaint *complaint);
/* Lets the clients go and takes the socket files away. NULL is allowed. */
void redir_sockets_close(struct redir_sockets *sockets);
/* A line for each on stdout. */
void redir_sockets_print(const struct redir_sockets *sockets);

#endif
