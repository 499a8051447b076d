/* Every handshake, every unplug and every cancellation in every stage of a control transfer. */
#include <check.h>
#include <string.h>

#include "tests/unit/support_transfer.h"

/* The rows of a good transfer; each case spoils row `at`. The first is the SETUP, which cannot be
 * stalled, NAKed or preceded. */
static const struct {
    uint8_t type;
    size_t length;
    struct script_row rows[5];
    size_t at;
    size_t moved; /* bytes of the data stage before row `at` */
} stages[] = {
    {0x80, 100, {SETUP, IN(64), IN(36), OUT(0)}, 0, 0},
    {0x80, 100, {SETUP, IN(64), IN(36), OUT(0)}, 1, 0},
    {0x80, 100, {SETUP, IN(64), IN(36), OUT(0)}, 2, 64},
    {0x80, 100, {SETUP, IN(64), IN(36), OUT(0)}, 3, 100},
    {0x21, 100, {SETUP, OUT(64), OUT(36), IN(0)}, 1, 0},
    {0x21, 100, {SETUP, OUT(64), OUT(36), IN(0)}, 2, 64},
    {0x21, 100, {SETUP, OUT(64), OUT(36), IN(0)}, 3, 100},
    {0x21, 0, {SETUP, IN(0)}, 1, 0},
};

#define STAGES ((int)(sizeof stages / sizeof stages[0]))

static size_t stage_rows(int i, struct script_row rows[5])
{
    memcpy(rows, stages[i].rows, sizeof stages[i].rows);
    return stages[i].length > 0 ? 4 : 2;
}

START_TEST(test_stall_ends_the_transfer_in_each_stage)
{
    struct script_row rows[5];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t at = stages[_i].at;

    (void)stage_rows(_i, rows);
    rows[at].handshake = USB_STALL;
    play(rows, at + 1, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_STALL, stages[_i].moved);
}
END_TEST

START_TEST(test_third_silence_is_a_protocol_error_in_each_stage)
{
    struct script_row rows[5];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t at = stages[_i].at;

    (void)stage_rows(_i, rows);
    rows[at].handshake = USB_SILENT;
    rows[at].repeat = 2;
    play(rows, at + 1, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, stages[_i].moved);
}
END_TEST

START_TEST(test_second_silence_is_forgiven_in_each_stage)
{
    struct script_row rows[5], spoiled[6];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t count = stage_rows(_i, rows), at = stages[_i].at;

    memcpy(spoiled, rows, at * sizeof *rows);
    spoiled[at] = rows[at];
    spoiled[at].handshake = USB_SILENT;
    spoiled[at].repeat = 1;
    memcpy(spoiled + at + 1, rows + at, (count - at) * sizeof *rows);
    play(spoiled, count + 1, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, stages[_i].length);
}
END_TEST

START_TEST(test_silences_of_different_stages_do_not_add_up)
{
    struct script_row silent_in = IN(64), silent_out = OUT(0);
    struct transfer transfer = control(0x80, 64);

    silent_in.handshake = silent_out.handshake = USB_SILENT;
    silent_in.repeat = silent_out.repeat = 1;
    const struct script_row rows[] = {SETUP, silent_in, IN(64), silent_out, OUT(0)};
    PLAY(rows, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 64);
}
END_TEST

START_TEST(test_nak_waits_in_each_stage_until_the_next_run)
{
    struct script_row rows[5], spoiled[6];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t count = stage_rows(_i, rows), at = stages[_i].at;

    memcpy(spoiled, rows, at * sizeof *rows);
    spoiled[at] = rows[at];
    spoiled[at].handshake = USB_NAK;
    spoiled[at].repeat = 1;
    memcpy(spoiled + at + 1, rows + at, (count - at) * sizeof *rows);
    play(spoiled, count + 1, false);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 0);
    ck_assert(root_port_run(&port));
    ck_assert_uint_eq(completions, 0);
    ck_assert(!root_port_run(&port));
    expect(&transfer, TRANSFER_OK, stages[_i].length);
}
END_TEST

START_TEST(test_detach_before_each_stage_leaves_it_unanswered)
{
    struct script_row rows[5];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t at = stages[_i].at;

    (void)stage_rows(_i, rows);
    rows[at - 1].then = THEN_DETACH;
    play(rows, at, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, stages[_i].moved);
    ck_assert(!root_port_attached(&port));
}
END_TEST

START_TEST(test_silence_of_a_board_that_went_away_is_a_protocol_error_in_each_stage)
{
    struct script_row rows[5];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t at = stages[_i].at;

    (void)stage_rows(_i, rows);
    rows[at].handshake = USB_SILENT;
    rows[at].repeat = 0;
    rows[at].then = THEN_DETACH;
    play(rows, at + 1, false);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, stages[_i].moved);
}
END_TEST

START_TEST(test_reattach_before_each_stage_leaves_it_unanswered)
{
    struct script_row rows[5];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t at = stages[_i].at;
    uint64_t generation;

    (void)stage_rows(_i, rows);
    rows[at - 1].then = THEN_REATTACH;
    play(rows, at, false);
    generation = port.generation;
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, stages[_i].moved);
    ck_assert_uint_eq(port.generation, generation + 2);
    ck_assert(root_port_attached(&port));
}
END_TEST

START_TEST(test_unplug_of_a_transfer_that_waits_in_each_stage)
{
    struct script_row rows[5];
    struct transfer transfer = control(stages[_i].type, stages[_i].length);
    size_t at = stages[_i].at;

    (void)stage_rows(_i, rows);
    rows[at].handshake = USB_NAK;
    play(rows, at + 1, false);
    root_port_submit(&port, &transfer);
    ck_assert_uint_eq(completions, 0);
    script_board_attach(&script, false);
    root_port_poll(&port);
    expect(&transfer, TRANSFER_NO_DEVICE, stages[_i].moved);
}
END_TEST

START_TEST(test_cancel_in_each_stage_frees_the_port_for_the_next_transfer)
{
    struct script_row rows[5], all[9];
    struct transfer first = control(stages[_i].type, stages[_i].length);
    struct transfer second = control(stages[_i].type, stages[_i].length);
    size_t count = stage_rows(_i, rows), at = stages[_i].at;

    memcpy(all, rows, (at + 1) * sizeof *rows);
    all[at].handshake = USB_NAK;
    memcpy(all + at + 1, rows, count * sizeof *rows);
    play(all, at + 1 + count, false);
    root_port_submit(&port, &first);
    ck_assert(root_port_cancel(&port, &first));
    ck_assert_uint_eq(completions, 1);
    ck_assert_int_eq(first.status, TRANSFER_CANCELLED);
    ck_assert_uint_eq(first.actual, stages[_i].moved);
    completions = 0;
    root_port_submit(&port, &second);
    expect(&second, TRANSFER_OK, stages[_i].length);
}
END_TEST

/* The famous one: the device has sent the six bytes and leaves the bus before the host's
 * zero-length packet. The host has the data and no transfer. */
START_TEST(test_detach_between_data_and_status_stage_is_no_success)
{
    static const uint8_t status[6] = {0, 1, 0, 0, 7, 0};
    const struct script_row rows[] = {
        SETUP,
        {.token = USB_TOKEN_IN, .data = status, .length = 6, .then = THEN_DETACH},
    };
    struct transfer transfer = control(0xA1, 6);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, 6);
}
END_TEST

START_TEST(test_detach_with_the_last_handshake_keeps_the_success)
{
    struct script_row last = OUT(0);
    struct transfer transfer = control(0xA1, 6);

    last.then = THEN_DETACH;
    const struct script_row rows[] = {SETUP, IN(6), last};
    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 6);
    ck_assert(!root_port_attached(&port));
}
END_TEST

START_TEST(test_setup_answered_with_nak_or_stall_counts_as_silence)
{
    const struct script_row rows[] = {
        {.token = USB_TOKEN_SETUP, .handshake = USB_NAK},
        {.token = USB_TOKEN_SETUP, .handshake = USB_STALL, .repeat = 1},
    };
    struct transfer transfer = control(0x21, 0);

    PLAY(rows, true);
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_PROTOCOL_ERROR, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("root_port_stages");
    TCase *tcase = tcase_create("stages");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, transfer_setup, NULL);
    tcase_add_loop_test(tcase, test_stall_ends_the_transfer_in_each_stage, 1, STAGES);
    tcase_add_loop_test(tcase, test_third_silence_is_a_protocol_error_in_each_stage, 0, STAGES);
    tcase_add_loop_test(tcase, test_second_silence_is_forgiven_in_each_stage, 0, STAGES);
    tcase_add_test(tcase, test_silences_of_different_stages_do_not_add_up);
    tcase_add_loop_test(tcase, test_nak_waits_in_each_stage_until_the_next_run, 1, STAGES);
    tcase_add_loop_test(tcase, test_detach_before_each_stage_leaves_it_unanswered, 1, STAGES);
    tcase_add_loop_test(
        tcase, test_silence_of_a_board_that_went_away_is_a_protocol_error_in_each_stage, 0, STAGES);
    tcase_add_loop_test(tcase, test_reattach_before_each_stage_leaves_it_unanswered, 1, STAGES);
    tcase_add_loop_test(tcase, test_unplug_of_a_transfer_that_waits_in_each_stage, 1, STAGES);
    tcase_add_loop_test(tcase, test_cancel_in_each_stage_frees_the_port_for_the_next_transfer, 1,
                        STAGES);
    tcase_add_test(tcase, test_detach_between_data_and_status_stage_is_no_success);
    tcase_add_test(tcase, test_detach_with_the_last_handshake_keeps_the_success);
    tcase_add_test(tcase, test_setup_answered_with_nak_or_stall_counts_as_silence);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
