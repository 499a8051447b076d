/*
 * A socket that listens for clients and hands each on, connected, nonblocking, and such that a
 * client whose machine is gone is noticed.
 */
#ifndef GADGET_ACCEPTOR_H
#define GADGET_ACCEPTOR_H

#include <event2/event.h>

struct acceptor;

/* Takes the client's socket over. */
typedef void acceptor_client(void *context, int fd);

/* Takes over `listener`, which listens and does not block. NULL, with the listener closed, when
 * memory is short. */
struct acceptor *acceptor_new(struct event_base *base, int listener, acceptor_client *client,
                              void *context);
/* NULL is allowed. */
void acceptor_free(struct acceptor *acceptor);

#endif
