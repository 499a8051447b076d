/* Modules in flash: finding, validating and copying as device-os v0.4.4-v2.2.0 flash_mal.c does. */
#include "module_flash.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flash_map.h"
#include "support_digest.h"

#define SOURCE MAP_OTA
#define SIZE   1024

static struct flash *flash;
static uint8_t image[SIZE];
static struct module_info info;
static const uint32_t vectors[2] = {0x20020000, 0x080201F1};

/* What the flash reported since the set-up. */
static unsigned erased[FLASH_SECTORS], protects;

static void report(void *context, const struct flash_report *report)
{
    (void)context;
    if (report->kind == FLASH_REPORT_ERASE) {
        erased[flash_sector_of(report->address)]++;
    } else if (report->kind == FLASH_REPORT_PROTECT) {
        protects++;
    }
}

static unsigned all_erased(void)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < FLASH_SECTORS; i++) {
        sum += erased[i];
    }
    return sum;
}

static struct module_spec user_spec(void)
{
    return (struct module_spec){
        .info = {.start = MAP_USER,
                 .version = 4,
                 .platform = MAP_PLATFORM_PHOTON,
                 .function = MODULE_USER_PART,
                 .index = 1},
        .size = SIZE,
        .suffix_size = 40,
        .product_id = 6,
        .product_version = 2,
        .digest = support_sha256,
    };
}

/* The module is in the OTA area, and the user area holds something else. */
static void load(const struct module_spec *spec)
{
    static const uint8_t old[SIZE];

    ck_assert(module_build(spec, image));
    ck_assert(flash_load(flash, SOURCE, image, spec->size));
    ck_assert(flash_load(flash, MAP_USER, old, sizeof(old)));
    ck_assert(module_flash_info(flash, SOURCE, &info));
}

static void setup(void)
{
    struct module_spec spec = user_spec();

    flash = flash_new(1);
    ck_assert_ptr_nonnull(flash);
    flash_set_reporter(flash, report, NULL);
    memset(erased, 0, sizeof(erased));
    protects = 0;
    load(&spec);
}

static void teardown(void)
{
    flash_free(flash);
}

static struct module_copy update(void)
{
    return (struct module_copy){
        .source = SOURCE,
        .destination = MAP_USER,
        .length = SIZE,
        .flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION | MODULE_VERIFY_FUNCTION,
        .function = MODULE_USER_PART,
        .platform = MAP_PLATFORM_PHOTON,
    };
}

static void expect_copied(const struct module_copy *copy)
{
    uint8_t got[SIZE];

    ck_assert_int_eq(module_flash_copy(flash, copy), MODULE_COPY_OK);
    flash_read(flash, copy->destination, got, sizeof(got));
    ck_assert_mem_eq(got, image, sizeof(got));
    ck_assert_uint_eq(all_erased(), 1);
}

static void expect_refused(const struct module_copy *copy)
{
    ck_assert_int_eq(module_flash_copy(flash, copy), MODULE_COPY_REFUSED);
    ck_assert_uint_eq(flash_operations(flash), 0);
}

START_TEST(test_info_is_found_at_both_prefix_places)
{
    struct module_spec spec = user_spec();

    ck_assert_uint_eq(info.start, MAP_USER);
    ck_assert_uint_eq(info.version, 4);
    spec.info.start = MAP_SYSTEM_PART1;
    spec.vectors = vectors;
    load(&spec);
    ck_assert_uint_eq(info.start, MAP_SYSTEM_PART1);
    ck_assert_uint_eq(info.end, MAP_SYSTEM_PART1 + SIZE - 4);
}
END_TEST

START_TEST(test_info_of_erased_flash_is_all_ones)
{
    ck_assert(module_flash_info(flash, MAP_SYSTEM_PART2, &info));
    ck_assert_uint_eq(info.start, 0xFFFFFFFF);
    ck_assert_uint_eq(info.function, 0xFF);
    ck_assert(!module_flash_crc_ok(flash, MAP_SYSTEM_PART2, &info));
}
END_TEST

START_TEST(test_info_must_lie_in_the_flash)
{
    static const uint8_t stack_pointer[4] = {0x00, 0x00, 0x02, 0x20};

    ck_assert(!module_flash_info(flash, 0, &info));
    ck_assert(!module_flash_info(flash, FLASH_END, &info));
    ck_assert(!module_flash_info(flash, FLASH_END - 2, &info));
    ck_assert(!module_flash_info(flash, FLASH_END - 20, &info));
    ck_assert(module_flash_info(flash, FLASH_END - 24, &info));
    /* The prefix behind a vector table would be outside. */
    ck_assert(flash_load(flash, FLASH_END - 0x184, stack_pointer, sizeof(stack_pointer)));
    ck_assert(!module_flash_info(flash, FLASH_END - 0x184, &info));
}
END_TEST

START_TEST(test_crc_is_checked_where_the_module_lies)
{
    static const uint8_t flipped = 0x80;

    ck_assert(module_flash_crc_ok(flash, SOURCE, &info));
    ck_assert(flash_load(flash, SOURCE + SIZE - 1, &flipped, 1));
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
}
END_TEST

START_TEST(test_crc_notices_a_changed_body)
{
    uint8_t changed = image[500] ^ 1;

    ck_assert(flash_load(flash, SOURCE + 500, &changed, 1));
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
}
END_TEST

START_TEST(test_crc_fails_on_bounds_that_leave_the_flash)
{
    info.end = info.start;
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
    info.end = info.start - 4;
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
    info.end = info.start + (FLASH_END - SOURCE) - 3;
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
    info.start = 0;
    info.end = 0xFFFFFFFE;
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
}
END_TEST

START_TEST(test_an_empty_body_has_no_crc)
{
    static const uint8_t crc_of_nothing[4] = {0};

    ck_assert(flash_load(flash, SOURCE, crc_of_nothing, sizeof(crc_of_nothing)));
    info.end = info.start;
    ck_assert(!module_flash_crc_ok(flash, SOURCE, &info));
}
END_TEST

START_TEST(test_suffix_is_read_where_the_module_lies)
{
    struct module_suffix suffix;

    ck_assert(module_flash_suffix(flash, SOURCE, &info, &suffix));
    ck_assert_uint_eq(suffix.size, 40);
    ck_assert_uint_eq(suffix.product_id, 6);
    ck_assert_uint_eq(suffix.product_version, 2);
    ck_assert_mem_eq(suffix.sha256, image + SIZE - 38, 32);
}
END_TEST

START_TEST(test_suffix_needs_sensible_bounds)
{
    struct module_suffix suffix;

    info.end = info.start + 39;
    ck_assert(!module_flash_suffix(flash, SOURCE, &info, &suffix));
    info.end = info.start + 40;
    ck_assert(module_flash_suffix(flash, SOURCE, &info, &suffix));
    info.end = info.start - 1;
    ck_assert(!module_flash_suffix(flash, SOURCE, &info, &suffix));
}
END_TEST

START_TEST(test_in_place_asks_for_start_end_and_platform)
{
    ck_assert(module_flash_in_place(&info, MAP_USER, FLASH_END, 6));
    ck_assert(module_flash_in_place(&info, MAP_USER, info.end, 6));
    ck_assert(!module_flash_in_place(&info, MAP_USER, info.end - 1, 6));
    ck_assert(!module_flash_in_place(&info, MAP_OTA, FLASH_END, 6));
    ck_assert(!module_flash_in_place(&info, MAP_USER, FLASH_END, 8));
}
END_TEST

START_TEST(test_copy_of_a_good_module)
{
    struct module_copy copy = update();

    expect_copied(&copy);
    ck_assert_uint_eq(erased[9], 1);
    ck_assert_uint_eq(protects, 0);
    ck_assert(flash_is_blank(flash, MAP_USER + SIZE, MAP_USER_SIZE - SIZE));
}
END_TEST

START_TEST(test_copy_of_many_pages)
{
    static uint8_t large[5 * FLASH_PAGE + 8], got[sizeof(large)];
    struct module_spec spec = user_spec();
    struct module_copy copy = update();

    spec.size = sizeof(large);
    ck_assert(module_build(&spec, large));
    /* Not at the start of a page. */
    copy.source = SOURCE + 0x204;
    copy.length = sizeof(large);
    ck_assert(flash_load(flash, copy.source, large, sizeof(large)));
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    flash_read(flash, MAP_USER, got, sizeof(got));
    ck_assert_mem_eq(got, large, sizeof(got));
}
END_TEST

START_TEST(test_copy_takes_erase_and_program_time)
{
    struct module_copy copy = update();

    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    ck_assert_uint_ge(flash_clock(flash), flash_sectors[9].erase_ns + SIZE / 4 * 10000);
}
END_TEST

START_TEST(test_copy_refuses_a_length_shorter_than_the_module)
{
    struct module_copy copy = update();

    copy.length = SIZE - 1;
    expect_refused(&copy);
}
END_TEST

START_TEST(test_length_is_tested_by_the_function_bit)
{
    struct module_copy copy = update();

    copy.length = SIZE - 4;
    copy.flags = MODULE_VERIFY_FUNCTION;
    expect_refused(&copy);
    copy.flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    ck_assert_uint_eq(flash_read32(flash, MAP_USER + SIZE - 4), 0xFFFFFFFF);
}
END_TEST

START_TEST(test_copy_takes_a_length_longer_than_the_module)
{
    struct module_copy copy = update();

    copy.length = MAP_USER_SIZE;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_refuses_another_platform_whatever_the_flags)
{
    struct module_spec spec = user_spec();
    struct module_copy copy = update();

    spec.info.platform = MAP_PLATFORM_P1;
    load(&spec);
    expect_refused(&copy);
    copy.flags = MODULE_VERIFY_CRC;
    expect_refused(&copy);
}
END_TEST

START_TEST(test_copy_takes_a_resource_of_any_platform)
{
    struct module_spec spec = user_spec();
    struct module_copy copy = update();

    spec.info.platform = MAP_PLATFORM_P1;
    spec.info.function = MODULE_RESOURCE;
    load(&spec);
    copy.function = MODULE_RESOURCE;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_refuses_another_destination_when_asked)
{
    struct module_copy copy = update();

    copy.destination = MAP_SYSTEM_PART2;
    expect_refused(&copy);
    copy.flags = MODULE_VERIFY_CRC | MODULE_VERIFY_FUNCTION;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_refuses_another_function_when_asked)
{
    struct module_copy copy = update();

    copy.function = MODULE_SYSTEM_PART;
    expect_refused(&copy);
    copy.flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_refuses_a_bad_crc_when_asked)
{
    struct module_copy copy = update();

    image[600] ^= 1;
    ck_assert(flash_load(flash, SOURCE, image, SIZE));
    expect_refused(&copy);
    copy.flags = MODULE_VERIFY_DESTINATION | MODULE_VERIFY_FUNCTION;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_without_flags_tests_nothing)
{
    struct module_copy copy = update();

    memset(image, 0xA5, sizeof(image));
    ck_assert(flash_load(flash, SOURCE, image, SIZE));
    expect_refused(&copy);
    copy.flags = 0;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_refuses_a_blank_source)
{
    struct module_copy copy = update();

    copy.source = MAP_FACTORY;
    expect_refused(&copy);
}
END_TEST

START_TEST(test_copy_refuses_ranges_outside_the_flash)
{
    static const struct {
        uint32_t source, destination, length;
    } rows[] = {
        {SOURCE, MAP_USER, 0},
        {SOURCE, MAP_USER, UINT32_MAX},
        {SOURCE, MAP_USER, FLASH_END - SOURCE + 1},
        {MAP_USER, SOURCE, FLASH_END - SOURCE + 1},
        {0x20000000, MAP_USER, SIZE},
        {SOURCE, 0, SIZE},
        {SOURCE, FLASH_END, SIZE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct module_copy copy = update();

        copy.source = rows[i].source;
        copy.destination = rows[i].destination;
        copy.length = rows[i].length;
        copy.flags = 0;
        expect_refused(&copy);
    }
}
END_TEST

START_TEST(test_copy_refuses_a_prefix_outside_the_flash)
{
    struct module_copy copy = update();

    copy.source = FLASH_END - 8;
    copy.length = 8;
    expect_refused(&copy);
}
END_TEST

START_TEST(test_copy_erases_only_the_sectors_it_writes)
{
    struct module_copy copy = update();

    copy.flags = 0;
    copy.source = MAP_SYSTEM_PART1;
    copy.destination = MAP_SYSTEM_PART2;
    copy.length = 0x20004;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    ck_assert_uint_eq(all_erased(), 2);
    ck_assert_uint_eq(erased[7], 1);
    ck_assert_uint_eq(erased[8], 1);
}
END_TEST

START_TEST(test_old_copy_counts_every_sector_as_a_large_one)
{
    struct module_copy copy = update();

    copy.flags = 0;
    copy.source = MAP_SYSTEM_PART1;
    /* 0x8000 bytes are two small sectors. */
    copy.destination = MAP_BOOTLOADER;
    copy.length = 0x8000;
    copy.whole_sectors_by_length = true;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    ck_assert_uint_eq(erased[0], 1);
    ck_assert_uint_eq(all_erased(), 1);
    copy.whole_sectors_by_length = false;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    ck_assert_uint_eq(erased[0], 2);
    ck_assert_uint_eq(erased[1], 1);
    ck_assert_uint_eq(all_erased(), 3);
}
END_TEST

START_TEST(test_old_copy_of_a_system_part_erases_both_sectors)
{
    struct module_copy copy = update();

    copy.flags = 0;
    copy.destination = MAP_SYSTEM_PART1;
    copy.length = 0x20001;
    copy.whole_sectors_by_length = true;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_OK);
    ck_assert_uint_eq(erased[5], 1);
    ck_assert_uint_eq(erased[6], 1);
    ck_assert_uint_eq(all_erased(), 2);
}
END_TEST

START_TEST(test_copy_lifts_the_write_protection_of_its_sectors_only)
{
    struct module_copy copy = update();

    flash_set_nwrp(flash, 0x0C1E); /* sectors 0, 5-9 protected */
    expect_copied(&copy);
    ck_assert_uint_eq(protects, 1);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0E1E);
}
END_TEST

START_TEST(test_copy_rounds_an_odd_length_up_to_words)
{
    struct module_copy copy = update();

    copy.flags = 0;
    copy.length = SIZE - 3;
    expect_copied(&copy);
}
END_TEST

START_TEST(test_copy_fails_when_the_last_word_of_the_source_is_cut_by_the_end_of_the_flash)
{
    struct module_copy copy = update();

    copy.flags = 0;
    copy.source = FLASH_END - 6;
    copy.length = 6;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_FAILED);
}
END_TEST

START_TEST(test_copy_fails_when_the_destination_is_not_aligned)
{
    struct module_copy copy = update();

    copy.flags = 0;
    copy.destination = MAP_USER + 2;
    ck_assert_int_eq(module_flash_copy(flash, &copy), MODULE_COPY_FAILED);
}
END_TEST

START_TEST(test_copy_fails_when_the_power_fails)
{
    struct module_copy copy = update();

    /* Protected: the first operation lifts that, the second erases, then 256 words. */
    for (uint64_t operation = 0; operation < 3; operation++) {
        struct flash *cut = flash_clone(flash);

        ck_assert_ptr_nonnull(cut);
        flash_set_nwrp(cut, 0x0DFF);
        flash_cut_at(cut, operation, FLASH_CUT_BEFORE);
        ck_assert_int_eq(module_flash_copy(cut, &copy), MODULE_COPY_FAILED);
        flash_free(cut);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("module_flash");
    TCase *find = tcase_create("find"), *copy = tcase_create("copy");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(find, setup, teardown);
    tcase_add_test(find, test_info_is_found_at_both_prefix_places);
    tcase_add_test(find, test_info_of_erased_flash_is_all_ones);
    tcase_add_test(find, test_info_must_lie_in_the_flash);
    tcase_add_test(find, test_crc_is_checked_where_the_module_lies);
    tcase_add_test(find, test_crc_notices_a_changed_body);
    tcase_add_test(find, test_crc_fails_on_bounds_that_leave_the_flash);
    tcase_add_test(find, test_an_empty_body_has_no_crc);
    tcase_add_test(find, test_suffix_is_read_where_the_module_lies);
    tcase_add_test(find, test_suffix_needs_sensible_bounds);
    tcase_add_test(find, test_in_place_asks_for_start_end_and_platform);
    tcase_add_checked_fixture(copy, setup, teardown);
    tcase_add_test(copy, test_copy_of_a_good_module);
    tcase_add_test(copy, test_copy_of_many_pages);
    tcase_add_test(copy, test_copy_takes_erase_and_program_time);
    tcase_add_test(copy, test_copy_refuses_a_length_shorter_than_the_module);
    tcase_add_test(copy, test_length_is_tested_by_the_function_bit);
    tcase_add_test(copy, test_copy_takes_a_length_longer_than_the_module);
    tcase_add_test(copy, test_copy_refuses_another_platform_whatever_the_flags);
    tcase_add_test(copy, test_copy_takes_a_resource_of_any_platform);
    tcase_add_test(copy, test_copy_refuses_another_destination_when_asked);
    tcase_add_test(copy, test_copy_refuses_another_function_when_asked);
    tcase_add_test(copy, test_copy_refuses_a_bad_crc_when_asked);
    tcase_add_test(copy, test_copy_without_flags_tests_nothing);
    tcase_add_test(copy, test_copy_refuses_a_blank_source);
    tcase_add_test(copy, test_copy_refuses_ranges_outside_the_flash);
    tcase_add_test(copy, test_copy_refuses_a_prefix_outside_the_flash);
    tcase_add_test(copy, test_copy_erases_only_the_sectors_it_writes);
    tcase_add_test(copy, test_old_copy_counts_every_sector_as_a_large_one);
    tcase_add_test(copy, test_old_copy_of_a_system_part_erases_both_sectors);
    tcase_add_test(copy, test_copy_lifts_the_write_protection_of_its_sectors_only);
    tcase_add_test(copy, test_copy_rounds_an_odd_length_up_to_words);
    tcase_add_test(copy,
                   test_copy_fails_when_the_last_word_of_the_source_is_cut_by_the_end_of_the_flash);
    tcase_add_test(copy, test_copy_fails_when_the_destination_is_not_aligned);
    tcase_add_test(copy, test_copy_fails_when_the_power_fails);
    suite_add_tcase(suite, find);
    suite_add_tcase(suite, copy);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
