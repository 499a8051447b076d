/*
 * Raw control requests, bRequest 0x50: all that 0.6.0 to 0.7.0 have, and what later releases kept
 * of them. wIndex is the type. Source: device-os v0.6.0, v0.6.4, v0.7.0
 * system/src/system_control.cpp; v2.2.0 tried on the real system.
 */
#ifndef PHOTON_CONTROL_RAW_H
#define PHOTON_CONTROL_RAW_H

#include "control_requests.h"

struct usb_setup;

#define CONTROL_RAW 0x50 /* bRequest */

enum raw_state {
    RAW_NOTHING,  /* or it failed */
    RAW_RECEIVES, /* its data stage is under way */
    RAW_WAITS,    /* for the system's thread */
    RAW_DONE      /* the reply can be fetched */
};

/* The one request that may be queued. */
struct control_raw {
    enum raw_state state;
    uint16_t type, value;
    struct control_message reply;
};

/* A vendor request to the device with bRequest 0x50; false: STALL. */
bool control_raw_setup(struct photon *photon, const struct usb_setup *setup);
/* The end of an OUT data stage. Nobody reads the data: they are for applications. */
void control_raw_received(struct photon *photon);
/* TIMER_CONTROL ran down: the system's thread has come round. */
void control_raw_work(struct photon *photon);

#endif
