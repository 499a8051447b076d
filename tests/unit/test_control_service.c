/* The service protocol of the control requests, transfer by transfer as 2.2.0 answered. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_service.h"

enum { TYPE_ECHO = 1, TYPE_DEVICE_ID = 20, TYPE_MODULE_INFO = 90 };

static struct board *fresh, *board;
static struct host_transfer transfer;

static void make(void)
{
    fresh = service_board("2.2.0");
}

static void drop(void)
{
    fresh->ops->destroy(fresh);
}

static void setup(void)
{
    board = fresh->ops->clone(fresh);
    ck_assert_ptr_nonnull(board);
}

static void teardown(void)
{
    board->ops->destroy(board);
}

/* The bytes of an IN vendor request. */
#define EXPECT_IN(bRequest, wValue, wIndex, wLength, ...)                                          \
    do {                                                                                           \
        const uint8_t expected[] = {__VA_ARGS__};                                                  \
        ck_assert_int_eq(                                                                          \
            vendor_request(board, 0xC0, bRequest, wValue, wIndex, NULL, wLength, &transfer),       \
            HOST_ACK);                                                                             \
        ck_assert_uint_eq(transfer.length, sizeof(expected));                                      \
        ck_assert_mem_eq(transfer.data, expected, sizeof(expected));                               \
    } while (0)

static enum host_end in(uint8_t request, uint16_t index, uint16_t length)
{
    return vendor_request(board, 0xC0, request, 0, index, NULL, length, &transfer);
}

static void settle(void)
{
    board_advance(board, BOARD_NS_PER_MS);
}

START_TEST(test_a_session_is_byte_for_byte_that_of_2_2_0)
{
    static const char id[] = "\x0A\x18" TEST_DEVICE_ID;

    EXPECT_IN(1, 0, 0x14, 64, 3, 0, 0, 0, 0, 0, 1, 0);
    settle();
    EXPECT_IN(2, 0, 1, 64, 0x0D, 0, 0, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0);
    ck_assert_int_eq(service_recv(board, 1, 26, &transfer), HOST_ACK);
    ck_assert_uint_eq(transfer.length, 26);
    ck_assert_mem_eq(transfer.data, id, 26);
    EXPECT_IN(2, 0, 1, 64, 1, 0, 0, 0, 5, 0);
}
END_TEST

START_TEST(test_echo_session)
{
    EXPECT_IN(1, 3, TYPE_ECHO, 64, 3, 0, 0, 0, 0, 0, 1, 0);
    EXPECT_IN(2, 0, 1, 64, 1, 0, 0, 0, 0, 0); /* the payload is missing */
    ck_assert_int_eq(service_send(board, 1, "abc", 3), HOST_ACK);
    settle();
    EXPECT_IN(2, 0, 1, 64, 0x0D, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0);
    EXPECT_IN(4, 0, 1, 3, 'a', 'b', 'c');
    EXPECT_IN(2, 0, 1, 64, 1, 0, 0, 0, 5, 0);
}
END_TEST

START_TEST(test_a_reply_of_no_bytes_is_told_by_the_result_alone_and_is_gone_then)
{
    EXPECT_IN(1, 0, 32, 64, 3, 0, 0, 0, 0, 0, 1, 0);
    settle();
    EXPECT_IN(2, 0, 1, 64, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    EXPECT_IN(2, 0, 1, 64, 1, 0, 0, 0, 5, 0);
}
END_TEST

START_TEST(test_unknown_types_are_not_supported_but_the_protocol_goes_on)
{
    EXPECT_IN(1, 0, 9999, 64, 3, 0, 0, 0, 0, 0, 1, 0);
    settle();
    EXPECT_IN(2, 0, 1, 64, 9, 0, 0, 0, 0, 0, 0x88, 0xFF, 0xFF, 0xFF); /* -120 */
}
END_TEST

START_TEST(test_pieces_are_joined_and_taken_in_order)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 4);

    ck_assert_int_eq(service_send(board, reply.id, "wx", 2), HOST_ACK);
    ck_assert_uint_eq(service_check(board, reply.id).flags, 1);
    ck_assert_int_eq(service_send(board, reply.id, "yz", 2), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 4);
    EXPECT_IN(4, 0, reply.id, 2, 'w', 'x');
    ck_assert_int_eq(in(4, reply.id, 3), HOST_STALL); /* more than is left */
    EXPECT_IN(4, 0, reply.id, 2, 'y', 'z');
    ck_assert_uint_eq(service_check(board, reply.id).status, 5);
}
END_TEST

START_TEST(test_a_reply_stays_until_its_last_byte_was_fetched)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 4);

    ck_assert_int_eq(service_send(board, reply.id, "wxyz", 4), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 4);
    ck_assert_uint_eq(service_check(board, reply.id).size, 4);
    ck_assert_int_eq(in(4, reply.id, 0), HOST_STALL);
    EXPECT_IN(4, 0, reply.id, 4, 'w', 'x', 'y', 'z');
    ck_assert_int_eq(in(4, reply.id, 1), HOST_STALL);
}
END_TEST

START_TEST(test_an_abandoned_fetch_can_be_tried_again)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 3);
    uint8_t packet[8];

    ck_assert_int_eq(service_send(board, reply.id, "abc", 3), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 3);
    host_setup_packet(packet, 0xC0, 4, 0, reply.id, 3);
    ck_assert_int_eq(board->ops->setup(board, packet), USB_ACK);
    EXPECT_IN(4, 0, reply.id, 3, 'a', 'b', 'c');
}
END_TEST

START_TEST(test_large_payloads_need_memory_first)
{
    static uint8_t data[1027], echoed[1027];
    struct service_reply reply;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    EXPECT_IN(1, 1027, TYPE_ECHO, 64, 3, 0, 0, 0, 2, 0, 1, 0);
    reply = service_wait(board, 1);
    ck_assert_uint_eq(reply.flags, 1);
    ck_assert_uint_eq(reply.status, 0);
    ck_assert_int_eq(service_send(board, 1, data, 515), HOST_ACK);
    ck_assert_int_eq(service_send(board, 1, data + 515, 512), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, 1).size, 1027);
    ck_assert_int_eq(service_recv(board, 1, 1000, &transfer), HOST_ACK);
    memcpy(echoed, transfer.data, 1000);
    ck_assert_int_eq(service_recv(board, 1, 27, &transfer), HOST_ACK);
    memcpy(echoed + 1000, transfer.data, 27);
    ck_assert_mem_eq(echoed, data, sizeof(data));
}
END_TEST

START_TEST(test_sixty_four_bytes_need_no_memory_and_one_more_does)
{
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 64).status, 0);
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 65).status, 2);
}
END_TEST

START_TEST(test_what_the_memory_cannot_hold_is_told_and_forgotten)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 65535);

    ck_assert_uint_eq(reply.status, 2);
    reply = service_wait(board, reply.id);
    ck_assert_uint_eq(reply.flags, 1);
    ck_assert_uint_eq(reply.status, 4);
    ck_assert_uint_eq(service_check(board, 1).status, 5);
    ck_assert_int_eq(service_ask(board, TYPE_ECHO, "ab", 2).result, 0);
}
END_TEST

START_TEST(test_the_fifth_request_finds_the_board_busy)
{
    for (uint16_t id = 1; id <= 4; id++) {
        ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, id);
    }
    EXPECT_IN(1, 0, TYPE_ECHO, 64, 1, 0, 0, 0, 3, 0);
    for (uint16_t id = 1; id <= 4; id++) {
        ck_assert_int_eq(service_send(board, id, "x", 1), HOST_ACK);
    }
    for (uint16_t id = 1; id <= 4; id++) {
        ck_assert_uint_eq(service_wait(board, id).size, 1);
    }
    EXPECT_IN(1, 0, TYPE_ECHO, 64, 1, 0, 0, 0, 3, 0);
    ck_assert_int_eq(service_recv(board, 3, 1, &transfer), HOST_ACK);
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, 5);
}
END_TEST

START_TEST(test_ids_count_over_all_requests_and_start_again_at_0)
{
    for (uint32_t i = 1; i <= 65535; i++) {
        struct service_reply reply = service_init(board, TYPE_ECHO, 1);

        ck_assert_uint_eq(reply.id, i);
        ck_assert_uint_eq(service_reset(board, reply.id).status, 0);
    }
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, 0);
    ck_assert_uint_eq(service_check(board, 0).status, 0);
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, 1);
}
END_TEST

static const struct {
    uint8_t type, request;
    uint16_t length;
} refused[] = {
    {0xC0, 1, 63}, {0xC0, 1, 0},  {0xC0, 2, 63}, {0xC0, 2, 0}, {0xC0, 5, 63}, {0xC0, 5, 0},
    {0xC0, 3, 64}, {0xC0, 6, 64}, {0xC0, 0, 64}, {0x40, 1, 0}, {0x40, 2, 0},  {0x40, 4, 0},
    {0x40, 5, 0},  {0x40, 6, 0},  {0xC0, 4, 64}, {0xC0, 4, 0},
};

START_TEST(test_wrong_lengths_directions_and_numbers_stall)
{
    ck_assert_int_eq(vendor_request(board, refused[_i].type, refused[_i].request, 0, 1, NULL,
                                    refused[_i].length, &transfer),
                     HOST_STALL);
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, 1);
}
END_TEST

START_TEST(test_short_data_for_nobody_are_taken_and_long_ones_are_not)
{
    static const uint8_t data[80];

    ck_assert_int_eq(service_send(board, 153, data, 4), HOST_ACK);
    ck_assert_int_eq(service_send(board, 153, data, 0), HOST_ACK);
    ck_assert_int_eq(service_send(board, 153, data, 64), HOST_ACK);
    ck_assert_int_eq(service_send(board, 153, data, 80), HOST_STALL);
}
END_TEST

START_TEST(test_too_many_bytes_are_dropped_or_refused_and_change_nothing)
{
    static const uint8_t data[80];
    struct service_reply reply = service_init(board, TYPE_ECHO, 3);

    ck_assert_int_eq(service_send(board, reply.id, data, 4), HOST_ACK);
    ck_assert_int_eq(service_send(board, reply.id, data, 80), HOST_STALL);
    ck_assert_uint_eq(service_check(board, reply.id).flags, 1);
    ck_assert_int_eq(service_send(board, reply.id, "abc", 3), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 3);
    ck_assert_int_eq(service_send(board, reply.id, "d", 1), HOST_ACK);
    EXPECT_IN(4, 0, reply.id, 3, 'a', 'b', 'c');
}
END_TEST

START_TEST(test_bytes_beyond_what_is_still_missing_are_dropped)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 3);

    ck_assert_int_eq(service_send(board, reply.id, "ab", 2), HOST_ACK);
    ck_assert_int_eq(service_send(board, reply.id, "xy", 2), HOST_ACK);
    ck_assert_uint_eq(service_check(board, reply.id).flags, 1);
    ck_assert_int_eq(service_send(board, reply.id, "c", 1), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 3);
    EXPECT_IN(4, 0, reply.id, 3, 'a', 'b', 'c');
}
END_TEST

START_TEST(test_a_packet_longer_than_announced_does_not_run_over)
{
    static const uint8_t data[64] = "abcdefgh";
    struct service_reply reply = service_init(board, TYPE_ECHO, 4);
    uint8_t packet[8];
    size_t length;

    host_setup_packet(packet, 0x40, 3, 0, reply.id, 2);
    ck_assert_int_eq(board->ops->setup(board, packet), USB_ACK);
    ck_assert_int_eq(board->ops->out(board, 0, data, sizeof(data)), USB_ACK);
    ck_assert_int_eq(board->ops->in(board, 0, packet, &length), USB_ACK);
    ck_assert_uint_eq(service_check(board, reply.id).flags, 1);
    ck_assert_int_eq(service_send(board, reply.id, "yz", 2), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 4);
    EXPECT_IN(4, 0, reply.id, 4, 'a', 'b', 'y', 'z');
}
END_TEST

START_TEST(test_reset_drops_a_request_that_waits_for_its_payload)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 3);

    EXPECT_IN(5, 0, reply.id, 64, 1, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(service_check(board, reply.id).status, 5);
}
END_TEST

START_TEST(test_reset_drops_a_request_that_waits_for_memory)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 300);

    EXPECT_IN(5, 0, reply.id, 64, 1, 0, 0, 0, 0, 0);
    settle();
    ck_assert_uint_eq(service_check(board, reply.id).status, 5);
}
END_TEST

START_TEST(test_reset_drops_a_request_that_waits_for_its_turn)
{
    struct service_reply first = service_init(board, TYPE_MODULE_INFO, 0);
    struct service_reply second = service_init(board, TYPE_DEVICE_ID, 0);

    ck_assert_uint_eq(service_check(board, first.id).status, 2);
    ck_assert_uint_eq(service_check(board, second.id).status, 2);
    EXPECT_IN(5, 0, first.id, 64, 1, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(service_check(board, first.id).status, 5);
    ck_assert_uint_eq(service_wait(board, second.id).size, 26);
}
END_TEST

START_TEST(test_reset_drops_a_request_with_a_reply)
{
    struct service_reply reply = service_init(board, TYPE_DEVICE_ID, 0);

    ck_assert_uint_eq(service_wait(board, reply.id).size, 26);
    EXPECT_IN(5, 0, reply.id, 64, 1, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(service_check(board, reply.id).status, 5);
    ck_assert_int_eq(in(4, reply.id, 26), HOST_STALL);
}
END_TEST

START_TEST(test_reset_of_0_drops_all_and_of_an_unknown_id_none)
{
    for (unsigned i = 0; i < 4; i++) {
        (void)service_init(board, TYPE_ECHO, 1);
    }
    EXPECT_IN(5, 0, 77, 64, 1, 0, 0, 0, 0, 0);
    EXPECT_IN(1, 0, TYPE_ECHO, 64, 1, 0, 0, 0, 3, 0);
    EXPECT_IN(5, 0, 0, 64, 1, 0, 0, 0, 0, 0);
    for (uint16_t id = 1; id <= 4; id++) {
        ck_assert_uint_eq(service_check(board, id).status, 5);
    }
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, 5);
}
END_TEST

START_TEST(test_requests_are_done_in_the_order_in_which_they_were_complete)
{
    struct service_reply first = service_init(board, TYPE_MODULE_INFO, 0);
    struct service_reply second = service_init(board, TYPE_DEVICE_ID, 0);
    struct service_reply reply;

    do {
        board_advance(board, 50 * BOARD_NS_PER_US);
        reply = service_check(board, second.id);
        if (reply.status == 2) {
            ck_assert_uint_eq(service_check(board, first.id).status, 2);
        }
    } while (reply.status == 2);
    ck_assert_uint_gt(service_check(board, first.id).size, 0);
}
END_TEST

START_TEST(test_a_copy_of_the_board_has_the_requests_and_their_data)
{
    struct service_reply reply = service_init(board, TYPE_ECHO, 3);
    uint8_t packet[8], data[64];
    struct board *copy;
    size_t length = 0;

    ck_assert_int_eq(service_send(board, reply.id, "abc", 3), HOST_ACK);
    ck_assert_uint_eq(service_wait(board, reply.id).size, 3);
    host_setup_packet(packet, 0xC0, 4, 0, reply.id, 3);
    ck_assert_int_eq(board->ops->setup(board, packet), USB_ACK);
    copy = board->ops->clone(board);
    board->ops->power(board, false);
    ck_assert_int_eq(copy->ops->in(copy, 0, data, &length), USB_ACK);
    ck_assert_uint_eq(length, 3);
    ck_assert_mem_eq(data, "abc", 3);
    copy->ops->destroy(copy);
}
END_TEST

START_TEST(test_the_serial_port_s_line_rate_is_not_taken_for_a_request)
{
    static const uint8_t coding[7] = {0x00, 0x96, 0, 0, 0, 0, 8};
    uint8_t found[7];
    struct service_reply reply = service_init(board, TYPE_ECHO, 7);

    ck_assert(host_out(board, 0x21, 0x20, 0, coding, sizeof(coding)));
    ck_assert_uint_eq(service_check(board, reply.id).flags, 1);
    ck_assert_int_eq(service_send(board, reply.id, "1234567", 7), HOST_ACK);
    ck_assert(host_in(board, 0xA1, 0x21, 0, found, sizeof(found)));
    ck_assert_mem_eq(found, coding, sizeof(coding));
}
END_TEST

START_TEST(test_the_control_interface_itself_answers_nothing_and_its_neighbours_stall)
{
    ck_assert_int_eq(vendor_request(board, 0xC1, 1, 0, 2, NULL, 64, &transfer), HOST_NAK);
    ck_assert_int_eq(vendor_request(board, 0xC1, 1, 0, 0, NULL, 64, &transfer), HOST_STALL);
    ck_assert_int_eq(vendor_request(board, 0xC1, 1, 0, 1, NULL, 64, &transfer), HOST_STALL);
    ck_assert_int_eq(vendor_request(board, 0xC1, 1, 0, 3, NULL, 64, &transfer), HOST_STALL);
    ck_assert_uint_eq(service_init(board, TYPE_ECHO, 1).id, 1);
}
END_TEST

START_TEST(test_releases_before_0_8_stall_the_service)
{
    static const char *const names[] = {"0.6.0", "0.6.3", "0.7.0"};
    struct board *old = service_board(names[_i]);

    ck_assert_int_eq(service_init(old, TYPE_ECHO, 0).end, HOST_STALL);
    ck_assert_int_eq(service_check(old, 1).end, HOST_STALL);
    old->ops->destroy(old);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("control service");
    TCase *service = tcase_create("protocol");

    tcase_add_unchecked_fixture(service, make, drop);
    tcase_add_checked_fixture(service, setup, teardown);
    tcase_set_timeout(service, 60);
    tcase_add_test(service, test_a_session_is_byte_for_byte_that_of_2_2_0);
    tcase_add_test(service, test_echo_session);
    tcase_add_test(service, test_a_reply_of_no_bytes_is_told_by_the_result_alone_and_is_gone_then);
    tcase_add_test(service, test_unknown_types_are_not_supported_but_the_protocol_goes_on);
    tcase_add_test(service, test_pieces_are_joined_and_taken_in_order);
    tcase_add_test(service, test_a_reply_stays_until_its_last_byte_was_fetched);
    tcase_add_test(service, test_an_abandoned_fetch_can_be_tried_again);
    tcase_add_test(service, test_large_payloads_need_memory_first);
    tcase_add_test(service, test_sixty_four_bytes_need_no_memory_and_one_more_does);
    tcase_add_test(service, test_what_the_memory_cannot_hold_is_told_and_forgotten);
    tcase_add_test(service, test_the_fifth_request_finds_the_board_busy);
    tcase_add_test(service, test_ids_count_over_all_requests_and_start_again_at_0);
    tcase_add_loop_test(service, test_wrong_lengths_directions_and_numbers_stall, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(service, test_short_data_for_nobody_are_taken_and_long_ones_are_not);
    tcase_add_test(service, test_too_many_bytes_are_dropped_or_refused_and_change_nothing);
    tcase_add_test(service, test_bytes_beyond_what_is_still_missing_are_dropped);
    tcase_add_test(service, test_a_packet_longer_than_announced_does_not_run_over);
    tcase_add_test(service, test_reset_drops_a_request_that_waits_for_its_payload);
    tcase_add_test(service, test_reset_drops_a_request_that_waits_for_memory);
    tcase_add_test(service, test_reset_drops_a_request_that_waits_for_its_turn);
    tcase_add_test(service, test_reset_drops_a_request_with_a_reply);
    tcase_add_test(service, test_reset_of_0_drops_all_and_of_an_unknown_id_none);
    tcase_add_test(service, test_requests_are_done_in_the_order_in_which_they_were_complete);
    tcase_add_test(service, test_a_copy_of_the_board_has_the_requests_and_their_data);
    tcase_add_test(service, test_the_serial_port_s_line_rate_is_not_taken_for_a_request);
    tcase_add_test(service,
                   test_the_control_interface_itself_answers_nothing_and_its_neighbours_stall);
    tcase_add_loop_test(service, test_releases_before_0_8_stall_the_service, 0, 3);
    suite_add_tcase(suite, service);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
