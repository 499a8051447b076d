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

/* What keeps the system's thread. An attempt to join a network that gives no address takes more
 * than 10 s; how much more, and how long the thread is free before the next, is a choice. A
 * cancelled one ends in 0.21 s, and a network starts in 130 ms (all 2.2.0). */
#define ATTEMPT_NS        (20000 * MS)
#define BETWEEN_NS        (100 * MS)
#define CANCEL_NS         (210 * MS)
#define NETWORK_STARTS_NS (130 * MS)

/* The ways from one mode to another: what happens when. The last step of each decides the mode.
 * 0.5.2 and 2.2.0 measured. */
enum way_event { SHOWS_WHITE, BREATHES_BLUE, SHOWS_CONNECTING, LISTENS, LISTENS_OR_CONNECTS };

struct way_step {
    uint32_t at_us;
    enum way_event event;
};

/* From a request in USB's interrupt to the system loop that serves it. */
static const struct way_step enter[] = {{10000, LISTENS}};
static const struct way_step leave_through_green[] = {
    {200, SHOWS_WHITE}, {430000, SHOWS_CONNECTING}, {435000, LISTENS_OR_CONNECTS}};
static const struct way_step leave_through_blue[] = {
    {200, SHOWS_WHITE}, {25000, BREATHES_BLUE}, {800000, LISTENS_OR_CONNECTS}};
static const struct way_step leave_quickly[] = {
    {200, SHOWS_WHITE}, {25000, BREATHES_BLUE}, {500000, LISTENS_OR_CONNECTS}};

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
    photon->system.listening.joining = false;
    engine_boot_event(photon, "system runs: listening");
    listening_led(photon);
}

static bool network_in_reach(const struct photon *photon)
{
    struct wifi_profile profiles[WIFI_PROFILES];
    unsigned count = wifi_profiles(photon, profiles);

    for (unsigned i = 0; i < count; i++) {
        if (wifi_scan(photon, profiles[i].ssid) != NULL) {
            return true;
        }
    }
    return false;
}

static void connect(struct photon *photon)
{
    photon->system.listening.joining = network_in_reach(photon);
    photon->system.listening.attempts_began = cpu_now(photon);
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

static void arm_step(struct photon *photon)
{
    const struct listening *listening = &photon->system.listening;

    engine_set_timer(photon, TIMER_NETWORK,
                     listening->set_out + listening->next->at_us * BOARD_NS_PER_US);
}

static void set_out(struct photon *photon, const struct way_step *way, uint64_t delay_ns)
{
    photon->system.listening.next = way;
    photon->system.listening.set_out = cpu_now(photon) + delay_ns;
    arm_step(photon);
}

static void go_on(struct photon *photon)
{
    photon->system.listening.next++;
    arm_step(photon);
}

void listening_network_step(struct photon *photon)
{
    switch (photon->system.listening.next->event) {
    case SHOWS_WHITE:
        engine_led(photon, LED_SOLID, LED_WHITE, 0);
        go_on(photon);
        break;
    case BREATHES_BLUE:
        engine_led(photon, LED_BREATHE, LED_BLUE, NETWORK_ON_MS);
        go_on(photon);
        break;
    case SHOWS_CONNECTING:
        engine_led(photon, LED_TOGGLE, LED_GREEN, CONNECTING_MS);
        go_on(photon);
        break;
    case LISTENS:
        listen(photon);
        break;
    case LISTENS_OR_CONNECTS:
        listening_begin(photon, false);
        break;
    }
}

void listening_enter(struct photon *photon)
{
    if (!photon->system.listening.on) {
        set_out(photon, enter, 0);
    }
}

static void leave(struct photon *photon, const struct way_step *way, uint64_t delay_ns)
{
    if (photon->system.listening.on) {
        photon->system.listening.on = false;
        if (photon->system.quirks->leaves_through_blue) {
            photon->system.listening.busy_until = cpu_now(photon) + NETWORK_STARTS_NS;
        }
        console_reset(photon);
        set_out(photon, way, delay_ns);
    }
}

void listening_leave(struct photon *photon, uint64_t delay_ns)
{
    leave(photon,
          photon->system.quirks->leaves_through_blue ? leave_through_blue : leave_through_green,
          delay_ns);
}

void listening_leave_quickly(struct photon *photon)
{
    leave(photon, leave_quickly, 0);
}

/* --- the system's thread --- */

void listening_cancel_attempt(struct photon *photon)
{
    struct listening *listening = &photon->system.listening;

    if (listening->joining) {
        listening->busy_until = cpu_now(photon) + CANCEL_NS;
        listening->attempts_began = listening->busy_until + BETWEEN_NS;
    }
}

uint64_t listening_thread_free(const struct photon *photon)
{
    const struct listening *listening = &photon->system.listening;
    uint64_t now = cpu_now(photon);
    uint64_t into;

    if (now < listening->busy_until) {
        return listening->busy_until;
    }
    if (!listening->joining || now < listening->attempts_began) {
        return now;
    }
    into = (now - listening->attempts_began) % ATTEMPT_NS;
    return into < ATTEMPT_NS - BETWEEN_NS ? now + ATTEMPT_NS - BETWEEN_NS - into : now;
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
