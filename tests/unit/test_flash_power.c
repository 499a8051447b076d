/* What a power failure leaves in the flash: by operation number, by time, and against a plain model
 * that has neither pages nor a memory of operations. */
#include "flash.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

static const uint8_t zeros[16];
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

/* A half-done programmed unit has some of the bits cleared. */
static void assert_half_programmed(uint32_t found, uint32_t before, uint32_t after)
{
    ck_assert_uint_eq(found & ~before, 0);
    ck_assert_uint_eq(after & ~found, 0);
}

/* --- by operation number --- */

START_TEST(test_cut_before_a_unit_leaves_it_untouched)
{
    flash_cut_at(flash, 2, FLASH_CUT_BEFORE);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 16, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_read32(flash, 0x08020004), 0);
    ck_assert_uint_eq(flash_read32(flash, 0x08020008), 0xFFFFFFFF);
    ck_assert_uint_eq(flash_operations(flash), 2);
    ck_assert_uint_eq(flash_clock(flash), 32 * US);
    ck_assert(!flash_powered(flash));
}
END_TEST

START_TEST(test_cut_after_a_unit_leaves_it_done)
{
    flash_cut_at(flash, 2, FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 16, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_read32(flash, 0x08020008), 0);
    ck_assert_uint_eq(flash_read32(flash, 0x0802000C), 0xFFFFFFFF);
    ck_assert_uint_eq(flash_operations(flash), 3);
    ck_assert_uint_eq(flash_clock(flash), 48 * US);
}
END_TEST

START_TEST(test_cut_within_a_unit_leaves_some_bits_cleared)
{
    unsigned touched = 0, unfinished = 0;

    for (uint64_t seed = 0; seed < 64; seed++) {
        struct flash *f = flash_new(seed);
        uint32_t found;

        flash_cut_at(f, 2, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_program(f, 0x08020000, zeros, 16, FLASH_WORD), FLASH_NO_POWER);
        ck_assert_uint_eq(flash_read32(f, 0x08020004), 0);
        ck_assert_uint_eq(flash_read32(f, 0x0802000C), 0xFFFFFFFF);
        ck_assert_uint_eq(flash_operations(f), 3);
        ck_assert_uint_gt(flash_clock(f), 32 * US);
        ck_assert_uint_lt(flash_clock(f), 48 * US);
        found = flash_read32(f, 0x08020008);
        touched += found != 0xFFFFFFFF;
        unfinished += found != 0;
        flash_free(f);
    }
    ck_assert_uint_gt(touched, 50);
    ck_assert_uint_gt(unfinished, 50);
}
END_TEST

START_TEST(test_half_a_unit_clears_only_bits_that_were_to_be_cleared)
{
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct flash *f = flash_new(seed);

        ck_assert(flash_load(f, 0x08020000, "\xF0\x0F\xFF\xA5", 4));
        flash_cut_at(f, 1, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_program(f, 0x08020000, "\x3C\xFF\x00\xA5", 4, FLASH_BYTE),
                         FLASH_NO_POWER);
        ck_assert_uint_eq(flash_read32(f, 0x08020000), 0xA5FF0F30);
        flash_power_on(f, 0);
        flash_cut_at(f, 2, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_program(f, 0x08020000, "\x3C\xFF\x00\xA5", 4, FLASH_WORD),
                         FLASH_NO_POWER);
        assert_half_programmed(flash_read32(f, 0x08020000), 0xA5FF0F30, 0xA5000F30);
        flash_free(f);
    }
}
END_TEST

START_TEST(test_cut_before_and_after_an_erase)
{
    ck_assert(flash_load(flash, 0x08020000, "\1\2\3\4", 4));
    flash_cut_at(flash, 0, FLASH_CUT_BEFORE);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x04030201);
    ck_assert_uint_eq(flash_wear(flash, 5), 0);
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_uint_eq(flash_clock(flash), 0);

    flash_power_on(flash, 0);
    flash_cut_at(flash, 0, FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_NO_POWER);
    ck_assert(flash_is_blank(flash, 0x08020000, 0x20000));
    ck_assert_uint_eq(flash_wear(flash, 5), 1);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_eq(flash_clock(flash), 1000 * MS);
}
END_TEST

/* Old bits are never lost, no word that had cleared bits has them all, and both erased and mixed
 * words occur: what a reader finds is neither the old sector nor a blank one. */
START_TEST(test_cut_within_an_erase_leaves_a_mix)
{
    uint8_t old[8192], found[8192];
    unsigned erased = 0, mixed = 0;

    for (size_t i = 0; i < sizeof(old); i++) {
        old[i] = (uint8_t)(i * 31 + i / 256);
    }
    memset(old + 400, 0xFF, 400);
    memset(old + 800, 0x00, 400);
    ck_assert(flash_load(flash, 0x08023000, old, sizeof(old)));
    flash_cut_at(flash, 0, FLASH_CUT_WITHIN);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_NO_POWER);
    flash_read(flash, 0x08023000, found, sizeof(found));
    for (size_t i = 0; i < sizeof(old); i += 4) {
        uint32_t o, f;

        memcpy(&o, old + i, 4);
        memcpy(&f, found + i, 4);
        ck_assert_uint_eq(o & ~f, 0);
        ck_assert(o == 0xFFFFFFFF || f != o);
        erased += f == 0xFFFFFFFF;
        mixed += f != 0xFFFFFFFF;
    }
    ck_assert_uint_gt(erased, 500);
    ck_assert_uint_gt(mixed, 500);
    ck_assert(flash_is_blank(flash, 0x08020000, 0x3000));
    ck_assert(flash_is_blank(flash, 0x08025000, 0x1B000));
    ck_assert_uint_eq(flash_wear(flash, 5), 1);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_gt(flash_clock(flash), 0);
    ck_assert_uint_lt(flash_clock(flash), 1000 * MS);
}
END_TEST

START_TEST(test_cut_before_within_and_after_option_bytes)
{
    unsigned old = 0, new = 0;

    flash_cut_at(flash, 0, FLASH_CUT_BEFORE);
    ck_assert_int_eq(flash_protect(flash, 0), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0FFF);
    flash_power_on(flash, 0);
    flash_cut_at(flash, 0, FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_protect(flash, 0x0F0F), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0F0F);
    for (uint64_t seed = 0; seed < 32; seed++) {
        struct flash *f = flash_new(seed);

        flash_set_nwrp(f, 0x0F0F);
        flash_cut_at(f, 0, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_protect(f, 0x0FF0), FLASH_NO_POWER);
        ck_assert_uint_eq(flash_nwrp(f) & 0xFF00, 0x0F00);
        old += (flash_nwrp(f) & 1) != 0;
        new += (flash_nwrp(f) & 1) == 0;
        flash_free(f);
    }
    ck_assert_uint_gt(old, 0);
    ck_assert_uint_gt(new, 0);
}
END_TEST

START_TEST(test_without_power_nothing_has_an_effect)
{
    flash_cut_at(flash, 0, FLASH_CUT_BEFORE);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_int_eq(flash_program(flash, 0, zeros, 4, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_NO_POWER);
    ck_assert_int_eq(flash_erase(flash, 12), FLASH_NO_POWER);
    ck_assert_int_eq(flash_protect(flash, 0), FLASH_NO_POWER);
    flash_set_clock(flash, 5 * MS);
    flash_settle(flash, 5 * MS);
    flash_power_fail(flash, 5 * MS);
    ck_assert(flash_is_blank(flash, FLASH_BASE, FLASH_SIZE));
    ck_assert_uint_eq(flash_nwrp(flash), FLASH_NWRP_NONE);
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_uint_eq(flash_wear(flash, 5), 0);
    ck_assert(!flash_powered(flash));
}
END_TEST

START_TEST(test_power_comes_back_with_the_clock_and_without_the_cut)
{
    flash_cut_at(flash, 1, FLASH_CUT_WITHIN);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    flash_power_fail(flash, 16 * US);
    flash_power_on(flash, 7 * MS);
    ck_assert(flash_powered(flash));
    ck_assert_uint_eq(flash_clock(flash), 7 * MS);
    ck_assert_int_eq(flash_program(flash, 0x08020004, zeros, 8, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_uint_eq(flash_operations(flash), 3);
}
END_TEST

START_TEST(test_a_cut_at_an_operation_that_has_passed_never_comes)
{
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 8, FLASH_WORD), FLASH_COMPLETE);
    flash_cut_at(flash, 1, FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_program(flash, 0x08020008, zeros, 8, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_int_eq(flash_protect(flash, 0), FLASH_COMPLETE);
}
END_TEST

START_TEST(test_refused_operations_do_not_bring_the_cut_nearer)
{
    flash_set_nwrp(flash, 0x0FDF);
    flash_cut_at(flash, 0, FLASH_CUT_BEFORE);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_ERROR_WRITE_PROTECTION);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD),
                     FLASH_ERROR_WRITE_PROTECTION);
    ck_assert(flash_powered(flash));
    ck_assert_int_eq(flash_erase(flash, 6), FLASH_NO_POWER);
}
END_TEST

START_TEST(test_a_run_into_a_protected_sector_can_be_cut_before_it)
{
    flash_set_nwrp(flash, 0x0FBF);
    flash_cut_at(flash, 1, FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_program(flash, 0x0803FFF8, zeros, 16, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_uint_eq(flash_read32(flash, 0x0803FFFC), 0);
    ck_assert_uint_eq(flash_operations(flash), 2);
}
END_TEST

static struct flash_report last_report;
static unsigned report_count;

static void note(void *context, const struct flash_report *report)
{
    (void)context;
    last_report = *report;
    report_count++;
}

START_TEST(test_a_cut_run_reports_what_was_done)
{
    report_count = 0;
    flash_set_reporter(flash, note, NULL);
    flash_cut_at(flash, 1, FLASH_CUT_WITHIN);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 16, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_uint_eq(report_count, 1);
    ck_assert_int_eq(last_report.status, FLASH_NO_POWER);
    ck_assert_uint_eq(last_report.length, 8);
    ck_assert_uint_eq(last_report.end, flash_clock(flash));
    flash_power_on(flash, 0);
    flash_cut_at(flash, 2, FLASH_CUT_AFTER);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 16, FLASH_WORD), FLASH_NO_POWER);
    ck_assert_int_eq(last_report.status, FLASH_COMPLETE);
    ck_assert_uint_eq(last_report.length, 4);
    flash_power_on(flash, 0);
    flash_cut_at(flash, 3, FLASH_CUT_BEFORE);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_NO_POWER);
    ck_assert_uint_eq(report_count, 2);
}
END_TEST

START_TEST(test_the_same_seed_and_operation_leave_the_same_half)
{
    struct flash *twin = flash_new(1), *other = flash_new(2);
    struct flash *all[3] = {flash, twin, other};
    uint8_t old[4096] = {0};

    for (int i = 0; i < 3; i++) {
        ck_assert(flash_load(all[i], 0x08020000, old, sizeof(old)));
        flash_cut_at(all[i], 0, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_erase(all[i], 5), FLASH_NO_POWER);
    }
    ck_assert_uint_eq(flash_crc32(flash, 0x08020000, 4096), flash_crc32(twin, 0x08020000, 4096));
    ck_assert_uint_ne(flash_crc32(flash, 0x08020000, 4096), flash_crc32(other, 0x08020000, 4096));
    flash_free(twin);
    flash_free(other);
}
END_TEST

/* --- by time --- */

START_TEST(test_power_failing_at_a_time_takes_back_what_had_not_begun)
{
    ck_assert(flash_load(flash, 0x08020000, "\1\2\3\4", 4));
    ck_assert_int_eq(flash_program(flash, 0x080A0000, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    flash_set_clock(flash, 10 * MS);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_protect(flash, 0), FLASH_COMPLETE);

    flash_power_fail(flash, 10 * MS);
    ck_assert(!flash_powered(flash));
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x04030201);
    ck_assert_uint_eq(flash_read32(flash, 0x080A0000), 0);
    ck_assert_uint_eq(flash_nwrp(flash), FLASH_NWRP_NONE);
    ck_assert_uint_eq(flash_wear(flash, 5), 0);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_eq(flash_clock(flash), 10 * MS);
}
END_TEST

START_TEST(test_power_failing_within_an_erase_leaves_it_half_done)
{
    ck_assert(flash_load(flash, 0x08020000, "\1\2\3\4", 4));
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    flash_power_fail(flash, 999 * MS);
    ck_assert_uint_ne(flash_read32(flash, 0x08020000), 0x04030201);
    ck_assert_uint_eq(0x04030201 & ~flash_read32(flash, 0x08020000), 0);
    ck_assert_uint_eq(flash_wear(flash, 5), 1);
    ck_assert_uint_eq(flash_operations(flash), 1);
    ck_assert_uint_eq(flash_clock(flash), 999 * MS);
}
END_TEST

START_TEST(test_power_failing_within_a_run_keeps_the_units_before)
{
    static const uint32_t pages_end = 0x08024000;
    uint8_t data[4096 * 3] = {0};
    uint32_t start = pages_end - (uint32_t)sizeof(data) / 2;

    ck_assert_int_eq(flash_program(flash, start, data, sizeof(data), FLASH_WORD), FLASH_COMPLETE);

    uint64_t units = (pages_end - start) / 4; /* up to the page border, then one half */

    flash_power_fail(flash, units * 16 * US + 1);
    ck_assert_uint_eq(flash_read32(flash, start), 0);
    ck_assert_uint_eq(flash_read32(flash, pages_end - 4), 0);
    assert_half_programmed(flash_read32(flash, pages_end), 0xFFFFFFFF, 0);
    ck_assert_uint_eq(flash_operations(flash), units + 1);
    ck_assert(flash_is_blank(flash, pages_end + 4, sizeof(data)));
}
END_TEST

START_TEST(test_power_failing_within_option_bytes_mixes_old_and_new)
{
    ck_assert_int_eq(flash_protect(flash, 0x0FF0), FLASH_COMPLETE);
    flash_power_fail(flash, 10 * MS);
    ck_assert_uint_eq(flash_nwrp(flash) & 0x0FF0, 0x0FF0);
    ck_assert_uint_eq(flash_operations(flash), 1);
    flash_power_on(flash, 10 * MS);
    flash_set_nwrp(flash, 0x0FFF);
    ck_assert_int_eq(flash_protect(flash, 0), FLASH_COMPLETE);
    flash_power_fail(flash, 5 * MS);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0FFF);
}
END_TEST

START_TEST(test_power_failing_after_the_end_takes_nothing_back)
{
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 16, FLASH_WORD), FLASH_COMPLETE);
    flash_power_fail(flash, 64 * US);
    ck_assert_uint_eq(flash_read32(flash, 0x0802000C), 0);
    ck_assert_uint_eq(flash_operations(flash), 4);
}
END_TEST

START_TEST(test_settled_operations_are_final)
{
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08020004, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    flash_settle(flash, 16 * US);
    flash_power_fail(flash, 0);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0);
    ck_assert_uint_eq(flash_read32(flash, 0x08020004), 0xFFFFFFFF);
}
END_TEST

START_TEST(test_loaded_contents_survive_any_power_failure)
{
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 4, FLASH_WORD), FLASH_COMPLETE);
    ck_assert(flash_load(flash, 0x08020004, "\1\2\3\4", 4));
    flash_power_fail(flash, 0);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0);
    ck_assert_uint_eq(flash_read32(flash, 0x08020004), 0x04030201);
}
END_TEST

/* A cut by number and the owner's notice of it by time are one power failure. */
START_TEST(test_failing_power_once_more_at_the_time_of_the_cut_changes_nothing)
{
    uint8_t data[64] = {0};
    uint32_t crc;

    ck_assert_int_eq(flash_program(flash, 0x08020000, data, 64, FLASH_WORD), FLASH_COMPLETE);
    if (_i == 0) {
        flash_cut_at(flash, 16, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_erase(flash, 5), FLASH_NO_POWER);
    } else {
        flash_cut_at(flash, 20, FLASH_CUT_WITHIN);
        ck_assert_int_eq(flash_program(flash, 0x08020040, data, 64, FLASH_WORD), FLASH_NO_POWER);
    }
    crc = flash_crc32(flash, FLASH_BASE, FLASH_SIZE);

    uint64_t operations = flash_operations(flash), clock = flash_clock(flash);

    flash_power_fail(flash, clock);
    ck_assert_uint_eq(flash_crc32(flash, FLASH_BASE, FLASH_SIZE), crc);
    ck_assert_uint_eq(flash_operations(flash), operations);
    ck_assert_uint_eq(flash_clock(flash), clock);
}
END_TEST

START_TEST(test_clones_and_restored_flashes_can_take_back_too)
{
    ck_assert(flash_load(flash, 0x08020000, "\1\2\3\4", 4));

    struct flash *restored = flash_new(9);

    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08020000, zeros, 8, FLASH_WORD), FLASH_COMPLETE);

    struct flash *clone = flash_clone(flash);

    ck_assert_int_eq(flash_erase(restored, 6), FLASH_COMPLETE);
    flash_restore(restored, flash);
    flash_power_fail(flash, 500 * MS);
    flash_power_fail(clone, 500 * MS);
    flash_power_fail(restored, 500 * MS);
    ck_assert_uint_ne(flash_read32(flash, 0x08020000), 0);
    ck_assert_uint_eq(flash_read32(clone, 0x08020000), flash_read32(flash, 0x08020000));
    ck_assert_uint_eq(flash_read32(restored, 0x08020000), flash_read32(flash, 0x08020000));
    ck_assert_uint_eq(flash_wear(restored, 6), 0);
    flash_free(clone);
    flash_free(restored);
}
END_TEST

/* --- against a plain model --- */

/* Sectors 1 to 4; operations are single units, done one after the other. */
#define MODEL_BASE  UINT32_C(0x08004000)
#define MODEL_SIZE  UINT32_C(0x1C000)
#define MODEL_UNITS 6000

struct unit {
    uint64_t start, end;
    uint32_t address, length;
    bool erase;
    uint8_t data[4];
};

struct model {
    uint8_t first[MODEL_SIZE]; /* before any of the units */
    uint8_t cells[MODEL_SIZE];
    struct unit units[MODEL_UNITS];
    size_t count;
    uint64_t clock;
};

static void model_apply(uint8_t *cells, const struct unit *unit)
{
    uint8_t *at = cells + (unit->address - MODEL_BASE);

    if (unit->erase) {
        memset(at, 0xFF, unit->length);
    } else {
        for (uint32_t i = 0; i < unit->length; i++) {
            at[i] &= unit->data[i];
        }
    }
}

static uint32_t pick(uint32_t *state, uint32_t limit)
{
    *state = *state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)*state * limit >> 32);
}

/* One erase or one programmed run, done by the flash and unit by unit by the model. */
static void act(struct flash *f, struct model *model, uint32_t *random)
{
    uint64_t pause = pick(random, 50000);

    flash_set_clock(f, flash_clock(f) + pause);
    model->clock += pause;
    if (pick(random, 8) == 0) {
        unsigned sector = 1 + pick(random, 4);
        struct unit *unit = &model->units[model->count++];

        *unit = (struct unit){.start = model->clock,
                              .end = model->clock + (sector == 4 ? 550 : 400) * MS,
                              .address = flash_sectors[sector].address,
                              .length = flash_sectors[sector].size,
                              .erase = true};
        model->clock = unit->end;
        model_apply(model->cells, unit);
        ck_assert_int_eq(flash_erase(f, sector), FLASH_COMPLETE);
        return;
    }

    uint8_t data[1024];
    enum flash_width width = pick(random, 2) != 0 ? FLASH_WORD : FLASH_BYTE;
    uint32_t length = (1 + pick(random, width == FLASH_WORD ? 256 : 40)) * width;
    uint32_t address = MODEL_BASE + pick(random, MODEL_SIZE - 1024) / width * width;

    for (uint32_t i = 0; i < length; i++) {
        uint32_t value = pick(random, 0x10000);

        data[i] = (uint8_t)(value | value >> 8); /* more bits kept than cleared */
    }
    ck_assert_int_eq(flash_program(f, address, data, length, width), FLASH_COMPLETE);
    for (uint32_t at = 0; at < length; at += width) {
        struct unit *unit = &model->units[model->count++];

        *unit = (struct unit){.start = model->clock,
                              .end = model->clock + 16 * US,
                              .address = address + at,
                              .length = width};
        memcpy(unit->data, data + at, width);
        model->clock = unit->end;
        model_apply(model->cells, unit);
    }
}

/* What the model has at `time`; the unit under way is checked in the flash and then taken over from
 * it. */
static void model_fail(struct model *model, const uint8_t *found, uint64_t time)
{
    memcpy(model->cells, model->first, MODEL_SIZE);
    for (size_t i = 0; i < model->count && model->units[i].start < time; i++) {
        const struct unit *unit = &model->units[i];
        uint32_t at = unit->address - MODEL_BASE;

        if (unit->end <= time) {
            model_apply(model->cells, unit);
            continue;
        }
        for (uint32_t j = 0; j < unit->length; j++) {
            uint8_t before = model->cells[at + j];
            uint8_t after = unit->erase ? 0xFF : before & unit->data[j];

            if ((~before & found[at + j] & ~after) != 0 || (before & ~found[at + j] & after) != 0) {
                ck_abort_msg("byte 0x%x is 0x%02x, neither before 0x%02x nor after 0x%02x",
                             (unsigned)(unit->address + j), found[at + j], before, after);
            }
        }
        memcpy(model->cells + at, found + at, unit->length);
    }
}

START_TEST(test_any_history_cut_at_any_time_is_what_a_plain_model_has)
{
    uint32_t random = (uint32_t)_i;
    struct flash *f = flash_new((uint64_t)_i);
    struct flash *base = flash_clone(f);
    struct model *model = calloc(1, sizeof(*model));
    uint8_t *found = malloc(MODEL_SIZE);

    memset(model->cells, 0xFF, MODEL_SIZE);
    for (int round = 0; round < 4; round++) {
        uint64_t start = flash_clock(f), settled;

        memcpy(model->first, model->cells, MODEL_SIZE);
        model->count = 0;
        model->clock = start;
        for (unsigned i = 0; i < 20; i++) {
            act(f, model, &random);
            if (i == 10) {
                flash_restore(base, f); /* shares all pages from here on */
            }
        }
        ck_assert_uint_eq(flash_clock(f), model->clock);
        flash_read(f, MODEL_BASE, found, MODEL_SIZE);
        ck_assert_msg(memcmp(found, model->cells, MODEL_SIZE) == 0, "seed %d round %d", _i, round);

        const struct unit *unit = &model->units[pick(&random, (uint32_t)model->count)];
        uint64_t time = unit->start + pick(&random, 3) * (unit->end - unit->start) / 2;

        settled = start + (time - start) / 1000 * pick(&random, 1001);
        flash_settle(f, settled);
        flash_power_fail(f, time);
        flash_read(f, MODEL_BASE, found, MODEL_SIZE);
        model_fail(model, found, time);
        ck_assert_msg(memcmp(found, model->cells, MODEL_SIZE) == 0, "seed %d round %d cut", _i,
                      round);
        flash_power_on(f, time);
    }
    flash_free(base);
    flash_free(f);
    free(model);
    free(found);
}
END_TEST

static void add_cuts(TCase *tc)
{
    tcase_add_test(tc, test_cut_before_a_unit_leaves_it_untouched);
    tcase_add_test(tc, test_cut_after_a_unit_leaves_it_done);
    tcase_add_test(tc, test_cut_within_a_unit_leaves_some_bits_cleared);
    tcase_add_test(tc, test_half_a_unit_clears_only_bits_that_were_to_be_cleared);
    tcase_add_test(tc, test_cut_before_and_after_an_erase);
    tcase_add_test(tc, test_cut_within_an_erase_leaves_a_mix);
    tcase_add_test(tc, test_cut_before_within_and_after_option_bytes);
    tcase_add_test(tc, test_without_power_nothing_has_an_effect);
    tcase_add_test(tc, test_power_comes_back_with_the_clock_and_without_the_cut);
    tcase_add_test(tc, test_a_cut_at_an_operation_that_has_passed_never_comes);
    tcase_add_test(tc, test_refused_operations_do_not_bring_the_cut_nearer);
    tcase_add_test(tc, test_a_run_into_a_protected_sector_can_be_cut_before_it);
    tcase_add_test(tc, test_a_cut_run_reports_what_was_done);
    tcase_add_test(tc, test_the_same_seed_and_operation_leave_the_same_half);
}

static void add_times(TCase *tc)
{
    tcase_add_test(tc, test_power_failing_at_a_time_takes_back_what_had_not_begun);
    tcase_add_test(tc, test_power_failing_within_an_erase_leaves_it_half_done);
    tcase_add_test(tc, test_power_failing_within_a_run_keeps_the_units_before);
    tcase_add_test(tc, test_power_failing_within_option_bytes_mixes_old_and_new);
    tcase_add_test(tc, test_power_failing_after_the_end_takes_nothing_back);
    tcase_add_test(tc, test_settled_operations_are_final);
    tcase_add_test(tc, test_loaded_contents_survive_any_power_failure);
    tcase_add_loop_test(tc, test_failing_power_once_more_at_the_time_of_the_cut_changes_nothing, 0,
                        2);
    tcase_add_test(tc, test_clones_and_restored_flashes_can_take_back_too);
    tcase_add_loop_test(tc, test_any_history_cut_at_any_time_is_what_a_plain_model_has, 0, 60);
}

int main(void)
{
    Suite *suite = suite_create("flash_power");
    TCase *tc = tcase_create("power");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    add_cuts(tc);
    add_times(tc);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
