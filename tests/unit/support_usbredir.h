/*
 * The usbredir link of one board with a guest on the other end of a socket pair, under an event
 * loop that the test turns.
 */
#ifndef TESTS_SUPPORT_USBREDIR_H
#define TESTS_SUPPORT_USBREDIR_H

#include "tests/unit/support_guest.h"
#include "tests/unit/support_script_board.h"
#include "usb-gadget/usbredir/server.h"

struct redir {
    struct event_base *base;
    struct board *board;
    struct root_port port;
    struct outlet outlet;
    struct usbredir_server *server;
    struct guest guest;
    char said[256]; /* the last line, or "" */
    unsigned lines;
    unsigned idle; /* turns since something came */
};

extern struct redir redir;

/* The board of the test, which this destroys, on a server without a listener. */
void redir_begin(struct board *board);
void redir_end(void);

/* A connected socket to the server; the test closes it. */
int redir_dial(void);
/* Opens `redir.guest`, and takes the hello. */
void redir_guest(const int *caps);
void redir_leave(void);

/* Lets everybody do what can be done now. */
void redir_turn(void);
/* Lets board time pass. */
void redir_pass(uint64_t ns);

/* The next packet, which must be of this type; board time passes, up to a few seconds, until it
 * comes. */
const struct guest_packet *redir_expect(uint32_t type);
/* Nothing more comes at the present board time. */
void redir_expect_nothing(void);
/* Endpoints, interfaces and the device, which is returned. */
struct usb_redir_device_connect_header redir_expect_device(void);
/* A control transfer to its end; its status, with `*actual` bytes in `data`. */
uint8_t redir_control(const uint8_t setup[8], void *data, size_t *actual);
/* What a guest's host does first: reset, device descriptor, configuration 1. */
void redir_enumerate(void);

/* A scripted board with an interrupt endpoint (0x82, 8 bytes) and two for bulk (0x01, 0x81), which
 * has answered the questions of a host by the time that the guest knows it. Afterwards it answers
 * SETUPs with ACK and all else with NAK, until the test gives it other rows. */
extern struct script_board redir_script;
void redir_begin_script(void);
void redir_play(const struct script_row *rows, size_t count);

#endif
