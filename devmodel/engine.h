/*
 * The Photon engine's inside: one struct, and what its rooms may do to it. Not for users of the
 * library.
 *
 * bootloader -> (DFU over usb_device | system). Each runs a stretch of firmware at once, ahead of
 * board time; cpu_now() is where the CPU is, board.now where the world is (timeline.h).
 */
#ifndef PHOTON_ENGINE_H
#define PHOTON_ENGINE_H

#include "backup.h"
#include "board.h"
#include "dfu.h"
#include "flash.h"
#include "photon.h"
#include "quirks.h"
#include "settings.h"
#include "system.h"
#include "system_flags.h"
#include "timeline.h"
#include "usb_device.h"

/* What the CPU is doing between two stretches. */
enum photon_life {
    LIFE_OFF,
    LIFE_BOOTING, /* in a stretch that ends with a reset: nothing to do until then */
    LIFE_BUTTON,  /* the bootloader watches the button */
    LIFE_DFU,
    LIFE_SYSTEM,
    LIFE_DEAD /* hangs or faulted: only reset, power or the watchdog help */
};

/* Reset causes as RCC_CSR shows them (RM0033 §5.3.15). */
#define CAUSE_POWER    UINT32_C(0x0E000000)
#define CAUSE_PIN      UINT32_C(0x04000000)
#define CAUSE_SOFTWARE UINT32_C(0x14000000)
#define CAUSE_WATCHDOG UINT32_C(0x24000000)

/* Things that the board does later by itself; one moment each. */
enum timer {
    TIMER_WATCHDOG,
    TIMER_BUTTON,   /* the next stage of a held button */
    TIMER_LEAVE,    /* the reset after a DFU leave */
    TIMER_TERMINAL, /* the pause after a character is over */
    TIMER_NETWORK,  /* the next step into or out of listening mode */
    TIMER_SETUP,    /* the next stage of the button in the running system */
    TIMER_YMODEM,   /* a byte is late, or a pause is over */
    TIMER_CONTROL,  /* the system's thread turns to control requests */
    TIMER_RESTART,  /* a restart that a control request asked for */
    TIMERS
};

/* What the bootloader has decided so far in this boot. */
struct boot {
    const struct bootloader_quirks *quirks;
    struct system_flags flags;
    uint32_t cause;
    bool cause_changed; /* since the boot before */
    bool ota, factory, safe_mode, dfu;
    unsigned stage;         /* button stage reached */
    uint64_t button_looked; /* board time at which it began to watch */
};

struct photon {
    struct board board;
    struct photon_config config;
    struct flash *flash;
    struct backup backup;
    struct timeline timeline;
    enum photon_life life;
    bool button_pressed;
    struct led led;         /* what is lit now */
    struct led led_ahead;   /* what the CPU has set, ahead of now */
    uint64_t timer[TIMERS]; /* board times, BOARD_NEVER when not running */
    uint64_t due;           /* earliest thing to do: timeline, timers */
    struct boot boot;
    struct settings_link settings;
    struct usb_device usb;
    struct dfu dfu;
    struct system system;
};

/* --- time --- */

static inline uint64_t cpu_now(const struct photon *photon)
{
    return flash_clock(photon->flash);
}
void cpu_spend(struct photon *photon, uint64_t ns);
void engine_set_timer(struct photon *photon, enum timer timer, uint64_t at);
static inline void engine_stop_timer(struct photon *photon, enum timer timer)
{
    engine_set_timer(photon, timer, BOARD_NEVER);
}

/* --- effects at cpu_now() --- */

void engine_tell(struct photon *photon, const struct board_event *event);
void engine_boot_event(struct photon *photon, const char *text);
void engine_led(struct photon *photon, enum led_pattern pattern, uint32_t colour,
                uint32_t period_ms);
void engine_sos(struct photon *photon, uint8_t code);
void engine_attach(struct photon *photon, bool attached);
void engine_backup(struct photon *photon, unsigned number, uint32_t value);
/* The CPU resets; the caller returns to the event loop. */
void engine_reset(struct photon *photon, uint32_t cause, const char *text);
/* The CPU is lost; the caller returns to the event loop. */
void engine_hang(struct photon *photon, const char *text);

/* --- bootloader.c --- */

void bootloader_start(struct photon *photon, uint32_t cause);
/* TIMER_BUTTON ran down: the held button reaches its next stage. */
void bootloader_button_stage(struct photon *photon);
void bootloader_button_released(struct photon *photon);
/* Sets the flags of a finished update, leaves the bus and resets. */
void bootloader_finish_update(struct photon *photon);

/* --- dfu_descriptors.c --- */

/* Answers GET_DESCRIPTOR of the device; Microsoft requests are part of it. */
void dfu_get_descriptor(struct photon *photon, const struct usb_setup *setup);
void dfu_functional_descriptor(struct photon *photon, const struct usb_setup *setup);
/* Vendor requests (Microsoft OS descriptors). False when it is none of them. */
bool dfu_microsoft(struct photon *photon, const struct usb_setup *setup);

/* LED colours of the firmware. */
#define LED_RED     UINT32_C(0xFF0000)
#define LED_GREEN   UINT32_C(0x00FF00)
#define LED_BLUE    UINT32_C(0x0000FF)
#define LED_YELLOW  UINT32_C(0xFFFF00)
#define LED_MAGENTA UINT32_C(0xFF00FF)
#define LED_WHITE   UINT32_C(0xFFFFFF)

#endif
