/*
 * Hostile usb-guests: any bytes and any packets of the usbredir protocol in any order, answers
 * unread, connections that end in the middle, while the board behind works, hangs and is unplugged.
 *
 * Each action is an opcode and its operands. Promised: no crash; what a client has in flight and
 * unread is bounded; and when the clients have gone, the board is free and nobody's transfer is in
 * flight.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usbredirparser.h>

#include "devmodel/photon.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/usbredir/peer.h"
#include "usb-gadget/usbredir/server.h"

#define ACTIONS_MAX 300
#define CLIENTS_MAX 3
#define BODY_MAX    5000
#define LOOPS_MAX   1000

static struct {
    struct event_base *base;
    struct usbredir_server *server;
    struct outlet outlet;
    struct board *board, *dfu, *running;
    struct root_port port;
} world;

struct client {
    int socket; /* -1: none */
    bool wide;  /* said that it takes 64-bit ids */
};

static struct client clients[CLIENTS_MAX];

static void say(void *context, const char *line)
{
    (void)context;
    MUST(strchr(line, '\n') == NULL && strlen(line) < 256);
}

static void make_world(void)
{
    world.base = event_base_new();
    world.dfu = dfu_board_fresh("0.4.3", false);
    world.running = dfu_board_fresh("0.5.2", false);
    MUST(world.base != NULL && world.dfu != NULL && world.running != NULL);
    MUST(dfu_board_enter(world.dfu));
    world.running->ops->power(world.running, true);
    board_advance(world.running, 3 * BOARD_NS_PER_S);
    MUST(world.running->ops->attached(world.running));
    world.board = world.dfu->ops->clone(world.dfu);
    MUST(world.board != NULL);
    root_port_init(&world.port, world.board, true);
    MUST(outlet_init(&world.outlet, world.base, &world.port, "board", 1));
    world.server = usbredir_server_new(world.base, &world.outlet, -1, say, NULL);
    MUST(world.server != NULL);
}

static void turn(void)
{
    MUST(event_base_loop(world.base, EVLOOP_NONBLOCK) >= 0);
}

/* --- clients --- */

static void leave(struct client *client)
{
    if (client->socket >= 0) {
        close(client->socket);
    }
    client->socket = -1;
}

static void join(struct client *client)
{
    int pair[2];

    leave(client);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        usbredir_server_accept(world.server, pair[0]);
        *client = (struct client){.socket = pair[1]};
    }
}

static void send_bytes(const struct client *client, const void *bytes, size_t length)
{
    if (client->socket >= 0) {
        (void)send(client->socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void receive(const struct client *client)
{
    uint8_t bytes[4096];

    if (client->socket >= 0) {
        (void)recv(client->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    }
}

/* `length` is what the header says, `size` what there is. */
static void send_packet(const struct client *client, uint32_t type, uint32_t length, uint64_t id,
                        const uint8_t *body, size_t size)
{
    uint8_t packet[16 + BODY_MAX];
    const size_t head = client->wide ? 16 : 12;

    memcpy(packet, &type, 4);
    memcpy(packet + 4, &length, 4);
    memcpy(packet + 8, &id, head - 8);
    memcpy(packet + head, body, size);
    send_bytes(client, packet, head + size);
}

static void send_hello(struct client *client, struct input *input)
{
    uint8_t body[68] = "fuzzer";
    /* Mostly what QEMU says. */
    uint8_t caps = input_u8(input);

    body[64] = caps < 200 ? 0xFE : caps;
    client->wide = false;
    send_packet(client, usb_redir_hello, sizeof body, 0, body, sizeof body);
    client->wide = body[64] & 1u << usb_redir_cap_64bits_ids;
}

/* --- packets of every type --- */

static size_t put(uint8_t *body, struct input *input, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        body[i] = input_u8(input);
    }
    return count;
}

/* A control packet that the board may understand. */
static void send_control(const struct client *client, struct input *input)
{
    static const struct usb_redir_control_packet_header usual[] = {
        {.endpoint = 0x80, .requesttype = 0x80, .request = 6, .value = 0x100, .length = 18},
        {.endpoint = 0x80, .requesttype = 0x80, .request = 6, .value = 0x200, .length = 255},
        {.endpoint = 0x80, .requesttype = 0xA1, .request = 3, .length = 6},
        {.endpoint = 0x00, .requesttype = 0x21, .request = 1, .length = 5},
        {.endpoint = 0x00, .requesttype = 0x21, .request = 1, .value = 2, .length = 4096},
        {.endpoint = 0x00, .requesttype = 0x21, .request = 1},
        {.endpoint = 0x00, .requesttype = 0x21, .request = 4},
        {.endpoint = 0x80, .requesttype = 0xA1, .request = 2, .value = 2, .length = 4096},
        {.endpoint = 0x00, .requesttype = 0x21, .request = 0x20, .length = 7},
        {.endpoint = 0x80, .requesttype = 0x80, .request = 6, .value = 0x306, .length = 255},
        {.endpoint = 0x80, .requesttype = 0xC1, .request = 3, .length = 6},
    };
    uint8_t body[BODY_MAX] = {0};
    const uint8_t choice = input_u8(input);
    struct usb_redir_control_packet_header head = usual[choice % (sizeof usual / sizeof usual[0])];

    if (choice & 0x80) {
        put((uint8_t *)&head, input, sizeof head);
    }
    size_t size = sizeof head;
    memcpy(body, &head, size);
    if (!(head.endpoint & 0x80)) {
        put(body + size, input, 8);
        size += head.length < BODY_MAX - size ? head.length : BODY_MAX - size;
    }
    send_packet(client, usb_redir_control_packet, (uint32_t)size, input_u8(input), body, size);
}

static void send_bulk(const struct client *client, struct input *input)
{
    static const uint8_t endpoints[] = {0x81, 0x01, 0x82, 0x05};
    uint8_t body[BODY_MAX] = {0};
    struct usb_redir_bulk_packet_header head = {.endpoint = endpoints[input_u8(input) & 3]};
    const uint8_t shift = input_u8(input);
    const uint32_t length = (uint32_t)input_u8(input) << (shift & 15);
    size_t size = sizeof head;

    head.length = (uint16_t)length;
    head.length_high = (uint16_t)(length >> 16);
    memcpy(body, &head, size);
    if (!(head.endpoint & 0x80)) {
        put(body + size, input, 8);
        size += length < BODY_MAX - size ? length : BODY_MAX - size;
    }
    send_packet(client, usb_redir_bulk_packet, (uint32_t)size, input_u8(input), body, size);
}

/* Any type with about the header that belongs to it. */
static void send_any(const struct client *client, struct input *input)
{
    static const uint8_t lengths[] = {
        [usb_redir_set_configuration] = 1,
        [usb_redir_set_alt_setting] = 2,
        [usb_redir_get_alt_setting] = 1,
        [usb_redir_start_iso_stream] = 3,
        [usb_redir_stop_iso_stream] = 1,
        [usb_redir_start_interrupt_receiving] = 1,
        [usb_redir_stop_interrupt_receiving] = 1,
        [usb_redir_alloc_bulk_streams] = 8,
        [usb_redir_free_bulk_streams] = 4,
        [usb_redir_filter_filter] = 24,
        [usb_redir_start_bulk_receiving] = 10,
        [usb_redir_bulk_receiving_status] = 6,
        [usb_redir_iso_packet] = 12,
        [usb_redir_interrupt_packet] = 12,
        [usb_redir_buffered_bulk_packet] = 10,
    };
    uint8_t body[64] = {0};
    const uint8_t type = input_u8(input) % sizeof lengths;
    const size_t size = lengths[type];
    const uint8_t lie = input_u8(input);

    put(body, input, size);
    send_packet(client, type, lie == 0xFF ? input_u32(input) : (uint32_t)size, lie, body, size);
}

static void send_raw(const struct client *client, struct input *input)
{
    uint8_t bytes[64];

    send_bytes(client, bytes, put(bytes, input, input_u8(input) % sizeof bytes));
}

/* --- the board --- */

static void pass(struct input *input)
{
    board_advance(world.board, UINT64_C(1) << input_u8(input) % 33);
    root_port_poll(&world.port);
    (void)root_port_run(&world.port);
}

static void power(bool on)
{
    world.board->ops->power(world.board, on);
    root_port_poll(&world.port);
}

static void swap(const struct board *what)
{
    MUST(world.board->ops->restore(world.board, what));
    root_port_poll(&world.port);
}

static void act(struct input *input)
{
    const uint8_t byte = input_u8(input);
    struct client *client = &clients[(byte >> 4) % CLIENTS_MAX];

    switch (byte & 15) {
    case 0:
        join(client);
        break;
    case 1:
        leave(client);
        break;
    case 2:
        send_hello(client, input);
        break;
    case 3:
    case 4:
        send_control(client, input);
        break;
    case 5:
    case 6:
        send_bulk(client, input);
        break;
    case 7:
    case 8:
        send_any(client, input);
        break;
    case 9:
        send_raw(client, input);
        break;
    case 10:
        receive(client);
        break;
    case 11:
        pass(input);
        break;
    case 12:
        power(byte & 0x10);
        break;
    case 13:
        swap(byte & 0x10 ? world.dfu : world.running);
        break;
    case 14: /* a whole client at once */
        join(client);
        send_hello(client, input);
        break;
    default:
        turn();
        break;
    }
    if (byte & 0x80) {
        turn();
    }
}

/* Everybody leaves; then nothing may be left, and the next input finds a fresh board. */
static void clean_up(void)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        leave(&clients[i]);
    }
    for (unsigned loops = 0; outlet_taken(&world.outlet); loops++) {
        turn();
        MUST(loops < LOOPS_MAX);
    }
    turn();
    MUST(!root_port_run(&world.port));
    swap(world.dfu);
    turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    if (world.server == NULL) {
        make_world();
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        clients[i] = (struct client){.socket = -1};
    }
    for (unsigned i = 0; i < ACTIONS_MAX && input.left > 0; i++) {
        act(&input);
    }
    clean_up();
    return 0;
}
