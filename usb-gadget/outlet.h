/*
 * An outlet: the place where one board is plugged into at most one host.
 *
 * A link that has a host for the board takes the outlet, and from then on only it may use the root
 * port and hears of every attach; until it gives the outlet back, others are refused. An outlet can
 * be taken while its board is detached. Whoever asks learns what the board is: nobody's transfers
 * are disturbed by that.
 */
#ifndef GADGET_OUTLET_H
#define GADGET_OUTLET_H

#include <event2/event.h>

#include "usb-gadget/enumerate.h"

struct outlet;

/* The board attached, detached, or both: the port's generation is another one. Comes from the event
 * loop, so that it may do anything; transfers that were in flight have completed before. */
typedef void outlet_changed(void *holder, struct outlet *outlet);

struct outlet {
    struct root_port *port;
    const char *name; /* of the board, as its user calls it; outlives the outlet */
    unsigned number;  /* from 1: the port in the bus path ("1-N") */

    /* The outlet's own. */
    outlet_changed *changed;
    void *holder;
    outlet_changed *offered;
    void *suitor;
    struct event *event;
    struct usb_identity identity;
    uint64_t asked; /* generation in which the board was last asked who it is */
    bool answered;  /* and it did */
    uint64_t told;  /* generation that the holder knows */
};

/* Watches the port from now on (root_port_watch). False when memory is short. */
bool outlet_init(struct outlet *outlet, struct event_base *base, struct root_port *port,
                 const char *name, unsigned number);
void outlet_free(struct outlet *outlet);

/* False when another has it. `holder` is what `changed` gets, and what gives the outlet back. */
bool outlet_take(struct outlet *outlet, outlet_changed *changed, void *holder);
/* The holder has no transfer in flight any more. The board sees a reset, as when a real host lets
 * go of a device. */
void outlet_give_back(struct outlet *outlet);
bool outlet_taken(const struct outlet *outlet);
/* From now on calls `offered` with `suitor` from the event loop whenever the board is attached and
 * nobody has it, and something of that is new; also now. It may take the outlet or leave it. */
void outlet_offer(struct outlet *outlet, outlet_changed *offered, void *suitor);

/* Who the attached board is: of this attach, asked for once. NULL when it is not attached, or did
 * not say, or nobody has asked yet and it is taken. */
const struct usb_identity *outlet_identity(struct outlet *outlet);
/* For the holder: resets the board, gives it an address and reads who it is, as a host does with a
 * new device before it hands it on. NULL when it is not attached or does not play along. */
const struct usb_identity *outlet_enumerate(struct outlet *outlet);
/* For the holder: resets the board and gives it its address again, for a host that cannot send that
 * by itself. False when the board did not take it. */
bool outlet_reset(struct outlet *outlet);

#endif
