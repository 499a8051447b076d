/*
 * A CDC-ACM driver over a root port: what a host's serial driver does with the interfaces of a
 * modem.
 *
 * Opened, it raises DTR and RTS, sets the line coding and keeps bulk IN transfers waiting; closed,
 * it drops the lines and stops them. Control requests go out one after the other, in order. Source:
 * USB CDC 1.2 PSTN §6.3; the order of Linux's cdc_acm.
 */
#ifndef GADGET_ACM_H
#define GADGET_ACM_H

#include "usb-gadget/root_port.h"

#define ACM_READS     2   /* bulk IN transfers that wait while the port is open */
#define ACM_READ_SIZE 512 /* bytes of one */
#define ACM_REQUESTS  16  /* control requests that may wait their turn */

/* Control lines (SET_CONTROL_LINE_STATE). */
#define ACM_DTR 1u
#define ACM_RTS 2u

/* SET_LINE_CODING's data. */
struct acm_line_coding {
    uint32_t rate;
    uint8_t stop_bits; /* 0: 1, 1: 1.5, 2: 2 */
    uint8_t parity;    /* 0 none, 1 odd, 2 even, 3 mark, 4 space */
    uint8_t data_bits;
};

struct acm;

/* What the driver tells its owner. */
struct acm_owner {
    /* Bytes from the device. Returns how many it took; acm_resume() asks for the rest again. */
    size_t (*received)(void *context, const uint8_t *data, size_t length);
    /* A write has ended; there is room again. */
    void (*writable)(void *context);
    void *context;
};

/* A control request's end. `status` as the transfer's. */
typedef void acm_done(void *context, enum transfer_status status);

/* Reads the interfaces from a configuration descriptor: the first communication interface with the
 * abstract control model and the data interface that its union names. NULL when there is none, or
 * memory is short. The port must outlive the driver. */
struct acm *acm_new(struct root_port *port, const uint8_t *config, size_t length,
                    const struct acm_owner *owner);
/* Cancels everything in flight; callbacks of control requests are called. */
void acm_free(struct acm *acm);

/* Number of the communication interface (the one whose name serial ports carry). */
uint8_t acm_interface(const struct acm *acm);
uint8_t acm_data_interface(const struct acm *acm);

/* The first open and the last close of the port. */
void acm_open(struct acm *acm, const struct acm_line_coding *coding);
void acm_close(struct acm *acm);

/* Sends the line coding; `done` may be NULL. Calls `done` at
 * once with TRANSFER_CANCELLED when too many requests are waiting. */
void acm_set_line_coding(struct acm *acm, const struct acm_line_coding *coding, acm_done *done,
                         void *context);
void acm_set_lines(struct acm *acm, unsigned lines, acm_done *done, void *context);
unsigned acm_lines(const struct acm *acm);
void acm_send_break(struct acm *acm, uint16_t duration_ms, acm_done *done, void *context);

/* Queues bytes to the device; returns how many it took (0 while a write is under way). */
size_t acm_write(struct acm *acm, const void *data, size_t length);
/* Hands bytes that the owner had not taken to it again. */
void acm_resume(struct acm *acm);

#endif
