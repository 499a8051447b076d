/* What one more idle board costs: a thousand of them in one process. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/measure.h"
#include "tests/unit/support_dfu_board.h"
#include "tests/unit/support_null_board.h"
#include "usb-gadget/enumerate.h"

#define BOARDS 1000
#define KIB    1024.0

/* The second number of /proc/self/statm, in pages. */
static double resident_bytes(void)
{
    char line[128] = "", *second = line;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) {
            (void)strtol(line, &second, 10);
        }
        fclose(file);
    }
    long resident = strtol(second, NULL, 10);
    if (resident <= 0) {
        measure_fail("memory", "/proc/self/statm does not say how much is used");
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* KiB of each further board that was made from `base`, booted and enumerated. */
static double kib_per_board(const struct board *base)
{
    static struct board *boards[BOARDS];
    static struct root_port ports[BOARDS];
    double before = resident_bytes();

    for (size_t i = 0; i < BOARDS; i++) {
        struct usb_identity identity;

        boards[i] = base->ops->clone(base);
        if (boards[i] == NULL || (!base->ops->powered(base) && !dfu_board_enter(boards[i]))) {
            measure_fail("memory", "a board cannot be made");
        }
        root_port_init(&ports[i], boards[i], true);
        if (!enumerate(&ports[i], 1, &identity)) {
            measure_fail("memory", "a board does not enumerate");
        }
    }
    double each = (resident_bytes() - before) / KIB / BOARDS;
    for (size_t i = 0; i < BOARDS; i++) {
        boards[i]->ops->destroy(boards[i]);
    }
    return each;
}

int main(void)
{
    struct board *null = null_board_new();
    struct board *photon = dfu_board_fresh("0.5.2", false);

    if (null == NULL || photon == NULL) {
        measure_fail("memory", "no board to measure");
    }
    double model = kib_per_board(photon);
    null->ops->power(null, true);
    double bare = kib_per_board(null);
    measure_heading();
    measure_print(&(struct measure_row){"memory of a further idle board", "KiB", model, bare,
                                        GOAL_AT_MOST, 64});
    photon->ops->destroy(photon);
    null->ops->destroy(null);
    return 0;
}
