/*
 * The YMODEM receiver, as the firmware has it: no initial C, CRCs read and not looked at, whole
 * packets stored in the OTA slot. Source: device-os v0.4.4 system/src/system_ymodem.cpp,
 * system_update.cpp; v0.5.2, v0.7.0, v2.2.0 same; 0.5.2 and 2.2.0 recorded byte for byte.
 */
#ifndef PHOTON_YMODEM_H
#define PHOTON_YMODEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct photon;

#define YMODEM_HEADER     3
#define YMODEM_DATA_MAX   1024
#define YMODEM_PACKET_MAX (YMODEM_HEADER + YMODEM_DATA_MAX + 2)
#define YMODEM_NAME_MAX   256

enum ymodem_stage {
    YMODEM_PACKETS, /* waits for bytes */
    YMODEM_SETTLES, /* the file is there; a second passes */
    YMODEM_RESTARTS /* the update is finished; a little later the board resets */
};

struct ymodem {
    bool active;
    bool deaf; /* its stream leads nowhere: takes nothing, says nothing */
    enum ymodem_stage stage;
    bool cancelling;   /* one CAN has arrived */
    bool begun;        /* a packet with the right number has arrived */
    bool in_file;      /* the header has arrived, EOT has not */
    uint8_t sequence;  /* expected next */
    uint8_t errors;    /* in a row */
    uint16_t expected; /* bytes of the packet under way, 0: none */
    uint16_t received;
    uint8_t packet[YMODEM_PACKET_MAX];
    uint32_t size;   /* as the header says; above INT32_MAX a failure */
    uint32_t offset; /* stored so far */
    bool lit;        /* LED magenta */
    char name[YMODEM_NAME_MAX + 1];
};

/* Receives from now on. */
void ymodem_begin(struct photon *photon, bool deaf);
/* Takes the next byte. False when there is none, or it is not the time for it. */
bool ymodem_step(struct photon *photon);
/* Its timer: a byte is missing, or a pause is over. */
void ymodem_timer(struct photon *photon);

#endif
