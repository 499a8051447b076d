/* The system flags in both their places, byte for byte. */
#include "system_flags.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support_dct.h"

static struct flash *flash;
static struct backup backup;

static void setup(void)
{
    flash = flash_new(1);
    ck_assert_ptr_nonnull(flash);
    memset(&backup, 0, sizeof(backup));
}

static void teardown(void)
{
    flash_free(flash);
}

/* Offsets: device-os v0.4.4 hw_system_flags.h. */
static const uint8_t bytes[32] = {0xC0, 0xAC, 0xDE, 0x1A, 0x07, 0x00, 0x01, 0x00, 0x05, 0x00, 0x02,
                                  0x03, 0xAA, 0xAA, 0x01, 0xD0, 0x11, 0x5A, 0x01, 0xE1, 0x44, 0x33,
                                  0x22, 0x14, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8};

static const struct system_flags values = {
    .header = {0xACC0, 0x1ADE},
    .bootloader_version = 7,
    .nvmem_reset = 1,
    .ota_update = FLAGS_OTA_AVAILABLE,
    .ota_flashed = 0x0302,
    .factory_reset = FLAGS_FACTORY_RESET,
    .watchdog_enable = FLAGS_WATCHDOG,
    .dfu_on_no_firmware = 0x11,
    .factory_reset_done = FLAGS_FACTORY_RESET_DONE,
    .startup_mode = 1,
    .features_enabled = 0xE1,
    .reset_cause = 0x14223344,
    .reserved = {0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8},
};

static void assert_values(const struct system_flags *found)
{
    ck_assert_uint_eq(found->header[0], 0xACC0);
    ck_assert_uint_eq(found->header[1], 0x1ADE);
    ck_assert_uint_eq(found->bootloader_version, 7);
    ck_assert_uint_eq(found->nvmem_reset, 1);
    ck_assert_uint_eq(found->ota_update, 0x0005);
    ck_assert_uint_eq(found->ota_flashed, 0x0302);
    ck_assert_uint_eq(found->factory_reset, 0xAAAA);
    ck_assert_uint_eq(found->watchdog_enable, 0xD001);
    ck_assert_uint_eq(found->dfu_on_no_firmware, 0x11);
    ck_assert_uint_eq(found->factory_reset_done, 0x5A);
    ck_assert_uint_eq(found->startup_mode, 1);
    ck_assert_uint_eq(found->features_enabled, 0xE1);
    ck_assert_uint_eq(found->reset_cause, 0x14223344);
}

static void assert_none(const struct system_flags *found)
{
    ck_assert_uint_eq(found->header[0], 0xACC0);
    ck_assert_uint_eq(found->header[1], 0x1ADE);
    ck_assert_uint_eq(found->bootloader_version, 0xFFFF);
    ck_assert_uint_eq(found->nvmem_reset, 0xFFFF);
    ck_assert_uint_eq(found->ota_update, 0xFFFF);
    ck_assert_uint_eq(found->ota_flashed, 0xFFFF);
    ck_assert_uint_eq(found->factory_reset, 0xFFFF);
    ck_assert_uint_eq(found->watchdog_enable, 0xFFFF);
    ck_assert_uint_eq(found->dfu_on_no_firmware, 0xFF);
    ck_assert_uint_eq(found->factory_reset_done, 0xFF);
    ck_assert_uint_eq(found->startup_mode, 0xFF);
    ck_assert_uint_eq(found->features_enabled, 0xFF);
    ck_assert_uint_eq(found->reset_cause, 0xFFFFFFFF);
}

START_TEST(test_flag_values_are_those_of_the_firmware)
{
    ck_assert_uint_eq(FLAGS_OTA_AVAILABLE, 0x0005);
    ck_assert_uint_eq(FLAGS_OTA_REFLASH, 0x5555);
    ck_assert_uint_eq(FLAGS_OTA_FINISHED, 0x5000);
    ck_assert_uint_eq(FLAGS_FACTORY_RESET, 0xAAAA);
    ck_assert_uint_eq(FLAGS_WATCHDOG, 0xD001);
    ck_assert_uint_eq(FLAGS_FACTORY_RESET_DONE, 0x5A);
}
END_TEST

/* --- in the DCT, up to 0.6.4 --- */

START_TEST(test_flags_are_the_first_32_bytes_of_the_application_section)
{
    struct system_flags found;

    support_dct_load(flash, COPY2, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY2 + APPLICATION, bytes, sizeof(bytes)));
    system_flags_load(&found, FLAGS_IN_DCT, flash, &support_dct_rules[_i], &backup);
    assert_values(&found);
    ck_assert_mem_eq(found.reserved, bytes + 24, 8);
    ck_assert_uint_eq(flash_operations(flash), 0);
}
END_TEST

START_TEST(test_saving_to_the_dct_writes_the_32_bytes_and_no_register)
{
    static const struct backup untouched;
    uint8_t found[33];

    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(
        system_flags_save(&values, FLAGS_IN_DCT, flash, &support_dct_rules[_i], &backup), DCT_OK);
    dct_read(flash, &support_dct_rules[_i], 0, found, sizeof(found));
    ck_assert_mem_eq(found, bytes, 32);
    ck_assert_uint_eq(found[32], support_dct_byte(APPLICATION + 32));
    ck_assert_uint_eq(dct_application(flash, &support_dct_rules[_i]), COPY2 + APPLICATION);
    ck_assert_uint_eq(support_dct_erases(flash), 1);
    ck_assert_mem_eq(&backup, &untouched, sizeof(backup));
}
END_TEST

START_TEST(test_flags_that_only_clear_bits_cost_no_erase)
{
    struct system_flags flags = values;
    uint64_t start;

    ck_assert_int_eq(
        system_flags_save(&flags, FLAGS_IN_DCT, flash, &support_dct_rules[DRIVER_3B], &backup),
        DCT_OK);
    start = flash_clock(flash);
    flags.startup_mode = 0;
    ck_assert_int_eq(
        system_flags_save(&flags, FLAGS_IN_DCT, flash, &support_dct_rules[DRIVER_3B], &backup),
        DCT_OK);
    ck_assert_uint_eq(support_dct_erases(flash), 1); /* the one that made the first copy */
    ck_assert_uint_lt(flash_clock(flash) - start, 1000000);
}
END_TEST

START_TEST(test_a_failed_dct_write_is_reported)
{
    support_dct_load(flash, COPY1, STATE_CURRENT);
    flash_set_nwrp(flash, 0x0FFF & ~0x6u);
    ck_assert_int_eq(
        system_flags_save(&values, FLAGS_IN_DCT, flash, &support_dct_rules[DRIVER_3B], &backup),
        DCT_ERROR);
    support_dct_load(flash, COPY2, STATE_SUPERSEDED);
    ck_assert_int_eq(
        system_flags_save(&values, FLAGS_IN_DCT, flash, &support_dct_rules[DRIVER_3B], &backup),
        DCT_HANG);
}
END_TEST

START_TEST(test_a_blank_dct_has_no_flags_but_the_header)
{
    struct system_flags found;

    system_flags_load(&found, FLAGS_IN_DCT, flash, &support_dct_rules[DRIVER_3B], &backup);
    assert_none(&found);
    ck_assert_mem_eq(found.reserved, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}
END_TEST

START_TEST(test_a_wrong_header_is_made_right_on_load)
{
    struct system_flags found;

    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert(flash_load(flash, COPY1 + APPLICATION, bytes, sizeof(bytes)));
    ck_assert(flash_load(flash, COPY1 + APPLICATION, "\0\1\2\3", 4));
    system_flags_load(&found, FLAGS_IN_DCT, flash, &support_dct_rules[DRIVER_3B], &backup);
    assert_values(&found);
}
END_TEST

/* --- in the backup registers, from 0.7.0 on --- */

static const uint32_t registers[6] = {0x1ADEACC0, 0x00010007, 0x03020005,
                                      0xD001AAAA, 0xE1015A11, 0x14223344};

START_TEST(test_flags_are_backup_registers_5_to_9_when_register_4_says_so)
{
    struct system_flags found;

    memcpy(&backup.dr[4], registers, sizeof(registers));
    system_flags_load(&found, FLAGS_IN_BACKUP, flash, &support_dct_rules[DRIVER_SEQUENCE], &backup);
    assert_values(&found);
}
END_TEST

START_TEST(test_without_the_magic_every_flag_reads_as_ones)
{
    struct system_flags found;

    memcpy(&backup.dr[4], registers, sizeof(registers));
    backup.dr[4] = _i == 0 ? 0 : 0x1ADEACC1;
    system_flags_load(&found, FLAGS_IN_BACKUP, flash, &support_dct_rules[DRIVER_SEQUENCE], &backup);
    assert_none(&found);
}
END_TEST

START_TEST(test_saving_to_the_registers_costs_nothing)
{
    memset(&backup, 0x77, sizeof(backup));
    support_dct_load(flash, COPY1, STATE_CURRENT);
    ck_assert_int_eq(system_flags_save(&values, FLAGS_IN_BACKUP, flash,
                                       &support_dct_rules[DRIVER_SEQUENCE], &backup),
                     DCT_OK);
    for (unsigned i = 0; i < BACKUP_REGISTERS; i++) {
        ck_assert_uint_eq(backup.dr[i], i >= 4 && i <= 9 ? registers[i - 4] : 0x77777777);
    }
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_uint_eq(flash_clock(flash), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("system_flags");
    TCase *tc = tcase_create("flags");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_flag_values_are_those_of_the_firmware);
    tcase_add_loop_test(tc, test_flags_are_the_first_32_bytes_of_the_application_section, 0,
                        DRIVERS);
    tcase_add_loop_test(tc, test_saving_to_the_dct_writes_the_32_bytes_and_no_register, 0, DRIVERS);
    tcase_add_test(tc, test_flags_that_only_clear_bits_cost_no_erase);
    tcase_add_test(tc, test_a_failed_dct_write_is_reported);
    tcase_add_test(tc, test_a_blank_dct_has_no_flags_but_the_header);
    tcase_add_test(tc, test_a_wrong_header_is_made_right_on_load);
    tcase_add_test(tc, test_flags_are_backup_registers_5_to_9_when_register_4_says_so);
    tcase_add_loop_test(tc, test_without_the_magic_every_flag_reads_as_ones, 0, 2);
    tcase_add_test(tc, test_saving_to_the_registers_costs_nothing);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
