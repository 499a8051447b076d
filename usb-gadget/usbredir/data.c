/* Data packets: control, bulk and interrupt OUT transfers, and their cancellation. */
#include <string.h>

#include "usb-gadget/usbredir/peer.h"

#define ENDPOINT_IN     0x80
#define ENDPOINT_NUMBER 0x7F

/* The header of a data packet, which comes back with its answer. */
union head {
    struct usb_redir_control_packet_header control;
    struct usb_redir_bulk_packet_header bulk;
    struct usb_redir_interrupt_packet_header interrupt;
};

/* Answers the packet that had `head`; `data` is NULL for OUT. */
typedef void send_answer(struct usbredir_peer *peer, uint64_t id, union head *head, uint8_t status,
                         uint8_t *data, size_t actual);

struct data_flight {
    struct flight flight;
    union head head;
    send_answer *answer;
};

/* The protocol has no word for a device that is gone: its loss is told instead. */
uint8_t peer_status(enum transfer_status status)
{
    static const uint8_t statuses[] = {
        [TRANSFER_OK] = usb_redir_success,
        [TRANSFER_STALL] = usb_redir_stall,
        [TRANSFER_PROTOCOL_ERROR] = usb_redir_ioerror,
        [TRANSFER_CANCELLED] = usb_redir_cancelled,
        [TRANSFER_NO_DEVICE] = PEER_NO_ANSWER,
        [TRANSFER_TIMEOUT] = usb_redir_timeout,
        [TRANSFER_BABBLE] = usb_redir_babble,
    };

    return statuses[status];
}

/* --- answers --- */

static void answer_control(struct usbredir_peer *peer, uint64_t id, union head *head,
                           uint8_t status, uint8_t *data, size_t actual)
{
    head->control.status = status;
    head->control.length = (uint16_t)actual;
    usbredirparser_send_control_packet(peer->parser, id, &head->control, data,
                                       data != NULL ? (int)actual : 0);
}

static void answer_bulk(struct usbredir_peer *peer, uint64_t id, union head *head, uint8_t status,
                        uint8_t *data, size_t actual)
{
    head->bulk.status = status;
    head->bulk.length = (uint16_t)actual;
    head->bulk.length_high = (uint16_t)(actual >> 16);
    usbredirparser_send_bulk_packet(peer->parser, id, &head->bulk, data,
                                    data != NULL ? (int)actual : 0);
}

static void answer_interrupt(struct usbredir_peer *peer, uint64_t id, union head *head,
                             uint8_t status, uint8_t *data, size_t actual)
{
    head->interrupt.status = status;
    head->interrupt.length = (uint16_t)actual;
    usbredirparser_send_interrupt_packet(peer->parser, id, &head->interrupt, data,
                                         data != NULL ? (int)actual : 0);
}

static void on_ended(struct flight *flight)
{
    struct data_flight *own = (struct data_flight *)flight;
    struct usbredir_peer *peer = flight->flights->owner;
    const struct transfer *transfer = &flight->transfer;
    const uint8_t status = peer_status(transfer->status);
    const bool in =
        (transfer->type == TRANSFER_CONTROL ? own->head.control.endpoint : transfer->endpoint) &
        ENDPOINT_IN;
    const size_t actual = status == usb_redir_cancelled ? 0 : transfer->actual;

    if (status != PEER_NO_ANSWER) {
        own->answer(peer, flight->tag, &own->head, status, in && actual > 0 ? transfer->data : NULL,
                    actual);
        peer_wake(peer);
    }
}

/* --- packets --- */

/* What a packet asks for. */
struct wish {
    union head head;
    send_answer *answer;
    enum transfer_type type;
    uint8_t endpoint;
    uint8_t setup[8];
    size_t length;
    bool allowed; /* such a transfer is possible at all */
};

static uint8_t start(struct usbredir_peer *peer, uint64_t id, const struct wish *wish,
                     const uint8_t *data)
{
    uint8_t status = peer_device_status(peer);

    if (status != usb_redir_success) {
        return status;
    }
    if (!wish->allowed || wish->length > USBREDIR_TRANSFER_MAX) {
        return usb_redir_inval;
    }
    struct data_flight *own =
        (struct data_flight *)flight_new(&peer->flights, sizeof *own, id, data, wish->length);
    if (own == NULL) {
        return usb_redir_ioerror;
    }
    own->head = wish->head;
    own->answer = wish->answer;
    own->flight.ended = on_ended;
    own->flight.transfer.type = wish->type;
    own->flight.transfer.endpoint = wish->endpoint;
    memcpy(own->flight.transfer.setup, wish->setup, sizeof wish->setup);
    flight_submit(&own->flight);
    return usb_redir_success;
}

static void carry_out(struct usbredir_peer *peer, uint64_t id, struct wish *wish, uint8_t *data)
{
    uint8_t status = start(peer, id, wish, data);

    if (status != usb_redir_success && status != PEER_NO_ANSWER) {
        wish->answer(peer, id, &wish->head, status, NULL, 0);
    }
    usbredirparser_free_packet_data(peer->parser, data);
}

static bool is_endpoint(const struct usbredir_peer *peer, uint8_t endpoint, uint8_t type)
{
    return (endpoint & ~(ENDPOINT_IN | 0x0F)) == 0 &&
           peer->shape.endpoints.type[usbredir_slot(endpoint)] == type;
}

static void on_control(void *context, uint64_t id, struct usb_redir_control_packet_header *head,
                       uint8_t *data, int length)
{
    const bool same_way = ((head->endpoint ^ head->requesttype) & ENDPOINT_IN) == 0;
    struct wish wish = {
        .head.control = *head,
        .answer = answer_control,
        .type = TRANSFER_CONTROL,
        .setup = {head->requesttype, head->request, (uint8_t)head->value,
                  (uint8_t)(head->value >> 8), (uint8_t)head->index, (uint8_t)(head->index >> 8),
                  (uint8_t)head->length, (uint8_t)(head->length >> 8)},
        .length = head->length,
        .allowed = (head->endpoint & ENDPOINT_NUMBER) == 0 && (same_way || head->length == 0),
    };

    (void)length; /* of the data: the library has compared it with the header */
    carry_out(context, id, &wish, data);
}

static void on_bulk(void *context, uint64_t id, struct usb_redir_bulk_packet_header *head,
                    uint8_t *data, int length)
{
    struct usbredir_peer *peer = context;
    struct wish wish = {
        .head.bulk = *head,
        .answer = answer_bulk,
        .type = TRANSFER_BULK,
        .endpoint = head->endpoint,
        .length = head->length | (size_t)head->length_high << 16,
        .allowed = is_endpoint(peer, head->endpoint, usb_redir_type_bulk) && head->stream_id == 0,
    };

    (void)length;
    carry_out(peer, id, &wish, data);
}

/* OUT only: the library takes no other from a client. */
static void on_interrupt(void *context, uint64_t id, struct usb_redir_interrupt_packet_header *head,
                         uint8_t *data, int length)
{
    struct usbredir_peer *peer = context;
    struct wish wish = {
        .head.interrupt = *head,
        .answer = answer_interrupt,
        .type = TRANSFER_INTERRUPT,
        .endpoint = head->endpoint,
        .length = head->length,
        .allowed = is_endpoint(peer, head->endpoint, usb_redir_type_interrupt),
    };

    (void)length;
    carry_out(peer, id, &wish, data);
}

/* --- cancelling --- */

/* What is not in flight any more has been answered. */
static void on_cancel(void *context, uint64_t id)
{
    struct usbredir_peer *peer = context;
    struct flight *flight = flights_find(&peer->flights, id);

    if (flight != NULL) {
        flight_cancel(flight);
    }
}

static struct flight *find_on_interface(const struct usbredir_peer *peer, unsigned interface)
{
    struct flight *flight;

    TAILQ_FOREACH(flight, &peer->flights.list, entry)
    {
        unsigned slot = usbredir_slot(flight->transfer.endpoint);
        if (flight->transfer.type != TRANSFER_CONTROL &&
            (interface == PEER_EVERY_INTERFACE ||
             peer->shape.endpoints.interface[slot] == interface)) {
            return flight;
        }
    }
    return NULL;
}

void peer_cancel_interface(struct usbredir_peer *peer, unsigned interface)
{
    struct flight *flight;

    while ((flight = find_on_interface(peer, interface)) != NULL) {
        flight_cancel(flight);
    }
}

void peer_data_callbacks(struct usbredirparser *parser)
{
    parser->control_packet_func = on_control;
    parser->bulk_packet_func = on_bulk;
    parser->interrupt_packet_func = on_interrupt;
    parser->cancel_data_packet_func = on_cancel;
}
