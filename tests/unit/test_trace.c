/*
 * Events as lines: control transfers stage by stage, in the field's words.
 */
#include "emulator/trace.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t size;
static struct trace trace;
static uint64_t now;

static void begin(void)
{
    trace = (struct trace){.out = open_memstream(&text, &size)};
    ck_assert_ptr_nonnull(trace.out);
    now = 1000 * BOARD_NS_PER_MS;
}

static void finish(void)
{
    fclose(trace.out);
    free(text);
}

static void tell(struct board_event event)
{
    event.time = now;
    trace_event(&trace, &event);
}

static void token(enum usb_token kind, enum usb_handshake handshake, const void *data,
                  uint16_t length)
{
    now += 20 * BOARD_NS_PER_US;
    tell((struct board_event){.kind = BOARD_EVENT_USB_TRANSACTION,
                              .u.usb = {.token = kind,
                                        .handshake = handshake,
                                        .length = length,
                                        .data = length ? data : NULL}});
}

static void setup(const char *bytes)
{
    token(USB_TOKEN_SETUP, USB_ACK, bytes, 8);
}

static void expect(const char *expected)
{
    trace_flush(&trace);
    ck_assert_str_eq(text, expected);
}

#define GETSTATUS      "\xA1\x03\0\0\0\0\x06\0"
#define DNLOAD(length) "\x21\x01\x02\0\0\0" length

/* Why dfu-util says "Error during download get_status" up to 0.4.4. */
START_TEST(test_a_leave_that_loses_its_status_stage)
{
    setup(GETSTATUS);
    token(USB_TOKEN_IN, USB_ACK, "\x00\x01\x00\x00\x07\x00", 6);
    tell((struct board_event){.kind = BOARD_EVENT_USB_DETACH});
    token(USB_TOKEN_OUT, USB_SILENT, NULL, 0);
    tell((struct board_event){.kind = BOARD_EVENT_RESET, .text = "update finished"});
    expect("      1000.040 ms  USB: off the bus (soft-disconnect, pull-up off)\n"
           "      1000.060 ms  GETSTATUS: SETUP ACK, IN DATA 00 01 00 00 07 00 ACK, OUT status "
           "stage: no answer (soft-disconnect)\n"
           "      1000.060 ms  reset: update finished\n");
}
END_TEST

/* The same when the host sees the detach before it tries the status stage. */
START_TEST(test_a_status_stage_that_was_never_tried)
{
    setup(GETSTATUS);
    token(USB_TOKEN_IN, USB_ACK, "\x00\x01\x00\x00\x07\x00", 6);
    tell((struct board_event){.kind = BOARD_EVENT_USB_DETACH});
    tell((struct board_event){.kind = BOARD_EVENT_RESET, .text = "update finished"});
    expect("      1000.040 ms  USB: off the bus (soft-disconnect, pull-up off)\n"
           "      1000.040 ms  GETSTATUS: SETUP ACK, IN DATA 00 01 00 00 07 00 ACK, no status "
           "stage (soft-disconnect)\n"
           "      1000.040 ms  reset: update finished\n");
}
END_TEST

START_TEST(test_an_erase_is_a_status_stage_that_is_naked)
{
    setup(GETSTATUS);
    token(USB_TOKEN_IN, USB_ACK, "\x00\x32\x00\x00\x04\x00", 6);
    token(USB_TOKEN_OUT, USB_NAK, NULL, 0);
    token(USB_TOKEN_OUT, USB_NAK, NULL, 0);
    now += 1000 * BOARD_NS_PER_MS;
    token(USB_TOKEN_OUT, USB_ACK, NULL, 0);
    expect("      2000.100 ms  GETSTATUS: SETUP ACK, IN DATA 00 32 00 00 04 00 ACK, OUT status "
           "stage NAK, after 1000.0 ms ACK\n");
}
END_TEST

START_TEST(test_a_refused_operation_is_a_status_stage_that_is_stalled)
{
    setup(GETSTATUS);
    token(USB_TOKEN_IN, USB_ACK, "\x00\x32\x00\x00\x04\x00", 6);
    token(USB_TOKEN_OUT, USB_STALL, NULL, 0);
    expect("      1000.060 ms  GETSTATUS: SETUP ACK, IN DATA 00 32 00 00 04 00 ACK, OUT status "
           "stage STALL\n");
}
END_TEST

START_TEST(test_a_block_is_one_line_with_its_first_bytes)
{
    static const uint8_t packet[64] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    setup(DNLOAD("\x80\x00"));
    token(USB_TOKEN_OUT, USB_ACK, packet, 64);
    token(USB_TOKEN_OUT, USB_ACK, packet, 64);
    token(USB_TOKEN_IN, USB_ACK, NULL, 0);
    expect("      1000.080 ms  DNLOAD block 2, 128 bytes: SETUP ACK, OUT DATA 128 bytes 00 01 02 "
           "03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F ... ACK, IN status stage ACK\n");
}
END_TEST

static const struct {
    const char *data, *words;
    uint16_t length;
} commands[] = {
    {"\x41\x00\x00\x02\x08", "erase 0x08020000", 5},
    {"\x21\x00\x00\x0A\x08", "set address 0x080A0000", 5},
    {"\x41", "mass erase", 1},
    {"\x00", "get commands", 1},
    {"\x92", "read unprotect", 1},
};

START_TEST(test_dfuse_commands_have_words)
{
    char bytes[8] = {0x21, 1, 0, 0, 0, 0, (char)commands[_i].length, 0};
    setup(bytes);
    token(USB_TOKEN_OUT, USB_ACK, commands[_i].data, commands[_i].length);
    token(USB_TOKEN_IN, USB_ACK, NULL, 0);
    trace_flush(&trace);
    char expected[64];
    snprintf(expected, sizeof expected, "DNLOAD block 0, %u bytes (%s): SETUP ACK",
             commands[_i].length, commands[_i].words);
    ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
}
END_TEST

/* USB 2.0 §8.5.3: a data stage that is STALLed has no status stage. */
START_TEST(test_a_stalled_data_stage_has_no_status_stage)
{
    setup("\x80\x06\x00\x06\0\0\x0A\0");
    token(USB_TOKEN_IN, USB_STALL, NULL, 0);
    expect("      1000.040 ms  GET_DESCRIPTOR device qualifier: SETUP ACK, IN DATA STALL\n");
}
END_TEST

START_TEST(test_a_request_that_gets_no_answer_at_all)
{
    token(USB_TOKEN_SETUP, USB_SILENT, GETSTATUS, 8);
    expect("      1000.020 ms  GETSTATUS: SETUP: no answer\n");
}
END_TEST

START_TEST(test_an_abandoned_transfer_is_told_by_the_next)
{
    setup(GETSTATUS);
    token(USB_TOKEN_IN, USB_NAK, NULL, 0);
    setup("\x00\x09\x01\0\0\0\0\0");
    token(USB_TOKEN_IN, USB_ACK, NULL, 0);
    expect("      1000.020 ms  GETSTATUS: SETUP ACK, IN DATA NAK, no status stage\n"
           "      1000.080 ms  SET_CONFIGURATION 1: SETUP ACK, IN status stage ACK\n");
}
END_TEST

START_TEST(test_neighbouring_programmed_words_are_one_line)
{
    for (uint32_t i = 0; i < 4; i++) {
        tell((struct board_event){.kind = BOARD_EVENT_FLASH_PROGRAM,
                                  .u.flash = {.address = 0x08020000 + 4 * i, .length = 4}});
    }
    tell((struct board_event){.kind = BOARD_EVENT_FLASH_PROGRAM,
                              .u.flash = {.address = 0x08030000, .length = 4}});
    tell((struct board_event){.kind = BOARD_EVENT_FLASH_ERASE,
                              .u.flash = {.address = 0x08004000, .length = 0x4000}});
    expect("      1000.000 ms  flash: program 0x08020000, 16 bytes\n"
           "      1000.000 ms  flash: program 0x08030000, 4 bytes\n"
           "      1000.000 ms  flash: erase sector 1, 0x08004000, 16 KiB\n");
}
END_TEST

START_TEST(test_dfu_states_have_their_names)
{
    tell((struct board_event){.kind = BOARD_EVENT_DFU,
                              .u.dfu = {.from = 2, .to = 10, .status = 14}});
    tell((struct board_event){.kind = BOARD_EVENT_DFU, .u.dfu = {.from = 2, .to = 15}});
    tell((struct board_event){.kind = BOARD_EVENT_DFU, .u.dfu = {.from = 2, .to = 99}});
    expect("      1000.000 ms  DFU: dfuIDLE -> dfuERROR, status not OK\n"
           "      1000.000 ms  DFU: dfuIDLE -> state 15\n"
           "      1000.000 ms  DFU: dfuIDLE -> an unknown state\n");
}
END_TEST

START_TEST(test_endpoints_are_told_but_not_their_naks)
{
    static const uint8_t bytes[] = {'v', '\r'};
    for (int i = 0; i < 3; i++) {
        tell((struct board_event){
            .kind = BOARD_EVENT_USB_TRANSACTION,
            .u.usb = {.token = USB_TOKEN_IN, .handshake = USB_NAK, .endpoint = 1}});
    }
    tell((struct board_event){.kind = BOARD_EVENT_USB_TRANSACTION,
                              .u.usb = {.token = USB_TOKEN_OUT,
                                        .handshake = USB_ACK,
                                        .endpoint = 3,
                                        .length = 2,
                                        .data = bytes}});
    expect("      1000.000 ms  endpoint 3 OUT: 76 0D ACK\n");
}
END_TEST

START_TEST(test_boards_have_names_when_there_are_several)
{
    trace.name = "desk/a";
    tell((struct board_event){.kind = BOARD_EVENT_POWER, .u.value = 1});
    expect("      1000.000 ms  desk/a: power on\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tests = tcase_create("lines");
    tcase_add_checked_fixture(tests, begin, finish);
    tcase_add_test(tests, test_a_leave_that_loses_its_status_stage);
    tcase_add_test(tests, test_a_status_stage_that_was_never_tried);
    tcase_add_test(tests, test_an_erase_is_a_status_stage_that_is_naked);
    tcase_add_test(tests, test_a_refused_operation_is_a_status_stage_that_is_stalled);
    tcase_add_test(tests, test_a_block_is_one_line_with_its_first_bytes);
    tcase_add_loop_test(tests, test_dfuse_commands_have_words, 0,
                        (int)(sizeof commands / sizeof commands[0]));
    tcase_add_test(tests, test_a_stalled_data_stage_has_no_status_stage);
    tcase_add_test(tests, test_a_request_that_gets_no_answer_at_all);
    tcase_add_test(tests, test_an_abandoned_transfer_is_told_by_the_next);
    tcase_add_test(tests, test_neighbouring_programmed_words_are_one_line);
    tcase_add_test(tests, test_dfu_states_have_their_names);
    tcase_add_test(tests, test_endpoints_are_told_but_not_their_naks);
    tcase_add_test(tests, test_boards_have_names_when_there_are_several);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
