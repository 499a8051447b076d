/*
 * A host, a user and a failing supply against a board: control transfers of every kind, bus
 * resets, time, reset, power, the button, power cuts in the middle of flash operations.
 *
 * The first byte picks the bootloader image and whether the board starts in DFU mode; then each
 * action is an opcode and its operands. Promised: no crash, every transfer completes or waits and
 * can be cancelled, board time and attach generation only grow, memory stays bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "devmodel/photon.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/enumerate.h"

#define ACTIONS_MAX  400
#define DATA_MAX     9000
#define ADVANCE_BITS 36 /* up to a minute at once */

struct player {
    struct board *board;
    struct board *snapshot;
    struct root_port port;
    bool pressed;
    uint64_t event_time;
    struct input input;
    unsigned completions; /* of abandoned transfers */
    uint8_t data[DATA_MAX];
};

static void observe(void *context, const struct board_event *event)
{
    struct player *player = context;

    MUST(event->time >= player->event_time);
    player->event_time = event->time;
    if (event->kind == BOARD_EVENT_USB_TRANSACTION) {
        MUST((event->u.usb.length == 0) == (event->u.usb.data == NULL));
    }
}

static void count(struct transfer *transfer)
{
    struct player *player = transfer->context;

    player->completions++;
    MUST(transfer->actual <= transfer->length);
}

/* What must hold after every action. */
static void check(const struct player *player)
{
    const struct board *board = player->board;

    MUST(root_port_attached(&player->port) == board->ops->attached(board));
    MUST(board->ops->powered(board) || !board->ops->attached(board));
    MUST(board->ops->ready_at(board) >= board->now);
    MUST(board->ops->next_deadline(board) >= board->now);
    MUST(flash_private_pages(photon_flash(player->board)) <= FLASH_PAGES);
}

static void fill(struct player *player, uint8_t seed, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        player->data[i] = (uint8_t)(seed + i * (seed | 1u));
    }
}

/* --- actions of a host --- */

static void transfer(struct player *player, const uint8_t setup[8])
{
    size_t length = setup[6] | (size_t)setup[7] << 8;
    size_t actual = 0;

    if (length > sizeof player->data) {
        return;
    }
    (void)control_transfer(&player->port, setup, player->data, &actual);
    MUST(actual <= length);
}

static void any_transfer(struct player *player)
{
    uint8_t setup[8];

    for (size_t i = 0; i < sizeof setup; i++) {
        setup[i] = input_u8(&player->input);
    }
    fill(player, input_u8(&player->input), sizeof player->data);
    transfer(player, setup);
}

/* A DFU class request; small operands make the states easy to reach. */
static void dfu_request(struct player *player)
{
    static const uint16_t lengths[] = {0, 6, 1, 3, 64, 4096, 4097, 8192};
    uint8_t byte = input_u8(&player->input);
    uint8_t request = byte & 7;
    uint16_t length = lengths[byte >> 3 & 7];
    uint16_t value = input_u8(&player->input);
    const uint8_t setup[8] = {
        (uint8_t)(request == 1 ? 0x21 : 0xA1),
        request,
        (uint8_t)value,
        0,
        0,
        0,
        (uint8_t)length,
        (uint8_t)(length >> 8),
    };

    if (request == 1) {
        fill(player, input_u8(&player->input), length);
    }
    transfer(player, setup);
}

static void get_status(struct player *player)
{
    static const uint8_t setup[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};

    transfer(player, setup);
}

/* A DfuSe command at an address near one that means something. */
static void dfuse_command(struct player *player)
{
    static const uint32_t addresses[] = {0x08000000, 0x08004000, 0x08008000, 0x0800C000,
                                         0x08010000, 0x08020000, 0x08060000, 0x080A0000,
                                         0x080C0000, 0x080E0000, 0x080FFFF0, 0x00000000,
                                         0x00002280, 0x00003FF0, 0x20000000, 0xFFFFFFF0};
    static const uint8_t setup[8] = {0x21, 1, 0, 0, 0, 0, 5, 0};
    uint8_t byte = input_u8(&player->input);
    uint32_t address = addresses[byte & 15] + input_u8(&player->input);

    player->data[0] = byte & 0x10 ? 0x41 : 0x21;
    for (unsigned i = 0; i < 4; i++) {
        player->data[1 + i] = (uint8_t)(address >> 8 * i);
    }
    transfer(player, setup);
    get_status(player);
    get_status(player);
}

/* A host that gives up: the transfer is cancelled wherever it has come to. */
static void abandoned_transfer(struct player *player)
{
    struct transfer abandoned = {
        .type = input_u8(&player->input) & 1 ? TRANSFER_BULK : TRANSFER_CONTROL,
        .endpoint = input_u8(&player->input),
        .data = player->data,
        .length = input_u8(&player->input),
        .complete = count,
        .context = player,
    };

    for (size_t i = 0; i < sizeof abandoned.setup; i++) {
        abandoned.setup[i] = input_u8(&player->input);
    }
    player->port.jump = false;
    player->completions = 0;
    root_port_submit(&player->port, &abandoned);
    board_advance(player->board, UINT64_C(1) << input_u8(&player->input) % ADVANCE_BITS);
    (void)root_port_run(&player->port);
    (void)root_port_cancel(&player->port, &abandoned);
    MUST(player->completions == 1);
    player->port.jump = true;
}

/* The serial port's endpoints: what is not answered is cancelled. */
static void bulk_transfer(struct player *player)
{
    uint8_t endpoint = input_u8(&player->input);
    struct transfer bulk = {
        .type = endpoint & 0x40 ? TRANSFER_INTERRUPT : TRANSFER_BULK,
        .endpoint = endpoint & 0x8F,
        .data = player->data,
        .length = input_u16(&player->input) % sizeof player->data,
        .complete = count,
        .context = player,
    };

    player->completions = 0;
    root_port_submit(&player->port, &bulk);
    (void)root_port_cancel(&player->port, &bulk);
    MUST(player->completions == 1);
}

static void bus_reset(struct player *player)
{
    root_port_bus_reset(&player->port);
}

static void whole_enumeration(struct player *player)
{
    struct usb_identity identity;

    (void)enumerate(&player->port, 1 + (input_u8(&player->input) & 63), &identity);
}

/* --- actions of the world --- */

static void time_passes(struct player *player)
{
    uint8_t byte = input_u8(&player->input);

    board_advance(player->board, (UINT64_C(1) << byte % ADVANCE_BITS) + input_u8(&player->input));
}

static void to_the_deadline(struct player *player)
{
    uint64_t deadline = player->board->ops->next_deadline(player->board);

    if (deadline != BOARD_NEVER) {
        board_advance_to(player->board, deadline);
    }
}

static void reset_pin(struct player *player)
{
    player->board->ops->reset(player->board);
}

static void power_switch(struct player *player)
{
    player->board->ops->power(player->board, !player->board->ops->powered(player->board));
}

static void button(struct player *player)
{
    player->pressed = !player->pressed;
    player->board->ops->button(player->board, player->pressed);
}

static void arm_power_cut(struct player *player)
{
    struct flash *flash = photon_flash(player->board);
    uint16_t ahead = input_u16(&player->input);

    flash_cut_at(flash, flash_operations(flash) + ahead % 5000,
                 (enum flash_cut)(input_u8(&player->input) % 3));
}

static void backup_register(struct player *player)
{
    static const uint32_t values[] = {0xEDFA, 0x5AFE, 0xFFFF, 0, 1, 2, 3, 0x5000};
    uint8_t byte = input_u8(&player->input);

    if (!player->board->ops->powered(player->board)) {
        photon_backup(player->board)->dr[(byte >> 3) % BACKUP_REGISTERS] = values[byte & 7];
    }
}

static void take_snapshot(struct player *player)
{
    if (player->snapshot == NULL) {
        player->snapshot = player->board->ops->clone(player->board);
        MUST(player->snapshot != NULL);
    } else {
        player->snapshot->ops->restore(player->snapshot, player->board);
    }
}

static void go_back(struct player *player)
{
    if (player->snapshot == NULL) {
        return;
    }
    player->board->ops->restore(player->board, player->snapshot);
    player->event_time = 0;
    /* The root port cannot know that this is another world; a new one is plugged in. */
    root_port_init(&player->port, player->board, true);
}

static void (*const actions[])(struct player *) = {
    any_transfer,
    dfu_request,
    get_status,
    dfuse_command,
    abandoned_transfer,
    bulk_transfer,
    bus_reset,
    whole_enumeration,
    time_passes,
    to_the_deadline,
    reset_pin,
    power_switch,
    button,
    arm_power_cut,
    backup_register,
    take_snapshot,
    go_back,
};

static void play_input(struct player *player)
{
    for (unsigned i = 0; i < ACTIONS_MAX && player->input.left > 0; i++) {
        actions[input_u8(&player->input) % (sizeof actions / sizeof actions[0])](player);
        root_port_poll(&player->port);
        check(player);
    }
}

#define RELEASES_MAX 16

/* Made once: without power, without power but with a factory image, waiting in DFU mode. */
static struct board *made[RELEASES_MAX][3];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (unsigned i = 0; i < dfu_board_release_count && i < RELEASES_MAX; i++) {
        for (unsigned kind = 0; kind < 3; kind++) {
            made[i][kind] = dfu_board_fresh(dfu_board_releases[i], kind == 1);
            MUST(made[i][kind] != NULL);
        }
        MUST(dfu_board_enter(made[i][2]));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct player player;

    memset(&player, 0, sizeof player);
    player.input = (struct input){data, size};
    uint8_t first = input_u8(&player.input);
    const struct board *model =
        made[first % dfu_board_release_count][first & 0x80 ? first >> 6 & 1 : 2];
    player.board = model->ops->clone(model);
    MUST(player.board != NULL);
    board_observe(player.board, observe, &player);
    root_port_init(&player.port, player.board, true);
    play_input(&player);
    player.board->ops->destroy(player.board);
    if (player.snapshot != NULL) {
        player.snapshot->ops->destroy(player.snapshot);
    }
    return 0;
}
