/*
 * One client of the usbredir link: a socket, the protocol library on it, and what the client has
 * been told of the board. Shared by the files of this room.
 *
 * A peer works in turns, started by its socket or by peer_wake(): it tells what became of the
 * board, takes what has come, and sends what there is to send. Whatever ends outside a turn queues
 * its answer and wakes the peer.
 */
#ifndef GADGET_USBREDIR_PEER_H
#define GADGET_USBREDIR_PEER_H

#include <event2/event.h>

#include "usb-gadget/flight.h"
#include "usb-gadget/outlet.h"
#include "usb-gadget/usbredir/describe.h"
#include "usb-gadget/usbredir/guard.h"

/* What one peer may have in flight. */
#define PEER_FLIGHTS_MAX 256
#define PEER_MEMORY_MAX  ((size_t)4 << 20)
/* Answers that wait for the peer to read them, above which nothing more is taken from it. */
#define PEER_BACKLOG_MAX         ((size_t)1 << 20)
#define PEER_BACKLOG_PACKETS_MAX 256

#define PEER_INPUT               65536

enum peer_state {
    PEER_SILENT,    /* no hello yet */
    PEER_WAITING,   /* knows of no device */
    PEER_CONNECTED, /* knows of the device of `generation` */
    PEER_LEAVING    /* was told that it is gone, and has not acknowledged that yet */
};

/* An interrupt endpoint that we poll for the peer. */
struct receiving {
    bool started;
    bool in_flight;
    uint64_t next_id;
};

/* How a peer ends; called once from a turn, and the peer is freed afterwards. `fault` is NULL when
 * the client merely left. */
typedef void peer_over(void *context, const char *fault);

struct usbredir_peer {
    struct outlet *outlet; /* taken with the hello */
    struct root_port *port;
    peer_over *over;
    void *context;

    int fd;
    struct event *readable;
    struct event *writable; /* also what peer_wake() fires */
    struct usbredirparser *parser;
    struct guard guard;
    uint8_t input[PEER_INPUT];
    size_t input_at, input_end;
    bool in_turn;
    bool received; /* in this turn */
    bool lost;     /* the connection */
    bool refused;  /* for the reason in `fault` */
    char fault[GUARD_FAULT_MAX];

    enum peer_state state;
    uint64_t generation; /* PEER_CONNECTED: the attach that the peer was told of */
    uint64_t mute;       /* an attach whose device did not say what it is */
    const struct usb_identity *identity;
    struct usbredir_shape shape;
    struct flights flights;
    struct receiving receiving[16]; /* by endpoint number */
};

/* peer.c: life and socket */
/* Takes the socket over. NULL when memory is short; the socket is closed then. */
struct usbredir_peer *peer_new(struct event_base *base, struct outlet *outlet, int fd,
                               peer_over *over, void *context);
void peer_free(struct usbredir_peer *peer);
/* There is something to tell. */
void peer_wake(struct usbredir_peer *peer);
/* Takes what has come by now; false when the peer was over, and is freed. */
bool peer_turn(struct usbredir_peer *peer);

/* device.c: what the peer knows of the board */
void peer_device_callbacks(struct usbredirparser *parser);
/* Tells the peer what has become of the board since. */
void peer_refresh(struct usbredir_peer *peer);
/* May a transfer for the device go to the board? usb_redir_success, or what to answer; nothing is
 * to be answered for a device whose loss the peer will hear of. */
#define PEER_NO_ANSWER 255
uint8_t peer_device_status(struct usbredir_peer *peer);
/* Sends the shape of the device, after it was made anew. */
void peer_send_shape(struct usbredir_peer *peer);

/* data.c: control, bulk and interrupt packets */
void peer_data_callbacks(struct usbredirparser *parser);
uint8_t peer_status(enum transfer_status status);
/* Ends what is in flight on an interface's endpoints (PEER_EVERY_INTERFACE: on all but EP0). */
#define PEER_EVERY_INTERFACE 256u
void peer_cancel_interface(struct usbredir_peer *peer, unsigned interface);

/* setting.c: configurations and alternate settings */
void peer_setting_callbacks(struct usbredirparser *parser);

/* interrupt.c: interrupt IN endpoints */
void peer_interrupt_callbacks(struct usbredirparser *parser);
/* Polls the endpoints that are to be polled, once; true when one has answered and may again. */
bool peer_interrupt_run(struct usbredir_peer *peer);

/* refuse.c: what a full-speed device without such endpoints cannot do */
void peer_refuse_callbacks(struct usbredirparser *parser);

#endif
