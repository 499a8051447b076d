/* Raw control requests, bRequest 0x50: 0.6.0, 0.6.1 and later, 0.7.0, and what 2.2.0 has left. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/backup.h"
#include "tests/unit/support_service.h"

#define MS BOARD_NS_PER_MS

enum { AT_0_6_0, AT_0_6_1, AT_0_7_0, AT_2_2_0, RELEASES };

static const char *const names[RELEASES] = {"0.6.0", "0.6.3", "0.7.0", "2.2.0"};
static struct board *fresh[RELEASES];
static struct board *board;
static struct host_transfer transfer;
static struct test_record record;

static void make(void)
{
    for (unsigned i = 0; i < RELEASES; i++) {
        fresh[i] = service_board(names[i]);
    }
}

static void drop(void)
{
    for (unsigned i = 0; i < RELEASES; i++) {
        fresh[i]->ops->destroy(fresh[i]);
    }
}

static void use(unsigned release)
{
    if (board != NULL) {
        board->ops->destroy(board);
    }
    board = fresh[release]->ops->clone(fresh[release]);
    ck_assert_ptr_nonnull(board);
}

static void setup(void)
{
    board = NULL;
}

static void teardown(void)
{
    board->ops->destroy(board);
}

static enum host_end in(uint16_t value, uint16_t type, uint16_t length)
{
    return vendor_request(board, 0xC0, 0x50, value, type, NULL, length, &transfer);
}

static enum host_end out(uint16_t value, uint16_t type)
{
    return vendor_request(board, 0x40, 0x50, value, type, NULL, 0, &transfer);
}

static enum host_end out_data(uint16_t type, const void *data, uint16_t length)
{
    return vendor_request(board, 0x40, 0x50, 0, type, data, length, &transfer);
}

static void expect(const void *bytes, size_t size)
{
    ck_assert_uint_eq(transfer.length, size);
    ck_assert_mem_eq(transfer.data, bytes, size);
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

/* --- IN 20 and 30 --- */

static const struct {
    const char *id; /* with its NUL where it is sent */
    uint16_t id_size;
    const char *version;
    uint16_t version_size;
} identity[RELEASES] = {
    {"1f00a2000b47abcdef323032", 25, "0.6.0\0", 7},
    {"1f00a2000b47abcdef323032", 25, "0.6.3\0", 7},
    {"1F00A2000B47ABCDEF323032", 25, "0.7.0\0", 7},
    {"1F00A2000B47ABCDEF323032", 24, "2.2.0", 5},
};

START_TEST(test_id_and_version)
{
    use((unsigned)_i);
    ck_assert_int_eq(in(0, 20, 64), HOST_ACK);
    expect(identity[_i].id, identity[_i].id_size);
    ck_assert_int_eq(in(0, 20, identity[_i].id_size), HOST_ACK);
    ck_assert_int_eq(in(2, 20, (uint16_t)(identity[_i].id_size - 1)), HOST_STALL);
    ck_assert_int_eq(in(0, 30, 64), HOST_ACK);
    expect(identity[_i].version, identity[_i].version_size);
    ck_assert_int_eq(in(0, 30, 3), _i == AT_2_2_0 ? HOST_STALL : HOST_ACK);
    if (_i != AT_2_2_0) {
        expect(identity[_i].version, 3);
    }
}
END_TEST

/* 0.8 and later do not look at wValue. */
START_TEST(test_the_id_as_bytes_is_known_before_0_8)
{
    static const uint8_t id[] = {0x1F, 0x00, 0xA2, 0x00, 0x0B, 0x47,
                                 0xAB, 0xCD, 0xEF, 0x32, 0x30, 0x32};

    use((unsigned)_i);
    ck_assert_int_eq(in(1, 20, 64), HOST_ACK);
    if (_i == AT_2_2_0) {
        expect(identity[_i].id, identity[_i].id_size);
    } else {
        expect(id, sizeof(id));
        ck_assert_int_eq(in(1, 20, 12), HOST_ACK);
        ck_assert_int_eq(in(1, 20, 11), HOST_STALL);
    }
}
END_TEST

START_TEST(test_lengths_of_0_and_above_64_stall)
{
    use((unsigned)_i);
    ck_assert_int_eq(in(0, 20, 0), HOST_STALL);
    ck_assert_int_eq(in(0, 30, 0), HOST_STALL);
    ck_assert_int_eq(in(0, 20, 65), HOST_STALL);
    ck_assert_int_eq(in(0, 30, 65), HOST_STALL);
    ck_assert_int_eq(in(0, 90, 0), HOST_STALL);
}
END_TEST

/* --- OUT --- */

enum answer { STALLS, TAKEN, VANISHES };

static const struct {
    uint16_t type;
    enum answer answers[RELEASES];
} outs[] = {
    {10, {STALLS, TAKEN, TAKEN, STALLS}},      {20, {STALLS, STALLS, STALLS, STALLS}},
    {30, {STALLS, STALLS, STALLS, STALLS}},    {40, {VANISHES, VANISHES, TAKEN, VANISHES}},
    {50, {VANISHES, VANISHES, TAKEN, STALLS}}, {60, {STALLS, STALLS, TAKEN, STALLS}},
    {70, {VANISHES, VANISHES, TAKEN, STALLS}}, {80, {STALLS, TAKEN, TAKEN, STALLS}},
    {90, {STALLS, STALLS, TAKEN, STALLS}},     {302, {STALLS, STALLS, STALLS, TAKEN}},
    {0, {STALLS, STALLS, STALLS, STALLS}},
};
#define OUTS (int)(sizeof(outs) / sizeof(outs[0]))

START_TEST(test_which_out_requests_a_release_takes)
{
    static const enum host_end ends[] = {
        [STALLS] = HOST_STALL, [TAKEN] = HOST_ACK, [VANISHES] = HOST_SILENT};

    use((unsigned)_i % RELEASES);
    ck_assert_int_eq(out(0, outs[_i / RELEASES].type),
                     ends[outs[_i / RELEASES].answers[_i % RELEASES]]);
}
END_TEST

START_TEST(test_a_restart_in_the_interrupt_leaves_the_status_stage_unanswered)
{
    uint64_t asked;

    use((unsigned)_i);
    asked = board->now;
    ck_assert_int_eq(out(0, 40), HOST_SILENT);
    ck_assert_int_eq(transfer.stage, HOST_STATUS);
    ck_assert(!board->ops->attached(board));
    ck_assert_uint_lt(board->now - asked, MS);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xC006);
}
END_TEST

START_TEST(test_0_7_0_acknowledges_and_then_restarts)
{
    use(AT_0_7_0);
    ck_assert_int_eq(out(0, 40), HOST_ACK);
    ck_assert(board->ops->attached(board));
    board_advance(board, 2 * MS);
    ck_assert(!board->ops->attached(board));
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xC006);
}
END_TEST

START_TEST(test_dfu_mode)
{
    use((unsigned)_i);
    (void)out(0, 50);
    board_advance(board, 2 * MS);
    service_reattach(board);
    ck_assert_uint_eq(product_id(), 0xD006);
}
END_TEST

START_TEST(test_0_7_0_enters_safe_mode)
{
    use(AT_0_7_0);
    test_record(board, &record);
    ck_assert_int_eq(out(0, 60), HOST_ACK);
    board_advance(board, 2 * MS);
    service_reattach(board);
    ck_assert(happened("safe mode: requested"));
}
END_TEST

START_TEST(test_0_6_listens_by_way_of_safe_mode)
{
    use((unsigned)_i);
    test_record(board, &record);
    ck_assert_int_eq(out(0, 70), HOST_SILENT);
    service_reattach(board);
    ck_assert(happened("safe mode: requested"));
    ck_assert(happened("system runs: listening"));
    ck_assert_uint_ne(board->ops->backup_read(board, BACKUP_OTA), BACKUP_OTA_LISTEN);
}
END_TEST

START_TEST(test_0_7_0_stops_and_starts_listening_without_a_restart)
{
    uint64_t attaches;

    use(AT_0_7_0);
    attaches = board->attaches;
    test_record(board, &record);
    ck_assert_int_eq(out(1, 70), HOST_ACK);
    board_advance(board, 5 * MS);
    ck_assert_int_ne(board->ops->led(board).pattern, LED_TOGGLE);
    ck_assert(!happened("system runs: listening"));
    ck_assert_int_eq(out(0, 70), HOST_ACK);
    board_advance(board, 20 * MS);
    ck_assert(happened("system runs: listening"));
    ck_assert_uint_eq(board->attaches, attaches);
}
END_TEST

/* --- the queue --- */

START_TEST(test_module_info_is_queued_and_fetched)
{
    static const char head[] = "\"p\":6,\"m\":[{\"s\":16384,\"l\":\"m\",\"vc\":30,\"vv\":30,"
                               "\"f\":\"b\",\"n\":\"0\",\"v\":101,\"d\":[]},";

    use(AT_0_7_0);
    ck_assert_int_eq(in(0, 90, 2048), HOST_STALL); /* nothing was asked */
    ck_assert_int_eq(out(0, 90), HOST_ACK);
    ck_assert_int_eq(in(0, 90, 2048), HOST_STALL); /* not ready */
    board_advance(board, 10 * MS);
    ck_assert_int_eq(in(0, 80, 2048), HOST_STALL); /* another type */
    ck_assert_int_eq(in(0, 90, 64), HOST_STALL);   /* too short */
    ck_assert_int_eq(in(0, 90, 2048), HOST_ACK);
    ck_assert_mem_eq(transfer.data, head, sizeof(head) - 1);
    ck_assert_int_eq(transfer.data[transfer.length - 1], ']');
}
END_TEST

START_TEST(test_only_one_request_can_be_queued)
{
    use(AT_0_7_0);
    ck_assert_int_eq(out(0, 90), HOST_ACK);
    ck_assert_int_eq(out(0, 90), HOST_STALL);
    ck_assert_int_eq(out(0, 40), HOST_STALL);
    board_advance(board, 10 * MS);
    ck_assert_int_eq(out(0, 70), HOST_ACK);
    board_advance(board, 10 * MS);
    ck_assert_int_eq(in(0, 90, 2048), HOST_STALL); /* replaced */
    ck_assert_int_eq(in(0, 70, 64), HOST_STALL);   /* has no reply */
}
END_TEST

START_TEST(test_what_nobody_handles_fails)
{
    static const uint8_t data[513] = "{}";

    use(_i < 2 ? AT_0_6_1 : AT_0_7_0);
    ck_assert_int_eq(out_data(_i % 2 == 0 ? 10 : 80, data, 512), HOST_ACK);
    board_advance(board, 10 * MS);
    ck_assert_int_eq(in(0, _i % 2 == 0 ? 10 : 80, 512), HOST_STALL);
    ck_assert_int_eq(out_data(_i % 2 == 0 ? 10 : 80, data, 513), HOST_STALL);
}
END_TEST

START_TEST(test_a_request_whose_data_never_come_holds_nothing_up)
{
    uint8_t packet[8];

    use(AT_0_7_0);
    host_setup_packet(packet, 0x40, 0x50, 0, 80, 100);
    ck_assert_int_eq(board->ops->setup(board, packet), USB_ACK);
    ck_assert_int_eq(out(0, 90), HOST_ACK);
    board_advance(board, 10 * MS);
    ck_assert_int_eq(in(0, 90, 2048), HOST_ACK);
}
END_TEST

/* --- later releases --- */

START_TEST(test_cloud_disconnect_with_data_changes_no_request)
{
    struct service_reply reply;

    use(AT_2_2_0);
    do {
        reply = service_init(board, 1, 4);
        ck_assert_uint_eq(service_reset(board, reply.id).status, 0);
    } while (reply.id < 301);
    reply = service_init(board, 1, 4);
    ck_assert_uint_eq(reply.id, 302);
    ck_assert_int_eq(out_data(302, "abcd", 4), HOST_ACK);
    ck_assert_uint_eq(service_check(board, 302).flags, 1); /* still without its payload */
}
END_TEST

START_TEST(test_nothing_is_fetched_without_a_queue)
{
    use(_i == 0 ? AT_0_6_0 : AT_2_2_0);
    ck_assert_int_eq(in(0, 10, 64), HOST_STALL);
    ck_assert_int_eq(in(0, 80, 64), HOST_STALL);
    ck_assert_int_eq(in(0, 90, 64), HOST_STALL);
}
END_TEST

/* It takes CLEAR_FEATURE and SET_FEATURE for requests to wait with, whatever they are. */
START_TEST(test_0_5_2_takes_vendor_requests_for_standard_ones)
{
    static const struct {
        uint8_t type, request;
        enum host_end end;
    } unseen[] = {
        {0xC0, 0x01, HOST_NAK},   {0x40, 0x03, HOST_NAK},   {0xC0, 0x02, HOST_STALL},
        {0xC0, 0x04, HOST_STALL}, {0xC0, 0x05, HOST_STALL}, {0xC0, 0x50, HOST_STALL},
        {0xC0, 0xEE, HOST_STALL}, {0xC1, 0x01, HOST_STALL}, {0xC1, 0x50, HOST_STALL},
        {0xC2, 0x01, HOST_NAK},   {0xC2, 0x50, HOST_NAK},
    };

    board = service_board("0.5.2");
    ck_assert_int_eq(in(0, 20, 64), HOST_STALL);
    ck_assert_int_eq(out(0, 40), HOST_STALL);
    for (size_t i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++) {
        ck_assert_int_eq(vendor_request(board, unseen[i].type, unseen[i].request, 0, 1, NULL,
                                        unseen[i].type == 0x40 ? 0 : 64, &transfer),
                         unseen[i].end);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("control raw");
    TCase *raw = tcase_create("raw");

    tcase_add_unchecked_fixture(raw, make, drop);
    tcase_add_checked_fixture(raw, setup, teardown);
    tcase_set_timeout(raw, 60);
    tcase_add_loop_test(raw, test_id_and_version, 0, RELEASES);
    tcase_add_loop_test(raw, test_the_id_as_bytes_is_known_before_0_8, 0, RELEASES);
    tcase_add_loop_test(raw, test_lengths_of_0_and_above_64_stall, 0, RELEASES);
    tcase_add_loop_test(raw, test_which_out_requests_a_release_takes, 0, OUTS * RELEASES);
    tcase_add_loop_test(raw, test_a_restart_in_the_interrupt_leaves_the_status_stage_unanswered,
                        AT_0_6_0, AT_0_6_1 + 1);
    tcase_add_loop_test(raw, test_a_restart_in_the_interrupt_leaves_the_status_stage_unanswered,
                        AT_2_2_0, AT_2_2_0 + 1);
    tcase_add_test(raw, test_0_7_0_acknowledges_and_then_restarts);
    tcase_add_loop_test(raw, test_dfu_mode, AT_0_6_0, AT_0_7_0 + 1);
    tcase_add_test(raw, test_0_7_0_enters_safe_mode);
    tcase_add_loop_test(raw, test_0_6_listens_by_way_of_safe_mode, AT_0_6_0, AT_0_6_1 + 1);
    tcase_add_test(raw, test_0_7_0_stops_and_starts_listening_without_a_restart);
    tcase_add_test(raw, test_module_info_is_queued_and_fetched);
    tcase_add_test(raw, test_only_one_request_can_be_queued);
    tcase_add_loop_test(raw, test_what_nobody_handles_fails, 0, 4);
    tcase_add_test(raw, test_a_request_whose_data_never_come_holds_nothing_up);
    tcase_add_test(raw, test_cloud_disconnect_with_data_changes_no_request);
    tcase_add_loop_test(raw, test_nothing_is_fetched_without_a_queue, 0, 2);
    tcase_add_test(raw, test_0_5_2_takes_vendor_requests_for_standard_ones);
    suite_add_tcase(suite, raw);
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
