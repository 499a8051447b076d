#include "effects.h"

#include "cpu.h"

void effects_deliver(struct photon *photon, const struct board_event *event)
{
    if (photon->board.observer != NULL) {
        photon->board.observer(photon->board.observer_context, event);
    }
}

void effects_tell_now(struct photon *photon, enum board_event_kind kind, const char *text,
                      uint64_t value)
{
    struct board_event event = {
        .time = photon->board.now, .kind = kind, .text = text, .u.value = value};

    effects_deliver(photon, &event);
}

void effects_apply(struct photon *photon, const struct timeline_entry *entry)
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
        cpu_lose_power(photon);
        return;
    case EFFECT_TELL:
    case EFFECT_BACKUP:
    case EFFECT_HANG:
        break;
    }
    effects_deliver(photon, &entry->event);
}

void effects_push(struct photon *photon, struct timeline_entry *entry)
{
    if (!flash_powered(photon->flash) && entry->effect != EFFECT_POWER_LOST) {
        return;
    }
    entry->event.time = cpu_now(photon);
    if (entry->event.time <= photon->board.now && timeline_first(&photon->timeline) == NULL &&
        entry->effect != EFFECT_RESET && entry->effect != EFFECT_POWER_LOST) {
        entry->event.time = photon->board.now;
        effects_apply(photon, entry);
    } else if (!timeline_push(&photon->timeline, entry)) {
        /* Out of memory: the effect comes early rather than never. */
        effects_apply(photon, entry);
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
        effects_push(photon, &entry);
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
        effects_push(photon, &entry);
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

    effects_push(photon, &entry);
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
    effects_push(photon, &entry);
}

void effects_stop_timers(struct photon *photon)
{
    for (size_t i = 0; i < TIMERS; i++) {
        photon->timer[i] = BOARD_NEVER;
    }
}

/* The firmware's own timers end with it; the watchdog has its own clock. */
static void stop_firmware_timers(struct photon *photon)
{
    uint64_t watchdog = photon->timer[TIMER_WATCHDOG];

    effects_stop_timers(photon);
    photon->timer[TIMER_WATCHDOG] = watchdog;
}

void engine_reset(struct photon *photon, uint32_t cause, const char *text)
{
    struct timeline_entry entry = {
        .effect = EFFECT_RESET, .undo = cause, .event = {.kind = BOARD_EVENT_RESET, .text = text}};

    photon->life = LIFE_BOOTING;
    stop_firmware_timers(photon);
    effects_push(photon, &entry);
}

void engine_hang(struct photon *photon, const char *text)
{
    struct timeline_entry entry = {.effect = EFFECT_HANG,
                                   .event = {.kind = BOARD_EVENT_HANG, .text = text}};

    photon->life = LIFE_DEAD;
    stop_firmware_timers(photon);
    effects_push(photon, &entry);
}

void effects_flash_told(void *context, const struct flash_report *report)
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
        effects_deliver(photon, &entry.event);
    }
}
