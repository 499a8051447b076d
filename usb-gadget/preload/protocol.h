/*
 * What the preload library and its server say to each other.
 *
 * Every message is one packet of a unix SEQPACKET connection: a fixed head and at most
 * PRELOAD_DATA_MAX bytes of data. The first request of a connection says what it is for; OPEN,
 * ADOPT and CLOCK are answered, MONITOR turns the connection into a stream of uevents. Requests
 * that change or ask something get one reply with the request's `tag`; SUBMIT gets its reply when
 * the transfer has ended.
 *
 * Both sides come from one build and run on one machine, so the structures are native; a library
 * of another version is refused by its first message.
 */
#ifndef GADGET_PRELOAD_PROTOCOL_H
#define GADGET_PRELOAD_PROTOCOL_H

#include <stdint.h>

#define PRELOAD_PROTOCOL_VERSION 1

/* The server's folder; without this variable the library does nothing. */
#define PRELOAD_ENVIRONMENT "VPHOTON_PRELOAD"
/* Set: the library lets the program's sleeps pass by moving board time. */
#define PRELOAD_WARP_ENVIRONMENT "VPHOTON_PRELOAD_WARP"
/* A descriptor: the library reads one byte from it before the program's first step, and ends the
 * program when there is none. It takes both away, so that the program sees neither. */
#define PRELOAD_HOLD_ENVIRONMENT "VPHOTON_PRELOAD_HOLD"
/* In that folder: the socket, and the root of the files that stand for /sys, /dev and /run. */
#define PRELOAD_SOCKET_NAME "socket"
#define PRELOAD_ROOT_NAME   "root"
/* There too, in warp: 64 bits that say how far this run's clock is ahead of the machine's, in ns.
 */
#define PRELOAD_CLOCK_NAME "clock"

/* The virtual bus. */
#define PRELOAD_BUS       1
#define PRELOAD_USB_MAJOR 189
#define PRELOAD_PORTS     64
#define PRELOAD_DEVPATH   "/devices/platform/vphoton.0"

/* What one transfer may carry, and a descriptor file hold. */
#define PRELOAD_DATA_MAX        16384
#define PRELOAD_DESCRIPTORS_MAX (18 + 512)
#define PRELOAD_URBS_MAX        64 /* in flight on one connection */

enum preload_operation {
    PRELOAD_OPEN = 1, /* number: device number, flags: PRELOAD_WRITABLE. A new handle */
    PRELOAD_ADOPT,    /* tag: inode of a handle's socket, flags: PRELOAD_BOXED. A further connection
                       * of a handle */
    PRELOAD_MONITOR,  /* number: netlink groups; again whenever they change */
    PRELOAD_CLOCK,    /* a warping process */
    PRELOAD_TTY,      /* number: n of ttyACMn, type: enum preload_tty; the data is its lines */

    PRELOAD_SUBMIT,  /* type, endpoint, setup, length, flags; answered when it has ended */
    PRELOAD_DISCARD, /* tag: of a SUBMIT on any connection of the handle; cancels it */
    PRELOAD_CALL,    /* as SUBMIT, with `number` the timeout in ms (0: none) */
    PRELOAD_DRAIN,   /* takes the token; not answered */
    PRELOAD_KNOCK,   /* something is in the box; not answered */

    PRELOAD_CLAIM,             /* number: interface */
    PRELOAD_RELEASE,           /* number: interface */
    PRELOAD_SET_INTERFACE,     /* number: interface, length: alternate setting */
    PRELOAD_SET_CONFIGURATION, /* number: bConfigurationValue, 0 for none */
    PRELOAD_CLEAR_HALT,        /* number: endpoint address */
    PRELOAD_RESET_ENDPOINT,    /* number: endpoint address */
    PRELOAD_RESET,
    PRELOAD_GET_DRIVER, /* number: interface; the data is the name */
    PRELOAD_DETACH,     /* number: interface; takes it away from its driver */
    /* number: interface; flags: PRELOAD_IF_DRIVER, PRELOAD_EXCEPT_DRIVER, the data is that driver's
     * name. Takes it away from its driver, and claims it */
    PRELOAD_DISCONNECT_CLAIM,

    PRELOAD_ADVANCE, /* tag: nanoseconds to sleep. The reply's data is what has passed, 64 bits */
    PRELOAD_ADVANCE_POLL /* the same, ending early when something happened */
};

/* What happened to a serial port, or is asked of it. */
enum preload_tty {
    PRELOAD_TTY_OPENED,
    PRELOAD_TTY_CHANGED, /* its terminal settings, perhaps */
    PRELOAD_TTY_LINES,
    PRELOAD_TTY_SET_LINES, /* length: 1 DTR, 2 RTS */
    PRELOAD_TTY_BREAK      /* length: 1 begins, 0 ends */
};

/* In the server's folder: links PRELOAD_TTY_LINK and n to the pty of ttyACMn, and PRELOAD_PTS_LINK
 * and the pty's number to n. When the port has gone the latter stays and leads to PRELOAD_PTS_GONE.
 */
#define PRELOAD_TTY_LINK  "tty"
#define PRELOAD_PTS_LINK  "pts"
#define PRELOAD_PTS_GONE  "gone"
#define PRELOAD_TTY_MAJOR 166

enum preload_transfer_type { PRELOAD_CONTROL, PRELOAD_BULK, PRELOAD_INTERRUPT };

/* Flags of OPEN and of transfers. */
#define PRELOAD_WRITABLE     1u
#define PRELOAD_SHORT_NOT_OK 2u
#define PRELOAD_ZERO_PACKET  4u
/* DISCONNECT_CLAIM fails unless, or when, the interface has the driver named. */
#define PRELOAD_IF_DRIVER     8u
#define PRELOAD_EXCEPT_DRIVER 16u
/* OPEN: the descriptors can be read from the visible socket, by a program whose read() nobody
 * answers otherwise. */
#define PRELOAD_READABLE 32u
/* ADOPT: the connection is to have a box (box.h), which the reply carries as SCM_RIGHTS. */
#define PRELOAD_BOXED 64u
/* SUBMIT in a box: the token lies in the visible socket, for all the client knows. */
#define PRELOAD_TOKEN 128u

struct preload_request {
    uint16_t operation;
    uint16_t version; /* of a connection's first request */
    uint8_t type;
    uint8_t endpoint;
    uint16_t flags;
    uint32_t number;
    uint32_t length; /* transfers: bytes to move */
    uint64_t tag;
    uint8_t setup[8];
};

struct preload_reply {
    uint64_t tag;
    int32_t result;  /* 0 or negative errno; after -ESHUTDOWN the connection soon ends */
    uint32_t actual; /* transfers: bytes moved; the data of IN transfers follows */
};

/* The data of a reply to OPEN and ADOPT. OPEN's also carries the handle's visible socket as
 * SCM_RIGHTS. */
struct preload_handle_info {
    uint64_t inode; /* of the visible socket */
    uint32_t number;
    uint32_t speed; /* as USBDEVFS_GET_SPEED */
    uint32_t position;
    uint32_t flags; /* PRELOAD_WRITABLE */
    uint32_t descriptors_length;
    uint8_t descriptors[PRELOAD_DESCRIPTORS_MAX];
};

/*
 * Readiness. A handle's visible socket is one end of a stream pair with the smallest send buffer.
 * While a token of this size lies in it, unread by the server, it is not writable, and that is how
 * a program that polls sees "no transfer has ended". The server takes the token after it has sent
 * a reply to SUBMIT; a library that finds no reply puts it back, at the latest before the program
 * polls. The token is chosen so that the socket turns unwritable but never blocks a second one.
 */
#define PRELOAD_TOKEN_SIZE 1600

#endif
