/*
 * The sums of a run for scripts: what happened to each board, as JSON.
 */
#ifndef VPHOTON_REPORT_H
#define VPHOTON_REPORT_H

#include <jansson.h>

#include "devmodel/board.h"
#include "emulator/flash_view.h"

/* Resets and hangs are kept with their times up to here; all are counted. */
#define REPORT_MOMENTS_MAX 64

struct report_moment {
    uint64_t time;
    const char *text;
};

struct report_moments {
    struct report_moment first[REPORT_MOMENTS_MAX];
    uint64_t count;
};

/* What one board did, counted from its events. */
struct report {
    uint64_t erases, program_bytes, refused, protections;
    uint64_t dfu_errors; /* times that dfuERROR was entered */
    uint64_t attaches, detaches, bus_resets;
    uint64_t control_transfers, stalls, unanswered;
    struct report_moments resets, hangs, boots;
    struct led led;
    bool powered, attached;
};

void report_event(struct report *report, const struct board_event *event);
/* The last thing a bootloader or system decided; NULL when nothing yet. */
const char *report_last_boot(const struct report *report);

json_t *report_json(const struct report *report);
/* A flash's modules by region. */
json_t *report_modules_json(const struct flash_view *view);

#endif
