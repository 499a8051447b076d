/* What the YMODEM receiver makes of senders that do not keep to the protocol (facts 05 §5, §7; what
 * was not recorded: device-os, system/src/system_ymodem.cpp of the releases named). */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "devmodel/flash_map.h"
#include "tests/unit/support_ymodem.h"

#define MS     BOARD_NS_PER_MS
#define PROMPT "Waiting for the binary file to be sent ... (press 'a' to abort)\r\n"
#define FAILED "Failed to receive the file!\r\n"
#define ID     "Your device id is 1f00a2000b47abcdef323032\r\n"

/* From 0.6.1 on every failed transfer ends with two CAN more. */
#define FAILED_0_6_1 "\x18\x18" FAILED

static struct client client;
static uint8_t file[3952];

/* A board that waits for the header. */
static void receiver_of(const char *release)
{
    ck_assert_msg(client_open(&client, client_board(release)), "%s does not attach", release);
    client_expect(&client, "f", PROMPT);
    for (size_t i = 0; i < sizeof(file); i++) {
        file[i] = (uint8_t)(i * 7 + i / 256);
    }
}

/* The same, after the header of a file. */
static void file_receiver_of(const char *release)
{
    receiver_of(release);
    ck_assert(ymodem_send_header(&client, "app.bin", sizeof(file)));
}

static void teardown(void)
{
    client.board->ops->destroy(client.board);
}

static void expect_led(enum led_pattern pattern, uint32_t colour)
{
    struct led led = client.board->ops->led(client.board);

    ck_assert_int_eq(led.pattern, pattern);
    ck_assert_uint_eq(led.colour, colour);
}

static bool slot_has(const void *data, size_t length)
{
    static uint8_t bytes[sizeof(file)];

    ck_assert(client.board->ops->flash_read(client.board, MAP_OTA, bytes, length));
    return memcmp(bytes, data, length) == 0;
}

START_TEST(test_silence_is_answered_by_six_c_and_a_cancel)
{
    static const char *const releases[] = {"0.4.9", "0.5.2", "2.2.0"};
    const char *last = _i < 2 ? "C\x18\x18" FAILED : "C\x18\x18" FAILED_0_6_1;
    const char *const answers[] = {"C", "C", "C", "C", "C", last};
    uint64_t start;

    ck_assert(client_open(&client, client_board(releases[_i])));
    start = client.board->now;
    client_send(&client, "f", 1);
    ck_assert(client_hears(&client, PROMPT, strlen(PROMPT), 1000));
    for (uint64_t i = 0; i < 6; i++) {
        ck_assert(client_hears(&client, answers[i], strlen(answers[i]), 6000));
        ck_assert_uint_ge(client.heard - start, (i + 1) * 5000 * MS);
        ck_assert_uint_le(client.heard - start, (i + 1) * 5000 * MS + 100 * MS);
    }
    client_expect(&client, "i", ID);
}
END_TEST

/* Nothing that goes wrong before the first packet counts, and nothing is said about it. */
START_TEST(test_up_to_0_4_7_the_receiver_waits_for_ever)
{
    receiver_of(_i == 0 ? "0.4.3" : "0.4.7");
    client_wait(&client, 3600000);
    client_expect(&client, "x yz1234", "");
    client_expect(&client, "\x18x", "");
    ck_assert(ymodem_send_header(&client, "app.bin", sizeof(file)));
    client_expect(&client, " x", "CC");
    client_expect(&client, "a",
                  "\x18\x18"
                  "Aborted by user.\r\n");
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_up_to_0_4_7_a_sender_that_stops_is_asked_again_after_minutes)
{
    file_receiver_of("0.4.4");
    client_wait(&client, 120000);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client_hears(&client, "C", 1, 480000));
}
END_TEST

START_TEST(test_single_bytes_are_answered_as_they_were)
{
    receiver_of("0.5.2");
    client_expect(&client, " ", "\x06");
    client_expect(&client, "x", "C");
    client_expect(&client, "yz", "CC");
    client_expect(&client, "1234", "CCC\x18\x18" FAILED);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_sender_cancels_with_two_can)
{
    receiver_of("0.5.2");
    client_expect(&client, "\x18x", "C");
    client_expect(&client, "\x18\x18", "\x06" FAILED);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_the_user_aborts_with_a)
{
    static const struct {
        const char *release, *key, *answer;
    } aborts[] = {
        {"0.4.3", "a",
         "\x18\x18"
         "Aborted by user.\r\n"},
        {"0.5.2", "A",
         "\x18\x18"
         "Aborted by user.\r\n"},
        {"2.2.0", "a",
         "\x18\x18\x18\x18"
         "Aborted by user.\r\n"},
    };

    file_receiver_of(aborts[_i].release);
    client_expect(&client, aborts[_i].key, aborts[_i].answer);
    expect_led(LED_TOGGLE, 0x0000FF);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_end_of_transmission_before_any_header_ends_in_a_failure)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length = ymodem_packet(packet, YMODEM_SOH, 0, NULL, 0);

    receiver_of(_i == 0 ? "0.5.2" : _i == 1 ? "0.6.3" : "2.2.0");
    client_expect(&client, "\x04", "\x06");
    client_expect_bytes(&client, packet, length, _i == 0 ? "\x06" FAILED : FAILED_0_6_1,
                        _i == 0 ? 1 + strlen(FAILED) : strlen(FAILED_0_6_1));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_wrong_sequence_number_is_refused_and_forgiven)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length;

    file_receiver_of("0.5.2");
    length = ymodem_packet(packet, YMODEM_STX, 7, file, 1024);
    client_expect_bytes(&client, packet, length, "\x15", 1);
    length = ymodem_packet(packet, YMODEM_SOH, 0, "again", 6);
    client_expect_bytes(&client, packet, length, "\x15", 1);
    ck_assert(ymodem_send_data(&client, file, sizeof(file)));
    ck_assert(slot_has(file, sizeof(file)));
}
END_TEST

START_TEST(test_a_wrong_complement_is_an_error)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length;

    file_receiver_of("2.2.0");
    length = ymodem_packet(packet, YMODEM_SOH, 1, "data", 4);
    packet[2] ^= 1;
    client_expect_bytes(&client, packet, length, "C", 1);
}
END_TEST

START_TEST(test_packets_of_128_bytes_and_any_crc_do_as_well)
{
    uint8_t packet[YMODEM_PACKET_MAX];

    file_receiver_of("0.5.2");
    for (uint8_t i = 0; i < 16; i++) {
        size_t length = ymodem_packet(packet, YMODEM_SOH, (uint8_t)(i + 1), file + i * 128, 128);

        packet[length - 1] = i;
        client_expect_bytes(&client, packet, length, "\x06", 1);
    }
    ck_assert(slot_has(file, 16 * 128));
}
END_TEST

START_TEST(test_sizes_of_nothing_and_of_too_much_are_taken_without_an_erase)
{
    static const unsigned long sizes[] = {0, 300000};
    uint64_t start;

    receiver_of(_i < 2 ? "0.5.2" : "2.2.0");
    start = client.board->now;
    ck_assert(ymodem_send_header(&client, "big.bin", sizes[_i % 2]));
    ck_assert_uint_le(client.heard - start, 2 * MS);
    expect_led(LED_SOLID, 0xFF00FF);
}
END_TEST

START_TEST(test_a_sender_that_stops_in_a_packet_is_asked_again)
{
    file_receiver_of("2.2.0");
    client_send(&client, "\x02\x01\xFE rest", 8);
    ck_assert(client_hears(&client, "C", 1, 5100));
    client_wait(&client, 4800);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client_hears(&client, "C", 1, 300));
}
END_TEST

START_TEST(test_data_over_programmed_cells_are_refused)
{
    static const char before_0_7[] = "\x18\x18"
                                     "Verification failed!\r\n";
    static const char since_0_7[] = "\x18\x18\x18\x18"
                                    "Failed to save chunk!\r\n";
    const char *text = _i == 0 ? before_0_7 : since_0_7;
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length = ymodem_packet(packet, YMODEM_STX, 1, "\xFF\xFF\xFF\xFF", 4);

    ck_assert(client_open(&client, client_board(_i == 0 ? "0.5.2" : "2.2.0")));
    ck_assert(flash_load(photon_flash(client.board), MAP_OTA, "\0\0\0\0", 4));
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_header(&client, "app.bin", 300000));
    client_expect_bytes(&client, packet, length, text, strlen(text));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_file_longer_than_the_flash_behind_the_slot_faults_the_board)
{
    static const uint8_t data[1024];
    uint64_t start;

    receiver_of("0.5.2");
    ck_assert(ymodem_send_header(&client, "big.bin", 300000));
    for (unsigned number = 1; number <= 256; number++) {
        ymodem_send(&client, YMODEM_STX, (uint8_t)number, data, sizeof(data));
        ck_assert_msg(client_hears(&client, "\x06", 1, 1000), "packet %u", number);
    }
    start = client.board->now;
    ymodem_send(&client, YMODEM_STX, (uint8_t)257, data, sizeof(data));
    ck_assert(client_leaves(&client, 20000));
    ck_assert_uint_ge(client.board->now - start, 10400 * MS);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client_reopen(&client));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_the_size_ends_at_a_blank_or_nul_and_is_nothing_without_digits)
{
    static const struct {
        const char *header;
        size_t length;
        bool erases;
    } headers[] = {
        {"a\0"
         "3952",
         6, true},
        {"a\0"
         "3952 1",
         8, true},
        {"a\0"
         "x",
         3, false},
        {"a\0"
         ":",
         3, false},
        {"a\0"
         "0000000000000000000003952",
         27, false},
    };
    uint64_t start;

    receiver_of("2.2.0");
    start = client.board->now;
    ymodem_send(&client, YMODEM_SOH, 0, headers[_i].header, headers[_i].length);
    ck_assert(client_hears(&client, "\x06\x43", 2, 5000));
    ck_assert_int_eq(client.heard - start > 900 * MS, headers[_i].erases);
}
END_TEST

#define TOO_LARGE "The file size is higher than the allowed space memory!\r\n"

/* The receiver returns the size, or why it gave up, as one signed number of 32 bits; strtoul()
 * reads the size. */
static const struct {
    const char *digits, *text;
} sizes_that_mean_failures[] = {
    {"2147483648", FAILED},
    {"4294967292", FAILED},
    {"4294967293", "Aborted by user.\r\n"},
    {"4294967294", "Verification failed!\r\n"},
    {"4294967295", TOO_LARGE},
    {"4294967296", TOO_LARGE},
    {"9999999999999999", TOO_LARGE},
    {"-1", TOO_LARGE},
    {"\t-2", "Verification failed!\r\n"},
    {"+0", FAILED},
    {"--1", FAILED},
};
#define SIZES_THAT_MEAN_FAILURES                                                                   \
    (sizeof(sizes_that_mean_failures) / sizeof(sizes_that_mean_failures[0]))

START_TEST(test_sizes_from_2_gib_on_mean_failures_to_0_6_0)
{
    char header[64], expected[80];
    int length =
        snprintf(header, sizeof(header), "big.bin%c%s ", 0, sizes_that_mean_failures[_i].digits);
    uint64_t start;

    receiver_of("0.5.2");
    start = client.board->now;
    ymodem_send(&client, YMODEM_SOH, 0, header, (size_t)length);
    ck_assert(client_hears(&client, "\x06\x43", 2, 1000));
    ck_assert_uint_le(client.heard - start, 2 * MS); /* no erase */
    ck_assert(ymodem_send_data(&client, file, 2000));
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    snprintf(expected, sizeof(expected), "\x06%s", sizes_that_mean_failures[_i].text);
    client_expect(&client, "", expected);
    expect_led(LED_TOGGLE, 0x0000FF);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_sizes_from_2_gib_on_are_refused_without_a_look_at_the_file_from_0_6_1_on)
{
    static const struct {
        const char *release;
        unsigned long size;
        const char *text;
    } refused[] = {
        {"0.6.3", 2147483648, FAILED},
        {"1.5.0", 4294967294, "Failed to save chunk!\r\n"},
        {"2.2.0", 4294967295, TOO_LARGE},
        {"2.2.0", 4294967293, "Aborted by user.\r\n"},
    };
    char expected[80];

    receiver_of(refused[_i].release);
    ck_assert(ymodem_send_header(&client, "big.bin", refused[_i].size));
    ck_assert(ymodem_send_data(&client, file, 2000));
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    snprintf(expected, sizeof(expected), "\x18\x18%s", refused[_i].text);
    client_expect(&client, "", expected);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_the_largest_size_is_announced_as_it_was)
{
    receiver_of("0.5.2");
    ck_assert(ymodem_send_header(&client, "big.bin", 2147483647));
    ck_assert(ymodem_send_data(&client, file, 2000));
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    ck_assert(client_hears(&client,
                           "\x06\r\nDownloaded file successfully!\r\nName: big.bin\r\n"
                           "Size: 2147483647 bytes\r\n",
                           73, 1000));
}
END_TEST

START_TEST(test_a_header_that_is_all_name_has_no_size)
{
    char name[128];
    uint64_t start;

    memset(name, 'n', sizeof(name));
    receiver_of("2.2.0");
    start = client.board->now;
    ymodem_send(&client, YMODEM_SOH, 0, name, sizeof(name));
    ck_assert(client_hears(&client, "\x06\x43", 2, 1000));
    ck_assert_uint_le(client.heard - start, 2 * MS);
}
END_TEST

/* The sixth error in a row ends the session, whatever the errors are. */
START_TEST(test_six_packets_with_wrong_complements_end_the_session)
{
    const char *last = _i < 2 ? "C\x18\x18" FAILED : "C\x18\x18" FAILED_0_6_1;
    const char *const answers[] = {"C", "C", "C", "C", "C", last};
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length;

    file_receiver_of(_i == 0 ? "0.4.3" : _i == 1 ? "0.5.2" : "2.2.0");
    length = ymodem_packet(packet, YMODEM_SOH, 1, "data", 4);
    packet[2] ^= 1;
    for (size_t i = 0; i < 6; i++) {
        client_expect_bytes(&client, packet, length, answers[i], strlen(answers[i]));
    }
    expect_led(LED_TOGGLE, 0x0000FF);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_good_packet_makes_up_for_five_errors)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length;

    receiver_of("0.5.2");
    client_expect(&client, "vwxyz", "CCCCC");
    ck_assert(ymodem_send_header(&client, "app.bin", sizeof(file)));
    client_expect(&client, "vwxyz", "CCCCC");
    length = ymodem_packet(packet, YMODEM_STX, 7, file, 1024); /* good, though out of turn */
    client_expect_bytes(&client, packet, length, "\x15", 1);
    client_expect(&client, "vwxyz", "CCCCC");
    ck_assert(ymodem_send_data(&client, file, sizeof(file)));
    ck_assert(slot_has(file, sizeof(file)));
    client_expect(&client, "vwxyz1", "CCCCCC\x18\x18" FAILED);
}
END_TEST

START_TEST(test_a_sender_cancels_in_the_middle_of_a_file)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t length = ymodem_packet(packet, YMODEM_STX, 1, file, 1024);

    file_receiver_of(_i == 0 ? "0.5.2" : "2.2.0");
    client_expect_bytes(&client, packet, length, "\x06", 1);
    client_expect(&client, "\x18\x18", _i == 0 ? "\x06" FAILED : "\x06" FAILED_0_6_1);
    expect_led(LED_TOGGLE, 0x0000FF);
    client_expect(&client, "i", ID);
    ck_assert(client.board->ops->attached(client.board));
}
END_TEST

START_TEST(test_without_the_empty_header_the_board_waits_for_it)
{
    file_receiver_of(_i == 0 ? "0.5.2" : "2.2.0");
    ck_assert(ymodem_send_data(&client, file, sizeof(file)));
    client_wait(&client, 4900);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client_hears(&client, "C", 1, 200));
    client_wait(&client, 4900);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client_hears(&client, "C", 1, 200));
}
END_TEST

/* The sender of the file before is not the last. */
START_TEST(test_a_second_file_takes_the_place_of_the_first)
{
    file_receiver_of("0.5.2");
    ck_assert(ymodem_send_data(&client, file, sizeof(file)));
    file[0] ^= 0xFF;
    ck_assert(ymodem_send_header(&client, "second.bin", sizeof(file)));
    ck_assert(ymodem_send_data(&client, file, sizeof(file)));
    ck_assert(slot_has(file, sizeof(file)));
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    ck_assert(client_hears(&client,
                           "\x06\r\nDownloaded file successfully!\r\nName: second.bin\r\n"
                           "Size: 3952 bytes\r\n",
                           66, 1000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ymodem senders");
    TCase *tests = tcase_create("senders");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_silence_is_answered_by_six_c_and_a_cancel, 0, 3);
    tcase_add_loop_test(tests, test_up_to_0_4_7_the_receiver_waits_for_ever, 0, 2);
    tcase_add_test(tests, test_up_to_0_4_7_a_sender_that_stops_is_asked_again_after_minutes);
    tcase_add_test(tests, test_single_bytes_are_answered_as_they_were);
    tcase_add_test(tests, test_a_sender_cancels_with_two_can);
    tcase_add_loop_test(tests, test_the_user_aborts_with_a, 0, 3);
    tcase_add_loop_test(tests, test_end_of_transmission_before_any_header_ends_in_a_failure, 0, 3);
    tcase_add_test(tests, test_a_wrong_sequence_number_is_refused_and_forgiven);
    tcase_add_test(tests, test_a_wrong_complement_is_an_error);
    tcase_add_test(tests, test_packets_of_128_bytes_and_any_crc_do_as_well);
    tcase_add_loop_test(tests, test_sizes_of_nothing_and_of_too_much_are_taken_without_an_erase, 0,
                        4);
    tcase_add_test(tests, test_a_sender_that_stops_in_a_packet_is_asked_again);
    tcase_add_loop_test(tests, test_data_over_programmed_cells_are_refused, 0, 2);
    tcase_add_test(tests, test_a_file_longer_than_the_flash_behind_the_slot_faults_the_board);
    tcase_add_loop_test(tests, test_the_size_ends_at_a_blank_or_nul_and_is_nothing_without_digits,
                        0, 5);
    tcase_add_loop_test(tests, test_sizes_from_2_gib_on_mean_failures_to_0_6_0, 0,
                        SIZES_THAT_MEAN_FAILURES);
    tcase_add_loop_test(
        tests, test_sizes_from_2_gib_on_are_refused_without_a_look_at_the_file_from_0_6_1_on, 0, 4);
    tcase_add_test(tests, test_the_largest_size_is_announced_as_it_was);
    tcase_add_test(tests, test_a_header_that_is_all_name_has_no_size);
    tcase_add_loop_test(tests, test_six_packets_with_wrong_complements_end_the_session, 0, 3);
    tcase_add_test(tests, test_a_good_packet_makes_up_for_five_errors);
    tcase_add_loop_test(tests, test_a_sender_cancels_in_the_middle_of_a_file, 0, 2);
    tcase_add_loop_test(tests, test_without_the_empty_header_the_board_waits_for_it, 0, 2);
    tcase_add_test(tests, test_a_second_file_takes_the_place_of_the_first);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
