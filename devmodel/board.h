/*
 * A board as its pins.
 *
 * Everything above the model (links, traces, faults, tests) talks to a board through this one
 * vtable and never to the engine behind it. A board owns its clock: `now` moves only in
 * board_advance() and by the time that a USB transaction takes, nobody asks the operating system.
 * USB is modelled per transaction, because that is where the interesting bugs live.
 *
 * A board is not thread-safe, and boards that share flash pages belong to one thread together.
 */
#ifndef PHOTON_BOARD_H
#define PHOTON_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "No such time": later than every board time. Board times are nanoseconds since the board was
 * made. */
#define BOARD_NEVER     UINT64_MAX

#define BOARD_NS_PER_US UINT64_C(1000)
#define BOARD_NS_PER_MS UINT64_C(1000000)
#define BOARD_NS_PER_S  UINT64_C(1000000000)

/* EP0 and bulk packet size of a full-speed Photon. */
#define BOARD_USB_PACKET 64

/* What the device answers to one USB transaction (USB 2.0 §8.4.5); SILENT is no handshake at all.
 */
enum usb_handshake { USB_ACK, USB_NAK, USB_STALL, USB_SILENT };

enum usb_token { USB_TOKEN_SETUP, USB_TOKEN_OUT, USB_TOKEN_IN };

/* The RGB LED: a colour and how it moves. `period_ms` is the time between two toggles, or a breath.
 */
enum led_pattern { LED_OFF, LED_SOLID, LED_TOGGLE, LED_BREATHE, LED_SOS };

struct led {
    enum led_pattern pattern;
    uint32_t colour;    /* 0xRRGGBB */
    uint32_t period_ms; /* 0 for LED_OFF and LED_SOLID */
    uint8_t code;       /* SOS: number of code blinks */
};

enum board_event_kind {
    BOARD_EVENT_POWER,         /* .value: 1 on, 0 off */
    BOARD_EVENT_RESET,         /* .text: cause */
    BOARD_EVENT_BOOT,          /* .text: what the bootloader or the system decided */
    BOARD_EVENT_LED,           /* .led */
    BOARD_EVENT_FLASH_ERASE,   /* .flash: one sector */
    BOARD_EVENT_FLASH_PROGRAM, /* .flash: one contiguous run of words or bytes */
    BOARD_EVENT_FLASH_REFUSED, /* .flash, .text: why (write protection, alignment, ...) */
    BOARD_EVENT_FLASH_PROTECT, /* .value: the new nWRP bits */
    BOARD_EVENT_BACKUP,        /* .value: backup register number << 32 | new value */
    BOARD_EVENT_DFU,           /* .dfu: a change of DFU state */
    BOARD_EVENT_USB_ATTACH,    /* pull-up on */
    BOARD_EVENT_USB_DETACH,    /* pull-up off */
    BOARD_EVENT_USB_BUS_RESET,
    BOARD_EVENT_USB_TRANSACTION, /* .usb */
    BOARD_EVENT_HANG             /* .text: why the CPU will not answer until reset or power-off */
};

struct board_event {
    uint64_t time; /* board time, ns; never decreases from one event to the next */
    enum board_event_kind kind;
    const char *text; /* static string or NULL */
    union {
        uint64_t value;
        struct led led;
        struct {
            uint32_t address;
            uint32_t length;
            uint64_t operation; /* number of the first flash operation of this run since the board
                                   was made */
        } flash;
        struct {
            uint8_t from, to; /* DFU state numbers */
            uint8_t status;   /* bStatus */
        } dfu;
        struct {
            enum usb_token token;
            enum usb_handshake handshake;
            uint8_t endpoint;
            uint16_t length;
            const uint8_t *data; /* packet bytes, valid during the call; NULL when length is 0 */
        } usb;
    } u;
};

typedef void board_observer(void *context, const struct board_event *event);

struct board;

struct board_ops {
    void (*destroy)(struct board *board);

    /* Power. Off loses everything but flash, option bytes and (with a backup battery) backup
     * registers. */
    void (*power)(struct board *board, bool on);
    bool (*powered)(const struct board *board);
    /* A pulse on the RESET pin. */
    void (*reset)(struct board *board);
    /* The SETUP/MODE button. */
    void (*button)(struct board *board, bool pressed);

    /* Moves board time by `ns` and does all that falls due on the way. */
    void (*advance)(struct board *board, uint64_t ns);
    /* Board time of the next thing the board will do by itself, or BOARD_NEVER. */
    uint64_t (*next_deadline)(const struct board *board);
    /* Board time at which the CPU is free to serve USB: now when idle, later while it boots or
     * waits for the flash, BOARD_NEVER when it hangs or has no power. NAKs end at that time or
     * never. */
    uint64_t (*ready_at)(const struct board *board);
    /* Board time up to which the firmware lets time pass on purpose, as after each character that
     * it prints, and serves USB meanwhile: now when it does not. NULL: it never does. */
    uint64_t (*pauses_until)(const struct board *board);

    /* USB: is the pull-up on? Every off-to-on change is a new attach for the host and counts in
     * `attaches`. */
    bool (*attached)(const struct board *board);
    void (*bus_reset)(struct board *board);
    enum usb_handshake (*setup)(struct board *board, const uint8_t packet[8]);
    /* One OUT data packet; length 0 to BOARD_USB_PACKET. */
    enum usb_handshake (*out)(struct board *board, uint8_t endpoint, const void *data,
                              size_t length);
    /* One IN transaction; on USB_ACK `*length` bytes (0 to BOARD_USB_PACKET) are in `data`, and the
     * host has acknowledged them. `data` has room for BOARD_USB_PACKET bytes. */
    enum usb_handshake (*in)(struct board *board, uint8_t endpoint, void *data, size_t *length);

    struct led (*led)(const struct board *board);
    /* Reads flash as a debugger would. False when the range is not inside 0x08000000-0x080FFFFF. */
    bool (*flash_read)(const struct board *board, uint32_t address, void *data, size_t length);
    /* RTC backup register `number` (0 to 19). */
    uint32_t (*backup_read)(const struct board *board, unsigned number);

    /* An independent copy that shares flash pages; NULL when memory is short. The copy has no
     * observer. */
    struct board *(*clone)(const struct board *board);
    /* Makes `board` what `from` is, except for the observer; for a host that is a new attach. Costs
     * the differences only. False, with nothing changed, when memory is short. */
    bool (*restore)(struct board *board, const struct board *from);
};

/* First member of every engine's own struct. */
struct board {
    const struct board_ops *ops;
    uint64_t now; /* board time in ns; read-only for callers */
    /* How often the USB pull-up came on since the board was made; read-only for callers. Tells a
     * board that detached and attached again within one advance from one that stayed. A pulse too
     * short for a hub to see is not counted. */
    uint64_t attaches;
    board_observer *observer;
    void *observer_context;
};

/* One observer; NULL for none. */
static inline void board_observe(struct board *board, board_observer *observer, void *context)
{
    board->observer = observer;
    board->observer_context = context;
}

static inline void board_advance(struct board *board, uint64_t ns)
{
    board->ops->advance(board, ns);
}

/* Advances to the absolute board time `time`; nothing when that is past. */
static inline void board_advance_to(struct board *board, uint64_t time)
{
    if (time > board->now) {
        board->ops->advance(board, time - board->now);
    }
}

#endif
