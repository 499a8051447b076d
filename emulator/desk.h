/*
 * The boards of one run, as they lie on a desk: each with its port, its directory and those who
 * watch it; and the fingers that press their buttons.
 */
#ifndef VPHOTON_DESK_H
#define VPHOTON_DESK_H

#include "emulator/capture_file.h"
#include "emulator/clock.h"
#include "emulator/device_dir.h"
#include "emulator/recipe.h"
#include "emulator/report.h"
#include "emulator/trace.h"

/* Different flashes that later boards may share pages with: one for each release in use is enough.
 */
#define DESK_PATTERNS 16

struct desk;

struct desk_board {
    struct desk *desk;
    const char *name; /* the directory as the user gave it, or "board", "board-2", ... */
    char own_name[16];
    struct device_identity identity;
    struct device_dir *dir; /* NULL: lives in memory only */
    struct board *board;
    struct root_port port;
    struct report report;
    struct trace trace;
    const char *decision; /* the latest since the last reset; NULL: none yet */
    const char *hung;     /* why the CPU is lost; NULL while it is not */
    bool button;          /* held */
    bool lost_store;      /* its directory could not be written */
    uint64_t operations_written;
};

struct desk {
    struct desk_board **boards;
    size_t count, room;
    const struct desk_board *patterns[DESK_PATTERNS]; /* whose flash others are like */
    size_t pattern_count;
    bool untidy; /* there is something for desk_tidy() */
    struct clock clock;
    bool lost_store; /* of any board: what the run leaves is not all that happened */
};

void desk_init(struct desk *desk, enum time_mode mode);
void desk_free(struct desk *desk);

/* A board from a device directory, or a fresh one that is forgotten afterwards. False with a
 * complaint. The name must outlive the desk. */
bool desk_add_directory(struct desk *desk, const char *path, struct complaint *complaint);
bool desk_add_fresh(struct desk *desk, const struct recipe *recipe, struct complaint *complaint);
/* Every board's events as lines to `out`. */
void desk_trace(struct desk *desk, FILE *out);
/* Every board's transfers to `file`, as on bus `bus`. False when memory is short. */
bool desk_capture(struct desk *desk, struct capture_file *file, uint16_t bus);

/* Powers every board and lets it come to rest; with `dfu` the SETUP button is held until the
 * bootloader is in DFU mode. False when that was asked and a board did not get there. */
bool desk_power_on(struct desk *desk, bool dfu, struct complaint *complaint);
/* Lets every board finish what it is doing, within bounds. */
void desk_settle(struct desk *desk);
/* Takes the power away and saves. */
void desk_power_off(struct desk *desk);
/* What could not be done inside a board's own event: call after everything that reaches boards. */
void desk_tidy(struct desk *desk);

/* --- fingers --- */

void desk_button(struct desk_board *board, bool pressed);
/* Presses, lets `ns` of board time pass, releases. */
void desk_hold(struct desk_board *board, uint64_t ns);
void desk_reset(struct desk_board *board);
void desk_power(struct desk_board *board, bool on);
/* By number from 1, by name, or by the last part of its path; NULL when there is none. */
struct desk_board *desk_find(struct desk *desk, const char *name);

#endif
