/* The listening-mode console, byte for byte as boards of each release answered (facts 05). */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_client.h"
#include "tests/unit/support_digest.h"

#define ID_TEXT "Your device id is 1f00a2000b47abcdef323032\r\n"

static struct client client;

static void board_of(const char *release)
{
    ck_assert_msg(client_open(&client, client_board(release)), "%s does not attach", release);
}

static void near_networks(const char *release)
{
    ck_assert(client_open(&client, client_board_near_networks(release)));
}

static void teardown(void)
{
    client.board->ops->destroy(client.board);
}

static void replug(const char *release)
{
    teardown();
    board_of(release);
}

static struct led led(void)
{
    return client.board->ops->led(client.board);
}

static void expect_led(enum led_pattern pattern, uint32_t colour, uint32_t period_ms)
{
    ck_assert_int_eq(led().pattern, pattern);
    ck_assert_uint_eq(led().colour, colour);
    ck_assert_uint_eq(led().period_ms, period_ms);
}

/* --- single letters --- */

static const char *const all_releases[] = {"0.4.0", "0.4.2", "0.4.3", "0.4.4", "0.5.2",
                                           "0.6.3", "0.7.0", "1.5.0", "2.2.0"};
#define ALL_RELEASES (sizeof(all_releases) / sizeof(all_releases[0]))

START_TEST(test_i_prints_the_id_in_lower_case)
{
    board_of(all_releases[_i]);
    client_expect(&client, "i", ID_TEXT);
}
END_TEST

START_TEST(test_m_prints_the_address_of_a_core_up_to_0_4_2)
{
    board_of(all_releases[_i]);
    client_expect(&client, "m",
                  _i < 2 ? "Your core MAC address is\r\n6c:0b:84:01:02:03\r\n"
                         : "Your device MAC address is\r\n6c:0b:84:01:02:03\r\n");
}
END_TEST

START_TEST(test_v_prints_the_version_from_0_4_4_on)
{
    char expected[64];

    board_of(all_releases[_i]);
    snprintf(expected, sizeof(expected), "system firmware version: %s\n\r\n", all_releases[_i]);
    client_expect(&client, "v", _i < 3 ? "" : expected);
}
END_TEST

START_TEST(test_letters_that_a_release_does_not_know_are_swallowed)
{
    static const char *const silent[ALL_RELEASES] = {
        "haAtvLcCdqyl? \r\n", "haAtvLcCdqyl? \r\n", "haAtvLcCdqyl? \r\n",
        "haAtLcCdIq? \r\n",   "haAt?\r\n cCdIq",    "haAtdIq? \r\n",
        "haAtdIq? \r\n",      "haAt?\r\n ",         "haAt?\r\n ",
    };

    board_of(all_releases[_i]);
    client_expect(&client, silent[_i], "");
    client_expect(&client, "i", ID_TEXT);
}
END_TEST

START_TEST(test_letters_in_one_packet_are_answered_in_order)
{
    board_of("2.2.0");
    client_expect(&client, "iiv", ID_TEXT ID_TEXT "system firmware version: 2.2.0\n\r\n");
}
END_TEST

START_TEST(test_text_takes_a_millisecond_a_character_up_to_0_5)
{
    uint64_t start;

    board_of("0.5.2");
    start = client.board->now;
    client_send(&client, "i", 1);
    client_wait(&client, 200);
    ck_assert_uint_eq(client.length, 44);
    ck_assert_uint_ge(client.heard - start, 40 * BOARD_NS_PER_MS);
    ck_assert_uint_le(client.heard - start, 46 * BOARD_NS_PER_MS);
    client_forget(&client);
    start = client.board->now;
    client_send(&client, "v", 1);
    client_wait(&client, 200);
    ck_assert_uint_eq(client.length, 33);
    ck_assert_uint_le(client.heard - start, BOARD_NS_PER_MS);
}
END_TEST

START_TEST(test_text_comes_at_once_in_2_2)
{
    uint64_t start;

    board_of("2.2.0");
    start = client.board->now;
    client_send(&client, "i", 1);
    client_wait(&client, 200);
    ck_assert_uint_eq(client.length, 44);
    ck_assert_uint_le(client.heard - start, 2 * BOARD_NS_PER_MS);
}
END_TEST

/* The hash stands in the application's file, 38 bytes before its CRC. */
static void user_hash(const char *release, char text[65])
{
    static uint8_t image[FACTORY_MAX_SIZE];
    uint32_t size = factory_build(release_find(release), FACTORY_USER, support_sha256, image);

    for (size_t i = 0; i < MODULE_SHA256_SIZE; i++) {
        snprintf(text + 2 * i, 3, "%02X", image[size - 4 - 2 - MODULE_SHA256_SIZE + i]);
    }
}

struct listing {
    const char *release, *before, *after; /* the hash stands between */
};

#define M(size, store, rest)                                                                       \
    "{\"s\":" size ",\"l\":\"" store "\",\"vc\":30,\"vv\":30,\"f\":" rest "}"

static const struct listing listings[] = {
    {"0.4.3",
     "\"p\":6,\"m\":[" M("16384", "m", "\"b\",\"n\":\"0\",\"v\":3,\"d\":[]") "," M(
         "262144", "m",
         "\"s\",\"n\":\"1\",\"v\":3,\"d\":[]") "," M("262144", "m",
                                                     "\"s\",\"n\":\"2\",\"v\":3,\"d\":[{\"f\":"
                                                     "\"s\",\"n\":\"1\",\"v\":3,"
                                                     "\"_\":\"\"}]") ",{\"s\":131072,\"l\":"
                                                                     "\"m\",\"vc\":30,\"vv\":"
                                                                     "30,\"u\":\"",
     "\",\"f\":\"u\",\"n\":\"1\",\"v\":2,\"d\":[{\"f\":\"s\",\"n\":\"2\",\"v\":3,\"_\":\"\"}]},"
     "{\"s\":131072,\"l\":\"f\",\"vc\":30,\"vv\":0,\"d\":[]}]\r\n"},
    {"0.4.4",
     "{\"p\":6,\"m\":[" M("16384", "m", "\"b\",\"n\":\"0\",\"v\":3,\"d\":[]") "," M(
         "262144", "m",
         "\"s\",\"n\":\"1\",\"v\":5,\"d\":[]") "," M("262144", "m",
                                                     "\"s\",\"n\":\"2\",\"v\":5,\"d\":[{\"f\":"
                                                     "\"s\",\"n\":\"1\",\"v\":5,"
                                                     "\"_\":\"\"}]") ",{\"s\":131072,\"l\":"
                                                                     "\"m\",\"vc\":30,\"vv\":"
                                                                     "30,\"u\":\"",
     "\",\"f\":\"u\",\"n\":\"1\",\"v\":3,\"d\":[{\"f\":\"s\",\"n\":\"2\",\"v\":5,\"_\":\"\"}]},"
     "{\"s\":131072,\"l\":\"f\",\"vc\":30,\"vv\":0,\"d\":[]}]}\r\n"},
    {"2.2.0",
     "{\"p\":6,\"m\":[" M("16384", "m", "\"b\",\"n\":\"0\",\"v\":1006,\"d\":[]") "," M(
         "262144", "m",
         "\"s\",\"n\":\"1\",\"v\":2202,"
         "\"d\":[{\"f\":\"s\",\"n\":\"2\","
         "\"v\":207}]") "," M("262144", "m",
                              "\"s\",\"n\":"
                              "\"2\",\"v\":"
                              "2202,\"d\":["
                              "{\"f\":"
                              "\"s\",\"n\":"
                              "\"1\",\"v\":"
                              "2202},"
                              "{\"f\":"
                              "\"b\",\"n\":"
                              "\"0\",\"v\":"
                              "1003}]") ",{"
                                        "\""
                                        "s"
                                        "\""
                                        ":1"
                                        "31"
                                        "07"
                                        "2,"
                                        "\""
                                        "l"
                                        "\""
                                        ":"
                                        "\""
                                        "m"
                                        "\""
                                        ","
                                        "\""
                                        "vc"
                                        "\""
                                        ":3"
                                        "0,"
                                        "\""
                                        "vv"
                                        "\""
                                        ":3"
                                        "0,"
                                        "\""
                                        "u"
                                        "\""
                                        ":"
                                        "\"",
     "\",\"f\":\"u\",\"n\":\"1\",\"v\":6,\"d\":[{\"f\":\"s\",\"n\":\"2\",\"v\":2202}]}]}\r\n"},
};

START_TEST(test_s_lists_the_modules)
{
    const struct listing *listing = &listings[_i];
    char expected[2048], hash[65];

    user_hash(listing->release, hash);
    snprintf(expected, sizeof(expected), "%s%s%s", listing->before, hash, listing->after);
    board_of(listing->release);
    client_expect(&client, "s", expected);
}
END_TEST

#define DIAGNOSTICS_FROM_NET                                                                       \
    "\"net:stat\":2,\"net:err\":0,\"cloud:stat\":0,\"net:dconn\":0,\"cloud:err\":0,"               \
    "\"cloud:dconn\":0,\"pub:limit\":0,\"coap:retransmit\":0,\"coap:unack\":0,"                    \
    "\"coap:transmit\":0,\"sys:tram\":82944,\"sys:uram\":49816,\"net:connatt\":0,"                 \
    "\"net:dconnrsn\":0,\"cloud:connatt\":0,\"cloud:dconnrsn\":0,\"coap:roundtrip\":0,"            \
    "\"net:sigstr\":{\"err\":-100},\"net:sigqual\":{\"err\":-100},\"net:sigqualv\":{\"err\":-100}" \
    ","                                                                                            \
    "\"net:at\":1,\"net:sigstrv\":{\"err\":-100}"

START_TEST(test_d_reports_diagnostics_from_0_8_on)
{
    board_of("2.2.0");
    client_wait(&client, 17000);
    client_expect(&client, "d", "{\"sys:uptime\":17," DIAGNOSTICS_FROM_NET "}\r\n");
    replug("1.5.0");
    client_expect(&client, "d", "{\"sys:uptime\":0," DIAGNOSTICS_FROM_NET ",\"_\":\"\"}\r\n");
}
END_TEST

/* --- lines --- */

START_TEST(test_a_line_can_be_edited)
{
    board_of("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "\x08\x7f", "");
    client_expect(&client, "ab\x08", "ab\x08");
    client_expect(&client, "c\n", "c\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
}
END_TEST

START_TEST(test_control_bytes_are_text_inside_a_line)
{
    board_of("2.2.0");
    client_expect(&client, "C", "Enter 63-digit claim code: ");
    client_expect(&client, "\x01\x1b[A", "\x01\x1b[A");
}
END_TEST

START_TEST(test_the_character_after_the_last_possible_one_ends_the_line)
{
    board_of("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "0123456789012345678901234567890123456789",
                  "01234567890123456789012345678901\r\n"
                  "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "12", "1\r\nPassword: ");
}
END_TEST

#define DIGITS_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(test_a_password_has_64_characters_and_a_cipher_one)
{
    board_of("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "Other\r", "Other\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "3\r", "3\r\nSecurity Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ");
    client_expect(&client, "12", "1\r\nPassword: ");
    client_expect(&client, DIGITS_64, DIGITS_64);
    client_send(&client, "x", 1);
    client_wait(&client, 200);
    ck_assert_msg(strncmp(client.text, "\r\nThanks! ", 10) == 0, "%s", client.text);
}
END_TEST

START_TEST(test_what_is_typed_ahead_of_a_prompt_is_lost)
{
    board_of("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "home\r\n3\rsecret\r",
                  "home\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "0\r\n",
                  "0\r\nThanks! Wait while I save those credentials...\r\n\r\n"
                  "Awesome. Now we'll connect!\r\n\r\n"
                  "If you see a pulsing cyan light, your device\r\n"
                  "has connected to the Cloud and is ready to go!\r\n\r\n"
                  "If your LED flashes red or you encounter any other problems,\r\n"
                  "visit https://www.particle.io/support to debug.\r\n\r\n"
                  "    Particle <3 you!\r\n\r\n");
}
END_TEST

/* --- w --- */

START_TEST(test_w_of_0_4_asks_for_name_security_and_password)
{
    board_of("0.4.3");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "MyNet\r", "MyNet\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "3\r", "3\r\nPassword: ");
    client_expect(&client, "secret\r",
                  "secret\r\nThanks! Wait while I save those credentials...\r\n\r\n"
                  "Awesome. Now we'll connect!\r\n\r\n"
                  "If you see a pulsing cyan light, your device\r\n"
                  "has connected to the Cloud and is ready to go!\r\n\r\n"
                  "If your LED flashes red or you encounter any other problems,\r\n"
                  "visit https://www.spark.io/support to debug.\r\n\r\n"
                  "    Spark <3 you!\r\n\r\n");
}
END_TEST

/* Only what begins with 0 to 3 is an answer; 0 needs no password. */
START_TEST(test_w_of_0_4_repeats_the_question_of_security)
{
    board_of("0.4.3");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "MyNet\r", "MyNet\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "4\r", "4\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "\r", "\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_send(&client, "0\r", 2);
    client_wait(&client, 200);
    ck_assert_msg(strncmp(client.text, "0\r\nThanks! ", 11) == 0, "%s", client.text);
}
END_TEST

START_TEST(test_w_of_0_5_asks_for_the_cipher_of_a_network_that_it_does_not_see)
{
    near_networks("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "VPHOTON\r", "VPHOTON\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "9\r", "9\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "3", "3");
    client_expect(&client, "\r", "\r\nPassword: ");
    teardown();
    near_networks("0.5.2");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "Other\r", "Other\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "3\r", "3\r\nSecurity Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ");
    client_expect(&client, "0\r", "0\r\nSecurity Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ");
    client_expect(&client, "1\r", "1\r\nPassword: ");
    client_send(&client, "\r", 1);
    client_wait(&client, 1500);
    ck_assert_ptr_nonnull(strstr(client.text, "\r\nThanks! "));
    ck_assert_ptr_nonnull(strstr(client.text, "Awesome. "));
}
END_TEST

START_TEST(test_w_of_0_5_freezes_the_led_until_the_password)
{
    near_networks("0.5.2");
    client_expect(&client, "w", "SSID: ");
    ck_assert_int_eq(led().pattern, LED_SOLID);
    client_expect(&client, "VPHOTON\r", "VPHOTON\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ");
    client_expect(&client, "3\r", "3\r\nPassword: ");
    expect_led(LED_TOGGLE, 0x0000FF, 100);
    teardown();
    near_networks("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "VPHOTON\r", "VPHOTON\r\nPassword: ");
    expect_led(LED_TOGGLE, 0x0000FF, 250);
}
END_TEST

#define SECURITY_2_2                                                                               \
    "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2, 4=WPA Enterprise, 5=WPA2 Enterprise: "
#define CIPHER "Security Cipher 1=AES, 2=TKIP, 3=AES+TKIP: "
#define THANKS "Thanks! Wait while I save those credentials...\r\n\r\n"
#define AWESOME_2_2                                                                                \
    "Awesome. Now we'll connect!\r\n\r\nIf you see a pulsing cyan light, your device \r\n"         \
    "has connected to the Cloud and is ready to go!\r\n\r\n"                                       \
    "If your LED flashes red or you encounter any other problems,\r\n"                             \
    "visit https://www.particle.io/support to debug.\r\n\r\n    Particle <3 you!\r\n\r\n"

START_TEST(test_w_of_2_2_takes_security_and_cipher_from_a_scan)
{
    ck_assert_uint_eq(strlen(AWESOME_2_2), 265);
    near_networks("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "\r", "\r\nSSID: ");
    client_expect(&client, "VPHOTON\r", "VPHOTON\r\nPassword: ");
    client_expect(&client, "secret12\r", "secret12\r\n" THANKS AWESOME_2_2);
}
END_TEST

START_TEST(test_w_of_2_2_asks_for_the_cipher_of_an_unsecured_network)
{
    near_networks("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "OPEN\r", "OPEN\r\n" CIPHER);
    client_expect(&client, "1\r", "1\r\n" THANKS AWESOME_2_2);
    teardown();
    near_networks("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "Nope\r", "Nope\r\n" SECURITY_2_2);
    client_expect(&client, "6\r", "6\r\n" SECURITY_2_2);
    client_expect(&client, "0\r", "0\r\n" CIPHER);
    client_expect(&client, "4\r", "4\r\n" CIPHER);
    client_expect(&client, "\r", "\r\n" CIPHER);
}
END_TEST

START_TEST(test_w_of_2_2_refuses_a_short_password_and_goes_on_listening)
{
    near_networks("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "Nope\r", "Nope\r\n" SECURITY_2_2);
    client_expect(&client, "3\r", "3\r\n" CIPHER);
    client_expect(&client, "1\r", "1\r\nPassword: ");
    client_expect(&client, "secret\r",
                  "secret\r\n" THANKS "Derp. Sorry, we couldn't save the credentials.\r\n\r\n");
    client_expect(&client, "i", ID_TEXT);
    expect_led(LED_TOGGLE, 0x0000FF, 250);
}
END_TEST

START_TEST(test_w_of_2_2_asks_for_what_an_enterprise_network_needs)
{
    board_of("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "Nope\r", "Nope\r\n" SECURITY_2_2);
    client_expect(&client, "5\r", "5\r\n" CIPHER);
    client_expect(&client, "1\r", "1\r\nEAP Type 0=PEAP/MSCHAPv2, 1=EAP-TLS: ");
    client_expect(&client, "2\r", "2\r\nEAP Type 0=PEAP/MSCHAPv2, 1=EAP-TLS: ");
    client_expect(&client, "0\r", "0\r\nUsername: ");
    client_expect(&client, "me\r", "me\r\nPassword: ");
    client_expect(&client, "secret\r", "secret\r\nOuter identity (optional): ");
    client_expect(&client, "\r", "\r\nRoot CA in PEM format (optional):\r\n");
    client_expect(&client, "-----BEGIN\r", "-----BEGIN\r\n");
    client_expect(&client, "\r", "\r\n" THANKS AWESOME_2_2);
}
END_TEST

START_TEST(test_w_of_2_2_asks_for_the_certificates_of_eap_tls)
{
    board_of("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "Nope\r", "Nope\r\n" SECURITY_2_2);
    client_expect(&client, "4\r", "4\r\n" CIPHER);
    client_expect(&client, "1\r", "1\r\nEAP Type 0=PEAP/MSCHAPv2, 1=EAP-TLS: ");
    client_expect(&client, "1\r", "1\r\nClient certificate in PEM format:\r\n");
    client_expect(&client, "abc\r", "abc\r\n");
    client_expect(&client, "\r", "\r\nPrivate key in PEM format:\r\n");
    client_expect(&client, "abc\r", "abc\r\n");
    client_expect(&client, "\r", "\r\nOuter identity (optional): ");
    client_expect(&client, "me\r", "me\r\nRoot CA in PEM format (optional):\r\n");
    client_expect(&client, "\r", "\r\n" THANKS AWESOME_2_2);
}
END_TEST

/* Names and passwords a board must find again after a power cycle. */
static void store_profile(const char *ssid)
{
    char line[64];

    client_send(&client, "w", 1);
    client_wait(&client, 100);
    client_send(&client, line, (size_t)snprintf(line, sizeof(line), "%s\r", ssid));
    client_wait(&client, 200);
    client_send(&client, "0\r", 2);
    client_wait(&client, 3000);
    ck_assert_msg(strstr(client.text, "Awesome") != NULL, "%s", client.text);
}

START_TEST(test_stored_credentials_end_listening_mode_also_after_a_power_cycle)
{
    board_of("0.5.2");
    expect_led(LED_TOGGLE, 0x0000FF, 250);
    store_profile("home");
    expect_led(LED_TOGGLE, 0x00FF00, 100);
    client_forget(&client);
    client_expect(&client, "i", "");
    client.board->ops->power(client.board, false);
    ck_assert(client_open(&client, client.board));
    client_wait(&client, 100);
    expect_led(LED_TOGGLE, 0x00FF00, 100);
}
END_TEST

START_TEST(test_dct_fields_survive_storing_credentials)
{
    uint8_t before[256], after[256];

    board_of("0.5.2");
    ck_assert(client.board->ops->flash_read(
        client.board, MAP_DCT1 + DCT_APPLICATION + DCT_SERVER_ADDRESS, before, sizeof(before)));
    ck_assert_mem_eq(before,
                     "\x01\x0F"
                     "device.spark.io",
                     17);
    store_profile("home");
    ck_assert(client.board->ops->flash_read(
        client.board, MAP_DCT1 + DCT_APPLICATION + DCT_SERVER_ADDRESS, after, sizeof(after)));
    ck_assert_mem_eq(before, after, sizeof(before));
}
END_TEST

/* The settings' driver tries to erase for ever. */
START_TEST(test_write_protected_settings_hang_the_board_when_credentials_are_saved)
{
    near_networks("2.2.0");
    client_expect(&client, "w", "SSID: ");
    client_expect(&client, "VPHOTON\r", "VPHOTON\r\nPassword: ");
    flash_set_nwrp(photon_flash(client.board),
                   (uint16_t)(FLASH_NWRP_NONE & ~(1U << MAP_SECTOR_DCT1 | 1U << MAP_SECTOR_DCT2)));
    client_send(&client, "secret12\r", 9);
    client_wait(&client, 60000);
    ck_assert_uint_eq(client.board->ops->ready_at(client.board), BOARD_NEVER);
    ck_assert_ptr_null(strstr(client.text, "Awesome"));
}
END_TEST

/* --- claim code --- */

#define CODE "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+"

START_TEST(test_claim_code_must_have_63_characters)
{
    char stored[sizeof(CODE)] = "";
    char line[sizeof(CODE) + 1];

    board_of(_i == 0 ? "0.6.3" : "2.2.0");
    client_expect(&client, "c", "Device claimed: no\r\n");
    client_expect(&client, "C", "Enter 63-digit claim code: ");
    client_expect(&client, "abc\r",
                  "abc\r\nSorry, claim code is not 63 characters long. Claim code unchanged.\r\n");
    client_expect(&client, "C", "Enter 63-digit claim code: ");
    snprintf(line, sizeof(line), "%s\r", CODE);
    client_expect(&client, line, CODE "\r\nClaim code set to: " CODE "\r\n");
    client_expect(&client, "C", "Enter 63-digit claim code: ");
    client_expect(&client, CODE "-", CODE "\r\nClaim code set to: " CODE "\r\n");
    for (unsigned copy = 0; copy < 2 && memcmp(stored, CODE, 63) != 0; copy++) {
        ck_assert(client.board->ops->flash_read(
            client.board, (copy == 0 ? MAP_DCT1 : MAP_DCT2) + 7548 + 1762, stored, 63));
    }
    ck_assert_str_eq(stored, CODE);
}
END_TEST

START_TEST(test_a_claimed_board_says_so)
{
    struct board *board = client_board("2.2.0");

    ck_assert(flash_load(photon_flash(board), MAP_DCT1 + 7548 + 1825, "1", 1));
    ck_assert(client_open(&client, board));
    client_expect(&client, "c", "Device claimed: yes\r\n");
}
END_TEST

/* --- listening mode --- */

START_TEST(test_x_without_credentials_comes_back)
{
    board_of("0.5.2");
    client_send(&client, "x", 1);
    client_wait(&client, 100);
    expect_led(LED_SOLID, 0xFFFFFF, 0);
    client_wait(&client, 332);
    expect_led(LED_TOGGLE, 0x00FF00, 100);
    client_wait(&client, 20);
    expect_led(LED_TOGGLE, 0x0000FF, 250);
    client_expect(&client, "i", ID_TEXT);
    replug("2.2.0");
    client_send(&client, "x", 1);
    client_wait(&client, 500);
    client_expect(&client, "", "");
    client_wait(&client, 300);
    expect_led(LED_TOGGLE, 0x0000FF, 250);
    client_expect(&client, "i", ID_TEXT);
}
END_TEST

START_TEST(test_input_before_listening_mode_is_answered_when_it_starts)
{
    board_of(_i == 0 ? "0.5.2" : "2.2.0");
    client_send(&client, "x", 1);
    client_wait(&client, 5);
    client_expect(&client, "i", "");
    client_wait(&client, 1000);
    ck_assert_str_eq(client.text, ID_TEXT);
}
END_TEST

static Suite *suite(void)
{
    Suite *console = suite_create("console");
    TCase *tests = tcase_create("console");

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_i_prints_the_id_in_lower_case, 0, ALL_RELEASES);
    tcase_add_loop_test(tests, test_m_prints_the_address_of_a_core_up_to_0_4_2, 0, ALL_RELEASES);
    tcase_add_loop_test(tests, test_v_prints_the_version_from_0_4_4_on, 0, ALL_RELEASES);
    tcase_add_loop_test(tests, test_letters_that_a_release_does_not_know_are_swallowed, 0,
                        ALL_RELEASES);
    tcase_add_test(tests, test_letters_in_one_packet_are_answered_in_order);
    tcase_add_test(tests, test_text_takes_a_millisecond_a_character_up_to_0_5);
    tcase_add_test(tests, test_text_comes_at_once_in_2_2);
    tcase_add_loop_test(tests, test_s_lists_the_modules, 0, sizeof(listings) / sizeof(listings[0]));
    tcase_add_test(tests, test_d_reports_diagnostics_from_0_8_on);
    tcase_add_test(tests, test_a_line_can_be_edited);
    tcase_add_test(tests, test_control_bytes_are_text_inside_a_line);
    tcase_add_test(tests, test_the_character_after_the_last_possible_one_ends_the_line);
    tcase_add_test(tests, test_a_password_has_64_characters_and_a_cipher_one);
    tcase_add_test(tests, test_what_is_typed_ahead_of_a_prompt_is_lost);
    tcase_add_test(tests, test_w_of_0_4_asks_for_name_security_and_password);
    tcase_add_test(tests, test_w_of_0_4_repeats_the_question_of_security);
    tcase_add_test(tests, test_w_of_0_5_asks_for_the_cipher_of_a_network_that_it_does_not_see);
    tcase_add_test(tests, test_w_of_0_5_freezes_the_led_until_the_password);
    tcase_add_test(tests, test_w_of_2_2_takes_security_and_cipher_from_a_scan);
    tcase_add_test(tests, test_w_of_2_2_asks_for_the_cipher_of_an_unsecured_network);
    tcase_add_test(tests, test_w_of_2_2_refuses_a_short_password_and_goes_on_listening);
    tcase_add_test(tests, test_w_of_2_2_asks_for_what_an_enterprise_network_needs);
    tcase_add_test(tests, test_w_of_2_2_asks_for_the_certificates_of_eap_tls);
    tcase_add_test(tests, test_stored_credentials_end_listening_mode_also_after_a_power_cycle);
    tcase_add_test(tests, test_dct_fields_survive_storing_credentials);
    tcase_add_test(tests, test_write_protected_settings_hang_the_board_when_credentials_are_saved);
    tcase_add_loop_test(tests, test_claim_code_must_have_63_characters, 0, 2);
    tcase_add_test(tests, test_a_claimed_board_says_so);
    tcase_add_test(tests, test_x_without_credentials_comes_back);
    tcase_add_loop_test(tests, test_input_before_listening_mode_is_answered_when_it_starts, 0, 2);
    suite_add_tcase(console, tests);
    return console;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
