/*
 * A YMODEM sender that means no good: headers, packets, ends and noise in any order, in front of a
 * supply that may fail.
 *
 * The first byte picks the release; then each action is an opcode and its operands. Promised: no
 * crash, board time only grows, and whatever happened, a reset and
 * three seconds on SETUP bring back a board that answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/factory.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_ymodem.h"

#define ACTIONS_MAX 80

static const char *const names[] = {"0.4.3", "0.5.2", "0.7.0", "1.5.0", "2.2.0"};
#define RELEASES (sizeof names / sizeof names[0])

/* Made once, with the receiver running; and an application of the release. */
static struct board *made[RELEASES];
static uint8_t *applications[RELEASES];
static size_t sizes[RELEASES];

struct player {
    struct client client;
    struct input input;
    uint64_t event_time;
    unsigned release;
    uint8_t sequence;
    size_t at; /* in the application */
};

static void observe(void *context, const struct board_event *event)
{
    struct player *player = context;

    MUST(event->time >= player->event_time);
    player->event_time = event->time;
}

/* --- actions --- */

static void header(struct player *player)
{
    static const char *const sizes_announced[] = {
        "0",          "1",          "1608",       "5324",       "131072",
        "262144",     "262145",     "2147483647", "2147483648", "4294967293",
        "4294967294", "4294967295", "4294967296", "-1",         "9999999999999999",
        "\t+-"};
    char text[128];
    int length = snprintf(text, sizeof text, "%c.bin%c%s ", input_u8(&player->input), 0,
                          sizes_announced[input_u8(&player->input) & 15]);

    ymodem_send(&player->client, YMODEM_SOH, 0, text, (size_t)length);
    player->sequence = 1;
    player->at = 0;
}

/* The next part of a good module, now and then with a byte changed. */
static void good_packet(struct player *player)
{
    size_t size = sizes[player->release];
    size_t length = size - player->at < 1024 ? size - player->at : 1024;
    uint8_t bytes[1024];
    uint8_t change = input_u8(&player->input);

    memcpy(bytes, applications[player->release] + player->at, length);
    if (change > 0xC0) {
        bytes[change % (length > 0 ? length : 1)] ^= change;
    }
    ymodem_send(&player->client, YMODEM_STX, player->sequence++, bytes, length);
    player->at += length;
}

static void rest_of_the_file(struct player *player)
{
    while (player->at < sizes[player->release]) {
        good_packet(player);
    }
}

static void any_packet(struct player *player)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    uint8_t data[8];
    uint8_t type = (input_u8(&player->input) & 1) != 0 ? YMODEM_SOH : YMODEM_STX;
    size_t length;

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = input_u8(&player->input);
    }
    length = ymodem_packet(packet, type, input_u8(&player->input), data, sizeof data);
    packet[2] ^= input_u8(&player->input) & 1;
    client_send(&player->client, packet, length);
}

static void end_of_transmission(struct player *player)
{
    client_send(&player->client, "\x04", 1);
}

static void empty_header(struct player *player)
{
    ymodem_send(&player->client, YMODEM_SOH, 0, NULL, 0);
}

static void noise(struct player *player)
{
    uint8_t bytes[32];
    size_t length = input_u8(&player->input) % sizeof bytes;

    for (size_t i = 0; i < length; i++) {
        bytes[i] = input_u8(&player->input);
    }
    client_send(&player->client, bytes, length);
}

static void wait(struct player *player)
{
    client_wait(&player->client, UINT64_C(1) << (input_u8(&player->input) & 15));
}

static void receive_again(struct player *player)
{
    client_send(&player->client, "f", 1);
    client_wait(&player->client, 100);
}

static void power_cut(struct player *player)
{
    struct flash *flash = photon_flash(player->client.board);

    flash_cut_at(flash, flash_operations(flash) + input_u16(&player->input) % 8000,
                 (enum flash_cut)(input_u8(&player->input) % 3));
}

static void (*const actions[])(struct player *) = {
    header, good_packet, rest_of_the_file, any_packet, end_of_transmission, empty_header,
    noise,  wait,        receive_again,    power_cut,
};

static void play(struct player *player)
{
    for (unsigned i = 0; i < ACTIONS_MAX && player->input.left > 0; i++) {
        actions[input_u8(&player->input) % (sizeof actions / sizeof actions[0])](player);
        client_forget(&player->client);
        if (player->client.gone && !client_open(&player->client, player->client.board)) {
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
        applications[i] = malloc(FACTORY_MAX_SIZE);
        MUST(applications[i] != NULL);
        sizes[i] =
            factory_build(release_find(names[i]), FACTORY_USER, support_sha256, applications[i]);
        made[i] = client_board(names[i]);
        MUST(client_open(&client, made[i]));
        MUST(client_send(&client, "f", 1) == 1);
        client_wait(&client, 100);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct player player;
    const struct board *model;

    memset(&player, 0, sizeof player);
    player.input = (struct input){data, size};
    player.release = input_u8(&player.input) % RELEASES;
    model = made[player.release];
    player.client.board = model->ops->clone(model);
    MUST(player.client.board != NULL);
    board_observe(player.client.board, observe, &player);
    if (client_open(&player.client, player.client.board)) {
        play(&player);
    }
    flash_cut_at(photon_flash(player.client.board), UINT64_MAX, FLASH_CUT_BEFORE);
    MUST(client_revives(&player.client));
    player.client.board->ops->destroy(player.client.board);
    return 0;
}
