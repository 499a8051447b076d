/* Finding the bootloader image in system-part2. */
#include "embedded.h"

#include <check.h>
#include <string.h>

#include "factory.h"
#include "flash_map.h"
#include "support_digest.h"

static struct flash *flash;
static uint8_t part2[FACTORY_MAX_SIZE], bootloader[MAP_BOOTLOADER_SIZE];
static uint32_t part2_size, bootloader_size, address;
static struct module_info info;

static void setup(void)
{
    flash = flash_new(1);
    ck_assert_ptr_nonnull(flash);
}

static void teardown(void)
{
    flash_free(flash);
}

static void build(const char *release)
{
    bootloader_size =
        factory_build(release_find(release), FACTORY_BOOTLOADER, support_sha256, bootloader);
    part2_size = factory_build(release_find(release), FACTORY_PART2, support_sha256, part2);
}

static void load(void)
{
    ck_assert(flash_load(flash, MAP_SYSTEM_PART2, part2, part2_size));
}

/* A part2 of another size than the factory's, so that nothing says where the image is. */
static void build_unlike(uint32_t size)
{
    struct module_spec spec;

    build("0.4.3");
    factory_spec(release_find("0.4.3"), FACTORY_PART2, support_sha256, &spec);
    spec.size = part2_size = size;
    ck_assert(module_build(&spec, part2));
}

START_TEST(test_every_release_that_embeds_one_is_found_to)
{
    for (size_t i = 0; i < release_count; i++) {
        build(releases[i].name);
        load();
        ck_assert_int_eq(embedded_bootloader(flash, &address, &info),
                         releases[i].embeds_bootloader);
        if (releases[i].embeds_bootloader) {
            ck_assert_uint_eq(address, MAP_SYSTEM_PART2 + factory_embedded_offset(&releases[i]));
            ck_assert_uint_eq(info.version, releases[i].bootloader->version);
        }
    }
}
END_TEST

START_TEST(test_the_image_is_found_at_any_word)
{
    static const uint32_t offsets[] = {0x19C, 0x1000, 0x2FFFC - 13672, 0x30000 - 44 - 13672};

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        build_unlike(0x30000);
        memcpy(part2 + offsets[i], bootloader, bootloader_size);
        load();
        ck_assert(embedded_bootloader(flash, &address, &info));
        ck_assert_uint_eq(address, MAP_SYSTEM_PART2 + offsets[i]);
        ck_assert_uint_eq(info.version, 3);
    }
}
END_TEST

START_TEST(test_an_image_that_is_cut_by_the_end_of_part2_is_none)
{
    build_unlike(0x30000);
    memcpy(part2 + 0x30000 - 13672, bootloader, bootloader_size);
    load();
    ck_assert(!embedded_bootloader(flash, &address, &info));
}
END_TEST

START_TEST(test_an_image_elsewhere_than_the_release_has_it_is_found)
{
    const struct release *release = release_find("0.4.3");

    build("0.4.3");
    memset(part2 + factory_embedded_offset(release), 0, 4);
    memcpy(part2 + 0x2000, bootloader, bootloader_size);
    load();
    ck_assert(embedded_bootloader(flash, &address, &info));
    ck_assert_uint_eq(address, MAP_SYSTEM_PART2 + 0x2000);
}
END_TEST

START_TEST(test_only_a_bootloader_for_its_own_place_is_one)
{
    /* Offsets in the image: start, end, function. */
    static const struct {
        uint32_t offset;
        uint8_t value;
    } rows[] = {{0x184 + 1, 1}, {0x184 + 4 + 3, 7}, {0x184 + 14, MODULE_SYSTEM_PART}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        build_unlike(0x30000);
        memcpy(part2 + 0x2000, bootloader, bootloader_size);
        part2[0x2000 + rows[i].offset] = rows[i].value;
        load();
        ck_assert_msg(!embedded_bootloader(flash, &address, &info), "row %zu", i);
    }
}
END_TEST

START_TEST(test_without_part2_there_is_none)
{
    ck_assert(!embedded_bootloader(flash, &address, &info));
}
END_TEST

START_TEST(test_a_part2_with_senseless_bounds_has_none)
{
    static const uint32_t ends[] = {0, MAP_SYSTEM_PART2, MAP_SYSTEM_PART2 + 63, FLASH_END + 1,
                                    UINT32_MAX};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        uint8_t *end = part2 + 0x184 + 4;

        build("0.4.3");
        for (unsigned j = 0; j < 4; j++) {
            end[j] = (uint8_t)(ends[i] >> (8 * j));
        }
        load();
        ck_assert_msg(!embedded_bootloader(flash, &address, &info), "row %zu", i);
    }
}
END_TEST

START_TEST(test_a_part2_that_is_elsewhere_has_none)
{
    build("0.4.3");
    part2[0x184 + 2] = 2;
    load();
    ck_assert(!embedded_bootloader(flash, &address, &info));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embedded");
    TCase *find = tcase_create("find");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(find, 60);
    tcase_add_checked_fixture(find, setup, teardown);
    tcase_add_test(find, test_every_release_that_embeds_one_is_found_to);
    tcase_add_test(find, test_the_image_is_found_at_any_word);
    tcase_add_test(find, test_an_image_that_is_cut_by_the_end_of_part2_is_none);
    tcase_add_test(find, test_an_image_elsewhere_than_the_release_has_it_is_found);
    tcase_add_test(find, test_only_a_bootloader_for_its_own_place_is_one);
    tcase_add_test(find, test_without_part2_there_is_none);
    tcase_add_test(find, test_a_part2_with_senseless_bounds_has_none);
    tcase_add_test(find, test_a_part2_that_is_elsewhere_has_none);
    suite_add_tcase(suite, find);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
