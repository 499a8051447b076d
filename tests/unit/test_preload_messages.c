/* Messages to the preload server as its library would never send them. */
#include <check.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support_preload.h"

START_TEST(test_first_message_must_be_of_this_version_and_of_a_first_kind)
{
    const struct preload_request wrong[] = {
        {.operation = PRELOAD_OPEN, .version = PRELOAD_PROTOCOL_VERSION + 1, .number = 2},
        {.operation = PRELOAD_SUBMIT, .version = PRELOAD_PROTOCOL_VERSION},
        {.operation = 0, .version = PRELOAD_PROTOCOL_VERSION},
        {.operation = 0xFFFF, .version = PRELOAD_PROTOCOL_VERSION},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int client = dial();
        say(client, wrong[i], NULL, 0);
        ck_assert_msg(is_closed(client), "row %zu", i);
        close(client);
    }
}
END_TEST

START_TEST(test_malformed_messages_close_their_connection_only)
{
    static const uint8_t data[PRELOAD_DATA_MAX + 1];
    const struct {
        struct preload_request request;
        size_t length;
    } wrong[] = {
        {REQUEST(.operation = 0), 0},
        {REQUEST(.operation = 0xFFFF), 0},
        {REQUEST(.operation = PRELOAD_OPEN, .version = PRELOAD_PROTOCOL_VERSION), 0},
        {REQUEST(.operation = PRELOAD_ADVANCE, .tag = 1), 0},
        {REQUEST(.operation = PRELOAD_CLAIM), 1},
        /* more or less data than announced */
        {REQUEST(.operation = PRELOAD_SUBMIT, .setup = {0x21, 1, 0, 0, 0, 0, 8, 0}, .length = 8),
         7},
        {REQUEST(.operation = PRELOAD_SUBMIT, .setup = {0xA1, 3, 0, 0, 0, 0, 6, 0}, .length = 6),
         6},
        {REQUEST(.operation = PRELOAD_SUBMIT, .setup = {0xA1, 3, 0, 0, 0, 0, 6, 0}, .length = 7),
         0},
        {REQUEST(.operation = PRELOAD_SUBMIT, .type = 3, .endpoint = 0x81), 0},
        {REQUEST(.operation = PRELOAD_SUBMIT, .type = PRELOAD_BULK, .endpoint = 0x81,
                 .length = PRELOAD_DATA_MAX + 1),
         0},
        {REQUEST(.operation = PRELOAD_CALL, .type = PRELOAD_BULK, .endpoint = 0x81,
                 .length = UINT32_MAX),
         0},
        {REQUEST(.operation = PRELOAD_SUBMIT, .type = PRELOAD_BULK, .endpoint = 1,
                 .length = PRELOAD_DATA_MAX + 1),
         PRELOAD_DATA_MAX + 1},
    };
    int visible, other = open_device(2, &visible);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int its, client = open_device(2, &its);
        say(client, wrong[i].request, data, wrong[i].length);
        ck_assert_msg(is_closed(client), "row %zu", i);
        close(client);
        close(its);
    }
    ck_assert_int_eq(ask(other, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    ck_assert_uint_eq(got.reply.actual, 6);
}
END_TEST

START_TEST(test_short_messages_close_the_connection)
{
    int client = dial();

    ck_assert_int_eq(send(client, &opening, sizeof opening - 1, 0), sizeof opening - 1);
    ck_assert(is_closed(client));
}
END_TEST

START_TEST(test_no_more_clients_than_the_limit)
{
    int clients[LINK_CONNECTIONS_MAX], pair[2];

    for (size_t i = 0; i < LINK_CONNECTIONS_MAX; i++) {
        clients[i] = dial();
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    ck_assert(!connection_accept(server, pair[0]));
    close(pair[1]);
    close(clients[0]);
    turn();
    clients[0] = dial();
    for (size_t i = 0; i < LINK_CONNECTIONS_MAX; i++) {
        close(clients[i]);
    }
}
END_TEST

/* A handle lives as long as its node is open, also without a connection. */
START_TEST(test_no_more_handles_than_the_limit)
{
    int visible[LINK_HANDLES_MAX], client;

    for (size_t i = 0; i < LINK_HANDLES_MAX; i++) {
        close(open_device(2, &visible[i]));
        turn();
    }
    client = dial();
    ck_assert_int_eq(ask(client, opening, NULL, 0), -ENOMEM);
    close(visible[0]);
    ck_assert_int_eq(ask(client, opening, NULL, 0), 0);
    close(got_visible);
    for (size_t i = 1; i < LINK_HANDLES_MAX; i++) {
        close(visible[i]);
    }
}
END_TEST

START_TEST(test_no_more_transfers_than_the_limit)
{
    int visible, client = open_device(2, &visible);

    for (unsigned i = 0; i < PRELOAD_URBS_MAX; i++) {
        say(client, get_status(PRELOAD_SUBMIT, false), NULL, 0);
    }
    ck_assert_int_eq(hear(client), -1);
    say(client, get_status(PRELOAD_SUBMIT, false), NULL, 0);
    ck_assert(is_closed(client));
    ck_assert_uint_eq(server->memory, 0);
}
END_TEST

/* A client that does not read its replies costs its own transfers and nobody else. */
START_TEST(test_unread_replies_are_kept_up_to_the_limit)
{
    int visible, client = open_device(2, &visible);
    const struct preload_request upload = {.operation = PRELOAD_SUBMIT,
                                           .setup = {0xA1, 2, 2, 0, 0, 0, 0, 0x40},
                                           .length = PRELOAD_DATA_MAX};
    unsigned sent = 0, heard = 0;
    bool closed = false;

    while (!closed && sent < 1000) {
        closed = send(client, &upload, sizeof upload, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
        turn();
        sent++;
    }
    ck_assert_uint_lt(sent, 1000);
    while (hear(client) > 0) {
        heard++;
    }
    ck_assert_uint_lt(heard, sent);
    ck_assert_uint_eq(server->memory, 0);
}
END_TEST

START_TEST(test_replies_that_had_no_room_come_later)
{
    int visible, client = open_device(2, &visible);
    struct preload_request upload = {.operation = PRELOAD_SUBMIT,
                                     .setup = {0xA1, 2, 2, 0, 0, 0, 0, 0x40},
                                     .length = PRELOAD_DATA_MAX};

    for (unsigned i = 0; i < PRELOAD_URBS_MAX / 2; i++) {
        upload.tag = i;
        say(client, upload, NULL, 0);
    }
    ck_assert_uint_gt(server->memory, 0);
    for (unsigned i = 0; i < PRELOAD_URBS_MAX / 2; i++) {
        ck_assert_int_eq(hear(client), sizeof got.reply + PRELOAD_DATA_MAX);
        ck_assert_uint_eq(got.reply.tag, i);
        turn();
    }
    ck_assert_uint_eq(server->memory, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_messages");
    TCase *hostile = tcase_create("hostile");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(hostile, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(hostile, preload_set_up, preload_tear_down);
    tcase_add_test(hostile, test_first_message_must_be_of_this_version_and_of_a_first_kind);
    tcase_add_test(hostile, test_malformed_messages_close_their_connection_only);
    tcase_add_test(hostile, test_short_messages_close_the_connection);
    tcase_add_test(hostile, test_no_more_clients_than_the_limit);
    tcase_add_test(hostile, test_no_more_handles_than_the_limit);
    tcase_add_test(hostile, test_no_more_transfers_than_the_limit);
    tcase_add_test(hostile, test_unread_replies_are_kept_up_to_the_limit);
    tcase_add_test(hostile, test_replies_that_had_no_room_come_later);
    suite_add_tcase(suite, hostile);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
