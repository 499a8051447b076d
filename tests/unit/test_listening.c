/* Listening mode from outside: how a board gets into it and out of it, and what hostile hosts do to
 * it (facts 05 §1, §6, §7; 03 §2). */
#include <check.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_host.h"
#include "tests/unit/support_ymodem.h"

#define MS    BOARD_NS_PER_MS
#define ID    "Your device id is 1f00a2000b47abcdef323032\r\n"
#define BLUE  0x0000FF
#define GREEN 0x00FF00

static struct client client;

static void board_of(const char *release)
{
    ck_assert_msg(client_open(&client, client_board(release)), "%s does not attach", release);
}

static void teardown(void)
{
    client.board->ops->destroy(client.board);
}

static struct led led(void)
{
    return client.board->ops->led(client.board);
}

static bool blinks(uint32_t colour, uint32_t period_ms)
{
    return led().pattern == LED_TOGGLE && led().colour == colour && led().period_ms == period_ms;
}

/* A board that has credentials, and therefore does not listen. */
static void connecting_board_of(const char *release)
{
    board_of(release);
    client_send(&client, "w", 1);
    client_wait(&client, 100);
    client_send(&client, "home\r", 5);
    client_wait(&client, 200);
    client_send(&client, "0\r", 2);
    client_wait(&client, 200);
    if (strstr(client.text, "Cipher") != NULL) {
        client_send(&client, "1\r", 2);
    }
    client_wait(&client, 5000);
    ck_assert_msg(strstr(client.text, "Awesome") != NULL, "%s", client.text);
    client.board->ops->reset(client.board);
    ck_assert(client_reopen(&client));
    client_wait(&client, 1000);
    client_expect(&client, "i", "");
    client_expect(&client, "", "");
}

static void button(bool pressed)
{
    client.board->ops->button(client.board, pressed);
}

static uint32_t backup(unsigned number)
{
    return client.board->ops->backup_read(client.board, number);
}

static const char *const names[] = {"0.4.3", "0.5.2", "2.2.0"};
#define RELEASES 3

/* --- in --- */

START_TEST(test_a_board_without_credentials_listens)
{
    board_of(names[_i]);
    client_wait(&client, 300);
    ck_assert(blinks(BLUE, 250));
}
END_TEST

START_TEST(test_a_board_with_credentials_does_not)
{
    connecting_board_of(names[_i]);
    ck_assert(blinks(GREEN, 100));
}
END_TEST

START_TEST(test_setup_held_for_three_seconds_starts_it)
{
    connecting_board_of(names[_i]);
    button(true);
    client_wait(&client, 2900);
    ck_assert(blinks(GREEN, 100));
    client_wait(&client, 200);
    ck_assert(blinks(BLUE, 250));
    button(false);
    client_wait(&client, 20000);
    ck_assert(blinks(BLUE, 250));
    ck_assert_ptr_nonnull(strstr(client.text, ID));
}
END_TEST

START_TEST(test_setup_released_early_does_nothing)
{
    connecting_board_of(names[_i]);
    button(true);
    client_wait(&client, 2900);
    button(false);
    client_wait(&client, 2000);
    ck_assert(blinks(GREEN, 100));
}
END_TEST

START_TEST(test_setup_held_for_ten_seconds_erases_the_profiles)
{
    connecting_board_of(names[_i]);
    button(true);
    client_wait(&client, 9900);
    ck_assert(blinks(BLUE, 250));
    client_wait(&client, 100);
    ck_assert(blinks(BLUE, 50));
    client_wait(&client, 3000);
    button(false);
    ck_assert(blinks(BLUE, 250));
    client.board->ops->reset(client.board);
    ck_assert(client_reopen(&client));
    client_wait(&client, 300);
    ck_assert(blinks(BLUE, 250));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_setup_held_for_ten_seconds_in_listening_mode_erases_the_profiles)
{
    uint64_t before;

    board_of("0.5.2");
    before = flash_operations(photon_flash(client.board));
    button(true);
    client_wait(&client, 5000);
    ck_assert(blinks(BLUE, 250));
    client_wait(&client, 5100);
    ck_assert(blinks(BLUE, 50));
    button(false); /* too late */
    client_wait(&client, 3000);
    ck_assert(blinks(BLUE, 250));
    ck_assert_uint_gt(flash_operations(photon_flash(client.board)), before);
}
END_TEST

START_TEST(test_28800_starts_listening_from_0_5_on)
{
    connecting_board_of(names[_i]);
    ck_assert_int_eq(client_set_rate(&client, 28800), TRANSFER_OK);
    client_wait(&client, 50);
    ck_assert(blinks(BLUE, 250));
}
END_TEST

START_TEST(test_28800_starts_ymodem_in_0_4)
{
    connecting_board_of(_i == 0 ? "0.4.3" : "0.4.9");
    client_forget(&client);
    /* What was sent before still waits in the port, and is no packet. */
    ck_assert_int_eq(client_set_rate(&client, 28800), TRANSFER_OK);
    client_wait(&client, 50);
    ck_assert_int_eq(led().pattern, LED_SOLID);
    ck_assert_uint_eq(led().colour, 0xFF00FF);
    client_expect(&client, "", _i == 0 ? "" : "C");
    ck_assert(ymodem_send_header(&client, "app.bin", 3952));
    client_expect(&client, "a",
                  "\x18\x18"
                  "Aborted by user.\r\n");
    ck_assert(blinks(GREEN, 100));
}
END_TEST

START_TEST(test_28800_means_nothing_to_a_listening_board)
{
    board_of(names[_i]);
    ck_assert_int_eq(client_set_rate(&client, 28800), TRANSFER_OK);
    client_wait(&client, 300);
    ck_assert(blinks(BLUE, 250));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_14400_leaves_for_dfu)
{
    board_of(names[_i]);
    ck_assert_int_ne(client_set_rate(&client, 14400), TRANSFER_OK);
    ck_assert(client_leaves(&client, 1000));
    client_wait(&client, 3000);
    ck_assert(client.board->ops->attached(client.board));
    ck_assert_uint_eq(led().colour, 0xFFFF00);
}
END_TEST

/* 0.5.2 has flags to write first. */
START_TEST(test_dfu_is_there_after_14400_as_soon_as_it_was_measured)
{
    uint64_t asked, limit = _i == 0 ? 600 : 60;

    board_of(_i == 0 ? "0.5.2" : "2.2.0");
    client_wait(&client, 2000);
    asked = client.board->now;
    ck_assert_int_ne(client_set_rate(&client, 14400), TRANSFER_OK);
    ck_assert(client_reopen(&client));
    ck_assert_uint_ge(client.board->now - asked, (_i == 0 ? 400 : 20) * MS);
    ck_assert_uint_le(client.board->now - asked, limit * MS);
}
END_TEST

static void get_line_coding(uint8_t coding[7])
{
    ck_assert(host_in(client.board, 0xA1, 0x21, 0, coding, 7));
}

START_TEST(test_line_coding_is_9600_without_data_bits_until_it_is_set_to_anything)
{
    static const uint8_t initial[7] = {0x80, 0x25, 0, 0, 0, 0, 0};
    static const uint8_t odd[7] = {0xFF, 0xFF, 0xFF, 0xFF, 77, 88, 99};
    uint8_t coding[7];

    board_of(names[_i]);
    get_line_coding(coding);
    ck_assert_mem_eq(coding, initial, 7);
    ck_assert(host_out(client.board, 0x21, 0x20, 0, odd, 7));
    get_line_coding(coding);
    ck_assert_mem_eq(coding, odd, 7);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_packet_outside_listening_mode_gives_nothing)
{
    connecting_board_of(names[_i]);
    ymodem_send(&client, YMODEM_SOH, 0, "x", 1);
    client_wait(&client, 6000);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(blinks(GREEN, 100));
}
END_TEST

START_TEST(test_L_comes_back_listening_with_credentials)
{
    connecting_board_of(_i == 0 ? "0.5.2" : "2.2.0");
    button(true);
    client_wait(&client, 3100);
    button(false);
    client_forget(&client);
    client_send(&client, "L", 1);
    ck_assert(client_leaves(&client, 10));
    ck_assert(client_reopen(&client));
    client_wait(&client, 500);
    ck_assert(blinks(BLUE, 250));
    client_expect(&client, "i", ID);
    ck_assert_uint_ne(backup(10), 0x5A1B);
}
END_TEST

START_TEST(test_the_listening_request_without_safe_mode_is_left_alone)
{
    connecting_board_of("0.5.2");
    client.board->ops->power(client.board, false);
    photon_backup(client.board)->dr[10] = 0x5A1B;
    ck_assert(client_open(&client, client.board));
    client_wait(&client, 5000);
    ck_assert(blinks(GREEN, 100));
    ck_assert_uint_eq(backup(10), 0x5A1B);
}
END_TEST

START_TEST(test_the_listening_request_is_unknown_before_0_5)
{
    connecting_board_of("0.4.9");
    client.board->ops->power(client.board, false);
    photon_backup(client.board)->dr[10] = 0x5A1B;
    photon_backup(client.board)->dr[1] = 0x5AFE;
    ck_assert(client_open(&client, client.board));
    client_wait(&client, 2000);
    ck_assert(blinks(GREEN, 100));
}
END_TEST

/* --- hosts that misbehave --- */

START_TEST(test_a_client_that_never_reads_leaves_the_board_alive)
{
    char many[1000];
    size_t taken;

    board_of(names[_i]);
    client_expect(&client, "", "");
    (void)root_port_cancel(&client.port, &client.in);
    memset(many, 's', sizeof(many));
    taken = client_send(&client, many, sizeof(many));
    ck_assert_uint_lt(taken, 600);
    ck_assert_int_eq(client_set_rate(&client, 9600), TRANSFER_OK);
    ck_assert(client.board->ops->attached(client.board));
}
END_TEST

START_TEST(test_answers_nobody_polled_for_wait_in_the_board)
{
    board_of("0.5.2");
    (void)root_port_cancel(&client.port, &client.in);
    ck_assert_uint_eq(client_send(&client, "i", 1), 1);
    client_wait(&client, 1000);
    root_port_submit(&client.port, &client.in);
    client_expect(&client, "", ID);
}
END_TEST

START_TEST(test_ten_megabytes_of_noise_are_swallowed)
{
    static char noise[1 << 16];

    board_of("2.2.0");
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (char)('0' + i % 10);
    }
    for (unsigned i = 0; i < 160; i++) {
        ck_assert_uint_eq(client_send(&client, noise, sizeof(noise)), sizeof(noise));
    }
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_flood_of_commands_is_answered_to_the_last)
{
    char flood[401];
    size_t each = strlen(ID);

    board_of(names[_i]);
    memset(flood, 'i', sizeof(flood) - 1);
    ck_assert_uint_eq(client_send(&client, flood, 400), 400);
    client_wait(&client, 25000);
    ck_assert_uint_eq(client.length, 400 * each);
    ck_assert_mem_eq(client.text + 399 * each, ID, each);
}
END_TEST

/* --- time machines --- */

START_TEST(test_a_clone_goes_on_in_the_middle_of_a_dialogue)
{
    struct board *copy, *original;

    board_of("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "ho", "ho");
    original = client.board;
    copy = original->ops->clone(original);
    ck_assert_ptr_nonnull(copy);
    original->ops->destroy(original);
    client.board = copy;
    client.port.board = copy;
    client.port.attaches = copy->attaches;
    client_expect(&client, "me\x08\r", "me\x08\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
}
END_TEST

START_TEST(test_a_reset_in_a_dialogue_ends_it)
{
    board_of("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client.board->ops->reset(client.board);
    ck_assert(client_reopen(&client));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_a_board_that_was_told_to_forget_its_profiles_does)
{
    uint8_t flag[2] = {1, 0};

    connecting_board_of("0.5.2");
    client.board->ops->power(client.board, false);
    for (unsigned copy = 0; copy < 2; copy++) {
        uint32_t sector = copy == 0 ? MAP_DCT1 : MAP_DCT2;

        ck_assert(flash_load(photon_flash(client.board), sector + DCT_APPLICATION + 6, flag, 2));
    }
    ck_assert(client_open(&client, client.board));
    client_wait(&client, 300);
    ck_assert(blinks(BLUE, 250));
}
END_TEST

static void add_entries(TCase *tests)
{
    tcase_add_loop_test(tests, test_a_board_without_credentials_listens, 0, RELEASES);
    tcase_add_loop_test(tests, test_a_board_with_credentials_does_not, 0, RELEASES);
    tcase_add_loop_test(tests, test_setup_held_for_three_seconds_starts_it, 0, RELEASES);
    tcase_add_loop_test(tests, test_setup_released_early_does_nothing, 0, RELEASES);
    tcase_add_loop_test(tests, test_setup_held_for_ten_seconds_erases_the_profiles, 0, RELEASES);
    tcase_add_test(tests, test_setup_held_for_ten_seconds_in_listening_mode_erases_the_profiles);
    tcase_add_loop_test(tests, test_28800_starts_listening_from_0_5_on, 1, RELEASES);
    tcase_add_loop_test(tests, test_28800_starts_ymodem_in_0_4, 0, 2);
    tcase_add_loop_test(tests, test_28800_means_nothing_to_a_listening_board, 0, RELEASES);
    tcase_add_loop_test(tests, test_14400_leaves_for_dfu, 0, RELEASES);
    tcase_add_loop_test(tests, test_dfu_is_there_after_14400_as_soon_as_it_was_measured, 0, 2);
    tcase_add_loop_test(
        tests, test_line_coding_is_9600_without_data_bits_until_it_is_set_to_anything, 0, RELEASES);
    tcase_add_loop_test(tests, test_a_packet_outside_listening_mode_gives_nothing, 0, RELEASES);
    tcase_add_loop_test(tests, test_L_comes_back_listening_with_credentials, 0, 2);
    tcase_add_test(tests, test_the_listening_request_without_safe_mode_is_left_alone);
    tcase_add_test(tests, test_the_listening_request_is_unknown_before_0_5);
}

static void add_hosts(TCase *tests)
{
    tcase_add_loop_test(tests, test_a_client_that_never_reads_leaves_the_board_alive, 0, RELEASES);
    tcase_add_test(tests, test_answers_nobody_polled_for_wait_in_the_board);
    tcase_add_test(tests, test_ten_megabytes_of_noise_are_swallowed);
    tcase_add_loop_test(tests, test_a_flood_of_commands_is_answered_to_the_last, 0, RELEASES);
    tcase_add_test(tests, test_a_clone_goes_on_in_the_middle_of_a_dialogue);
    tcase_add_test(tests, test_a_reset_in_a_dialogue_ends_it);
    tcase_add_test(tests, test_a_board_that_was_told_to_forget_its_profiles_does);
}

int main(void)
{
    Suite *suite = suite_create("listening");
    TCase *tests = tcase_create("listening");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 120);
    add_entries(tests);
    add_hosts(tests);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
