/*
 * How bootloader images differ: one row for each image that real boards carry.
 *
 * The row that holds is found from the image in sector 0. Sources: device-os tags as named in
 * quirks.c, and the real images executed instruction by instruction (v3a, v3b, v4, v7, v11, 501,
 * 1006).
 */
#ifndef PHOTON_QUIRKS_H
#define PHOTON_QUIRKS_H

#include <stdbool.h>
#include <stdint.h>

#include "dct.h"
#include "system_flags.h"

enum usb_serial_kind { SERIAL_FIXED_10C, SERIAL_ID_UPPER, SERIAL_ID_LOWER };

/* What the GETSTATUS after a zero-length DNLOAD does. */
enum leave_behaviour {
    LEAVE_RESET_IN_STATUS, /* reports dfuMANIFEST and is off the bus before the status stage */
    LEAVE_DELAYED          /* reports dfuDNLOAD-IDLE, resets 500 ms later */
};

/* String descriptor indexes that the image has no string for. */
enum unknown_string {
    STRINGS_READ_ADDRESS_0, /* wLength bytes from address 0, the start of the bootloader */
    STRINGS_WILD_POINTERS,  /* 8 empty, 9-15 hang, others as STRINGS_READ_ADDRESS_0 */
    STRINGS_JUNK            /* 8 "K", 9 hangs, 10-15 repeat alternates, others no answer */
};

enum oversize_dnload {
    OVERSIZE_STUCK, /* 4097 bytes: GETSTATUS answers state 3 for ever */
    OVERSIZE_WORKS  /* 4097 bytes are programmed */
};

enum button_stages {
    BUTTON_ALL_STAGES, /* safe mode, DFU, factory reset, Wi-Fi erase; only the DFU stage cancels
                          flags */
    BUTTON_DFU_IF_NO_FACTORY, /* the loop ends at the DFU stage when there is no factory image */
    BUTTON_SKIP_FACTORY /* debounced timer; without a factory image the 6.5 s stage is skipped */
};

enum pending_modules {
    PENDING_COPY_THEN_ZERO, /* result ignored, slot zeroed afterwards */
    PENDING_MARK_THEN_COPY, /* slot freed first: an interrupted copy is lost */
    PENDING_COPY_THEN_MARK  /* slot freed afterwards, even if the copy failed */
};

struct bootloader_quirks {
    const char *name;
    uint16_t version;     /* holds from this module version on */
    uint16_t suffix_size; /* tells 3a from 3b; 0: any */

    /* USB identity */
    uint16_t bcd_device;
    const char *manufacturer;
    enum usb_serial_kind serial;
    const char *config_string, *interface_string;
    bool microsoft_os;
    uint8_t interface_limit; /* highest low byte of wIndex accepted */
    enum unknown_string unknown_string;

    /* DFU */
    enum leave_behaviour leave;
    bool errors_stall;         /* a failed operation STALLs the status stage; else it is silent */
    bool memory_by_alternate;  /* else the address alone decides */
    bool verify;               /* reads back what it wrote, three rounds */
    bool poll_cleared;         /* poll bytes cleared after use; else the last value stays */
    uint8_t flash_poll_ms;     /* both timings of the internal flash */
    bool unmapped_upload_zero; /* else the transfer buffer shows */
    bool configuration_clears_status;
    bool detach_visible; /* DETACH's pull-up pulse is long enough to be seen */
    enum oversize_dnload oversize;

    /* DCT and flags */
    struct dct_rules dct;
    bool dct_in_part2;   /* the driver is system-part2's */
    bool dct_reresolved; /* the driver is looked up again after a flash write to the system parts */
    enum system_flags_store flags;
    bool keeps_erased_startup_mode; /* its number is older than that flag */

    /* Boot */
    bool safe_mode_request; /* understands backup register value 0x5AFE */
    bool erase_by_length;   /* module copy erases length / 128 KiB rounded up */
    enum pending_modules pending;
    enum button_stages button;
    bool
        cancel_at_safe_mode_stage; /* the 1 s stage cancels pending OTA and factory flags already */
    bool watchdog_needs_part2;     /* the watchdog is armed only when part2's version is >= 200 */
    bool green_after_erase; /* the LED of a factory reset waits for a tick, and the erase holds that
                               up; later images light it at once */
};

/* The row for the installed image, or NULL when no row is old enough. */
const struct bootloader_quirks *bootloader_quirks(uint16_t version, uint16_t suffix_size);

#endif
