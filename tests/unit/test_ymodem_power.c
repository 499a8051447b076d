/* The supply fails somewhere in an update by YMODEM: the board comes back as one of the boards that
 * the facts (03 §3, §9) allow. */
#include <check.h>
#include <string.h>

#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_ymodem.h"

enum result { OLD, NEW, NEITHER, RESULTS };

struct era {
    const char *release;
    bool interrupted_copy_is_lost; /* the slot is freed before the copy, or although it failed */
};

static const struct era eras[] = {
    {"0.4.3", false}, {"0.5.2", false}, {"0.7.0", true}, {"2.2.0", false}};

/* Longer than two copies of a system part. */
#define PATIENCE_MS 30000

static struct client client;
static uint8_t old_image[FACTORY_MAX_SIZE], new_image[FACTORY_MAX_SIZE];
static size_t old_size, new_size;

static void modules_of(const char *release)
{
    struct module_spec spec;

    old_size = factory_build(release_find(release), FACTORY_USER, support_sha256, old_image);
    factory_spec(release_find(release), FACTORY_USER, support_sha256, &spec);
    spec.size = 1608;
    spec.fill_seed = 99;
    ck_assert(module_build(&spec, new_image));
    new_size = spec.size;
}

static bool user_is(const struct board *board, const uint8_t *image, size_t size)
{
    static uint8_t bytes[FACTORY_MAX_SIZE];

    ck_assert(board->ops->flash_read(board, MAP_USER, bytes, size));
    return memcmp(bytes, image, size) == 0;
}

static enum result user_of(const struct board *board)
{
    if (user_is(board, new_image, new_size)) {
        return NEW;
    }
    return user_is(board, old_image, old_size) ? OLD : NEITHER;
}

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

/* Loses the supply at that operation, gets it back, and waits for the system. */
static enum result survive(const struct board *fresh, uint64_t operation, enum flash_cut cut)
{
    struct board *board = fresh->ops->clone(fresh);
    enum result result;

    ck_assert_ptr_nonnull(board);
    flash_cut_at(photon_flash(board), operation, cut);
    update(board);
    ck_assert_msg(!board->ops->powered(board), "operation %llu never came",
                  (unsigned long long)operation);
    ck_assert_msg(client_open(&client, board), "dark after a cut %d operation %llu", (int)cut,
                  (unsigned long long)operation);
    client_wait(&client, 1000);
    result = user_of(board);
    (void)client_send(&client, "i", 1);
    client_wait(&client, 100);
    ck_assert_msg(strstr(client.text, "Your device id is") != NULL,
                  "no console after a cut %d operation %llu", (int)cut,
                  (unsigned long long)operation);
    board->ops->destroy(board);
    return result;
}

START_TEST(test_a_power_cut_anywhere_leaves_a_board_that_listens)
{
    const struct era *era = &eras[_i];
    struct board *fresh, *done;
    unsigned seen[RESULTS] = {0};
    uint64_t first, last;

    modules_of(era->release);
    fresh = client_board(era->release);
    ck_assert(client_open(&client, fresh));
    first = flash_operations(photon_flash(fresh));
    done = fresh->ops->clone(fresh);
    update(done);
    ck_assert_int_eq(user_of(done), NEW);
    last = flash_operations(photon_flash(done));
    done->ops->destroy(done);
    for (uint64_t operation = first; operation < last; operation += 17) {
        seen[survive(fresh, operation, (enum flash_cut)(operation % 3))]++;
    }
    fresh->ops->destroy(fresh);
    ck_assert_uint_gt(seen[OLD], 0);
    if (!era->interrupted_copy_is_lost) {
        ck_assert_uint_gt(seen[NEW], 0);
        ck_assert_uint_eq(seen[NEITHER], 0);
    } else {
        ck_assert_uint_gt(seen[NEITHER], 0);
    }
}
END_TEST

/* --- system parts --- */

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
    const struct era *era = &eras[_i];
    struct board *fresh, *done;
    uint64_t first, last;

    other_module_of(era->release, FACTORY_PART1);
    fresh = client_board(era->release);
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

/* --- the bootloader --- */

struct window {
    uint64_t erase, last; /* operations on sector 0 */
};

static void watch(void *context, const struct board_event *event)
{
    struct window *window = context;

    if (event->kind == BOARD_EVENT_FLASH_ERASE && event->u.flash.address == MAP_BOOTLOADER) {
        window->erase = event->u.flash.operation;
    }
    if (event->kind == BOARD_EVENT_FLASH_PROGRAM && event->u.flash.address < MAP_DCT1) {
        window->last = event->u.flash.operation + event->u.flash.length / 4 - 1;
    }
}

static bool comes_back(const struct board *fresh, uint64_t operation, enum flash_cut cut)
{
    struct board *board = fresh->ops->clone(fresh);
    bool back;

    ck_assert_ptr_nonnull(board);
    flash_cut_at(photon_flash(board), operation, cut);
    update(board);
    ck_assert(!board->ops->powered(board));
    board->ops->power(board, true);
    board_advance(board, PATIENCE_MS * BOARD_NS_PER_MS);
    back = board->ops->attached(board) || dfu_by_button(board);
    board->ops->destroy(board);
    return back;
}

START_TEST(test_only_a_power_cut_while_the_bootloader_is_written_bricks_the_board)
{
    struct window window = {0};
    struct board *fresh, *done;

    new_size = factory_build(release_find("0.6.3"), FACTORY_BOOTLOADER, support_sha256, new_image);
    fresh = client_board("0.5.2");
    ck_assert(client_open(&client, fresh));
    done = fresh->ops->clone(fresh);
    board_observe(done, watch, &window);
    update(done);
    done->ops->destroy(done);
    ck_assert_uint_gt(window.erase, 0);
    ck_assert_uint_gt(window.last, window.erase);
    ck_assert(comes_back(fresh, window.erase, FLASH_CUT_BEFORE));
    ck_assert(!comes_back(fresh, window.erase, FLASH_CUT_AFTER));
    ck_assert(!comes_back(fresh, window.erase + 1, FLASH_CUT_BEFORE));
    ck_assert(comes_back(fresh, window.last, FLASH_CUT_AFTER));
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
    tcase_add_loop_test(tests, test_a_power_cut_anywhere_leaves_a_board_that_listens, 0,
                        sizeof(eras) / sizeof(eras[0]));
    tcase_add_loop_test(tests,
                        test_a_power_cut_in_an_update_of_part1_leaves_a_board_that_can_be_repaired,
                        0, sizeof(eras) / sizeof(eras[0]));
    tcase_add_test(tests, test_only_a_power_cut_while_the_bootloader_is_written_bricks_the_board);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
