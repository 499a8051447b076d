#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_null_board.h"

enum dfu_state { DFU_IDLE = 2, DFU_SYNC = 3, DFU_BUSY = 4, DFU_DNLOAD_IDLE = 5, DFU_UPLOAD = 9 };

/* What EP0 does next. */
enum ep0 { EP0_NONE, EP0_REPLY, EP0_ZEROS, EP0_TAKE, EP0_STATUS_IN, EP0_STALL };

/* The longest string descriptor. */
#define REPLY_MAX 255

struct null_board {
    struct board board;
    bool power;
    uint8_t configuration;
    enum dfu_state state;
    enum ep0 ep0;
    uint8_t reply[REPLY_MAX];
    size_t sent; /* of the reply */
    size_t left; /* bytes of the data stage */
    uint64_t downloaded, uploaded;
};

static const uint8_t device_descriptor[18] = {18,   1,    0x00, 0x02, 0, 0, 0, 64, 0x04,
                                              0x2B, 0x06, 0xD0, 0x00, 2, 1, 2, 3,  1};
/* clang-format off */
static const uint8_t config_descriptor[27] = {
    9, 2, 27, 0, 1, 1, 0, 0xC0, 0x32,
    9, 4, 0, 0, 0, 0xFE, 1, 2, 4,
    9, 0x21, 0x0B, 0xFF, 0, 0, 16, 0x1A, 1,
};
/* clang-format on */
static const char *const strings[] = {NULL, NULL_BOARD_MANUFACTURER, NULL_BOARD_PRODUCT,
                                      NULL_BOARD_SERIAL, NULL_BOARD_MEMORY};

static struct null_board *null_of(const struct board *board)
{
    return (struct null_board *)board;
}

static void reply(struct null_board *null, const void *data, size_t length, size_t asked)
{
    null->ep0 = EP0_REPLY;
    null->sent = 0;
    null->left = length < asked ? length : asked;
    memcpy(null->reply, data, null->left);
}

static void reply_string(struct null_board *null, uint8_t index, size_t asked)
{
    uint8_t text[REPLY_MAX] = {4, 3, 0x09, 0x04};

    if (index >= sizeof strings / sizeof strings[0]) {
        null->ep0 = EP0_STALL;
        return;
    }
    if (index != 0) {
        size_t count = strlen(strings[index]);
        text[0] = (uint8_t)(2 + 2 * count);
        for (size_t i = 0; i < count; i++) {
            text[2 + 2 * i] = (uint8_t)strings[index][i];
            text[3 + 2 * i] = 0;
        }
    }
    reply(null, text, text[0], asked);
}

static void standard_request(struct null_board *null, const uint8_t packet[8], size_t asked)
{
    switch (packet[1] << 8 | packet[3]) {
    case 0x0601:
        reply(null, device_descriptor, sizeof device_descriptor, asked);
        break;
    case 0x0602:
        reply(null, config_descriptor, sizeof config_descriptor, asked);
        break;
    case 0x0603:
        reply_string(null, packet[2], asked);
        break;
    case 0x0500:
        break;
    case 0x0900:
        null->configuration = packet[2];
        null->state = DFU_IDLE;
        break;
    case 0x0B00:
        break;
    default:
        null->ep0 = EP0_STALL;
        break;
    }
}

static void get_status(struct null_board *null, size_t asked)
{
    uint8_t status[6] = {0, 0, 0, 0, (uint8_t)null->state, 0};

    if (null->state == DFU_SYNC) {
        status[4] = DFU_BUSY;
        null->state = DFU_BUSY;
    } else if (null->state == DFU_BUSY) {
        status[4] = DFU_DNLOAD_IDLE;
        null->state = DFU_DNLOAD_IDLE;
    }
    reply(null, status, sizeof status, asked);
}

static void dfu_request(struct null_board *null, const uint8_t packet[8], size_t asked)
{
    uint8_t state = (uint8_t)null->state;

    switch (packet[1]) {
    case 1:
        null->state = asked > 0 ? DFU_SYNC : DFU_IDLE;
        null->ep0 = asked > 0 ? EP0_TAKE : EP0_STATUS_IN;
        null->left = asked;
        break;
    case 2:
        null->state = DFU_UPLOAD;
        null->ep0 = EP0_ZEROS;
        null->left = asked;
        break;
    case 3:
        get_status(null, asked);
        break;
    case 4:
    case 6:
        null->state = DFU_IDLE;
        break;
    case 5:
        reply(null, &state, 1, asked);
        break;
    default:
        null->ep0 = EP0_STALL;
        break;
    }
}

static enum usb_handshake setup(struct board *board, const uint8_t packet[8])
{
    struct null_board *null = null_of(board);
    size_t asked = (size_t)packet[6] | (size_t)packet[7] << 8;

    if (!null->power) {
        return USB_SILENT;
    }
    null->ep0 = EP0_STATUS_IN;
    null->left = 0;
    if ((packet[0] & 0x60) == 0x20) {
        dfu_request(null, packet, asked);
    } else {
        standard_request(null, packet, asked);
    }
    return USB_ACK;
}

static enum usb_handshake out(struct board *board, uint8_t endpoint, const void *data,
                              size_t length)
{
    struct null_board *null = null_of(board);

    (void)data;
    if (!null->power || endpoint != 0) {
        return USB_SILENT;
    }
    if (null->ep0 == EP0_STALL) {
        return USB_STALL;
    }
    if (null->ep0 == EP0_TAKE) {
        null->downloaded += length;
        null->left -= length < null->left ? length : null->left;
        if (null->left == 0) {
            null->ep0 = EP0_STATUS_IN;
        }
    }
    return USB_ACK;
}

static enum usb_handshake in(struct board *board, uint8_t endpoint, void *data, size_t *length)
{
    struct null_board *null = null_of(board);
    size_t count = null->left < BOARD_USB_PACKET ? null->left : BOARD_USB_PACKET;

    if (!null->power || endpoint != 0) {
        return USB_SILENT;
    }
    switch (null->ep0) {
    case EP0_REPLY:
        memcpy(data, null->reply + null->sent, count);
        null->sent += count;
        break;
    case EP0_ZEROS:
        memset(data, 0, count);
        null->uploaded += count;
        break;
    case EP0_STATUS_IN:
        count = 0;
        break;
    case EP0_STALL:
        return USB_STALL;
    case EP0_NONE:
    case EP0_TAKE:
        return USB_NAK;
    }
    null->left -= count;
    *length = count;
    return USB_ACK;
}

static void destroy(struct board *board)
{
    free(null_of(board));
}

static void power(struct board *board, bool on)
{
    struct null_board *null = null_of(board);

    if (on && !null->power) {
        board->attaches++;
    }
    null->power = on;
    null->state = DFU_IDLE;
    null->ep0 = EP0_NONE;
}

static bool powered(const struct board *board)
{
    return null_of(board)->power;
}

static void reset(struct board *board)
{
    if (powered(board)) {
        power(board, false);
        power(board, true);
    }
}

static void button(struct board *board, bool pressed)
{
    (void)board;
    (void)pressed;
}

static void advance(struct board *board, uint64_t ns)
{
    board->now += ns;
}

static uint64_t next_deadline(const struct board *board)
{
    (void)board;
    return BOARD_NEVER;
}

static uint64_t ready_at(const struct board *board)
{
    return powered(board) ? board->now : BOARD_NEVER;
}

static void bus_reset(struct board *board)
{
    null_of(board)->configuration = 0;
    null_of(board)->ep0 = EP0_NONE;
}

static struct led led(const struct board *board)
{
    (void)board;
    return (struct led){.pattern = LED_OFF};
}

static bool flash_nothing(const struct board *board, uint32_t address, void *data, size_t length)
{
    (void)board;
    (void)address;
    (void)data;
    return length == 0;
}

static uint32_t backup_nothing(const struct board *board, unsigned number)
{
    (void)board;
    (void)number;
    return 0;
}

static bool restore(struct board *board, const struct board *from)
{
    board_observer *observer = board->observer;
    void *context = board->observer_context;

    *null_of(board) = *null_of(from);
    board_observe(board, observer, context);
    return true;
}

static struct board *clone(const struct board *board)
{
    struct null_board *copy = calloc(1, sizeof *copy);

    if (copy == NULL) {
        return NULL;
    }
    (void)restore(&copy->board, board);
    return &copy->board;
}

static const struct board_ops null_ops = {
    .destroy = destroy,
    .power = power,
    .powered = powered,
    .reset = reset,
    .button = button,
    .advance = advance,
    .next_deadline = next_deadline,
    .ready_at = ready_at,
    .attached = powered,
    .bus_reset = bus_reset,
    .setup = setup,
    .out = out,
    .in = in,
    .led = led,
    .flash_read = flash_nothing,
    .backup_read = backup_nothing,
    .clone = clone,
    .restore = restore,
};

struct board *null_board_new(void)
{
    struct null_board *null = calloc(1, sizeof *null);

    if (null == NULL) {
        return NULL;
    }
    null->board.ops = &null_ops;
    return &null->board;
}

uint64_t null_board_downloaded(const struct board *board)
{
    return null_of(board)->downloaded;
}

uint64_t null_board_uploaded(const struct board *board)
{
    return null_of(board)->uploaded;
}
