/* Isochronous endpoints and bulk streams, which no full-speed board here has. */
#include "usb-gadget/usbredir/peer.h"

static void send_iso_status(struct usbredir_peer *peer, uint64_t id, uint8_t endpoint,
                            uint8_t status)
{
    struct usb_redir_iso_stream_status_header head = {.status = status, .endpoint = endpoint};

    usbredirparser_send_iso_stream_status(peer->parser, id, &head);
}

static void on_start_iso(void *context, uint64_t id, struct usb_redir_start_iso_stream_header *head)
{
    send_iso_status(context, id, head->endpoint, usb_redir_inval);
}

/* There is none to stop, so that it is stopped. */
static void on_stop_iso(void *context, uint64_t id, struct usb_redir_stop_iso_stream_header *head)
{
    send_iso_status(context, id, head->endpoint, usb_redir_success);
}

static void on_iso(void *context, uint64_t id, struct usb_redir_iso_packet_header *head,
                   uint8_t *data, int length)
{
    struct usbredir_peer *peer = context;

    (void)length;
    send_iso_status(peer, id, head->endpoint, usb_redir_inval);
    usbredirparser_free_packet_data(peer->parser, data);
}

static void send_streams_status(struct usbredir_peer *peer, uint64_t id, uint32_t endpoints,
                                uint32_t streams)
{
    struct usb_redir_bulk_streams_status_header head = {
        .endpoints = endpoints, .no_streams = streams, .status = usb_redir_inval};

    usbredirparser_send_bulk_streams_status(peer->parser, id, &head);
}

static void on_alloc_streams(void *context, uint64_t id,
                             struct usb_redir_alloc_bulk_streams_header *head)
{
    send_streams_status(context, id, head->endpoints, head->no_streams);
}

static void on_free_streams(void *context, uint64_t id,
                            struct usb_redir_free_bulk_streams_header *head)
{
    send_streams_status(context, id, head->endpoints, 0);
}

void peer_refuse_callbacks(struct usbredirparser *parser)
{
    parser->start_iso_stream_func = on_start_iso;
    parser->stop_iso_stream_func = on_stop_iso;
    parser->iso_packet_func = on_iso;
    parser->alloc_bulk_streams_func = on_alloc_streams;
    parser->free_bulk_streams_func = on_free_streams;
}
