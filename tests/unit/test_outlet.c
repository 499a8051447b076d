/* Who has a board, who hears of it, and who is offered it. */
#include <check.h>

#include "tests/unit/support_board.h"
#include "usb-gadget/outlet.h"

static struct event_base *base;
static struct board *board;
static struct root_port port;
static struct outlet outlet;
static unsigned heard[2], offers;

static void turn(void)
{
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    }
}

static void set_up(void)
{
    base = event_base_new();
    board = test_board_dfu(IMAGE_3B);
    root_port_init(&port, board, true);
    ck_assert(outlet_init(&outlet, base, &port, "one", 1));
    heard[0] = heard[1] = offers = 0;
}

static void tear_down(void)
{
    outlet_free(&outlet);
    event_base_free(base);
    board->ops->destroy(board);
}

static void on_change(void *holder, struct outlet *changed)
{
    ck_assert_ptr_eq(changed, &outlet);
    (*(unsigned *)holder)++;
}

static void power(bool on)
{
    board->ops->power(board, on);
    root_port_poll(&port);
}

START_TEST(test_one_holder_at_a_time)
{
    ck_assert(!outlet_taken(&outlet));
    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    ck_assert(!outlet_take(&outlet, on_change, &heard[1]));
    outlet_give_back(&outlet);
    ck_assert(outlet_take(&outlet, on_change, &heard[1]));
    power(false);
    turn();
    ck_assert_uint_eq(heard[0], 0);
    ck_assert_uint_eq(heard[1], 1);
}
END_TEST

START_TEST(test_a_detached_board_can_be_held)
{
    power(false);
    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    turn();
    ck_assert_uint_eq(heard[0], 0);
    ck_assert_ptr_null(outlet_enumerate(&outlet));
    ck_assert(test_board_enter_dfu(board));
    root_port_poll(&port);
    ck_assert_uint_eq(heard[0], 0); /* not from within */
    turn();
    ck_assert_uint_eq(heard[0], 1);
    ck_assert_ptr_nonnull(outlet_enumerate(&outlet));
}
END_TEST

START_TEST(test_a_detach_and_an_attach_before_the_loop_turns_are_one_change)
{
    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    power(false);
    ck_assert(test_board_enter_dfu(board));
    root_port_poll(&port);
    turn();
    ck_assert_uint_eq(heard[0], 1);
}
END_TEST

static void count_completion(struct transfer *transfer)
{
    (*(unsigned *)transfer->context)++;
}

START_TEST(test_asking_who_it_is_disturbs_no_holder)
{
    unsigned completions = 0;
    struct transfer waits = {
        .setup = {0x00, 3, 2}, .complete = count_completion, .context = &completions};

    ck_assert_ptr_nonnull(outlet_identity(&outlet));
    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    const struct usb_identity *identity = outlet_enumerate(&outlet);
    ck_assert_ptr_nonnull(identity);
    ck_assert_uint_eq(identity->device[10] | identity->device[11] << 8, 0xD006);
    root_port_submit(&port, &waits);
    ck_assert_ptr_eq(outlet_identity(&outlet), identity);
    ck_assert_uint_eq(completions, 0);
    (void)root_port_cancel(&port, &waits);
    power(false);
    ck_assert_ptr_null(outlet_identity(&outlet));
}
END_TEST

START_TEST(test_nobody_asks_a_board_that_is_held)
{
    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    ck_assert_ptr_null(outlet_identity(&outlet));
}
END_TEST

static void on_offer(void *suitor, struct outlet *offered)
{
    ck_assert_ptr_eq(suitor, &offers);
    ck_assert(!outlet_taken(offered));
    ck_assert(root_port_attached(offered->port));
    offers++;
}

START_TEST(test_a_free_and_attached_board_is_offered)
{
    outlet_offer(&outlet, on_offer, &offers);
    ck_assert_uint_eq(offers, 0);
    turn();
    ck_assert_uint_eq(offers, 1);
    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    power(false);
    ck_assert(test_board_enter_dfu(board));
    root_port_poll(&port);
    turn();
    ck_assert_uint_eq(offers, 1);
    outlet_give_back(&outlet);
    turn();
    ck_assert_uint_eq(offers, 2);
    power(false);
    turn();
    ck_assert_uint_eq(offers, 2);
    outlet_offer(&outlet, NULL, NULL);
    ck_assert(test_board_enter_dfu(board));
    root_port_poll(&port);
    turn();
    ck_assert_uint_eq(offers, 2);
}
END_TEST

/* As when a real host lets go: a transfer for the old configuration finds it gone. */
START_TEST(test_giving_back_resets_the_board)
{
    static const uint8_t get_status[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};
    uint8_t status[6];

    ck_assert(outlet_take(&outlet, on_change, &heard[0]));
    ck_assert_ptr_nonnull(outlet_enumerate(&outlet));
    ck_assert_int_eq(control_transfer(&port, get_status, status, NULL), TRANSFER_OK);
    outlet_give_back(&outlet);
    ck_assert_int_eq(control_transfer(&port, get_status, status, NULL), TRANSFER_STALL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outlet");
    TCase *tcase = tcase_create("outlet");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(tcase, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_one_holder_at_a_time);
    tcase_add_test(tcase, test_a_detached_board_can_be_held);
    tcase_add_test(tcase, test_a_detach_and_an_attach_before_the_loop_turns_are_one_change);
    tcase_add_test(tcase, test_asking_who_it_is_disturbs_no_holder);
    tcase_add_test(tcase, test_nobody_asks_a_board_that_is_held);
    tcase_add_test(tcase, test_a_free_and_attached_board_is_offered);
    tcase_add_test(tcase, test_giving_back_resets_the_board);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
