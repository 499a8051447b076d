/* A whole DFU download of a system part through the root port, without any process or socket. */
#include <string.h>

#include "tests/bench/dfu_client.h"
#include "tests/bench/measure.h"
#include "tests/unit/support_dfu_board.h"
#include "tests/unit/support_null_board.h"
#include "usb-gadget/enumerate.h"

/* system-part1 of 0.5.2. */
#define PART1      UINT32_C(0x08020000)
#define PART1_SIZE 250956

#define RUNS       25
#define REPEAT     20

struct download {
    struct root_port port;
    uint8_t data[PART1_SIZE];
};

static bool run(void *context)
{
    struct download *download = context;

    for (int i = 0; i < REPEAT; i++) {
        if (!dfu_client_download(&download->port, PART1, download->data, PART1_SIZE)) {
            return false;
        }
    }
    return true;
}

static double megabytes_per_second(struct board *board, const char *work, bool has_flash)
{
    static struct download download;
    static uint8_t read_back[PART1_SIZE];
    struct usb_identity identity;

    for (size_t i = 0; i < PART1_SIZE; i++) {
        download.data[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    root_port_init(&download.port, board, true);
    if (!enumerate(&download.port, 1, &identity)) {
        measure_fail(work, "the board does not enumerate");
    }
    double seconds = measure_seconds(work, RUNS, CLOCK_OF_THREAD, run, &download);
    if (has_flash && (!board->ops->flash_read(board, PART1, read_back, PART1_SIZE) ||
                      memcmp(read_back, download.data, PART1_SIZE) != 0)) {
        measure_fail(work, "the flash does not hold what was downloaded");
    }
    board->ops->destroy(board);
    return REPEAT * (double)PART1_SIZE / seconds / 1e6;
}

int main(void)
{
    struct board *null = null_board_new();
    struct board *photon = dfu_board_fresh("0.5.2", false);

    if (null == NULL || photon == NULL || !dfu_board_enter(photon)) {
        measure_fail("bench_model", "no board to measure");
    }
    null->ops->power(null, true);
    double bare = megabytes_per_second(null, "null board", false);
    double model = megabytes_per_second(photon, "photon", true);
    measure_heading();
    measure_print(&(struct measure_row){"DFU download of part1 through root_port", "MB/s", model,
                                        bare, GOAL_AT_LEAST, 500});
    return 0;
}
