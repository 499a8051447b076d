/*
 * Every cell of the request x state table of DFU on every bootloader image, each a test of its own:
 * the handshakes, the reply, the state behind it, bStatus, poll time and what became of a pending
 * block. Expectations are dfu_cells.inc and the three short tables below, all from the protocol
 * facts.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_board.h"
#include "tests/unit/support_host.h"
#include "tests/unit/support_script.h"

/* Where the pointer is at first; the blocks under test clear bits there, which no image minds. */
#define POINTER     UINT32_C(0x08020000)
#define BLOCK       8
#define UPLOAD_SIZE 64

/* How a board is brought into a state. */
static const struct column {
    const char *name;
    uint8_t state;
    const char *way; /* d: DNLOAD of a block, z: of none, s: GETSTATUS, a: GETSTATUS of no length,
                        u: UPLOAD, q: UPLOAD of block 1, c: CLRSTATUS */
    bool pending;    /* a block waits for its execution */
    bool polled;     /* a poll time has been computed */
    unsigned from;   /* image; older ones do not reach the state */
} columns[] = {
    {"2 IDLE", 2, "", false, false, 0},
    {"3 DNLOAD-SYNC", 3, "d", true, false, 0},
    {"3 DNLOAD-SYNC, done", 3, "ds", false, true, 0},
    {"4 DNBUSY", 4, "da", true, true, 0},
    {"5 DNLOAD-IDLE", 5, "dss", false, true, 0},
    {"6 MANIFEST-SYNC", 6, "z", false, false, 0},
    {"7 MANIFEST", 7, "za", false, false, 0},
    {"8 MANIFEST-WAIT-RESET", 8, "zs", false, false, IMAGE_4},
    {"9 UPLOAD-IDLE", 9, "u", false, false, 0},
    {"10 ERROR", 10, "c", false, false, 0},
    {"15", 15, "q", false, false, 0},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct row {
    const char *name;
    uint8_t type, request;
    uint16_t value, length;
    const char *cells;
} rows[] = {
#include "dfu_cells.inc"
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Poll time of the internal flash while a block is executed, and what is left of it later. */
static const struct {
    uint8_t busy, left;
} polls[TEST_IMAGES] = {
    [IMAGE_2] = {50, 0},  [IMAGE_3A] = {50, 0}, [IMAGE_3B] = {50, 0},
    [IMAGE_4] = {50, 0},  [IMAGE_7] = {50, 0},  [IMAGE_11] = {50, 50},
    [IMAGE_101] = {0, 0}, [IMAGE_501] = {0, 0}, [IMAGE_1006] = {0, 0},
};

static const uint8_t zeros[BLOCK];

/* One cell: what is done, what comes of it, and how it goes. */
struct cell {
    const struct row *row;
    const struct column *column;
    unsigned image;
    char text[16];
    struct board *board;
    uint8_t memory[UPLOAD_SIZE]; /* at the pointer, before */
    struct host_transfer transfer;
    /* The expected state of affairs. */
    uint8_t state, status;
    bool pending, polled, executed, left;
};

__attribute__((noreturn, format(printf, 2, 3))) static void wrong(struct cell *cell,
                                                                  const char *format, ...)
{
    char message[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    ck_abort_msg("bootloader %s (release %s), state %s, request %s, cell \"%s\": %s\n  %s",
                 test_images[cell->image].name, test_images[cell->image].release,
                 cell->column->name, cell->row->name, cell->text, message,
                 host_transcript(&cell->transfer));
    abort();
}

static void control(struct cell *cell, struct board *board, uint8_t type, uint8_t request,
                    uint16_t value, uint16_t length)
{
    uint8_t packet[8];

    host_setup_packet(packet, type, request, value, 0, length);
    host_control(board, packet, zeros, type & 0x80 ? 0 : length, BOARD_NEVER, &cell->transfer);
}

static void bring(struct cell *cell)
{
    for (const char *step = cell->column->way; *step != '\0'; step++) {
        static const struct {
            char step;
            uint8_t type, request;
            uint16_t value, length;
            enum host_end end;
        } steps[] = {
            {'d', 0x21, 1, 2, BLOCK, HOST_ACK}, {'z', 0x21, 1, 2, 0, HOST_ACK},
            {'s', 0xA1, 3, 0, 6, HOST_ACK},     {'a', 0xA1, 3, 0, 0, HOST_ACK},
            {'u', 0xA1, 2, 2, 8, HOST_ACK},     {'q', 0xA1, 2, 1, 8, HOST_STALL},
            {'c', 0x21, 4, 0, 0, HOST_ACK},
        };
        size_t i = 0;

        while (steps[i].step != *step) {
            i++;
        }
        control(cell, cell->board, steps[i].type, steps[i].request, steps[i].value,
                steps[i].length);
        if (cell->transfer.end != steps[i].end) {
            wrong(cell, "step %c on the way there ends with %s", *step,
                  host_end_name(cell->transfer.end));
        }
    }
    cell->board->ops->flash_read(cell->board, POINTER, cell->memory, sizeof(cell->memory));
}

/* --- what the cell says --- */

static bool old_leave(const struct cell *cell)
{
    return cell->image <= IMAGE_3B;
}

static void expect_end(struct cell *cell, enum host_end end, const void *data, size_t length)
{
    if (cell->transfer.end != end) {
        wrong(cell, "expected %s, got %s", host_end_name(end), host_end_name(cell->transfer.end));
    }
    if (cell->transfer.length != length ||
        (length > 0 && memcmp(cell->transfer.data, data, length) != 0)) {
        wrong(cell, "expected %zu bytes %02X %02X..., got %zu bytes %02X %02X %02X %02X %02X %02X",
              length, length > 0 ? ((const uint8_t *)data)[0] : 0,
              length > 1 ? ((const uint8_t *)data)[1] : 0, cell->transfer.length,
              cell->transfer.data[0], cell->transfer.data[1], cell->transfer.data[2],
              cell->transfer.data[3], cell->transfer.data[4], cell->transfer.data[5]);
    }
}

static void expect_record(struct cell *cell, enum host_end end, uint8_t poll, uint8_t reported)
{
    const uint8_t record[6] = {cell->status, poll, 0, 0, reported, 0};

    expect_end(cell, end, record, sizeof(record));
}

static uint8_t poll_left(const struct cell *cell)
{
    return cell->polled ? polls[cell->image].left : 0;
}

static void expect_gone(struct cell *cell)
{
    if (cell->image == IMAGE_1006) {
        expect_end(cell, HOST_ACK, NULL, 0);
        return;
    }
    expect_end(cell, HOST_SILENT, NULL, 0);
    if (cell->transfer.stage != HOST_STATUS) {
        wrong(cell, "the SETUP was not taken");
    }
    board_advance(cell->board, 3 * BOARD_NS_PER_MS);
    if (!cell->board->ops->attached(cell->board)) {
        wrong(cell, "not attached again 3 ms later");
    }
}

/* The leave begins: up to v3 the status stage is lost, the board off the bus and soon reset. */
static void expect_leave(struct cell *cell, const void *data, size_t length)
{
    cell->left = old_leave(cell);
    cell->state = 8;
    expect_end(cell, cell->left ? HOST_SILENT : HOST_ACK, data, length);
}

/* The replies that depend on the image, or need more than a few bytes. True when `word` is one. */
static bool expect_special(struct cell *cell, const char *word)
{
    const uint8_t old_sync[6] = {0, 1, 0, 0, 7, 0}, sync[6] = {0, 0, 0, 0, 5, 0}, seven = 7;

    if (strcmp(word, "sync!") == 0) {
        expect_leave(cell, old_leave(cell) ? old_sync : sync, sizeof(sync));
    } else if (strcmp(word, "state!") == 0) {
        expect_leave(cell, &seven, 1);
    } else if (strcmp(word, "back") == 0) {
        if (old_leave(cell)) {
            expect_leave(cell, cell->transfer.data, 6);
        } else {
            expect_record(cell, HOST_ACK, 0, 2);
            cell->state = 2;
        }
    } else if (strcmp(word, "back0") == 0) {
        expect_end(cell, HOST_ACK, NULL, 0);
        cell->state = 2;
    } else if (strcmp(word, "err") == 0) {
        expect_end(cell, HOST_ACK, NULL, 0);
        cell->state = 10;
        cell->status = 0x0E;
        cell->pending = false;
    } else {
        return false;
    }
    return true;
}

static void expect_reply(struct cell *cell, const char *word)
{
    static const uint8_t commands[3] = {0x00, 0x21, 0x41};
    uint8_t reported;

    if (strncmp(word, "ack", 3) == 0) {
        expect_end(cell, HOST_ACK, NULL, 0);
    } else if (strncmp(word, "stall", 5) == 0) {
        expect_end(cell, HOST_STALL, NULL, 0);
        if (cell->transfer.stage != (cell->row->length > 0 ? HOST_DATA : HOST_STATUS)) {
            wrong(cell, "the STALL is in the wrong stage");
        }
    } else if (strncmp(word, "cmd", 3) == 0) {
        expect_end(cell, HOST_ACK, commands, sizeof(commands));
    } else if (strncmp(word, "mem", 3) == 0) {
        expect_end(cell, HOST_ACK, cell->memory, sizeof(cell->memory));
    } else if (strncmp(word, "gone", 4) == 0) {
        expect_gone(cell);
    } else if (strncmp(word, "state", 5) == 0) {
        expect_end(cell, HOST_ACK, &cell->state, 1);
    } else if (strncmp(word, "rec", 3) == 0) {
        reported = (uint8_t)strtoul((const char[]){word[3], '\0'}, NULL, 16);
        expect_record(cell, HOST_ACK, reported == 4 ? polls[cell->image].busy : poll_left(cell),
                      reported);
    } else {
        wrong(cell, "no such reply");
    }
}

static void apply(struct cell *cell, const char *word)
{
    const char *arrow = strchr(word, '>');

    if (arrow != NULL) {
        cell->state = (uint8_t)strtoul(arrow + 1, NULL, 16);
        cell->pending = cell->state == 3 || cell->state == 4;
        cell->polled = cell->polled || cell->state == 4;
        /* CLRSTATUS in ERROR */
        cell->status = cell->row->request == 4 ? 0 : cell->status;
    }
    if (strchr(word, '*') != NULL) {
        cell->state = 3;
        cell->pending = false;
        cell->executed = cell->polled = true;
    }
    if (strchr(word, '-') != NULL) {
        cell->pending = false;
    }
}

/* --- what is then --- */

static void check_flash(struct cell *cell, struct board *board, bool executed)
{
    uint8_t found[BLOCK];

    board->ops->flash_read(board, POINTER, found, sizeof(found));
    if (memcmp(found, executed ? zeros : cell->memory, BLOCK) != 0) {
        wrong(cell,
              executed ? "the pending block is not in the flash"
                       : "the flash has changed: %02X %02X...",
              found[0], found[1]);
    }
}

static void check_state(struct cell *cell)
{
    struct board *copy = cell->board->ops->clone(cell->board);

    control(cell, copy, 0xA1, 5, 0, 1);
    copy->ops->destroy(copy);
    if (cell->transfer.length != 1 || cell->transfer.data[0] != cell->state) {
        wrong(cell, "the internal state is %u, expected %u", cell->transfer.data[0], cell->state);
    }
}

/* What a GETSTATUS tells now, and whether a pending block is still there. */
static void check_status(struct cell *cell)
{
    struct board *copy = cell->board->ops->clone(cell->board);
    const uint8_t busy = polls[cell->image].busy, left = poll_left(cell);

    control(cell, copy, 0xA1, 3, 0, 6);
    switch (cell->state) {
    case 3:
        expect_record(cell, HOST_ACK, cell->pending ? busy : left, cell->pending ? 4 : 5);
        break;
    case 4:
        expect_record(cell, cell->pending ? HOST_ACK : HOST_STALL, busy, 4);
        break;
    case 6:
        expect_record(cell, old_leave(cell) ? HOST_SILENT : HOST_ACK, old_leave(cell) ? 1 : left,
                      old_leave(cell) ? 7 : 5);
        break;
    case 7:
        if (!old_leave(cell)) {
            expect_record(cell, HOST_ACK, left, 2);
        }
        break;
    default:
        expect_record(cell, HOST_ACK, left, cell->state);
        break;
    }
    check_flash(cell, copy, cell->executed || cell->pending);
    copy->ops->destroy(copy);
}

static void check_left(struct cell *cell)
{
    const uint64_t limit = cell->board->now + 2 * BOARD_NS_PER_S;
    struct test_record *record = malloc(sizeof(*record));
    bool reset = false;

    if (cell->board->ops->attached(cell->board)) {
        wrong(cell, "still attached");
    }
    test_record(cell->board, record);
    while (!reset && cell->board->ops->next_deadline(cell->board) < limit) {
        board_advance_to(cell->board, cell->board->ops->next_deadline(cell->board));
        reset = record->count > 0 && record->events[record->count - 1].kind == BOARD_EVENT_RESET;
        for (size_t i = 0; i < record->count && !reset; i++) {
            reset = record->events[i].kind == BOARD_EVENT_RESET;
        }
    }
    free(record);
    if (!reset) {
        wrong(cell, "no reset within two seconds");
    }
}

/* --- the tests --- */

struct test {
    unsigned image;
    size_t row, column;
};

static struct test tests[TEST_IMAGES * ROWS * COLUMNS];
static int test_count, unreachable, unspecified;

static void cell_text(const struct test *test, char text[16])
{
    const char *cells = rows[test->row].cells;

    for (size_t i = 0; i < test->column; i++) {
        cells += strcspn(cells, " ");
        cells += strspn(cells, " ");
    }
    snprintf(text, 16, "%.*s", (int)strcspn(cells, " "), cells);
}

static void list_tests(void)
{
    for (unsigned image = 0; image < TEST_IMAGES; image++) {
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            struct test test = {image, i / COLUMNS, i % COLUMNS};
            char text[16];

            cell_text(&test, text);
            if (image < columns[test.column].from) {
                unreachable++;
            } else if (image <= IMAGE_3B && strcmp(text, "back0") == 0) {
                unspecified++;
            } else {
                tests[test_count++] = test;
            }
        }
    }
}

START_TEST(test_cell)
{
    const struct test *test = &tests[_i];
    struct cell *cell = calloc(1, sizeof(*cell));

    ck_assert_ptr_nonnull(cell);
    cell->row = &rows[test->row];
    cell->column = &columns[test->column];
    cell->image = test->image;
    cell->state = cell->column->state;
    cell->status = cell->state == 10 ? 0x0E : 0;
    cell->pending = cell->column->pending;
    cell->polled = cell->column->polled;
    cell_text(test, cell->text);
    cell->board = test_board_dfu(cell->image);
    bring(cell);
    control(cell, cell->board, cell->row->type, cell->row->request, cell->row->value,
            cell->row->length);
    if (!expect_special(cell, cell->text)) {
        expect_reply(cell, cell->text);
        apply(cell, cell->text);
    }
    if (cell->left) {
        check_left(cell);
    } else {
        check_flash(cell, cell->board, cell->executed);
        check_state(cell);
        check_status(cell);
    }
    cell->board->ops->destroy(cell->board);
    free(cell);
}
END_TEST

START_TEST(test_only_cells_that_cannot_be_reached_are_left_out)
{
    /* State 8 up to v3, and GETSTATUS of no length in state 7 there. */
    ck_assert_int_eq(unreachable, 3 * (int)ROWS);
    ck_assert_int_eq(unspecified, 3);
    ck_assert_int_eq(test_count + unreachable + unspecified, TEST_IMAGES * (int)(ROWS * COLUMNS));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("dfu cells");
    TCase *cells = tcase_create("cells"), *table = tcase_create("table");
    SRunner *runner;
    int first, end, failed;

    list_tests();
    script_pick(argc, argv, test_count, &first, &end);
    tcase_add_unchecked_fixture(cells, test_boards_make, test_boards_free);
    tcase_add_loop_test(cells, test_cell, first, end);
    tcase_add_test(table, test_only_cells_that_cannot_be_reached_are_left_out);
    suite_add_tcase(suite, cells);
    suite_add_tcase(suite, table);
    runner = srunner_create(suite);
    /* Every test has its own copy of a board; a process of its own would cost ten times the test.
     */
    srunner_set_fork_status(runner, getenv("CK_FORK") != NULL ? CK_FORK_GETENV : CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed > 0) {
        /* What the failed tests left behind is not what a reader wants to hear about now. */
        _Exit(EXIT_FAILURE);
    }
    return EXIT_SUCCESS;
}
