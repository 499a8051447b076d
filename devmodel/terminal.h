/*
 * Text on its way from the console to the host: what the port's ring has no room for waits here,
 * and before 0.6.0 most of it goes out one character a millisecond.
 *
 * Whoever prints takes no more input until terminal_idle(): that bounds the memory, and it is what
 * the firmware's blocking prints amount to.
 */
#ifndef PHOTON_TERMINAL_H
#define PHOTON_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct photon;

/* More than any one answer: the module list with its braces. */
#define TERMINAL_QUEUE 2560

struct terminal {
    uint16_t head, tail;
    uint64_t pause_ends; /* board time before which nothing more is done */
    uint8_t bytes[TERMINAL_QUEUE];
    uint8_t paced[TERMINAL_QUEUE / 8]; /* one bit a byte: a pause follows it */
};

/* Console text, with the release's pauses. */
void terminal_print(struct photon *photon, const char *text);
/* Bytes without pauses. */
void terminal_write(struct photon *photon, const void *data, size_t length);
void terminal_write_text(struct photon *photon, const char *text);
/* Moves what can be moved now. True when nothing waits, and the last pause is over. */
bool terminal_idle(struct photon *photon);

#endif
