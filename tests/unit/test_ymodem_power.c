/* The supply fails somewhere in an update of a whole part1 by YMODEM. test_update_power.c takes
 * every operation with short modules; this long one reaches both sectors, and is sampled. */
#include <check.h>
#include <string.h>

#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_ymodem.h"

/* In the first two an interrupted copy begins again. */
static const char *const eras[] = {"0.4.3", "0.5.2", "0.7.0", "2.2.0"};

/* Longer than two copies of a system part. */
#define PATIENCE_MS 30000

static struct client client;
static uint8_t new_image[FACTORY_MAX_SIZE];
static size_t new_size;

/* The whole update, or as much of it as the supply allows. */
static void update(struct board *board)
{
    if (!client_open(&client, board)) {
        return;
    }
    (void)client_send(&client, "f", 1);
    client_wait(&client, 100);
    client_forget(&client);
    if (ymodem_send_file(&client, "app.bin", new_image, new_size) && client_leaves(&client, 5000) &&
        board->ops->powered(board)) {
        (void)client_reopen(&client);
    }
}

/* A module of the release with another body. */
static void other_module_of(const char *release, enum factory_module which)
{
    struct module_spec spec;

    factory_spec(release_find(release), which, support_sha256, &spec);
    spec.fill_seed ^= 1;
    ck_assert(module_build(&spec, new_image));
    new_size = spec.size;
}

/* A user who finds the board dark holds SETUP at power-on. */
static bool dfu_by_button(struct board *board)
{
    board->ops->power(board, false);
    board->ops->button(board, true);
    board->ops->power(board, true);
    board_advance(board, 4 * BOARD_NS_PER_S);
    board->ops->button(board, false);
    board_advance(board, BOARD_NS_PER_S);
    return board->ops->attached(board) && board->ops->led(board).colour == 0xFFFF00;
}

static void expect_part1_survives(const struct board *fresh, uint64_t operation, bool always)
{
    struct board *board = fresh->ops->clone(fresh);

    ck_assert_ptr_nonnull(board);
    flash_cut_at(photon_flash(board), operation, (enum flash_cut)(operation % 3));
    update(board);
    ck_assert(!board->ops->powered(board));
    board->ops->power(board, true);
    board_advance(board, PATIENCE_MS * BOARD_NS_PER_MS);
    if (board->ops->attached(board) && board->ops->led(board).colour == 0x0000FF) {
        ck_assert(client_open(&client, board));
        client_expect(&client, "i", "Your device id is 1f00a2000b47abcdef323032\r\n");
    } else {
        ck_assert_msg(!always, "not listening after operation %llu", (unsigned long long)operation);
        ck_assert_msg(dfu_by_button(board), "no DFU after operation %llu",
                      (unsigned long long)operation);
    }
    board->ops->destroy(board);
}

/* Up to 0.6.4 an interrupted copy begins again. Later bootloaders need system-part2 for the slots,
 * and part2 needs part1: the button and DFU help. */
START_TEST(test_a_power_cut_in_an_update_of_part1_leaves_a_board_that_can_be_repaired)
{
    struct board *fresh, *done;
    uint64_t first, last;

    other_module_of(eras[_i], FACTORY_PART1);
    fresh = client_board(eras[_i]);
    ck_assert(client_open(&client, fresh));
    first = flash_operations(photon_flash(fresh));
    done = fresh->ops->clone(fresh);
    update(done);
    last = flash_operations(photon_flash(done));
    done->ops->destroy(done);
    for (uint64_t operation = first; operation < last; operation += (last - first) / 40) {
        expect_part1_survives(fresh, operation, _i < 2);
    }
    fresh->ops->destroy(fresh);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ymodem power");
    TCase *tests = tcase_create("ymodem power");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 200);
    tcase_add_loop_test(tests,
                        test_a_power_cut_in_an_update_of_part1_leaves_a_board_that_can_be_repaired,
                        0, sizeof(eras) / sizeof(eras[0]));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
