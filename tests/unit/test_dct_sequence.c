/* The DCT of the systems from 0.7.0 on. Selections, checksums, bytes and counts are those of
 * bootloader 1006 with system-part2 2.2.0, recorded. */
#include "dct.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support_dct.h"

#define MS UINT64_C(1000000)

static const struct dct_rules *const rules = &support_dct_rules[DRIVER_SEQUENCE];
static struct flash *flash;

static void setup(void)
{
    flash = flash_new(1);
    ck_assert_ptr_nonnull(flash);
}

static void teardown(void)
{
    flash_free(flash);
}

static void assert_bytes(uint32_t address, const char *expected, size_t length)
{
    uint8_t found[64];

    ck_assert_uint_le(length, sizeof(found));
    flash_read(flash, address, found, length);
    ck_assert_mem_eq(found, expected, length);
}

/* The application section up to the tail as loaded, but for `length` bytes of `data` at `offset`.
 */
static void assert_application(uint32_t offset, const uint8_t *data, size_t length)
{
    uint8_t found[8820], expected[8820];

    for (uint32_t i = 0; i < sizeof(expected); i++) {
        expected[i] = support_dct_byte(APPLICATION + i);
    }
    if (length > 0) {
        memcpy(expected + offset, data, length);
    }
    dct_read(flash, rules, 0, found, sizeof(found));
    ck_assert_mem_eq(found, expected, sizeof(found));
}

static void assert_current(uint32_t copy)
{
    ck_assert_uint_eq(dct_application(flash, rules), copy + APPLICATION);
}

/* `length` bytes counting up from `first`. */
static enum dct_status write_from(uint32_t offset, size_t length, uint8_t first)
{
    uint8_t data[64];

    for (size_t i = 0; i < length; i++) {
        data[i] = (uint8_t)(first + i);
    }
    return dct_write(flash, rules, offset, data, length);
}

static struct flash_report first_report, last_report;
static unsigned report_count;

static void note(void *context, const struct flash_report *report)
{
    (void)context;
    if (report_count++ == 0) {
        first_report = *report;
    }
    last_report = *report;
}

/* --- which copy holds --- */

#define NO_TAIL             (-1)
#define WITH_TAIL(sequence) (sequence)
#define BAD_TAIL(sequence)  ((sequence) | 0x100)

static const struct {
    const char *state1;
    int tail1;
    const char *state2;
    int tail2;
    int current;
} selections[] = {
    {STATE_CURRENT, WITH_TAIL(3), STATE_CURRENT, WITH_TAIL(4), 2},
    {STATE_CURRENT, WITH_TAIL(4), STATE_CURRENT, WITH_TAIL(3), 1},
    {STATE_CURRENT, WITH_TAIL(4), STATE_CURRENT, WITH_TAIL(4), 1},
    {STATE_CURRENT, BAD_TAIL(4), STATE_CURRENT, WITH_TAIL(3), 2},
    {STATE_CURRENT, WITH_TAIL(3), STATE_CURRENT, BAD_TAIL(4), 1},
    {STATE_CURRENT, BAD_TAIL(3), STATE_CURRENT, BAD_TAIL(4), 1},
    {STATE_SUPERSEDED, WITH_TAIL(3), STATE_CURRENT, BAD_TAIL(4), 2},
    {STATE_CURRENT, BAD_TAIL(4), STATE_SUPERSEDED, WITH_TAIL(3), 1},
    {STATE_SUPERSEDED, WITH_TAIL(4), STATE_CURRENT, WITH_TAIL(3), 2},
    {STATE_SUPERSEDED, WITH_TAIL(3), STATE_SUPERSEDED, WITH_TAIL(4), 2},
    {STATE_INCOMPLETE, WITH_TAIL(4), STATE_CURRENT, WITH_TAIL(3), 2},
    {STATE_CURRENT, WITH_TAIL(3), STATE_INCOMPLETE, WITH_TAIL(4), 1},
    {NULL, NO_TAIL, STATE_SUPERSEDED, WITH_TAIL(4), 2},
    {STATE_CURRENT, NO_TAIL, STATE_SUPERSEDED, WITH_TAIL(1), 2},
    {STATE_SUPERSEDED, WITH_TAIL(1), STATE_CURRENT, NO_TAIL, 1},
    {STATE_SUPERSEDED, NO_TAIL, STATE_CURRENT, NO_TAIL, 1},
};

static void load(uint32_t address, const char *state, int tail)
{
    if (state != NULL) {
        support_dct_load(flash, address, state);
    }
    if (tail != NO_TAIL) {
        support_dct_seal(flash, address, (uint8_t)tail, tail > 0xFF);
    }
}

START_TEST(test_the_newer_copy_with_a_right_checksum_holds)
{
    load(COPY1, selections[_i].state1, selections[_i].tail1);
    load(COPY2, selections[_i].state2, selections[_i].tail2);
    assert_current(selections[_i].current == 1 ? COPY1 : COPY2);
    ck_assert_int_eq(dct_open(flash, rules), DCT_OK);
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

START_TEST(test_a_header_that_uses_more_than_there_is_does_not_hold)
{
    load(COPY1, STATE_CURRENT, WITH_TAIL(5));
    load(COPY2, STATE_CURRENT, WITH_TAIL(3));
    ck_assert(flash_load(flash, COPY1 + 4, "\1", 1));
    assert_current(COPY2);
    ck_assert(flash_load(flash, COPY1, "\1", 1));
    support_dct_seal(flash, COPY1, 5, 0);
    assert_current(COPY1);
}
END_TEST

/* Versions of the tail that the driver knows are 0.0.1 to 3.7.0. */
START_TEST(test_a_tail_of_an_unknown_version_does_not_count)
{
    load(COPY1, STATE_CURRENT, NO_TAIL);
    load(COPY2, STATE_CURRENT, WITH_TAIL(3));
    assert_current(COPY2);
    ck_assert(flash_load(flash, COPY2 + 0x3FF6, "\x71\x03", 2));
    assert_current(COPY1);
    ck_assert(flash_load(flash, COPY2 + 0x3FF6, "\x00\x00", 2));
    assert_current(COPY1);
    ck_assert(flash_load(flash, COPY2 + 0x3FF6, "\x01\x00", 2));
    assert_current(COPY2);
    ck_assert(flash_load(flash, COPY2 + 0x3FF0, "\xCC", 1));
    assert_current(COPY1);
}
END_TEST

START_TEST(test_blank_sectors_get_an_empty_copy_in_two_erases)
{
    static const struct {
        uint16_t at;
        uint8_t value;
    } set[] = {{0x09, 1},    {0x0C, 'B'}, {0x0D, 'R'},  {0x0E, 'C'}, {0x0F, 'M'},  {0x34, 1},
               {0x60, 2},    {0x84, 2},   {0x88, 0x22}, {0xA8, 2},   {0xAC, 0x44}, {0xCC, 2},
               {0xD0, 0x66}, {0xF0, 2},   {0xF4, 0x88}, {0x114, 2},  {0x118, 170}, {0x138, 2},
               {0x13C, 204}, {0x15C, 2},  {0x160, 238}};
    uint8_t found[0x184], expected[0x184] = {0};

    report_count = 0;
    flash_set_reporter(flash, note, NULL);
    ck_assert_int_eq(dct_open(flash, rules), DCT_OK);
    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
        expected[set[i].at] = set[i].value;
    }
    flash_read(flash, COPY1, found, sizeof(found));
    ck_assert_mem_eq(found, expected, sizeof(found));
    assert_bytes(COPY1 + 0x3FF0, "\xCD\x00\x02\xDC\0\0\0\0\0\0\0\0\1\1\0\0", 16);
    ck_assert(flash_is_blank(flash, COPY1 + 0x184, 0x3FF0 - 0x184));
    ck_assert(flash_is_blank(flash, COPY2, COPY_SIZE));
    ck_assert_int_eq(first_report.kind, FLASH_REPORT_ERASE);
    ck_assert_uint_eq(first_report.address, COPY1);
    ck_assert_int_eq(last_report.kind, FLASH_REPORT_ERASE);
    ck_assert_uint_eq(last_report.address, COPY2);
    ck_assert_uint_eq(support_dct_erases(flash), 2);
    ck_assert_uint_ge(flash_clock(flash), 800 * MS);
    ck_assert_uint_lt(flash_clock(flash), 803 * MS);
    assert_current(COPY1);
}
END_TEST

/* --- writing --- */

START_TEST(test_writes_leave_the_bytes_and_counts_of_the_real_driver)
{
    static const struct {
        uint32_t offset;
        uint8_t length, first;
        uint64_t programmed;
        uint32_t copy;
        const char *tail;
    } writes[] = {
        {34, 8, 0x11, 6793, COPY2, "\xCD\x00\x02\xDC\x00\x00\x70\x03\x3C\x5D\x0F\x22\0\2\0\0"},
        {34, 8, 0x22, 6793, COPY1, "\xCD\x00\x02\xDC\x00\x00\x70\x03\xD1\x15\xFD\x4B\0\3\0\0"},
        {100, 40, 0x33, 6376, COPY2, "\xCD\x00\x02\xDC\x00\x00\x70\x03\xC6\xB1\x2D\x9C\0\4\0\0"},
    };

    ck_assert_int_eq(dct_open(flash, rules), DCT_OK);
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        uint32_t old = writes[i].copy == COPY1 ? COPY2 : COPY1;
        uint64_t operations = flash_operations(flash), start = flash_clock(flash);

        ck_assert_int_eq(write_from(writes[i].offset, writes[i].length, writes[i].first), DCT_OK);
        ck_assert_uint_eq(flash_operations(flash) - operations, writes[i].programmed + 1);
        ck_assert_uint_gt(flash_clock(flash) - start, 500 * MS);
        ck_assert_uint_lt(flash_clock(flash) - start, 515 * MS);
        assert_current(writes[i].copy);
        assert_bytes(writes[i].copy, "\0\0\0\0\0\0\0\0" STATE_CURRENT, 16);
        assert_bytes(old, "\0\0\0\0\0\0\0\0\0\0", 10);
        assert_bytes(writes[i].copy + 0x3FF0, writes[i].tail, 16);
        ck_assert_uint_eq(flash_read16(flash, old + 0x3FFC) & 0xFF, 0);
        ck_assert(flash_is_blank(flash, writes[i].copy + 0x3FCC, 0x24));
    }
    assert_bytes(COPY2 + APPLICATION + 33, "\xFF\x22\x23\x24\x25\x26\x27\x28\x29\xFF", 10);
    assert_bytes(COPY2 + APPLICATION + 100, "\x33\x34\x35\x36", 4);
}
END_TEST

/* A copy from the factory, with other header bytes: they are kept, and the numbers begin at 1. */
START_TEST(test_a_copy_without_tail_is_continued_with_number_1)
{
    static const uint8_t state[8] = {0, 1, 1, 0, 'B', 'R', 'C', 'M'};
    uint8_t copy[COPY_SIZE];

    memset(copy, 0xFF, sizeof(copy));
    memset(copy, _i == 0 ? 0 : 0x5A, 0x184);
    for (size_t i = 0; i < sizeof(state); i++) {
        copy[8 + i] = state[i];
    }
    memset(copy + APPLICATION + 34, 0xA1, 64);
    copy[0x200] = 0x77;
    copy[0x3DFF] = 0x66;
    ck_assert(flash_load(flash, COPY1, copy, sizeof(copy)));
    ck_assert_int_eq(write_from(34, 8, 0x11), DCT_OK);
    assert_current(COPY2);
    assert_bytes(COPY2 + 0x3FF0,
                 _i == 0 ? "\xCD\x00\x02\xDC\x00\x00\x70\x03\xA1\xC1\xD6\x79\0\1\0\0"
                         : "\xCD\x00\x02\xDC\x00\x00\x70\x03\x02\xC4\x0D\xEE\0\1\0\0",
                 16);
    ck_assert(flash_equals(flash, COPY2, copy, 0x184));
    copy[9] = 0;
    copy[0x3FFC] = 0;
    ck_assert(flash_equals(flash, COPY1, copy, COPY_SIZE));
}
END_TEST

START_TEST(test_after_number_255_comes_0_and_holds)
{
    load(COPY1, STATE_CURRENT, WITH_TAIL(255));
    ck_assert_int_eq(write_from(34, 8, 0x11), DCT_OK);
    assert_current(COPY2);
    ck_assert_uint_eq(flash_read16(flash, COPY2 + 0x3FFD) & 0xFF, 0);
    ck_assert_int_eq(write_from(34, 8, 0x22), DCT_OK);
    assert_current(COPY1);
}
END_TEST

START_TEST(test_identical_data_cost_an_erase_too)
{
    uint8_t same[10];

    load(COPY1, STATE_CURRENT, NO_TAIL);
    dct_read(flash, rules, 34, same, sizeof(same));
    ck_assert_int_eq(dct_write(flash, rules, 34, same, sizeof(same)), DCT_OK);
    ck_assert_uint_eq(flash_wear(flash, 2), 1);
    assert_current(COPY2);
    assert_application(0, NULL, 0);
}
END_TEST

START_TEST(test_everything_else_in_the_copy_stays)
{
    uint8_t before[0x3FF0], after[0x3FF0];

    load(COPY1, STATE_CURRENT, NO_TAIL);
    flash_read(flash, COPY1, before, sizeof(before));
    ck_assert_int_eq(write_from(_i == 0 ? 34 : 0, 10, 0x11), DCT_OK);
    flash_read(flash, COPY2, after, sizeof(after));
    ck_assert_mem_eq(after, before, APPLICATION + (_i == 0 ? 34 : 0));
    ck_assert_mem_eq(after + APPLICATION + 44, before + APPLICATION + 44,
                     sizeof(after) - APPLICATION - 44);
}
END_TEST

START_TEST(test_sections_below_the_application_are_written_likewise)
{
    static const uint8_t data[6] = {1, 2, 3, 4, 5, 6};
    uint8_t before[0x3FF0], after[0x3FF0];

    load(COPY1, STATE_CURRENT, NO_TAIL);
    flash_read(flash, COPY1, before, sizeof(before));
    ck_assert_int_eq(dct_write_section(flash, rules, 0x1A30, data, sizeof(data)), DCT_OK);
    flash_read(flash, COPY2, after, sizeof(after));
    memcpy(before + 0x1A30, data, sizeof(data));
    ck_assert_mem_eq(after, before, sizeof(after));
    assert_current(COPY2);
}
END_TEST

/* --- limits --- */

START_TEST(test_data_end_at_8820_at_most)
{
    load(COPY1, STATE_CURRENT, NO_TAIL);
    ck_assert_int_eq(write_from(8810, 10, 0x11), DCT_OK);
    assert_bytes(COPY2 + APPLICATION + 8809,
                 "\xFF\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1A\xCD\x00\x02\xDC", 15);
    assert_current(COPY2);
}
END_TEST

START_TEST(test_more_than_8836_is_refused)
{
    load(COPY1, STATE_CURRENT, NO_TAIL);
    ck_assert_int_eq(write_from(8827, 10, 0x11), DCT_ERROR);
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

/* Ends from 8821 to 8836: the length of the rest wraps, and the copy goes on through blank sectors
 * until the system part does not take what it is given. */
START_TEST(test_data_in_the_tail_make_the_copy_run_away_through_the_eeprom_sectors)
{
    load(COPY1, STATE_CURRENT, WITH_TAIL(3));
    load(COPY2, STATE_SUPERSEDED, WITH_TAIL(2));
    ck_assert(flash_load(flash, PART1, "\x00\x00\x02\x20\xF1\x01\x02\x08", 8));
    ck_assert_int_eq(write_from((uint32_t)_i - 10, 10, 0x11), DCT_ERROR);
    assert_current(COPY1);
    assert_application(0, NULL, 0);
    ck_assert(flash_is_blank(flash, COPY2, 0x184));
    for (uint32_t sector = EEPROM_A; sector < PART1; sector += COPY_SIZE) {
        ck_assert(flash_is_blank(flash, sector, 0x184));
        ck_assert_uint_eq(flash_read32(flash, sector + 0x200), flash_read32(flash, COPY1 + 0x200));
        ck_assert_uint_eq(flash_read32(flash, sector + 0x3DFC),
                          flash_read32(flash, COPY1 + 0x3DFC));
    }
    assert_bytes(PART1, "\x00\x00\x02\x20\xF1\x01\x02\x08\xFF", 9);
    ck_assert(flash_is_blank(flash, PART1 + 8, 0x1000));
    ck_assert_uint_eq(support_dct_erases(flash), 1);
}
END_TEST

/* What is behind the sector, and the sector itself, as left by the real driver. */
START_TEST(test_the_runaway_ends_at_once_where_something_is_stored)
{
    load(COPY1, STATE_CURRENT, WITH_TAIL(3));
    ck_assert(flash_load(flash, EEPROM_A, "\0\0\xFF\xFF\x12\x34", 6));
    ck_assert_int_eq(write_from(8822, 8, 0x11), DCT_ERROR);
    assert_bytes(COPY2 + 0x3FF0, "\xCD\x00\x11\x12\x13\x14\x15\x16\x17\x18", 10);
    assert_bytes(EEPROM_A, "\0\0\xFF\xFF\x12\x34\xFF\xFF", 8);
    ck_assert(flash_is_blank(flash, EEPROM_A + 6, PART1 - EEPROM_A - 6));
    assert_current(COPY1);
}
END_TEST

START_TEST(test_the_runaway_ends_at_a_protected_sector)
{
    load(COPY1, STATE_CURRENT, NO_TAIL);
    flash_set_nwrp(flash, 0x0FFF & ~0x8u);
    ck_assert_int_eq(write_from(8820, 10, 0x11), DCT_ERROR);
    ck_assert(!flash_is_blank(flash, COPY2 + 0x200, 4));
    ck_assert(flash_is_blank(flash, EEPROM_A, PART1 - EEPROM_A));
}
END_TEST

/* With nothing anywhere it reaches the end of the flash: from copy 2, reading fails first. */
START_TEST(test_the_runaway_ends_with_the_flash)
{
    load(_i == 0 ? COPY1 : COPY2, STATE_CURRENT, NO_TAIL);
    if (_i == 1) {
        /* The copy that holds is in the way: let it be what comes from behind. */
        for (uint32_t sector = EEPROM_A; sector < FLASH_END; sector += COPY_SIZE) {
            uint8_t copy[COPY_SIZE];

            flash_read(flash, COPY2, copy, sizeof(copy));
            ck_assert(flash_load(flash, sector, copy, sizeof(copy)));
        }
    }
    ck_assert_int_eq(write_from(8820, 10, 0x11), DCT_ERROR);
    ck_assert_uint_eq(support_dct_erases(flash), 1);
    ck_assert(!flash_is_blank(flash, FLASH_END - COPY_SIZE, COPY_SIZE));
}
END_TEST

/* --- write protection --- */

START_TEST(test_protected_sectors_hang_the_driver_even_if_blank)
{
    load(COPY1, STATE_CURRENT, NO_TAIL);
    flash_set_nwrp(flash, 0x0FFF & ~0x6u);
    ck_assert_int_eq(write_from(34, 10, 0x11), DCT_HANG);
    assert_application(0, NULL, 0);
}
END_TEST

START_TEST(test_a_protected_old_copy_cannot_be_superseded_but_the_new_one_holds)
{
    uint8_t data[10] = {0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A};

    load(COPY1, STATE_CURRENT, _i == 0 ? NO_TAIL : WITH_TAIL(7));
    flash_set_nwrp(flash, 0x0FFF & ~0x2u);
    ck_assert_int_eq(write_from(34, 10, 0x11), DCT_ERROR);
    assert_bytes(COPY1 + 8, STATE_CURRENT, 8);
    assert_current(COPY2);
    assert_application(34, data, sizeof(data));
}
END_TEST

static void add_limits(TCase *tc)
{
    tcase_add_test(tc, test_data_end_at_8820_at_most);
    tcase_add_test(tc, test_more_than_8836_is_refused);
    tcase_add_loop_test(tc, test_data_in_the_tail_make_the_copy_run_away_through_the_eeprom_sectors,
                        8821, 8837);
    tcase_add_test(tc, test_the_runaway_ends_at_once_where_something_is_stored);
    tcase_add_test(tc, test_the_runaway_ends_at_a_protected_sector);
    tcase_add_loop_test(tc, test_the_runaway_ends_with_the_flash, 0, 2);
    tcase_add_test(tc, test_protected_sectors_hang_the_driver_even_if_blank);
    tcase_add_loop_test(tc, test_a_protected_old_copy_cannot_be_superseded_but_the_new_one_holds, 0,
                        2);
}

int main(void)
{
    Suite *suite = suite_create("dct_sequence");
    TCase *tc = tcase_create("driver");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_the_newer_copy_with_a_right_checksum_holds, 0,
                        sizeof(selections) / sizeof(selections[0]));
    tcase_add_test(tc, test_a_header_that_uses_more_than_there_is_does_not_hold);
    tcase_add_test(tc, test_a_tail_of_an_unknown_version_does_not_count);
    tcase_add_test(tc, test_blank_sectors_get_an_empty_copy_in_two_erases);
    tcase_add_test(tc, test_writes_leave_the_bytes_and_counts_of_the_real_driver);
    tcase_add_loop_test(tc, test_a_copy_without_tail_is_continued_with_number_1, 0, 2);
    tcase_add_test(tc, test_after_number_255_comes_0_and_holds);
    tcase_add_test(tc, test_identical_data_cost_an_erase_too);
    tcase_add_loop_test(tc, test_everything_else_in_the_copy_stays, 0, 2);
    tcase_add_test(tc, test_sections_below_the_application_are_written_likewise);
    add_limits(tc);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
