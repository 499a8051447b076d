/*
 * Script commands of a USB host.
 *
 *   TT RR VVVV IIII LLLL [: BYTES]  control request: bmRequestType, bRequest, wValue, wIndex,
 *                                   wLength, data of an OUT request
 *   DETACH  CLRSTATUS  GETSTATE  ABORT  GETSTATUS [LENGTH]
 *   DNLOAD BLOCK [BYTES]            no bytes: zero length
 *   ANNOUNCE BLOCK LENGTH BYTES     a DNLOAD that stops early
 *   UPLOAD BLOCK LENGTH
 *   SET_ADDRESS HEX, ERASE HEX      the DNLOAD of the DfuSe command alone
 *   POINT HEX, WIPE HEX, WRITE HEX BYTES
 *                                   whole commands, which must succeed: DNLOAD, GETSTATUS,
 * GETSTATUS (WRITE: behind a POINT) STATE HEX                       internal state, asked from a
 * copy of the board ALT N                           SET_INTERFACE BUS_RESET  CONFIGURE N  ENUMERATE
 *   PATIENCE TIME                   the host gives a transfer up after this long ("never")
 */
#include "tests/unit/support_script.h"

#include <stdio.h>
#include <string.h>

#define REQUEST_DNLOAD    1
#define REQUEST_UPLOAD    2
#define REQUEST_GETSTATUS 3
#define REQUEST_GETSTATE  5
#define STATE_DNLOAD_IDLE 5

/* What stands behind "->". */
struct expectation {
    uint8_t bytes[HOST_DATA_MAX];
    size_t length;
    bool open; /* more may follow */
    bool dead;
    enum host_end end;
    const char *took; /* "A..B" or NULL */
};

static bool read_end(const char *word, struct expectation *expected)
{
    if (strcmp(word, "DEAD") == 0) {
        expected->dead = true;
        return true;
    }
    for (enum host_end end = HOST_ACK; end <= HOST_BABBLE; end++) {
        if (strcmp(word, host_end_name(end)) == 0) {
            expected->end = end;
            return true;
        }
    }
    return false;
}

static void read_expectation(struct script_run *run, const struct script_words *words,
                             struct expectation *expected)
{
    size_t from = words->expect + 1, to = from;

    expected->end = HOST_ACK;
    expected->dead = expected->open = false;
    expected->took = NULL;
    while (to < words->count && strcmp(words->word[to], "took") != 0 &&
           strcmp(words->word[to], "...") != 0 && !read_end(words->word[to], expected)) {
        to++;
    }
    expected->length = script_bytes(run, words, from, to, expected->bytes, HOST_DATA_MAX);
    expected->open = to < words->count && strcmp(words->word[to], "...") == 0;
    to += to < words->count && strcmp(words->word[to], "took") != 0;
    if (to + 1 < words->count && strcmp(words->word[to], "took") == 0) {
        expected->took = words->word[to + 1];
        to += 2;
    }
    if (to < words->count) {
        script_fail(run, "\"%s\" is no way for a transfer to end", words->word[to]);
    }
}

/* The first bytes, for messages. */
static const char *show(const uint8_t *bytes, size_t length, char text[160])
{
    size_t used = (size_t)snprintf(text, 160, "%zu bytes:", length);

    for (size_t i = 0; i < length && i < 40; i++) {
        used += (size_t)snprintf(text + used, 160 - used, " %02X", bytes[i]);
    }
    return text;
}

static void check_bytes(struct script_run *run, const struct expectation *expected)
{
    const struct host_transfer *transfer = &run->transfer;
    char want[160], got[160];
    size_t i = 0;

    if ((transfer->length == expected->length ||
         (expected->open && transfer->length > expected->length)) &&
        memcmp(transfer->data, expected->bytes, expected->length) == 0) {
        return;
    }
    while (i < transfer->length && i < expected->length &&
           transfer->data[i] == expected->bytes[i]) {
        i++;
    }
    script_fail(run, "expected %s\n  got      %s\n  they differ from byte %zu on\n  %s",
                show(expected->bytes, expected->length, want),
                show(transfer->data, transfer->length, got), i, host_transcript(transfer));
}

static void check_time(struct script_run *run, const char *range)
{
    const struct host_transfer *transfer = &run->transfer;
    uint64_t took = transfer->ended - transfer->started;
    char from[32];
    const char *dots = strstr(range, "..");

    if (dots == NULL || (size_t)(dots - range) >= sizeof(from)) {
        script_fail(run, "took FROM..TO");
    }
    snprintf(from, sizeof(from), "%.*s", (int)(dots - range), range);
    if (took < script_time(run, from) || took > script_time(run, dots + 2)) {
        script_fail(run, "took %.3f ms\n  %s", (double)took / (double)BOARD_NS_PER_MS,
                    host_transcript(transfer));
    }
}

static void check(struct script_run *run, const struct script_words *words)
{
    const struct host_transfer *transfer = &run->transfer;
    static struct expectation expected;

    if (words->expect == words->count) {
        if (transfer->end != HOST_ACK) {
            script_fail(run, "expected ACK, got %s\n  %s", host_end_name(transfer->end),
                        host_transcript(transfer));
        }
        return;
    }
    read_expectation(run, words, &expected);
    if (expected.dead) {
        if ((transfer->end != HOST_NAK && transfer->end != HOST_SILENT) ||
            run->board->ops->ready_at(run->board) != BOARD_NEVER) {
            script_fail(run, "expected a board that is lost until reset, got %s\n  %s",
                        host_end_name(transfer->end), host_transcript(transfer));
        }
    } else if (transfer->end != expected.end) {
        script_fail(run, "expected %s, got %s\n  %s", host_end_name(expected.end),
                    host_end_name(transfer->end), host_transcript(transfer));
    }
    check_bytes(run, &expected);
    if (expected.took != NULL) {
        check_time(run, expected.took);
    }
}

/* Sends a request to interface 0 (or as `type` says) and checks what came of it. */
static void request(struct script_run *run, const struct script_words *words,
                    const uint8_t packet[8], const uint8_t *out, size_t sent)
{
    host_control(run->board, packet, out, sent, run->patience, &run->transfer);
    check(run, words);
}

void script_raw_request(struct script_run *run, const struct script_words *words)
{
    static uint8_t out[HOST_DATA_MAX];
    uint8_t packet[8];
    size_t sent = 0;

    if (words->expect < 5 || (words->expect > 5 && strcmp(words->word[5], ":") != 0)) {
        script_fail(run, "TT RR VVVV IIII LLLL [: BYTES]");
    }
    host_setup_packet(
        packet, (uint8_t)script_hex(run, words->word[0]), (uint8_t)script_hex(run, words->word[1]),
        (uint16_t)script_hex(run, words->word[2]), (uint16_t)script_hex(run, words->word[3]),
        (uint16_t)script_hex(run, words->word[4]));
    if (words->expect > 6) {
        sent = script_bytes(run, words, 6, words->expect, out, sizeof(out));
    }
    request(run, words, packet, out, sent);
}

/* DFU requests without data, by name. */
static void plain(struct script_run *run, const struct script_words *words)
{
    static const struct {
        const char *name;
        uint8_t type, request, length;
    } table[] = {
        {"DETACH", 0x21, 0, 0},
        {"CLRSTATUS", 0x21, 4, 0},
        {"GETSTATE", 0xA1, 5, 1},
        {"ABORT", 0x21, 6, 0},
    };
    uint8_t packet[8];
    size_t i = 0;

    while (strcmp(table[i].name, words->word[0]) != 0) {
        i++;
    }
    host_setup_packet(packet, table[i].type, table[i].request, 0, 0, table[i].length);
    request(run, words, packet, NULL, 0);
}

static void get_status(struct script_run *run, const struct script_words *words)
{
    uint32_t length = words->expect > 1 ? script_number(run, words->word[1]) : 6;
    uint8_t packet[8];

    host_setup_packet(packet, 0xA1, REQUEST_GETSTATUS, 0, 0, (uint16_t)length);
    request(run, words, packet, NULL, 0);
}

static void download(struct script_run *run, const struct script_words *words)
{
    static uint8_t out[HOST_DATA_MAX];
    uint8_t packet[8];
    size_t length = script_bytes(run, words, 2, words->expect, out, sizeof(out));

    host_setup_packet(packet, 0x21, REQUEST_DNLOAD, (uint16_t)script_number(run, words->word[1]), 0,
                      (uint16_t)length);
    request(run, words, packet, out, length);
}

static void announce(struct script_run *run, const struct script_words *words)
{
    static uint8_t out[HOST_DATA_MAX];
    uint8_t packet[8];
    size_t sent = script_bytes(run, words, 3, words->expect, out, sizeof(out));

    host_setup_packet(packet, 0x21, REQUEST_DNLOAD, (uint16_t)script_number(run, words->word[1]), 0,
                      (uint16_t)script_number(run, words->word[2]));
    request(run, words, packet, out, sent);
}

static void upload(struct script_run *run, const struct script_words *words)
{
    uint8_t packet[8];

    host_setup_packet(packet, 0xA1, REQUEST_UPLOAD, (uint16_t)script_number(run, words->word[1]), 0,
                      (uint16_t)script_number(run, words->word[2]));
    request(run, words, packet, NULL, 0);
}

/* The DfuSe command blocks: a letter and an address. */
static size_t command_block(struct script_run *run, const char *name, const char *hex,
                            uint8_t block[5])
{
    uint32_t address = script_hex(run, hex);

    block[0] = strcmp(name, "ERASE") == 0 || strcmp(name, "WIPE") == 0 ? 0x41 : 0x21;
    for (int i = 0; i < 4; i++) {
        block[1 + i] = (uint8_t)(address >> (8 * i));
    }
    return 5;
}

static void command(struct script_run *run, const struct script_words *words)
{
    uint8_t packet[8], block[5];
    size_t length = command_block(run, words->word[0], words->word[1], block);

    host_setup_packet(packet, 0x21, REQUEST_DNLOAD, 0, 0, (uint16_t)length);
    request(run, words, packet, block, length);
}

/* DNLOAD, GETSTATUS, GETSTATUS as a careful host does, all of which must succeed. */
static void whole_download(struct script_run *run, uint16_t number, const uint8_t *data,
                           size_t length)
{
    uint8_t packet[8];

    host_setup_packet(packet, 0x21, REQUEST_DNLOAD, number, 0, (uint16_t)length);
    host_control(run->board, packet, data, length, BOARD_NEVER, &run->transfer);
    for (int round = 0; round < 2 && run->transfer.end == HOST_ACK; round++) {
        host_setup_packet(packet, 0xA1, REQUEST_GETSTATUS, 0, 0, 6);
        host_control(run->board, packet, NULL, 0, BOARD_NEVER, &run->transfer);
    }
    if (run->transfer.end != HOST_ACK || run->transfer.length != 6 ||
        run->transfer.data[4] != STATE_DNLOAD_IDLE) {
        script_fail(run, "the command failed\n  %s", host_transcript(&run->transfer));
    }
}

static void whole_command(struct script_run *run, const struct script_words *words)
{
    uint8_t block[5];

    whole_download(run, 0, block, command_block(run, words->word[0], words->word[1], block));
}

static void write_data(struct script_run *run, const struct script_words *words)
{
    static uint8_t data[HOST_DATA_MAX];
    uint8_t block[5];

    whole_download(run, 0, block, command_block(run, "POINT", words->word[1], block));
    whole_download(run, 2, data, script_bytes(run, words, 2, words->expect, data, sizeof(data)));
}

static void state(struct script_run *run, const struct script_words *words)
{
    struct board *copy = run->board->ops->clone(run->board);
    uint8_t packet[8];
    uint32_t expected = script_hex(run, words->word[1]);

    host_setup_packet(packet, 0xA1, REQUEST_GETSTATE, 0, 0, 1);
    host_control(copy, packet, NULL, 0, BOARD_NEVER, &run->transfer);
    copy->ops->destroy(copy);
    if (run->transfer.length != 1 || run->transfer.data[0] != expected) {
        script_fail(run, "the internal state is %02X\n  %s", run->transfer.data[0],
                    host_transcript(&run->transfer));
    }
}

static void alternate(struct script_run *run, const struct script_words *words)
{
    uint8_t packet[8];

    host_setup_packet(packet, 0x01, 0x0B, (uint16_t)script_number(run, words->word[1]), 0, 0);
    request(run, words, packet, NULL, 0);
}

static void configure(struct script_run *run, const struct script_words *words)
{
    uint8_t packet[8];

    host_setup_packet(packet, 0x00, 0x09, (uint16_t)script_number(run, words->word[1]), 0, 0);
    request(run, words, packet, NULL, 0);
}

static void bus_reset(struct script_run *run, const struct script_words *words)
{
    (void)words;
    run->board->ops->bus_reset(run->board);
}

static void enumerate(struct script_run *run, const struct script_words *words)
{
    (void)words;
    if (!host_enumerate(run->board)) {
        script_fail(run, "SET_ADDRESS or SET_CONFIGURATION failed");
    }
}

static void patience(struct script_run *run, const struct script_words *words)
{
    run->patience =
        strcmp(words->word[1], "never") == 0 ? BOARD_NEVER : script_time(run, words->word[1]);
}

const struct script_command script_host_commands[] = {
    {"DETACH", 0, 0, plain},
    {"CLRSTATUS", 0, 0, plain},
    {"GETSTATE", 0, 0, plain},
    {"ABORT", 0, 0, plain},
    {"GETSTATUS", 0, 1, get_status},
    {"DNLOAD", 1, SCRIPT_WORDS, download},
    {"ANNOUNCE", 3, SCRIPT_WORDS, announce},
    {"UPLOAD", 2, 2, upload},
    {"SET_ADDRESS", 1, 1, command},
    {"ERASE", 1, 1, command},
    {"POINT", 1, 1, whole_command},
    {"WIPE", 1, 1, whole_command},
    {"WRITE", 2, SCRIPT_WORDS, write_data},
    {"STATE", 1, 1, state},
    {"ALT", 1, 1, alternate},
    {"BUS_RESET", 0, 0, bus_reset},
    {"CONFIGURE", 1, 1, configure},
    {"ENUMERATE", 0, 0, enumerate},
    {"PATIENCE", 1, 1, patience},
    {NULL, 0, 0, NULL},
};
