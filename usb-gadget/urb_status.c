#include "usb-gadget/urb_status.h"

#include <errno.h>

static const int results[] = {
    [TRANSFER_OK] = 0,
    [TRANSFER_STALL] = -EPIPE,
    [TRANSFER_PROTOCOL_ERROR] = -EPROTO,
    [TRANSFER_CANCELLED] = -ECONNRESET,
    [TRANSFER_NO_DEVICE] = -ESHUTDOWN,
    [TRANSFER_TIMEOUT] = -ETIMEDOUT,
    [TRANSFER_BABBLE] = -EOVERFLOW,
};

int urb_status(const struct transfer *transfer, bool short_is_wrong)
{
    if (transfer->status == TRANSFER_OK && short_is_wrong && transfer->actual < transfer->length) {
        return -EREMOTEIO;
    }
    return results[transfer->status];
}
