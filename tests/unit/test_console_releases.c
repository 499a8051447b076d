/* The console of releases that nobody recorded, against device-os of that release
 * (system/src/wifi_credentials_reader.cpp, from 0.4.5 on system_setup.cpp; hal/src/photon/
 * wlan_hal.cpp). */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/support_client.h"

static struct client client;

static void near_networks(const char *release)
{
    ck_assert(client_open(&client, client_board_near_networks(release)));
}

static void teardown(void)
{
    client.board->ops->destroy(client.board);
}

#define SECURITY "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: "
#define SECURITY_0_7                                                                               \
    "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2, 4=WPA Enterprise, 5=WPA2 Enterprise: "
#define CIPHER "Security Cipher 1=AES, 2=TKIP, 3=AES+TKIP: "
#define THANKS "Thanks! Wait while I save those credentials...\r\n\r\n"
#define DERP   THANKS "Derp. Sorry, we couldn't save the credentials.\r\n\r\n"
#define AWESOME(device, site, name)                                                                \
    THANKS "Awesome. Now we'll connect!\r\n\r\nIf you see a pulsing cyan light, " device           \
           "has connected to the Cloud and is ready to go!\r\n\r\n"                                \
           "If your LED flashes red or you encounter any other problems,\r\n"                      \
           "visit https://www." site "/support to debug.\r\n\r\n    " name " <3 you!\r\n\r\n"
#define SPARK          AWESOME("your device\r\n", "spark.io", "Spark")
#define PARTICLE       AWESOME("your device\r\n", "particle.io", "Particle")
#define ONE_BLANK_MORE AWESOME("your device \r\n", "particle.io", "Particle")

/* --- w: which questions a release has, and how it says goodbye --- */

static const struct {
    const char *release, *security, *cipher, *end;
} dialogues[] = {
    {"0.4.4", SECURITY, NULL, SPARK},
    {"0.4.5", SECURITY, NULL, SPARK},
    {"0.4.6", SECURITY, CIPHER, PARTICLE},
    {"0.4.7", SECURITY, CIPHER, PARTICLE},
    {"0.4.9", SECURITY, CIPHER, PARTICLE},
    {"0.5.5", SECURITY, CIPHER, PARTICLE},
    {"0.6.0", SECURITY, CIPHER, PARTICLE},
    {"0.6.4", SECURITY, CIPHER, PARTICLE},
    {"0.7.0", SECURITY_0_7, CIPHER, PARTICLE},
    {"1.0.0", SECURITY_0_7, CIPHER, PARTICLE},
    {"1.4.4", SECURITY_0_7, CIPHER, PARTICLE},
    {"1.5.0", SECURITY_0_7, CIPHER, ONE_BLANK_MORE},
    {"2.3.1", SECURITY_0_7, CIPHER, ONE_BLANK_MORE},
};
#define DIALOGUES (sizeof(dialogues) / sizeof(dialogues[0]))

/* The name of a network that no scan finds. */
static void name_a_network(const char *release, const char *security)
{
    char expected[128];

    near_networks(release);
    client_expect(&client, "w", "SSID: ");
    snprintf(expected, sizeof(expected), "Other\r\n%s", security);
    client_expect(&client, "Other\r", expected);
}

START_TEST(test_w_asks_what_its_release_asks)
{
    char expected[640];

    name_a_network(dialogues[_i].release, dialogues[_i].security);
    if (dialogues[_i].cipher != NULL) {
        client_expect(&client, "3\r", "3\r\n" CIPHER);
        client_expect(&client, "1\r", "1\r\nPassword: ");
    } else {
        client_expect(&client, "3\r", "3\r\nPassword: ");
    }
    snprintf(expected, sizeof(expected), "12345678\r\n%s", dialogues[_i].end);
    client_expect(&client, "12345678\r", expected);
}
END_TEST

/* --- w: how long a password must be --- */

static const struct {
    const char *release, *security; /* the answer */
    const char *password;
    bool stored;
} passwords[] = {
    {"0.6.4", "1", "1234", true},
    {"0.6.4", "2", "", true},
    {"0.7.0", "1", "1234", false},
    {"0.7.0", "1", "12345", true},
    {"0.7.0", "2", "1234567", false},
    {"0.7.0", "3", "12345678", true},
    {"1.5.0", "3", "1234567", false},
    {"2.2.0", "1", "1234", false},
    {"2.2.0", "1", "12345678901234567890123456789012345678901234567890123456789", false}, /* 59 */
};
#define PASSWORDS (sizeof(passwords) / sizeof(passwords[0]))

START_TEST(test_from_0_7_on_a_password_must_fit_its_network)
{
    char text[96], expected[640];
    bool old = strcmp(passwords[_i].release, "0.6.4") == 0;
    const char *awesome = strcmp(passwords[_i].release, "1.5.0") < 0 ? PARTICLE : ONE_BLANK_MORE;
    bool wep = passwords[_i].security[0] == '1';

    name_a_network(passwords[_i].release, old ? SECURITY : SECURITY_0_7);
    snprintf(text, sizeof(text), "%s\r", passwords[_i].security);
    snprintf(expected, sizeof(expected), "%s\r\n%s", passwords[_i].security,
             old && wep ? "Password: " : CIPHER);
    client_expect(&client, text, expected);
    if (!(old && wep)) {
        client_expect(&client, "1\r", "1\r\nPassword: ");
    }
    snprintf(text, sizeof(text), "%s\r", passwords[_i].password);
    snprintf(expected, sizeof(expected), "%s\r\n%s", passwords[_i].password,
             passwords[_i].stored ? awesome : DERP);
    client_expect(&client, text, expected);
}
END_TEST

/* --- what a release knows, and that it swallows the rest --- */

/* Keys in the order of the releases that brought them. */
static const struct {
    const char *release, *keys;
} known[] = {
    {"0.4.0", "fimswx"},     {"0.4.2", "fimswx"},      {"0.4.3", "fimswx"},
    {"0.4.4", "fimswxv"},    {"0.4.9", "fimswxv"},     {"0.5.0", "fimswxvL"},
    {"0.5.5", "fimswxvL"},   {"0.6.0", "fimswxvLcC"},  {"0.6.4", "fimswxvLcC"},
    {"0.7.0", "fimswxvLcC"}, {"1.0.0", "fimswxvLcCd"}, {"2.3.1", "fimswxvLcCd"},
};
#define KNOWN (sizeof(known) / sizeof(known[0]))

#define ID    "Your device id is 1f00a2000b47abcdef323032\r\n"

/* SOH and STX begin a transfer wherever `L` is known. */
static bool is_key(const char *keys, unsigned byte)
{
    return (byte != 0 && strchr(keys, (int)byte) != NULL) ||
           ((byte == 1 || byte == 2) && strchr(keys, 'L') != NULL);
}

START_TEST(test_all_bytes_but_its_keys_are_swallowed)
{
    uint8_t bytes[256];
    size_t count = 0;

    near_networks(known[_i].release);
    for (unsigned byte = 0; byte < sizeof(bytes); byte++) {
        if (!is_key(known[_i].keys, byte)) {
            bytes[count++] = (uint8_t)byte;
        }
    }
    client_expect_bytes(&client, bytes, count, "", 0);
    client_expect(&client, "i", ID);
}
END_TEST

/* `x` says nothing, `L` resets, and `f` of 0.4.2 is broken. */
START_TEST(test_each_of_its_keys_is_heard)
{
    for (const char *key = known[_i].keys; *key != '\0'; key++) {
        bool broken = *key == 'f' && strcmp(known[_i].release, "0.4.3") < 0;

        near_networks(known[_i].release);
        client_send(&client, key, 1);
        client_wait(&client, 2000);
        if (*key == 'L') {
            ck_assert(client.gone);
        } else if (*key == 'x') {
            ck_assert_uint_eq(client.length, 0);
        } else if (broken) {
            client_expect(&client, "i", "");
        } else {
            ck_assert_msg(client.length > 0, "%s says nothing to %c", known[_i].release, *key);
        }
        if (key[1] != '\0') {
            teardown();
        }
    }
}
END_TEST

/* --- the rate that asks for attention, while the board connects --- */

static const struct {
    const char *release;
    bool listens; /* else it receives YMODEM */
} rates[] = {
    {"0.4.3", false}, {"0.4.4", false}, {"0.4.9", false}, {"0.5.0", true}, {"0.5.5", true},
    {"0.6.0", true},  {"0.7.0", true},  {"1.0.0", true},  {"2.3.1", true},
};
#define RATES (sizeof(rates) / sizeof(rates[0]))

START_TEST(test_28800_listens_from_0_5_on_and_receives_before)
{
    struct led led;

    near_networks(rates[_i].release);
    client_send(&client, "x", 1);
    client_wait(&client, 10);
    ck_assert_int_eq(client_set_rate(&client, 28800), TRANSFER_OK);
    client_wait(&client, 20);
    led = client.board->ops->led(client.board);
    ck_assert_uint_eq(led.colour, rates[_i].listens ? 0x0000FF : 0xFF00FF);
    ck_assert_int_eq(led.pattern, rates[_i].listens ? LED_TOGGLE : LED_SOLID);
}
END_TEST

START_TEST(test_14400_means_dfu_in_every_release)
{
    uint32_t near[] = {14399, 14401, 28799, 9600, 0};

    near_networks(rates[_i].release);
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        ck_assert_int_eq(client_set_rate(&client, near[i]), TRANSFER_OK);
    }
    client_expect(&client, "i", ID);
    ck_assert_int_ne(client_set_rate(&client, 14400), TRANSFER_OK);
    client_wait(&client, 3000);
    ck_assert_uint_eq(client.board->ops->led(client.board).colour, 0xFFFF00);
}
END_TEST

/* --- the pace of what is printed --- */

static const struct {
    const char *release;
    bool slow;
} paces[] = {
    {"0.4.0", true}, {"0.4.9", true},  {"0.6.0", true},
    {"0.6.4", true}, {"0.7.0", false}, {"1.0.0", false},
};
#define PACES (sizeof(paces) / sizeof(paces[0]))

/* For a clock that does not want to wait. */
static bool pauses(const struct board *board)
{
    uint64_t until = board->ops->pauses_until(board);

    ck_assert_uint_le(until, board->now + BOARD_NS_PER_MS);
    return until > board->now;
}

START_TEST(test_text_takes_a_millisecond_a_character_up_to_0_6)
{
    uint64_t start, least = paces[_i].slow ? 40 * BOARD_NS_PER_MS : 0;
    uint64_t most = paces[_i].slow ? 46 * BOARD_NS_PER_MS : 2 * BOARD_NS_PER_MS;

    near_networks(paces[_i].release);
    start = client.board->now;
    client_send(&client, "i", 1);
    client_wait(&client, 10);
    ck_assert_int_eq(pauses(client.board), paces[_i].slow);
    client_wait(&client, 200);
    ck_assert(!pauses(client.board));
    ck_assert_uint_eq(client.length, 44);
    ck_assert_uint_ge(client.heard - start, least);
    ck_assert_uint_le(client.heard - start, most);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("console of other releases");
    TCase *tests = tcase_create("releases");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_w_asks_what_its_release_asks, 0, DIALOGUES);
    tcase_add_loop_test(tests, test_from_0_7_on_a_password_must_fit_its_network, 0, PASSWORDS);
    tcase_add_loop_test(tests, test_all_bytes_but_its_keys_are_swallowed, 0, KNOWN);
    tcase_add_loop_test(tests, test_each_of_its_keys_is_heard, 0, KNOWN);
    tcase_add_loop_test(tests, test_28800_listens_from_0_5_on_and_receives_before, 0, RATES);
    tcase_add_loop_test(tests, test_14400_means_dfu_in_every_release, 0, RATES);
    tcase_add_loop_test(tests, test_text_takes_a_millisecond_a_character_up_to_0_6, 0, PACES);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
