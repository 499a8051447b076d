#include "tests/unit/support_client.h"

#include <check.h>
#include <string.h>

#include "devmodel/factory.h"
#include "tests/unit/support_digest.h"
#include "usb-gadget/enumerate.h"

#define PATIENCE (60 * BOARD_NS_PER_S)
#define MS       BOARD_NS_PER_MS
/* A reset in the middle of a start may find a request of the life before. */
#define REST (20 * BOARD_NS_PER_S)

/* The board's next deadline; what is due now still needs a moment to pass. */
static uint64_t deadline(const struct board *board)
{
    uint64_t next = board->ops->next_deadline(board);

    return next > board->now ? next : board->now + 1;
}

/* Lets time go to the board's next deadline, at most to `end`. False at the end. */
static bool pass(struct client *client, uint64_t end)
{
    struct board *board = client->board;
    uint64_t next = deadline(board);

    board_advance_to(board, next < end ? next : end);
    (void)root_port_run(&client->port);
    return next <= end;
}

static struct board *make(const char *name, const struct wifi_air *air)
{
    struct photon_config config = {
        .device_id = {0x1F, 0x00, 0xA2, 0x00, 0x0B, 0x47, 0xAB, 0xCD, 0xEF, 0x32, 0x30, 0x32},
        .mac = {0x6C, 0x0B, 0x84, 0x01, 0x02, 0x03},
        .vbat = true,
        .air = *air,
    };
    const struct release *release = release_find(name);
    struct flash *flash = flash_new(1);

    if (release == NULL || flash == NULL || !factory_flash(flash, release, support_sha256, false)) {
        return NULL;
    }
    return photon_new(&config, flash);
}

struct board *client_board(const char *release)
{
    return make(release, &(struct wifi_air){0});
}

struct board *client_board_near_networks(const char *release)
{
    static const struct wifi_air air = {
        .count = 2,
        .networks = {{"VPHOTON", WIFI_WPA2, WIFI_AES, 6, -40},
                     {"OPEN", WIFI_UNSECURED, WIFI_CIPHER_UNKNOWN, 1, -60}},
    };

    return make(release, &air);
}

static void arrived(struct transfer *transfer)
{
    struct client *client = transfer->context;

    if (transfer->status != TRANSFER_OK) {
        client->gone = client->gone || transfer->status == TRANSFER_NO_DEVICE ||
                       transfer->status == TRANSFER_PROTOCOL_ERROR;
        return;
    }
    if (client->length + transfer->actual > CLIENT_TEXT_MAX) {
        client_forget(client);
    }
    memcpy(client->text + client->length, client->packet, transfer->actual);
    client->length += transfer->actual;
    client->text[client->length] = '\0';
    client->heard = client->board->now;
    root_port_submit(&client->port, transfer);
}

static void read_on(struct client *client)
{
    client->gone = false;
    client->in = (struct transfer){
        .type = TRANSFER_BULK,
        .endpoint = 0x81,
        .data = client->packet,
        .length = sizeof(client->packet),
        .complete = arrived,
        .context = client,
    };
    root_port_submit(&client->port, &client->in);
}

bool client_open(struct client *client, struct board *board)
{
    client->board = board;
    if (board == NULL) {
        return false;
    }
    if (!board->ops->powered(board)) {
        board->ops->power(board, true);
    }
    return client_reopen(client);
}

bool client_reopen(struct client *client)
{
    struct board *board = client->board;
    uint64_t limit = board->now + PATIENCE;
    struct usb_identity identity;

    while (!board->ops->attached(board)) {
        if (deadline(board) > limit) {
            return false;
        }
        board_advance_to(board, deadline(board));
    }
    root_port_init(&client->port, board, true);
    client_forget(client);
    if (!enumerate(&client->port, 1, &identity)) {
        return false;
    }
    read_on(client);
    return true;
}

enum transfer_status client_set_rate(struct client *client, uint32_t rate)
{
    static const uint8_t setup[8] = {0x21, 0x20, 0, 0, 0, 0, 7, 0};
    uint8_t coding[7] = {0, 0, 0, 0, 0, 0, 8};

    for (unsigned i = 0; i < 4; i++) {
        coding[i] = (uint8_t)(rate >> 8 * i);
    }
    return control_transfer(&client->port, setup, coding, NULL);
}

void client_wait(struct client *client, uint64_t ms)
{
    uint64_t end = client->board->now + ms * MS;

    while (pass(client, end)) {
    }
}

static void sent(struct transfer *transfer)
{
    *(bool *)transfer->context = true;
}

size_t client_send(struct client *client, const void *data, size_t length)
{
    bool done = false;
    struct transfer out = {
        .type = TRANSFER_BULK,
        .endpoint = 0x01,
        .data = (uint8_t *)data,
        .length = length,
        .complete = sent,
        .context = &done,
    };
    uint64_t end = client->board->now + 10 * BOARD_NS_PER_S;

    root_port_submit(&client->port, &out);
    while (!done && !client->gone && pass(client, end)) {
    }
    if (!done) {
        (void)root_port_cancel(&client->port, &out);
    }
    return out.actual;
}

bool client_hears(struct client *client, const void *expected, size_t length, uint64_t ms)
{
    uint64_t end = client->board->now + ms * MS;
    bool same;

    while (client->length < length && !client->gone && pass(client, end)) {
    }
    if (client->length < length) {
        return false;
    }
    same = memcmp(client->text, expected, length) == 0;
    client->length -= length;
    memmove(client->text, client->text + length, client->length + 1);
    return same;
}

bool client_leaves(struct client *client, uint64_t ms)
{
    uint64_t end = client->board->now + ms * MS;

    while (!client->gone && pass(client, end)) {
    }
    return client->gone;
}

bool client_revives(struct client *client)
{
    static const char id[] = "Your device id is 1f00a2000b47abcdef323032\r\n";
    const struct board_ops *ops = client->board->ops;

    ops->button(client->board, false);
    board_advance(client->board, REST);
    ops->power(client->board, true);
    board_advance(client->board, REST);
    ops->reset(client->board);
    if (!client_open(client, client->board)) {
        return false;
    }
    client_wait(client, 2000);
    ops->button(client->board, true);
    client_wait(client, 3100);
    ops->button(client->board, false);
    client_forget(client);
    (void)client_send(client, "i", 1);
    return client_hears(client, id, sizeof(id) - 1, 1000);
}

void client_forget(struct client *client)
{
    client->length = 0;
    client->text[0] = '\0';
}

void client_expect_bytes(struct client *client, const void *send, size_t length_sent,
                         const void *expected, size_t length)
{
    uint64_t end = client->board->now + 10 * BOARD_NS_PER_S;
    size_t same = 0;

    ck_assert_uint_eq(client_send(client, send, length_sent), length_sent);
    while (client->length < length && pass(client, end)) {
    }
    client_wait(client, 50);
    while (same < length && same < client->length &&
           client->text[same] == ((const char *)expected)[same]) {
        same++;
    }
    ck_assert_msg(same == length && client->length == length,
                  "%zu bytes came, %zu expected, %zu alike: \"%s\"", client->length, length, same,
                  client->text);
    client_forget(client);
}

void client_expect(struct client *client, const char *send, const char *expected)
{
    client_expect_bytes(client, send, strlen(send), expected, strlen(expected));
}
