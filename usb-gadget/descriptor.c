#include "usb-gadget/descriptor.h"

/* Type and length, which every descriptor has. */
#define HEAD 2

static size_t least_length(uint8_t type)
{
    switch (type) {
    case DESCRIPTOR_INTERFACE:
        return 9;
    case DESCRIPTOR_ENDPOINT:
        return 7;
    case DESCRIPTOR_CS_INTERFACE:
        return 3;
    default:
        return HEAD;
    }
}

const uint8_t *descriptor_next(const uint8_t *config, size_t length, const uint8_t *at)
{
    const uint8_t *end = config + length;

    at = at == NULL ? config : at + at[0];
    while (end - at >= HEAD && at[0] >= HEAD && at[0] <= end - at) {
        if (at[0] >= least_length(at[DESCRIPTOR_TYPE])) {
            return at;
        }
        at += at[0];
    }
    return NULL;
}
