/*
 * The box: memory that a program and the server share, for one transfer at a time.
 *
 * Programs mostly ask for a control transfer, wait for it, and ask for the next. While both ends
 * are awake for each other (vigil.h) that goes through here, without the system: four system calls
 * fewer a transfer. Everything else goes over the connection that the box belongs to.
 *
 * `turn` is the number of a request and what became of it. The client writes a request and sets
 * BOX_ASKED; the server takes each number once, writes the reply and sets BOX_ANSWERED. A client
 * that stops looking sets BOX_LATE, and the reply comes over the connection. Both of the latter
 * replace BOX_ASKED only, so one of them wins. `attended` is set while the server looks at `turn`
 * before it sleeps; a client that finds it cleared after it asked must knock (PRELOAD_KNOCK).
 *
 * The client may write whatever it likes, at any time; the server believes its copy only. It made
 * the memory and sealed its size, so that nothing it touches can go away.
 */
#ifndef GADGET_PRELOAD_BOX_H
#define GADGET_PRELOAD_BOX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "usb-gadget/preload/protocol.h"

#define BOX_FREE     0u
#define BOX_ASKED    1u
#define BOX_LATE     2u
#define BOX_ANSWERED 3u

struct preload_box {
    _Atomic uint32_t turn;
    _Atomic uint32_t attended;
    /* Processors plus one: where the client last asked, and where the server last answered. Two on
     * one cannot stay awake for each other. */
    _Atomic uint32_t client_cpu, server_cpu;
    struct preload_request request; /* a SUBMIT */
    struct preload_reply reply;
    uint8_t data[PRELOAD_DATA_MAX]; /* of the one or of the other */
};

static inline uint32_t box_turn(uint32_t number, uint32_t state)
{
    return number << 2 | state;
}

static inline uint32_t box_number(uint32_t turn)
{
    return turn >> 2;
}

static inline uint32_t box_state(uint32_t turn)
{
    return turn & 3u;
}

/* Asked becomes answered or late. False when the other end was first. */
static inline bool box_settle(struct preload_box *box, uint32_t number, uint32_t state)
{
    uint32_t asked = box_turn(number, BOX_ASKED);

    return atomic_compare_exchange_strong(&box->turn, &asked, box_turn(number, state));
}

/* Between two looks. */
static inline void box_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
