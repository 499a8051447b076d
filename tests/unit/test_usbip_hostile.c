/* Clients of the USB/IP server that mean no good: what they cost is bounded, and others go on. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support_usbip.h"

#define RETURN_SUBMIT 3
#define RETURN_UNLINK 4

#define MIB           (1u << 20)

/* The second board still serves. */
static void expect_alive(void)
{
    int client = usbip_dial();

    ck_assert_uint_eq(usbip_ask_import(client, "1-2"), 0);
    close(client);
    usbip_turn();
}

START_TEST(test_first_words_that_are_no_operation_end_the_connection)
{
    static const uint32_t first[][2] = {
        {0x01118004, 0}, {0x01110005, 0}, {0x01068003, 0}, {0, 0}, {0xFFFFFFFF, 0xFFFFFFFF},
    };

    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        int client = usbip_dial();
        usbip_say_words(client, first[i], 2);
        ck_assert(usbip_is_closed(client));
        close(client);
    }
    expect_alive();
}
END_TEST

START_TEST(test_headers_that_break_the_protocol_end_the_connection)
{
    static const uint32_t headers[][12] = {
        {0, 1, USBIP_DEVID},                          /* no command */
        {3, 1, USBIP_DEVID},                          /* a return */
        {4, 1, USBIP_DEVID},                          /* a return */
        {1, 1, USBIP_DEVID + 1},                      /* somebody else's device */
        {2, 1, 0},                                    /* no device */
        {1, 1, USBIP_DEVID, 2},                       /* a third direction */
        {1, 1, USBIP_DEVID, 0, 16},                   /* endpoints are 0 to 15 */
        {1, 1, USBIP_DEVID, 1, 0xFFFFFFFF},           /* likewise */
        {1, 1, USBIP_DEVID, 0, 1, 0, 0xFFFFFFFF},     /* lengths are not negative */
        {1, 1, USBIP_DEVID, 1, 1, 0x200, 0x80000000}, /* likewise */
    };

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        int client = usbip_imported();
        usbip_say_words(client, headers[i], 12);
        ck_assert_msg(usbip_is_closed(client), "header %zu was taken", i);
        close(client);
        usbip_turn();
    }
    expect_alive();
}
END_TEST

START_TEST(test_large_transfers_are_refused_and_their_data_thrown_away)
{
    const uint32_t in[12] = {1, 1, USBIP_DEVID, 1, 1, 0x200, INT32_MAX};
    const uint32_t out[12] = {1, 2, USBIP_DEVID, 0, 1, 0, MIB + 1};
    static uint8_t data[MIB + 1];
    int client = usbip_imported();
    uint8_t status[6];

    usbip_say_words(client, in, 12);
    usbip_expect_return(client, RETURN_SUBMIT, 1, -ENOMEM);
    usbip_say_words(client, out, 12);
    usbip_expect_return(client, RETURN_SUBMIT, 2, -ENOMEM);
    usbip_say(client, data, sizeof data);
    ck_assert_uint_eq(usbip_server_memory(usbip), 0);
    usbip_say_control(client, 3, usbip_get_status, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 3, 0);
    usbip_expect(client, status, sizeof status);
    close(client);
}
END_TEST

START_TEST(test_a_setup_packet_that_contradicts_its_direction_is_refused)
{
    const uint32_t words[12] = {1, 1, USBIP_DEVID, 0, 0, 0, 6, 0, 0, 0, 0xA1030000, 0x00000600};
    static const uint8_t data[6];
    int client = usbip_imported();

    usbip_say_words(client, words, 12);
    usbip_expect_return(client, RETURN_SUBMIT, 1, -EINVAL);
    usbip_say(client, data, sizeof data);
    usbip_say_unlink(client, 2, 1);
    usbip_expect_return(client, RETURN_UNLINK, 2, 0);
    close(client);
}
END_TEST

START_TEST(test_waiting_transfers_are_bounded_in_bytes_and_number)
{
    uint32_t big[12] = {1, 0, USBIP_DEVID, 1, 0, 0x200, MIB, 0, 0, 0, 0, 0};
    uint32_t words[12] = {1, 0, USBIP_DEVID, 0, 0, 0, 0, 0, 0, 0, 0x00030200, 0};
    int client = usbip_imported();
    unsigned refused = 0;
    uint8_t bytes[48];

    usbip_say_control(client, 1, usbip_unanswered, NULL);
    for (uint32_t i = 2; i < 8; i++) {
        big[1] = i;
        usbip_say_words(client, big, 12);
    }
    ck_assert_uint_eq(usbip_server_memory(usbip), 4 * MIB);
    for (uint32_t i = 8; i < 1200; i++) {
        words[1] = i;
        usbip_say_words(client, words, 12);
    }
    while (usbip_hear(client, bytes, sizeof bytes) == (ssize_t)sizeof bytes) {
        ck_assert_int_eq((int32_t)usbip_word(bytes + 0x14), -ENOMEM);
        refused++;
    }
    ck_assert_uint_eq(refused, 2 + (1192 + 5 - 1024));
    close(client);
    usbip_turn();
    ck_assert_uint_eq(usbip_server_memory(usbip), 0);
    expect_alive();
}
END_TEST

START_TEST(test_a_storm_of_unlinks_is_answered_one_by_one)
{
    int client = usbip_imported();

    for (uint32_t i = 0; i < 2000; i++) {
        usbip_say_control(client, 2 * i, usbip_unanswered, NULL);
        usbip_say_unlink(client, 2 * i + 1, 2 * i);
        usbip_expect_return(client, RETURN_UNLINK, 2 * i + 1, -ECONNRESET);
        usbip_say_unlink(client, 7, 2 * i);
        usbip_expect_return(client, RETURN_UNLINK, 7, 0);
    }
    close(client);
}
END_TEST

/* One who asks without ever reading is not read from any more. */
START_TEST(test_unread_replies_hold_the_reader_up)
{
    const uint8_t upload[8] = {0xA1, 2, 2, 0, 0, 0, 0, 0x10};
    int client = usbip_imported();
    unsigned sent = 0;
    ssize_t count;
    uint8_t message[48] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 2, 0,   0,
                           0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0x10};

    memcpy(message + 40, upload, sizeof upload);
    do {
        count = send(client, message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += count > 0;
        usbip_turn();
    } while (count > 0 && sent < 1u << 20);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_uint_lt(sent, 1u << 18);
    ck_assert_uint_eq(usbip_server_memory(usbip), 0);
    expect_alive();
    for (unsigned i = 0; i < sent; i++) {
        static uint8_t data[4096];
        usbip_expect(client, data, usbip_expect_return(client, RETURN_SUBMIT, 1, 0));
    }
    close(client);
}
END_TEST

START_TEST(test_connections_that_say_nothing_make_room_for_the_next)
{
    int clients[200];

    for (size_t i = 0; i < 200; i++) {
        clients[i] = usbip_dial();
        usbip_say(clients[i], "\x01\x11", 2);
        expect_alive();
    }
    for (size_t i = 0; i < 200; i++) {
        uint8_t byte;
        /* The last 63 are waited for: the one that was served in between was a guest, too. */
        ssize_t count = usbip_hear(clients[i], &byte, 1);
        ck_assert_msg(i < 137 ? count == 0 : count == -1, "connection %zu: %zd", i, count);
        close(clients[i]);
    }
}
END_TEST

START_TEST(test_a_client_that_never_hangs_up_holds_nothing)
{
    int client = usbip_imported();

    usbip_unplug(0);
    ck_assert(usbip_is_closed(client));
    usbip_say_control(client, 1, usbip_get_status, NULL);
    ck_assert(usbip_is_closed(client));
    ck_assert(!outlet_taken(&usbip_outlets[0]));
    expect_alive();
    close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbip_hostile");
    TCase *tcase = tcase_create("hostile");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(tcase, usbip_set_up, usbip_tear_down);
    tcase_add_test(tcase, test_first_words_that_are_no_operation_end_the_connection);
    tcase_add_test(tcase, test_headers_that_break_the_protocol_end_the_connection);
    tcase_add_test(tcase, test_large_transfers_are_refused_and_their_data_thrown_away);
    tcase_add_test(tcase, test_a_setup_packet_that_contradicts_its_direction_is_refused);
    tcase_add_test(tcase, test_waiting_transfers_are_bounded_in_bytes_and_number);
    tcase_add_test(tcase, test_a_storm_of_unlinks_is_answered_one_by_one);
    tcase_add_test(tcase, test_unread_replies_hold_the_reader_up);
    tcase_add_test(tcase, test_connections_that_say_nothing_make_room_for_the_next);
    tcase_add_test(tcase, test_a_client_that_never_hangs_up_holds_nothing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
