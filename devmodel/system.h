/*
 * The running system: how it starts, listens and ends. Not for users of the library.
 */
#ifndef PHOTON_SYSTEM_H
#define PHOTON_SYSTEM_H

#include "cdc.h"
#include "console.h"
#include "control_raw.h"
#include "control_service.h"
#include "listening.h"
#include "module.h"
#include "system_flags.h"
#include "system_quirks.h"
#include "terminal.h"
#include "ymodem.h"

struct photon;
struct usb_function;

struct system {
    const struct system_quirks *quirks; /* NULL until the system has started */
    struct module_info part1, part2;
    struct system_flags flags;
    bool safe_mode;
    bool eeprom_open;
    uint64_t started; /* board time of the jump to system-part1 */
    struct cdc cdc;
    struct terminal terminal;
    struct listening listening;
    struct console console;
    struct ymodem ymodem;
    union {
        struct control_raw raw;         /* up to 0.7 */
        struct control_service service; /* from 0.8 on */
    } control;
    struct control_session session;
};

/* Serial port and control interface on the device stack (system_function.c). */
extern const struct usb_function system_function;

/* The jump to system-part1. */
void system_start(struct photon *photon);
/* One pass of the system's loop: whatever can be done with what has arrived. Called after every
 * stretch. */
void system_loop(struct photon *photon);
/* The host set a line rate: some are requests. */
void system_line_rate(struct photon *photon, uint32_t rate);
/* TIMER_CONTROL ran down: the system's thread turns to control requests. */
void system_control_work(struct photon *photon);
/* A hard fault: SOS 1 twice, then reset. */
void system_crash(struct photon *photon, const char *text);
/* Resets into DFU mode, from inside whatever runs. */
void system_enter_dfu(struct photon *photon);
/* Saves the system's flags. False when the CPU was lost. */
bool system_save_flags(struct photon *photon);
/* A DCT write by the system's own driver. False when the CPU was lost or the write failed. */
bool system_write_dct(struct photon *photon, uint32_t offset, const void *data, size_t length);
void system_read_dct(const struct photon *photon, uint32_t offset, void *data, size_t length);
/* The same in other sections than the application's: `start` counts from the sector's start. */
bool system_write_dct_section(struct photon *photon, uint32_t start, const void *data,
                              size_t length);
void system_read_dct_section(const struct photon *photon, uint32_t start, void *data,
                             size_t length);

#endif
