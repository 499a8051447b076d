#include <string.h>

#include "tests/unit/support_script_board.h"

static struct script_board *script_of(const struct board *board)
{
    return (struct script_board *)board;
}

void script_board_attach(struct script_board *script, bool on)
{
    if (on && !script->attached) {
        script->board.attaches++;
    }
    script->attached = on;
}

static void then(struct script_board *script, enum script_then what)
{
    if (what != THEN_NOTHING) {
        script_board_attach(script, false);
    }
    if (what == THEN_REATTACH) {
        script_board_attach(script, true);
    }
}

static bool matches(const struct script_row *row, enum usb_token token, uint8_t endpoint,
                    const void *data, size_t length)
{
    if (row->token != token || row->endpoint != endpoint) {
        return false;
    }
    if (token == USB_TOKEN_IN) {
        return true;
    }
    if (token == USB_TOKEN_OUT && row->length != length) {
        return false;
    }
    return row->data == NULL || length == 0 || memcmp(row->data, data, length) == 0;
}

static const struct script_row ack = {.handshake = USB_ACK};
static const struct script_row nak = {.handshake = USB_NAK};

/* The row for this transaction, taken; NULL when it is not the next. */
static const struct script_row *take(struct script_board *script, enum usb_token token,
                                     uint8_t endpoint, const void *data, size_t length)
{
    const struct script_row *row = &script->rows[script->at];

    if (script->attached && script->naks) {
        script->board.now++;
        return token == USB_TOKEN_SETUP ? &ack : &nak;
    }
    if (!script->attached || script->at == script->count ||
        !matches(row, token, endpoint, data, length)) {
        script->unexpected++;
        return NULL;
    }
    if (script->repeated++ == row->repeat) {
        script->at++;
        script->repeated = 0;
    }
    if (row->busy_ns == BOARD_NEVER) {
        script->ready = BOARD_NEVER;
    } else if (row->busy_ns > 0) {
        script->ready = script->board.now + row->busy_ns;
        script->pending = row->then;
    } else {
        then(script, row->then);
    }
    return row;
}

static enum usb_handshake setup(struct board *board, const uint8_t packet[8])
{
    const struct script_row *row = take(script_of(board), USB_TOKEN_SETUP, 0, packet, 8);

    return row != NULL ? row->handshake : USB_SILENT;
}

static enum usb_handshake out(struct board *board, uint8_t endpoint, const void *data,
                              size_t length)
{
    const struct script_row *row = take(script_of(board), USB_TOKEN_OUT, endpoint, data, length);

    return row != NULL ? row->handshake : USB_SILENT;
}

static enum usb_handshake in(struct board *board, uint8_t endpoint, void *data, size_t *length)
{
    const struct script_row *row = take(script_of(board), USB_TOKEN_IN, endpoint, NULL, 0);

    if (row == NULL) {
        return USB_SILENT;
    }
    if (row->handshake == USB_ACK) {
        *length = row->length;
        if (row->data != NULL) {
            memcpy(data, row->data, row->length);
        } else {
            memset(data, 0xA5, row->length);
        }
    }
    return row->handshake;
}

static void advance(struct board *board, uint64_t ns)
{
    struct script_board *script = script_of(board);

    board->now += ns;
    if (script->pending != THEN_NOTHING && board->now >= script->ready) {
        enum script_then due = script->pending;
        script->pending = THEN_NOTHING;
        then(script, due);
    }
}

static uint64_t next_deadline(const struct board *board)
{
    const struct script_board *script = script_of(board);

    return script->pending != THEN_NOTHING ? script->ready : BOARD_NEVER;
}

static uint64_t ready_at(const struct board *board)
{
    const struct script_board *script = script_of(board);

    return script->ready > board->now ? script->ready : board->now;
}

static bool attached(const struct board *board)
{
    return script_of(board)->attached;
}

static void bus_reset(struct board *board)
{
    script_of(board)->bus_resets++;
}

/* What a root port uses; a script has no other pins. */
static const struct board_ops script_ops = {
    .advance = advance,
    .next_deadline = next_deadline,
    .ready_at = ready_at,
    .attached = attached,
    .bus_reset = bus_reset,
    .setup = setup,
    .out = out,
    .in = in,
};

void script_board_init(struct script_board *script, const struct script_row *rows, size_t count)
{
    *script = (struct script_board){.board.ops = &script_ops, .rows = rows, .count = count};
    script_board_attach(script, true);
}

bool script_board_finished(const struct script_board *script)
{
    return script->at == script->count && script->unexpected == 0;
}
