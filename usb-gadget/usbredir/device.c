/* What a peer knows of the board: connect, disconnect, reset. */
#include <string.h>
#include <usbredirfilter.h>

#include "usb-gadget/usbredir/peer.h"

void peer_send_shape(struct usbredir_peer *peer)
{
    usbredir_describe(peer->identity, &peer->shape);
    usbredirparser_send_ep_info(peer->parser, &peer->shape.endpoints);
    usbredirparser_send_interface_info(peer->parser, &peer->shape.interfaces);
}

/* Finds out what is attached and tells. */
static void tell_device(struct usbredir_peer *peer)
{
    struct usb_redir_device_connect_header device;
    uint64_t generation = peer->port->generation;

    peer->mute = generation;
    peer->identity = outlet_enumerate(peer->outlet);
    if (peer->identity == NULL) {
        return;
    }
    memset(&peer->shape, 0, sizeof peer->shape);
    peer->shape.configured = true;
    peer_send_shape(peer);
    usbredir_describe_device(peer->identity, &device);
    usbredirparser_send_device_connect(peer->parser, &device);
    peer->generation = generation;
    peer->state = PEER_CONNECTED;
}

/* What was in flight has ended with the attach, and goes unanswered: the peer's host shall see a
 * device that vanished, not one that failed. */
static void tell_loss(struct usbredir_peer *peer)
{
    memset(peer->receiving, 0, sizeof peer->receiving);
    usbredirparser_send_device_disconnect(peer->parser);
    /* Packets for the old device may be on their way until the peer says that none are. */
    bool acknowledges =
        usbredirparser_peer_has_cap(peer->parser, usb_redir_cap_device_disconnect_ack);
    peer->state = acknowledges ? PEER_LEAVING : PEER_WAITING;
}

void peer_refresh(struct usbredir_peer *peer)
{
    root_port_poll(peer->port);
    if (peer->state == PEER_CONNECTED && peer->port->generation != peer->generation) {
        tell_loss(peer);
    }
    while (peer->state == PEER_WAITING && root_port_attached(peer->port) &&
           peer->port->generation != peer->mute) {
        tell_device(peer);
    }
}

uint8_t peer_device_status(struct usbredir_peer *peer)
{
    if (peer->state != PEER_CONNECTED) {
        return usb_redir_ioerror;
    }
    return root_port_still(peer->port, peer->generation) ? usb_redir_success : PEER_NO_ANSWER;
}

static void on_acknowledged(void *context)
{
    struct usbredir_peer *peer = context;

    if (peer->state == PEER_LEAVING) {
        peer->state = PEER_WAITING;
    }
}

/* A device that does not come back from a reset is lost. */
static void on_reset(void *context)
{
    struct usbredir_peer *peer = context;

    if (peer_device_status(peer) != usb_redir_success) {
        return;
    }
    memset(peer->shape.alternates, 0, sizeof peer->shape.alternates);
    if (!outlet_reset(peer->outlet) && root_port_still(peer->port, peer->generation)) {
        peer->mute = peer->generation;
        tell_loss(peer);
    }
}

/* The peer's wishes about devices do not change what is on the port. */
static void on_filter(void *context, struct usbredirfilter_rule *rules, int count)
{
    (void)context;
    (void)count;
    usbredirfilter_free(rules);
}

static void on_reject(void *context)
{
    (void)context;
}

void peer_device_callbacks(struct usbredirparser *parser)
{
    parser->device_disconnect_ack_func = on_acknowledged;
    parser->reset_func = on_reset;
    parser->filter_filter_func = on_filter;
    parser->filter_reject_func = on_reject;
}
