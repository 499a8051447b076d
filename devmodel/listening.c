#include "listening.h"

#include "console.h"
#include "engine.h"

#define MS BOARD_NS_PER_MS

/* SETUP held, as measured from the press. */
#define BUTTON_LISTEN_NS    (2980 * MS)
#define BUTTON_CLEAR_NS     (9970 * MS)

#define LISTENING_TOGGLE_MS 250
#define CLEARING_TOGGLE_MS  50
#define CLEARING_NS         (25 * CLEARING_TOGGLE_MS * MS)
#define CONNECTING_MS       100
#define NETWORK_ON_MS       4000
/* From a request in USB's interrupt to the system loop that serves it. */
#define ENTER_NS (10 * MS)

/* What the LED shows on the way out; the last step is the return to listening when there are no
 * credentials. */
enum way_out { OUT_WHITE, OUT_BREATHES_BLUE, OUT_CONNECTS, OUT_DECIDES };

struct leave_step {
    uint32_t after_us; /* the leave */
    enum way_out what;
};

#define STEPS 3
/* 0.5.2 and 2.2.0 measured. */
static const struct leave_step steps_green[STEPS] = {
    {200, OUT_WHITE}, {430000, OUT_CONNECTS}, {435000, OUT_DECIDES}};
static const struct leave_step steps_blue[STEPS] = {
    {200, OUT_WHITE}, {25000, OUT_BREATHES_BLUE}, {800000, OUT_DECIDES}};

static const struct leave_step steps_quick[STEPS] = {
    {200, OUT_WHITE}, {25000, OUT_BREATHES_BLUE}, {500000, OUT_DECIDES}};

static const struct leave_step *steps(const struct photon *photon)
{
    if (photon->system.listening.quickly) {
        return steps_quick;
    }
    return photon->system.quirks->leaves_through_blue ? steps_blue : steps_green;
}

/* --- modes --- */

void listening_led(struct photon *photon)
{
    if (photon->system.listening.on) {
        engine_led(photon, LED_TOGGLE, LED_BLUE, LISTENING_TOGGLE_MS);
    } else {
        engine_led(photon, LED_TOGGLE, LED_GREEN, CONNECTING_MS);
    }
}

static void listen(struct photon *photon)
{
    engine_stop_timer(photon, TIMER_NETWORK);
    photon->system.listening.on = true;
    engine_boot_event(photon, "system runs: listening");
    listening_led(photon);
}

static void connect(struct photon *photon)
{
    engine_stop_timer(photon, TIMER_NETWORK);
    engine_boot_event(photon, "system runs: connecting");
    listening_led(photon);
}

void listening_begin(struct photon *photon, bool asked)
{
    if (asked || !wifi_has_credentials(photon)) {
        listen(photon);
    } else {
        connect(photon);
    }
}

void listening_enter(struct photon *photon)
{
    struct listening *listening = &photon->system.listening;

    if (!listening->on) {
        listening->leaving = STEPS;
        engine_set_timer(photon, TIMER_NETWORK, cpu_now(photon) + ENTER_NS);
    }
}

static void arm_step(struct photon *photon)
{
    const struct listening *listening = &photon->system.listening;
    uint64_t after = steps(photon)[listening->leaving].after_us * BOARD_NS_PER_US;

    engine_set_timer(photon, TIMER_NETWORK, listening->left + after);
}

static void leave(struct photon *photon, uint64_t delay_ns, bool quickly)
{
    struct listening *listening = &photon->system.listening;

    if (!listening->on) {
        return;
    }
    listening->on = false;
    listening->quickly = quickly;
    listening->leaving = 0;
    listening->left = cpu_now(photon) + delay_ns;
    console_reset(photon);
    arm_step(photon);
}

void listening_leave(struct photon *photon, uint64_t delay_ns)
{
    leave(photon, delay_ns, false);
}

void listening_leave_quickly(struct photon *photon)
{
    leave(photon, 0, true);
}

static void take_step(struct photon *photon, enum way_out what)
{
    switch (what) {
    case OUT_WHITE:
        engine_led(photon, LED_SOLID, LED_WHITE, 0);
        break;
    case OUT_BREATHES_BLUE:
        engine_led(photon, LED_BREATHE, LED_BLUE, NETWORK_ON_MS);
        break;
    case OUT_CONNECTS:
        engine_led(photon, LED_TOGGLE, LED_GREEN, CONNECTING_MS);
        break;
    case OUT_DECIDES:
        listening_begin(photon, false);
        break;
    }
}

void listening_network_step(struct photon *photon)
{
    struct listening *listening = &photon->system.listening;

    if (listening->leaving >= STEPS) {
        listen(photon);
        return;
    }
    take_step(photon, steps(photon)[listening->leaving].what);
    listening->leaving++;
    if (listening->leaving < STEPS) {
        arm_step(photon);
    }
}

/* --- the button --- */

static void erase_profiles(struct photon *photon)
{
    photon->system.listening.clearing = false;
    engine_boot_event(photon, "erases Wi-Fi profiles");
    (void)wifi_erase(photon);
    if (photon->life == LIFE_SYSTEM) {
        listening_led(photon);
    }
}

void listening_button(struct photon *photon, bool pressed)
{
    struct listening *listening = &photon->system.listening;

    if (listening->clearing) {
        return;
    }
    engine_stop_timer(photon, TIMER_SETUP);
    if (pressed) {
        listening->pressed = cpu_now(photon);
        engine_set_timer(photon, TIMER_SETUP,
                         listening->pressed + (listening->on ? BUTTON_CLEAR_NS : BUTTON_LISTEN_NS));
    }
}

void listening_button_stage(struct photon *photon)
{
    struct listening *listening = &photon->system.listening;

    if (listening->clearing) {
        erase_profiles(photon);
    } else if (!listening->on) {
        listen(photon);
        engine_set_timer(photon, TIMER_SETUP, listening->pressed + BUTTON_CLEAR_NS);
    } else {
        listening->clearing = true;
        engine_led(photon, LED_TOGGLE, LED_BLUE, CLEARING_TOGGLE_MS);
        engine_set_timer(photon, TIMER_SETUP, cpu_now(photon) + CLEARING_NS);
    }
}
