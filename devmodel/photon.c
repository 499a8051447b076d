#include "photon.h"

#include <stdlib.h>
#include <string.h>

#include "engine.h"

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

/* --- the CPU's side: effects --- */

static void deliver(struct photon *photon, const struct board_event *event)
{
    if (photon->board.observer != NULL) {
        photon->board.observer(photon->board.observer_context, event);
    }
}

static void tell_now(struct photon *photon, enum board_event_kind kind, const char *text,
                     uint64_t value)
{
    struct board_event event = {
        .time = photon->board.now, .kind = kind, .text = text, .u.value = value};

    deliver(photon, &event);
}

static void cpu_reset(struct photon *photon, uint32_t cause, const char *text);
static void lose_power(struct photon *photon);

static void apply(struct photon *photon, const struct timeline_entry *entry)
{
    switch (entry->effect) {
    case EFFECT_LED:
        photon->led = entry->event.u.led;
        break;
    case EFFECT_ATTACH:
        photon->usb.attached = true;
        photon->board.attaches++;
        break;
    case EFFECT_DETACH:
        photon->usb.attached = false;
        break;
    case EFFECT_RESET:
        cpu_reset(photon, entry->undo, entry->event.text);
        return;
    case EFFECT_POWER_LOST:
        lose_power(photon);
        return;
    case EFFECT_TELL:
    case EFFECT_BACKUP:
    case EFFECT_HANG:
        break;
    }
    deliver(photon, &entry->event);
}

static void push(struct photon *photon, struct timeline_entry *entry)
{
    if (!flash_powered(photon->flash) && entry->effect != EFFECT_POWER_LOST) {
        return;
    }
    entry->event.time = cpu_now(photon);
    if (entry->event.time <= photon->board.now && timeline_first(&photon->timeline) == NULL &&
        entry->effect != EFFECT_RESET && entry->effect != EFFECT_POWER_LOST) {
        entry->event.time = photon->board.now;
        apply(photon, entry);
    } else if (!timeline_push(&photon->timeline, entry)) {
        /* Out of memory: the effect comes early rather than never. */
        apply(photon, entry);
    }
}

void cpu_spend(struct photon *photon, uint64_t ns)
{
    if (flash_powered(photon->flash)) {
        flash_set_clock(photon->flash, cpu_now(photon) + ns);
    }
}

void engine_tell(struct photon *photon, const struct board_event *event)
{
    struct timeline_entry entry = {.effect = EFFECT_TELL, .event = *event};

    if (photon->board.observer != NULL) {
        push(photon, &entry);
    }
}

void engine_boot_event(struct photon *photon, const char *text)
{
    engine_tell(photon, &(struct board_event){.kind = BOARD_EVENT_BOOT, .text = text});
}

static bool same_led(const struct led *a, const struct led *b)
{
    return a->pattern == b->pattern && a->colour == b->colour && a->period_ms == b->period_ms &&
           a->code == b->code;
}

static void set_led(struct photon *photon, struct led led)
{
    struct timeline_entry entry = {.effect = EFFECT_LED,
                                   .event = {.kind = BOARD_EVENT_LED, .u.led = led}};

    if (!same_led(&led, &photon->led_ahead)) {
        photon->led_ahead = led;
        push(photon, &entry);
    }
}

void engine_led(struct photon *photon, enum led_pattern pattern, uint32_t colour,
                uint32_t period_ms)
{
    set_led(photon, (struct led){.pattern = pattern, .colour = colour, .period_ms = period_ms});
}

void engine_sos(struct photon *photon, uint8_t code)
{
    set_led(photon,
            (struct led){.pattern = LED_SOS, .colour = LED_RED, .period_ms = 150, .code = code});
}

void engine_attach(struct photon *photon, bool attached)
{
    struct timeline_entry entry = {
        .effect = attached ? EFFECT_ATTACH : EFFECT_DETACH,
        .event = {.kind = attached ? BOARD_EVENT_USB_ATTACH : BOARD_EVENT_USB_DETACH}};

    push(photon, &entry);
}

void engine_backup(struct photon *photon, unsigned number, uint32_t value)
{
    uint32_t *reg = &photon->backup.dr[number];
    struct timeline_entry entry = {.effect = EFFECT_BACKUP, .undo = *reg};

    if (*reg == value || !flash_powered(photon->flash)) {
        return;
    }
    entry.event.kind = BOARD_EVENT_BACKUP;
    entry.event.u.value = (uint64_t)number << 32 | value;
    *reg = value;
    push(photon, &entry);
}

static void stop_timers(struct photon *photon)
{
    for (size_t i = 0; i < TIMERS; i++) {
        photon->timer[i] = BOARD_NEVER;
    }
}

/* The firmware's own timers end with it; the watchdog has its own clock. */
static void stop_firmware_timers(struct photon *photon)
{
    uint64_t watchdog = photon->timer[TIMER_WATCHDOG];

    stop_timers(photon);
    photon->timer[TIMER_WATCHDOG] = watchdog;
}

void engine_reset(struct photon *photon, uint32_t cause, const char *text)
{
    struct timeline_entry entry = {
        .effect = EFFECT_RESET, .undo = cause, .event = {.kind = BOARD_EVENT_RESET, .text = text}};

    photon->life = LIFE_BOOTING;
    stop_firmware_timers(photon);
    push(photon, &entry);
}

void engine_hang(struct photon *photon, const char *text)
{
    struct timeline_entry entry = {.effect = EFFECT_HANG,
                                   .event = {.kind = BOARD_EVENT_HANG, .text = text}};

    photon->life = LIFE_DEAD;
    stop_firmware_timers(photon);
    push(photon, &entry);
}

static void flash_told(void *context, const struct flash_report *report)
{
    static const enum board_event_kind kinds[] = {
        [FLASH_REPORT_ERASE] = BOARD_EVENT_FLASH_ERASE,
        [FLASH_REPORT_PROGRAM] = BOARD_EVENT_FLASH_PROGRAM,
        [FLASH_REPORT_REFUSED] = BOARD_EVENT_FLASH_REFUSED,
        [FLASH_REPORT_PROTECT] = BOARD_EVENT_FLASH_PROTECT,
    };
    static const char *const reasons[] = {
        [FLASH_NO_POWER] = "no power",
        [FLASH_BUSY] = "busy",
        [FLASH_ERROR_SEQUENCE] = "wrong sequence",
        [FLASH_ERROR_PARALLELISM] = "wrong parallelism",
        [FLASH_ERROR_ALIGNMENT] = "not aligned",
        [FLASH_ERROR_WRITE_PROTECTION] = "sector is write-protected",
        [FLASH_ERROR_PROGRAM] = "program error",
        [FLASH_ERROR_OPERATION] = "past the end of flash",
        [FLASH_COMPLETE] = NULL,
    };
    struct photon *photon = context;
    struct timeline_entry entry = {.effect = EFFECT_TELL};

    if (photon->board.observer == NULL) {
        return;
    }
    entry.event.kind = kinds[report->kind];
    entry.event.text = reasons[report->status];
    if (report->kind == FLASH_REPORT_PROTECT) {
        entry.event.u.value = report->nwrp;
    } else {
        entry.event.u.flash.address = report->address;
        entry.event.u.flash.length = report->length;
        entry.event.u.flash.operation = report->operation;
    }
    entry.event.time = report->start;
    if (!timeline_push(&photon->timeline, &entry)) {
        deliver(photon, &entry.event);
    }
}

/* --- stretches --- */

static void rearm(struct photon *photon)
{
    uint64_t due = timeline_due(&photon->timeline);

    for (size_t i = 0; i < TIMERS; i++) {
        due = photon->timer[i] < due ? photon->timer[i] : due;
    }
    if (photon->usb.setup_latched && cpu_now(photon) < due) {
        due = cpu_now(photon);
    }
    photon->due = due;
}

void engine_set_timer(struct photon *photon, enum timer timer, uint64_t at)
{
    photon->timer[timer] = at;
}

/* The CPU starts a stretch now. Returns where it starts, for stretch_end(). */
static uint64_t stretch_begin(struct photon *photon)
{
    flash_settle(photon->flash, photon->board.now);
    if (cpu_now(photon) < photon->board.now) {
        flash_set_clock(photon->flash, photon->board.now);
    }
    return cpu_now(photon);
}

static void stretch_end(struct photon *photon, uint64_t start)
{
    uint64_t busy;

    if (photon->life == LIFE_SYSTEM) {
        system_loop(photon);
    }
    busy = cpu_now(photon) - start;
    /* The flash stalls the CPU and with it the tick that counts down to the reset after a leave. */
    if (photon->timer[TIMER_LEAVE] != BOARD_NEVER && photon->timer[TIMER_LEAVE] > start) {
        photon->timer[TIMER_LEAVE] += busy;
    }
    if (!flash_powered(photon->flash) && photon->life != LIFE_OFF) {
        struct timeline_entry entry = {.effect = EFFECT_POWER_LOST};

        photon->life = LIFE_BOOTING;
        stop_timers(photon);
        push(photon, &entry);
    }
    rearm(photon);
}

/* Takes back what the CPU did ahead of now. */
static void rewind_to_now(struct photon *photon)
{
    const struct timeline_entry *entry;

    while ((entry = timeline_last(&photon->timeline)) != NULL) {
        if (entry->effect == EFFECT_BACKUP) {
            photon->backup.dr[entry->event.u.value >> 32] = entry->undo;
        }
        timeline_drop_last(&photon->timeline);
    }
    flash_power_fail(photon->flash, photon->board.now);
}

static void stop_everything(struct photon *photon)
{
    if (photon->usb.attached) {
        photon->usb.attached = false;
        tell_now(photon, BOARD_EVENT_USB_DETACH, NULL, 0);
    }
    usb_device_reset(&photon->usb);
    dfu_reset(&photon->dfu);
    photon->boot = (struct boot){0};
    photon->settings = (struct settings_link){0};
    stop_timers(photon);
    if (photon->led.pattern != LED_OFF) {
        struct board_event event = {.time = photon->board.now, .kind = BOARD_EVENT_LED};

        photon->led = (struct led){0};
        photon->led_ahead = photon->led;
        deliver(photon, &event);
    }
}

static void cpu_reset(struct photon *photon, uint32_t cause, const char *text)
{
    uint64_t start;

    stop_everything(photon);
    timeline_clear(&photon->timeline);
    photon->life = LIFE_BOOTING;
    tell_now(photon, BOARD_EVENT_RESET, text, 0);
    start = stretch_begin(photon);
    bootloader_start(photon, cause);
    stretch_end(photon, start);
}

static void lose_power(struct photon *photon)
{
    stop_everything(photon);
    timeline_clear(&photon->timeline);
    if (!photon->config.vbat) {
        photon->backup = (struct backup){0};
    }
    photon->life = LIFE_OFF;
    tell_now(photon, BOARD_EVENT_POWER, NULL, 0);
    rearm(photon);
}

/* There is firmware that handles the USB core's interrupts. */
static bool firmware_listens(const struct photon *photon)
{
    return (photon->life == LIFE_DFU || photon->life == LIFE_SYSTEM) &&
           photon->usb.function != NULL;
}

static void setup_now(struct photon *photon, const uint8_t packet[8])
{
    uint64_t start = stretch_begin(photon);

    usb_device_setup(photon, packet);
    stretch_end(photon, start);
}

static void watchdog_bites(struct photon *photon)
{
    rewind_to_now(photon);
    flash_power_on(photon->flash, photon->board.now);
    cpu_reset(photon, CAUSE_WATCHDOG, "watchdog");
}

static void fire(struct photon *photon, enum timer timer)
{
    static void (*const handlers[TIMERS])(struct photon * photon) = {
        [TIMER_BUTTON] = bootloader_button_stage, [TIMER_LEAVE] = dfu_leave,
        [TIMER_TERMINAL] = system_loop,           [TIMER_NETWORK] = listening_network_step,
        [TIMER_SETUP] = listening_button_stage,   [TIMER_YMODEM] = ymodem_timer,
        [TIMER_CONTROL] = system_control_work,    [TIMER_RESTART] = control_request_restart_due,
    };
    uint64_t start;

    photon->timer[timer] = BOARD_NEVER;
    if (timer == TIMER_WATCHDOG) {
        watchdog_bites(photon);
        return;
    }
    start = stretch_begin(photon);
    handlers[timer](photon);
    stretch_end(photon, start);
}

/* Does the one thing that is due at board.now. */
static void step(struct photon *photon)
{
    const struct timeline_entry *first = timeline_first(&photon->timeline);

    if (first != NULL && first->event.time <= photon->board.now) {
        struct timeline_entry entry = *first;

        timeline_pop(&photon->timeline);
        apply(photon, &entry);
        rearm(photon);
        return;
    }
    for (enum timer timer = 0; timer < TIMERS; timer++) {
        if (photon->timer[timer] <= photon->board.now) {
            fire(photon, timer);
            rearm(photon);
            return;
        }
    }
    photon->usb.setup_latched = false;
    if (firmware_listens(photon)) {
        setup_now(photon, photon->usb.latched);
    }
    rearm(photon);
}

static void run_until(struct photon *photon, uint64_t until)
{
    while (photon->due <= until) {
        if (photon->due > photon->board.now) {
            photon->board.now = photon->due;
        }
        step(photon);
    }
    if (until > photon->board.now) {
        photon->board.now = until;
    }
}

/* --- the pins --- */

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
        tell_now(photon, BOARD_EVENT_POWER, NULL, 1);
        flash_power_on(photon->flash, board->now);
        cpu_reset(photon, CAUSE_POWER, "power on");
    } else {
        rewind_to_now(photon);
        lose_power(photon);
    }
}

static void photon_reset(struct board *board)
{
    struct photon *photon = photon_of(board);

    if (photon_powered(board)) {
        rewind_to_now(photon);
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
        start = stretch_begin(photon);
        bootloader_button_released(photon);
        stretch_end(photon, start);
    } else if (photon->life == LIFE_SYSTEM) {
        start = stretch_begin(photon);
        listening_button(photon, pressed);
        stretch_end(photon, start);
    }
}

static void photon_advance(struct board *board, uint64_t ns)
{
    struct photon *photon = photon_of(board);

    run_until(photon, board->now + ns < board->now ? BOARD_NEVER - 1 : board->now + ns);
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

static bool photon_attached(const struct board *board)
{
    return photon_of_const(board)->usb.attached;
}

static void photon_bus_reset(struct board *board)
{
    struct photon *photon = photon_of(board);

    if (photon->usb.attached) {
        usb_device_bus_reset(&photon->usb);
        tell_now(photon, BOARD_EVENT_USB_BUS_RESET, NULL, 0);
        rearm(photon);
    }
}

/* Lets time on the bus pass. False when nobody is on it afterwards. */
static bool bus_time(struct photon *photon, uint64_t ns)
{
    uint64_t end = photon->board.now + ns;

    if (photon->due <= end) {
        run_until(photon, end);
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
    deliver(photon, &event);
}

/* The CPU can handle an interrupt of the USB core now. */
static bool serving(const struct photon *photon)
{
    return firmware_listens(photon) && cpu_now(photon) <= photon->board.now;
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
        setup_now(photon, packet);
    } else {
        /* The USB core takes it without the CPU; only the last one counts. */
        memcpy(photon->usb.latched, packet, sizeof(photon->usb.latched));
        photon->usb.setup_latched = firmware_listens(photon);
        photon->usb.ep0.stage = EP0_NOTHING;
        rearm(photon);
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
        uint64_t start = stretch_begin(photon);

        answer = usb_device_out(photon, endpoint, data, length);
        stretch_end(photon, start);
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
    start = stretch_begin(photon);
    answer = usb_device_in(photon, endpoint, data, length, &taken);
    stretch_end(photon, start);
    if (!bus_time(photon, *length * DATA_BYTE_NS)) {
        *length = 0; /* left the bus in the middle of the packet */
        tell_transaction(photon, USB_TOKEN_IN, USB_SILENT, endpoint, NULL, 0);
        return USB_SILENT;
    }
    tell_transaction(photon, USB_TOKEN_IN, answer, endpoint, data, *length);
    if (taken && photon->usb.function->data_sent != NULL) {
        start = stretch_begin(photon);
        photon->usb.function->data_sent(photon);
        stretch_end(photon, start);
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
    flash_set_reporter(to->flash, flash_told, to);
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
    stop_timers(photon);
    usb_device_reset(&photon->usb);
    dfu_reset(&photon->dfu);
    flash_set_reporter(flash, flash_told, photon);
    rearm(photon);
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
