#include "tests/unit/support_host.h"

#include <stdio.h>
#include <string.h>

#define HOST_ADDRESS 5

static const char *const end_names[] = {
    [HOST_ACK] = "ACK",       [HOST_NAK] = "NAK",       [HOST_STALL] = "STALL",
    [HOST_SILENT] = "SILENT", [HOST_BABBLE] = "BABBLE",
};

const char *host_end_name(enum host_end end)
{
    return end_names[end];
}

void host_setup_packet(uint8_t packet[8], uint8_t request_type, uint8_t request, uint16_t value,
                       uint16_t index, uint16_t length)
{
    const uint8_t bytes[8] = {
        request_type,
        request,
        (uint8_t)value,
        (uint8_t)(value >> 8),
        (uint8_t)(index & 0xFF),
        (uint8_t)(index >> 8),
        (uint8_t)length,
        (uint8_t)(length >> 8),
    };

    memcpy(packet, bytes, sizeof(bytes));
}

const char *host_transcript(const struct host_transfer *transfer)
{
    static const char *const names[] = {
        [USB_TOKEN_SETUP] = "SETUP", [USB_TOKEN_OUT] = "OUT", [USB_TOKEN_IN] = "IN"};
    static char text[HOST_TRANSCRIPT_MAX];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < transfer->token_count && used < sizeof(text); i++) {
        const struct host_token *token = &transfer->tokens[i];

        used += (size_t)snprintf(
            text + used, sizeof(text) - used, "%s%s %zu %s (%u NAK, %.3f ms)", i == 0 ? "" : ", ",
            names[token->kind], token->length, host_end_name(token->end), token->naks,
            (double)(token->time - transfer->started) / (double)BOARD_NS_PER_MS);
    }
    return text;
}

static enum host_end end_of(enum usb_handshake handshake)
{
    switch (handshake) {
    case USB_ACK:
        return HOST_ACK;
    case USB_NAK:
        return HOST_NAK;
    case USB_STALL:
        return HOST_STALL;
    case USB_SILENT:
        break;
    }
    return HOST_SILENT;
}

/* One token, sent again until something else than NAK comes or the board has nothing to wait for.
 */
struct token {
    enum usb_token kind;
    const uint8_t *out;
    uint8_t *in;
    size_t length;
};

static enum usb_handshake send_once(struct board *board, struct token *token)
{
    switch (token->kind) {
    case USB_TOKEN_SETUP:
        return board->ops->setup(board, token->out);
    case USB_TOKEN_OUT:
        return board->ops->out(board, 0, token->out, token->length);
    case USB_TOKEN_IN:
        break;
    }
    return board->ops->in(board, 0, token->in, &token->length);
}

static enum host_end send(struct board *board, struct token *token, uint64_t deadline,
                          struct host_transfer *transfer)
{
    unsigned naks = 0;
    enum usb_handshake handshake;

    for (;;) {
        uint64_t ready;

        handshake = send_once(board, token);
        if (handshake != USB_NAK) {
            break;
        }
        naks++;
        ready = board->ops->ready_at(board);
        if (ready == BOARD_NEVER || ready <= board->now) {
            break;
        }
        if (ready > deadline) {
            board_advance_to(board, deadline);
            break;
        }
        board_advance_to(board, ready);
    }
    transfer->end = end_of(handshake);
    if (transfer->token_count < HOST_TOKENS_MAX) {
        transfer->tokens[transfer->token_count++] =
            (struct host_token){.kind = token->kind,
                                .end = transfer->end,
                                .naks = naks,
                                .length = handshake == USB_ACK ? token->length : 0,
                                .time = board->now};
    }
    return transfer->end;
}

static bool data_in(struct board *board, size_t wanted, uint64_t deadline,
                    struct host_transfer *transfer)
{
    transfer->stage = HOST_DATA;
    for (;;) {
        uint8_t packet[BOARD_USB_PACKET];
        struct token token = {.kind = USB_TOKEN_IN, .in = packet};

        if (send(board, &token, deadline, transfer) != HOST_ACK) {
            return false;
        }
        memcpy(transfer->data + transfer->length, packet, token.length);
        transfer->length += token.length;
        if (transfer->length > wanted) {
            transfer->end = HOST_BABBLE;
            return false;
        }
        if (transfer->length == wanted || token.length < BOARD_USB_PACKET) {
            return true;
        }
    }
}

static bool data_out(struct board *board, const uint8_t *data, size_t length, uint64_t deadline,
                     struct host_transfer *transfer)
{
    transfer->stage = HOST_DATA;
    for (size_t done = 0; done < length;) {
        size_t part = length - done < BOARD_USB_PACKET ? length - done : BOARD_USB_PACKET;
        struct token token = {.kind = USB_TOKEN_OUT, .out = data + done, .length = part};

        if (send(board, &token, deadline, transfer) != HOST_ACK) {
            return false;
        }
        done += part;
    }
    return true;
}

static void status(struct board *board, bool in, uint64_t deadline, struct host_transfer *transfer)
{
    uint8_t packet[BOARD_USB_PACKET];
    struct token token = {
        .kind = in ? USB_TOKEN_IN : USB_TOKEN_OUT, .in = packet, .out = NULL, .length = 0};

    transfer->stage = HOST_STATUS;
    if (send(board, &token, deadline, transfer) == HOST_ACK && token.length > 0) {
        transfer->end = HOST_BABBLE;
    }
}

void host_control(struct board *board, const uint8_t packet[8], const void *out, size_t sent,
                  uint64_t patience, struct host_transfer *transfer)
{
    const bool in = (packet[0] & 0x80) != 0;
    const size_t length = (size_t)(packet[6] | packet[7] << 8);
    const uint64_t deadline = patience == BOARD_NEVER ? BOARD_NEVER : board->now + patience;
    struct token setup = {.kind = USB_TOKEN_SETUP, .out = packet, .length = 8};

    transfer->stage = HOST_SETUP;
    transfer->length = 0;
    transfer->token_count = 0;
    transfer->started = board->now;
    if (send(board, &setup, deadline, transfer) == HOST_ACK &&
        (length == 0 || (in ? data_in(board, length, deadline, transfer)
                            : data_out(board, out, sent, deadline, transfer) && sent == length))) {
        status(board, length == 0 || !in, deadline, transfer);
    }
    transfer->ended = board->now;
}

static bool simple(struct board *board, uint8_t request, uint16_t value)
{
    struct host_transfer transfer;
    uint8_t packet[8];

    host_setup_packet(packet, 0x00, request, value, 0, 0);
    host_control(board, packet, NULL, 0, BOARD_NEVER, &transfer);
    return transfer.end == HOST_ACK;
}

bool host_enumerate(struct board *board)
{
    board->ops->bus_reset(board);
    return simple(board, 0x05, HOST_ADDRESS) && simple(board, 0x09, 1);
}

bool host_out(struct board *board, uint8_t request_type, uint8_t request, uint16_t value,
              const void *data, uint16_t length)
{
    struct host_transfer transfer;
    uint8_t packet[8];

    host_setup_packet(packet, request_type, request, value, 0, length);
    host_control(board, packet, data, length, BOARD_NEVER, &transfer);
    return transfer.end == HOST_ACK;
}

bool host_in(struct board *board, uint8_t request_type, uint8_t request, uint16_t value, void *data,
             uint16_t length)
{
    struct host_transfer transfer;
    uint8_t packet[8];

    host_setup_packet(packet, request_type, request, value, 0, length);
    host_control(board, packet, NULL, 0, BOARD_NEVER, &transfer);
    if (transfer.end != HOST_ACK || transfer.length != length) {
        return false;
    }
    memcpy(data, transfer.data, length);
    return true;
}
