#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_transfer.h"

/* --- what a transfer is made of --- */

START_TEST(test_control_without_data_is_setup_and_zero_length_in)
{
    static const uint8_t packet[8] = {0x21, 3};
    const struct script_row rows[] = {{.token = USB_TOKEN_SETUP, .data = packet}, IN(0)};
    struct transfer transfer = control(0x21, 0);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 0);
}
END_TEST

/* bmRequestType says IN, but there is no data stage: the status stage is still IN (USB 2.0
 * §8.5.3.1). */
START_TEST(test_control_in_of_zero_bytes_ends_with_in_status)
{
    const struct script_row rows[] = {SETUP, IN(0)};
    struct transfer transfer = control(0xA1, 0);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 0);
}
END_TEST

START_TEST(test_control_in_data_arrives_in_packets)
{
    uint8_t reply[130];
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .data = reply, .length = 64},
        {.token = USB_TOKEN_IN, .data = reply + 64, .length = 64},
        {.token = USB_TOKEN_IN, .data = reply + 128, .length = 2},
        OUT(0),
    };
    struct transfer transfer = control(0x80, 130);

    for (size_t i = 0; i < sizeof reply; i++) {
        reply[i] = (uint8_t)(200 - i);
    }
    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 130);
    ck_assert_mem_eq(bytes, reply, 130);
}
END_TEST

START_TEST(test_control_in_ends_at_a_short_packet)
{
    const struct script_row rows[] = {SETUP, IN(64), IN(8), OUT(0)};
    struct transfer transfer = control(0x80, 255);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 72);
}
END_TEST

START_TEST(test_control_in_of_whole_packets_needs_no_zero_length_packet)
{
    const struct script_row rows[] = {SETUP, IN(64), IN(64), OUT(0)};
    struct transfer transfer = control(0x80, 128);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 128);
}
END_TEST

START_TEST(test_control_in_shorter_than_asked_by_whole_packets_ends_with_a_zero_length_packet)
{
    const struct script_row rows[] = {SETUP, IN(64), IN(0), OUT(0)};
    struct transfer transfer = control(0x80, 128);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 64);
}
END_TEST

START_TEST(test_control_out_data_leaves_in_packets)
{
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_OUT, .data = bytes, .length = 64},
        {.token = USB_TOKEN_OUT, .data = bytes + 64, .length = 64},
        {.token = USB_TOKEN_OUT, .data = bytes + 128, .length = 2},
        IN(0),
    };
    struct transfer transfer = control(0x21, 130);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 130);
}
END_TEST

START_TEST(test_control_out_of_whole_packets_sends_no_zero_length_packet)
{
    const struct script_row rows[] = {SETUP, OUT(64), OUT(64), IN(0)};
    struct transfer transfer = control(0x21, 128);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 128);
}
END_TEST

START_TEST(test_wlength_above_the_buffer_is_cut_down_to_it)
{
    const struct script_row rows[] = {SETUP, IN(64), IN(36), OUT(0)};
    struct transfer transfer = control(0x80, 4096);

    transfer.length = 100;
    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 100);
}
END_TEST

START_TEST(test_bulk_out_sends_packets_and_no_zero_length_end)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_OUT, .endpoint = 1, .data = bytes, .length = 64},
        {.token = USB_TOKEN_OUT, .endpoint = 1, .data = bytes + 64, .length = 64},
    };
    struct transfer transfer = bulk(0x01, 128);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 128);
}
END_TEST

START_TEST(test_bulk_out_of_whole_packets_ends_with_an_empty_one_on_request)
{
    static const struct script_row rows[] = {
        {.token = USB_TOKEN_OUT, .endpoint = 1, .length = 64},
        {.token = USB_TOKEN_OUT, .endpoint = 1, .length = 64},
        {.token = USB_TOKEN_OUT, .endpoint = 1},
        {.token = USB_TOKEN_OUT, .endpoint = 1, .length = 64},
        {.token = USB_TOKEN_OUT, .endpoint = 1, .length = 36},
    };
    struct transfer whole = bulk(1, 128), part = bulk(1, 100);

    PLAY(rows, true);
    whole.zero_packet = part.zero_packet = true;
    root_port_submit(&port, &whole);
    root_port_submit(&port, &part);
    ck_assert_uint_eq(completions, 2);
    ck_assert_int_eq(whole.status, TRANSFER_OK);
    ck_assert_uint_eq(whole.actual, 128);
    ck_assert_int_eq(part.status, TRANSFER_OK);
    ck_assert_uint_eq(part.actual, 100);
}
END_TEST

START_TEST(test_bulk_out_of_zero_bytes_is_one_zero_length_packet)
{
    const struct script_row rows[] = {{.token = USB_TOKEN_OUT, .endpoint = 1}};
    struct transfer transfer = bulk(0x01, 0);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 0);
}
END_TEST

START_TEST(test_bulk_in_ends_when_the_buffer_is_full)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 64, .repeat = 1},
    };
    struct transfer transfer = bulk(0x81, 128);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 128);
}
END_TEST

START_TEST(test_bulk_in_ends_at_a_short_packet)
{
    const struct script_row rows[] = {{.token = USB_TOKEN_IN, .endpoint = 1, .length = 5}};
    struct transfer transfer = bulk(0x81, 512);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 5);
}
END_TEST

START_TEST(test_bulk_in_ends_at_a_zero_length_packet)
{
    const struct script_row rows[] = {{.token = USB_TOKEN_IN, .endpoint = 1, .length = 64},
                                      {.token = USB_TOKEN_IN, .endpoint = 1, .length = 0}};
    struct transfer transfer = bulk(0x81, 512);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 64);
}
END_TEST

START_TEST(test_interrupt_in_is_one_packet)
{
    const struct script_row rows[] = {{.token = USB_TOKEN_IN, .endpoint = 3, .length = 8}};
    struct transfer transfer = bulk(0x83, 8);

    transfer.type = TRANSFER_INTERRUPT;
    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 8);
}
END_TEST

/* --- more data than asked for --- */

START_TEST(test_control_in_longer_than_wlength_is_babble)
{
    const struct script_row rows[] = {SETUP, IN(6)};
    struct transfer transfer = control(0xA1, 1);
    uint8_t *room = malloc(1); /* its end is guarded under the sanitizer */

    ck_assert_ptr_nonnull(room);
    transfer.data = room;
    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_BABBLE, 0);
    free(room);
}
END_TEST

START_TEST(test_bulk_in_longer_than_the_buffer_is_babble)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 64, .repeat = 1}};
    struct transfer transfer = bulk(0x81, 100);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_BABBLE, 64);
}
END_TEST

START_TEST(test_data_in_a_status_stage_is_babble)
{
    const struct script_row rows[] = {SETUP, IN(1)};
    struct transfer transfer = control(0x21, 0);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_BABBLE, 0);
}
END_TEST

/* --- time --- */

START_TEST(test_nak_of_a_busy_board_jumps_to_when_it_is_ready)
{
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .length = 6, .busy_ns = BOARD_NS_PER_S},
        {.token = USB_TOKEN_OUT, .handshake = USB_NAK},
        OUT(0),
    };
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 6);
    ck_assert_uint_eq(script.board.now, BOARD_NS_PER_S);
}
END_TEST

START_TEST(test_nak_without_jump_leaves_time_to_others)
{
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .length = 6, .busy_ns = BOARD_NS_PER_S},
        {.token = USB_TOKEN_OUT, .handshake = USB_NAK},
        OUT(0),
    };
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 0);
    ck_assert_uint_eq(script.board.now, 0);
    board_advance(&script.board, BOARD_NS_PER_S);
    ck_assert(!root_port_run(&port));
    expect(&transfer, TRANSFER_OK, 6);
}
END_TEST

START_TEST(test_nak_of_an_idle_board_waits_and_moves_no_time)
{
    const struct script_row rows[] = {SETUP, {.token = USB_TOKEN_IN, .handshake = USB_NAK}};
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 0);
    ck_assert_uint_eq(script.board.now, 0);
    ck_assert(root_port_cancel(&port, &transfer));
    expect(&transfer, TRANSFER_CANCELLED, 0);
}
END_TEST

START_TEST(test_nak_of_a_hung_board_waits)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_SETUP, .busy_ns = BOARD_NEVER},
        {.token = USB_TOKEN_IN, .handshake = USB_NAK, .busy_ns = BOARD_NEVER},
    };
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 0);
    ck_assert_uint_eq(script.board.now, 0);
    ck_assert(root_port_cancel(&port, &transfer));
    expect(&transfer, TRANSFER_CANCELLED, 0);
}
END_TEST

START_TEST(test_board_that_is_busy_for_ever_does_not_hold_the_host)
{
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .handshake = USB_NAK, .busy_ns = 1, .repeat = 1000000},
    };
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 0);
    ck_assert_uint_lt(script.board.now, 10000);
    ck_assert_uint_gt(script.board.now, 0);
}
END_TEST

START_TEST(test_detach_in_a_jump_fails_the_transfer)
{
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .handshake = USB_NAK, .busy_ns = 5, .then = THEN_DETACH},
    };
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, 0);
    ck_assert(!root_port_attached(&port));
}
END_TEST

START_TEST(test_detach_and_attach_in_one_jump_are_both_seen)
{
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .handshake = USB_NAK, .busy_ns = 5, .then = THEN_REATTACH},
    };
    struct transfer transfer = control(0xA1, 6);
    uint64_t generation;

    PLAY(rows, true);
    generation = port.generation;
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, 0);
    ck_assert_uint_eq(port.generation, generation + 2);
}
END_TEST

START_TEST(test_jump_of_one_transfer_lets_another_go_on)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .handshake = USB_NAK}, SETUP,
        {.token = USB_TOKEN_IN, .handshake = USB_NAK, .busy_ns = 5},  IN(0),
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 3},
    };
    struct transfer waiting = bulk(0x81, 64);
    struct transfer transfer = control(0x21, 0);

    PLAY(rows, true);
    root_port_submit(&port, &waiting);
    ck_assert_uint_eq(completions, 0);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 2);
    ck_assert_int_eq(waiting.status, TRANSFER_OK);
    ck_assert_uint_eq(waiting.actual, 3);
    ck_assert(script_board_finished(&script));
}
END_TEST

/* Two endpoints that wait must not take the time of each other's NAK for progress. */
START_TEST(test_time_that_a_nak_takes_lets_nobody_go_on)
{
    struct transfer first = bulk(0x81, 64), second = bulk(0x82, 64);

    play(NULL, 0, true);
    script.naks = true;
    root_port_submit(&port, &first);
    root_port_submit(&port, &second);
    ck_assert(root_port_run(&port));
    ck_assert_uint_eq(completions, 0);
    ck_assert_uint_lt(script.board.now, 10);
}
END_TEST

/* --- queues --- */

START_TEST(test_transfers_of_one_endpoint_keep_their_order)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .handshake = USB_NAK, .repeat = 1},
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 1},
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 2},
    };
    struct transfer first = bulk(0x81, 64), second = bulk(0x81, 64);

    PLAY(rows, false);
    root_port_submit(&port, &first);
    root_port_submit(&port, &second);
    ck_assert(!root_port_run(&port));
    ck_assert_uint_eq(completions, 2);
    ck_assert_uint_eq(first.actual, 1);
    ck_assert_uint_eq(second.actual, 2);
    ck_assert(script_board_finished(&script));
}
END_TEST

START_TEST(test_cancel_takes_a_queued_transfer_out_of_the_middle)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .handshake = USB_NAK, .repeat = 3},
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 1},
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 2},
    };
    struct transfer transfers[3] = {bulk(0x81, 64), bulk(0x81, 64), bulk(0x81, 64)};

    PLAY(rows, false);
    for (size_t i = 0; i < 3; i++) {
        root_port_submit(&port, &transfers[i]);
    }
    ck_assert(root_port_cancel(&port, &transfers[1]));
    ck_assert_uint_eq(completions, 1);
    ck_assert_int_eq(transfers[1].status, TRANSFER_CANCELLED);
    ck_assert(!root_port_cancel(&port, &transfers[1]));
    ck_assert(!root_port_run(&port));
    ck_assert_uint_eq(completions, 3);
    ck_assert_uint_eq(transfers[2].actual, 2);
    ck_assert(script_board_finished(&script));
}
END_TEST

START_TEST(test_cancelled_in_transfer_tells_what_had_arrived)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 64},
        {.token = USB_TOKEN_IN, .endpoint = 1, .handshake = USB_NAK},
    };
    struct transfer transfer = bulk(0x81, 128);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    ck_assert(root_port_cancel(&port, &transfer));
    expect(&transfer, TRANSFER_CANCELLED, 64);
}
END_TEST

START_TEST(test_cancel_of_a_completed_or_foreign_transfer_is_refused)
{
    const struct script_row rows[] = {SETUP, IN(0)};
    struct transfer transfer = control(0x21, 0), never = control(0x21, 0);

    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    ck_assert(!root_port_cancel(&port, &transfer));
    ck_assert(!root_port_cancel(&port, &never));
    expect(&transfer, TRANSFER_OK, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("root_port");
    TCase *tcase = tcase_create("transfers");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, transfer_setup, NULL);
    tcase_add_test(tcase, test_control_without_data_is_setup_and_zero_length_in);
    tcase_add_test(tcase, test_control_in_of_zero_bytes_ends_with_in_status);
    tcase_add_test(tcase, test_control_in_data_arrives_in_packets);
    tcase_add_test(tcase, test_control_in_ends_at_a_short_packet);
    tcase_add_test(tcase, test_control_in_of_whole_packets_needs_no_zero_length_packet);
    tcase_add_test(
        tcase, test_control_in_shorter_than_asked_by_whole_packets_ends_with_a_zero_length_packet);
    tcase_add_test(tcase, test_control_out_data_leaves_in_packets);
    tcase_add_test(tcase, test_control_out_of_whole_packets_sends_no_zero_length_packet);
    tcase_add_test(tcase, test_wlength_above_the_buffer_is_cut_down_to_it);
    tcase_add_test(tcase, test_bulk_out_sends_packets_and_no_zero_length_end);
    tcase_add_test(tcase, test_bulk_out_of_whole_packets_ends_with_an_empty_one_on_request);
    tcase_add_test(tcase, test_bulk_out_of_zero_bytes_is_one_zero_length_packet);
    tcase_add_test(tcase, test_bulk_in_ends_when_the_buffer_is_full);
    tcase_add_test(tcase, test_bulk_in_ends_at_a_short_packet);
    tcase_add_test(tcase, test_bulk_in_ends_at_a_zero_length_packet);
    tcase_add_test(tcase, test_interrupt_in_is_one_packet);
    tcase_add_test(tcase, test_control_in_longer_than_wlength_is_babble);
    tcase_add_test(tcase, test_bulk_in_longer_than_the_buffer_is_babble);
    tcase_add_test(tcase, test_data_in_a_status_stage_is_babble);
    tcase_add_test(tcase, test_nak_of_a_busy_board_jumps_to_when_it_is_ready);
    tcase_add_test(tcase, test_nak_without_jump_leaves_time_to_others);
    tcase_add_test(tcase, test_nak_of_an_idle_board_waits_and_moves_no_time);
    tcase_add_test(tcase, test_nak_of_a_hung_board_waits);
    tcase_add_test(tcase, test_board_that_is_busy_for_ever_does_not_hold_the_host);
    tcase_add_test(tcase, test_detach_in_a_jump_fails_the_transfer);
    tcase_add_test(tcase, test_detach_and_attach_in_one_jump_are_both_seen);
    tcase_add_test(tcase, test_jump_of_one_transfer_lets_another_go_on);
    tcase_add_test(tcase, test_time_that_a_nak_takes_lets_nobody_go_on);
    tcase_add_test(tcase, test_transfers_of_one_endpoint_keep_their_order);
    tcase_add_test(tcase, test_cancel_takes_a_queued_transfer_out_of_the_middle);
    tcase_add_test(tcase, test_cancelled_in_transfer_tells_what_had_arrived);
    tcase_add_test(tcase, test_cancel_of_a_completed_or_foreign_transfer_is_refused);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
