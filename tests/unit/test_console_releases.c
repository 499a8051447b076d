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

/* --- the pace of what is printed --- */

static const struct {
    const char *release;
    bool slow;
} paces[] = {
    {"0.4.0", true}, {"0.4.9", true},  {"0.6.0", true},
    {"0.6.4", true}, {"0.7.0", false}, {"1.0.0", false},
};
#define PACES (sizeof(paces) / sizeof(paces[0]))

START_TEST(test_text_takes_a_millisecond_a_character_up_to_0_6)
{
    uint64_t start, least = paces[_i].slow ? 40 * BOARD_NS_PER_MS : 0;
    uint64_t most = paces[_i].slow ? 46 * BOARD_NS_PER_MS : 2 * BOARD_NS_PER_MS;

    near_networks(paces[_i].release);
    start = client.board->now;
    client_send(&client, "i", 1);
    client_wait(&client, 200);
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
    tcase_add_loop_test(tests, test_text_takes_a_millisecond_a_character_up_to_0_6, 0, PACES);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
