/*
 * The events of a board as lines for people: board time in ms, and what happened in the field's
 * words. The transactions of a control transfer make one line, written when the transfer is over.
 */
#ifndef VPHOTON_TRACE_H
#define VPHOTON_TRACE_H

#include <stdio.h>

#include "devmodel/board.h"

/* One stage of the control transfer being told. */
struct trace_stage {
    bool begun, ended;
    enum usb_handshake handshake; /* the last one that was no NAK */
    bool answered;                /* there was one */
    unsigned naks, packets, silences;
    uint64_t first_nak, answered_at;
    size_t bytes;
    uint8_t head[16]; /* first data bytes */
};

struct trace {
    FILE *out;        /* NULL: say nothing */
    const char *name; /* of the board; NULL with only one */

    /* the control transfer under way */
    bool open, detached;
    uint64_t time;
    uint8_t setup[8];
    enum usb_handshake setup_handshake;
    struct trace_stage data, status;

    /* programmed words that lie side by side become one line */
    uint64_t program_time;
    uint32_t program_address, program_length;
};

void trace_event(struct trace *trace, const struct board_event *event);
/* Writes what is still held back. */
void trace_flush(struct trace *trace);

/* "yellow, toggles every 100 ms", "off". */
void trace_led_words(const struct led *led, char *text, size_t size);

#endif
