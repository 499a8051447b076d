/*
 * Listening mode: how the running system gets into it, what it does when it leaves, and the SETUP
 * button in the running system.
 *
 * A board never gets an address, so that a system that does not listen is "connecting" for ever.
 * With a network in the air each attempt keeps the system's thread; one with none ends with the
 * scan that finds none, and does not. Source: device-os v0.4.4 system/src/system_task.cpp,
 * system_network_internal.h; v0.5.2, v2.2.0 same; both executed.
 */
#ifndef PHOTON_LISTENING_H
#define PHOTON_LISTENING_H

#include <stdbool.h>
#include <stdint.h>

struct photon;

/* A step of listening.c's. */
struct way_step;

struct listening {
    bool on;       /* the console is served, the LED toggles blue */
    bool clearing; /* the held button erases the profiles: nothing else is done meanwhile */
    const struct way_step *next; /* step on the way to another mode */
    uint64_t set_out;            /* board time from which its times count */
    uint64_t pressed;            /* board time at which SETUP was pressed */
    bool joining;                /* a network that is there, attempt after attempt */
    uint64_t attempts_began, busy_until;
};

/* The start is over: listens, or connects when there are credentials and nobody asked. */
void listening_begin(struct photon *photon, bool asked);
/* Enters listening mode at the next opportunity; nothing when it is on. */
void listening_enter(struct photon *photon);
/* Leaves it; without credentials it comes back by itself. The LED shows it `delay_ns` later.
 * Nothing when it is off. */
void listening_leave(struct photon *photon, uint64_t delay_ns);
/* The same as a control request does it: back sooner. */
void listening_leave_quickly(struct photon *photon);
/* Ends the running attempt to join a network, if there is one, as control requests do. */
void listening_cancel_attempt(struct photon *photon);
/* Board time at which the system's thread is free for what is queued for it: not while it tries to
 * join a network or starts one. */
uint64_t listening_thread_free(const struct photon *photon);
/* The LED as the present mode has it. */
void listening_led(struct photon *photon);
/* SETUP was pressed or released in the running system. */
void listening_button(struct photon *photon, bool pressed);

/* Timers */
void listening_network_step(struct photon *photon);
void listening_button_stage(struct photon *photon);

#endif
