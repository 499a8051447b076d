/* The order of time on a Photon's pins. */
#include <check.h>
#include <string.h>

#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/enumerate.h"

static struct board *board;
static struct root_port port;

struct watch {
    uint64_t last;
    unsigned events, erases;
};

static void in_order(void *context, const struct board_event *event)
{
    struct watch *watch = context;

    ck_assert_msg(event->time >= watch->last, "event of kind %d at %llu ns after one at %llu ns",
                  (int)event->kind, (unsigned long long)event->time,
                  (unsigned long long)watch->last);
    ck_assert_uint_le(event->time, board->now);
    watch->last = event->time;
    watch->events++;
    watch->erases += event->kind == BOARD_EVENT_FLASH_ERASE;
}

static void setup(void)
{
    struct usb_identity identity;

    board = dfu_board_fresh("0.5.2", false);
    ck_assert_ptr_nonnull(board);
    ck_assert(dfu_board_enter(board));
    root_port_init(&port, board, true);
    ck_assert(enumerate(&port, 1, &identity));
}

static void teardown(void)
{
    board->ops->destroy(board);
}

static enum transfer_status download(const void *data, uint8_t length)
{
    const uint8_t packet[8] = {0x21, 1, 0, 0, 0, 0, length, 0};

    return control_transfer(&port, packet, (void *)data, NULL);
}

static enum transfer_status get_status(uint8_t status[6])
{
    static const uint8_t packet[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};

    return control_transfer(&port, packet, status, NULL);
}

/* The command runs when the host has taken the data, not while they are on the bus. */
START_TEST(test_events_of_an_erase_come_in_the_order_of_time)
{
    static const uint8_t erase[5] = {0x41, 0x00, 0x00, 0x0A, 0x08};
    struct watch watch = {.last = board->now};
    uint8_t status[6];

    board_observe(board, in_order, &watch);
    ck_assert_int_eq(download(erase, sizeof erase), TRANSFER_OK);
    ck_assert_int_eq(get_status(status), TRANSFER_OK);
    ck_assert_uint_eq(status[4], 4);
    ck_assert_uint_eq(watch.erases, 1);
    ck_assert_uint_gt(watch.events, 8);
}
END_TEST

/* The reset that follows a leave may fall anywhere in a transfer, in the middle of a packet too. */
START_TEST(test_events_around_the_reset_of_a_leave_come_in_the_order_of_time)
{
    struct board *left, *again;
    uint8_t status[6];

    ck_assert_int_eq(download(NULL, 0), TRANSFER_OK);
    ck_assert_int_eq(get_status(status), TRANSFER_OK);
    board_advance(board, 499 * BOARD_NS_PER_MS);
    left = board;
    again = left->ops->clone(left);
    ck_assert_ptr_nonnull(again);
    board = again;
    bool went = false;
    for (uint64_t shift = 0; shift < BOARD_NS_PER_MS; shift += 1700) {
        struct watch watch = {0};

        again->ops->restore(again, left);
        board_observe(again, in_order, &watch);
        root_port_init(&port, again, true);
        board_advance(again, shift);
        root_port_poll(&port);
        went |= get_status(status) == TRANSFER_PROTOCOL_ERROR;
    }
    ck_assert(went);
    again->ops->destroy(again);
    board = left;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("photon_time");
    TCase *tcase = tcase_create("time");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_events_of_an_erase_come_in_the_order_of_time);
    tcase_add_test(tcase, test_events_around_the_reset_of_a_leave_come_in_the_order_of_time);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
