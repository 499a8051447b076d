/*
 * A host that sends control requests of every kind to running systems: the service protocol with
 * payloads that are messages, nearly messages and noise, raw requests, both in wrong order, given
 * up half way, beside the serial port.
 *
 * The first byte picks the release; then each action is an opcode and its operands. Promised: no
 * crash, every transfer ends, replies of the service have the shape that their flags say, and
 * afterwards a board whose system still runs takes a new request.
 */
#include <string.h>

#include "devmodel/little_endian.h"
#include "devmodel/photon.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/enumerate.h"

#define ACTIONS_MAX 300
#define DATA_MAX    4096

static const char *const releases[] = {"2.2.0", "1.5.0", "1.0.0", "0.7.0", "0.6.3", "0.6.0"};
#define RELEASES     (sizeof releases / sizeof releases[0])
#define WITH_SERVICE 3 /* the first ones have it */

static struct board *running[RELEASES];

struct player {
    struct board *board;
    struct root_port port;
    struct input input;
    bool service;
    uint8_t data[DATA_MAX];
};

/* Request types that do something, and some that do not. */
static const uint16_t types[] = {1,   10,  20,  21,  30,  32,  34,  40,  41,  50,  60,  70,
                                 71,  72,  80,  90,  100, 110, 111, 112, 113, 114, 115, 120,
                                 200, 201, 210, 220, 222, 223, 250, 251, 252, 253, 260, 302};

/* --- transfers --- */

static enum transfer_status vendor(struct player *player, uint8_t direction, uint8_t request,
                                   uint16_t value, uint16_t index, uint16_t length, size_t *actual)
{
    const uint8_t setup[8] = {(uint8_t)(0x40 | direction),
                              request,
                              (uint8_t)value,
                              (uint8_t)(value >> 8),
                              (uint8_t)index,
                              (uint8_t)(index >> 8),
                              (uint8_t)length,
                              (uint8_t)(length >> 8)};
    enum transfer_status status;

    *actual = 0;
    if (length > sizeof player->data) {
        return TRANSFER_STALL;
    }
    status = control_transfer(&player->port, setup, player->data, actual);
    MUST(*actual <= length);
    return status;
}

/* A reply of INIT, CHECK or RESET is as long as its flags say. */
static uint16_t service_reply(struct player *player, uint8_t request, uint16_t value,
                              uint16_t index, uint16_t *status)
{
    size_t actual = 0;
    size_t length = 6;
    uint32_t flags;

    *status = UINT16_MAX;
    if (vendor(player, 0x80, request, value, index, 64, &actual) != TRANSFER_OK ||
        !player->service) {
        return 0;
    }
    MUST(actual >= length);
    flags = le32_get(player->data);
    *status = le16_get(player->data + 4);
    length += (flags & 2 ? 2 : 0) + (flags & 4 ? 4 : 0) + (flags & 8 ? 4U : 0U);
    MUST((flags & 1) != 0 && flags < 16 && actual == length && *status <= 5);
    return flags & 2 ? le16_get(player->data + 6) : 0;
}

static uint16_t type_of(uint8_t byte)
{
    return types[byte % (sizeof types / sizeof types[0])];
}

/* A field of a message, or what looks like one. */
static size_t field(struct player *player, uint8_t *bytes, size_t room)
{
    uint8_t head = input_u8(&player->input);
    size_t length = input_u8(&player->input) * (head & 0x80 ? 5U : 1U);
    size_t used = 0;

    if (room < 8) {
        return 0;
    }
    bytes[used++] = head & 0x7F;
    if ((head & 7) != 2) {
        bytes[used++] = (uint8_t)length;
        return used;
    }
    bytes[used++] = (uint8_t)(length | 0x80);
    bytes[used++] = (uint8_t)(length >> 7);
    length = length < room - used ? length : room - used;
    memset(bytes + used, input_u8(&player->input), length);
    return used + length;
}

/* --- actions --- */

static void whole_request(struct player *player)
{
    static uint8_t payload[2100];
    uint16_t type = type_of(input_u8(&player->input));
    size_t size = 0, actual;
    uint16_t status, id;

    for (uint8_t fields = input_u8(&player->input) & 3; fields > 0; fields--) {
        size += field(player, payload + size, sizeof payload - size);
    }
    id = service_reply(player, 1, (uint16_t)size, type, &status);
    if (status == 2) {
        board_advance(player->board, BOARD_NS_PER_MS);
        (void)service_reply(player, 2, 0, id, &status);
    }
    if (size > 0) {
        memcpy(player->data, payload, size);
        (void)vendor(player, 0, 3, 0, id, (uint16_t)size, &actual);
    }
    board_advance(player->board, (uint64_t)(input_u8(&player->input) & 15) * BOARD_NS_PER_MS);
    (void)service_reply(player, 2, 0, id, &status);
    (void)vendor(player, 0x80, 4, 0, id, input_u8(&player->input), &actual);
}

static void init(struct player *player)
{
    uint16_t status;
    uint8_t type = input_u8(&player->input);

    (void)service_reply(player, 1, input_u16(&player->input), type_of(type), &status);
}

static void check(struct player *player)
{
    uint16_t status;

    (void)service_reply(player, 2, 0, input_u8(&player->input), &status);
}

static void reset(struct player *player)
{
    uint16_t status;

    (void)service_reply(player, 5, 0, input_u8(&player->input), &status);
}

static void send(struct player *player)
{
    uint8_t id = input_u8(&player->input);
    uint16_t length = input_u16(&player->input) % DATA_MAX;
    size_t actual;

    memset(player->data, input_u8(&player->input), length);
    (void)vendor(player, 0, 3, 0, id, length, &actual);
}

static void recv(struct player *player)
{
    uint8_t id = input_u8(&player->input);
    size_t actual;

    (void)vendor(player, 0x80, 4, 0, id, input_u16(&player->input) % DATA_MAX, &actual);
}

static void raw(struct player *player)
{
    uint8_t byte = input_u8(&player->input);
    uint16_t type = byte == 255 ? 302 : byte & 0x80 ? byte : type_of(byte);
    uint8_t direction = input_u8(&player->input);
    size_t actual;

    (void)vendor(player, direction & 0x80, 0x50, direction & 3, type,
                 direction & 0x40 ? input_u16(&player->input) % DATA_MAX : direction & 0x3F,
                 &actual);
}

static void any_transfer(struct player *player)
{
    uint8_t setup[8];
    size_t actual = 0;

    for (size_t i = 0; i < sizeof setup; i++) {
        setup[i] = input_u8(&player->input);
    }
    setup[7] &= 0x0F;
    (void)control_transfer(&player->port, setup, player->data, &actual);
}

/* Stages one by one, in any order, with packets of any size. */
static void token(struct player *player)
{
    struct board *board = player->board;
    uint8_t byte = input_u8(&player->input);
    uint8_t packet[64];
    size_t length = 0;

    if (!board->ops->attached(board)) {
        return;
    }
    memset(packet, byte, sizeof packet);
    switch (byte & 3) {
    case 0:
        packet[0] = byte & 4 ? 0x40 : 0xC0;
        packet[1] = byte & 8 ? 0x50 : (uint8_t)(byte >> 4);
        packet[6] = input_u8(&player->input);
        packet[7] = input_u8(&player->input) & 7;
        packet[4] = input_u8(&player->input);
        packet[5] = 0;
        (void)board->ops->setup(board, packet);
        break;
    case 1:
        (void)board->ops->in(board, byte & 4 ? 0x81 : 0x80, packet, &length);
        MUST(length <= sizeof packet);
        break;
    default:
        (void)board->ops->out(board, byte & 4 ? 1 : 0, packet, byte >> 2);
        break;
    }
}

static void time_passes(struct player *player)
{
    board_advance(player->board, (UINT64_C(1) << input_u8(&player->input) % 34));
}

static void arm_power_cut(struct player *player)
{
    struct flash *flash = photon_flash(player->board);

    flash_cut_at(flash, flash_operations(flash) + input_u16(&player->input) % 3000,
                 (enum flash_cut)(input_u8(&player->input) % 3));
}

static void power_cycle(struct player *player)
{
    player->board->ops->power(player->board, false);
    player->board->ops->power(player->board, true);
}

static void there_again(struct player *player)
{
    struct usb_identity identity;

    board_advance(player->board, 3 * BOARD_NS_PER_S);
    root_port_poll(&player->port);
    if (root_port_attached(&player->port)) {
        (void)enumerate(&player->port, 5, &identity);
    }
}

static void into_a_copy(struct player *player)
{
    struct board *copy = player->board->ops->clone(player->board);

    MUST(copy != NULL);
    player->board->ops->destroy(player->board);
    player->board = copy;
    root_port_init(&player->port, copy, true);
}

static void (*const actions[])(struct player *) = {
    whole_request, whole_request, whole_request, init,         check, reset,
    send,          recv,          raw,           any_transfer, token, time_passes,
    arm_power_cut, power_cycle,   there_again,   into_a_copy,
};

/* Whatever came before: the running system takes a request, and answers it. */
static void still_lives(struct player *player)
{
    uint16_t status, id;

    power_cycle(player);
    there_again(player);
    if (!player->service || !root_port_attached(&player->port)) {
        return;
    }
    (void)service_reply(player, 5, 0, 0, &status);
    id = service_reply(player, 1, 0, 30, &status);
    if (status == UINT16_MAX) {
        return; /* it is in DFU mode, or lost its modules */
    }
    MUST(status == 0 && id != 0);
    board_advance(player->board, BOARD_NS_PER_S);
    (void)service_reply(player, 2, 0, id, &status);
    MUST(status == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < RELEASES; i++) {
        struct root_port port;
        struct usb_identity identity;

        running[i] = dfu_board_fresh(releases[i], false);
        MUST(running[i] != NULL);
        running[i]->ops->power(running[i], true);
        board_advance(running[i], 3 * BOARD_NS_PER_S);
        root_port_init(&port, running[i], true);
        MUST(enumerate(&port, 5, &identity));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct player player;
    size_t which;

    memset(&player, 0, sizeof player);
    player.input = (struct input){data, size};
    which = input_u8(&player.input) % RELEASES;
    player.service = which < WITH_SERVICE;
    player.board = running[which]->ops->clone(running[which]);
    MUST(player.board != NULL);
    root_port_init(&player.port, player.board, true);
    for (unsigned i = 0; i < ACTIONS_MAX && player.input.left > 0; i++) {
        actions[input_u8(&player.input) % (sizeof actions / sizeof actions[0])](&player);
        root_port_poll(&player.port);
    }
    still_lives(&player);
    player.board->ops->destroy(player.board);
    return 0;
}
