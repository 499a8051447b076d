/*
 * The transfers that somebody else's host has in flight on a board: each with a buffer of its own,
 * found again by the tag the host gave it, all together within a budget.
 */
#ifndef GADGET_FLIGHT_H
#define GADGET_FLIGHT_H

#include <sys/queue.h>

#include "usb-gadget/root_port.h"

struct flights;

/* One transfer. A link puts it first into a struct of its own. */
struct flight {
    struct transfer transfer; /* all but data, length, complete and context is the link's to set */
    struct flights *flights;
    uint64_t tag;   /* not necessarily unique: hosts may lie */
    bool anonymous; /* the link's own, not to be found by its tag */
    TAILQ_ENTRY(flight) entry;
    /* Called once when the transfer is over, also from inside flight_submit(); the flight is freed
     * afterwards. Not called after flights_drop(). */
    void (*ended)(struct flight *flight);
};

struct flights {
    struct root_port *port;
    void *owner;
    unsigned count, count_max;
    size_t memory, memory_max; /* bytes of all buffers */
    size_t *shared;            /* the same, of several flights together; NULL: nothing is shared */
    size_t shared_max;
    TAILQ_HEAD(, flight) list; /* oldest first */
};

void flights_init(struct flights *flights, struct root_port *port, void *owner, unsigned count_max,
                  size_t memory_max);
/* Cancels everything without telling anybody. */
void flights_drop(struct flights *flights);

/* A flight of `size` bytes (of the link's struct, zeroed) with a buffer of `length` bytes that
 * starts as a copy of `data`, or as zeros when that is NULL. NULL when the budget or memory does
 * not allow it. */
struct flight *flight_new(struct flights *flights, size_t size, uint64_t tag, const void *data,
                          size_t length);
/* Sends it off. It may be over, and freed, when this returns. */
void flight_submit(struct flight *flight);
/* Frees one that was not sent off. */
void flight_free(struct flight *flight);
/* The oldest one with this tag, or NULL. */
struct flight *flights_find(const struct flights *flights, uint64_t tag);
/* Ends it with TRANSFER_CANCELLED. */
void flight_cancel(struct flight *flight);

#endif
