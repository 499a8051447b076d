/* The memory under the flash: pages shared between flashes, remembered CRCs, and no memory left.
 *
 * This program is linked with --wrap=malloc and --wrap=calloc, so that allocation fails on command.
 */
#include "flash.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

/* Allocations that still succeed; -1: all. */
static int allocations = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool may_allocate(void)
{
    if (allocations > 0) {
        allocations--;
        return true;
    }
    return allocations < 0;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

static struct flash *flash;

static void setup(void)
{
    flash = flash_new(1);
    ck_assert_ptr_nonnull(flash);
}

static void teardown(void)
{
    allocations = -1;
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

static unsigned report_count;

static void note(void *context, const struct flash_report *report)
{
    (void)report;
    (*(unsigned *)context)++;
}

/* --- CRC --- */

static uint32_t crc_of_bytes(const struct flash *f, uint32_t address, size_t length)
{
    uint8_t *bytes = malloc(length + 1);
    uint32_t crc;

    flash_read(f, address, bytes, length);
    crc = (uint32_t)crc32(0, bytes, (uInt)length);
    free(bytes);
    return crc;
}

START_TEST(test_crc_is_zlibs_for_every_kind_of_range)
{
    static const struct {
        uint32_t address;
        size_t length;
    } ranges[] = {
        {0x08020000, 0},       {0x08020000, 1},     {0x08020000, 4096}, {0x08020001, 4095},
        {0x08020001, 4096},    {0x08020FFF, 2},     {0x08020123, 9000}, {0x08020000, 250948},
        {0x08020000, 250944},  {0x08021000, 64},    {0x08021000, 4096}, {0x080FFFFF, 1},
        {0x08000000, 1 << 20}, {0x080C0000, 12288}, {0x080C0000, 100},
    };
    uint8_t data[70000];

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    ck_assert(flash_load(flash, 0x08020010, data, sizeof(data)));
    for (int twice = 0; twice < 2; twice++) {
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
            ck_assert_uint_eq(flash_crc32(flash, ranges[i].address, ranges[i].length),
                              crc_of_bytes(flash, ranges[i].address, ranges[i].length));
        }
    }
}
END_TEST

START_TEST(test_crc_follows_every_change)
{
    struct flash *clone = flash_clone(flash);
    uint32_t before, after;

    program_word(flash, 0x08020000, 0x11223344);
    flash_restore(clone, flash);
    before = flash_crc32(flash, 0x08020000, 8192);
    ck_assert_uint_eq(before, crc_of_bytes(flash, 0x08020000, 8192));
    program_word(flash, 0x08020FFC, 0);
    after = flash_crc32(flash, 0x08020000, 8192);
    ck_assert_uint_ne(before, after);
    ck_assert_uint_eq(after, crc_of_bytes(flash, 0x08020000, 8192));
    ck_assert_uint_eq(flash_crc32(clone, 0x08020000, 8192), before);
    ck_assert(flash_load(flash, 0x08020004, "\0", 1));
    ck_assert_uint_eq(flash_crc32(flash, 0x08020000, 8192), crc_of_bytes(flash, 0x08020000, 8192));
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_crc32(flash, 0x08020000, 8192), crc_of_bytes(flash, 0x08020000, 8192));
    flash_restore(flash, clone);
    ck_assert_uint_eq(flash_crc32(flash, 0x08020000, 8192), before);
    flash_free(clone);
}
END_TEST

/* --- sharing --- */

START_TEST(test_clone_is_equal_shares_pages_and_has_no_reporter)
{
    static const uint32_t wear[FLASH_SECTORS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    uint8_t data[8192] = {0};

    flash_set_wear(flash, wear);
    flash_set_nwrp(flash, 0x0E1E);
    ck_assert_int_eq(flash_program(flash, 0x080A0000, data, sizeof(data), FLASH_WORD),
                     FLASH_COMPLETE);
    flash_settle(flash, flash_clock(flash));
    ck_assert_uint_eq(flash_private_pages(flash), 2);
    report_count = 0;
    flash_set_reporter(flash, note, &report_count);

    struct flash *clone = flash_clone(flash);

    ck_assert_uint_eq(flash_private_pages(flash), 0);
    ck_assert_uint_eq(flash_private_pages(clone), 0);
    ck_assert_uint_eq(flash_clock(clone), 2048 * 16 * US);
    ck_assert_uint_eq(flash_operations(clone), 2048);
    ck_assert_uint_eq(flash_nwrp(clone), 0x0E1E);
    for (unsigned i = 0; i < 12; i++) {
        ck_assert_uint_eq(flash_wear(clone, i), i + 1);
    }
    program_word(clone, 0x080A2000, 0x12345678);
    ck_assert_uint_eq(report_count, 0);
    ck_assert_uint_eq(flash_read32(flash, 0x080A2000), 0xFFFFFFFF);
    flash_free(clone);
    ck_assert_uint_eq(flash_private_pages(flash), 2);
}
END_TEST

START_TEST(test_a_write_to_a_shared_page_stays_private)
{
    program_word(flash, 0x080A0000, 0xAAAAAAAA);

    struct flash *clone = flash_clone(flash);

    program_word(clone, 0x080A0000, 0x0F0F0F0F);
    program_word(flash, 0x080A0004, 0x11111111);
    ck_assert_uint_eq(flash_read32(flash, 0x080A0000), 0xAAAAAAAA);
    ck_assert_uint_eq(flash_read32(clone, 0x080A0000), 0x0A0A0A0A);
    ck_assert_uint_eq(flash_read32(clone, 0x080A0004), 0xFFFFFFFF);
    ck_assert(flash_load(clone, 0x080A0000, "\x42", 1));
    ck_assert_uint_eq(flash_read32(flash, 0x080A0000), 0xAAAAAAAA);
    flash_free(clone);
}
END_TEST

START_TEST(test_rewriting_shared_pages_with_the_same_data_keeps_them_shared)
{
    program_word(flash, 0x080A0000, 0xAAAAAAAA);

    struct flash *clone = flash_clone(flash);

    program_word(clone, 0x080A0000, 0xAAAAAAAA);
    flash_settle(flash, flash_clock(flash));
    flash_settle(clone, flash_clock(clone));
    ck_assert_uint_eq(flash_private_pages(clone), 0);
    flash_free(clone);
}
END_TEST

START_TEST(test_flashes_that_hold_the_same_can_share_it)
{
    static uint8_t data[3 * 4096];
    struct flash *other = flash_new(2);

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i >> 4);
    }
    ck_assert(flash_load(flash, 0x080A0000, data, sizeof(data)));
    data[4096] ^= 1;
    ck_assert(flash_load(other, 0x080A0000, data, sizeof(data)));
    /* A page that is blank, but was written. */
    memset(data, 0xFF, 4096);
    ck_assert_int_eq(flash_program(other, 0x080E0000, data, 4096, FLASH_WORD), FLASH_COMPLETE);
    flash_settle(other, flash_clock(other));

    ck_assert_uint_eq(flash_share(other, flash), 1);
    ck_assert_uint_eq(flash_private_pages(flash), 1);
    ck_assert_uint_eq(flash_private_pages(other), 1);
    ck_assert_uint_eq(flash_read32(other, 0x080A1000), flash_read32(flash, 0x080A1000) ^ 1);
    ck_assert_uint_eq(flash_read32(other, 0x080A2000), flash_read32(flash, 0x080A2000));
    ck_assert(flash_load(other, 0x080A2000, "\x42", 1));
    ck_assert_uint_eq(flash_read32(flash, 0x080A2000) & 0xFF, 0);
    flash_free(other);
    ck_assert_uint_eq(flash_private_pages(flash), 3);
}
END_TEST

START_TEST(test_restore_makes_equal_and_keeps_the_reporter)
{
    struct flash *base = flash_clone(flash);

    program_word(base, 0x080A0000, 0xAAAAAAAA);
    report_count = 0;
    flash_set_reporter(flash, note, &report_count);
    ck_assert_int_eq(flash_erase(flash, 9), FLASH_COMPLETE);
    ck_assert_int_eq(flash_protect(flash, 0), FLASH_COMPLETE);
    ck_assert(flash_load(flash, 0x080A0000, "\1\2\3\4\5\6\7\10", 8));
    ck_assert(flash_load(flash, 0x080E0000, "\1", 1));
    flash_power_fail(flash, flash_clock(flash));

    flash_restore(flash, base);
    ck_assert(flash_powered(flash));
    ck_assert_uint_eq(flash_nwrp(flash), FLASH_NWRP_NONE);
    ck_assert_uint_eq(flash_wear(flash, 9), 0);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_eq(flash_clock(flash), 16 * US);
    assert_cells(flash, 0x080A0000, "\xAA\xAA\xAA\xAA\xff\xff\xff\xff", 8);
    ck_assert(flash_is_blank(flash, 0x080E0000, 0x20000));
    ck_assert_uint_eq(report_count, 2);
    ck_assert_int_eq(flash_erase(flash, 9), FLASH_COMPLETE);
    ck_assert_uint_eq(report_count, 3);
    flash_free(base);
}
END_TEST

START_TEST(test_restore_from_itself_changes_nothing)
{
    program_word(flash, 0x080A0000, 0xAAAAAAAA);
    flash_restore(flash, flash);
    ck_assert_uint_eq(flash_read32(flash, 0x080A0000), 0xAAAAAAAA);
    flash_settle(flash, flash_clock(flash));
    ck_assert_uint_eq(flash_private_pages(flash), 1);
}
END_TEST

/* --- no memory left --- */

/* Runs `action` with memory for so many allocations. */
#define WITH_ALLOCATIONS(count, action)                                                            \
    do {                                                                                           \
        allocations = (count);                                                                     \
        action;                                                                                    \
        allocations = -1;                                                                          \
    } while (0)

static const uint8_t zeros[8192];

START_TEST(test_no_flash_without_memory)
{
    struct flash *new, *clone;

    WITH_ALLOCATIONS(0, new = flash_new(1));
    WITH_ALLOCATIONS(0, clone = flash_clone(flash));
    ck_assert_ptr_null(new);
    ck_assert_ptr_null(clone);
}
END_TEST

START_TEST(test_no_clone_when_its_memory_of_operations_is_short)
{
    struct flash *clone;

    program_word(flash, 0x080A0000, 0xAAAAAAAA);
    program_word(flash, 0x080A1000, 0xBBBBBBBB);
    WITH_ALLOCATIONS(2, clone = flash_clone(flash));
    ck_assert_ptr_null(clone);
    flash_settle(flash, flash_clock(flash));
    ck_assert_uint_eq(flash_private_pages(flash), 2);
}
END_TEST

START_TEST(test_restoring_with_short_memory_makes_pending_operations_final)
{
    struct flash *base = flash_clone(flash);

    program_word(base, 0x080A0000, 0xAAAAAAAA);
    WITH_ALLOCATIONS(0, flash_restore(flash, base));
    flash_power_fail(flash, 0);
    ck_assert_uint_eq(flash_read32(flash, 0x080A0000), 0xAAAAAAAA);
    flash_free(base);
}
END_TEST

START_TEST(test_loading_says_when_memory_is_short)
{
    bool loaded;

    WITH_ALLOCATIONS(0, loaded = flash_load(flash, 0x08020000, zeros, 4));
    ck_assert(!loaded);
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE));
}
END_TEST

/* One allocation for the memory of the operation, one for each page. */
START_TEST(test_programming_stops_with_an_error_at_the_page_there_is_no_memory_for)
{
    enum flash_status status;

    report_count = 0;
    flash_set_reporter(flash, note, &report_count);
    WITH_ALLOCATIONS(1, status = flash_program(flash, 0x08020000, zeros, 8192, FLASH_WORD));
    ck_assert_int_eq(status, FLASH_ERROR_PROGRAM);
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE));
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_uint_eq(report_count, 0);
    WITH_ALLOCATIONS(2, status = flash_program(flash, 0x08020800, zeros, 8192, FLASH_WORD));
    ck_assert_int_eq(status, FLASH_ERROR_PROGRAM);
    ck_assert_uint_eq(flash_operations(flash), 512);
    ck_assert_uint_eq(flash_read32(flash, 0x08020FFC), 0);
    ck_assert(flash_is_blank(flash, 0x08021000, 8192));
    ck_assert(flash_powered(flash));
}
END_TEST

START_TEST(test_operations_that_cannot_be_remembered_are_final)
{
    enum flash_status status;

    program_word(flash, 0x08020000, 0x11111111);
    flash_settle(flash, flash_clock(flash));
    program_word(flash, 0x08020004, 0x22222222);
    WITH_ALLOCATIONS(0, status = flash_program(flash, 0x08020008, zeros, 4, FLASH_WORD));
    ck_assert_int_eq(status, FLASH_COMPLETE);
    flash_power_fail(flash, 0);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x11111111);
    ck_assert_uint_eq(flash_read32(flash, 0x08020004), 0x22222222);
    ck_assert_uint_eq(flash_read32(flash, 0x08020008), 0);
}
END_TEST

START_TEST(test_half_an_erase_without_memory_leaves_the_page)
{
    program_word(flash, 0x08020000, 0x11111111);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);

    struct flash *sharing = flash_clone(flash);

    WITH_ALLOCATIONS(0, flash_power_fail(flash, 500 * MS));
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x11111111);
    ck_assert(!flash_powered(flash));
    flash_free(sharing);
}
END_TEST

START_TEST(test_what_there_is_no_memory_to_take_back_stays_done)
{
    program_word(flash, 0x08020000, 0x11111111);
    flash_settle(flash, flash_clock(flash));
    ck_assert_int_eq(flash_program(flash, 0x08020040, zeros, 64, FLASH_WORD), FLASH_COMPLETE);

    struct flash *sharing = flash_clone(flash);

    WITH_ALLOCATIONS(0, flash_power_fail(flash, 100 * US));
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x11111111);
    ck_assert_uint_eq(flash_read32(flash, 0x0802007C), 0);
    ck_assert(!flash_powered(flash));
    flash_free(sharing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flash_memory");
    TCase *tc = tcase_create("pages");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_crc_is_zlibs_for_every_kind_of_range);
    tcase_add_test(tc, test_crc_follows_every_change);
    tcase_add_test(tc, test_clone_is_equal_shares_pages_and_has_no_reporter);
    tcase_add_test(tc, test_a_write_to_a_shared_page_stays_private);
    tcase_add_test(tc, test_rewriting_shared_pages_with_the_same_data_keeps_them_shared);
    tcase_add_test(tc, test_flashes_that_hold_the_same_can_share_it);
    tcase_add_test(tc, test_restore_makes_equal_and_keeps_the_reporter);
    tcase_add_test(tc, test_restore_from_itself_changes_nothing);
    tcase_add_test(tc, test_no_flash_without_memory);
    tcase_add_test(tc, test_no_clone_when_its_memory_of_operations_is_short);
    tcase_add_test(tc, test_restoring_with_short_memory_makes_pending_operations_final);
    tcase_add_test(tc, test_loading_says_when_memory_is_short);
    tcase_add_test(tc, test_programming_stops_with_an_error_at_the_page_there_is_no_memory_for);
    tcase_add_test(tc, test_operations_that_cannot_be_remembered_are_final);
    tcase_add_test(tc, test_half_an_erase_without_memory_leaves_the_page);
    tcase_add_test(tc, test_what_there_is_no_memory_to_take_back_stays_done);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
