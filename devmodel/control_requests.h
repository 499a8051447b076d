/*
 * What the running system does on a control request, by its type and the installed release. The
 * service protocol brings requests here; raw requests share the restarts. Source: device-os
 * v0.8.0-rc.10 to v2.3.1 system/src/control/, system_control_internal.cpp; 1.5.0 and 2.2.0 asked
 * every request.
 */
#ifndef PHOTON_CONTROL_REQUESTS_H
#define PHOTON_CONTROL_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct photon;

/* Results (device-os services/inc/system_error.h). */
enum control_result {
    CONTROL_OK = 0,
    CONTROL_INVALID_MODULE = 1, /* before 2.0 all that a refused update says */
    CONTROL_HAL_NO_DATA = -1,
    CONTROL_HAL_NO_FEATURE = -1,
    CONTROL_UNKNOWN = -100,
    CONTROL_NOT_SUPPORTED = -120,
    CONTROL_NOT_FOUND = -170,
    CONTROL_TOO_LARGE = -190,
    CONTROL_INVALID_STATE = -210,
    CONTROL_IO = -220,
    CONTROL_NO_MEMORY = -260,
    CONTROL_INVALID_ARGUMENT = -270,
    CONTROL_BAD_DATA = -280,
    CONTROL_OUT_OF_RANGE = -290,
    CONTROL_MODULE_NOT_FOUND = -1300,
    CONTROL_MODULE_INTEGRITY = -1330,
    CONTROL_MODULE_DEPENDENCY = -1340,
    CONTROL_MODULE_ADDRESS = -1350,
    CONTROL_MODULE_PLATFORM = -1360,
    CONTROL_MODULE_NOT_STORED = -1390
};

/* The longest payload or reply. The real limit is the free heap; here it is a choice that holds an
 * update's chunk, the longest key and the module list with room to spare. */
#define CONTROL_PAYLOAD_MAX 2048

struct control_message {
    uint16_t size;
    uint8_t data[CONTROL_PAYLOAD_MAX];
};

/* Ways to end the running system. */
enum control_restart {
    RESTART_RESET,
    RESTART_FACTORY_RESET,
    RESTART_DFU,
    RESTART_SAFE_MODE,
    RESTART_SAFE_LISTENING, /* 0.6: listening mode is only reached through safe mode */
    RESTART_UPDATED
};

/* What outlives one request. */
struct control_session {
    bool announced; /* the request under way ends in a restart */
    enum control_restart announcement;
    enum control_restart restart; /* at TIMER_RESTART */
    struct {
        bool active;
        bool lit;
        uint32_t size, received;
    } update;
};

/* Does the request and fills the reply, which may not be the request; any `type`. Returns a
 * control_result. The CPU may be lost or reset afterwards. */
int32_t control_request_run(struct photon *photon, uint16_t type,
                            const struct control_message *request, struct control_message *reply);
/* A host has handed in a request without a payload. True when the USB interrupt itself has made way
 * for it: the system's thread is free sooner. */
bool control_request_makes_way(struct photon *photon, uint16_t type);
/* How long the system works on a request beside its flash operations. */
uint64_t control_request_time(const struct photon *photon, uint16_t type);

/* The CPU restarts now. */
void control_request_restart(struct photon *photon, enum control_restart restart);
/* The host has taken the result of a request that announced this. The first one counts. */
void control_request_restart_later(struct photon *photon, enum control_restart restart);
/* TIMER_RESTART ran down: a request's answer had its second to leave. */
void control_request_restart_due(struct photon *photon);

/* Starts or ends listening mode without a restart. */
void control_request_listen(struct photon *photon, bool on);

#endif
