/* Power cuts at flash operations of a download, of a pending-module copy and of a DCT write. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_cuts.h"
#include "tests/unit/support_dfu_host.h"
#include "tests/unit/support_script.h"

static void prepare_user_download(struct course *course)
{
    cuts_build_user(&course->file, 77, 2 * DFU_BLOCK - 3000, cuts_release(course));
    cuts_enter_dfu(course);
}

static bool block_step(struct course *course, uint32_t address, unsigned block)
{
    size_t at = (size_t)block * DFU_BLOCK, left = course->file.size - at;

    if (at >= course->file.size) {
        return false;
    }
    (void)dfu_host_write(course->board, address + (uint32_t)at, course->file.bytes + at,
                         (uint16_t)(left < DFU_BLOCK ? left : DFU_BLOCK));
    return true;
}

/* Erase, two blocks, leave and the boot behind it. */
static bool step_user_download(struct course *course, unsigned number)
{
    switch (number) {
    case 0:
        (void)dfu_host_special(course->board, 0x41, MAP_USER);
        return true;
    case 3:
        cuts_leave(course->board);
        return true;
    default:
        return number < 3 && block_step(course, MAP_USER, number - 1);
    }
}

static void prepare_part1_download(struct course *course)
{
    course->file = course->was[CUTS_PART1];
    cuts_enter_dfu(course);
}

static bool step_part1_download(struct course *course, unsigned number)
{
    if (number < 2) {
        (void)dfu_host_special(course->board, 0x41, MAP_SYSTEM_PART1 + number * UINT32_C(0x20000));
        return true;
    }
    return block_step(course, MAP_SYSTEM_PART1, number - 2);
}

/* The module and its slot are there when the board leaves DFU mode. */
static void prepare_pending(struct course *course)
{
    static const uint8_t slot[20] = {0xCD, 0xAB, 0, 0,    0, 0, 0x0C, 0x08, 0, 0,
                                     0x0A, 0x08, 0, 0x08, 0, 0, 0x0E, 5,    0, 0};
    uint32_t place;

    cuts_enter_dfu(course);
    place = test_dct(course->board) + DCT_FLASH_MODULES + sizeof(slot);
    cuts_build_user(&course->file, 77, 0x800, cuts_release(course));
    ck_assert(
        flash_load(photon_flash(course->board), MAP_OTA, course->file.bytes, course->file.size));
    ck_assert(flash_load(photon_flash(course->board), place, slot, sizeof(slot)));
}

/* A slot that was still pending has been served. */
static void judge_pending(struct course *course)
{
    static uint8_t found[FACTORY_MAX_SIZE];
    uint8_t magic[2];

    cuts_read(course->board, test_dct(course->board) + DCT_FLASH_MODULES + 20, magic,
              sizeof(magic));
    if (magic[0] == 0xCD && magic[1] == 0xAB) {
        cuts_wrong(course, "the slot is still pending after a boot");
    }
    cuts_read(course->board, MAP_USER, found, course->file.size);
    if (course->pending && memcmp(found, course->file.bytes, course->file.size) != 0) {
        cuts_wrong(course, "the pending module is not in its place");
    }
}

#define DCT_PLACE DCT_CLAIM_CODE
static const uint8_t dct_old[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
static const uint8_t dct_new[8] = {0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88};

static void prepare_dct_write(struct course *course)
{
    cuts_enter_dfu(course);
    ck_assert(dfu_host_select(course->board, 1) &&
              dfu_host_write(course->board, DCT_PLACE, dct_old, sizeof(dct_old)));
}

static bool step_dct_write(struct course *course, unsigned number)
{
    if (number == 0) {
        (void)dfu_host_dnload(course->board, 2, dct_new, sizeof(dct_new));
    }
    return number == 0;
}

/* Old or new data; where the driver tries to program over the old copy first (v3b to v11), and
 * where it does not see stray bits (v2), also old AND new. */
static void judge_dct_write(struct course *course)
{
    bool may_mix =
        course->image == IMAGE_2 || (course->image >= IMAGE_3B && course->image <= IMAGE_11);
    uint8_t found[8];

    cuts_read(course->board, test_dct(course->board) + DCT_PLACE, found, sizeof(found));
    if (memcmp(found, dct_old, 8) == 0 || memcmp(found, dct_new, 8) == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(found); i++) {
        const uint8_t both = dct_old[i] & dct_new[i];

        /* A cell that must stay set in both has stayed, and none was set that was not in either. */
        if (!may_mix || (found[i] & both) != both ||
            (found[i] & (uint8_t) ~(dct_old[i] | dct_new[i])) != 0) {
            cuts_wrong(course, "the DCT has neither old nor new data, nor old AND new");
        }
    }
}

static const struct way user_download = {
    .name = "download of an application",
    .prepare = prepare_user_download,
    .step = step_user_download,
    .target = CUTS_USER,
    .sectors = CUTS_SECTOR(9),
    .stride = 1,
    .stride_elsewhere = 199,
};
static const struct way part1_download = {
    .name = "download of part1",
    .prepare = prepare_part1_download,
    .step = step_part1_download,
    .target = CUTS_PART1,
    .sectors = CUTS_SECTOR(5) | CUTS_SECTOR(6) | CUTS_SECTOR(9),
    .stride = 251,
    .stride_elsewhere = 251,
};
static const struct way pending_copy = {
    .name = "copy of a pending module",
    .prepare = prepare_pending,
    .step = cuts_step_leave,
    .judge = judge_pending,
    .target = CUTS_USER,
    .by_slot = true,
    .sectors = CUTS_SECTOR(9),
    .stride = 1,
    .stride_elsewhere = 101,
};
static const struct way dct_update = {
    .name = "DCT write",
    .prepare = prepare_dct_write,
    .step = step_dct_write,
    .judge = judge_dct_write,
    .target = CUTS_USER,
    .stride = 17,
    .stride_elsewhere = 17,
};

/* Each way on the images that differ in it. */
static const struct test {
    const struct way *way;
    unsigned image;
    bool factory;
} tests[] = {
    {&user_download, IMAGE_3B, false},   {&user_download, IMAGE_7, true},
    {&user_download, IMAGE_1006, false}, {&part1_download, IMAGE_3B, false},
    {&part1_download, IMAGE_7, true},    {&part1_download, IMAGE_1006, false},
    {&pending_copy, IMAGE_3B, false},    {&pending_copy, IMAGE_7, true},
    {&pending_copy, IMAGE_501, false},   {&pending_copy, IMAGE_1006, false},
    {&dct_update, IMAGE_2, false},       {&dct_update, IMAGE_3A, false},
    {&dct_update, IMAGE_3B, false},      {&dct_update, IMAGE_7, false},
    {&dct_update, IMAGE_11, false},      {&dct_update, IMAGE_501, false},
    {&dct_update, IMAGE_1006, false},
};

START_TEST(test_every_power_cut_leads_to_a_known_state)
{
    cuts_run(tests[_i].way, tests[_i].image, tests[_i].factory);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("power cuts");
    TCase *tcase = tcase_create("cuts");
    SRunner *runner;
    int first, end, failed;

    script_pick(argc, argv, sizeof(tests) / sizeof(tests[0]), &first, &end);
    tcase_add_unchecked_fixture(tcase, test_boards_make, test_boards_free);
    tcase_add_loop_test(tcase, test_every_power_cut_leads_to_a_known_state, first, end);
    tcase_set_timeout(tcase, 0);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
