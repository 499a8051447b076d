/* Control requests that restart a board, and those about listening mode; when the system's thread
 * comes round to them. Times are those of 2.2.0 (facts 06 §4, §7; 05 §7); of other releases
 * device-os, system/src/usb_control_request_channel.cpp, system_control_internal.cpp. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_service.h"

#define MS BOARD_NS_PER_MS

static struct board *fresh;
static struct board *board;
static struct test_record record;

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

/* Instead of the 2.2.0. */
static void use(const char *release)
{
    board->ops->destroy(board);
    board = service_board(release);
}

/* --- restarts --- */

/* Resets since the record began. */
struct resets {
    unsigned count;
    uint64_t last;
};

static struct resets resets(void)
{
    struct resets found = {0, 0};

    for (size_t i = 0; i < record.count; i++) {
        if (record.events[i].kind == BOARD_EVENT_RESET) {
            found.count++;
            found.last = record.events[i].time;
        }
    }
    return found;
}

/* From the last reset to the attach. */
static uint64_t attach_time(void)
{
    uint64_t attached = 0;

    for (size_t i = 0; i < record.count; i++) {
        if (record.events[i].kind == BOARD_EVENT_USB_ATTACH) {
            attached = record.events[i].time;
        }
    }
    ck_assert_uint_gt(attached, resets().last);
    return attached - resets().last;
}

static bool happened(const char *text)
{
    for (size_t i = 0; i < record.count; i++) {
        if (record.events[i].text != NULL && strcmp(record.events[i].text, text) == 0) {
            return true;
        }
    }
    return false;
}

static uint16_t product_id(void)
{
    uint8_t descriptor[18];

    ck_assert(host_in(board, 0x80, 0x06, 0x0100, descriptor, sizeof(descriptor)));
    return (uint16_t)(descriptor[10] | descriptor[11] << 8);
}

static const struct {
    uint16_t type;
    unsigned resets;
    uint64_t attach_ms; /* after the last reset */
    uint16_t product;
    const char *because;
} restarts[] = {
    {40, 1, 66, 0xC006, "application runs"},
    {41, 2, 66, 0xC006, "application runs"},
    {50, 1, 26, 0xD006, NULL},
    {60, 1, 66, 0xC006, "safe mode: requested"},
};

START_TEST(test_restarts_come_exactly_a_second_after_the_request)
{
    struct service_answer answer;
    uint64_t sent = board->now;

    test_record(board, &record);
    answer = service_ask(board, restarts[_i].type, "", 0);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, 0);
    board_advance_to(board, sent + 999 * MS);
    ck_assert_uint_eq(resets().count, 0);
    board_advance_to(board, sent + 1001 * MS);
    ck_assert_uint_ge(resets().count, 1);
    service_reattach(board);
    ck_assert_uint_eq(resets().count, restarts[_i].resets);
    ck_assert_uint_ge(attach_time(), (restarts[_i].attach_ms - 5) * MS);
    ck_assert_uint_le(attach_time(), (restarts[_i].attach_ms + 5) * MS);
    ck_assert_uint_eq(product_id(), restarts[_i].product);
    ck_assert(restarts[_i].because == NULL || happened(restarts[_i].because));
}
END_TEST

/* The system's thread does nothing but wait for it. */
START_TEST(test_requests_before_an_announced_restart_are_not_answered)
{
    struct service_reply reply;

    ck_assert_int_eq(service_ask(board, 50, "", 0).result, 0);
    board_advance(board, 500 * MS);
    reply = service_init(board, 40, 0);
    board_advance(board, 450 * MS);
    ck_assert_uint_eq(service_check(board, reply.id).status, 2);
    board_advance(board, 60 * MS);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xD006);
}
END_TEST

START_TEST(test_two_announced_restarts_are_one)
{
    struct service_reply first = service_init(board, 50, 0), second = service_init(board, 40, 0);

    board_advance(board, 1 * MS);
    ck_assert_uint_eq(service_check(board, first.id).flags, 9);
    ck_assert_uint_eq(service_check(board, second.id).flags, 9);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xD006);
}
END_TEST

/* The request is completed by the CHECK that tells its result, or by its RESET. */
START_TEST(test_a_restart_waits_until_the_host_knows_of_it)
{
    struct service_reply reply = service_init(board, 40, 0);

    test_record(board, &record);
    board_advance(board, 5000 * MS);
    ck_assert_uint_eq(resets().count, 0);
    if (_i == 0) {
        ck_assert_uint_eq(service_check(board, reply.id).flags, 9);
    } else {
        (void)service_reset(board, reply.id);
    }
    board_advance(board, 990 * MS);
    ck_assert_uint_eq(resets().count, 0);
    board_advance(board, 20 * MS);
    ck_assert_uint_eq(resets().count, 1);
}
END_TEST

/* device-os v1.0.0 system_control_internal.cpp: no delay yet. */
START_TEST(test_before_1_1_a_restart_comes_at_once)
{
    use("1.0.0");
    test_record(board, &record);
    ck_assert_int_eq(service_ask(board, 50, "", 0).result, 0);
    board_advance(board, 10 * MS);
    ck_assert_uint_eq(resets().count, 1);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xD006);
}
END_TEST

START_TEST(test_dropping_all_requests_does_not_stop_a_restart)
{
    struct service_reply reply = service_init(board, 50, 0);

    (void)service_wait(board, reply.id);
    (void)service_reset(board, 0);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xD006);
}
END_TEST

/* --- listening --- */

START_TEST(test_a_board_without_credentials_listens_again_half_a_second_after_it_was_stopped)
{
    uint64_t start = board->now;
    struct service_answer answer;

    service_expect(board, 71, "", 0, 0, "", 0);
    answer = service_ask(board, 72, "", 0); /* the network starts */
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, 0);
    ck_assert_uint_ge(answer.ended - start, 120 * MS);
    ck_assert_uint_le(answer.ended - start, 140 * MS);
    board_advance_to(board, start + 450 * MS);
    service_expect(board, 72, "", 0, 0, "", 0);
    board_advance_to(board, start + 550 * MS);
    service_expect(board, 72, "", 0, 0, "\x08\x01", 2);
}
END_TEST

/* A board that has credentials and tries to join a network. */
static void joining_board_of(const char *release, const char *const *answers, size_t count)
{
    use(release);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(board->ops->out(board, 0x01, answers[i], strlen(answers[i])), USB_ACK);
        board_advance(board, 500 * MS);
    }
    board_advance(board, 2000 * MS);
    board->ops->reset(board);
    service_reattach(board);
    board_advance(board, 1000 * MS);
    ck_assert_uint_eq(board->ops->led(board).colour, 0x00FF00);
}

/* The network is there, but gives it no address. */
static void connecting_board_of(const char *release)
{
    static const char *const answers[] = {"w", "VPHOTON\r", "secret12\r"};

    joining_board_of(release, answers, sizeof(answers) / sizeof(answers[0]));
}

START_TEST(test_out_of_reach_of_its_network_a_board_answers_requests)
{
    static const char *const answers[] = {"w", "home\r", "0\r", "1\r"};
    struct service_answer answer;

    joining_board_of("2.2.0", answers, sizeof(answers) / sizeof(answers[0]));
    answer = service_ask(board, 72, "", 0);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, 0);
    ck_assert_uint_le(answer.ended - answer.started, 1 * MS);
}
END_TEST

static const char *const connecting[] = {"1.2.1", "1.5.0", "2.2.0"};

START_TEST(test_requests_wait_for_the_end_of_an_attempt_to_connect)
{
    struct service_reply mode;
    struct service_answer answer;
    uint64_t start;

    connecting_board_of(connecting[_i]);
    start = board->now;
    mode = service_init(board, 72, 0);
    board_advance(board, 10000 * MS);
    ck_assert_uint_eq(service_check(board, mode.id).status, 2);
    answer = service_ask(board, 201, "", 0);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_le(answer.ended - start, 60000 * MS);
    ck_assert_uint_eq(service_check(board, mode.id).flags, 9); /* no reply: not listening */
}
END_TEST

START_TEST(test_request_70_ends_an_attempt_to_connect)
{
    struct service_reply mode, listen;
    uint64_t start;

    connecting_board_of(connecting[1 + _i]);
    mode = service_init(board, 72, 0);
    start = board->now;
    listen = service_init(board, 70, 0);
    board_advance_to(board, start + 20 * MS);
    ck_assert_uint_eq(board->ops->led(board).colour, 0x0000FF);
    board_advance_to(board, start + 200 * MS);
    ck_assert_uint_eq(service_check(board, listen.id).status, 2);
    board_advance_to(board, start + 220 * MS);
    ck_assert_uint_eq(service_check(board, listen.id).flags, 9);
    ck_assert_uint_eq(service_check(board, mode.id).flags, 0x0D); /* listening */
}
END_TEST

START_TEST(test_requests_for_a_restart_end_an_attempt_to_connect)
{
    struct service_answer answer;

    connecting_board_of(connecting[1 + _i % 2]);
    answer = service_ask(board, restarts[_i / 2].type, "", 0);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_le(answer.ended - answer.started, 220 * MS);
    board_advance_to(board, answer.ended + 1001 * MS);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), restarts[_i / 2].product);
}
END_TEST

/* device-os v1.2.1 has nothing in the interrupt that would. */
START_TEST(test_before_1_3_1_nothing_ends_an_attempt_to_connect)
{
    struct service_reply reply;

    connecting_board_of("1.2.1");
    reply = service_init(board, 50, 0);
    board_advance(board, 10000 * MS);
    ck_assert_uint_eq(service_check(board, reply.id).status, 2);
}
END_TEST

START_TEST(test_listening_starts_at_once_when_asked_for)
{
    service_expect(board, 71, "", 0, 0, "", 0);
    service_expect(board, 70, "", 0, 0, "", 0);
    board_advance(board, 20 * MS);
    service_expect(board, 72, "", 0, 0, "\x08\x01", 2);
}
END_TEST

START_TEST(test_the_startup_mode_waits_for_a_start_in_safe_mode)
{
    ck_assert_uint_ne(board->ops->backup_read(board, 10), 0x5A1B);
    service_expect(board, 75, "\x08\x01", 2, 0, "", 0);
    ck_assert_uint_eq(board->ops->backup_read(board, 10), 0x5A1B);
    service_expect(board, 75, "", 0, 0, "", 0);
    ck_assert_uint_eq(board->ops->backup_read(board, 10), 0xFFFF);
    service_expect(board, 75, "\x08\x01", 2, 0, "", 0);
    service_expect(board, 60, "", 0, 0, "", 0);
    board_advance(board, 1010 * MS);
    service_reattach(board);
    ck_assert_uint_eq(board->ops->backup_read(board, 10), 0xFFFF); /* used */
    service_expect(board, 72, "", 0, 0, "\x08\x01", 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("control restarts");
    TCase *requests = tcase_create("restarts");

    tcase_add_unchecked_fixture(requests, make, drop);
    tcase_add_checked_fixture(requests, setup, teardown);
    tcase_set_timeout(requests, 60);
    tcase_add_loop_test(requests, test_restarts_come_exactly_a_second_after_the_request, 0, 4);
    tcase_add_test(requests, test_requests_before_an_announced_restart_are_not_answered);
    tcase_add_test(requests, test_two_announced_restarts_are_one);
    tcase_add_loop_test(requests, test_a_restart_waits_until_the_host_knows_of_it, 0, 2);
    tcase_add_test(requests, test_before_1_1_a_restart_comes_at_once);
    tcase_add_test(requests, test_dropping_all_requests_does_not_stop_a_restart);
    tcase_add_test(
        requests,
        test_a_board_without_credentials_listens_again_half_a_second_after_it_was_stopped);
    tcase_add_test(requests, test_listening_starts_at_once_when_asked_for);
    tcase_add_test(requests, test_the_startup_mode_waits_for_a_start_in_safe_mode);
    tcase_add_test(requests, test_out_of_reach_of_its_network_a_board_answers_requests);
    tcase_add_loop_test(requests, test_requests_wait_for_the_end_of_an_attempt_to_connect, 0, 3);
    tcase_add_loop_test(requests, test_request_70_ends_an_attempt_to_connect, 0, 2);
    tcase_add_loop_test(requests, test_requests_for_a_restart_end_an_attempt_to_connect, 0, 8);
    tcase_add_test(requests, test_before_1_3_1_nothing_ends_an_attempt_to_connect);
    suite_add_tcase(suite, requests);
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
