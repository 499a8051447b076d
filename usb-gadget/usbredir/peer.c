#include "usb-gadget/usbredir/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION "vphoton"
/* What the library puts before its complaints. */
#define LIBRARY_PREFIX "usbredirparser: error "

/* --- the library's way to the socket --- */

static bool is_backed_up(const struct usbredir_peer *peer)
{
    return usbredirparser_has_data_to_write(peer->parser) > PEER_BACKLOG_PACKETS_MAX ||
           usbredirparser_get_bufferered_output_size(peer->parser) > PEER_BACKLOG_MAX;
}

/* Once a turn, so that a peer that never stops sending leaves time for others. */
static void receive(struct usbredir_peer *peer)
{
    ssize_t length = 0;

    if (peer->received) {
        return;
    }
    peer->received = true;
    do {
        length = recv(peer->fd, peer->input, sizeof peer->input, MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    peer->lost = length == 0 || (length < 0 && errno != EAGAIN);
    peer->input_at = 0;
    peer->input_end = length > 0 ? (size_t)length : 0;
}

static bool is_wide(const struct usbredir_peer *peer)
{
    return usbredirparser_have_peer_caps(peer->parser) &&
           usbredirparser_peer_has_cap(peer->parser, usb_redir_cap_64bits_ids);
}

static int on_read(void *context, uint8_t *data, int size)
{
    struct usbredir_peer *peer = context;

    if (peer->refused) {
        return -1;
    }
    if (guard_is_between(&peer->guard) && is_backed_up(peer)) {
        return 0;
    }
    if (peer->input_at == peer->input_end) {
        receive(peer);
    }
    size_t count = peer->input_end - peer->input_at;
    count = count < (size_t)size ? count : (size_t)size;
    if (count == 0) {
        return peer->lost ? -1 : 0;
    }
    memcpy(data, peer->input + peer->input_at, count);
    peer->input_at += count;
    return guard_pass(&peer->guard, data, count, is_wide(peer), peer->fault) ? (int)count : -1;
}

static int on_write(void *context, uint8_t *data, int size)
{
    struct usbredir_peer *peer = context;
    ssize_t length;

    do {
        length = send(peer->fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (length < 0 && errno == EINTR);
    if (length < 0 && errno == EAGAIN) {
        return 0;
    }
    return (int)length;
}

/* Keeps the library's last complaint: it comes right before usbredirparser_do_read() fails. */
static void on_log(void *context, int level, const char *message)
{
    struct usbredir_peer *peer = context;
    const size_t prefix = strlen(LIBRARY_PREFIX);

    if (level == usbredirparser_error) {
        message += strncmp(message, LIBRARY_PREFIX, prefix) == 0 ? prefix : 0;
        snprintf(peer->fault, sizeof peer->fault, "%s", message);
    }
}

/* --- turns --- */

static void flush(struct usbredir_peer *peer)
{
    if (usbredirparser_do_write(peer->parser) < 0) {
        peer->lost = true;
    }
}

/* False when what came makes no sense. */
static bool take(struct usbredir_peer *peer)
{
    peer->received = false;
    peer->fault[0] = '\0';
    int result = usbredirparser_do_read(peer->parser);

    return result == 0 || (result == usbredirparser_read_io_error && peer->lost);
}

/* Waits for what can happen next. */
static void wait(struct usbredir_peer *peer)
{
    if (is_backed_up(peer)) {
        (void)event_del(peer->readable);
    } else {
        (void)event_add(peer->readable, NULL);
    }
    if (usbredirparser_has_data_to_write(peer->parser) > 0) {
        (void)event_add(peer->writable, NULL);
    }
}

bool peer_turn(struct usbredir_peer *peer)
{
    peer->in_turn = true;
    peer_refresh(peer);
    flush(peer);
    bool makes_sense = peer->lost || take(peer);
    peer_refresh(peer);
    bool again = !is_backed_up(peer) && peer_interrupt_run(peer);
    flush(peer);
    peer->in_turn = false;
    if (makes_sense && !peer->lost) {
        wait(peer);
        if (again) {
            peer_wake(peer);
        }
        return true;
    }
    peer->over(peer->context, makes_sense ? NULL : peer->fault);
    peer_free(peer);
    return false;
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)peer_turn(context);
}

void peer_wake(struct usbredir_peer *peer)
{
    if (!peer->in_turn) {
        event_active(peer->writable, EV_WRITE, 0);
    }
}

/* --- life --- */

static void on_change(void *context, struct outlet *outlet)
{
    (void)outlet;
    (void)peer_turn(context);
}

/* Who only connects has not got the board yet. The hello's text is for nobody to parse. */
static void on_hello(void *context, struct usb_redir_hello_header *hello)
{
    struct usbredir_peer *peer = context;

    (void)hello;
    if (outlet_take(peer->outlet, on_change, peer)) {
        peer->state = PEER_WAITING;
    } else {
        peer->refused = true;
        snprintf(peer->fault, sizeof peer->fault, "the board has another host");
    }
}

static bool make_parser(struct usbredir_peer *peer)
{
    static const int caps[] = {
        usb_redir_cap_connect_device_version,
        usb_redir_cap_filter,
        usb_redir_cap_device_disconnect_ack,
        usb_redir_cap_ep_info_max_packet_size,
        usb_redir_cap_64bits_ids,
        usb_redir_cap_32bits_bulk_length,
    };
    uint32_t ours[USB_REDIR_CAPS_SIZE] = {0};
    struct usbredirparser *parser = usbredirparser_create();

    if (parser == NULL) {
        return false;
    }
    peer->parser = parser;
    parser->priv = peer;
    parser->log_func = on_log;
    parser->read_func = on_read;
    parser->write_func = on_write;
    parser->hello_func = on_hello;
    peer_device_callbacks(parser);
    peer_data_callbacks(parser);
    peer_setting_callbacks(parser);
    peer_interrupt_callbacks(parser);
    peer_refuse_callbacks(parser);
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        usbredirparser_caps_set_cap(ours, caps[i]);
    }
    usbredirparser_init(parser, VERSION, ours, USB_REDIR_CAPS_SIZE, usbredirparser_fl_usb_host);
    return true;
}

struct usbredir_peer *peer_new(struct event_base *base, struct outlet *outlet, int fd,
                               peer_over *over, void *context)
{
    struct usbredir_peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL) {
        close(fd);
        return NULL;
    }
    peer->outlet = outlet;
    peer->port = outlet->port;
    peer->over = over;
    peer->context = context;
    peer->fd = fd;
    flights_init(&peer->flights, outlet->port, peer, PEER_FLIGHTS_MAX, PEER_MEMORY_MAX);
    peer->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_event, peer);
    peer->writable = event_new(base, fd, EV_WRITE, on_event, peer);
    if (peer->readable == NULL || peer->writable == NULL || !make_parser(peer)) {
        peer_free(peer);
        return NULL;
    }
    peer_wake(peer);
    return peer;
}

void peer_free(struct usbredir_peer *peer)
{
    flights_drop(&peer->flights);
    if (peer->state != PEER_SILENT) {
        outlet_give_back(peer->outlet);
    }
    if (peer->parser != NULL) {
        usbredirparser_destroy(peer->parser);
    }
    if (peer->readable != NULL) {
        event_free(peer->readable);
    }
    if (peer->writable != NULL) {
        event_free(peer->writable);
    }
    close(peer->fd);
    free(peer);
}
