/* Interrupt IN endpoints, which this side polls for as long as the peer wants to hear of them. */
#include "usb-gadget/usbredir/peer.h"

#define ENDPOINT_NUMBER 0x0F

static void send_status(struct usbredir_peer *peer, uint64_t id, uint8_t endpoint, uint8_t status)
{
    struct usb_redir_interrupt_receiving_status_header head = {.status = status,
                                                               .endpoint = endpoint};

    usbredirparser_send_interrupt_receiving_status(peer->parser, id, &head);
}

static void on_ended(struct flight *flight)
{
    struct usbredir_peer *peer = flight->flights->owner;
    struct transfer *transfer = &flight->transfer;
    struct receiving *receiving = &peer->receiving[transfer->endpoint & ENDPOINT_NUMBER];
    uint8_t status = peer_status(transfer->status);

    receiving->in_flight = false;
    if (status == PEER_NO_ANSWER || !receiving->started) {
        return;
    }
    if (status == usb_redir_success) {
        struct usb_redir_interrupt_packet_header head = {
            .endpoint = transfer->endpoint, .status = status, .length = (uint16_t)transfer->actual};
        usbredirparser_send_interrupt_packet(peer->parser, receiving->next_id++, &head,
                                             transfer->data, (int)transfer->actual);
    } else {
        /* Whatever it was: "stall" says that nothing more comes without a new start. */
        receiving->started = false;
        send_status(peer, 0, transfer->endpoint, usb_redir_stall);
    }
    peer_wake(peer);
}

/* False when the budget does not allow it now. */
static bool poll_endpoint(struct usbredir_peer *peer, uint8_t endpoint)
{
    const struct usb_redir_ep_info_header *endpoints = &peer->shape.endpoints;
    const uint16_t packet = endpoints->max_packet_size[usbredir_slot(endpoint)];
    struct flight *flight = flight_new(&peer->flights, sizeof *flight, 0, NULL, packet);

    if (flight == NULL) {
        return false; /* at the peer's next turn, when something of its own has ended */
    }
    peer->receiving[endpoint & ENDPOINT_NUMBER].in_flight = true;
    flight->anonymous = true;
    flight->ended = on_ended;
    flight->transfer.type = TRANSFER_INTERRUPT;
    flight->transfer.endpoint = endpoint;
    flight->transfer.interval = endpoints->interval[usbredir_slot(endpoint)];
    flight_submit(flight);
    return true;
}

bool peer_interrupt_run(struct usbredir_peer *peer)
{
    bool again = false;

    for (uint8_t number = 0; number < 16 && peer->state == PEER_CONNECTED; number++) {
        const struct receiving *receiving = &peer->receiving[number];
        if (receiving->started && !receiving->in_flight &&
            root_port_still(peer->port, peer->generation)) {
            again |= poll_endpoint(peer, 0x80 | number) && !receiving->in_flight;
        }
    }
    return again;
}

static void on_start(void *context, uint64_t id,
                     struct usb_redir_start_interrupt_receiving_header *head)
{
    struct usbredir_peer *peer = context;
    struct receiving *receiving = &peer->receiving[head->endpoint & ENDPOINT_NUMBER];
    const uint8_t type = peer->shape.endpoints.type[usbredir_slot(head->endpoint)];
    uint8_t status = peer_device_status(peer);

    if (status == PEER_NO_ANSWER) {
        return;
    }
    if (status == usb_redir_success && (type != usb_redir_type_interrupt || receiving->started)) {
        status = usb_redir_inval;
    }
    if (status == usb_redir_success) {
        *receiving = (struct receiving){.started = true, .in_flight = receiving->in_flight};
    }
    send_status(peer, id, head->endpoint, status);
}

static void on_stop(void *context, uint64_t id,
                    struct usb_redir_stop_interrupt_receiving_header *head)
{
    struct usbredir_peer *peer = context;
    struct flight *flight;

    peer->receiving[head->endpoint & ENDPOINT_NUMBER].started = false;
    TAILQ_FOREACH(flight, &peer->flights.list, entry)
    {
        if (flight->ended == on_ended && flight->transfer.endpoint == head->endpoint) {
            flight_cancel(flight);
            break;
        }
    }
    send_status(peer, id, head->endpoint, usb_redir_success);
}

void peer_interrupt_callbacks(struct usbredirparser *parser)
{
    parser->start_interrupt_receiving_func = on_start;
    parser->stop_interrupt_receiving_func = on_stop;
}
