#include "photon.h"

#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "effects.h"

/* Time on a full-speed bus: token, handshake and gaps of one transaction, and each data byte
 * (USB 2.0 §5.11.3). */
#define TRANSACTION_NS UINT64_C(13000)
#define DATA_BYTE_NS   UINT64_C(667)

static struct photon *photon_of(struct board *board)
{
    return (struct photon *)board;
}

static const struct photon *photon_of_const(const struct board *board)
{
    return (const struct photon *)board;
}

static void photon_destroy(struct board *board)
{
    struct photon *photon = photon_of(board);

    flash_free(photon->flash);
    timeline_free(&photon->timeline);
    free(photon);
}

static bool photon_powered(const struct board *board)
{
    return photon_of_const(board)->life != LIFE_OFF;
}

static void photon_power(struct board *board, bool on)
{
    struct photon *photon = photon_of(board);

    if (on == photon_powered(board)) {
        return;
    }
    if (on) {
        effects_tell_now(photon, BOARD_EVENT_POWER, NULL, 1);
        flash_power_on(photon->flash, board->now);
        cpu_reset(photon, CAUSE_POWER, "power on");
    } else {
        cpu_rewind(photon);
        cpu_lose_power(photon);
    }
}

static void photon_reset(struct board *board)
{
    struct photon *photon = photon_of(board);

    if (photon_powered(board)) {
        cpu_rewind(photon);
        flash_power_on(photon->flash, board->now);
        cpu_reset(photon, CAUSE_PIN, "reset pin");
    }
}

static void photon_button(struct board *board, bool pressed)
{
    struct photon *photon = photon_of(board);
    uint64_t start;

    if (photon->button_pressed == pressed) {
        return;
    }
    photon->button_pressed = pressed;
    if (photon->life == LIFE_BUTTON && !pressed) {
        start = cpu_stretch_begin(photon);
        bootloader_button_released(photon);
        cpu_stretch_end(photon, start);
    } else if (photon->life == LIFE_SYSTEM) {
        start = cpu_stretch_begin(photon);
        listening_button(photon, pressed);
        cpu_stretch_end(photon, start);
    }
}

static void photon_advance(struct board *board, uint64_t ns)
{
    struct photon *photon = photon_of(board);

    cpu_run_until(photon, board->now + ns < board->now ? BOARD_NEVER - 1 : board->now + ns);
}

static uint64_t photon_next_deadline(const struct board *board)
{
    const struct photon *photon = photon_of_const(board);
    uint64_t busy_until = cpu_now(photon);

    return busy_until > board->now && busy_until < photon->due ? busy_until : photon->due;
}

static uint64_t photon_ready_at(const struct board *board)
{
    const struct photon *photon = photon_of_const(board);
    uint64_t busy_until = cpu_now(photon);

    if (photon->life == LIFE_OFF) {
        return BOARD_NEVER;
    }
    if (busy_until > board->now) {
        return busy_until;
    }
    return photon->life == LIFE_DEAD ? BOARD_NEVER : board->now;
}

static uint64_t photon_pauses_until(const struct board *board)
{
    const struct photon *photon = photon_of_const(board);
    uint64_t ends = photon->system.terminal.pause_ends;

    return photon->life == LIFE_SYSTEM && ends > board->now ? ends : board->now;
}

static bool photon_attached(const struct board *board)
{
    return photon_of_const(board)->usb.attached;
}

static void photon_bus_reset(struct board *board)
{
    struct photon *photon = photon_of(board);

    if (photon->usb.attached) {
        usb_device_bus_reset(&photon->usb);
        effects_tell_now(photon, BOARD_EVENT_USB_BUS_RESET, NULL, 0);
        cpu_rearm(photon);
    }
}

/* Lets time on the bus pass. False when nobody is on it afterwards. */
static bool bus_time(struct photon *photon, uint64_t ns)
{
    uint64_t end = photon->board.now + ns;

    if (photon->due <= end) {
        cpu_run_until(photon, end);
    } else {
        photon->board.now = end;
    }
    return photon->usb.attached;
}

/* The time of one transaction whose packet the host sends. */
static bool transaction(struct photon *photon, size_t length)
{
    return bus_time(photon, TRANSACTION_NS + length * DATA_BYTE_NS);
}

static void tell_transaction(struct photon *photon, enum usb_token token,
                             enum usb_handshake handshake, uint8_t endpoint, const void *data,
                             size_t length)
{
    struct board_event event = {.time = photon->board.now, .kind = BOARD_EVENT_USB_TRANSACTION};

    if (photon->board.observer == NULL) {
        return;
    }
    event.u.usb.token = token;
    event.u.usb.handshake = handshake;
    event.u.usb.endpoint = endpoint;
    event.u.usb.length = (uint16_t)length;
    event.u.usb.data = length > 0 ? data : NULL;
    effects_deliver(photon, &event);
}

/* The CPU can handle an interrupt of the USB core now. */
static bool serving(const struct photon *photon)
{
    return cpu_listens(photon) && cpu_now(photon) <= photon->board.now;
}

static enum usb_handshake photon_setup(struct board *board, const uint8_t packet[8])
{
    struct photon *photon = photon_of(board);

    if (!transaction(photon, 8)) {
        tell_transaction(photon, USB_TOKEN_SETUP, USB_SILENT, 0, packet, 8);
        return USB_SILENT;
    }
    tell_transaction(photon, USB_TOKEN_SETUP, USB_ACK, 0, packet, 8);
    if (serving(photon)) {
        cpu_handle_setup(photon, packet);
    } else {
        /* The USB core takes it without the CPU; only the last one counts. */
        memcpy(photon->usb.latched, packet, sizeof(photon->usb.latched));
        photon->usb.setup_latched = cpu_listens(photon);
        photon->usb.ep0.stage = EP0_NOTHING;
        cpu_rearm(photon);
    }
    return USB_ACK;
}

static enum usb_handshake photon_out(struct board *board, uint8_t endpoint, const void *data,
                                     size_t length)
{
    struct photon *photon = photon_of(board);
    enum usb_handshake answer = USB_NAK;

    if (!transaction(photon, length)) {
        answer = USB_SILENT;
    } else if (serving(photon)) {
        uint64_t start = cpu_stretch_begin(photon);

        answer = usb_device_out(photon, endpoint, data, length);
        cpu_stretch_end(photon, start);
    }
    tell_transaction(photon, USB_TOKEN_OUT, answer, endpoint, data, length);
    return answer;
}

static enum usb_handshake photon_in(struct board *board, uint8_t endpoint, void *data,
                                    size_t *length)
{
    struct photon *photon = photon_of(board);
    enum usb_handshake answer;
    uint64_t start;
    bool taken;

    *length = 0;
    if (!transaction(photon, 0)) {
        tell_transaction(photon, USB_TOKEN_IN, USB_SILENT, endpoint, NULL, 0);
        return USB_SILENT;
    }
    if (!serving(photon)) {
        tell_transaction(photon, USB_TOKEN_IN, USB_NAK, endpoint, NULL, 0);
        return USB_NAK;
    }
    start = cpu_stretch_begin(photon);
    answer = usb_device_in(photon, endpoint, data, length, &taken);
    cpu_stretch_end(photon, start);
    if (!bus_time(photon, *length * DATA_BYTE_NS)) {
        *length = 0; /* left the bus in the middle of the packet */
        tell_transaction(photon, USB_TOKEN_IN, USB_SILENT, endpoint, NULL, 0);
        return USB_SILENT;
    }
    tell_transaction(photon, USB_TOKEN_IN, answer, endpoint, data, *length);
    if (taken && photon->usb.function->data_sent != NULL) {
        start = cpu_stretch_begin(photon);
        photon->usb.function->data_sent(photon);
        cpu_stretch_end(photon, start);
    }
    return answer;
}

static struct led photon_led(const struct board *board)
{
    return photon_of_const(board)->led;
}

static bool photon_flash_read(const struct board *board, uint32_t address, void *data,
                              size_t length)
{
    if (!flash_contains(address, length)) {
        return false;
    }
    flash_read(photon_of_const(board)->flash, address, data, length);
    return true;
}

static uint32_t photon_backup_read(const struct board *board, unsigned number)
{
    return number < BACKUP_REGISTERS ? photon_of_const(board)->backup.dr[number] : 0;
}

/* Copies the engine's state; what each copy owns for itself stays. */
static bool copy_state(struct photon *to, const struct photon *from)
{
    struct board_ops const *ops = to->board.ops;
    uint64_t attaches = to->board.attaches;
    board_observer *observer = to->board.observer;
    void *observer_context = to->board.observer_context;
    struct flash *flash = to->flash;
    struct timeline timeline = to->timeline;
    const uint8_t *begin = (const uint8_t *)from;
    const uint8_t *data = from->usb.ep0.data;

    if (!timeline_copy(&timeline, &from->timeline)) {
        return false;
    }
    memcpy(to, from, sizeof(*to));
    to->board.ops = ops;
    to->board.attaches = attaches + (from->usb.attached ? 1 : 0);
    to->board.observer = observer;
    to->board.observer_context = observer_context;
    to->flash = flash;
    to->timeline = timeline;
    if (data >= begin && data < begin + sizeof(*from)) {
        to->usb.ep0.data = (const uint8_t *)to + (data - begin);
    }
    return true;
}

static struct board *photon_clone(const struct board *board)
{
    const struct photon *from = photon_of_const(board);
    struct photon *to = calloc(1, sizeof(*to));

    if (to == NULL) {
        return NULL;
    }
    to->board.ops = board->ops;
    to->flash = flash_clone(from->flash);
    if (to->flash == NULL || !copy_state(to, from)) {
        if (to->flash != NULL) {
            flash_free(to->flash);
        }
        timeline_free(&to->timeline);
        free(to);
        return NULL;
    }
    flash_set_reporter(to->flash, effects_flash_told, to);
    return &to->board;
}

static bool photon_restore(struct board *board, const struct board *from)
{
    struct photon *photon = photon_of(board);

    if (!copy_state(photon, photon_of_const(from))) {
        return false;
    }
    flash_restore(photon->flash, photon_of_const(from)->flash);
    return true;
}

static const struct board_ops photon_ops = {
    .destroy = photon_destroy,
    .power = photon_power,
    .powered = photon_powered,
    .reset = photon_reset,
    .button = photon_button,
    .advance = photon_advance,
    .next_deadline = photon_next_deadline,
    .ready_at = photon_ready_at,
    .pauses_until = photon_pauses_until,
    .attached = photon_attached,
    .bus_reset = photon_bus_reset,
    .setup = photon_setup,
    .out = photon_out,
    .in = photon_in,
    .led = photon_led,
    .flash_read = photon_flash_read,
    .backup_read = photon_backup_read,
    .clone = photon_clone,
    .restore = photon_restore,
};

struct board *photon_new(const struct photon_config *config, struct flash *flash)
{
    struct photon *photon = calloc(1, sizeof(*photon));

    if (photon == NULL) {
        return NULL;
    }
    photon->board.ops = &photon_ops;
    photon->config = *config;
    photon->flash = flash;
    photon->life = LIFE_OFF;
    effects_stop_timers(photon);
    usb_device_reset(&photon->usb);
    dfu_reset(&photon->dfu);
    flash_set_reporter(flash, effects_flash_told, photon);
    cpu_rearm(photon);
    return &photon->board;
}

struct flash *photon_flash(struct board *board)
{
    return photon_of(board)->flash;
}

struct backup *photon_backup(struct board *board)
{
    return &photon_of(board)->backup;
}
