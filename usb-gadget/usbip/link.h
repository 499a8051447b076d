/* What the files of the USB/IP server share. */
#ifndef GADGET_USBIP_LINK_H
#define GADGET_USBIP_LINK_H

#include <event2/buffer.h>
#include <sys/queue.h>

#include "usb-gadget/acceptor.h"
#include "usb-gadget/flight.h"
#include "usb-gadget/usbip/codec.h"
#include "usb-gadget/usbip/server.h"

/* All boards hang on one bus. */
#define USBIP_BUS 1u

/* Connections without a board: one more, and the oldest of them goes. */
#define USBIP_GUESTS_MAX 64
/* Time for an operation, and for a client to hang up after its last reply. */
#define USBIP_PATIENCE_MS 10000
/* Data of one transfer, of all transfers of a connection, of all of a server. */
#define USBIP_TRANSFER_MAX   (1u << 20)
#define USBIP_CONNECTION_MAX (4u << 20)
#define USBIP_SERVER_MAX     (64u << 20)
#define USBIP_URBS_MAX       1024
/* Replies that a client has not read yet, above which we do not read from it either. */
#define USBIP_UNREAD_MAX (256u << 10)

TAILQ_HEAD(usbip_connections, usbip_connection);

struct usbip_listener {
    struct acceptor *acceptor;
    TAILQ_ENTRY(usbip_listener) entry;
};

struct usbip_server {
    struct event_base *base;
    struct outlet *outlets;
    size_t count;
    TAILQ_HEAD(, usbip_listener) listeners;
    struct usbip_connections guests;  /* without a board, oldest first */
    struct usbip_connections holders; /* with one */
    unsigned guest_count;
    size_t memory; /* of transfers in flight */
};

enum usbip_stage {
    USBIP_STAGE_OPERATION, /* its first 8 bytes */
    USBIP_STAGE_BUSID,     /* of an import */
    USBIP_STAGE_HEADER,    /* imported: the next command */
    USBIP_STAGE_DATA,      /* of an OUT transfer */
    USBIP_STAGE_LEAVING    /* nothing more is understood; replies still go out */
};

struct usbip_connection {
    struct usbip_server *server;
    int fd;
    struct event *readable, *writable, *timer;
    enum usbip_stage stage;
    uint8_t head[USBIP_HEADER_SIZE]; /* what there is of the present message */
    size_t have;                     /* of it, or of the data */
    uint64_t skip;                   /* bytes to come that nobody wants */
    struct flight *filling;          /* gets the data of USBIP_STAGE_DATA */
    struct evbuffer *in, *out;
    bool broken;            /* memory is short: what goes out is not whole */
    bool shut;              /* all is said: our end of the stream is closed */
    struct outlet *outlet;  /* NULL: none */
    uint64_t generation;    /* of the board's attach that was imported */
    struct flights flights; /* tagged by seqnum */
    TAILQ_ENTRY(usbip_connection) entry;
};

/* The device number on the bus; 1 is the root hub. */
static inline unsigned usbip_device_number(const struct outlet *outlet)
{
    return outlet->number + 1;
}

/* --- connection.c --- */

/* Serves a connected socket, and takes it over; NULL, with the socket closed, when memory is short.
 */
struct usbip_connection *usbip_connect(struct usbip_server *server, int fd);
/* It has an outlet now: commands follow. */
void usbip_begin(struct usbip_connection *connection);
/* Sends soon. */
void usbip_send(struct usbip_connection *connection, const void *bytes, size_t length);
/* Lets go of the board; the replies so far still go out. */
void usbip_leave(struct usbip_connection *connection);
void usbip_close(struct usbip_connection *connection);

/* --- operation.c --- */

void usbip_devlist(struct usbip_connection *connection);
/* Answers and, if it is granted, takes the outlet. */
bool usbip_import(struct usbip_connection *connection, const char *busid);
/* Takes the outlet (NULL: there is none) if its board can be had. */
enum usbip_status usbip_take(struct usbip_connection *connection, struct outlet *outlet);

/* --- urb.c --- */

/* Takes a command's header; false when it breaks the protocol. */
bool usbip_command(struct usbip_connection *connection, const struct usbip_header *header);
/* The data of an OUT transfer are complete. */
void usbip_transfer(struct usbip_connection *connection, struct flight *flight);

#endif
