/*
 * Power-cut cases: a board is set back, takes a 4 KiB block, loses its supply at some flash
 * operation of it, gets power again and boots.
 */
#include <stdio.h>
#include <string.h>

#include "devmodel/photon.h"
#include "tests/bench/dfu_client.h"
#include "tests/bench/measure.h"
#include "tests/unit/support_dfu_board.h"
#include "tests/unit/support_null_board.h"
#include "usb-gadget/enumerate.h"

#define BLOCK_ADDRESS UINT32_C(0x080A0000)
#define WORDS         (DFU_CLIENT_BLOCK / 4)
#define RUNS          11
#define CASES         3000
#define BOOT_LIMIT    (5 * BOARD_NS_PER_S)

struct cut {
    struct board *board, *snapshot;
    bool has_flash;
    unsigned number; /* of the case; picks operation and phase */
    uint8_t data[DFU_CLIENT_BLOCK];
};

/* Words before the cut are in the flash, words after it are blank. */
static bool flash_is_right(const struct cut *cut, unsigned word, enum flash_cut phase)
{
    uint8_t found[DFU_CLIENT_BLOCK];
    size_t whole = 4 * ((size_t)word + (phase == FLASH_CUT_AFTER));

    if (!cut->board->ops->flash_read(cut->board, BLOCK_ADDRESS, found, sizeof found) ||
        memcmp(found, cut->data, whole) != 0) {
        return false;
    }
    for (size_t i = 4 * ((size_t)word + 1); i < sizeof found; i++) {
        if (found[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

/* Until the board does nothing more by itself, or shows itself to the host. */
static bool boots(struct board *board)
{
    uint64_t limit = board->now + BOOT_LIMIT;

    board->ops->power(board, true);
    for (;;) {
        uint64_t next = board->ops->next_deadline(board);
        bool ready = board->ops->ready_at(board) == board->now;
        if ((board->ops->attached(board) && ready) || next > limit) {
            return ready;
        }
        board_advance_to(board, next);
    }
}

static bool one_case(struct cut *cut)
{
    struct board *board = cut->board;
    unsigned word = cut->number % WORDS;
    enum flash_cut phase = (enum flash_cut)(cut->number % 3);
    struct root_port port;

    cut->number++;
    board->ops->restore(board, cut->snapshot);
    root_port_init(&port, board, true);
    if (cut->has_flash) {
        struct flash *flash = photon_flash(board);
        flash_cut_at(flash, flash_operations(flash) + word, phase);
    }
    bool survived = dfu_client_block(&port, cut->data, sizeof cut->data);
    if (cut->has_flash && (survived || board->ops->powered(board))) {
        return false;
    }
    board->ops->power(board, false);
    return boots(board) && (!cut->has_flash || flash_is_right(cut, word, phase));
}

static bool run(void *context)
{
    struct cut *cut = context;

    for (unsigned i = 0; i < CASES; i++) {
        if (!one_case(cut)) {
            fprintf(stderr, "case %u: not the state it should be\n", cut->number - 1);
            return false;
        }
    }
    return true;
}

static double cases_per_second(struct board *board, bool has_flash)
{
    static struct cut cut;
    struct root_port port;
    struct usb_identity identity;

    memset(&cut, 0, sizeof cut);
    for (size_t i = 0; i < sizeof cut.data; i++) {
        cut.data[i] = (uint8_t)(i * 2654435761u >> 24 & 0xFE);
    }
    root_port_init(&port, board, true);
    cut.board = board;
    cut.has_flash = has_flash;
    if (!enumerate(&port, 1, &identity) || !dfu_client_erase(&port, BLOCK_ADDRESS) ||
        !dfu_client_set_address(&port, BLOCK_ADDRESS) ||
        (cut.snapshot = board->ops->clone(board)) == NULL) {
        measure_fail("power cuts", "the board is not ready for a block");
    }
    double seconds = measure_seconds("power cuts", RUNS, CLOCK_OF_THREAD, run, &cut);
    cut.snapshot->ops->destroy(cut.snapshot);
    board->ops->destroy(board);
    return CASES / seconds;
}

int main(void)
{
    struct board *null = null_board_new();
    struct board *photon = dfu_board_fresh("0.5.2", false);

    if (null == NULL || photon == NULL || !dfu_board_enter(photon)) {
        measure_fail("power cuts", "no board to measure");
    }
    null->ops->power(null, true);
    double bare = cases_per_second(null, false);
    double model = cases_per_second(photon, true);
    measure_heading();
    measure_print(
        &(struct measure_row){"power-cut cases", "/s", model, bare, GOAL_AT_LEAST, 50000});
    return 0;
}
