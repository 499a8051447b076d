/* A flash fresh from the factory against the flash map, the version table and the listings of the
 * real files. */
#include "factory.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flash_map.h"
#include "module_flash.h"
#include "support_digest.h"

static struct flash *flash;
static uint8_t image[FACTORY_MAX_SIZE];
static struct module module;

static void setup(void)
{
    flash = flash_new(1);
    ck_assert_ptr_nonnull(flash);
}

static void teardown(void)
{
    flash_free(flash);
}

static void build(const char *release, enum factory_module which)
{
    uint32_t size = factory_build(release_find(release), which, support_sha256, image);

    ck_assert_int_eq(module_parse(&module, image, size), MODULE_OK);
    ck_assert_uint_eq(module.size, size);
}

static void expect_dependency(unsigned number, uint8_t function, uint8_t index, uint16_t version)
{
    ck_assert_uint_eq(module.info.dependency[number].function, function);
    ck_assert_uint_eq(module.info.dependency[number].index, index);
    ck_assert_uint_eq(module.info.dependency[number].version, version);
}

/* The rows of the real files: size, start, end, version, function, index, suffix. */
START_TEST(test_modules_have_the_shape_of_the_real_files)
{
    static const struct {
        const char *release;
        enum factory_module which;
        uint32_t size, start, end;
        uint16_t version;
        uint8_t function, index;
        uint16_t suffix_size;
    } rows[] = {
        {"0.4.0", FACTORY_USER, 3952, 0x080A0000, 0x080A0F6C, 2, 5, 1, 36},
        {"0.4.5", FACTORY_USER, 5324, 0x080A0000, 0x080A14C8, 3, 5, 1, 40},
        {"0.4.2", FACTORY_BOOTLOADER, 13636, 0x08000000, 0x08003540, 3, 2, 0, 36},
        {"0.4.3", FACTORY_BOOTLOADER, 13672, 0x08000000, 0x08003564, 3, 2, 0, 40},
        {"0.5.2", FACTORY_BOOTLOADER, 14052, 0x08000000, 0x080036E0, 7, 2, 0, 40},
        {"0.6.3", FACTORY_BOOTLOADER, 16076, 0x08000000, 0x08003EC8, 11, 2, 0, 40},
        {"0.5.2", FACTORY_PART1, 250956, 0x08020000, 0x0805D448, 17, 4, 1, 40},
        {"0.5.2", FACTORY_PART2, 187492, 0x08060000, 0x0808DC60, 17, 4, 2, 40},
        {"1.5.0", FACTORY_BOOTLOADER, 15336, 0x08000000, 0x08003BE4, 501, 2, 0, 40},
        {"1.5.0", FACTORY_PART1, 238408, 0x08020000, 0x0805A344, 1502, 4, 1, 40},
        {"1.5.0", FACTORY_PART2, 261048, 0x08060000, 0x0809FBB4, 1502, 4, 2, 40},
        {"2.2.0", FACTORY_BOOTLOADER, 15124, 0x08000000, 0x08003B10, 1006, 2, 0, 40},
        {"2.2.0", FACTORY_PART1, 241496, 0x08020000, 0x0805AF54, 2202, 4, 1, 40},
        {"2.2.0", FACTORY_PART2, 260840, 0x08060000, 0x0809FAE4, 2202, 4, 2, 40},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        build(rows[i].release, rows[i].which);
        ck_assert_uint_eq(module.size, rows[i].size);
        ck_assert_uint_eq(module.info.start, rows[i].start);
        ck_assert_uint_eq(module.info.end, rows[i].end);
        ck_assert_uint_eq(module.info.version, rows[i].version);
        ck_assert_uint_eq(module.info.platform, 6);
        ck_assert_uint_eq(module.info.function, rows[i].function);
        ck_assert_uint_eq(module.info.index, rows[i].index);
        ck_assert_uint_eq(module.info.flags, 0);
        ck_assert_uint_eq(module.info.reserved, 0);
        ck_assert_uint_eq(module.suffix.size, rows[i].suffix_size);
        ck_assert_uint_eq(module.suffix.product_id, 0xFFFF);
        ck_assert_uint_eq(module.crc_stored, module.crc_computed);
    }
}
END_TEST

START_TEST(test_dependencies_are_those_of_the_real_files)
{
    build("0.4.0", FACTORY_USER);
    expect_dependency(0, 4, 2, 1);
    expect_dependency(1, 0, 0, 0);
    build("0.4.5", FACTORY_USER);
    expect_dependency(0, 4, 2, 6);
    build("0.5.2", FACTORY_BOOTLOADER);
    expect_dependency(0, 0, 0, 0);
    expect_dependency(1, 0, 0, 0);
    build("0.5.2", FACTORY_PART1);
    expect_dependency(0, 0, 0, 0);
    build("0.5.2", FACTORY_PART2);
    expect_dependency(0, 4, 1, 17);
    expect_dependency(1, 0, 0, 0);
    build("1.5.0", FACTORY_PART1);
    expect_dependency(0, 4, 2, 207);
    build("1.5.0", FACTORY_PART2);
    expect_dependency(0, 4, 1, 1502);
    expect_dependency(1, 2, 0, 400);
    build("2.2.0", FACTORY_PART2);
    expect_dependency(0, 4, 1, 2202);
    expect_dependency(1, 2, 0, 1003);
}
END_TEST

START_TEST(test_images_begin_as_real_ones_do)
{
    /* part1 and part2 0.5.2: stack pointer and reset vector. */
    static const uint8_t part1[8] = {0x00, 0x00, 0x02, 0x20, 0x31, 0x02, 0x02, 0x08};
    static const uint8_t part2[8] = {0x00, 0x00, 0x02, 0x20, 0x75, 0x4B, 0x07, 0x08};
    static const uint8_t bootloader[8] = {0x00, 0x00, 0x02, 0x20, 0x9D, 0x01, 0x00, 0x08};
    static const uint8_t user[8] = {0x00, 0x00, 0x0A, 0x08, 0x6C, 0x0F, 0x0A, 0x08};

    build("0.5.2", FACTORY_PART1);
    ck_assert_mem_eq(image, part1, 8);
    build("0.5.2", FACTORY_PART2);
    ck_assert_mem_eq(image, part2, 8);
    build("2.2.0", FACTORY_BOOTLOADER);
    ck_assert_mem_eq(image, bootloader, 8);
    build("0.4.0", FACTORY_USER);
    ck_assert_mem_eq(image, user, 8);
}
END_TEST

START_TEST(test_every_module_of_every_release_fits_its_region)
{
    static const uint32_t room[FACTORY_MODULES] = {MAP_BOOTLOADER_SIZE, MAP_SYSTEM_PART_SIZE,
                                                   MAP_SYSTEM_PART_SIZE, MAP_USER_SIZE};

    for (size_t i = 0; i < release_count; i++) {
        for (int which = 0; which < FACTORY_MODULES; which++) {
            uint32_t size =
                factory_build(&releases[i], (enum factory_module)which, support_sha256, image);

            ck_assert_uint_le(size, room[which]);
            ck_assert_int_eq(module_parse(&module, image, size), MODULE_OK);
            ck_assert_uint_eq(module.size, size);
            if (which != FACTORY_BOOTLOADER || !releases[i].bootloader->unsealed) {
                uint8_t digest[32];

                ck_assert_uint_eq(module.crc_stored, module.crc_computed);
                support_sha256(image, size - 38, digest);
                ck_assert_mem_eq(module.suffix.sha256, digest, 32);
            }
        }
    }
}
END_TEST

START_TEST(test_bootloader_2_carries_the_linkers_place_holders)
{
    build("0.4.0", FACTORY_BOOTLOADER);
    ck_assert_uint_eq(module.crc_stored, 0x78563412);
    ck_assert_uint_ne(module.crc_computed, module.crc_stored);
    for (unsigned i = 0; i < 32; i++) {
        ck_assert_uint_eq(module.suffix.sha256[i], i + 1);
    }
}
END_TEST

START_TEST(test_part2_carries_its_bootloader_image)
{
    static uint8_t bootloader[16384];

    ck_assert_uint_eq(factory_embedded_offset(release_find("0.5.2")), 0x28500);
    for (size_t i = 0; i < release_count; i++) {
        uint32_t size, offset = factory_embedded_offset(&releases[i]);

        if (!releases[i].embeds_bootloader) {
            continue;
        }
        size = factory_build(&releases[i], FACTORY_BOOTLOADER, support_sha256, bootloader);
        build(releases[i].name, FACTORY_PART2);
        ck_assert_uint_eq(offset % 4, 0);
        ck_assert_uint_le(offset + size, module.size - 44);
        ck_assert_mem_eq(image + offset, bootloader, size);
        ck_assert_uint_eq(module.crc_stored, module.crc_computed);
    }
}
END_TEST

START_TEST(test_images_of_one_bootloader_are_equal_in_all_its_releases)
{
    static uint8_t other[16384];
    uint32_t size;

    build("0.4.9", FACTORY_BOOTLOADER);
    size = factory_build(release_find("0.6.0"), FACTORY_BOOTLOADER, support_sha256, other);
    ck_assert_uint_eq(size, module.size);
    ck_assert_mem_eq(image, other, size);
}
END_TEST

START_TEST(test_factory_flash_lays_the_modules_at_their_addresses)
{
    static const uint32_t addresses[FACTORY_MODULES] = {0x08000000, 0x08020000, 0x08060000,
                                                        0x080A0000};
    const struct release *release = release_find("0.4.3");

    ck_assert(factory_flash(flash, release, support_sha256, false));
    for (int which = 0; which < FACTORY_MODULES; which++) {
        struct module_info info;

        ck_assert(module_flash_info(flash, addresses[which], &info));
        ck_assert_uint_eq(info.start, addresses[which]);
        ck_assert(module_flash_crc_ok(flash, addresses[which], &info));
    }
}
END_TEST

START_TEST(test_factory_dct_is_current_and_knows_the_cloud_only)
{
    static const uint8_t header[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 'B', 'R', 'C', 'M'};
    static const uint8_t server[17] = "\x01\x0F"
                                      "device.spark.io";
    uint8_t got[0x4000];

    ck_assert(factory_flash(flash, release_find("0.4.3"), support_sha256, false));
    flash_read(flash, 0x08004000, got, sizeof(got));
    ck_assert_mem_eq(got, header, sizeof(header));
    for (size_t i = sizeof(header); i < 0x184; i++) {
        ck_assert_uint_eq(got[i], 0);
    }
    ck_assert_mem_eq(got + 7548 + 2466, server, 17);
    memset(got + 7548 + 2466, 0xFF, 17);
    for (size_t i = 0x184; i < sizeof(got); i++) {
        ck_assert_uint_eq(got[i], 0xFF);
    }
}
END_TEST

START_TEST(test_factory_leaves_the_rest_blank)
{
    ck_assert(factory_flash(flash, release_find("2.2.0"), support_sha256, false));
    /* DCT copy 2 and both EEPROM pages; behind part2; OTA area and factory image. */
    ck_assert(flash_is_blank(flash, 0x08008000, 0x18000));
    ck_assert(flash_is_blank(flash, 0x0809FAE8, 0x080A0000 - 0x0809FAE8));
    ck_assert(flash_is_blank(flash, 0x080C0000, 0x40000));
    ck_assert_uint_eq(flash_nwrp(flash), FLASH_NWRP_NONE);
    ck_assert_uint_eq(flash_operations(flash), 0);
    ck_assert_uint_eq(flash_clock(flash), 0);
}
END_TEST

START_TEST(test_factory_image_is_the_application)
{
    struct module_info info;

    ck_assert(factory_flash(flash, release_find("0.4.3"), support_sha256, true));
    ck_assert(module_flash_info(flash, MAP_FACTORY, &info));
    ck_assert_uint_eq(info.start, MAP_USER);
    ck_assert_uint_eq(info.function, MODULE_USER_PART);
    ck_assert(module_flash_crc_ok(flash, MAP_FACTORY, &info));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("factory");
    TCase *modules = tcase_create("modules"), *contents = tcase_create("flash");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(modules, 60);
    tcase_add_test(modules, test_modules_have_the_shape_of_the_real_files);
    tcase_add_test(modules, test_dependencies_are_those_of_the_real_files);
    tcase_add_test(modules, test_images_begin_as_real_ones_do);
    tcase_add_test(modules, test_every_module_of_every_release_fits_its_region);
    tcase_add_test(modules, test_bootloader_2_carries_the_linkers_place_holders);
    tcase_add_test(modules, test_part2_carries_its_bootloader_image);
    tcase_add_test(modules, test_images_of_one_bootloader_are_equal_in_all_its_releases);
    tcase_add_checked_fixture(contents, setup, teardown);
    tcase_add_test(contents, test_factory_flash_lays_the_modules_at_their_addresses);
    tcase_add_test(contents, test_factory_dct_is_current_and_knows_the_cloud_only);
    tcase_add_test(contents, test_factory_leaves_the_rest_blank);
    tcase_add_test(contents, test_factory_image_is_the_application);
    suite_add_tcase(suite, modules);
    suite_add_tcase(suite, contents);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
