/*
 * A transfer as Linux's usbmon shows it: two records, one when it was submitted and one when it
 * ended, each a head of 64 bytes and the data that moved. They are what a capture file of link type
 * DLT_USB_LINUX_MMAPPED holds.
 *
 * Sources: Linux Documentation/usb/usbmon.rst and drivers/usb/mon/mon_bin.c, libpcap pcap/usb.h.
 */
#ifndef GADGET_CAPTURE_H
#define GADGET_CAPTURE_H

#include <pcap/usb.h>

#include "usb-gadget/root_port.h"

/* No record carries more data than this; usbmon has such a limit, too. What is longer is cut, and
 * says how long it was. */
#define CAPTURE_DATA_MAX (256 * 1024 - 64)

struct capture_record {
    pcap_usb_header_mmapped head; /* in this machine's byte order, as the format wants it */
    const uint8_t *data;          /* head.data_len bytes, the transfer's own; NULL when none */
};

/* `bus` and the port's address are where the device is; `id` ties the two records of a transfer
 * together. The time is board time, as seconds from 1970 on. */
void capture_record(const struct root_port *port, const struct transfer *transfer, bool ended,
                    uint16_t bus, uint64_t id, struct capture_record *record);

#endif
