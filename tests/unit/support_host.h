/*
 * A USB host at the level of tokens: control transfers on a board's pins, stage by stage.
 *
 * Independent of the root port, so that the tests of the board do not rest on what they are to
 * carry. A NAK moves board time to when the board is ready; a NAK of a board that is ready, or
 * never will be, is the device's last word.
 */
#ifndef TESTS_SUPPORT_HOST_H
#define TESTS_SUPPORT_HOST_H

#include "devmodel/board.h"

/* Room for the longest upload the tests ask for and the packet that may follow it. */
#define HOST_DATA_MAX (8192 + BOARD_USB_PACKET)
/* The longest text of host_transcript(). */
#define HOST_TRANSCRIPT_MAX 2048
/* SETUP, that data in packets, status. */
#define HOST_TOKENS_MAX (2 + HOST_DATA_MAX / BOARD_USB_PACKET)

enum host_stage { HOST_SETUP, HOST_DATA, HOST_STATUS };

/* How the last token ended; BABBLE: more data than asked for. */
enum host_end { HOST_ACK, HOST_NAK, HOST_STALL, HOST_SILENT, HOST_BABBLE };

/* A token with all its repetitions. */
struct host_token {
    enum usb_token kind;
    enum host_end end;
    unsigned naks;
    size_t length; /* bytes taken or given */
    uint64_t time; /* of the end */
};

struct host_transfer {
    enum host_stage stage; /* the last one tried */
    enum host_end end;
    uint8_t data[HOST_DATA_MAX]; /* IN */
    size_t length;
    uint64_t started, ended;
    struct host_token tokens[HOST_TOKENS_MAX];
    size_t token_count;
};

const char *host_end_name(enum host_end end);
/* "SETUP 8 ACK (0 NAK, 0.018 ms), IN 0 ACK (...)"; valid until the next call. */
const char *host_transcript(const struct host_transfer *transfer);

void host_setup_packet(uint8_t packet[8], uint8_t request_type, uint8_t request, uint16_t value,
                       uint16_t index, uint16_t length);
/* One control transfer. `sent` bytes of OUT data go out even when the packet announces more; then
 * the transfer ends after the data stage. No token is tried `patience` after the start
 * (BOARD_NEVER: as long as the board is merely busy). */
void host_control(struct board *board, const uint8_t packet[8], const void *out, size_t sent,
                  uint64_t patience, struct host_transfer *transfer);

/* What a hub driver does with an attached device: bus reset, SET_ADDRESS(5), SET_CONFIGURATION(1).
 */
bool host_enumerate(struct board *board);

/* Shorthand for tests written in C: true when the transfer completed with exactly these bytes. */
bool host_out(struct board *board, uint8_t request_type, uint8_t request, uint16_t value,
              const void *data, uint16_t length);
bool host_in(struct board *board, uint8_t request_type, uint8_t request, uint16_t value, void *data,
             uint16_t length);

#endif
