/*
 * The service protocol of 0.8.0 and later: control requests that a host hands in, asks about and
 * fetches with five short vendor requests. Source: device-os v0.8.0-rc.10, v1.5.0, v2.2.0
 * system/src/usb_control_request_channel.cpp; every branch tried on 2.2.0.
 *
 * Up to four requests are in the works. The USB interrupt takes them and answers at once; the
 * system's thread (TIMER_CONTROL) finds memory for the larger ones and does what they ask, one
 * after the other.
 */
#ifndef PHOTON_CONTROL_SERVICE_H
#define PHOTON_CONTROL_SERVICE_H

#include "control_requests.h"

struct usb_setup;

#define CONTROL_REQUESTS 4

enum control_state {
    CONTROL_FREE,
    CONTROL_NEEDS_MEMORY, /* for its payload */
    CONTROL_HAS_NO_MEMORY,
    CONTROL_RECEIVES,
    CONTROL_WAITS, /* for the system's thread */
    CONTROL_DONE
};

struct control_request {
    enum control_state state;
    uint16_t id, type;
    uint16_t size;   /* of the payload, as announced */
    uint16_t moved;  /* bytes of payload received or of reply fetched */
    uint32_t ticket; /* the system's thread takes the lowest first */
    int32_t result;
    bool restarts; /* the board, once the host knows the result */
    enum control_restart restart;
    struct control_message message; /* the payload, later the reply */
};

struct control_service {
    struct control_request requests[CONTROL_REQUESTS];
    uint16_t last_id;
    uint32_t tickets;
};

/* A vendor request to the device; false: STALL. */
bool control_service_setup(struct photon *photon, const struct usb_setup *setup);
/* One packet of SEND's data, and its end. */
void control_service_data(struct photon *photon, const uint8_t *data, size_t length);
void control_service_received(struct photon *photon);
/* The host took the last byte that RECV gives. */
void control_service_sent(struct photon *photon);
/* TIMER_CONTROL ran down: the system's thread has come round. */
void control_service_work(struct photon *photon);

#endif
