/* The release table against the version table of the firmware's tree (device-os tags v0.4.0 ...
 * v2.3.1: system_module_version.mk, import.mk) and the listings of the real files. */
#include "release.h"

#include <check.h>
#include <stdio.h>

/* name, system, user, the bootloader a board has, what part2 and part1 need */
static const struct {
    const char *name;
    uint16_t system, user, bootloader, part2_needs, part1_needs;
} expected[] = {
    {"0.4.0", 1, 2, 2, 0, 0},
    {"0.4.1", 1, 2, 2, 0, 0},
    {"0.4.2", 2, 2, 3, 0, 0},
    {"0.4.3", 3, 2, 3, 0, 0},
    {"0.4.4", 5, 3, 3, 0, 0},
    {"0.4.5", 6, 3, 4, 0, 0},
    {"0.4.6", 7, 3, 4, 0, 0},
    {"0.4.7", 8, 3, 4, 0, 0},
    {"0.4.9", 11, 3, 7, 0, 0},
    {"0.5.0", 13, 4, 7, 0, 0},
    {"0.5.1", 15, 4, 7, 0, 0},
    {"0.5.2", 17, 4, 7, 0, 0},
    {"0.5.3", 21, 4, 7, 0, 0},
    {"0.5.4", 22, 5, 7, 0, 0},
    {"0.5.5", 23, 5, 7, 0, 0},
    {"0.6.0", 102, 4, 7, 0, 0},
    {"0.6.1", 105, 4, 11, 0, 0},
    {"0.6.2", 108, 4, 11, 0, 0},
    {"0.6.3", 109, 4, 11, 0, 0},
    {"0.6.4", 110, 4, 11, 0, 0},
    {"0.7.0", 207, 5, 101, 101, 0},
    {"1.0.0", 1000, 5, 201, 201, 204},
    {"1.0.1", 1002, 5, 201, 201, 204},
    {"1.1.0", 1102, 6, 301, 201, 204},
    {"1.1.1", 1104, 6, 301, 201, 204},
    {"1.2.1", 1213, 6, 311, 311, 204},
    {"1.3.1", 1321, 6, 401, 400, 204},
    {"1.4.0", 1401, 6, 500, 400, 204},
    {"1.4.1", 1403, 6, 500, 400, 207},
    {"1.4.2", 1404, 6, 501, 400, 207},
    {"1.4.3", 1405, 6, 501, 400, 207},
    {"1.4.4", 1406, 6, 501, 400, 207},
    {"1.5.0", 1502, 6, 501, 400, 207},
    {"1.5.1", 1511, 6, 501, 400, 207},
    {"1.5.2", 1512, 6, 502, 400, 207},
    {"2.0.0", 2008, 6, 1003, 1003, 207},
    {"2.0.1", 2011, 6, 1005, 1003, 207},
    {"2.0.2", 2021, 6, 1005, 1003, 207},
    {"2.1.0", 2101, 6, 1005, 1003, 207},
    {"2.2.0", 2202, 6, 1006, 1003, 207},
    {"2.3.0", 2301, 6, 1006, 1003, 207},
    {"2.3.1", 2302, 6, 1006, 1003, 207},
};
#define EXPECTED (sizeof(expected) / sizeof(expected[0]))

START_TEST(test_every_release_has_the_numbers_of_the_tree)
{
    ck_assert_uint_eq(release_count, EXPECTED);
    for (size_t i = 0; i < EXPECTED; i++) {
        const struct release *release = release_find(expected[i].name);

        ck_assert_msg(release != NULL, "%s", expected[i].name);
        ck_assert_uint_eq(release->system, expected[i].system);
        ck_assert_uint_eq(release->user, expected[i].user);
        ck_assert_uint_eq(release->bootloader->version, expected[i].bootloader);
        ck_assert_uint_eq(release->part2_needs_bootloader, expected[i].part2_needs);
        ck_assert_uint_eq(release->part1_needs_part2, expected[i].part1_needs);
    }
}
END_TEST

START_TEST(test_system_version_number_spells_the_name)
{
    for (size_t i = 0; i < release_count; i++) {
        uint32_t number = releases[i].number;
        char name[16];

        ck_assert_uint_eq(number & 0xFF, 0);
        snprintf(name, sizeof(name), "%u.%u.%u", (unsigned)(number >> 24),
                 (unsigned)(number >> 16 & 0xFF), (unsigned)(number >> 8 & 0xFF));
        ck_assert_str_eq(name, releases[i].name);
    }
}
END_TEST

START_TEST(test_embedded_bootloaders_are_the_real_images)
{
    static const struct {
        const char *release, *image;
        uint32_t size;
        uint16_t suffix_size;
    } rows[] = {
        {"0.4.2", "3a", 13636, 36}, {"0.4.3", "3b", 13672, 40}, {"0.4.4", "3b", 13672, 40},
        {"0.4.5", "4", 13860, 40},  {"0.4.7", "4", 13860, 40},  {"0.4.9", "7", 14052, 40},
        {"0.5.2", "7", 14052, 40},  {"0.6.0", "7", 14052, 40},  {"0.6.1", "11", 16076, 40},
        {"0.6.4", "11", 16076, 40},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct release *release = release_find(rows[i].release);

        ck_assert(release->embeds_bootloader);
        ck_assert_str_eq(release->bootloader->name, rows[i].image);
        ck_assert_uint_eq(release->bootloader->size, rows[i].size);
        ck_assert_uint_eq(release->bootloader->suffix_size, rows[i].suffix_size);
        ck_assert(!release->bootloader->unsealed);
    }
}
END_TEST

START_TEST(test_bootloaders_are_embedded_from_0_4_2_to_0_6_4_only)
{
    for (size_t i = 0; i < release_count; i++) {
        bool era = releases[i].system >= 2 && releases[i].system <= 110;

        ck_assert_msg(releases[i].embeds_bootloader == era, "%s", releases[i].name);
    }
}
END_TEST

START_TEST(test_only_bootloader_2_fails_its_integrity_check)
{
    for (size_t i = 0; i < release_count; i++) {
        ck_assert_int_eq(releases[i].bootloader->unsealed, releases[i].bootloader->version == 2);
    }
}
END_TEST

START_TEST(test_known_file_sizes_are_the_real_ones)
{
    ck_assert_uint_eq(release_find("0.4.3")->part2_size, 151192);
    ck_assert_uint_eq(release_find("0.4.7")->part1_size, 249740);
    ck_assert_uint_eq(release_find("0.5.2")->part1_size, 250956);
    ck_assert_uint_eq(release_find("0.5.2")->part2_size, 187492);
    ck_assert_uint_eq(release_find("0.6.2")->part1_size, 256040);
    ck_assert_uint_eq(release_find("1.5.0")->bootloader->size, 15336);
    ck_assert_uint_eq(release_find("1.5.0")->part1_size, 238408);
    ck_assert_uint_eq(release_find("1.5.0")->part2_size, 261048);
    ck_assert_uint_eq(release_find("2.2.0")->bootloader->size, 15124);
    ck_assert_uint_eq(release_find("2.2.0")->part1_size, 241496);
    ck_assert_uint_eq(release_find("2.2.0")->part2_size, 260840);
    ck_assert_uint_eq(release_find("0.4.0")->user_size, 3952);
    ck_assert_uint_eq(release_find("0.4.5")->user_size, 5324);
}
END_TEST

START_TEST(test_unknown_names_are_not_found)
{
    ck_assert_ptr_null(release_find("0.4.8"));
    ck_assert_ptr_null(release_find("0.4"));
    ck_assert_ptr_null(release_find("0.4.33"));
    ck_assert_ptr_null(release_find(""));
}
END_TEST

START_TEST(test_a_system_version_belongs_to_the_closest_release_not_above_it)
{
    ck_assert_ptr_null(release_of_system(0));
    ck_assert_str_eq(release_of_system(1)->name, "0.4.0");
    ck_assert_str_eq(release_of_system(3)->name, "0.4.3");
    ck_assert_str_eq(release_of_system(4)->name, "0.4.3"); /* 0.4.4-rc */
    ck_assert_str_eq(release_of_system(17)->name, "0.5.2");
    ck_assert_str_eq(release_of_system(2202)->name, "2.2.0");
    ck_assert_str_eq(release_of_system(2302)->name, "2.3.1");
    ck_assert_str_eq(release_of_system(0xFFFF)->name, "2.3.1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("release");
    TCase *table = tcase_create("table");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(table, test_every_release_has_the_numbers_of_the_tree);
    tcase_add_test(table, test_system_version_number_spells_the_name);
    tcase_add_test(table, test_embedded_bootloaders_are_the_real_images);
    tcase_add_test(table, test_bootloaders_are_embedded_from_0_4_2_to_0_6_4_only);
    tcase_add_test(table, test_only_bootloader_2_fails_its_integrity_check);
    tcase_add_test(table, test_known_file_sizes_are_the_real_ones);
    tcase_add_test(table, test_unknown_names_are_not_found);
    tcase_add_test(table, test_a_system_version_belongs_to_the_closest_release_not_above_it);
    suite_add_tcase(suite, table);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
