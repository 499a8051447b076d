/* Power failing anywhere in a DCT write: what can be read afterwards is the old data, the new data
 * or, with the in-place writer, old AND new. */
#include "dct.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_dct.h"
#include "support_every.h"

#define MS UINT64_C(1000000)

/* The case seen on real bootloaders 3a, 3b, 7 and 11. */
static const uint8_t old_data[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
static const uint8_t new_data[8] = {0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88};
static const uint8_t and_data[8] = {0x11, 0x22, 0x11, 0x44, 0x11, 0x22, 0x11, 0x88};
#define AT 1762

/* With the other sector blank as left by the swap format or the factory, else as left by the
 * sequence format. */
static struct flash *board(uint32_t current, bool other_blank)
{
    struct flash *flash = flash_new(7);

    support_dct_load(flash, current, STATE_CURRENT);
    ck_assert(flash_load(flash, current + APPLICATION + AT, old_data, sizeof(old_data)));
    if (!other_blank) {
        uint32_t other = current == COPY1 ? COPY2 : COPY1;

        support_dct_load(flash, other, STATE_SUPERSEDED);
        support_dct_seal(flash, other, 5, 0);
        support_dct_seal(flash, current, 6, 0);
    }
    return flash;
}

static void write_ignoring_status(struct flash *flash, const struct dct_rules *rules)
{
    if (dct_write(flash, rules, AT, new_data, sizeof(new_data)) != DCT_OK) {
        return; /* the power went; what is left is looked at */
    }
}

/* --- by time, as it was seen --- */

static const struct {
    uint64_t ms;
    bool new;
} seen[] = {{0, false}, {1, false},  {5, false},  {20, false}, {40, false}, {60, false},
            {70, true}, {100, true}, {200, true}, {300, true}, {460, true}, {500, true}};

START_TEST(test_power_lost_after_some_milliseconds_leaves_what_real_boards_had)
{
    for (int driver = DRIVER_3A; driver <= DRIVER_3B; driver++) {
        struct flash *flash = board(COPY1, true);
        const struct dct_rules *rules = &support_dct_rules[driver];
        const uint8_t *expected = new_data;
        uint8_t found[8];

        ck_assert_int_eq(dct_write(flash, rules, AT, new_data, sizeof(new_data)), DCT_OK);
        flash_power_fail(flash, seen[_i].ms * MS);
        flash_power_on(flash, 1000 * MS);
        ck_assert_int_eq(dct_open(flash, rules), DCT_OK);
        dct_read(flash, rules, AT, found, sizeof(found));
        if (!seen[_i].new) {
            expected = driver == DRIVER_3B && seen[_i].ms > 0 ? and_data : old_data;
        }
        ck_assert_mem_eq(found, expected, sizeof(found));
        flash_free(flash);
    }
}
END_TEST

START_TEST(test_sequence_write_cut_at_any_time_leaves_the_old_data_readable)
{
    const struct dct_rules *rules = &support_dct_rules[DRIVER_SEQUENCE];
    struct flash *base = board(COPY1, false);
    struct flash *flash = flash_clone(base);

    ck_assert_int_eq(dct_write(flash, rules, AT, new_data, sizeof(new_data)), DCT_OK);
    for (uint64_t ms = 0; ms < 500; ms += 5) {
        struct flash *cut = flash_clone(flash);
        uint8_t found[8];

        flash_power_fail(cut, ms * MS);
        flash_power_on(cut, ms * MS);
        dct_read(cut, rules, AT, found, sizeof(found));
        ck_assert_mem_eq(found, old_data, sizeof(found));
        flash_free(cut);
    }
    flash_free(flash);
    flash_free(base);
}
END_TEST

/* --- by operation, all of them --- */

/* The new data; or the old data, of which the in-place writer has cleared some bytes, from the
 * first on, and perhaps a part of the next. */
static bool allowed(const uint8_t found[8], const struct dct_rules *rules)
{
    unsigned done = 0;

    if (memcmp(found, new_data, 8) == 0 || memcmp(found, old_data, 8) == 0) {
        return true;
    }
    while (done < 8 && found[done] == and_data[done]) {
        done++;
    }
    if (done < 8) {
        bool between = (found[done] & ~old_data[done]) == 0 && (and_data[done] & ~found[done]) == 0;

        done += between;
    }
    return rules->in_place && memcmp(found + done, old_data + done, 8 - done) == 0;
}

/* As ck_assert_msg, which writes to a file even when all is well: too slow for every case. */
static void must(bool holds, const char *where, const char *what)
{
    if (!holds) {
        ck_abort_msg("%s: %s", where, what);
    }
}

/* After a cut the DCT is there: nothing needs to be made anew, all other data are as before, the
 * changed ones old, new or mixed, and the next write succeeds. */
static void assert_survives(struct flash *flash, const struct dct_rules *rules, const char *where)
{
    uint64_t operations;
    uint8_t found[0x3E00 - 7548], expected[0x3E00 - 7548];

    for (uint32_t i = 0; i < sizeof(expected); i++) {
        expected[i] = support_dct_byte(APPLICATION + i);
    }
    flash_power_on(flash, flash_clock(flash));
    operations = flash_operations(flash);
    must(dct_open(flash, rules) == DCT_OK, where, "not done");
    must(flash_operations(flash) == operations, where, "no copy is current");
    dct_read(flash, rules, 0, found, sizeof(found));
    must(allowed(found + AT, rules), where, "neither old nor new");
    memcpy(found + AT, expected + AT, 8);
    must(memcmp(found, expected, sizeof(found)) == 0, where, "other data are lost");
    if (rules->blank_check == DCT_BLANK_HEADER_ONLY && rules->format == DCT_FORMAT_SWAP) {
        return; /* v2 trips over what an interrupted copy left: its known fault */
    }
    must(dct_write(flash, rules, AT, new_data, sizeof(new_data)) == DCT_OK, where, "not done");
    dct_read(flash, rules, AT, found, 8);
    must(memcmp(found, new_data, 8) == 0, where, "not written");
}

/* Loop number: driver * 4 + copy 2 current * 2 + other sector blank. */
START_TEST(test_a_cut_at_any_operation_leaves_old_or_new_data)
{
    const struct dct_rules *rules = &support_dct_rules[_i / 4];
    struct flash *base = board(_i / 2 % 2 == 0 ? COPY1 : COPY2, _i % 2 != 0);
    struct flash *flash = flash_clone(base);
    const bool every = support_every_case();
    uint64_t operations;
    char where[64];

    write_ignoring_status(flash, rules);
    operations = flash_operations(flash);
    ck_assert_uint_gt(operations, 4000);
    for (uint64_t operation = 0; operation < operations; operation++) {
        /* The copying is 4,000 times the same: beginnings, ends and samples. */
        if (!every && operation > 20 && operation < operations - 130 && operation % 397 != 0) {
            continue;
        }
        for (enum flash_cut cut = FLASH_CUT_BEFORE; cut <= FLASH_CUT_AFTER; cut++) {
            snprintf(where, sizeof(where), "case %d operation %u cut %d", _i, (unsigned)operation,
                     (int)cut);
            flash_restore(flash, base);
            flash_cut_at(flash, operation, cut);
            write_ignoring_status(flash, rules);
            must(!flash_powered(flash), where, "the operation never came");
            assert_survives(flash, rules, where);
        }
    }
    flash_free(flash);
    flash_free(base);
}
END_TEST

/* The driver may be anywhere when the power goes, and must come back. */
START_TEST(test_nothing_hangs_without_power)
{
    const struct dct_rules *rules = &support_dct_rules[_i];
    struct flash *flash = flash_new(1);

    flash_cut_at(flash, 0, FLASH_CUT_BEFORE);
    ck_assert_int_eq(dct_open(flash, rules), DCT_ERROR);
    ck_assert_int_eq(dct_write(flash, rules, AT, new_data, sizeof(new_data)), DCT_ERROR);
    ck_assert_uint_eq(flash_operations(flash), 0);
    flash_free(flash);
}
END_TEST

/* An opening that was cut is done again at the next start. */
START_TEST(test_a_cut_opening_is_repeated)
{
    const struct dct_rules *rules = &support_dct_rules[_i];
    struct flash *base = flash_new(1), *flash = flash_new(1);
    uint64_t operations;

    ck_assert_int_eq(dct_open(flash, rules), DCT_OK);
    operations = flash_operations(flash);
    for (uint64_t operation = 0; operation < operations; operation++) {
        for (enum flash_cut cut = FLASH_CUT_BEFORE; cut <= FLASH_CUT_AFTER; cut++) {
            flash_restore(flash, base);
            flash_cut_at(flash, operation, cut);
            ck_assert_int_eq(dct_open(flash, rules), DCT_ERROR);
            flash_power_on(flash, flash_clock(flash));
            ck_assert_int_eq(dct_open(flash, rules), DCT_OK);
            ck_assert_uint_eq(dct_application(flash, rules), COPY1 + APPLICATION);
            ck_assert(flash_is_blank(flash, COPY1 + APPLICATION, 8820));
        }
    }
    flash_free(flash);
    flash_free(base);
}
END_TEST

/* v2: what an interrupted copy left in the other sector is ANDed into the next one. */
START_TEST(test_v2_ands_an_interrupted_copy_into_the_next)
{
    const struct dct_rules *rules = &support_dct_rules[DRIVER_2];
    struct flash *flash = board(COPY1, true);
    uint8_t found[8];

    flash_cut_at(flash, 4000, FLASH_CUT_BEFORE);
    ck_assert_int_eq(dct_write(flash, rules, AT, new_data, sizeof(new_data)), DCT_ERROR);
    flash_power_on(flash, 0);
    ck_assert_int_eq(dct_write(flash, rules, AT, old_data, sizeof(old_data)), DCT_OK);
    dct_read(flash, rules, AT, found, sizeof(found));
    ck_assert_mem_eq(found, and_data, sizeof(found));
    flash_free(flash);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dct_power");
    TCase *tc = tcase_create("cuts");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_power_lost_after_some_milliseconds_leaves_what_real_boards_had, 0,
                        sizeof(seen) / sizeof(seen[0]));
    tcase_add_test(tc, test_sequence_write_cut_at_any_time_leaves_the_old_data_readable);
    tcase_add_loop_test(tc, test_a_cut_at_any_operation_leaves_old_or_new_data, 0, 4 * DRIVERS);
    tcase_add_loop_test(tc, test_nothing_hangs_without_power, 0, DRIVERS);
    tcase_add_loop_test(tc, test_a_cut_opening_is_repeated, 0, DRIVERS);
    tcase_add_test(tc, test_v2_ands_an_interrupted_copy_into_the_next);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
