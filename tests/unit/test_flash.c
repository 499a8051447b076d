/* The flash as a chip: what programming and erasing do to cells, time and wear. What a power
 * failure does is test_flash_power.c, what lies underneath test_flash_memory.c. Numbers are those
 * of ST's manuals and of the real firmware's time lines. */
#include "flash.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

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

static void assert_cells(const struct flash *f, uint32_t address, const char *expected,
                         size_t length)
{
    uint8_t found[64];

    ck_assert_uint_le(length, sizeof(found));
    flash_read(f, address, found, length);
    ck_assert_mem_eq(found, expected, length);
}

static void program_word(struct flash *f, uint32_t address, uint32_t word)
{
    uint8_t bytes[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
                        (uint8_t)(word >> 24)};

    ck_assert_int_eq(flash_program(f, address, bytes, 4, FLASH_WORD), FLASH_COMPLETE);
}

/* --- what a flash is --- */

START_TEST(test_new_flash_is_blank_unprotected_and_powered)
{
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE));
    assert_cells(flash, FLASH_BASE, "\xff\xff\xff\xff", 4);
    assert_cells(flash, FLASH_END - 4, "\xff\xff\xff\xff", 4);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0FFF);
    ck_assert(flash_powered(flash));
    ck_assert_uint_eq(flash_clock(flash), 0);
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_uint_eq(flash_private_pages(flash), 0);
    for (unsigned i = 0; i < 12; i++) {
        ck_assert_uint_eq(flash_wear(flash, i), 0);
    }
}
END_TEST

START_TEST(test_freeing_nothing_is_allowed)
{
    flash_free(NULL);
}
END_TEST

static const struct {
    uint32_t address, size;
    uint64_t erase_ms;
} sector_table[] = {
    {0x08000000, 16384, 400},   {0x08004000, 16384, 400},   {0x08008000, 16384, 400},
    {0x0800C000, 16384, 400},   {0x08010000, 65536, 550},   {0x08020000, 131072, 1000},
    {0x08040000, 131072, 1000}, {0x08060000, 131072, 1000}, {0x08080000, 131072, 1000},
    {0x080A0000, 131072, 1000}, {0x080C0000, 131072, 1000}, {0x080E0000, 131072, 1000},
};

START_TEST(test_sectors_lie_where_the_chip_has_them)
{
    uint32_t address = sector_table[_i].address;
    uint32_t last = address + sector_table[_i].size - 1;

    ck_assert_uint_eq(flash_sectors[_i].address, address);
    ck_assert_uint_eq(flash_sectors[_i].size, sector_table[_i].size);
    ck_assert_int_eq(flash_sector_of(address), _i);
    ck_assert_int_eq(flash_sector_of(last), _i);
}
END_TEST

START_TEST(test_no_sector_outside_the_flash)
{
    ck_assert_int_eq(flash_sector_of(0x07FFFFFF), -1);
    ck_assert_int_eq(flash_sector_of(0x08100000), -1);
    ck_assert_int_eq(flash_sector_of(0), -1);
    ck_assert_int_eq(flash_sector_of(0xFFFFFFFF), -1);
}
END_TEST

START_TEST(test_ranges_are_inside_the_flash_up_to_its_last_byte)
{
    ck_assert(flash_contains(0x08000000, 0x100000));
    ck_assert(flash_contains(0x080FFFFF, 1));
    ck_assert(!flash_contains(0x080FFFFF, 2));
    ck_assert(!flash_contains(0x08100000, 0));
    ck_assert(!flash_contains(0x07FFFFFF, 1));
    ck_assert(!flash_contains(0x08000001, SIZE_MAX));
}
END_TEST

/* --- programming --- */

START_TEST(test_programming_only_clears_bits)
{
    program_word(flash, 0x08020000, 0x0F0FAA55);
    program_word(flash, 0x08020000, 0xF0FFA5F5);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x000FA055);
}
END_TEST

/* The verify pass of the firmware must find it; the chip says nothing. */
START_TEST(test_programming_a_1_over_a_0_raises_no_error)
{
    uint8_t zeros[8] = {0}, ones[8];

    memset(ones, 0xFF, sizeof(ones));
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 8, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08020000, ones, 8, FLASH_WORD), FLASH_COMPLETE);
    assert_cells(flash, 0x08020000, "\0\0\0\0\0\0\0\0", 8);
}
END_TEST

START_TEST(test_a_programmed_word_or_byte_takes_16_us_and_counts_one)
{
    uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    ck_assert_int_eq(flash_program(flash, 0x08020000, data, 8, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_clock(flash), 2 * 16 * US);
    ck_assert_uint_eq(flash_operations(flash), 2);
    ck_assert_int_eq(flash_program(flash, 0x08020009, data, 8, FLASH_BYTE), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_clock(flash), 10 * 16 * US);
    ck_assert_uint_eq(flash_operations(flash), 10);
    assert_cells(flash, 0x08020000, "\1\2\3\4\5\6\7\10\xff\1\2\3\4\5\6\7\10\xff", 18);
}
END_TEST

START_TEST(test_programming_what_is_there_already_takes_time_but_no_page)
{
    uint8_t ones[4096];

    memset(ones, 0xFF, sizeof(ones));
    ck_assert_int_eq(flash_program(flash, 0x08020000, ones, sizeof(ones), FLASH_WORD),
                     FLASH_COMPLETE);
    ck_assert_uint_eq(flash_clock(flash), 1024 * 16 * US);
    ck_assert_uint_eq(flash_private_pages(flash), 0);
}
END_TEST

START_TEST(test_programming_nothing_is_nothing)
{
    ck_assert_int_eq(flash_program(flash, 0x08020000, "", 0, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08100000, "", 0, FLASH_BYTE), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

START_TEST(test_unaligned_words_are_refused_and_nothing_is_programmed)
{
    uint8_t data[8] = {0};

    for (uint32_t i = 1; i < 4; i++) {
        ck_assert_int_eq(flash_program(flash, 0x08020000 + i, data, 8, FLASH_WORD),
                         FLASH_ERROR_ALIGNMENT);
    }
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE));
    ck_assert_uint_eq(flash_clock(flash), 0);
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

START_TEST(test_programming_over_the_end_programs_up_to_it)
{
    uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    ck_assert_int_eq(flash_program(flash, 0x080FFFFC, data, 8, FLASH_WORD), FLASH_ERROR_OPERATION);
    assert_cells(flash, 0x080FFFFC, "\1\2\3\4", 4);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_eq(flash_clock(flash), 16 * US);
}
END_TEST

START_TEST(test_programming_outside_the_flash_does_nothing)
{
    uint8_t data[4] = {0};
    static const uint32_t outside[] = {0x07FFFFFC, 0x08100000, 0x1FFF7800, 0x20000000, 0};

    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        ck_assert_int_eq(flash_program(flash, outside[i], data, 4, FLASH_WORD),
                         FLASH_ERROR_OPERATION);
    }
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE));
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

/* --- erasing --- */

START_TEST(test_erase_blanks_exactly_its_sector_in_its_time)
{
    const struct flash_sector *s = &flash_sectors[_i];
    uint32_t end = s->address + s->size;

    program_word(flash, s->address, 0);
    program_word(flash, end - 4, 0);
    if (s->address > FLASH_BASE) {
        program_word(flash, s->address - 4, 0x11111111);
    }
    if (end < FLASH_END) {
        program_word(flash, end, 0x22222222);
    }

    uint64_t clock = flash_clock(flash), operations = flash_operations(flash);

    ck_assert_int_eq(flash_erase(flash, (unsigned)_i), FLASH_COMPLETE);
    ck_assert(flash_is_blank(flash, s->address, s->size));
    ck_assert_uint_eq(flash_clock(flash) - clock, sector_table[_i].erase_ms * MS);
    ck_assert_uint_eq(flash_operations(flash) - operations, 1);
    if (s->address > FLASH_BASE) {
        ck_assert_uint_eq(flash_read32(flash, s->address - 4), 0x11111111);
    }
    if (end < FLASH_END) {
        ck_assert_uint_eq(flash_read32(flash, end), 0x22222222);
    }
}
END_TEST

START_TEST(test_erase_counts_wear_of_its_sector_only)
{
    static const uint32_t worn[FLASH_SECTORS] = {[3] = 9999, [5] = 7};

    flash_set_wear(flash, worn);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_wear(flash, 5), 9);
    ck_assert_uint_eq(flash_wear(flash, 3), 9999);
    ck_assert_uint_eq(flash_wear(flash, 4), 0);
}
END_TEST

START_TEST(test_there_is_no_sector_12)
{
    program_word(flash, 0x080FFFFC, 0);
    ck_assert_int_eq(flash_erase(flash, 12), FLASH_ERROR_OPERATION);
    ck_assert_uint_eq(flash_read32(flash, 0x080FFFFC), 0);
    ck_assert_uint_eq(flash_operations(flash), 1);
}
END_TEST

/* --- write protection --- */

START_TEST(test_protected_sector_is_neither_erased_nor_programmed)
{
    uint8_t data[4] = {0};

    program_word(flash, 0x08020000, 0x12345678);
    ck_assert_int_eq(flash_protect(flash, 0x0FDF), FLASH_COMPLETE);

    uint64_t clock = flash_clock(flash), operations = flash_operations(flash);

    ck_assert_int_eq(flash_erase(flash, 5), FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_program(flash, 0x08020000, data, 4, FLASH_WORD),
                     FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_program(flash, 0x0803FFFC, data, 4, FLASH_WORD),
                     FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x12345678);
    ck_assert_uint_eq(flash_read32(flash, 0x0803FFFC), 0xFFFFFFFF);
    ck_assert_uint_eq(flash_wear(flash, 5), 0);
    ck_assert_uint_eq(flash_clock(flash), clock);
    ck_assert_uint_eq(flash_operations(flash), operations);
}
END_TEST

START_TEST(test_programming_stops_at_the_border_of_a_protected_sector)
{
    uint8_t data[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    flash_set_nwrp(flash, 0x0FFF & ~(1u << 6));
    ck_assert_int_eq(flash_program(flash, 0x0803FFF8, data, 12, FLASH_WORD),
                     FLASH_ERROR_WRITE_PROTECTION);
    assert_cells(flash, 0x0803FFF8, "\1\2\3\4\5\6\7\10\xff\xff\xff\xff", 12);
    ck_assert_uint_eq(flash_operations(flash), 2);
}
END_TEST

START_TEST(test_programming_runs_over_unprotected_sectors)
{
    uint8_t data[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    flash_set_nwrp(flash, 0x0E1E);
    ck_assert_int_eq(flash_program(flash, 0x080BFFFA, data, 12, FLASH_BYTE), FLASH_COMPLETE);
    assert_cells(flash, 0x080BFFFA, "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
}
END_TEST

START_TEST(test_option_bytes_take_20_ms_and_protect_or_free_sectors)
{
    ck_assert_int_eq(flash_protect(flash, 0xFE1E), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0E1E);
    ck_assert_uint_eq(flash_clock(flash), 20 * MS);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_int_eq(flash_erase(flash, 0), FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_erase(flash, 8), FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_erase(flash, 4), FLASH_COMPLETE);
    ck_assert_int_eq(flash_erase(flash, 9), FLASH_COMPLETE);
    ck_assert_int_eq(flash_protect(flash, FLASH_NWRP_NONE), FLASH_COMPLETE);
    ck_assert_int_eq(flash_erase(flash, 8), FLASH_COMPLETE);
}
END_TEST

START_TEST(test_erase_can_lift_the_protection_of_its_sector_alone)
{
    flash_set_nwrp(flash, 0x0E1E);
    ck_assert_int_eq(flash_erase_unprotecting(flash, 5), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0E3E);
    ck_assert_uint_eq(flash_clock(flash), 1020 * MS);
    ck_assert_int_eq(flash_erase_unprotecting(flash, 5), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_clock(flash), 2020 * MS);
    ck_assert_int_eq(flash_erase_unprotecting(flash, 12), FLASH_ERROR_OPERATION);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0E3E);
    flash_cut_at(flash, flash_operations(flash), FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_erase_unprotecting(flash, 6), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0E7E);
    ck_assert_uint_eq(flash_wear(flash, 6), 0);
}
END_TEST

START_TEST(test_nwrp_has_one_bit_a_sector)
{
    flash_set_nwrp(flash, 0xF000);
    ck_assert_uint_eq(flash_nwrp(flash), 0);
}
END_TEST

/* --- clock and reports --- */

START_TEST(test_clock_is_set_forward_only)
{
    flash_set_clock(flash, 5 * MS);
    ck_assert_uint_eq(flash_clock(flash), 5 * MS);
    ck_assert_int_eq(flash_erase(flash, 1), FLASH_COMPLETE);
    flash_set_clock(flash, 6 * MS);
    ck_assert_uint_eq(flash_clock(flash), 405 * MS);
}
END_TEST

static struct flash_report reports[8];
static size_t report_count;

static void note(void *context, const struct flash_report *report)
{
    ck_assert_ptr_eq(context, &report_count);
    ck_assert_uint_lt(report_count, 8);
    reports[report_count++] = *report;
}

static void assert_report(size_t i, enum flash_report_kind kind, enum flash_status status,
                          uint32_t address, uint32_t length, uint64_t operation, uint64_t start,
                          uint64_t end)
{
    ck_assert_uint_lt(i, report_count);
    ck_assert_int_eq(reports[i].kind, kind);
    ck_assert_int_eq(reports[i].status, status);
    ck_assert_uint_eq(reports[i].address, address);
    ck_assert_uint_eq(reports[i].length, length);
    ck_assert_uint_eq(reports[i].operation, operation);
    ck_assert_uint_eq(reports[i].start, start);
    ck_assert_uint_eq(reports[i].end, end);
}

START_TEST(test_every_operation_is_reported_with_its_time_and_number)
{
    uint8_t data[8] = {0};

    report_count = 0;
    flash_set_reporter(flash, note, &report_count);
    flash_set_clock(flash, MS);
    ck_assert_int_eq(flash_erase(flash, 1), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08004000, data, 8, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_protect(flash, 0x0FFD), FLASH_COMPLETE);
    ck_assert_uint_eq(report_count, 3);
    assert_report(0, FLASH_REPORT_ERASE, FLASH_COMPLETE, 0x08004000, 0x4000, 0, MS, 401 * MS);
    assert_report(1, FLASH_REPORT_PROGRAM, FLASH_COMPLETE, 0x08004000, 8, 1, 401 * MS,
                  401 * MS + 32 * US);
    assert_report(2, FLASH_REPORT_PROTECT, FLASH_COMPLETE, 0, 0, 3, 401 * MS + 32 * US,
                  421 * MS + 32 * US);
    ck_assert_uint_eq(reports[2].nwrp, 0x0FFD);
}
END_TEST

START_TEST(test_refusals_are_reported_with_their_reason)
{
    uint8_t data[8] = {0};

    flash_set_nwrp(flash, 0x0FFD);
    report_count = 0;
    flash_set_reporter(flash, note, &report_count);
    ck_assert_int_eq(flash_erase(flash, 1), FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_program(flash, 0x08003FFC, data, 8, FLASH_WORD),
                     FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_program(flash, 0x08008001, data, 8, FLASH_WORD), FLASH_ERROR_ALIGNMENT);
    ck_assert_int_eq(flash_program(flash, 0x080FFFFF, data, 2, FLASH_BYTE), FLASH_ERROR_OPERATION);
    ck_assert_uint_eq(report_count, 6);
    assert_report(0, FLASH_REPORT_REFUSED, FLASH_ERROR_WRITE_PROTECTION, 0x08004000, 0x4000, 0, 0,
                  0);
    assert_report(1, FLASH_REPORT_PROGRAM, FLASH_COMPLETE, 0x08003FFC, 4, 0, 0, 16 * US);
    assert_report(2, FLASH_REPORT_REFUSED, FLASH_ERROR_WRITE_PROTECTION, 0x08004000, 4, 1, 16 * US,
                  16 * US);
    assert_report(3, FLASH_REPORT_REFUSED, FLASH_ERROR_ALIGNMENT, 0x08008001, 8, 1, 16 * US,
                  16 * US);
    assert_report(4, FLASH_REPORT_PROGRAM, FLASH_COMPLETE, 0x080FFFFF, 1, 1, 16 * US, 32 * US);
    assert_report(5, FLASH_REPORT_REFUSED, FLASH_ERROR_OPERATION, 0x08100000, 1, 2, 32 * US,
                  32 * US);
}
END_TEST

START_TEST(test_a_reporter_can_be_taken_off)
{
    report_count = 0;
    flash_set_reporter(flash, note, &report_count);
    flash_set_reporter(flash, NULL, NULL);
    ck_assert_int_eq(flash_erase(flash, 1), FLASH_COMPLETE);
    ck_assert_uint_eq(report_count, 0);
}
END_TEST

/* --- the programmer's socket --- */

START_TEST(test_load_replaces_without_time_wear_or_operations)
{
    program_word(flash, 0x08020FFC, 0);
    ck_assert(flash_load(flash, 0x08020FFE, "\xA5\x5A\x11\x22", 4));
    assert_cells(flash, 0x08020FFC, "\0\0\xA5\x5A\x11\x22\xff", 7);
    ck_assert_uint_eq(flash_clock(flash), 16 * US);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_eq(flash_wear(flash, 5), 0);
}
END_TEST

START_TEST(test_load_does_not_reach_outside_the_flash)
{
    uint8_t data[8] = {0};

    ck_assert(!flash_load(flash, 0x080FFFFC, data, 8));
    ck_assert(!flash_load(flash, 0x07FFFFFC, data, 8));
    ck_assert(flash_load(flash, 0x080FFFF8, data, 8));
    ck_assert(flash_load(flash, 0, data, 0));
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE - 8));
}
END_TEST

START_TEST(test_loading_blank_pages_leaves_no_page_behind)
{
    uint8_t *image = malloc(FLASH_SIZE);

    memset(image, 0xFF, FLASH_SIZE);
    image[0x20000] = 0;
    ck_assert(flash_load(flash, FLASH_BASE, image, FLASH_SIZE));
    ck_assert_uint_eq(flash_private_pages(flash), 1);
    image[0x20000] = 0xFF;
    ck_assert(flash_load(flash, FLASH_BASE, image, FLASH_SIZE));
    ck_assert_uint_eq(flash_private_pages(flash), 0);
    free(image);
}
END_TEST

/* --- reading --- */

START_TEST(test_values_are_read_little_endian_at_any_address)
{
    ck_assert(flash_load(flash, 0x08020FFE, "\x11\x22\x33\x44", 4));
    ck_assert_uint_eq(flash_read32(flash, 0x08020FFE), 0x44332211);
    ck_assert_uint_eq(flash_read16(flash, 0x08020FFF), 0x3322);
    ck_assert_uint_eq(flash_read32(flash, 0x080FFFFC), 0xFFFFFFFF);
}
END_TEST

START_TEST(test_peek_gives_the_rest_of_a_page)
{
    size_t length;

    ck_assert(flash_load(flash, 0x08020FFE, "\x11\x22", 2));
    ck_assert_uint_eq(*flash_peek(flash, 0x08020FFE, &length), 0x11);
    ck_assert_uint_eq(length, 2);
    ck_assert_uint_eq(*flash_peek(flash, 0x08021000, &length), 0xFF);
    ck_assert_uint_eq(length, 4096);
}
END_TEST

START_TEST(test_equal_means_every_byte)
{
    uint8_t data[6000];

    memset(data, 0x5A, sizeof(data));
    ck_assert(flash_load(flash, 0x08020800, data, sizeof(data)));
    ck_assert(flash_equals(flash, 0x08020800, data, sizeof(data)));
    ck_assert(flash_equals(flash, 0x08020800, data, 100));
    ck_assert(!flash_equals(flash, 0x080207FF, data, 100));
    data[5999] = 0x5B;
    ck_assert(flash_equals(flash, 0x08020800, data, 5999));
    ck_assert(!flash_equals(flash, 0x08020800, data, 6000));
    ck_assert(flash_equals(flash, 0x08020800, data, 0));
}
END_TEST

START_TEST(test_blank_means_every_byte)
{
    ck_assert(flash_load(flash, 0x08021000, "\xFE", 1));
    ck_assert(flash_is_blank(flash, 0x08020000, 0x1000));
    ck_assert(!flash_is_blank(flash, 0x08020000, 0x1001));
    ck_assert(flash_is_blank(flash, 0x08021001, 0xFFF));
    ck_assert(flash_is_blank(flash, 0x08021000, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flash");
    TCase *tc = tcase_create("chip");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_new_flash_is_blank_unprotected_and_powered);
    tcase_add_test(tc, test_freeing_nothing_is_allowed);
    tcase_add_loop_test(tc, test_sectors_lie_where_the_chip_has_them, 0, 12);
    tcase_add_test(tc, test_no_sector_outside_the_flash);
    tcase_add_test(tc, test_ranges_are_inside_the_flash_up_to_its_last_byte);
    tcase_add_test(tc, test_programming_only_clears_bits);
    tcase_add_test(tc, test_programming_a_1_over_a_0_raises_no_error);
    tcase_add_test(tc, test_a_programmed_word_or_byte_takes_16_us_and_counts_one);
    tcase_add_test(tc, test_programming_what_is_there_already_takes_time_but_no_page);
    tcase_add_test(tc, test_programming_nothing_is_nothing);
    tcase_add_test(tc, test_unaligned_words_are_refused_and_nothing_is_programmed);
    tcase_add_test(tc, test_programming_over_the_end_programs_up_to_it);
    tcase_add_test(tc, test_programming_outside_the_flash_does_nothing);
    tcase_add_loop_test(tc, test_erase_blanks_exactly_its_sector_in_its_time, 0, 12);
    tcase_add_test(tc, test_erase_counts_wear_of_its_sector_only);
    tcase_add_test(tc, test_there_is_no_sector_12);
    tcase_add_test(tc, test_protected_sector_is_neither_erased_nor_programmed);
    tcase_add_test(tc, test_programming_stops_at_the_border_of_a_protected_sector);
    tcase_add_test(tc, test_programming_runs_over_unprotected_sectors);
    tcase_add_test(tc, test_option_bytes_take_20_ms_and_protect_or_free_sectors);
    tcase_add_test(tc, test_erase_can_lift_the_protection_of_its_sector_alone);
    tcase_add_test(tc, test_nwrp_has_one_bit_a_sector);
    tcase_add_test(tc, test_clock_is_set_forward_only);
    tcase_add_test(tc, test_every_operation_is_reported_with_its_time_and_number);
    tcase_add_test(tc, test_refusals_are_reported_with_their_reason);
    tcase_add_test(tc, test_a_reporter_can_be_taken_off);
    tcase_add_test(tc, test_load_replaces_without_time_wear_or_operations);
    tcase_add_test(tc, test_load_does_not_reach_outside_the_flash);
    tcase_add_test(tc, test_loading_blank_pages_leaves_no_page_behind);
    tcase_add_test(tc, test_values_are_read_little_endian_at_any_address);
    tcase_add_test(tc, test_peek_gives_the_rest_of_a_page);
    tcase_add_test(tc, test_equal_means_every_byte);
    tcase_add_test(tc, test_blank_means_every_byte);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
