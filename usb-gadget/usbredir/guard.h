/*
 * A guard before the protocol library: it sees the bytes of a peer's packets first.
 *
 * libusbredirparser takes memory for whatever length a packet's header announces, up to 128 MiB,
 * and any packet before the hello. Source: usb-redirection-protocol 0.7, "Basic packet structure".
 */
#ifndef GADGET_USBREDIR_GUARD_H
#define GADGET_USBREDIR_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest transfer that is taken, and the longest packet: with the header of its type. */
#define USBREDIR_TRANSFER_MAX ((size_t)1 << 20)
#define USBREDIR_PACKET_MAX   (USBREDIR_TRANSFER_MAX + 64)

#define GUARD_FAULT_MAX       160

struct guard {
    uint8_t header[16];
    size_t have;   /* bytes of the header of the present packet */
    uint32_t left; /* bytes after it that are still to come */
    bool greeted;  /* the hello has begun */
};

/* Between two packets? */
bool guard_is_between(const struct guard *guard);
/* The next bytes, of one packet only. `wide`: both sides agreed on 64-bit ids. False, with a
 * sentence in `fault`, when they are not to be given to the library. */
bool guard_pass(struct guard *guard, const uint8_t *bytes, size_t count, bool wide,
                char fault[GUARD_FAULT_MAX]);

#endif
