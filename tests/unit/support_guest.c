#include "tests/unit/support_guest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const int guest_caps_qemu[] = {usb_redir_cap_connect_device_version,
                               usb_redir_cap_filter,
                               usb_redir_cap_ep_info_max_packet_size,
                               usb_redir_cap_64bits_ids,
                               usb_redir_cap_32bits_bulk_length,
                               usb_redir_cap_bulk_receiving,
                               -1};
const int guest_caps_none[] = {-1};

/* --- what comes --- */

static void keep(struct guest *guest, uint32_t type, uint64_t id, const void *head, size_t size,
                 uint8_t *data, int length)
{
    struct guest_packet *packet =
        &guest->packets[(guest->first + guest->count) % GUEST_PACKETS_MAX];

    guest->count++;
    *packet = (struct guest_packet){
        .type = type, .id = id, .data = data, .length = length > 0 ? (size_t)length : 0};
    if (size > 0) {
        memcpy(&packet->head, head, size);
    }
}

/* A callback that keeps the packet's header, and one that keeps data as well. */
#define KEEP(name, type)                                                                           \
    static void on_##name(void *context, uint64_t id, struct usb_redir_##type##_header *head)      \
    {                                                                                              \
        keep(context, usb_redir_##type, id, head, sizeof *head, NULL, 0);                          \
    }
#define KEEP_NEWS(name, type)                                                                      \
    static void on_##name(void *context, struct usb_redir_##type##_header *head)                   \
    {                                                                                              \
        keep(context, usb_redir_##type, 0, head, sizeof *head, NULL, 0);                           \
    }
#define KEEP_DATA(name, type)                                                                      \
    static void on_##name(void *context, uint64_t id, struct usb_redir_##type##_header *head,      \
                          uint8_t *data, int length)                                               \
    {                                                                                              \
        keep(context, usb_redir_##type, id, head, sizeof *head, data, length);                     \
    }

KEEP_NEWS(connect, device_connect)
KEEP_NEWS(interfaces, interface_info)
KEEP_NEWS(endpoints, ep_info)
KEEP(configuration, configuration_status)
KEEP(alternate, alt_setting_status)
KEEP(iso, iso_stream_status)
KEEP(receiving, interrupt_receiving_status)
KEEP(streams, bulk_streams_status)
KEEP_DATA(control, control_packet)
KEEP_DATA(bulk, bulk_packet)
KEEP_DATA(interrupt, interrupt_packet)

static void on_disconnect(void *context)
{
    keep(context, usb_redir_device_disconnect, 0, NULL, 0, NULL, 0);
}

static void on_hello(void *context, struct usb_redir_hello_header *hello)
{
    (void)hello;
    keep(context, usb_redir_hello, 0, NULL, 0, NULL, 0);
}

static void on_log(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    (void)message;
}

/* --- the socket --- */

static int on_read(void *context, uint8_t *data, int size)
{
    struct guest *guest = context;
    ssize_t length = 0;

    if (guest->count >= GUEST_PACKETS_MAX - 1) {
        return 0; /* the test is to take some first */
    }
    length = recv(guest->fd, data, (size_t)size, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    guest->gone |= length <= 0;
    return length > 0 ? (int)length : -1;
}

static int on_write(void *context, uint8_t *data, int size)
{
    struct guest *guest = context;
    ssize_t length = send(guest->fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    return (int)length;
}

void guest_flush(struct guest *guest)
{
    (void)usbredirparser_do_write(guest->parser);
}

void guest_read(struct guest *guest)
{
    if (!guest->deaf && !guest->gone &&
        usbredirparser_do_read(guest->parser) == usbredirparser_read_parse_error) {
        guest->errors++;
    }
    guest_flush(guest); /* acknowledgements */
}

static bool wait_for_socket(struct guest *guest)
{
    const bool full = usbredirparser_has_data_to_write(guest->parser) > 0;
    struct pollfd one = {.fd = guest->fd, .events = (short)(full ? POLLIN | POLLOUT : POLLIN)};

    return !guest->gone && poll(&one, 1, guest->patience_ms) == 1;
}

const struct guest_packet *guest_next(struct guest *guest)
{
    free(guest->taken.data);
    guest->taken.data = NULL;
    guest_flush(guest);
    guest_read(guest);
    while (guest->count == 0 &&
           (guest->work != NULL ? guest->work(guest) : wait_for_socket(guest))) {
        guest_flush(guest);
        guest_read(guest);
    }
    if (guest->count == 0) {
        return NULL;
    }
    guest->taken = guest->packets[guest->first];
    guest->first = (guest->first + 1) % GUEST_PACKETS_MAX;
    guest->count--;
    return &guest->taken;
}

/* --- life --- */

bool guest_open(struct guest *guest, int fd, const int *caps)
{
    uint32_t ours[USB_REDIR_CAPS_SIZE] = {0};
    struct usbredirparser *parser = usbredirparser_create();

    *guest = (struct guest){.fd = fd, .parser = parser, .patience_ms = 10000, .next_id = 1};
    if (parser == NULL) {
        return false;
    }
    parser->priv = guest;
    parser->log_func = on_log;
    parser->read_func = on_read;
    parser->write_func = on_write;
    parser->hello_func = on_hello;
    parser->device_connect_func = on_connect;
    parser->device_disconnect_func = on_disconnect;
    parser->interface_info_func = on_interfaces;
    parser->ep_info_func = on_endpoints;
    parser->configuration_status_func = on_configuration;
    parser->alt_setting_status_func = on_alternate;
    parser->iso_stream_status_func = on_iso;
    parser->interrupt_receiving_status_func = on_receiving;
    parser->bulk_streams_status_func = on_streams;
    parser->control_packet_func = on_control;
    parser->bulk_packet_func = on_bulk;
    parser->interrupt_packet_func = on_interrupt;
    for (; *caps >= 0; caps++) {
        usbredirparser_caps_set_cap(ours, *caps);
    }
    usbredirparser_init(parser, "test guest", ours, USB_REDIR_CAPS_SIZE, 0);
    return true;
}

void guest_close(struct guest *guest)
{
    free(guest->taken.data);
    for (; guest->count > 0; guest->count--) {
        free(guest->packets[guest->first].data);
        guest->first = (guest->first + 1) % GUEST_PACKETS_MAX;
    }
    usbredirparser_destroy(guest->parser);
    close(guest->fd);
}

/* --- requests --- */

uint64_t guest_control(struct guest *guest, const uint8_t setup[8], const void *data)
{
    const bool in = setup[0] & 0x80;
    struct usb_redir_control_packet_header head = {
        .endpoint = setup[0] & 0x80,
        .request = setup[1],
        .requesttype = setup[0],
        .value = (uint16_t)(setup[2] | setup[3] << 8),
        .index = (uint16_t)(setup[4] | setup[5] << 8),
        .length = (uint16_t)(setup[6] | setup[7] << 8),
    };

    usbredirparser_send_control_packet(guest->parser, guest->next_id, &head,
                                       in || head.length == 0 ? NULL : (uint8_t *)data,
                                       in ? 0 : head.length);
    return guest->next_id++;
}

uint64_t guest_bulk(struct guest *guest, uint8_t endpoint, const void *data, uint32_t length)
{
    const bool in = endpoint & 0x80;
    struct usb_redir_bulk_packet_header head = {
        .endpoint = endpoint, .length = (uint16_t)length, .length_high = (uint16_t)(length >> 16)};

    usbredirparser_send_bulk_packet(guest->parser, guest->next_id, &head,
                                    in || length == 0 ? NULL : (uint8_t *)data,
                                    in ? 0 : (int)length);
    return guest->next_id++;
}

uint64_t guest_set_configuration(struct guest *guest, uint8_t value)
{
    struct usb_redir_set_configuration_header head = {.configuration = value};

    usbredirparser_send_set_configuration(guest->parser, guest->next_id, &head);
    return guest->next_id++;
}

uint64_t guest_set_alternate(struct guest *guest, uint8_t interface, uint8_t alternate)
{
    struct usb_redir_set_alt_setting_header head = {.interface = interface, .alt = alternate};

    usbredirparser_send_set_alt_setting(guest->parser, guest->next_id, &head);
    return guest->next_id++;
}

void guest_reset(struct guest *guest)
{
    usbredirparser_send_reset(guest->parser);
}

void guest_cancel(struct guest *guest, uint64_t id)
{
    usbredirparser_send_cancel_data_packet(guest->parser, id);
}
