#include "cpu.h"

#include "effects.h"

void cpu_rearm(struct photon *photon)
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

/* The CPU starts a stretch now. Returns where it starts, for cpu_stretch_end(). */
uint64_t cpu_stretch_begin(struct photon *photon)
{
    flash_settle(photon->flash, photon->board.now);
    if (cpu_now(photon) < photon->board.now) {
        flash_set_clock(photon->flash, photon->board.now);
    }
    return cpu_now(photon);
}

void cpu_stretch_end(struct photon *photon, uint64_t start)
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
        effects_stop_timers(photon);
        effects_push(photon, &entry);
    }
    cpu_rearm(photon);
}

/* Takes back what the CPU did ahead of now. */
void cpu_rewind(struct photon *photon)
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
        effects_tell_now(photon, BOARD_EVENT_USB_DETACH, NULL, 0);
    }
    usb_device_reset(&photon->usb);
    dfu_reset(&photon->dfu);
    photon->boot = (struct boot){0};
    photon->settings = (struct settings_link){0};
    effects_stop_timers(photon);
    if (photon->led.pattern != LED_OFF) {
        struct board_event event = {.time = photon->board.now, .kind = BOARD_EVENT_LED};

        photon->led = (struct led){0};
        photon->led_ahead = photon->led;
        effects_deliver(photon, &event);
    }
}

void cpu_reset(struct photon *photon, uint32_t cause, const char *text)
{
    uint64_t start;

    stop_everything(photon);
    timeline_clear(&photon->timeline);
    photon->life = LIFE_BOOTING;
    effects_tell_now(photon, BOARD_EVENT_RESET, text, 0);
    start = cpu_stretch_begin(photon);
    bootloader_start(photon, cause);
    cpu_stretch_end(photon, start);
}

void cpu_lose_power(struct photon *photon)
{
    stop_everything(photon);
    timeline_clear(&photon->timeline);
    if (!photon->config.vbat) {
        photon->backup = (struct backup){0};
    }
    photon->life = LIFE_OFF;
    effects_tell_now(photon, BOARD_EVENT_POWER, NULL, 0);
    cpu_rearm(photon);
}

/* There is firmware that handles the USB core's interrupts. */
bool cpu_listens(const struct photon *photon)
{
    return (photon->life == LIFE_DFU || photon->life == LIFE_SYSTEM) &&
           photon->usb.function != NULL;
}

void cpu_handle_setup(struct photon *photon, const uint8_t packet[8])
{
    uint64_t start = cpu_stretch_begin(photon);

    usb_device_setup(photon, packet);
    cpu_stretch_end(photon, start);
}

static void watchdog_bites(struct photon *photon)
{
    cpu_rewind(photon);
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
    start = cpu_stretch_begin(photon);
    handlers[timer](photon);
    cpu_stretch_end(photon, start);
}

/* Does the one thing that is due at board.now. */
static void step(struct photon *photon)
{
    const struct timeline_entry *first = timeline_first(&photon->timeline);

    if (first != NULL && first->event.time <= photon->board.now) {
        struct timeline_entry entry = *first;

        timeline_pop(&photon->timeline);
        effects_apply(photon, &entry);
        cpu_rearm(photon);
        return;
    }
    for (enum timer timer = 0; timer < TIMERS; timer++) {
        if (photon->timer[timer] <= photon->board.now) {
            fire(photon, timer);
            cpu_rearm(photon);
            return;
        }
    }
    photon->usb.setup_latched = false;
    if (cpu_listens(photon)) {
        cpu_handle_setup(photon, photon->usb.latched);
    }
    cpu_rearm(photon);
}

void cpu_run_until(struct photon *photon, uint64_t until)
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
