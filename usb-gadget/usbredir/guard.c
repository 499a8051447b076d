#include "usb-gadget/usbredir/guard.h"

#include <stdio.h>
#include <string.h>
#include <usbredirparser.h>

/* Type and length, then an id of 4 or 8 bytes. */
#define LENGTH_AT   4
#define HEADER      12
#define WIDE_HEADER 16

static uint32_t u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool check(struct guard *guard, char fault[GUARD_FAULT_MAX])
{
    const uint32_t type = u32(guard->header);
    const uint32_t length = u32(guard->header + LENGTH_AT);

    if ((type == usb_redir_hello) == guard->greeted) {
        snprintf(fault, GUARD_FAULT_MAX,
                 guard->greeted ? "a second hello" : "a packet of type %u found, a hello expected",
                 type);
        return false;
    }
    if (length > USBREDIR_PACKET_MAX) {
        snprintf(fault, GUARD_FAULT_MAX,
                 "a packet of type %u with %u bytes found, at most %zu expected", type, length,
                 USBREDIR_PACKET_MAX);
        return false;
    }
    guard->greeted = true;
    guard->left = length;
    return true;
}

bool guard_is_between(const struct guard *guard)
{
    return guard->have == 0 && guard->left == 0;
}

bool guard_pass(struct guard *guard, const uint8_t *bytes, size_t count, bool wide,
                char fault[GUARD_FAULT_MAX])
{
    const size_t header = wide ? WIDE_HEADER : HEADER;

    if (guard->left > 0) {
        guard->left -= (uint32_t)count;
        return true;
    }
    memcpy(guard->header + guard->have, bytes, count);
    guard->have += count;
    if (guard->have < header) {
        return true;
    }
    guard->have = 0;
    return check(guard, fault);
}
