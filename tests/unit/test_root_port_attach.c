#include <check.h>
#include <string.h>

#include "tests/unit/support_null_board.h"
#include "tests/unit/support_transfer.h"

static char told[16];

static void note_attach(void *context, struct root_port *watched, bool attached)
{
    ck_assert_ptr_eq(context, told);
    ck_assert_int_eq(root_port_attached(watched), attached);
    ck_assert_int_eq(watched->generation & 1, attached);
    strcat(told, attached ? "+" : "-");
}

START_TEST(test_generation_is_odd_while_attached_and_never_falls)
{
    script_board_init(&script, NULL, 0);
    script_board_attach(&script, false);
    root_port_init(&port, &script.board, false);
    for (uint64_t generation = port.generation; generation < 6; generation++) {
        ck_assert_uint_eq(port.generation, generation);
        ck_assert_int_eq(root_port_attached(&port), generation & 1);
        script_board_attach(&script, !(generation & 1));
        root_port_poll(&port);
        root_port_poll(&port);
    }
}
END_TEST

START_TEST(test_watch_tells_an_attached_board_at_once_and_changes_once)
{
    told[0] = '\0';
    play(NULL, 0, false);
    root_port_watch(&port, note_attach, told);
    ck_assert_str_eq(told, "+");
    root_port_poll(&port);
    ck_assert_str_eq(told, "+");
    script_board_attach(&script, false);
    root_port_poll(&port);
    ck_assert_str_eq(told, "+-");
    script_board_attach(&script, true);
    root_port_poll(&port);
    ck_assert_str_eq(told, "+-+");
    script_board_attach(&script, false);
    script_board_attach(&script, true);
    root_port_poll(&port);
    ck_assert_str_eq(told, "+-+-+");
    root_port_watch(&port, NULL, NULL);
    script_board_attach(&script, false);
    root_port_poll(&port);
    ck_assert_str_eq(told, "+-+-+");
}
END_TEST

START_TEST(test_watch_of_a_detached_board_tells_nothing)
{
    told[0] = '\0';
    script_board_init(&script, NULL, 0);
    script_board_attach(&script, false);
    root_port_init(&port, &script.board, false);
    root_port_watch(&port, note_attach, told);
    ck_assert_str_eq(told, "");
}
END_TEST

START_TEST(test_submit_to_a_detached_board_fails_at_once)
{
    struct transfer transfer = control(0x21, 0);

    script_board_init(&script, NULL, 0);
    script_board_attach(&script, false);
    root_port_init(&port, &script.board, false);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 1);
    ck_assert_int_eq(transfer.status, TRANSFER_NO_DEVICE);
}
END_TEST

static void note_failure(struct transfer *transfer)
{
    ck_assert_int_eq(transfer->status, TRANSFER_NO_DEVICE);
    strcat(told, "x");
}

START_TEST(test_unplug_fails_the_transfers_of_all_endpoints_before_it_is_told)
{
    struct transfer waiting[] = {bulk(0x81, 64), bulk(0x81, 64), bulk(0x02, 64), control(0x80, 8),
                                 control(0x80, 8)};

    play(NULL, 0, false);
    script.naks = true;
    root_port_watch(&port, note_attach, told);
    told[0] = '\0';
    for (size_t i = 0; i < 5; i++) {
        waiting[i].complete = note_failure;
        root_port_submit(&port, &waiting[i]);
    }
    ck_assert(root_port_run(&port));
    script_board_attach(&script, false);
    ck_assert(!root_port_run(&port));
    ck_assert_str_eq(told, "xxxxx-");
}
END_TEST

START_TEST(test_two_boards_do_not_touch_each_other)
{
    struct script_board other;
    struct root_port other_port;
    struct transfer here = control(0x80, 8), there = control(0x80, 8);

    play(NULL, 0, false);
    script.naks = true;
    script_board_init(&other, NULL, 0);
    other.naks = true;
    root_port_init(&other_port, &other.board, false);
    root_port_submit(&port, &here);
    root_port_submit(&other_port, &there);
    ck_assert(!root_port_cancel(&port, &there));
    script_board_attach(&script, false);
    root_port_poll(&port);
    root_port_poll(&other_port);
    ck_assert_uint_eq(completions, 1);
    ck_assert_int_eq(here.status, TRANSFER_NO_DEVICE);
    ck_assert(root_port_attached(&other_port));
    ck_assert(root_port_cancel(&other_port, &there));
    ck_assert_uint_eq(completions, 2);
}
END_TEST

START_TEST(test_bus_reset_cancels_what_is_in_flight)
{
    struct transfer transfer = control(0x80, 8), in = bulk(0x81, 64);

    play(NULL, 0, false);
    script.naks = true;
    root_port_submit(&port, &transfer);
    root_port_submit(&port, &in);
    root_port_bus_reset(&port);
    ck_assert_uint_eq(script.bus_resets, 1);
    ck_assert_uint_eq(completions, 2);
    ck_assert_int_eq(transfer.status, TRANSFER_CANCELLED);
    ck_assert_int_eq(in.status, TRANSFER_CANCELLED);
    ck_assert(root_port_attached(&port));
}
END_TEST

START_TEST(test_bus_reset_reaches_no_detached_board)
{
    play(NULL, 0, false);
    script_board_attach(&script, false);
    root_port_bus_reset(&port);
    ck_assert_uint_eq(script.bus_resets, 0);
    ck_assert(!root_port_attached(&port));
}
END_TEST

static void plug_in(void *context, struct root_port *used)
{
    ck_assert_ptr_eq(used, &port);
    (*(unsigned *)context)++;
    script_board_attach(&script, true);
}

/* The owner of time brings the board to the present first; what it did to the pull-up counts. */
START_TEST(test_owner_of_time_comes_before_a_submission_and_a_bus_reset)
{
    unsigned uses = 0;
    struct transfer transfer = control(0x80, 8);

    play(NULL, 0, false);
    script.naks = true;
    script_board_attach(&script, false);
    root_port_poll(&port);
    port.on_use = plug_in;
    port.on_use_context = &uses;
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(uses, 1);
    ck_assert_uint_eq(completions, 0);
    ck_assert_uint_eq(transfer.generation, 3);
    root_port_bus_reset(&port);
    ck_assert_uint_eq(uses, 2);
    ck_assert_uint_eq(script.bus_resets, 1);
    ck_assert_int_eq(transfer.status, TRANSFER_CANCELLED);
}
END_TEST

/* --- callbacks --- */

#define CHAIN 100000

static unsigned depth, deepest;

static void submit_again(struct transfer *transfer)
{
    deepest = ++depth > deepest ? depth : deepest;
    if (++completions < CHAIN) {
        root_port_submit(&port, transfer);
    }
    depth--;
}

START_TEST(test_an_attach_that_ended_unseen_is_not_taken_for_the_present_one)
{
    play(NULL, 0, false);
    const uint64_t found = port.generation;

    ck_assert(root_port_still(&port, found));
    script_board_attach(&script, false);
    script_board_attach(&script, true);
    ck_assert(!root_port_still(&port, found));
    ck_assert(root_port_attached(&port));
}
END_TEST

START_TEST(test_chain_of_submissions_from_complete_needs_no_stack)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_OUT, .endpoint = 1, .length = 64, .repeat = CHAIN - 1}};
    struct transfer transfer = bulk(0x01, 64);

    transfer.complete = submit_again;
    depth = deepest = 0;
    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, CHAIN);
    ck_assert_uint_eq(deepest, 1);
    ck_assert(script_board_finished(&script));
}
END_TEST

static void cancel_other(struct transfer *transfer)
{
    struct transfer *other = transfer->context;

    completions++;
    ck_assert(root_port_cancel(&port, other));
    ck_assert_int_eq(other->status, TRANSFER_CANCELLED);
}

START_TEST(test_complete_may_cancel_another_transfer)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .handshake = USB_NAK},
        {.token = USB_TOKEN_SETUP},
        {.token = USB_TOKEN_IN},
    };
    struct transfer in = bulk(0x81, 64), transfer = control(0x21, 0);

    transfer.complete = cancel_other;
    transfer.context = &in;
    PLAY(rows, false);
    root_port_submit(&port, &in);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 2);
    ck_assert_int_eq(transfer.status, TRANSFER_OK);
    ck_assert(script_board_finished(&script));
}
END_TEST

START_TEST(test_cancel_of_a_transfer_that_is_about_to_fail_completes_it_once)
{
    struct transfer first = control(0x80, 8), second = bulk(0x81, 64);

    play(NULL, 0, false);
    script.naks = true;
    first.complete = cancel_other;
    first.context = &second;
    root_port_submit(&port, &first);
    root_port_submit(&port, &second);
    script_board_attach(&script, false);
    root_port_poll(&port);
    ck_assert_uint_eq(completions, 2);
    ck_assert_int_eq(first.status, TRANSFER_NO_DEVICE);
    ck_assert_int_eq(second.status, TRANSFER_CANCELLED);
}
END_TEST

static void submit_other(struct transfer *transfer)
{
    completions++;
    root_port_submit(&port, transfer->context);
}

/* The board is back already, but the transfer that failed belongs to the time before. */
START_TEST(test_submission_while_an_unplug_is_under_way_fails)
{
    struct transfer first = control(0x80, 8), second = control(0x80, 8);

    play(NULL, 0, false);
    script.naks = true;
    first.complete = submit_other;
    first.context = &second;
    root_port_submit(&port, &first);
    script_board_attach(&script, false);
    script_board_attach(&script, true);
    root_port_poll(&port);
    ck_assert_uint_eq(completions, 2);
    ck_assert_int_eq(second.status, TRANSFER_NO_DEVICE);
    ck_assert(root_port_attached(&port));
}
END_TEST

START_TEST(test_submission_while_a_bus_reset_is_under_way_stays)
{
    struct transfer first = control(0x80, 8), second = control(0x80, 8);

    play(NULL, 0, false);
    script.naks = true;
    first.complete = submit_other;
    first.context = &second;
    root_port_submit(&port, &first);
    root_port_bus_reset(&port);
    ck_assert_uint_eq(completions, 1);
    ck_assert_int_eq(first.status, TRANSFER_CANCELLED);
    ck_assert(root_port_cancel(&port, &second));
}
END_TEST

static struct transfer probe;
static unsigned attaches_told;

/* A hub driver that talks to a new device at once; the device leaves at its first answer. */
static void talk_at_once(void *context, struct root_port *watched, bool attached)
{
    static bool inside;

    (void)context;
    ck_assert(!inside);
    inside = true;
    strcat(told, attached ? "(" : "-");
    if (attached && attaches_told++ == 0) {
        probe = control(0x21, 0);
        root_port_submit(watched, &probe);
        (void)root_port_run(watched);
        ck_assert_uint_eq(completions, 1);
        ck_assert_int_eq(probe.status, TRANSFER_PROTOCOL_ERROR);
        root_port_submit(watched, &probe);
        ck_assert_uint_eq(completions, 2);
        ck_assert_int_eq(probe.status, TRANSFER_NO_DEVICE);
    }
    strcat(told, attached ? ")" : "");
    inside = false;
}

START_TEST(test_attach_callback_may_use_the_port_and_hears_of_a_detach_afterwards)
{
    const struct script_row rows[] = {{.token = USB_TOKEN_SETUP, .then = THEN_REATTACH}};

    told[0] = '\0';
    attaches_told = 0;
    PLAY(rows, false);
    root_port_watch(&port, talk_at_once, NULL);
    ck_assert_str_eq(told, "()-()");
    ck_assert_uint_eq(port.generation, 3);
}
END_TEST

START_TEST(test_null_board_takes_a_whole_download_block)
{
    static uint8_t block[4096];
    struct board *board = null_board_new();
    struct transfer transfer = control(0x21, sizeof block);

    ck_assert_ptr_nonnull(board);
    root_port_init(&port, board, true);
    ck_assert(!root_port_attached(&port));
    board->ops->power(board, true);
    root_port_poll(&port);
    transfer.setup[1] = 1;
    transfer.data = block;
    root_port_submit(&port, &transfer);
    ck_assert_int_eq(transfer.status, TRANSFER_OK);
    ck_assert_uint_eq(transfer.actual, sizeof block);
    ck_assert_uint_eq(null_board_downloaded(board), sizeof block);
    board->ops->destroy(board);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("root_port_attach");
    TCase *tcase = tcase_create("attach and callbacks");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, transfer_setup, NULL);
    tcase_add_test(tcase, test_generation_is_odd_while_attached_and_never_falls);
    tcase_add_test(tcase, test_watch_tells_an_attached_board_at_once_and_changes_once);
    tcase_add_test(tcase, test_watch_of_a_detached_board_tells_nothing);
    tcase_add_test(tcase, test_submit_to_a_detached_board_fails_at_once);
    tcase_add_test(tcase, test_unplug_fails_the_transfers_of_all_endpoints_before_it_is_told);
    tcase_add_test(tcase, test_two_boards_do_not_touch_each_other);
    tcase_add_test(tcase, test_bus_reset_cancels_what_is_in_flight);
    tcase_add_test(tcase, test_bus_reset_reaches_no_detached_board);
    tcase_add_test(tcase, test_owner_of_time_comes_before_a_submission_and_a_bus_reset);
    tcase_add_test(tcase, test_an_attach_that_ended_unseen_is_not_taken_for_the_present_one);
    tcase_add_test(tcase, test_chain_of_submissions_from_complete_needs_no_stack);
    tcase_add_test(tcase, test_complete_may_cancel_another_transfer);
    tcase_add_test(tcase, test_cancel_of_a_transfer_that_is_about_to_fail_completes_it_once);
    tcase_add_test(tcase, test_submission_while_an_unplug_is_under_way_fails);
    tcase_add_test(tcase, test_submission_while_a_bus_reset_is_under_way_stays);
    tcase_add_test(tcase, test_attach_callback_may_use_the_port_and_hears_of_a_detach_afterwards);
    tcase_add_test(tcase, test_null_board_takes_a_whole_download_block);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
