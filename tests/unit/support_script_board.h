/*
 * A board that does what a script says: one row for each USB transaction it expects.
 *
 * A transaction that is not the next row is answered with silence and counted, so a test can ask
 * both what the host did and in what order.
 */
#ifndef TESTS_SUPPORT_SCRIPT_BOARD_H
#define TESTS_SUPPORT_SCRIPT_BOARD_H

#include "devmodel/board.h"

/* What happens to the pull-up after a row's transaction: at once, or at the end of `busy_ns`. */
enum script_then { THEN_NOTHING, THEN_DETACH, THEN_REATTACH };

struct script_row {
    enum usb_token token;
    enum usb_handshake handshake;
    uint8_t endpoint;
    const void *data; /* IN: the packet; OUT and SETUP: the packet expected, NULL for any */
    size_t length;    /* IN and OUT */
    uint64_t busy_ns; /* the board is busy from then on; BOARD_NEVER: it hangs */
    enum script_then then;
    unsigned repeat; /* further times that the row holds */
};

struct script_board {
    struct board board;
    bool attached;
    const struct script_row *rows;
    size_t count;
    size_t at;           /* next row */
    unsigned repeated;   /* times the present row held already */
    unsigned unexpected; /* transactions that were not the next row */
    unsigned bus_resets;
    /* Whatever the rows say, a SETUP is ACKed and all else NAKed; each takes a nanosecond. */
    bool naks;
    uint64_t ready;
    enum script_then pending; /* due at `ready` */
};

/* An attached board. */
void script_board_init(struct script_board *script, const struct script_row *rows, size_t count);
void script_board_attach(struct script_board *script, bool on);
/* Every row was used and nothing else was asked. */
bool script_board_finished(const struct script_board *script);

#endif
