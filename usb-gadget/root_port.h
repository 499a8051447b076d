/*
 * The root port: a host's transfers on one side, a board's USB transactions on the other.
 *
 * A control transfer becomes SETUP, data packets and a status stage; bulk and interrupt transfers
 * become packets of the endpoint's size. NAK means the transfer waits until board time moves on,
 * and no answer is a protocol error, also when the board has left the bus in the middle: the host's
 * controller is done with the transfer before the hub tells of an unplugging. What else is in
 * flight then fails for want of a device. Every transfer belongs to the attach generation in which
 * it was submitted, so that nothing from before an unplug is delivered after it.
 */
#ifndef GADGET_ROOT_PORT_H
#define GADGET_ROOT_PORT_H

#include "devmodel/board.h"

enum transfer_type { TRANSFER_CONTROL, TRANSFER_BULK, TRANSFER_INTERRUPT };

/* Neutral status codes; each link translates them to its own. */
enum transfer_status {
    TRANSFER_OK,
    TRANSFER_STALL,
    TRANSFER_PROTOCOL_ERROR, /* no handshake, three times */
    TRANSFER_CANCELLED,
    TRANSFER_NO_DEVICE,
    TRANSFER_TIMEOUT,
    TRANSFER_BABBLE /* more data than was asked for */
};

struct root_port;

struct transfer {
    /* Set by the link, which owns the transfer and its buffer until `complete` is called. */
    enum transfer_type type;
    uint8_t endpoint; /* bit 7 set: IN. Control: 0 */
    uint8_t setup[8]; /* control only; direction and wLength of the data stage are in it */
    uint8_t *data;    /* OUT: bytes to send, IN: room for `length` bytes; not packed with setup */
    size_t length;    /* control: a wLength above it is cut down to it */
    /* Bulk OUT: data that fill their last packet are followed by an empty one. */
    bool zero_packet;
    /* Interrupt only, for observers: milliseconds between two tries, as the host's driver says. */
    uint8_t interval;
    /* Called exactly once per submitted transfer, possibly from inside root_port_submit(). May
     * submit, cancel and run control_transfer(). */
    void (*complete)(struct transfer *transfer);
    void *context;

    /* Result. */
    enum transfer_status status;
    size_t actual; /* bytes moved in the data stage, also when the transfer failed later */

    /* The port's own. */
    uint64_t number; /* on this port, from 1; 0: found no device */
    uint64_t generation;
    unsigned stage;
    unsigned errors;
    size_t done;
    struct transfer *next;
};

/* Called when the board's pull-up came or went; `generation` is the new one. Never called from
 * inside itself: a change that happens meanwhile is told afterwards. */
typedef void root_port_attach(void *context, struct root_port *port, bool attached);

/* Told of every transfer to an attached board: before its first transaction, and with its result
 * just before `complete`. Must not touch the port. */
typedef void root_port_observer(void *context, const struct root_port *port,
                                const struct transfer *transfer, bool ended);

/* Endpoint numbers in both directions. */
#define ROOT_PORT_QUEUES 32

struct root_port {
    struct board *board;
    uint64_t generation; /* odd while attached */
    /* True: a NAK of a busy board moves board time to when it is ready, at once. False: somebody
     * else moves time. */
    bool jump;
    root_port_attach *on_attach;
    void *on_attach_context;
    /* Called first in root_port_submit(), root_port_bus_reset() and root_port_still(), so that the
     * owner of time can bring the board to the present before the host's request reaches it. NULL
     * for none. */
    void (*on_use)(void *context, struct root_port *port);
    void *on_use_context;
    root_port_observer *on_transfer; /* NULL for none */
    void *on_transfer_context;
    struct transfer *queue[ROOT_PORT_QUEUES]; /* per endpoint and direction, oldest first */

    /* Read-only for others. */
    uint8_t address; /* that the host gave the device; 0 before it did */
    uint64_t ended;  /* transfers completed so far, in whatever way */

    /* The port's own. */
    uint64_t attaches;        /* board->attaches of this generation */
    uint64_t submitted;       /* transfers so far */
    struct transfer *failing; /* of a detach or bus reset, not completed yet */
    uint64_t told;            /* the generation that on_attach heard of last */
    bool telling;             /* inside root_port_poll */
    bool running;             /* inside root_port_run: submitted transfers wait for its loop */
};

void root_port_init(struct root_port *port, struct board *board, bool jump);
/* Takes part in the bus from now on: `on_attach` reports later changes (and an attach at once if
 * there is one). NULL stops that. */
void root_port_watch(struct root_port *port, root_port_attach *on_attach, void *context);
bool root_port_attached(const struct root_port *port);
/* Brings the board to the host's present; true when it still has the attach `generation`. Asked
 * before a transfer for a device that was found in that attach. */
bool root_port_still(struct root_port *port, uint64_t generation);

/* Resets the device; what is in flight completes with TRANSFER_CANCELLED, for the device forgets
 * it. */
void root_port_bus_reset(struct root_port *port);
/* Queues a transfer and does what can be done now. */
void root_port_submit(struct root_port *port, struct transfer *transfer);
/* Completes it with TRANSFER_CANCELLED and true, or false when it was not in flight here. */
bool root_port_cancel(struct root_port *port, struct transfer *transfer);
/* Does everything that is possible at the board's present time. True when transfers are still
 * waiting. */
bool root_port_run(struct root_port *port);
/* Tells the port that the board may have attached or detached (after board time moved or a pin
 * changed). None of these functions may be called by a board's observer. */
void root_port_poll(struct root_port *port);

/* Bytes of the data stage, whether they have moved or not: what wLength and the buffer allow. */
size_t transfer_length(const struct transfer *transfer);
/* Whether they go to the host; a control transfer without any counts as OUT, as with Linux. */
bool transfer_is_in(const struct transfer *transfer);

#endif
