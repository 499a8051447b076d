/*
 * How a transfer ended, as Linux' URBs say it: 0 or a negative errno (Documentation/driver-api/usb/
 * error-codes.rst).
 */
#ifndef GADGET_URB_STATUS_H
#define GADGET_URB_STATUS_H

#include "usb-gadget/root_port.h"

/* `short_is_wrong`: an IN transfer that brought less than asked for is an error
 * (URB_SHORT_NOT_OK). CANCELLED is as by a kernel that unlinks asynchronously. */
int urb_status(const struct transfer *transfer, bool short_is_wrong);

#endif
