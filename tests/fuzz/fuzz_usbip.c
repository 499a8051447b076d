/*
 * Hostile hosts of the USB/IP server: any bytes in any pieces on several connections, replies
 * unread, sockets closed in the middle, while the board behind it works, resets and is unplugged.
 *
 * Each action is an opcode and its operands. Promised: no crash, a bounded memory, and when the
 * last client has gone the outlet is free and nothing is held.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devmodel/photon.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/usbip/link.h"
#include "usb-gadget/usbip/vhci.h"

#define ACTIONS_MAX 200
#define CLIENTS_MAX 4
#define PIECE_MAX   256
/* Turns in which a server that everybody has left must have noticed. */
#define LOOPS_MAX 1000

/* Made once. */
static struct {
    struct event_base *base;
    struct usbip_server *server;
    struct board *board, *fresh;
    struct root_port port;
    struct outlet outlet;
} world;

static int clients[CLIENTS_MAX]; /* -1: none */

static void make_world(void)
{
    world.base = event_base_new();
    world.fresh = dfu_board_fresh("0.4.3", false);
    MUST(world.base != NULL && world.fresh != NULL && dfu_board_enter(world.fresh));
    world.board = world.fresh->ops->clone(world.fresh);
    MUST(world.board != NULL);
    root_port_init(&world.port, world.board, true);
    MUST(outlet_init(&world.outlet, world.base, &world.port, "board", 1));
    world.server = usbip_server_new(world.base, &world.outlet, 1);
    MUST(world.server != NULL);
}

static void turn(void)
{
    MUST(event_base_loop(world.base, EVLOOP_NONBLOCK) >= 0);
    MUST(world.server->memory <= USBIP_CONNECTION_MAX);
    MUST(world.server->guest_count <= USBIP_GUESTS_MAX);
}

static void leave(int *client)
{
    if (*client >= 0) {
        close(*client);
        *client = -1;
    }
}

static void join(int *client)
{
    int pair[2];

    leave(client);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        *client = pair[1];
        MUST(usbip_server_accept(world.server, pair[0]));
    }
}

static void say(int client, const void *bytes, size_t length)
{
    if (client >= 0) {
        (void)send(client, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void say_anything(int client, struct input *input)
{
    uint8_t bytes[PIECE_MAX];
    const size_t length = input_u8(input);

    for (size_t i = 0; i < length; i++) {
        bytes[i] = input_u8(input);
    }
    say(client, bytes, length);
}

static void say_import(int client)
{
    static const uint8_t request[40] = {0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0, '1', '-', '1'};

    say(client, request, sizeof request);
}

/* A header that makes more sense than random bytes. */
static void say_command(int client, struct input *input)
{
    static const uint32_t lengths[] = {
        0, 6, 18, 64, 4096, USBIP_TRANSFER_MAX, USBIP_TRANSFER_MAX + 1, INT32_MAX};
    const uint8_t how = input_u8(input);
    struct usbip_header header = {
        .code = how & 1 ? USBIP_UNLINK : USBIP_SUBMIT,
        .seqnum = input_u8(input),
        .devid = usbip_device_id(&world.outlet),
        .direction = how >> 1 & 1,
        .endpoint = how >> 2 & 3,
        .length = lengths[how >> 4 & 7],
        .packets = how >> 7 ? input_u8(input) : 0,
        .flags = input_u8(input),
        .victim = input_u8(input),
    };
    uint8_t bytes[USBIP_HEADER_SIZE];

    for (size_t i = 0; i < sizeof header.setup; i++) {
        header.setup[i] = input_u8(input);
    }
    usbip_header_put(bytes, &header);
    say(client, bytes, sizeof bytes);
}

static void hear(int client)
{
    uint8_t bytes[4096];

    if (client >= 0) {
        (void)recv(client, bytes, sizeof bytes, MSG_DONTWAIT);
    }
}

static void touch_board(struct input *input)
{
    struct board *board = world.board;

    switch (input_u8(input) % 4) {
    case 0:
        board->ops->reset(board);
        break;
    case 1:
        board->ops->power(board, !board->ops->powered(board));
        break;
    case 2:
        board_advance(board, input_u8(input) * 50 * BOARD_NS_PER_MS);
        break;
    default:
        board->ops->restore(board, world.fresh);
        break;
    }
    root_port_poll(&world.port);
    (void)root_port_run(&world.port);
}

static void act(struct input *input)
{
    const uint8_t opcode = input_u8(input);
    int *client = &clients[opcode >> 4 & (CLIENTS_MAX - 1)];

    switch (opcode & 15) {
    case 0:
        join(client);
        break;
    case 1:
        leave(client);
        break;
    case 2:
        say_anything(*client, input);
        break;
    case 3:
        say_import(*client);
        break;
    case 4:
        hear(*client);
        break;
    case 5:
        touch_board(input);
        break;
    case 6:
        if (*client >= 0) {
            (void)shutdown(*client, SHUT_WR);
        }
        break;
    case 7:
        join(client);
        say_import(*client);
        turn();
        break;
    case 8:
    case 9:
        turn();
        break;
    default:
        say_command(*client, input);
        break;
    }
}

/* Everybody leaves; then nothing may be left, and the next input finds a fresh board. */
static void clean_up(void)
{
    unsigned loops = 0;

    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        leave(&clients[i]);
    }
    do {
        turn();
        MUST(++loops < LOOPS_MAX);
    } while (world.server->guest_count > 0 || !TAILQ_EMPTY(&world.server->holders));
    MUST(world.server->memory == 0);
    MUST(!outlet_taken(&world.outlet));
    world.board->ops->restore(world.board, world.fresh);
    root_port_poll(&world.port);
    turn();
}

/* The codec and vhci's texts, which take anything. */
static void parse(const uint8_t *data, size_t size)
{
    struct usbip_header header;
    struct usbip_device device;
    uint8_t bytes[USBIP_DEVICE_SIZE] = {0};
    char text[PIECE_MAX + 1] = "";

    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    usbip_device_get(bytes, &device);
    MUST(strlen(device.path) < USBIP_PATH_SIZE && strlen(device.busid) < USBIP_BUSID_SIZE);
    if (usbip_header_get(bytes, &header)) {
        uint8_t again[USBIP_HEADER_SIZE];
        struct usbip_header same;
        usbip_header_put(again, &header);
        MUST(usbip_header_get(again, &same));
        MUST(memcmp(&same, &header, sizeof same) == 0);
    }
    memcpy(text, data, size < PIECE_MAX ? size : PIECE_MAX);
    MUST(vhci_free_port(text, 0) >= VHCI_NO_PORT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    if (world.server == NULL) {
        make_world();
    }
    parse(data, size);
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        clients[i] = -1;
    }
    for (unsigned i = 0; i < ACTIONS_MAX && input.left > 0; i++) {
        act(&input);
    }
    clean_up();
    return 0;
}
