#include "usb-gadget/capture.h"

#include <errno.h>
#include <string.h>

#include "usb-gadget/urb_status.h"

#define DIRECTION_IN 0x80
/* mon_bin.c: a flag is 0 when setup packet or data are there, or says why they are not. */
#define FLAG_NO_SETUP '-'
#define FLAG_IN_LATER '<'
#define FLAG_OUT_SENT '>'
/* include/linux/usb.h */
#define URB_ZERO_PACKET 0x0040
#define URB_DIR_IN      0x0200
/* What usb_submit_urb() makes of an interrupt endpoint's interval. */
#define INTERVAL_MAX 128

_Static_assert(sizeof(pcap_usb_header_mmapped) == 64, "usbmon's head has 64 bytes");

static const uint8_t types[] = {
    [TRANSFER_CONTROL] = URB_CONTROL,
    [TRANSFER_BULK] = URB_BULK,
    [TRANSFER_INTERRUPT] = URB_INTERRUPT,
};

/* Who gives a transfer up, a program or a driver at its end, does it by usb_kill_urb(). */
static int status_of(const struct transfer *transfer, bool ended)
{
    if (!ended) {
        return -EINPROGRESS;
    }
    return transfer->status == TRANSFER_CANCELLED ? -ENOENT : urb_status(transfer, false);
}

static uint32_t flags_of(const struct transfer *transfer)
{
    return (transfer_is_in(transfer) ? URB_DIR_IN : 0u) |
           (transfer->zero_packet ? URB_ZERO_PACKET : 0u);
}

/* A power of two, no longer than asked for. */
static int32_t interval(const struct transfer *transfer)
{
    int32_t frames = INTERVAL_MAX;

    if (transfer->type != TRANSFER_INTERRUPT || transfer->interval == 0) {
        return 0;
    }
    while (frames > transfer->interval) {
        frames /= 2;
    }
    return frames;
}

static void put_setup(const struct transfer *transfer, bool ended, pcap_usb_header_mmapped *head)
{
    if (transfer->type == TRANSFER_CONTROL && !ended) {
        memcpy(&head->s.setup, transfer->setup, sizeof transfer->setup);
    } else {
        head->setup_flag = FLAG_NO_SETUP;
    }
}

/* Data are there where they have just been given: with an OUT that begins, an IN that ended. */
static void put_data(const struct transfer *transfer, bool ended, struct capture_record *record)
{
    pcap_usb_header_mmapped *head = &record->head;
    size_t length = ended ? transfer->actual : transfer_length(transfer);

    head->urb_len = (uint32_t)length;
    if (transfer_is_in(transfer) != ended) {
        head->data_flag = ended ? FLAG_OUT_SENT : FLAG_IN_LATER;
    } else if (length > 0) {
        head->data_len = (uint32_t)(length < CAPTURE_DATA_MAX ? length : CAPTURE_DATA_MAX);
        record->data = transfer->data;
    }
}

void capture_record(const struct root_port *port, const struct transfer *transfer, bool ended,
                    uint16_t bus, uint64_t id, struct capture_record *record)
{
    bool in = transfer_is_in(transfer);
    uint64_t now = port->board->now;

    *record = (struct capture_record){
        .head =
            {
                .id = id,
                .event_type = ended ? URB_COMPLETE : URB_SUBMIT,
                .transfer_type = types[transfer->type],
                .endpoint_number =
                    (uint8_t)((transfer->endpoint & ~DIRECTION_IN) | (in ? DIRECTION_IN : 0)),
                .device_address = port->address,
                .bus_id = bus,
                .ts_sec = (int64_t)(now / BOARD_NS_PER_S),
                .ts_usec = (int32_t)(now % BOARD_NS_PER_S / BOARD_NS_PER_US),
                .status = status_of(transfer, ended),
                .interval = interval(transfer),
                .xfer_flags = flags_of(transfer),
            },
    };
    put_setup(transfer, ended, &record->head);
    put_data(transfer, ended, record);
}
