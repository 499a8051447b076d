/* What a hub driver asks a new device, and how it copes with answers that are wrong or missing. */
#include <check.h>
#include <string.h>

#include "tests/unit/support_null_board.h"
#include "tests/unit/support_transfer.h"
#include "usb-gadget/enumerate.h"

#define ROWS_MAX 64

static struct usb_identity identity;

/* A script that grows; every descriptor and setup packet in it lives as long as the test. */
static struct script_row rows[ROWS_MAX];
static size_t row_count;
static uint8_t setups[ROWS_MAX][8];

/* A Photon with bootloader 3 (facts: descriptors, DFU mode). */
static const uint8_t device[18] = {0x12, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x40, 0x04,
                                   0x2B, 0x06, 0xD0, 0x00, 0x02, 0x01, 0x02, 0x03, 0x01};
static const uint8_t config[36] = {0x09, 0x02, 0x24, 0x00, 0x01, 0x01, 0x02, 0xC0, 0x32,
                                   0x09, 0x04, 0x00, 0x00, 0x00, 0xFE, 0x01, 0x02, 0x06,
                                   0x09, 0x04, 0x00, 0x01, 0x00, 0xFE, 0x01, 0x02, 0x07,
                                   0x09, 0x21, 0x0B, 0xFF, 0x00, 0x00, 0x10, 0x1A, 0x01};
static const uint8_t languages[4] = {0x04, 0x03, 0x09, 0x04};
static const uint8_t string_x[4] = {0x04, 0x03, 'X', 0};

static void setup(void)
{
    row_count = 0;
    memset(rows, 0, sizeof rows);
    transfer_setup();
}

static void add(struct script_row row)
{
    ck_assert_uint_lt(row_count, ROWS_MAX);
    rows[row_count++] = row;
}

static void add_setup(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                      uint16_t length)
{
    const uint8_t packet[8] = {
        type,
        request,
        (uint8_t)value,
        (uint8_t)(value >> 8),
        (uint8_t)index,
        (uint8_t)(index >> 8),
        (uint8_t)length,
        (uint8_t)(length >> 8),
    };

    memcpy(setups[row_count], packet, sizeof packet);
    add((struct script_row){.token = USB_TOKEN_SETUP, .data = setups[row_count]});
}

static void add_get(uint16_t value, uint16_t index, uint16_t length, const void *data,
                    size_t actual)
{
    add_setup(0x80, 6, value, index, length);
    add((struct script_row){.token = USB_TOKEN_IN, .data = data, .length = actual});
    add((struct script_row)OUT(0));
}

static void add_set(uint8_t request, uint16_t value)
{
    add_setup(0x00, request, value, 0, 0);
    add((struct script_row)IN(0));
}

/* The whole conversation up to the strings. */
static void add_device_and_config(void)
{
    add_get(0x0100, 0, 64, device, 8);
    add_set(5, 7);
    add_get(0x0100, 0, 18, device, 18);
    add_get(0x0200, 0, 9, config, 9);
    add_get(0x0200, 0, 36, config, 36);
}

static bool run(void)
{
    play(rows, row_count, true);
    return enumerate(&port, 7, &identity);
}

static void expect_refused(void)
{
    ck_assert(!run());
    ck_assert_msg(script_board_finished(&script), "%zu of %zu rows, %u unexpected", script.at,
                  row_count, script.unexpected);
}

static void expect_enumerated(void)
{
    ck_assert(run());
    ck_assert_msg(script_board_finished(&script), "%zu of %zu rows, %u unexpected", script.at,
                  row_count, script.unexpected);
}

START_TEST(test_enumeration_asks_what_linux_asks_in_its_order)
{
    add_device_and_config();
    add_get(0x0300, 0, 255, languages, 4);
    add_get(0x0302, 0x0409, 255, string_x, 4);
    add_get(0x0301, 0x0409, 255, string_x, 4);
    add_get(0x0303, 0x0409, 255, string_x, 4);
    add_set(9, 1);
    expect_enumerated();
    ck_assert_uint_eq(script.bus_resets, 2);
    ck_assert_mem_eq(identity.device, device, sizeof device);
    ck_assert_uint_eq(identity.config_length, sizeof config);
    ck_assert_mem_eq(identity.config, config, sizeof config);
    ck_assert_str_eq(identity.product, "X");
}
END_TEST

START_TEST(test_a_known_device_is_reset_and_addressed)
{
    add_set(5, 9);
    play(rows, row_count, true);
    ck_assert(enumerate_address(&port, 9));
    ck_assert(script_board_finished(&script));
    ck_assert_uint_eq(script.bus_resets, 1);
}
END_TEST

START_TEST(test_configuration_value_of_the_descriptor_is_set)
{
    static uint8_t other[36];
    static uint8_t bare[18];

    memcpy(other, config, sizeof other);
    other[5] = 2;
    memcpy(bare, device, sizeof bare);
    bare[14] = bare[15] = bare[16] = 0;
    add_get(0x0100, 0, 64, device, 8);
    add_set(5, 7);
    add_get(0x0100, 0, 18, bare, 18);
    add_get(0x0200, 0, 9, other, 9);
    add_get(0x0200, 0, 36, other, 36);
    add_set(9, 2); /* and no string was asked for */
    expect_enumerated();
    ck_assert_str_eq(identity.manufacturer, "");
    ck_assert_str_eq(identity.product, "");
    ck_assert_str_eq(identity.serial, "");
}
END_TEST

START_TEST(test_strings_of_a_board_arrive)
{
    struct board *board = null_board_new();

    ck_assert_ptr_nonnull(board);
    board->ops->power(board, true);
    root_port_init(&port, board, false);
    ck_assert(enumerate(&port, 5, &identity));
    ck_assert_str_eq(identity.manufacturer, NULL_BOARD_MANUFACTURER);
    ck_assert_str_eq(identity.product, NULL_BOARD_PRODUCT);
    ck_assert_str_eq(identity.serial, NULL_BOARD_SERIAL);
    ck_assert(!port.jump);
    board->ops->destroy(board);
}
END_TEST

START_TEST(test_nothing_attached_is_refused)
{
    script_board_init(&script, NULL, 0);
    script_board_attach(&script, false);
    root_port_init(&port, &script.board, true);
    ck_assert(!enumerate(&port, 7, &identity));
    ck_assert_uint_eq(script.bus_resets, 0);
}
END_TEST

/* --- a device that does not play along --- */

START_TEST(test_device_descriptor_that_stalls_three_times_is_refused)
{
    for (int i = 0; i < 3; i++) {
        add_setup(0x80, 6, 0x0100, 0, 64);
        add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_STALL});
    }
    expect_refused();
}
END_TEST

START_TEST(test_device_descriptor_that_never_comes_is_refused)
{
    add_setup(0x80, 6, 0x0100, 0, 64);
    add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_NAK});
    expect_refused();
}
END_TEST

START_TEST(test_device_descriptor_below_eight_bytes_is_refused)
{
    add_get(0x0100, 0, 64, device, 7);
    expect_refused();
}
END_TEST

START_TEST(test_descriptor_of_another_type_is_asked_for_again)
{
    for (int i = 0; i < 3; i++) {
        add_get(0x0100, 0, 64, config, 8);
    }
    expect_refused();
}
END_TEST

START_TEST(test_stalled_address_is_refused)
{
    add_get(0x0100, 0, 64, device, 8);
    add_setup(0x00, 5, 7, 0, 0);
    add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_STALL});
    expect_refused();
}
END_TEST

START_TEST(test_short_device_descriptor_is_refused)
{
    add_get(0x0100, 0, 64, device, 8);
    add_set(5, 7);
    add_get(0x0100, 0, 18, device, 17);
    expect_refused();
}
END_TEST

static const uint16_t bad_totals[] = {0, 8, ENUMERATE_CONFIG_MAX + 1, 0xFFFF};

START_TEST(test_impossible_configuration_length_is_refused)
{
    static uint8_t liar[9];

    memcpy(liar, config, sizeof liar);
    liar[2] = (uint8_t)bad_totals[_i];
    liar[3] = (uint8_t)(bad_totals[_i] >> 8);
    add_get(0x0100, 0, 64, device, 8);
    add_set(5, 7);
    add_get(0x0100, 0, 18, device, 18);
    add_get(0x0200, 0, 9, liar, 9);
    expect_refused();
}
END_TEST

START_TEST(test_configuration_shorter_than_announced_keeps_what_came)
{
    add_get(0x0100, 0, 64, device, 8);
    add_set(5, 7);
    add_get(0x0100, 0, 18, device, 18);
    add_get(0x0200, 0, 9, config, 9);
    add_get(0x0200, 0, 36, config, 27);
    add_get(0x0300, 0, 255, languages, 4);
    add_get(0x0302, 0x0409, 255, string_x, 4);
    add_get(0x0301, 0x0409, 255, string_x, 4);
    add_get(0x0303, 0x0409, 255, string_x, 4);
    add_set(9, 1);
    expect_enumerated();
    ck_assert_uint_eq(identity.config_length, 27);
}
END_TEST

START_TEST(test_stalled_configuration_is_refused)
{
    add_device_and_config();
    add_get(0x0300, 0, 255, languages, 4);
    add_get(0x0302, 0x0409, 255, string_x, 4);
    add_get(0x0301, 0x0409, 255, string_x, 4);
    add_get(0x0303, 0x0409, 255, string_x, 4);
    add_setup(0x00, 9, 1, 0, 0);
    add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_STALL});
    expect_refused();
}
END_TEST

START_TEST(test_detach_in_the_middle_is_refused)
{
    add_get(0x0100, 0, 64, device, 8);
    add_setup(0x00, 5, 7, 0, 0);
    rows[row_count - 1].then = THEN_REATTACH;
    expect_refused();
}
END_TEST

/* --- strings that are wrong --- */

/* Plays a device whose product string is `data`, and returns what is made of it. */
static const char *product_of(const void *data, size_t length)
{
    add_device_and_config();
    add_get(0x0300, 0, 255, languages, 4);
    add_setup(0x80, 6, 0x0302, 0x0409, 255);
    for (size_t at = 0; at < length; at += 64) {
        size_t left = length - at;
        add((struct script_row){.token = USB_TOKEN_IN,
                                .data = (const uint8_t *)data + at,
                                .length = left < 64 ? left : 64});
    }
    add((struct script_row)OUT(0));
    add_get(0x0301, 0x0409, 255, string_x, 4);
    add_get(0x0303, 0x0409, 255, string_x, 4);
    add_set(9, 1);
    expect_enumerated();
    ck_assert_str_eq(identity.serial, "X");
    return identity.product;
}

START_TEST(test_utf16_becomes_utf8)
{
    /* a, e acute, euro sign, U+1F600 as a pair */
    static const uint8_t text[] = {12, 3, 'a', 0, 0xE9, 0x00, 0xAC, 0x20, 0x3D, 0xD8, 0x00, 0xDE};

    ck_assert_str_eq(product_of(text, sizeof text), "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}
END_TEST

START_TEST(test_lone_surrogates_become_question_marks)
{
    static const uint8_t text[] = {10, 3, 0x00, 0xDE, 'b', 0, 0x3D, 0xD8, 0x3D, 0xD8};

    ck_assert_str_eq(product_of(text, sizeof text), "?b??");
}
END_TEST

START_TEST(test_high_surrogate_before_an_ordinary_character_swallows_nothing)
{
    static const uint8_t text[] = {6, 3, 0x3D, 0xD8, 'b', 0};

    ck_assert_str_eq(product_of(text, sizeof text), "?b");
}
END_TEST

START_TEST(test_string_that_claims_more_than_it_has_ends_where_it_ends)
{
    static const uint8_t text[] = {200, 3, 'a', 0, 'b', 0};

    ck_assert_str_eq(product_of(text, sizeof text), "ab");
}
END_TEST

START_TEST(test_string_that_claims_less_than_it_has_ends_where_it_claims)
{
    static const uint8_t text[] = {4, 3, 'a', 0, 'b', 0};

    ck_assert_str_eq(product_of(text, sizeof text), "a");
}
END_TEST

START_TEST(test_odd_string_loses_its_half_character)
{
    static const uint8_t text[] = {5, 3, 'a', 0, 'b'};

    ck_assert_str_eq(product_of(text, sizeof text), "a");
}
END_TEST

START_TEST(test_string_ends_at_a_nul)
{
    static const uint8_t text[] = {8, 3, 'a', 0, 0, 0, 'b', 0};

    ck_assert_str_eq(product_of(text, sizeof text), "a");
}
END_TEST

START_TEST(test_empty_string_is_empty)
{
    static const uint8_t text[] = {2, 3};

    ck_assert_str_eq(product_of(text, sizeof text), "");
}
END_TEST

START_TEST(test_string_of_length_zero_is_empty)
{
    static const uint8_t text[] = {0, 3, 'a', 0};

    ck_assert_str_eq(product_of(text, sizeof text), "");
}
END_TEST

START_TEST(test_longest_string_fits)
{
    static uint8_t text[254];
    char expected[126 * 3 + 1] = "";

    text[0] = 254;
    text[1] = 3;
    for (size_t i = 2; i < sizeof text; i += 2) {
        text[i] = 0xAC;
        text[i + 1] = 0x20;
        strcat(expected, "\xE2\x82\xAC");
    }
    ck_assert_str_eq(product_of(text, sizeof text), expected);
}
END_TEST

/* A product string that fails leaves the rest alone. */
static void expect_no_product(void)
{
    add_get(0x0301, 0x0409, 255, string_x, 4);
    add_get(0x0303, 0x0409, 255, string_x, 4);
    add_set(9, 1);
    expect_enumerated();
    ck_assert_str_eq(identity.product, "");
    ck_assert_str_eq(identity.manufacturer, "X");
    ck_assert_str_eq(identity.serial, "X");
}

START_TEST(test_stalled_string_is_empty)
{
    add_device_and_config();
    add_get(0x0300, 0, 255, languages, 4);
    for (int i = 0; i < 3; i++) {
        add_setup(0x80, 6, 0x0302, 0x0409, 255);
        add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_STALL});
    }
    expect_no_product();
}
END_TEST

START_TEST(test_string_that_never_comes_is_given_up)
{
    add_device_and_config();
    add_get(0x0300, 0, 255, languages, 4);
    add_setup(0x80, 6, 0x0302, 0x0409, 255);
    add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_NAK});
    expect_no_product();
}
END_TEST

START_TEST(test_babbling_string_is_empty)
{
    add_device_and_config();
    add_get(0x0300, 0, 255, languages, 4);
    for (int i = 0; i < 3; i++) {
        add_setup(0x80, 6, 0x0302, 0x0409, 255);
        add((struct script_row){.token = USB_TOKEN_IN, .length = 64, .repeat = 3});
    }
    expect_no_product();
}
END_TEST

START_TEST(test_device_without_languages_is_asked_for_no_string)
{
    add_device_and_config();
    for (int i = 0; i < 3; i++) {
        add_setup(0x80, 6, 0x0300, 0, 255);
        add((struct script_row){.token = USB_TOKEN_IN, .handshake = USB_STALL});
    }
    add_set(9, 1);
    expect_enumerated();
    ck_assert_str_eq(identity.product, "");
}
END_TEST

START_TEST(test_empty_language_list_means_english)
{
    static const uint8_t none[] = {2, 3};

    add_device_and_config();
    add_get(0x0300, 0, 255, none, 2);
    add_get(0x0302, 0x0409, 255, string_x, 4);
    add_get(0x0301, 0x0409, 255, string_x, 4);
    add_get(0x0303, 0x0409, 255, string_x, 4);
    add_set(9, 1);
    expect_enumerated();
    ck_assert_str_eq(identity.product, "X");
}
END_TEST

START_TEST(test_first_language_of_the_device_is_used)
{
    static const uint8_t german[] = {6, 3, 0x07, 0x04, 0x09, 0x04};
    char text[32];

    add_get(0x0300, 0, 255, german, 6);
    add_get(0x0304, 0x0407, 255, string_x, 4);
    play(rows, row_count, true);
    ck_assert(enumerate_string(&port, 4, text, sizeof text));
    ck_assert_str_eq(text, "X");
    ck_assert(script_board_finished(&script));
}
END_TEST

START_TEST(test_string_is_cut_at_a_whole_character)
{
    static const uint8_t euros[] = {6, 3, 0xAC, 0x20, 0xAC, 0x20};
    char text[6];

    add_get(0x0300, 0, 255, languages, 4);
    add_get(0x0304, 0x0409, 255, euros, 6);
    play(rows, row_count, true);
    ck_assert(enumerate_string(&port, 4, text, sizeof text));
    ck_assert_str_eq(text, "\xE2\x82\xAC");
}
END_TEST

START_TEST(test_string_index_zero_is_no_string)
{
    char text[4] = "?";

    play(NULL, 0, true);
    ck_assert(!enumerate_string(&port, 0, text, sizeof text));
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(script.unexpected, 0);
}
END_TEST

/* --- the synchronous transfer --- */

START_TEST(test_control_transfer_jumps_on_a_port_that_does_not)
{
    static const uint8_t packet[8] = {0x21, 1};
    const struct script_row busy[] = {
        {.token = USB_TOKEN_SETUP, .data = packet},
        {.token = USB_TOKEN_IN, .handshake = USB_NAK, .busy_ns = 9},
        IN(0),
    };

    PLAY(busy, false);
    ck_assert_int_eq(control_transfer(&port, packet, NULL, NULL), TRANSFER_OK);
    ck_assert_uint_eq(script.board.now, 9);
    ck_assert(!port.jump);
}
END_TEST

START_TEST(test_control_transfer_that_is_never_answered_times_out)
{
    static const uint8_t packet[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};
    size_t actual = 99;

    play(NULL, 0, true);
    script.naks = true;
    ck_assert_int_eq(control_transfer(&port, packet, bytes, &actual), TRANSFER_TIMEOUT);
    ck_assert_uint_eq(actual, 0);
    ck_assert(!root_port_run(&port));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("enumerate");
    TCase *tcase = tcase_create("enumeration");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, test_enumeration_asks_what_linux_asks_in_its_order);
    tcase_add_test(tcase, test_a_known_device_is_reset_and_addressed);
    tcase_add_test(tcase, test_configuration_value_of_the_descriptor_is_set);
    tcase_add_test(tcase, test_strings_of_a_board_arrive);
    tcase_add_test(tcase, test_nothing_attached_is_refused);
    tcase_add_test(tcase, test_device_descriptor_that_stalls_three_times_is_refused);
    tcase_add_test(tcase, test_device_descriptor_that_never_comes_is_refused);
    tcase_add_test(tcase, test_device_descriptor_below_eight_bytes_is_refused);
    tcase_add_test(tcase, test_descriptor_of_another_type_is_asked_for_again);
    tcase_add_test(tcase, test_stalled_address_is_refused);
    tcase_add_test(tcase, test_short_device_descriptor_is_refused);
    tcase_add_loop_test(tcase, test_impossible_configuration_length_is_refused, 0,
                        sizeof bad_totals / sizeof bad_totals[0]);
    tcase_add_test(tcase, test_configuration_shorter_than_announced_keeps_what_came);
    tcase_add_test(tcase, test_stalled_configuration_is_refused);
    tcase_add_test(tcase, test_detach_in_the_middle_is_refused);
    tcase_add_test(tcase, test_utf16_becomes_utf8);
    tcase_add_test(tcase, test_lone_surrogates_become_question_marks);
    tcase_add_test(tcase, test_high_surrogate_before_an_ordinary_character_swallows_nothing);
    tcase_add_test(tcase, test_string_that_claims_more_than_it_has_ends_where_it_ends);
    tcase_add_test(tcase, test_string_that_claims_less_than_it_has_ends_where_it_claims);
    tcase_add_test(tcase, test_odd_string_loses_its_half_character);
    tcase_add_test(tcase, test_string_ends_at_a_nul);
    tcase_add_test(tcase, test_empty_string_is_empty);
    tcase_add_test(tcase, test_string_of_length_zero_is_empty);
    tcase_add_test(tcase, test_longest_string_fits);
    tcase_add_test(tcase, test_stalled_string_is_empty);
    tcase_add_test(tcase, test_string_that_never_comes_is_given_up);
    tcase_add_test(tcase, test_babbling_string_is_empty);
    tcase_add_test(tcase, test_device_without_languages_is_asked_for_no_string);
    tcase_add_test(tcase, test_empty_language_list_means_english);
    tcase_add_test(tcase, test_first_language_of_the_device_is_used);
    tcase_add_test(tcase, test_string_is_cut_at_a_whole_character);
    tcase_add_test(tcase, test_string_index_zero_is_no_string);
    tcase_add_test(tcase, test_control_transfer_jumps_on_a_port_that_does_not);
    tcase_add_test(tcase, test_control_transfer_that_is_never_answered_times_out);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
