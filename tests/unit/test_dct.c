/* The DCT's two drivers: which copy holds, what a write does to the sectors, in what order and how
 * long. Expectations are what the real bootloaders 3a, 3b, 4, 7, 11, 501 and 1006 were seen to do.
 */
#include "dct.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support_dct.h"

#define MS UINT64_C(1000000)

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

static const struct dct_rules *rules_of(int driver)
{
    return &support_dct_rules[driver];
}

static void assert_bytes(uint32_t address, const char *expected, size_t length)
{
    uint8_t found[64];

    ck_assert_uint_le(length, sizeof(found));
    flash_read(flash, address, found, length);
    ck_assert_mem_eq(found, expected, length);
}

/* The application section as loaded, but for `length` bytes of `data` at `offset`. */
static void assert_application(int driver, uint32_t offset, const uint8_t *data, size_t length)
{
    uint8_t found[8836], expected[8836];

    for (uint32_t i = 0; i < sizeof(expected); i++) {
        expected[i] = support_dct_byte(APPLICATION + i);
    }
    if (length > 0) {
        memcpy(expected + offset, data, length);
    }
    dct_read(flash, rules_of(driver), 0, found, 0x3FF0 - 7548);
    ck_assert_mem_eq(found, expected, 0x3FF0 - 7548);
}

static void assert_header(uint32_t address, const char state[8])
{
    uint8_t found[0x184], expected[0x184] = {0};

    memcpy(expected + 8, state, 8);
    flash_read(flash, address, found, sizeof(found));
    ck_assert_mem_eq(found, expected, sizeof(found));
}

static struct flash_report reports[64];
static size_t report_count;

static void note(void *context, const struct flash_report *report)
{
    (void)context;
    ck_assert_uint_lt(report_count, sizeof(reports) / sizeof(reports[0]));
    reports[report_count++] = *report;
}

/* --- the section --- */

START_TEST(test_application_section_has_8836_bytes_at_7548)
{
    ck_assert_uint_eq(DCT_APPLICATION, 7548);
    ck_assert_uint_eq(DCT_APPLICATION_SIZE, 8836);
    ck_assert_uint_eq(DCT_SERVER_ADDRESS - DCT_SERVER_KEY, 384);
}
END_TEST

/* --- which copy holds --- */

static const struct {
    const char *state1, *state2;
    int swap, sequence; /* 1, 2: that copy; 0: none, so that copy 1 gets a default header */
} currents[] = {
    {STATE_CURRENT, NULL, 1, 1},
    {NULL, STATE_CURRENT, 2, 2},
    {STATE_CURRENT, STATE_CURRENT, 1, 1},
    {STATE_SUPERSEDED, STATE_CURRENT, 2, 1}, /* without tails is_current does not count */
    {STATE_CURRENT, STATE_SUPERSEDED, 1, 1},
    {STATE_INCOMPLETE, STATE_CURRENT, 2, 2},
    {STATE_EMPTY, NULL, 1, 1},
    {STATE_SUPERSEDED, NULL, 0, 1},
    {STATE_SUPERSEDED, STATE_SUPERSEDED, 0, 1},
    {NULL, STATE_SUPERSEDED, 0, 2},
    {STATE_INCOMPLETE, NULL, 0, 0},
    {NULL, STATE_INCOMPLETE, 0, 0},
    {"\0\1\1\0BRCX", NULL, 0, 0},
    {"\0\1\1\0CRCM", STATE_CURRENT, 2, 2},
    {"\0\2\1\0BRCM", NULL, 0, 1},
    {NULL, NULL, 0, 0},
};

START_TEST(test_the_current_copy_is_found_by_its_header)
{
    for (int driver = 0; driver < DRIVERS; driver++) {
        int expected = driver == DRIVER_SEQUENCE ? currents[_i].sequence : currents[_i].swap;
        struct flash *f = flash_new(1);

        if (currents[_i].state1 != NULL) {
            support_dct_load(f, COPY1, currents[_i].state1);
        }
        if (currents[_i].state2 != NULL) {
            support_dct_load(f, COPY2, currents[_i].state2);
        }
        ck_assert_uint_eq(dct_application(f, rules_of(driver)),
                          (expected == 2 ? COPY2 : COPY1) + APPLICATION);
        ck_assert_int_eq(dct_open(f, rules_of(driver)), DCT_OK);
        ck_assert_int_eq(support_dct_erases(f) > 0, expected == 0);
        ck_assert_int_eq(flash_operations(f) > 0, expected == 0);
        ck_assert_uint_eq(dct_application(f, rules_of(driver)),
                          (expected == 2 ? COPY2 : COPY1) + APPLICATION);
        ck_assert_uint_eq(flash_is_blank(f, COPY1 + 0x184, 0x3FF0 - 0x184),
                          expected == 0 || currents[_i].state1 == NULL);
        flash_free(f);
    }
}
END_TEST

START_TEST(test_blank_sectors_get_a_default_header_in_one_erase)
{
    ck_assert_int_eq(dct_open(flash, rules_of(_i)), DCT_OK);
    assert_header(COPY1, STATE_CURRENT);
    ck_assert_uint_eq(support_dct_erases(flash), 1);
    ck_assert_uint_eq(flash_wear(flash, 1), 1);
    ck_assert(flash_is_blank(flash, COPY1 + 0x184, 2 * COPY_SIZE - 0x184));
    ck_assert_uint_ge(flash_clock(flash), 400 * MS);
    ck_assert_uint_lt(flash_clock(flash), 403 * MS);
}
END_TEST

START_TEST(test_a_write_opens_the_dct_first)
{
    uint8_t found[4];

    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, "\1\2\3\4", 4), DCT_OK);
    dct_read(flash, rules_of(_i), 33, found, 4);
    ck_assert_mem_eq(found, "\xff\1\2\3", 4);
    dct_read(flash, rules_of(_i), 37, found, 4);
    ck_assert_mem_eq(found, "\4\xff\xff\xff", 4);
}
END_TEST

/* --- reading --- */

START_TEST(test_reading_past_the_section_gives_what_lies_behind)
{
    uint8_t found[4];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2, "\x0A\x0B", 2));
    dct_read(flash, rules_of(_i), 8834, found, 4);
    ck_assert_mem_eq(found, "\xFF\xFF\x0A\x0B", 4);
    support_dct_load(flash, COPY2, STATE_CURRENT);
    support_dct_load(flash, COPY1, STATE_INCOMPLETE);
    ck_assert(flash_load(flash, EEPROM_A, "\x0C\x0D", 2));
    dct_read(flash, rules_of(_i), 8835, found, 3);
    ck_assert_mem_eq(found, "\xFF\x0C\x0D", 3);
}
END_TEST

/* --- the swap --- */

/* 0 to 0 needs no erase for the in-place writer: give it a 1. */
static const uint8_t new_data[] = {0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88, 0x77, 0x66};

START_TEST(test_new_data_move_the_dct_to_the_other_sector)
{
    int driver = _i / 2;
    uint32_t old = _i % 2 == 0 ? COPY1 : COPY2, new = _i % 2 == 0 ? COPY2 : COPY1;
    uint8_t info[0x220 - 0x184];

    support_dct_load(flash, old, STATE_CURRENT);
    ck_assert_int_eq(dct_write(flash, rules_of(driver), 34, new_data, sizeof(new_data)), DCT_OK);
    ck_assert_uint_eq(dct_application(flash, rules_of(driver)), new + APPLICATION);
    assert_header(new, STATE_CURRENT);
    assert_application(driver, 34, new_data, sizeof(new_data));
    flash_read(flash, new + 0x184, info, sizeof(info));
    for (uint32_t i = 0; i < sizeof(info); i++) {
        ck_assert_uint_eq(info[i], support_dct_byte(0x184 + i));
    }
    ck_assert(flash_is_blank(flash, old, COPY_SIZE));
    ck_assert_uint_eq(support_dct_erases(flash), 1);
}
END_TEST

START_TEST(test_a_swap_takes_70_ms_and_one_erase)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, sizeof(new_data)), DCT_OK);
    ck_assert_uint_gt(flash_clock(flash), (400 + 64) * MS);
    ck_assert_uint_lt(flash_clock(flash), (400 + 75) * MS);
}
END_TEST

START_TEST(test_the_header_is_programmed_last_and_then_the_old_copy_erased)
{
    uint32_t at = COPY2 + 0x184;

    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2 + 0x3000, "\0", 1));
    report_count = 0;
    flash_set_reporter(flash, note, NULL);
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3A), 34, new_data, 10), DCT_OK);
    ck_assert_int_eq(reports[0].kind, FLASH_REPORT_ERASE);
    ck_assert_uint_eq(reports[0].address, COPY2);
    for (size_t i = 1; i < report_count - 1; i++) {
        ck_assert_int_eq(reports[i].kind, FLASH_REPORT_PROGRAM);
        if (at == COPY2 + COPY_SIZE) {
            at = COPY2;
        }
        ck_assert_uint_eq(reports[i].address, at);
        at += reports[i].length;
    }
    ck_assert_uint_eq(at, COPY2 + 0x184);
    ck_assert_int_eq(reports[report_count - 1].kind, FLASH_REPORT_ERASE);
    ck_assert_uint_eq(reports[report_count - 1].address, COPY1);
}
END_TEST

/* Units as counted on bootloader 7: 8 bytes in place, the copy, the header. */
START_TEST(test_a_swap_programs_as_many_words_and_bytes_as_a_real_one)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 34, new_data, 8), DCT_OK);
    ck_assert_uint_eq(flash_operations(flash), 8 + 3990 + 36 + 94 + 12 + 1);
}
END_TEST

START_TEST(test_a_swap_keeps_the_header_behind_its_first_bytes)
{
    static const uint8_t state[8] = {0, 1, 0, 1, 'B', 'R', 'C', 'M'};
    uint8_t header[0x184], found[0x184];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    memset(header, 0x5A, sizeof(header));
    memcpy(header + 8, state, sizeof(state));
    ck_assert(flash_load(flash, COPY1, header, sizeof(header)));
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, 8), DCT_OK);
    memset(header, 0, 8);
    header[10] = 1;
    flash_read(flash, COPY2, found, sizeof(found));
    ck_assert_mem_eq(found, header, sizeof(found));
}
END_TEST

START_TEST(test_v3a_swaps_for_identical_data_too)
{
    uint8_t same[32];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    dct_read(flash, rules_of(DRIVER_3A), 0, same, sizeof(same));
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3A), 0, same, sizeof(same)), DCT_OK);
    ck_assert_uint_eq(dct_application(flash, rules_of(DRIVER_3A)), COPY2 + APPLICATION);
    assert_application(DRIVER_3A, 0, NULL, 0);
    ck_assert_uint_eq(support_dct_erases(flash), 1);
}
END_TEST

START_TEST(test_a_stray_word_in_the_other_sector_costs_a_second_erase)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2 + 0x3FFF, "\x7F", 1));
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, sizeof(new_data)), DCT_OK);
    ck_assert_uint_eq(flash_wear(flash, 1), 1);
    ck_assert_uint_eq(flash_wear(flash, 2), 1);
    assert_application(_i, 34, new_data, sizeof(new_data));
}
END_TEST

/* The reset loop of 0.4.0 and 0.4.1: keys and flags got the stray bits. */
START_TEST(test_v2_looks_at_the_header_only_and_ands_stray_bits_in)
{
    uint8_t found;

    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2 + APPLICATION + 34, "\x0F", 1));
    ck_assert(flash_load(flash, COPY2 + APPLICATION + 100, "\0", 1));
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_2), 34, new_data, 10), DCT_OK);
    ck_assert_uint_eq(flash_wear(flash, 2), 0);
    dct_read(flash, rules_of(DRIVER_2), 34, &found, 1);
    ck_assert_uint_eq(found, 0x0F);
    dct_read(flash, rules_of(DRIVER_2), 100, &found, 1);
    ck_assert_uint_eq(found, 0);
    dct_read(flash, rules_of(DRIVER_2), 101, &found, 1);
    ck_assert_uint_eq(found, support_dct_byte(APPLICATION + 101));
}
END_TEST

START_TEST(test_v2_erases_when_the_header_is_not_blank)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2 + 0x183, "\x0F", 1));
    ck_assert(flash_load(flash, COPY2 + APPLICATION + 100, "\0", 1));
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_2), 34, new_data, 10), DCT_OK);
    ck_assert_uint_eq(flash_wear(flash, 2), 1);
    assert_application(DRIVER_2, 34, new_data, 10);
}
END_TEST

/* --- in place --- */

START_TEST(test_data_that_only_clear_bits_are_programmed_in_place)
{
    uint8_t flags[32];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    dct_read(flash, rules_of(DRIVER_3B), 0, flags, sizeof(flags));
    flags[5] = 0;
    flags[31] = 0;
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 0, flags, sizeof(flags)), DCT_OK);
    ck_assert_uint_eq(dct_application(flash, rules_of(DRIVER_3B)), COPY1 + APPLICATION);
    assert_application(DRIVER_3B, 0, flags, sizeof(flags));
    ck_assert_uint_eq(support_dct_erases(flash), 0);
    ck_assert_uint_lt(flash_clock(flash), MS);
    /* Words while more than 15 bytes remain, then bytes: 5 and 12. */
    ck_assert_uint_eq(flash_operations(flash), 17);
}
END_TEST

static const struct {
    uint32_t offset, length, operations;
} chunks[] = {{0, 0, 0},   {0, 1, 1},           {0, 15, 15},         {0, 16, 1 + 12},
              {0, 17, 14}, {0, 19, 1 + 15},     {0, 20, 2 + 12},     {1, 2, 2},
              {1, 18, 18}, {1, 19, 3 + 1 + 12}, {2, 34, 2 + 5 + 12}, {3, 4096, 1 + 1020 + 15}};

START_TEST(test_words_are_programmed_where_aligned_and_more_than_15_bytes_remain)
{
    uint8_t data[4096];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    dct_read(flash, rules_of(DRIVER_3B), chunks[_i].offset, data, sizeof(data));
    ck_assert_int_eq(
        dct_write(flash, rules_of(DRIVER_3B), chunks[_i].offset, data, chunks[_i].length), DCT_OK);
    ck_assert_uint_eq(flash_operations(flash), chunks[_i].operations);
    assert_application(DRIVER_3B, 0, NULL, 0);
}
END_TEST

START_TEST(test_a_failed_attempt_in_place_ends_in_a_swap)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    report_count = 0;
    flash_set_reporter(flash, note, NULL);
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 34, new_data, 10), DCT_OK);
    ck_assert_uint_eq(dct_application(flash, rules_of(DRIVER_3B)), COPY2 + APPLICATION);
    assert_application(DRIVER_3B, 34, new_data, 10);
    ck_assert_int_eq(reports[0].kind, FLASH_REPORT_PROGRAM);
    ck_assert_uint_eq(reports[0].address, COPY1 + APPLICATION + 34);
}
END_TEST

/* --- the limit of the section --- */

START_TEST(test_the_last_byte_of_the_section_can_be_written)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 8826, new_data, 10), DCT_OK);
    assert_application(_i, 8826, new_data, 10);
    assert_bytes(dct_application(flash, rules_of(_i)) + 8825, "\xFF\xFF\xEE\xDD", 4);
}
END_TEST

START_TEST(test_v3a_refuses_what_reaches_past_the_section)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 8827, new_data, 10), DCT_ERROR);
    ck_assert_uint_eq(flash_operations(flash), 0);
    assert_application(_i, 0, NULL, 0);
}
END_TEST

START_TEST(test_in_place_runs_into_the_neighbouring_sector)
{
    support_dct_load(flash, _i == 0 ? COPY1 : COPY2, STATE_CURRENT);

    uint32_t neighbour = _i == 0 ? COPY2 : EEPROM_A;

    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 8832, "\1\2\3\4\5\6\7\10", 8), DCT_OK);
    assert_bytes(neighbour - 4, "\1\2\3\4\5\6\7\10\xFF", 9);
    ck_assert_uint_eq(support_dct_erases(flash), 0);
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 0x3FFC, "\1\2\3\4\5\6\7\10", 8), DCT_OK);
    assert_bytes(neighbour + 0x3FFC - 8836, "\1\2\3\4\5\6\7\10\xFF", 9);
}
END_TEST

START_TEST(test_in_place_past_the_section_fails_with_the_and_already_programmed)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2, "\xF0\xF0\xF0\xF0", 4));
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 8832, "\1\2\3\4\x55\x66\x77\x88", 8),
                     DCT_ERROR);
    assert_bytes(COPY2 - 4, "\1\2\3\4\x50\x60\x70\x80\xFF", 9);
    ck_assert_uint_eq(support_dct_erases(flash), 0);
}
END_TEST

START_TEST(test_other_sections_are_written_but_not_the_header)
{
    uint8_t found[8];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(dct_write_section(flash, rules_of(_i), 0x183, new_data, 4), DCT_ERROR);
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_int_eq(dct_write_section(flash, rules_of(_i), 0x184, new_data, 4), DCT_OK);
    ck_assert_uint_eq(dct_application(flash, rules_of(_i)), COPY2 + APPLICATION);
    flash_read(flash, COPY2 + 0x184, found, sizeof(found));
    ck_assert_mem_eq(found, new_data, 4);
    ck_assert_uint_eq(found[4], support_dct_byte(0x188));
    assert_application(_i, 0, NULL, 0);
}
END_TEST

START_TEST(test_offsets_outside_the_flash_are_errors)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 0xFFFFFFF0, new_data, 10), DCT_ERROR);
    ck_assert_int_eq(dct_write_section(flash, rules_of(_i), 0xFFFFFFF0, new_data, 4), DCT_ERROR);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 0x000FA284, new_data, 10), DCT_ERROR);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 0x000FA27F, new_data, 10), DCT_ERROR);
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

/* --- write protection --- */

START_TEST(test_protected_sectors_are_an_error_while_nothing_must_be_erased)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    flash_set_nwrp(flash, 0x0FFF & ~0x6u);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, 10), DCT_ERROR);
    assert_application(_i, 0, NULL, 0);
}
END_TEST

START_TEST(test_protected_sectors_that_must_be_erased_hang_the_driver)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2 + 8, "\0", 1));
    flash_set_nwrp(flash, 0x0FFF & ~0x6u);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, 10), DCT_HANG);
    assert_application(_i, 0, NULL, 0);
}
END_TEST

START_TEST(test_opening_protected_sectors_hangs)
{
    flash_set_nwrp(flash, 0x0FFF & ~0x6u);
    ck_assert_int_eq(dct_open(flash, rules_of(_i)), DCT_HANG);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, 10), DCT_HANG);
    flash_set_nwrp(flash, 0x0FFF & ~0x4u);
    ck_assert_int_eq(dct_open(flash, rules_of(_i)), _i == DRIVER_SEQUENCE ? DCT_HANG : DCT_OK);
}
END_TEST

START_TEST(test_an_old_copy_that_cannot_be_erased_hangs_after_the_new_one_is_written)
{
    support_dct_load(flash, COPY2, STATE_CURRENT);
    flash_set_nwrp(flash, 0x0FFF & ~0x4u);
    ck_assert_int_eq(dct_write(flash, rules_of(_i), 34, new_data, 10), DCT_HANG);
    assert_application(_i, 34, new_data, 10);
}
END_TEST

START_TEST(test_identical_data_in_a_protected_sector_are_found_in_place)
{
    uint8_t same[8];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    flash_set_nwrp(flash, 0x0FFF & ~0x6u);
    dct_read(flash, rules_of(DRIVER_3B), 34, same, sizeof(same));
    ck_assert_int_eq(dct_write(flash, rules_of(DRIVER_3B), 34, same, sizeof(same)), DCT_OK);
}
END_TEST

static void add_copies(TCase *tc)
{
    tcase_add_test(tc, test_application_section_has_8836_bytes_at_7548);
    tcase_add_loop_test(tc, test_the_current_copy_is_found_by_its_header, 0,
                        sizeof(currents) / sizeof(currents[0]));
    tcase_add_loop_test(tc, test_blank_sectors_get_a_default_header_in_one_erase, 0,
                        DRIVER_SEQUENCE);
    tcase_add_loop_test(tc, test_a_write_opens_the_dct_first, 0, DRIVERS);
    tcase_add_loop_test(tc, test_reading_past_the_section_gives_what_lies_behind, 0, DRIVERS);
}

static void add_swap(TCase *tc)
{
    tcase_add_loop_test(tc, test_new_data_move_the_dct_to_the_other_sector, 0, 2 * DRIVER_SEQUENCE);
    tcase_add_loop_test(tc, test_a_swap_takes_70_ms_and_one_erase, 0, DRIVER_SEQUENCE);
    tcase_add_test(tc, test_the_header_is_programmed_last_and_then_the_old_copy_erased);
    tcase_add_test(tc, test_a_swap_programs_as_many_words_and_bytes_as_a_real_one);
    tcase_add_loop_test(tc, test_a_swap_keeps_the_header_behind_its_first_bytes, 0,
                        DRIVER_SEQUENCE);
    tcase_add_test(tc, test_v3a_swaps_for_identical_data_too);
    tcase_add_loop_test(tc, test_a_stray_word_in_the_other_sector_costs_a_second_erase, DRIVER_3A,
                        DRIVER_SEQUENCE);
    tcase_add_test(tc, test_v2_looks_at_the_header_only_and_ands_stray_bits_in);
    tcase_add_test(tc, test_v2_erases_when_the_header_is_not_blank);
    tcase_add_test(tc, test_data_that_only_clear_bits_are_programmed_in_place);
    tcase_add_loop_test(tc, test_words_are_programmed_where_aligned_and_more_than_15_bytes_remain,
                        0, sizeof(chunks) / sizeof(chunks[0]));
    tcase_add_test(tc, test_a_failed_attempt_in_place_ends_in_a_swap);
    tcase_add_loop_test(tc, test_the_last_byte_of_the_section_can_be_written, 0, DRIVER_SEQUENCE);
    tcase_add_loop_test(tc, test_v3a_refuses_what_reaches_past_the_section, 0, DRIVER_3B);
    tcase_add_loop_test(tc, test_in_place_runs_into_the_neighbouring_sector, 0, 2);
    tcase_add_test(tc, test_in_place_past_the_section_fails_with_the_and_already_programmed);
    tcase_add_loop_test(tc, test_other_sections_are_written_but_not_the_header, 0, DRIVERS);
    tcase_add_loop_test(tc, test_offsets_outside_the_flash_are_errors, 0, DRIVERS);
}

static void add_protection(TCase *tc)
{
    tcase_add_loop_test(tc, test_protected_sectors_are_an_error_while_nothing_must_be_erased, 0,
                        DRIVER_SEQUENCE);
    tcase_add_loop_test(tc, test_protected_sectors_that_must_be_erased_hang_the_driver, 0, DRIVERS);
    tcase_add_loop_test(tc, test_opening_protected_sectors_hangs, 0, DRIVERS);
    tcase_add_loop_test(tc,
                        test_an_old_copy_that_cannot_be_erased_hangs_after_the_new_one_is_written,
                        0, DRIVER_SEQUENCE);
    tcase_add_test(tc, test_identical_data_in_a_protected_sector_are_found_in_place);
}

int main(void)
{
    Suite *suite = suite_create("dct");
    TCase *tc = tcase_create("drivers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    add_copies(tc);
    add_swap(tc);
    add_protection(tc);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
