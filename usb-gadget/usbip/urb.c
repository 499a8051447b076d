#include <errno.h>
#include <string.h>

#include "usb-gadget/urb_status.h"
#include "usb-gadget/usbip/link.h"

#define ENDPOINT_IN  0x80
#define ENDPOINTS    16
#define SETUP_LENGTH 6

/* SET_FEATURE(PORT_RESET) of a hub's port: how a client says that it resets the device. */
static const uint8_t port_reset[4] = {0x23, 0x03, 0x04, 0x00};

/* A transfer of the client. */
struct urb {
    struct flight flight;
    struct usbip_connection *connection;
    struct usbip_header header;
};

static struct urb *urb_of(struct flight *flight)
{
    return (struct urb *)flight; /* its first member */
}

/* --- returns --- */

static void return_submit(struct usbip_connection *connection, const struct usbip_header *command,
                          int status, size_t actual)
{
    uint8_t bytes[USBIP_HEADER_SIZE];

    usbip_header_put(bytes, &(struct usbip_header){
                                .code = USBIP_RETURN_SUBMIT,
                                .seqnum = command->seqnum,
                                .status = status,
                                .actual = (uint32_t)actual,
                                /* The document wants -1, Linux sends 0 and would get 0. */
                                .packets = usbip_is_iso(command) ? 0 : command->packets,
                            });
    usbip_send(connection, bytes, sizeof bytes);
}

static void return_unlink(struct usbip_connection *connection, const struct usbip_header *command,
                          int status)
{
    uint8_t bytes[USBIP_HEADER_SIZE];

    usbip_header_put(bytes, &(struct usbip_header){.code = USBIP_RETURN_UNLINK,
                                                   .seqnum = command->seqnum,
                                                   .status = status});
    usbip_send(connection, bytes, sizeof bytes);
}

static void on_end(struct flight *flight)
{
    const struct urb *urb = urb_of(flight);
    const struct transfer *transfer = &flight->transfer;
    const bool in = urb->header.direction == 1;

    /* Of a device that went, the client learns by the end of the connection. */
    if (transfer->status == TRANSFER_NO_DEVICE) {
        return;
    }
    const bool short_is_wrong = in && (urb->header.flags & USBIP_SHORT_NOT_OK);
    return_submit(urb->connection, &urb->header, urb_status(transfer, short_is_wrong),
                  transfer->actual);
    if (in) {
        usbip_send(urb->connection, transfer->data, transfer->actual);
    }
}

/* --- submitting --- */

static bool is_port_reset(const struct usbip_header *header)
{
    return header->endpoint == 0 && memcmp(header->setup, port_reset, sizeof port_reset) == 0;
}

/* The protocol does not say; only interrupt transfers come with an interval. */
static enum transfer_type type_of(const struct usbip_header *header)
{
    if (header->endpoint == 0) {
        return TRANSFER_CONTROL;
    }
    return header->interval > 0 ? TRANSFER_INTERRUPT : TRANSFER_BULK;
}

static struct flight *urb_new(struct usbip_connection *connection,
                              const struct usbip_header *header)
{
    /* Its buffer is cleared: what an IN transfer gives back is never somebody else's. */
    struct flight *flight = header->length > USBIP_TRANSFER_MAX
                                ? NULL
                                : flight_new(&connection->flights, sizeof(struct urb),
                                             header->seqnum, NULL, header->length);

    if (flight == NULL) {
        return NULL;
    }
    struct urb *urb = urb_of(flight);
    struct transfer *transfer = &flight->transfer;
    urb->connection = connection;
    urb->header = *header;
    flight->ended = on_end;
    transfer->type = type_of(header);
    transfer->interval = (uint8_t)(header->interval < UINT8_MAX ? header->interval : UINT8_MAX);
    transfer->endpoint = (uint8_t)header->endpoint;
    if (header->endpoint != 0) {
        transfer->endpoint |= header->direction == 1 ? ENDPOINT_IN : 0;
        transfer->zero_packet = header->direction == 0 && (header->flags & USBIP_ZERO_PACKET);
    }
    memcpy(transfer->setup, header->setup, sizeof transfer->setup);
    return flight;
}

void usbip_transfer(struct usbip_connection *connection, struct flight *flight)
{
    struct outlet *outlet = connection->outlet;
    const struct usbip_header *header = &urb_of(flight)->header;

    if (!root_port_still(outlet->port, connection->generation)) {
        flight_free(flight);
    } else if (is_port_reset(header)) {
        (void)outlet_reset(outlet);
        return_submit(connection, header, 0, 0);
        flight_free(flight);
    } else {
        flight_submit(flight);
    }
}

/* A control transfer's setup packet says the direction, too. */
static bool is_contradiction(const struct usbip_header *header)
{
    const bool has_data = header->setup[SETUP_LENGTH] != 0 || header->setup[SETUP_LENGTH + 1] != 0;
    const bool in = (header->setup[0] & ENDPOINT_IN) != 0;

    return header->endpoint == 0 && has_data && header->length > 0 &&
           in != (header->direction == 1);
}

static void submit(struct usbip_connection *connection, const struct usbip_header *header)
{
    const uint64_t payload = usbip_payload(header);
    const bool wrong = usbip_is_iso(header) || is_contradiction(header);
    struct flight *flight = wrong ? NULL : urb_new(connection, header);

    if (flight == NULL) {
        connection->skip = payload;
        return_submit(connection, header, wrong ? -EINVAL : -ENOMEM, 0);
    } else if (payload > 0) {
        connection->filling = flight;
        connection->have = 0;
        connection->stage = USBIP_STAGE_DATA;
    } else {
        usbip_transfer(connection, flight);
    }
}

static void unlink_urb(struct usbip_connection *connection, const struct usbip_header *header)
{
    /* Brought to the present first, it may have ended by itself. */
    if (!root_port_still(connection->outlet->port, connection->generation)) {
        return;
    }
    struct flight *flight = flights_find(&connection->flights, header->victim);
    if (flight != NULL) {
        flight->ended = NULL; /* this is the answer to both */
        flight_cancel(flight);
    }
    return_unlink(connection, header, flight != NULL ? -ECONNRESET : 0);
}

bool usbip_command(struct usbip_connection *connection, const struct usbip_header *header)
{
    if (header->devid != usbip_device_id(connection->outlet) || header->direction > 1 ||
        header->endpoint >= ENDPOINTS) {
        return false;
    }
    switch (header->code) {
    case USBIP_SUBMIT:
        /* A length is an int in Linux. */
        if (header->length > INT32_MAX) {
            return false;
        }
        submit(connection, header);
        return true;
    case USBIP_UNLINK:
        unlink_urb(connection, header);
        return true;
    default:
        return false;
    }
}
