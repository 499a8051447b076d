/* Configurations and alternate settings: packets of their own, which the board gets as the requests
 * that they stand for. */
#include <string.h>

#include "usb-gadget/usbredir/peer.h"

#define FROM_DEVICE       0x80
#define FROM_INTERFACE    0x81
#define TO_DEVICE         0x00
#define TO_INTERFACE      0x01
#define GET_CONFIGURATION 0x08
#define SET_CONFIGURATION 0x09
#define GET_INTERFACE     0x0A
#define SET_INTERFACE     0x0B

/* A request under way: the interface it is about (0 for the device), and the value it sets. */
struct setting_flight {
    struct flight flight;
    uint8_t interface;
    uint8_t value;
};

static void answer_configuration(struct usbredir_peer *peer, uint64_t id, uint8_t status,
                                 uint8_t value)
{
    struct usb_redir_configuration_status_header head = {.status = status, .configuration = value};

    usbredirparser_send_configuration_status(peer->parser, id, &head);
}

static void answer_alternate(struct usbredir_peer *peer, uint64_t id, uint8_t status,
                             uint8_t interface, uint8_t value)
{
    struct usb_redir_alt_setting_status_header head = {
        .status = status, .interface = interface, .alt = value};

    usbredirparser_send_alt_setting_status(peer->parser, id, &head);
}

/* How a request ended; one for a value needs one. */
static uint8_t status_of(const struct flight *flight)
{
    if (flight->transfer.status == TRANSFER_OK &&
        flight->transfer.actual < flight->transfer.length) {
        return usb_redir_ioerror;
    }
    return peer_status(flight->transfer.status);
}

static uint8_t value_of(const struct setting_flight *own)
{
    return own->flight.transfer.length > 0 ? own->flight.transfer.data[0] : own->value;
}

/* --- ends --- */

static void on_configuration(struct flight *flight)
{
    const struct setting_flight *own = (const struct setting_flight *)flight;
    struct usbredir_peer *peer = flight->flights->owner;
    uint8_t status = status_of(flight);

    if (status == PEER_NO_ANSWER) {
        return;
    }
    if (status == usb_redir_success && flight->transfer.setup[1] == SET_CONFIGURATION) {
        peer->shape.configured = own->value != 0;
        memset(peer->shape.alternates, 0, sizeof peer->shape.alternates);
        peer_send_shape(peer);
    }
    answer_configuration(peer, flight->tag, status, value_of(own));
    peer_wake(peer);
}

static void on_alternate(struct flight *flight)
{
    const struct setting_flight *own = (const struct setting_flight *)flight;
    struct usbredir_peer *peer = flight->flights->owner;
    uint8_t status = status_of(flight);

    if (status == PEER_NO_ANSWER) {
        return;
    }
    if (status == usb_redir_success && flight->transfer.setup[1] == SET_INTERFACE) {
        peer->shape.alternates[own->interface] = own->value;
        peer_send_shape(peer);
    }
    answer_alternate(peer, flight->tag, status, own->interface, value_of(own));
    peer_wake(peer);
}

/* --- requests --- */

static uint8_t request(struct usbredir_peer *peer, uint64_t id, const uint8_t setup[8],
                       void (*ended)(struct flight *flight))
{
    uint8_t status = peer_device_status(peer);

    if (status != usb_redir_success) {
        return status;
    }
    struct setting_flight *own =
        (struct setting_flight *)flight_new(&peer->flights, sizeof *own, id, NULL, setup[6]);
    if (own == NULL) {
        return usb_redir_ioerror;
    }
    own->interface = setup[4];
    own->value = setup[2];
    own->flight.ended = ended;
    own->flight.transfer.type = TRANSFER_CONTROL;
    memcpy(own->flight.transfer.setup, setup, sizeof own->flight.transfer.setup);
    flight_submit(&own->flight);
    return usb_redir_success;
}

static void ask_configuration(struct usbredir_peer *peer, uint64_t id, const uint8_t setup[8])
{
    uint8_t status = request(peer, id, setup, on_configuration);

    if (status != usb_redir_success && status != PEER_NO_ANSWER) {
        answer_configuration(peer, id, status, 0);
    }
}

static void ask_alternate(struct usbredir_peer *peer, uint64_t id, const uint8_t setup[8])
{
    uint8_t status = setup[4] < USBREDIR_SLOTS ? request(peer, id, setup, on_alternate)
                                               : (uint8_t)usb_redir_inval;

    if (status != usb_redir_success && status != PEER_NO_ANSWER) {
        answer_alternate(peer, id, status, setup[4], 0);
    }
}

static void on_set_configuration(void *context, uint64_t id,
                                 struct usb_redir_set_configuration_header *head)
{
    const uint8_t setup[8] = {TO_DEVICE, SET_CONFIGURATION, head->configuration};

    peer_cancel_interface(context, PEER_EVERY_INTERFACE);
    ask_configuration(context, id, setup);
}

static void on_get_configuration(void *context, uint64_t id)
{
    static const uint8_t setup[8] = {FROM_DEVICE, GET_CONFIGURATION, 0, 0, 0, 0, 1};

    ask_configuration(context, id, setup);
}

static void on_set_alternate(void *context, uint64_t id,
                             struct usb_redir_set_alt_setting_header *head)
{
    const uint8_t setup[8] = {TO_INTERFACE, SET_INTERFACE, head->alt, 0, head->interface};

    peer_cancel_interface(context, head->interface);
    ask_alternate(context, id, setup);
}

static void on_get_alternate(void *context, uint64_t id,
                             struct usb_redir_get_alt_setting_header *head)
{
    const uint8_t setup[8] = {FROM_INTERFACE, GET_INTERFACE, 0, 0, head->interface, 0, 1};

    ask_alternate(context, id, setup);
}

void peer_setting_callbacks(struct usbredirparser *parser)
{
    parser->set_configuration_func = on_set_configuration;
    parser->get_configuration_func = on_get_configuration;
    parser->set_alt_setting_func = on_set_alternate;
    parser->get_alt_setting_func = on_get_alternate;
}
