/* What a host sees of a Photon through the root port (facts of the bootloaders, DFU protocol). */
#include <check.h>
#include <string.h>

#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/enumerate.h"

#define STATE_DNLOAD_IDLE 5
#define STATE_MANIFEST    7

static struct board *board;
static struct root_port port;
static char told[16];

static void note_attach(void *context, struct root_port *watched, bool attached)
{
    (void)context;
    (void)watched;
    strcat(told, attached ? "+" : "-");
}

static void plug(const char *release)
{
    struct usb_identity identity;

    board = dfu_board_fresh(release, false);
    ck_assert_ptr_nonnull(board);
    ck_assert(dfu_board_enter(board));
    root_port_init(&port, board, true);
    ck_assert(enumerate(&port, 1, &identity));
    told[0] = '\0';
    root_port_watch(&port, note_attach, NULL);
    ck_assert_str_eq(told, "+");
}

static void teardown(void)
{
    board->ops->destroy(board);
}

static enum transfer_status request(uint8_t type, uint8_t number, uint8_t length, void *data)
{
    const uint8_t packet[8] = {type, number, 0, 0, 0, 0, length, 0};

    return control_transfer(&port, packet, data, NULL);
}

static void pass(uint64_t ns)
{
    board_advance(board, ns);
    root_port_poll(&port);
}

/* Images up to 501 switch the pull-up off for 1.3 ms inside the SETUP's handler. */
START_TEST(test_dfu_detach_is_seen_as_unplug_and_plug)
{
    static const char *const releases[] = {"0.4.3", "0.5.2", "1.5.0"};
    uint64_t generation;

    plug(releases[_i]);
    generation = port.generation;
    ck_assert_int_eq(request(0x21, 0, 0, NULL), TRANSFER_PROTOCOL_ERROR);
    pass(5 * BOARD_NS_PER_MS);
    ck_assert_uint_eq(port.generation, generation + 2);
    ck_assert_str_eq(told, "+-+");
}
END_TEST

/* 1006 has lost its wait loop: the pulse is shorter than a microsecond and nobody sees it. */
START_TEST(test_dfu_detach_of_2_2_0_is_not_seen)
{
    uint64_t generation;

    plug("2.2.0");
    generation = port.generation;
    ck_assert_int_eq(request(0x21, 0, 0, NULL), TRANSFER_OK);
    pass(5 * BOARD_NS_PER_MS);
    ck_assert_uint_eq(port.generation, generation);
    ck_assert_str_eq(told, "+");
}
END_TEST

/* Up to 0.4.4 the device sends its status and leaves the bus before the host's zero-length packet.
 */
START_TEST(test_leave_before_bl4_loses_the_status_stage)
{
    static const char *const releases[] = {"0.4.0", "0.4.3"};
    uint8_t status[6] = {0};

    plug(releases[_i]);
    ck_assert_int_eq(request(0x21, 1, 0, NULL), TRANSFER_OK);
    ck_assert_int_eq(request(0xA1, 3, sizeof status, status), TRANSFER_PROTOCOL_ERROR);
    ck_assert_uint_eq(status[4], STATE_MANIFEST);
    pass(5 * BOARD_NS_PER_MS);
    ck_assert_int_eq(told[1], '-');
}
END_TEST

START_TEST(test_leave_from_bl4_on_is_clean_and_the_reset_comes_later)
{
    static const char *const releases[] = {"0.4.5", "0.5.2", "1.5.0", "2.2.0"};
    uint8_t status[6] = {0};

    plug(releases[_i]);
    ck_assert_int_eq(request(0x21, 1, 0, NULL), TRANSFER_OK);
    ck_assert_int_eq(request(0xA1, 3, sizeof status, status), TRANSFER_OK);
    ck_assert_uint_eq(status[4], STATE_DNLOAD_IDLE);
    pass(498 * BOARD_NS_PER_MS);
    ck_assert_str_eq(told, "+");
    pass(3 * BOARD_NS_PER_MS);
    ck_assert_str_eq(told, "+-");
}
END_TEST

/* The status stage of the GETSTATUS that starts an erase is NAKed until the sector is erased. */
START_TEST(test_erase_holds_the_transfer_until_board_time_has_moved)
{
    uint8_t erase[5] = {0x41, 0x00, 0x00, 0x0A, 0x08}, status[6] = {0};
    uint64_t before;

    plug("0.5.2");
    ck_assert_int_eq(request(0x21, 1, sizeof erase, erase), TRANSFER_OK);
    before = board->now;
    ck_assert_int_eq(request(0xA1, 3, sizeof status, status), TRANSFER_OK);
    ck_assert_uint_ge(board->now - before, 500 * BOARD_NS_PER_MS);
    ck_assert_str_eq(told, "+");
}
END_TEST

/* ABORT with wLength 6 is done and then never answered: the host gives up, and the next request
 * works. */
START_TEST(test_data_stage_that_is_never_served_times_out)
{
    uint8_t status[6] = {0};

    plug("0.5.2");
    ck_assert_int_eq(request(0xA1, 6, sizeof status, status), TRANSFER_TIMEOUT);
    ck_assert_int_eq(request(0xA1, 3, sizeof status, status), TRANSFER_OK);
    ck_assert_uint_eq(status[4], 2);
}
END_TEST

START_TEST(test_getstatus_with_one_byte_asked_babbles)
{
    uint8_t status[6] = {0};

    plug("0.5.2");
    ck_assert_int_eq(request(0xA1, 3, 1, status), TRANSFER_BABBLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("photon_on_port");
    TCase *tcase = tcase_create("host's view");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, test_dfu_detach_is_seen_as_unplug_and_plug, 0, 3);
    tcase_add_test(tcase, test_dfu_detach_of_2_2_0_is_not_seen);
    tcase_add_loop_test(tcase, test_leave_before_bl4_loses_the_status_stage, 0, 2);
    tcase_add_loop_test(tcase, test_leave_from_bl4_on_is_clean_and_the_reset_comes_later, 0, 4);
    tcase_add_test(tcase, test_erase_holds_the_transfer_until_board_time_has_moved);
    tcase_add_test(tcase, test_data_stage_that_is_never_served_times_out);
    tcase_add_test(tcase, test_getstatus_with_one_byte_asked_babbles);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
