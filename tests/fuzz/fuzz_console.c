/*
 * A host at the serial port and a user at the button, who do anything in any order: bytes, line
 * rates, silence, waiting, cloning.
 *
 * The first byte picks the release; then each action is an opcode and its operands. Promised: no
 * crash, board time only grows, and whatever happened, a reset and three seconds on SETUP bring
 * back a board that answers.
 */
#include <string.h>

#include "tests/fuzz/input.h"
#include "tests/unit/support_client.h"

#define ACTIONS_MAX 60
#define BYTES_MAX   255

static const char *const releases[] = {"0.4.2", "0.4.3", "0.4.4", "0.5.2",
                                       "0.6.3", "0.7.0", "1.5.0", "2.2.0"};
#define RELEASES (sizeof releases / sizeof releases[0])

/* Made once, listening. */
static struct board *made[RELEASES];

struct player {
    struct client client;
    struct input input;
    uint64_t event_time;
    bool reads;
};

static void observe(void *context, const struct board_event *event)
{
    struct player *player = context;

    MUST(event->time >= player->event_time);
    player->event_time = event->time;
}

/* --- actions --- */

static void send(struct player *player, const void *data, size_t length)
{
    MUST(client_send(&player->client, data, length) <= length);
}

static void send_bytes(struct player *player)
{
    size_t length = input_u8(&player->input);
    uint8_t bytes[BYTES_MAX];

    for (size_t i = 0; i < length; i++) {
        bytes[i] = input_u8(&player->input);
    }
    send(player, bytes, length);
}

static void send_one_byte_often(struct player *player)
{
    uint8_t bytes[BYTES_MAX];
    uint8_t byte = input_u8(&player->input);
    size_t length = input_u8(&player->input);

    memset(bytes, byte, sizeof bytes);
    send(player, bytes, length);
}

static void send_line(struct player *player)
{
    static const char *const lines[] = {"w", "home\r", "0\r", "1\r", "3\r", "secret12\r",
                                        "C", "x",      "f",   "s",   "L",   "\r"};
    const char *line = lines[input_u8(&player->input) % (sizeof lines / sizeof lines[0])];

    send(player, line, strlen(line));
    client_wait(&player->client, 100);
}

static void set_rate(struct player *player)
{
    static const uint32_t rates[] = {14400, 28800, 9600, 0};

    (void)client_set_rate(&player->client, rates[input_u8(&player->input) & 3]);
}

static void wait(struct player *player)
{
    client_wait(&player->client, UINT64_C(1) << (input_u8(&player->input) & 15));
}

static void button(struct player *player)
{
    player->client.board->ops->button(player->client.board, (input_u8(&player->input) & 1) != 0);
}

static void stop_reading(struct player *player)
{
    (void)root_port_cancel(&player->client.port, &player->client.in);
    player->reads = false;
}

static void power_cut(struct player *player)
{
    struct flash *flash = photon_flash(player->client.board);

    flash_cut_at(flash, flash_operations(flash) + input_u16(&player->input) % 5000,
                 (enum flash_cut)(input_u8(&player->input) % 3));
}

static void clone(struct player *player)
{
    struct board *old = player->client.board;
    struct board *copy = old->ops->clone(old);

    MUST(copy != NULL);
    board_observe(copy, observe, player);
    stop_reading(player);
    old->ops->destroy(old);
    player->client.board = copy;
    root_port_init(&player->client.port, copy, true);
}

static void (*const actions[])(struct player *) = {
    send_bytes, send_one_byte_often, send_line, set_rate, wait,
    button,     stop_reading,        send_line, clone,    power_cut,
};

/* A board that has left the bus, or was cloned, is opened anew. */
static bool open_again(struct player *player)
{
    if (player->reads && !player->client.gone) {
        return true;
    }
    player->reads = client_open(&player->client, player->client.board);
    return player->reads;
}

static void play(struct player *player)
{
    for (unsigned i = 0; i < ACTIONS_MAX && player->input.left > 0; i++) {
        uint8_t opcode = input_u8(&player->input);

        actions[opcode % (sizeof actions / sizeof actions[0])](player);
        client_forget(&player->client);
        if ((opcode & 0x80) != 0 && !open_again(player)) {
            return;
        }
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static struct client client;

    (void)argc;
    (void)argv;
    for (size_t i = 0; i < RELEASES; i++) {
        made[i] = client_board(releases[i]);
        MUST(client_open(&client, made[i]));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct player player;
    const struct board *model;

    memset(&player, 0, sizeof player);
    player.input = (struct input){data, size};
    model = made[input_u8(&player.input) % RELEASES];
    player.client.board = model->ops->clone(model);
    MUST(player.client.board != NULL);
    board_observe(player.client.board, observe, &player);
    if (open_again(&player)) {
        play(&player);
    }
    flash_cut_at(photon_flash(player.client.board), UINT64_MAX, FLASH_CUT_BEFORE);
    MUST(client_revives(&player.client));
    player.client.board->ops->destroy(player.client.board);
    return 0;
}
