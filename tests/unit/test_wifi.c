/* The Wi-Fi profiles of a board, and what a scan finds. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "devmodel/engine.h"
#include "tests/unit/support_client.h"

static struct client client;
static struct photon *photon;
static struct wifi_profile profiles[WIFI_PROFILES];

static const char *const names[] = {"0.4.0", "0.5.2", "2.2.0"}; /* one for each settings driver */

static void open_board(int number)
{
    ck_assert(client_open(&client, client_board_near_networks(names[number])));
    photon = (struct photon *)client.board;
}

static void teardown(void)
{
    client.board->ops->destroy(client.board);
}

static void store(const char *ssid, const char *key)
{
    struct wifi_profile profile = {.security = WIFI_WPA2, .cipher = WIFI_AES};

    snprintf(profile.ssid, sizeof(profile.ssid), "%s", ssid);
    snprintf(profile.key, sizeof(profile.key), "%s", key);
    ck_assert(wifi_store(photon, &profile));
}

START_TEST(test_a_new_board_has_no_profile)
{
    open_board(_i);
    ck_assert(!wifi_has_credentials(photon));
    ck_assert_uint_eq(wifi_profiles(photon, profiles), 0);
}
END_TEST

START_TEST(test_the_newest_five_profiles_are_kept)
{
    static const char *const kept[] = {"six", "five", "four", "three", "two"};
    static const char *const all[] = {"one", "two", "three", "four", "five", "six"};

    open_board(_i);
    for (size_t i = 0; i < 6; i++) {
        store(all[i], "secret");
    }
    ck_assert_uint_eq(wifi_profiles(photon, profiles), WIFI_PROFILES);
    for (size_t i = 0; i < WIFI_PROFILES; i++) {
        ck_assert_str_eq(profiles[i].ssid, kept[i]);
    }
}
END_TEST

START_TEST(test_a_profile_of_the_same_name_is_replaced)
{
    open_board(_i);
    store("home", "first");
    store("work", "other");
    store("home", "second");
    ck_assert_uint_eq(wifi_profiles(photon, profiles), 2);
    ck_assert_str_eq(profiles[0].ssid, "home");
    ck_assert_str_eq(profiles[0].key, "second");
    ck_assert_uint_eq(profiles[0].security, WIFI_WPA2);
    ck_assert_uint_eq(profiles[0].cipher, WIFI_AES);
    ck_assert_str_eq(profiles[1].ssid, "work");
}
END_TEST

START_TEST(test_names_and_passwords_of_full_length_come_back)
{
    char ssid[WIFI_SSID_MAX + 1], key[WIFI_KEY_MAX + 1];

    memset(ssid, 's', WIFI_SSID_MAX);
    ssid[WIFI_SSID_MAX] = '\0';
    memset(key, 'k', WIFI_KEY_MAX);
    key[WIFI_KEY_MAX] = '\0';
    open_board(_i);
    store(ssid, key);
    ck_assert_uint_eq(wifi_profiles(photon, profiles), 1);
    ck_assert_str_eq(profiles[0].ssid, ssid);
    ck_assert_str_eq(profiles[0].key, key);
}
END_TEST

START_TEST(test_erasing_takes_all)
{
    open_board(_i);
    ck_assert(wifi_erase(photon));
    ck_assert(!wifi_has_credentials(photon));
    store("home", "secret");
    store("work", "secret");
    ck_assert(wifi_erase(photon));
    ck_assert(!wifi_has_credentials(photon));
    store("new", "secret");
    ck_assert_uint_eq(wifi_profiles(photon, profiles), 1);
}
END_TEST

START_TEST(test_a_scan_finds_what_is_in_the_air)
{
    const struct wifi_network *network;

    open_board(_i);
    network = wifi_scan(photon, "VPHOTON");
    ck_assert_ptr_nonnull(network);
    ck_assert_uint_eq(network->security, WIFI_WPA2);
    ck_assert_ptr_null(wifi_scan(photon, "VPHOTO"));
    ck_assert_ptr_null(wifi_scan(photon, ""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wifi");
    TCase *tests = tcase_create("wifi");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, test_a_new_board_has_no_profile, 0, 3);
    tcase_add_loop_test(tests, test_the_newest_five_profiles_are_kept, 0, 3);
    tcase_add_loop_test(tests, test_a_profile_of_the_same_name_is_replaced, 0, 3);
    tcase_add_loop_test(tests, test_names_and_passwords_of_full_length_come_back, 0, 3);
    tcase_add_loop_test(tests, test_erasing_takes_all, 0, 3);
    tcase_add_loop_test(tests, test_a_scan_finds_what_is_in_the_air, 0, 3);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
