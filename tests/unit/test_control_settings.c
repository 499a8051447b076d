/* The control requests that read and write settings: where in the settings they end up, and what is
 * refused. Expected places are those of the settings' layout, results those of 1.5.0 and 2.2.0. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_service.h"

static struct board *fresh_2_2, *fresh_1_5;
static struct board *board;

static void make(void)
{
    fresh_2_2 = service_board("2.2.0");
    fresh_1_5 = service_board("1.5.0");
}

static void drop(void)
{
    fresh_2_2->ops->destroy(fresh_2_2);
    fresh_1_5->ops->destroy(fresh_1_5);
}

/* The board of the test: a copy. */
static void use(const struct board *fresh)
{
    board->ops->destroy(board);
    board = fresh->ops->clone(fresh);
    ck_assert_ptr_nonnull(board);
}

static void setup(void)
{
    board = fresh_2_2->ops->clone(fresh_2_2);
    ck_assert_ptr_nonnull(board);
}

static void teardown(void)
{
    board->ops->destroy(board);
}

static void expect_setting(uint32_t offset, const void *bytes, size_t size)
{
    uint8_t found[2048];

    ck_assert(board->ops->flash_read(board, test_dct(board) + offset, found, size));
    ck_assert_mem_eq(found, bytes, size);
}

START_TEST(test_a_claim_code_is_stored)
{
    uint8_t payload[66] = {0x0A, 63};
    const uint8_t *code = payload + 2;

    for (unsigned i = 0; i < 64; i++) {
        payload[2 + i] = (uint8_t)('0' + i % 10);
    }
    service_expect(board, 200, payload, 65, 0, "", 0);
    expect_setting(1762, code, 63);
    service_expect(board, 200,
                   "\x0A\x03"
                   "abc",
                   5, 0, "", 0);
    expect_setting(1762, "abc\0", 4);
    payload[1] = 64;
    service_expect(board, 200, payload, 66, -280, "", 0);
    expect_setting(1762, "abc\0", 4);
}
END_TEST

START_TEST(test_a_claimed_board_says_so)
{
    ck_assert(flash_load(photon_flash(board), test_dct(board) + 1825, "1", 1));
    service_expect(board, 201, "", 0, 0, "\x08\x01", 2);
}
END_TEST

static const struct {
    uint8_t type;
    uint32_t offset;
    uint16_t size; /* of its room */
} keys[] = {{1, 34, 1216}, {2, 1250, 384}, {3, 2082, 768}};
#define KEYS 3

/* Field 1: type; field 2: so many bytes. */
static uint16_t key_message(uint8_t *message, uint8_t type, uint16_t size)
{
    const uint8_t head[] = {0x08, type, 0x12, (uint8_t)((size & 0x7F) | 0x80),
                            (uint8_t)(size >> 7)};

    memcpy(message, head, sizeof(head));
    for (uint16_t i = 0; i < size; i++) {
        message[sizeof(head) + i] = (uint8_t)(i * 11 + type);
    }
    return (uint16_t)(sizeof(head) + size);
}

START_TEST(test_keys_go_to_their_places_and_no_further)
{
    uint8_t message[1300];
    uint16_t length = key_message(message, keys[_i].type, keys[_i].size);

    service_expect(board, 210, message, length, 0, "", 0);
    expect_setting(keys[_i].offset, message + 5, keys[_i].size);
    length = key_message(message, keys[_i].type, (uint16_t)(keys[_i].size + 1));
    service_expect(board, 210, message, length, -190, "", 0);
}
END_TEST

START_TEST(test_a_short_key_s_room_is_filled_up_and_read_back_whole)
{
    const char ask[] = {0x08, (char)keys[_i].type};
    uint8_t message[1300], reply[1300];
    uint16_t length = key_message(message, keys[_i].type, 294);

    memset(message + length, 0xFF, sizeof(message) - length);
    service_expect(board, 210, message, length, 0, "", 0);
    expect_setting(keys[_i].offset, message + 5, keys[_i].size);
    reply[0] = 0x0A;
    reply[1] = (uint8_t)((keys[_i].size & 0x7F) | 0x80);
    reply[2] = (uint8_t)(keys[_i].size >> 7);
    memcpy(reply + 3, message + 5, keys[_i].size);
    service_expect(board, 211, ask, sizeof(ask), 0, reply, 3u + keys[_i].size);
}
END_TEST

/* Types 4 to 6 are the UDP protocol's, which a Photon does not speak. */
START_TEST(test_unknown_keys_are_not_supported)
{
    service_expect(board, 210, "\x12\x01k", 3, -120, "", 0);
    for (char type = 4; type <= 7; type++) {
        const char payload[] = {0x08, type, 0x12, 0x01, 'k'};

        service_expect(board, 210, payload, sizeof(payload), -120, "", 0);
    }
    service_expect(board, 210, "\x12\x09k", 3, -280, "", 0);
}
END_TEST

START_TEST(test_a_server_s_address_is_stored_as_dfu_tools_store_it)
{
    static const char tcp[] = "\x08\x01\x12\x0Flocal.server.io\x18\xB3\x2C";
    static const char stored[] = "\x0A\x0Flocal.server.io\x10\xB3\x2C";
    uint8_t rest[128 - 68];

    memset(rest, 0xFF, sizeof(rest));
    service_expect(board, 220, tcp, sizeof(tcp) - 1, 0, "", 0);
    expect_setting(2466, "\x01\x0Flocal.server.io\0", 18);
    expect_setting(2532, "\x16\x33", 2);
    expect_setting(2534, rest, sizeof(rest));
    service_expect(board, 221, "\x08\x01", 2, 0, stored, sizeof(stored) - 1);
}
END_TEST

START_TEST(test_four_numbers_are_an_internet_address)
{
    static const char set[] = "\x08\x01\x12\x0A"
                              "10.0.2.255"
                              "\x18\x50";
    static const char stored[] = "\x0A\x0A"
                                 "10.0.2.255"
                                 "\x10\x50";

    service_expect(board, 220, set, sizeof(set) - 1, 0, "", 0);
    expect_setting(2466, "\x00\x00\x0A\x00\x02\xFF\0", 7);
    expect_setting(2532, "\x00\x50", 2);
    service_expect(board, 221, "\x08\x01", 2, 0, stored, sizeof(stored) - 1);
}
END_TEST

/* A name as long as can be, and what only begins like an address. */
static const struct {
    uint8_t length;
    const char *text;
} names[] = {
    {63, "012345678901234567890123456789012345678901234567890123456789.io"},
    {6, "10.0.2"},
    {8, "10.0.x.1"},
    {8, "10-0.2.1"},
    {7, "a.0.2.1"},
};

START_TEST(test_names_of_servers)
{
    uint8_t payload[80] = {0x08, 0x01, 0x12, names[_i].length};

    memcpy(payload + 4, names[_i].text, names[_i].length);
    service_expect(board, 220, payload, (uint16_t)(4 + names[_i].length), 0, "", 0);
    expect_setting(2466, "\x01", 1);
    expect_setting(2467, payload + 3, 1u + names[_i].length);
}
END_TEST

START_TEST(test_addresses_that_cannot_be_stored)
{
    uint8_t payload[80] = {0x08, 0x01, 0x12, 64};

    memset(payload + 4, 'x', 65);
    service_expect(board, 220, payload, 4 + 64, -190, "", 0);
    payload[3] = 65;
    service_expect(board, 220, payload, 4 + 65, -280, "", 0);
    service_expect(board, 220, "\x08\x02\x12\x01x", 5, -120, "", 0);
    service_expect(board, 220, "\x12\x01x", 3, -120, "", 0);
    service_expect(board, 220, "\x12\x09x", 3, -280, "", 0);
}
END_TEST

START_TEST(test_settings_without_a_server_s_address_have_none)
{
    static const uint8_t blank[2] = {0xFF, 0xFF};
    static const uint8_t endless[2] = {0x01, 64};

    ck_assert(
        flash_load(photon_flash(board), test_dct(board) + 2466, _i == 0 ? blank : endless, 2));
    service_expect(board, 221, "\x08\x01", 2, -170, "", 0);
}
END_TEST

START_TEST(test_the_soft_ap_s_name_is_stored)
{
    service_expect(board, 240,
                   "\x0A\x05"
                   "Board\x12\x02XY",
                   11, 0, "", 0);
    expect_setting(1826,
                   "\x05"
                   "Board",
                   6);
    expect_setting(1852, "XY\0", 3);
    service_expect(board, 240,
                   "\x0A\x1C"
                   "0123456789012345678901234567\x12\x07"
                   "1234567",
                   39, 0, "", 0);
    expect_setting(1826,
                   "\x19"
                   "0123456789012345678901234",
                   26);
    expect_setting(1852, "123456", 6);
    service_expect(board, 240, "\x0A\x09x", 3, -280, "", 0);
}
END_TEST

START_TEST(test_the_antenna_can_be_chosen_up_to_1_5)
{
    use(fresh_1_5);
    for (char antenna = 1; antenna <= 3; antenna++) {
        const char payload[] = {0x08, antenna};

        service_expect(board, 110, payload, 2, 0, "", 0);
        service_expect(board, 111, "", 0, 0, payload, 2);
    }
    expect_setting(2976, "\x03", 1);
}
END_TEST

START_TEST(test_wifi_credentials_are_kept_and_listed_up_to_1_5)
{
    static const char set[] = "\x0A\x14\x0A\x04Home\x18\x03 \x01"
                              "B\x08secret12";
    static const char list[] = "\x0A\x0C\x0A\x0A\x0A\x04Home\x18\x03 \x01";

    use(fresh_1_5);
    service_expect(board, 113, set, sizeof(set) - 1, 0, "", 0);
    service_expect(board, 114, "", 0, 0, list, sizeof(list) - 1);
    service_expect(board, 115, "", 0, 0, "", 0);
    service_expect(board, 114, "", 0, 0, "", 0);
}
END_TEST

START_TEST(test_wifi_credentials_of_unknown_kinds_fail)
{
    use(fresh_1_5);
    service_expect(board, 113, "\x0A\x05\x0A\x01x\x18\x06", 7, -100, "", 0);
    service_expect(board, 113, "\x0A\x05\x0A\x01x\x20\x04", 7, -100, "", 0);
    service_expect(board, 113, "\x0A\x05\x0A\x01x", 5, -280, "", 0);
}
END_TEST

/* What the Wi-Fi driver refuses (device-os v1.5.0 hal/src/photon/wlan_hal.cpp). */
START_TEST(test_wifi_credentials_that_cannot_work_fail)
{
    static const char short_key[] = "\x0A\x13\x0A\x04Home\x18\x03 \x01"
                                    "B\x07secret1";
    static const char no_cipher[] = "\x0A\x12\x0A\x04Home\x18\x03"
                                    "B\x08secret12";
    static const char seen[] = "\x0A\x15\x0A\x07VPHOTON\x18\x03"
                               "B\x08secret12";

    use(fresh_1_5);
    service_expect(board, 113, short_key, sizeof(short_key) - 1, -100, "", 0);
    service_expect(board, 113, no_cipher, sizeof(no_cipher) - 1, -100, "", 0);
    service_expect(board, 114, "", 0, 0, "", 0);
    service_expect(board, 113, seen, sizeof(seen) - 1, 0, "", 0);
}
END_TEST

START_TEST(test_a_wifi_scan_finds_what_is_in_the_air)
{
    static const char list[] = "\x0A\x1C\x0A\x1A\x0A\x07VPHOTON\x18\x03 \x01(\x06"
                               "8\xCE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";

    use(fresh_1_5);
    service_expect(board, 112, "", 0, 0, list, sizeof(list) - 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("control settings");
    TCase *settings = tcase_create("settings");

    tcase_add_unchecked_fixture(settings, make, drop);
    tcase_add_checked_fixture(settings, setup, teardown);
    tcase_set_timeout(settings, 60);
    tcase_add_test(settings, test_a_claim_code_is_stored);
    tcase_add_test(settings, test_a_claimed_board_says_so);
    tcase_add_loop_test(settings, test_keys_go_to_their_places_and_no_further, 0, KEYS);
    tcase_add_loop_test(settings, test_a_short_key_s_room_is_filled_up_and_read_back_whole, 0,
                        KEYS);
    tcase_add_test(settings, test_unknown_keys_are_not_supported);
    tcase_add_test(settings, test_a_server_s_address_is_stored_as_dfu_tools_store_it);
    tcase_add_test(settings, test_four_numbers_are_an_internet_address);
    tcase_add_loop_test(settings, test_names_of_servers, 0, sizeof(names) / sizeof(names[0]));
    tcase_add_test(settings, test_addresses_that_cannot_be_stored);
    tcase_add_loop_test(settings, test_settings_without_a_server_s_address_have_none, 0, 2);
    tcase_add_test(settings, test_the_soft_ap_s_name_is_stored);
    tcase_add_test(settings, test_the_antenna_can_be_chosen_up_to_1_5);
    tcase_add_test(settings, test_wifi_credentials_are_kept_and_listed_up_to_1_5);
    tcase_add_test(settings, test_wifi_credentials_of_unknown_kinds_fail);
    tcase_add_test(settings, test_wifi_credentials_that_cannot_work_fail);
    tcase_add_test(settings, test_a_wifi_scan_finds_what_is_in_the_air);
    suite_add_tcase(suite, settings);
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
