/*
 * The other end of the usbredir link: a usb-guest, as QEMU's usb-redir is one, on a connected
 * socket. It speaks through the same library, but in the other role, and keeps what it was told
 * until the test asks for it.
 */
#ifndef TESTS_SUPPORT_GUEST_H
#define TESTS_SUPPORT_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <usbredirparser.h>

#define GUEST_PACKETS_MAX 512

/* A packet from the usb-host. */
struct guest_packet {
    uint32_t type; /* usb_redir_device_connect, ... */
    uint64_t id;
    union {
        struct usb_redir_device_connect_header device;
        struct usb_redir_interface_info_header interfaces;
        struct usb_redir_ep_info_header endpoints;
        struct usb_redir_configuration_status_header configuration;
        struct usb_redir_alt_setting_status_header alternate;
        struct usb_redir_iso_stream_status_header iso;
        struct usb_redir_interrupt_receiving_status_header receiving;
        struct usb_redir_bulk_streams_status_header streams;
        struct usb_redir_control_packet_header control;
        struct usb_redir_bulk_packet_header bulk;
        struct usb_redir_interrupt_packet_header interrupt;
    } head;
    uint8_t *data; /* the guest's; NULL when there is none */
    size_t length;
};

struct guest {
    int fd;
    struct usbredirparser *parser;
    /* Lets the other end work when there is nothing to read, until something comes; false when
     * nothing will. NULL waits for the socket, at most `patience_ms`. */
    bool (*work)(struct guest *guest);
    int patience_ms;
    bool deaf;       /* does not read */
    bool gone;       /* the other end has closed */
    unsigned errors; /* packets that the library could not read */
    struct guest_packet packets[GUEST_PACKETS_MAX];
    size_t first, count;
    struct guest_packet taken; /* the last one given out */
    uint64_t next_id;
};

/* What QEMU says it can do, and a guest that knows the first version of the protocol only. */
extern const int guest_caps_qemu[];
extern const int guest_caps_none[];

/* Takes the socket over, which must not block. `caps` ends with -1. */
bool guest_open(struct guest *guest, int fd, const int *caps);
void guest_close(struct guest *guest);
/* Sends what there is to send, as much as the socket takes. */
void guest_flush(struct guest *guest);
/* Reads what there is. */
void guest_read(struct guest *guest);
/* The next packet, valid until the next call; NULL when none comes. */
const struct guest_packet *guest_next(struct guest *guest);

/* --- requests; each returns its id --- */

uint64_t guest_control(struct guest *guest, const uint8_t setup[8], const void *data);
uint64_t guest_bulk(struct guest *guest, uint8_t endpoint, const void *data, uint32_t length);
uint64_t guest_set_configuration(struct guest *guest, uint8_t value);
uint64_t guest_set_alternate(struct guest *guest, uint8_t interface, uint8_t alternate);
void guest_reset(struct guest *guest);
void guest_cancel(struct guest *guest, uint64_t id);

#endif
