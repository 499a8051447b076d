/* Updates by YMODEM: what the sender hears, and what the board makes of the module (facts 05 §5,
 * §7; 03 §9). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_ymodem.h"

#define MS     BOARD_NS_PER_MS
#define PROMPT "Waiting for the binary file to be sent ... (press 'a' to abort)\r\n"
#define FAILED "Failed to receive the file!\r\n"
#define ID     "Your device id is 1f00a2000b47abcdef323032\r\n"

static struct client client;
static uint8_t image[FACTORY_MAX_SIZE];
static size_t size;

static void board_of(const char *release)
{
    ck_assert_msg(client_open(&client, client_board(release)), "%s does not attach", release);
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

/* --- modules --- */

static void module_of(const char *release, enum factory_module which)
{
    size = factory_build(release_find(release), which, support_sha256, image);
}

static struct module_spec application(uint16_t needs_part2)
{
    return (struct module_spec){
        .info = {.start = MAP_USER,
                 .version = 42,
                 .platform = MAP_PLATFORM_PHOTON,
                 .function = MODULE_USER_PART,
                 .index = 1,
                 .dependency = {{MODULE_SYSTEM_PART, 2, needs_part2}}},
        .size = 3952,
        .suffix_size = 36,
        .fill_seed = 7,
        .digest = support_sha256,
    };
}

static void build(const struct module_spec *spec)
{
    ck_assert(module_build(spec, image));
    size = spec->size;
}

static void build_application(uint16_t needs_part2)
{
    struct module_spec spec = application(needs_part2);

    build(&spec);
}

static bool flash_has(uint32_t address, const void *data, size_t length)
{
    static uint8_t bytes[FACTORY_MAX_SIZE];

    ck_assert(client.board->ops->flash_read(client.board, address, bytes, length));
    return memcmp(bytes, data, length) == 0;
}

/* Everything from `f` to the empty header. */
static void update(const char *name)
{
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_file(&client, name, image, size));
}

static void expect_success(const char *name, bool announces)
{
    char text[160];
    int length =
        snprintf(text, sizeof(text),
                 "\x06\r\nDownloaded file successfully!\r\nName: %s\r\nSize: %zu bytes\r\n%s", name,
                 size, announces ? "Restarting system to apply firmware update...\r\n" : "");

    ck_assert_msg(client_hears(&client, text, (size_t)length, 2000), "%s", client.text);
    ck_assert_msg(client_leaves(&client, 1200), "no reset");
    ck_assert_uint_eq(client.length, 0);
}

/* --- the whole way --- */

static const char *const applications[] = {"0.4.3", "0.4.4", "0.4.9", "0.5.2",
                                           "0.6.3", "0.7.0", "1.5.0", "2.2.0"};

START_TEST(test_an_application_runs_after_the_update)
{
    board_of(applications[_i]);
    build_application(1);
    update("app.bin");
    expect_success("app.bin", _i >= 2); /* 0.4.9 */
    ck_assert(flash_has(MAP_OTA, image, size));
    ck_assert(client_reopen(&client));
    ck_assert(flash_has(MAP_USER, image, size));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_0_5_2_answers_at_the_times_that_were_measured)
{
    uint64_t start;

    board_of("0.5.2");
    build_application(1);
    client_expect(&client, "f", PROMPT);
    start = client.board->now;
    ck_assert(ymodem_send_header(&client, "photon_tinker.bin", size));
    ck_assert_uint_ge(client.heard - start, 1000 * MS);
    ck_assert_uint_le(client.heard - start, 1020 * MS);
    expect_led(LED_SOLID, 0xFF00FF);
    start = client.board->now;
    ymodem_send(&client, YMODEM_STX, 1, image, 1024);
    ck_assert(client_hears(&client, "\x06", 1, 1000));
    ck_assert_uint_le(client.heard - start, 12 * MS);
    expect_led(LED_OFF, 0);
    for (uint8_t number = 2; number <= 4; number++) {
        size_t at = (number - 1) * 1024u;

        ymodem_send(&client, YMODEM_STX, number, image + at, size - at < 1024 ? size - at : 1024);
        ck_assert(client_hears(&client, "\x06", 1, 1000));
    }
    client_expect_bytes(&client, "\x04", 1, "\x06", 1);
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    start = client.board->now;
    client_wait(&client, 990);
    ck_assert_str_eq(client.text, "\x06\r\nDownloaded file successfully!\r\n"
                                  "Name: photon_tinker.bin\r\nSize: 3952 bytes\r\n");
    client_forget(&client);
    client_wait(&client, 20);
    ck_assert_str_eq(client.text, "Restarting system to apply firmware update...\r\n");
    expect_led(LED_TOGGLE, 0x0000FF);
    ck_assert(client_leaves(&client, 1000));
    ck_assert_uint_ge(client.board->now - start, 1100 * MS);
    ck_assert_uint_le(client.board->now - start, 1110 * MS);
}
END_TEST

START_TEST(test_the_padding_of_the_last_packet_is_stored)
{
    uint8_t padding[4096 - 3952] = {0};

    board_of("0.5.2");
    build_application(1);
    update("app.bin");
    ck_assert(flash_has(MAP_OTA + 3952, padding, sizeof(padding)));
    padding[0] = 0xFF;
    ck_assert(flash_has(MAP_OTA + 4096, padding, 1));
}
END_TEST

START_TEST(test_2_2_stores_the_update_before_the_last_ack)
{
    uint64_t start;

    board_of("2.2.0");
    build_application(1);
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_header(&client, "app.bin", size));
    ck_assert(ymodem_send_data(&client, image, size));
    start = client.board->now;
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    ck_assert(client_hears(&client, "\x06", 1, 5000));
    ck_assert_uint_ge(client.heard - start, 450 * MS);
    ck_assert_uint_le(client.heard - start, 600 * MS);
}
END_TEST

START_TEST(test_both_system_parts_by_ymodem_make_a_0_4_3_a_0_4_4)
{
    board_of("0.4.3");
    client_expect(&client, "v", "");
    for (enum factory_module which = FACTORY_PART1; which <= FACTORY_PART2; which++) {
        module_of("0.4.4", which);
        update("part.bin");
        expect_success("part.bin", false);
        ck_assert(client_reopen(&client));
    }
    client_expect(&client, "v", "system firmware version: 0.4.4\n\r\n");
    client_send(&client, "s", 1);
    client_wait(&client, 500);
    ck_assert_int_eq(client.text[0], '{');
}
END_TEST

START_TEST(test_a_bootloader_is_installed_at_once)
{
    board_of("0.5.2");
    module_of("0.6.3", FACTORY_BOOTLOADER);
    update("bootloader.bin");
    expect_success("bootloader.bin", true);
    ck_assert(flash_has(MAP_BOOTLOADER, image, size));
    ck_assert(client_reopen(&client));
    client_send(&client, "s", 1);
    client_wait(&client, 500);
    ck_assert_ptr_nonnull(strstr(client.text, "\"f\":\"b\",\"n\":\"0\",\"v\":11,"));
}
END_TEST

START_TEST(test_an_application_that_needs_a_newer_system_is_taken)
{
    board_of("0.5.2");
    build_application(99);
    update("app.bin");
    expect_success("app.bin", true);
    ck_assert(client_reopen(&client));
    client_send(&client, "s", 1);
    client_wait(&client, 500);
    ck_assert_ptr_nonnull(strstr(client.text, "\"vv\":26,\"u\""));
    ck_assert_ptr_nonnull(
        strstr(client.text, "\"v\":42,\"d\":[{\"f\":\"s\",\"n\":\"2\",\"v\":99,"));
}
END_TEST

/* --- modules that are refused --- */

static void damaged(void)
{
    build_application(1);
    image[1000] ^= 1;
}

static void for_a_p1(void)
{
    struct module_spec spec = application(1);

    spec.info.platform = MAP_PLATFORM_P1;
    build(&spec);
}

static void (*const bad_modules[])(void) = {damaged, for_a_p1};

START_TEST(test_up_to_0_6_0_a_bad_module_looks_like_success_and_is_not_installed)
{
    uint8_t before[16];

    board_of(_i < 2 ? "0.5.2" : "0.6.0");
    ck_assert(client.board->ops->flash_read(client.board, MAP_USER, before, sizeof(before)));
    bad_modules[_i % 2]();
    update("bad.bin");
    expect_success("bad.bin", true);
    ck_assert(client_reopen(&client));
    ck_assert(flash_has(MAP_USER, before, sizeof(before)));
    client_expect(&client, "i", ID);
}
END_TEST

static void for_a_p1_and_damaged(void)
{
    for_a_p1();
    image[1000] ^= 1;
}

/* It ends behind the place that it is for. */
static void too_long(void)
{
    struct module_spec spec = application(1);

    spec.size = 0x20800;
    build(&spec);
}

static void an_index_that_nobody_has(void)
{
    struct module_spec spec = application(1);

    spec.info.function = MODULE_SYSTEM_PART;
    spec.info.index = 9;
    build(&spec);
}

/* The installed part1 does not do for it. */
static void a_part2_too_new(void)
{
    module_of("2.2.0", FACTORY_PART2);
}

static void no_module(void)
{
    size = 2000;
    memset(image, 0x55, size);
}

/* The number has a bit for each check that failed: CRC 2, dependencies 4 and 64, range 8, platform
 * 16 (device-os v0.6.1, v1.5.0 hal/inc/ota_flash_hal.h, ota_module.cpp; 0x2 recorded of 1.5.0). */
static const struct {
    const char *release;
    void (*make)(void);
    const char *text;
} refused[] = {
    {"0.6.3", damaged, "0x2"},
    {"0.7.0", damaged, "0x2"},
    {"1.5.0", damaged, "0x2"},
    {"0.6.3", for_a_p1, "0x10"},
    {"1.5.0", for_a_p1_and_damaged, "0x12"},
    {"1.5.0", too_long, "0x5e"},
    {"1.5.0", an_index_that_nobody_has, "0x5e"},
    {"0.7.0", a_part2_too_new, "0x44"},
    {"0.7.0", no_module, "0x5e"},
};

START_TEST(test_since_0_6_1_a_bad_module_is_called_bad_and_listening_goes_on)
{
    char expected[64];

    board_of(refused[_i].release);
    refused[_i].make();
    update("bad.bin");
    snprintf(expected, sizeof(expected), "\x18\x18Validation failed: %s\r\n", refused[_i].text);
    client_expect(&client, "", expected);
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_2_2_resets_without_a_word_on_a_bad_module)
{
    uint64_t start;

    board_of("2.2.0");
    bad_modules[_i]();
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_header(&client, "bad.bin", size));
    ck_assert(ymodem_send_data(&client, image, size));
    start = client.board->now;
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    ck_assert(client_leaves(&client, 100));
    ck_assert_uint_le(client.board->now - start, 20 * MS);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client_reopen(&client));
    client_expect(&client, "i", ID);
}
END_TEST

START_TEST(test_2_2_refuses_a_part1_that_is_too_old_for_its_part2)
{
    board_of("2.2.0");
    module_of("0.6.3", FACTORY_PART1);
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_file(&client, "part1.bin", image, size));
    ck_assert(client_leaves(&client, 100));
    ck_assert_uint_eq(client.length, 0);
}
END_TEST

/* The settings' driver tries to erase for ever. */
START_TEST(test_write_protected_settings_hang_the_board_when_the_update_is_stored)
{
    board_of("2.2.0");
    build_application(1);
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_header(&client, "app.bin", size));
    ck_assert(ymodem_send_data(&client, image, size));
    flash_set_nwrp(photon_flash(client.board),
                   (uint16_t)(FLASH_NWRP_NONE & ~(1U << MAP_SECTOR_DCT1 | 1U << MAP_SECTOR_DCT2)));
    ymodem_send(&client, YMODEM_SOH, 0, NULL, 0);
    client_wait(&client, 60000);
    ck_assert_uint_eq(client.length, 0);
    ck_assert(client.board->ops->attached(client.board));
    ck_assert_uint_eq(client.board->ops->ready_at(client.board), BOARD_NEVER);
}
END_TEST

/* --- how a transfer begins --- */

START_TEST(test_from_0_5_on_a_header_starts_the_receiver)
{
    board_of(_i == 0 ? "0.5.2" : "2.2.0");
    ck_assert(ymodem_send_header(&client, "app.bin", 3952));
    client_expect(&client, "a",
                  _i == 0 ? "\x18\x18"
                            "Aborted by user.\r\n"
                          : "\x18\x18\x18\x18"
                            "Aborted by user.\r\n");
}
END_TEST

START_TEST(test_in_0_4_a_header_alone_is_swallowed)
{
    board_of("0.4.4");
    ymodem_send(&client, YMODEM_SOH, 0, "x", 1);
    client_wait(&client, 2000);
    ck_assert_uint_eq(client.length, 0);
}
END_TEST

START_TEST(test_f_of_0_4_2_hears_and_says_nothing)
{
    board_of("0.4.2");
    client_expect(&client, "f", "");
    ymodem_send(&client, YMODEM_SOH, 0, "x", 1);
    client_wait(&client, 5000);
    ck_assert_uint_eq(client.length, 0);
    client_wait(&client, 3600000);
    client_expect(&client, "i", "");
    client.board->ops->reset(client.board);
    ck_assert(client_reopen(&client));
    client_expect(&client, "i", ID);
}
END_TEST

/* The same stream, or rather none. */
START_TEST(test_28800_of_0_4_2_hears_and_says_nothing)
{
    board_of("0.4.2");
    client_send(&client, "x", 1);
    client_wait(&client, 100);
    ck_assert_int_eq(client_set_rate(&client, 28800), TRANSFER_OK);
    expect_led(LED_SOLID, 0xFF00FF);
    ymodem_send(&client, YMODEM_SOH, 0, "x", 1);
    client_expect(&client, "a", "");
    expect_led(LED_SOLID, 0xFF00FF);
}
END_TEST

START_TEST(test_the_board_survives_ten_megabytes_of_garbage)
{
    static uint8_t garbage[1 << 20];
    uint32_t seed = 1;

    board_of("2.2.0");
    client_expect(&client, "f", PROMPT);
    ck_assert(ymodem_send_header(&client, "app.bin", 3952));
    for (size_t i = 0; i < sizeof(garbage); i++) {
        seed = seed * 1103515245 + 12345;
        garbage[i] = (uint8_t)(seed >> 16);
    }
    for (unsigned i = 0; i < 10; i++) {
        client_send(&client, garbage, sizeof(garbage));
        client_forget(&client);
        if (client.gone) { /* there was an L among it */
            ck_assert(client_reopen(&client));
        }
    }
    client.board->ops->reset(client.board);
    ck_assert(client_reopen(&client));
    client_expect(&client, "i", ID);
}
END_TEST

static void add_updates(TCase *tests)
{
    tcase_add_loop_test(tests, test_an_application_runs_after_the_update, 0,
                        sizeof(applications) / sizeof(applications[0]));
    tcase_add_test(tests, test_0_5_2_answers_at_the_times_that_were_measured);
    tcase_add_test(tests, test_the_padding_of_the_last_packet_is_stored);
    tcase_add_test(tests, test_2_2_stores_the_update_before_the_last_ack);
    tcase_add_test(tests, test_both_system_parts_by_ymodem_make_a_0_4_3_a_0_4_4);
    tcase_add_test(tests, test_a_bootloader_is_installed_at_once);
    tcase_add_test(tests, test_an_application_that_needs_a_newer_system_is_taken);
    tcase_add_loop_test(
        tests, test_up_to_0_6_0_a_bad_module_looks_like_success_and_is_not_installed, 0, 4);
    tcase_add_loop_test(tests, test_since_0_6_1_a_bad_module_is_called_bad_and_listening_goes_on, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(tests, test_2_2_resets_without_a_word_on_a_bad_module, 0, 2);
    tcase_add_test(tests, test_2_2_refuses_a_part1_that_is_too_old_for_its_part2);
    tcase_add_test(tests, test_write_protected_settings_hang_the_board_when_the_update_is_stored);
}

static void add_beginnings(TCase *tests)
{
    tcase_add_loop_test(tests, test_from_0_5_on_a_header_starts_the_receiver, 0, 2);
    tcase_add_test(tests, test_in_0_4_a_header_alone_is_swallowed);
    tcase_add_test(tests, test_f_of_0_4_2_hears_and_says_nothing);
    tcase_add_test(tests, test_28800_of_0_4_2_hears_and_says_nothing);
    tcase_add_test(tests, test_the_board_survives_ten_megabytes_of_garbage);
}

int main(void)
{
    Suite *suite = suite_create("ymodem");
    TCase *tests = tcase_create("ymodem");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 120);
    add_updates(tests);
    add_beginnings(tests);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
