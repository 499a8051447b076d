/*
 * How releases of the running system differ: one row for each module version of system-part2 at
 * which behaviour changes. Which row holds is read from the installed part2.
 */
#ifndef PHOTON_SYSTEM_QUIRKS_H
#define PHOTON_SYSTEM_QUIRKS_H

#include <stdbool.h>
#include <stdint.h>

#include "dct.h"
#include "system_flags.h"

enum usb_control {
    USB_CONTROL_NONE,    /* vendor requests are taken for standard ones */
    USB_CONTROL_RAW,     /* 0.6.0: bRequest 0x50, acts in the interrupt */
    USB_CONTROL_QUEUED,  /* 0.6.1: some requests queued for the system thread */
    USB_CONTROL_RAW_0_7, /* 0.7.0: all queued, listening without reset, module info */
    USB_CONTROL_SERVICE  /* 0.8.0: asynchronous service protocol */
};

/* Texts of the `w` dialogue. */
enum wifi_dialogue {
    WIFI_SPARK,        /* asks for everything but the cipher */
    WIFI_PARTICLE,     /* also for the cipher of a network that it does not see */
    WIFI_SCANNING,     /* leaves out what a scan tells; knows enterprise networks */
    WIFI_SCANNING_1_5, /* the same, with one more blank */
};

/* Which StartupMode values mean safe mode. */
enum safe_mode_flag { SAFE_MODE_NONZERO, SAFE_MODE_BIT, SAFE_MODE_BIT_NOT_ERASED };

/* Sectors that the start write-protects. */
enum part_protection { PROTECT_PARTS, PROTECT_PARTS_AND_BOOTLOADER, PROTECT_NOTHING };

/* When a received module is checked, and how the sender learns of it. */
enum update_check {
    UPDATE_CHECKED_LATER,  /* success texts first; an invalid module is just not installed */
    UPDATE_CHECKED_BEFORE, /* before the end header's ACK: an invalid one gives CANs and a text, no
                              reset */
    UPDATE_CHECKED_AND_RESET /* the same, but the board resets before the answer has left */
};

struct system_quirks {
    uint16_t version; /* holds from this module version of part2 on */

    /* Start */
    struct dct_rules dct;
    enum system_flags_store flags;
    enum safe_mode_flag safe_mode;
    enum part_protection protection;
    bool checks_system_modules; /* bootloader and part2 before the application */
    bool updates_bootloader;    /* part2 carries a bootloader image and installs it */
    bool ota_flag;        /* applies the module in the OTA slot when the DCT's flag byte says so */
    uint8_t dependencies; /* of a module, that count: 1 or 2 */
    bool full_dependency_check; /* update candidates must not break other system parts */

    /* USB */
    bool composite; /* with control interface, Microsoft descriptors and the id as serial number */
    bool upper_case_id; /* in the serial number */
    enum usb_control control;
    const char *manufacturer;

    /* Console */
    /* `m` speaks of a "core". It answers always: while a board listens, its radio is on. Some with
     * 0.4.0 to 0.4.2 printed the first line and hung; what ailed them was never found
     * (community.particle.io/t/13497). */
    bool mac_says_core;
    bool ymodem_prompt;    /* `f` announces itself */
    bool ymodem_broken;    /* its stream is uninitialised, after `f` and after 28800 */
    bool json_braces;      /* `s` is a JSON object */
    bool has_version;      /* `v` */
    bool has_listen_reset; /* `L` */
    bool has_claim;        /* `c`, `C` */
    bool has_diagnostics;  /* `d` */
    bool starts_on_header; /* SOH or STX start YMODEM */
    bool slow_output;      /* 1 ms a character */
    bool json_empty_pair;  /* dependencies end with "_":"" */
    bool json_lists_empty; /* modules without a valid prefix are listed */
    enum wifi_dialogue wifi;
    bool wifi_freezes_led;    /* while `w` waits for an answer */
    bool leaves_through_blue; /* LED between listening and connecting; else green */
    bool rate_28800_listens;  /* else that rate starts YMODEM */

    /* YMODEM */
    bool ymodem_asks; /* says C before the first packet, too, and takes a blank for a greeting */
    uint32_t ymodem_timeout_ms;
    uint8_t ymodem_end_cancels; /* CAN bytes at the end of every failed transfer */
    enum update_check update_check;
    bool restart_text; /* "Restarting system ..." before the reset */
};

/* The row for the installed part2; never NULL (older than all rows: the first). */
const struct system_quirks *system_quirks(uint16_t part2_version);

#endif
