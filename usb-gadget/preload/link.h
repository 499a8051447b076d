/*
 * What the rooms of the preload server share: connections, usbfs handles and transfers.
 */
#ifndef GADGET_PRELOAD_LINK_H
#define GADGET_PRELOAD_LINK_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "usb-gadget/preload/box.h"
#include "usb-gadget/preload/device.h"
#include "usb-gadget/preload/server.h"
#include "usb-gadget/preload/tree.h"
#include "usb-gadget/preload/vigil.h"

#define LINK_CONNECTIONS_MAX 256
#define LINK_HANDLES_MAX     256
/* Of all transfers in flight together, as the kernel's usbfs_memory_mb. */
#define LINK_MEMORY_MAX ((size_t)16 << 20)

enum role { ROLE_NEW, ROLE_HANDLE, ROLE_MONITOR, ROLE_CLOCK, ROLE_TTY };

struct urb;
struct waiting;
TAILQ_HEAD(urb_list, urb);

/* One socket of a client. */
struct connection {
    struct preload_server *server;
    int fd;
    struct event *event;
    enum role role;
    TAILQ_ENTRY(connection) entry;

    struct usb_handle *handle; /* ROLE_HANDLE */
    TAILQ_ENTRY(connection) entry_of_handle;
    bool submits;            /* has sent SUBMIT: calls must not overtake it */
    struct urb_list urbs;    /* in flight */
    struct urb_list ended;   /* replies that the socket had no room for */
    unsigned urb_count;      /* in both */
    bool closing;            /* as soon as `ended` is empty */
    struct preload_box *box; /* or NULL */
    uint32_t taken;          /* number of the last request from it */
    uint32_t turn;           /* number of the one being handled; 0: it came by the socket */

    uint32_t groups;         /* ROLE_MONITOR */
    struct waiting *waiting; /* ROLE_TTY: the request that it waits for */
};
TAILQ_HEAD(connection_list, connection);

/* An open device node. It lives until all descriptors of its visible socket are closed. */
struct usb_handle {
    struct preload_server *server;
    struct usb_device *device; /* NULL when it was unplugged */
    int socket;                /* our end of the visible socket's pair */
    struct event *event;
    uint64_t inode; /* of the visible end */
    bool writable;
    pid_t opener;
    bool shared; /* by programs that know nothing of each other's tokens */
    struct connection_list connections;
    TAILQ_ENTRY(usb_handle) entry;
};
TAILQ_HEAD(handle_list, usb_handle);

/* One transfer. */
struct urb {
    struct transfer transfer;
    struct preload_server *server;
    struct usb_device *device;
    struct connection *connection; /* NULL when nobody waits for it any more */
    TAILQ_ENTRY(urb) entry;
    struct event *timer;
    size_t size; /* of `data` */
    uint16_t flags;
    bool submitted; /* by SUBMIT: its end makes the handle ready */
    bool discarded, timed_out;
    bool is_in;
    uint32_t turn; /* in the connection's box; 0: it came by the socket */
    /* What its end means, when it is a request of the link itself; NULL for a client's own. */
    void (*ended)(struct urb *urb);
    struct usb_interface *interface; /* for `ended` */
    uint32_t value;                  /* for `ended` */

    struct preload_reply reply; /* `data` follows at once, so that both are one message */
    uint8_t data[];
};

/* An urb_submit() under way. */
struct submission {
    struct urb *urb; /* NULL once it has ended */
    struct submission *outer;
};

struct hub_port {
    struct root_port *port;
    struct usb_device *device; /* what the clients see; NULL when nothing */
    uint64_t refused;          /* generation whose enumeration failed */
};

/* What the server stays awake for, after a client was answered. */
enum attention_to { ATTENTION_NONE, ATTENTION_CALL, ATTENTION_TRANSFER, ATTENTION_KINDS };

struct attention {
    struct vigil vigils[ATTENTION_KINDS];
    enum attention_to asked;     /* since preload_server_expects() was last asked */
    enum attention_to expecting; /* its answer of then */
    uint64_t until;
    struct connection *asker; /* whose box the next transfer may be in, or NULL */
    unsigned together;        /* transfers in a row that came from the server's processor */
    uint64_t left;            /* when it last left a processor to a client */
};

struct preload_server {
    struct event_base *base;
    struct preload_options options;
    char library[4096];
    struct tree tree;
    uint64_t uevent_sequence;

    int listener;
    struct event *listener_event;
    struct event *hub_event; /* fires after something attached or detached */
    struct connection_list connections;
    unsigned connection_count;
    struct handle_list handles;
    unsigned handle_count;
    struct urb_list own; /* requests of the link itself in flight, with nobody waiting */
    size_t memory;       /* of transfers in flight */
    struct submission *submissions;

    struct attention attention;

    struct usb_device *root_hub;
    struct hub_port ports[PRELOAD_PORTS_MAX + 1]; /* by position */
    unsigned last_number;                         /* the last device number given */

    unsigned early_polls;
    _Atomic uint64_t *clock_offset; /* ns, shared with the clients; NULL without warp */
    char *environment[4];
    /* The message being handled: head and data. */
    struct {
        struct preload_request request;
        uint8_t data[PRELOAD_DATA_MAX + 1];
    } message;
};

/* connection.c: sockets */
bool connection_accept(struct preload_server *server, int fd);
void connection_close(struct connection *connection);
/* Closes once all replies have gone out. */
void connection_finish(struct connection *connection);
/* Sends a reply of which only head and `length` bytes count. */
void connection_reply(struct connection *connection, uint64_t tag, int result, const void *data,
                      size_t length);
/* Sends an ended transfer's reply, now or when there is room, and frees it. */
void connection_send_urb(struct connection *connection, struct urb *urb);

/* Handles one message, if there is one; may close the connection. */
void connection_receive(struct connection *connection);
/* Handles all transfers that clients have submitted so far. */
void connection_catch_up(struct preload_server *server);
/* Handles what clients have said so far of the news that they want to hear, and nothing else. */
void connection_hear_monitors(struct preload_server *server);
/* Lets the program's poll wake up for the reply that was just sent. */
void connection_take_token(const struct usb_handle *handle);

/* attention.c */
/* A client was answered that waited; a control transfer has come by a connection. */
void attention_to_call(struct preload_server *server);
void attention_to_transfer(struct preload_server *server, struct connection *connection);
/* The connection is going. */
void attention_forget(struct preload_server *server, const struct connection *connection);

/* box.c */
/* The memory to pass to the client; -1: it must do without. */
int box_open(struct connection *connection);
void box_close(struct connection *connection);
/* Whether a request is in it that was not taken yet. */
bool box_waits(const struct connection *connection);
/* Tells the client that the server looks, or does not look any more. False when a request came at
 * the last moment. */
void box_attend(struct connection *connection);
bool box_ignore(struct connection *connection);
/* Takes a request into the server's message: its number, 0 when there is none. `*length` is the
 * message's, 0 when it makes no sense. */
uint32_t box_take(struct connection *connection, size_t *length);
/* Puts a transfer's reply there. False when it must go over the connection. */
bool box_answer(struct connection *connection, const struct urb *urb);

/* handle.c */
void handle_open(struct connection *connection, const struct preload_request *request);
void handle_adopt(struct connection *connection, const struct preload_request *request);
/* The device is gone: everything in flight ends, and the handles stay dead. */
void handle_unplug(struct preload_server *server, struct usb_device *device);
/* Frees handles that no client has open any more, except for `keep`. */
void handle_sweep(struct preload_server *server, const struct usb_handle *keep);
void handle_close(struct usb_handle *handle);

/* usbfs.c: what one can ask of handles */
/* False when the message makes no sense; the connection is to be closed. */
bool usbfs_request(struct connection *connection, const struct preload_request *request,
                   const uint8_t *data, size_t length);
void usbfs_release_all(struct usb_handle *handle);

/* urb.c: transfers */
/* One with a buffer of `size` bytes, whose reply goes to `connection` (NULL: to nobody). NULL when
 * memory is short. */
struct urb *urb_new(struct preload_server *server, struct connection *connection,
                    struct usb_device *device, size_t size);
void urb_free(struct urb *urb);
/* A control request of the link itself, to be submitted. NULL when memory is short. */
struct urb *urb_request(struct preload_server *server, struct connection *connection,
                        struct usb_device *device, const uint8_t setup[8]);
/* Hands it to the device. It ends with a reply, at once or later. */
void urb_submit(struct urb *urb, unsigned timeout_ms);
/* Ends it without the device. */
void urb_fail(struct urb *urb, int result);
/* False when it was not in flight any more. */
bool urb_cancel(struct urb *urb);

/* Ends the link's own requests to a device. */
void urb_cancel_own(struct preload_server *server, const struct usb_device *device);

/* server.c: the hub */
struct usb_device *server_device(struct preload_server *server, unsigned number);
bool server_connected(const void *server, unsigned position);
/* Soon shows the device as a new one: it changed while it was reset. */
void server_replug(struct preload_server *server, struct usb_device *device);
/* Tells the monitors that a device's serial port is gone. */
void server_hide_tty(struct preload_server *server, const struct usb_device *device);

/* Brings what the clients see up to what is attached. */
void server_refresh(struct preload_server *server);

/* warp.c */
bool warp_open(struct preload_server *server);
void warp_close(struct preload_server *server);
/* Moves board time and the clients' clocks; the time moved. */
uint64_t warp_advance(struct preload_server *server, uint64_t ns, bool until_event);
void warp_request(struct connection *connection, const struct preload_request *request);

#endif
