/* Control requests 260 to 264 up to 1.5: sections of the flash, with what can be done to each.
 * Expected: the messages of device-os v1.5.0 (storage.proto) and what its storage.cpp answers. */
#include <check.h>
#include <string.h>

#include "devmodel/flash_map.h"
#include "tests/unit/support_service.h"

enum { DESCRIBE = 260, READ, WRITE, CLEAR, SIZE };

static struct board *fresh, *board;

static void make(void)
{
    fresh = service_board("1.5.0");
}

static void drop(void)
{
    fresh->ops->destroy(fresh);
}

static void setup(void)
{
    board = fresh->ops->clone(fresh);
    ck_assert_ptr_nonnull(board);
}

static void teardown(void)
{
    board->ops->destroy(board);
}

#define EXPECT(type, payload, result, reply)                                                       \
    service_expect(board, type, payload, sizeof(payload) - 1, result, reply, sizeof(reply) - 1)
#define FIRMWARE_SECTION(length, size, module)                                                     \
    "\x1A" length "\x08\x01\x10" size "\x18\x09\x22" module

START_TEST(test_the_flash_is_described_section_by_section)
{
    EXPECT(DESCRIBE, "", 0,
           "\x0A\x64\x08\x01"
           /* bootloader: 16384 bytes, readable, its size known; module type 1 */
           FIRMWARE_SECTION("\x0C", "\x80\x80\x01", "\x02\x08\x01")
           /* part1, part2: 262144 bytes, types 2, indexes 1 and 2; application: 131072, type 3 */
           FIRMWARE_SECTION("\x0E", "\x80\x80\x10", "\x04\x08\x02\x10\x01")
               FIRMWARE_SECTION("\x0E", "\x80\x80\x10", "\x04\x08\x02\x10\x02")
                   FIRMWARE_SECTION("\x0C", "\x80\x80\x08", "\x02\x08\x03")
           /* OTA, factory, settings of 8391 bytes, EEPROM of 2048 (as in the real 1.5.0) */
           "\x1A\x08\x08\x02\x10\x80\x80\x10\x18\x09"
           "\x1A\x08\x08\x03\x10\x80\x80\x08\x18\x1F"
           "\x1A\x07\x08\x04\x10\xC7\x41\x18\x03"
           "\x1A\x07\x08\x05\x10\x80\x10\x18\x07");
}
END_TEST

START_TEST(test_sections_are_read)
{
    EXPECT(READ, "\x20\x04", 0, "\x0A\x04\x00\x00\x02\x20");         /* bootloader: the stack */
    EXPECT(READ, "\x10\x03\x20\x04", 0, "\x0A\x04\x00\x00\x0A\x08"); /* application: its start */
    EXPECT(READ, "\x10\x05\x18\xFE\xFF\x07\x20\x02", 0, "\x0A\x02\xFF\xFF");
    EXPECT(READ, "\x10\x06\x18\xA4\x13\x20\x05", 0,
           "\x0A\x05"
           "devic"); /* the server's name, from 2468 on */
}
END_TEST

START_TEST(test_what_is_not_there_cannot_be_read)
{
    EXPECT(READ, "\x08\x01\x20\x04", -170, "");
    EXPECT(READ, "\x10\x08\x20\x04", -170, "");
    EXPECT(READ, "", -290, "");
    EXPECT(READ, "\x18\x80\x80\x01\x20\x01", -290, "");
    EXPECT(READ, "\x18\xFF\x7F\x20\x02", -290, "");
    EXPECT(READ, "\x18\xFF\xFF\xFF\xFF\x0F\x20\x02", -290, "");
    EXPECT(READ, "\x20\x81\x10", -260, ""); /* 2049 bytes */
    EXPECT(READ, "\x20\x80\x10", -260, "");
    EXPECT(READ, "\x20", -280, "");
}
END_TEST

START_TEST(test_the_factory_image_is_cleared_and_written)
{
    uint8_t found[10];

    EXPECT(WRITE,
           "\x10\x05\x18\x03\x22\x06"
           "photon",
           0, "");
    ck_assert(board->ops->flash_read(board, MAP_FACTORY + 2, found, 8));
    ck_assert_mem_eq(found, "\xFFphoton\xFF", 8);
    EXPECT(WRITE,
           "\x10\x05\x18\x03\x22\x06"
           "PHOTON",
           0, ""); /* upper case clears a bit */
    EXPECT(WRITE,
           "\x10\x05\x18\x03\x22\x06"
           "photon",
           -220, "");
    EXPECT(CLEAR, "\x10\x05", 0, "");
    ck_assert(flash_is_blank(photon_flash(board), MAP_FACTORY, MAP_FACTORY_SIZE));
}
END_TEST

START_TEST(test_settings_are_written)
{
    uint8_t found[3];

    EXPECT(WRITE,
           "\x10\x06\x18\x22\x22\x03"
           "key",
           0, "");
    ck_assert(board->ops->flash_read(board, test_dct(board) + 34, found, sizeof(found)));
    ck_assert_mem_eq(found, "key", 3);
    EXPECT(WRITE,
           "\x10\x06\x18\xC5\x41\x22\x03"
           "key",
           -290, "");
    EXPECT(CLEAR, "\x10\x06", -120, "");
}
END_TEST

/* --- the EEPROM, section 7 --- */

#define EEPROM_A        UINT32_C(0x0800C000)
#define EEPROM_B        UINT32_C(0x08010000)
#define READ_EEPROM     "\x10\x07\x20"   /* and how many, from 0 on */
#define WRITE_EEPROM(n) "\x10\x07\x22" n /* and the bytes, from 0 on */

static void expect_flash(uint32_t address, const void *bytes, size_t length)
{
    uint8_t found[64];

    ck_assert(board->ops->flash_read(board, address, found, length));
    ck_assert_mem_eq(found, bytes, length);
}

/* Records of value, 0, index, written from the end. */
START_TEST(test_the_eeprom_holds_what_is_written)
{
    EXPECT(READ, READ_EEPROM "\x04", 0, "\x0A\x04\xFF\xFF\xFF\xFF");
    expect_flash(EEPROM_A, "\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF", 8);
    EXPECT(WRITE, WRITE_EEPROM("\x03") "abc", 0, "");
    expect_flash(EEPROM_A,
                 "\x00\x00\xFF\xFF"
                 "c\0\2\0"
                 "b\0\1\0"
                 "a\0\0\0"
                 "\xFF\xFF\xFF\xFF",
                 20);
    EXPECT(WRITE, WRITE_EEPROM("\x03") "aBc", 0, "");
    expect_flash(EEPROM_A + 16,
                 "B\0\1\0"
                 "\xFF\xFF\xFF\xFF",
                 8);
    EXPECT(READ, READ_EEPROM "\x04", 0,
           "\x0A\x04"
           "aBc\xFF");
    EXPECT(READ, "\x10\x07\x18\x01\x20\x01", 0,
           "\x0A\x01"
           "B");
}
END_TEST

START_TEST(test_the_eeprom_has_2048_bytes)
{
    EXPECT(WRITE, "\x10\x07\x18\xFF\x0F\x22\x01x", 0, "");
    expect_flash(EEPROM_A + 4, "x\0\xFF\x07", 4);
    EXPECT(READ, "\x10\x07\x18\xFF\x0F\x20\x01", 0, "\x0A\x01x");
    EXPECT(READ, "\x10\x07\x18\x80\x10\x20\x01", -290, "");
    EXPECT(WRITE, "\x10\x07\x18\xFF\x0F\x22\x02xy", -290, "");
    EXPECT(READ, READ_EEPROM "\x00", -290, "");
}
END_TEST

START_TEST(test_the_eeprom_outlives_a_restart_and_can_be_cleared)
{
    EXPECT(WRITE, WRITE_EEPROM("\x03") "abc", 0, "");
    board->ops->reset(board);
    service_reattach(board);
    EXPECT(READ, READ_EEPROM "\x03", 0,
           "\x0A\x03"
           "abc");
    EXPECT(CLEAR, "\x10\x07", 0, "");
    ck_assert(flash_is_blank(photon_flash(board), EEPROM_B, 0x10000));
    EXPECT(READ, READ_EEPROM "\x03", 0, "\x0A\x03\xFF\xFF\xFF");
    EXPECT(SIZE, "\x10\x07", -120, "");
}
END_TEST

/* The 4095 records of the first page, the last of them for index 1. */
static void fill_first_page(struct flash *flash)
{
    static uint8_t page[0x4000];

    memset(page, 0xFF, 4);
    memset(page, 0, 2);
    for (size_t at = 4; at < sizeof(page); at += 4) {
        page[at] = (uint8_t)('A' + at / 4 % 2);
        page[at + 1] = 0;
        page[at + 2] = (uint8_t)(at / 4 % 2);
        page[at + 3] = 0;
    }
    ck_assert(flash_load(flash, EEPROM_A, page, sizeof(page)));
}

START_TEST(test_a_full_page_of_the_eeprom_is_copied_to_the_other)
{
    fill_first_page(photon_flash(board));
    EXPECT(READ, READ_EEPROM "\x03", 0,
           "\x0A\x03"
           "AB\xFF");
    EXPECT(WRITE, WRITE_EEPROM("\x01") "x", 0, "");
    expect_flash(EEPROM_A, "\x00\x00\xCC\xCC", 4);
    expect_flash(EEPROM_B,
                 "\x00\x00\xFF\xFF"
                 "B\0\1\0"
                 "x\0\0\0"
                 "\xFF\xFF\xFF\xFF",
                 16);
    EXPECT(READ, READ_EEPROM "\x03", 0,
           "\x0A\x03"
           "xB\xFF");
}
END_TEST

/* Writes that lost their power: reading ends before them, the next write copies the page. What the
 * other page holds is erased first. */
static const struct {
    const char *rest; /* behind the record of index 0 */
    size_t length;
} broken[] = {
    {"b\xF0\1\0", 4},
    {"b\0\xFF\xFF", 4},
    {"\xFF\xFF\xFF\xFF"
     "c\0\2\0",
     8},
};

START_TEST(test_a_broken_record_ends_the_eeprom_s_page)
{
    struct flash *flash = photon_flash(board);

    ck_assert(flash_load(flash, EEPROM_A, "\x00\x00\xFF\xFF", 4));
    ck_assert(flash_load(flash, EEPROM_A + 4, "a\0\0\0", 4));
    ck_assert(flash_load(flash, EEPROM_A + 8, broken[_i].rest, broken[_i].length));
    ck_assert(flash_load(flash, EEPROM_B + 12, "z\0\2\0", 4));
    EXPECT(READ, READ_EEPROM "\x03", 0,
           "\x0A\x03"
           "a\xFF\xFF");
    EXPECT(WRITE,
           "\x10\x07\x18\x01\x22\x01"
           "b",
           0, "");
    expect_flash(EEPROM_A, "\x00\x00\xCC\xCC", 4);
    expect_flash(EEPROM_B,
                 "\x00\x00\xFF\xFF"
                 "a\0\0\0"
                 "b\0\1\0"
                 "\xFF\xFF\xFF\xFF",
                 16);
    EXPECT(READ, READ_EEPROM "\x03", 0,
           "\x0A\x03"
           "ab\xFF");
}
END_TEST

static void erase_user(struct flash *flash)
{
    static const uint8_t blank[1024] = {0};

    ck_assert(flash_load(flash, MAP_USER, blank, sizeof(blank)));
}

START_TEST(test_in_safe_mode_nobody_has_opened_the_eeprom)
{
    board->ops->destroy(board);
    board = service_board_changed("1.5.0", erase_user);
    ck_assert(flash_load(photon_flash(board), EEPROM_A,
                         "\x00\x00\xFF\xFF"
                         "a\0\0\0",
                         8));
    EXPECT(READ, READ_EEPROM "\x01", 0, "\x0A\x01\xFF");
    EXPECT(WRITE, WRITE_EEPROM("\x01") "b", 0, "");
    expect_flash(EEPROM_A,
                 "\x00\x00\xFF\xFF"
                 "a\0\0\0"
                 "\xFF\xFF\xFF\xFF",
                 12);
    EXPECT(CLEAR, "\x10\x07", 0, "");
    EXPECT(WRITE, WRITE_EEPROM("\x01") "b", 0, "");
    EXPECT(READ, READ_EEPROM "\x01", 0,
           "\x0A\x01"
           "b");
}
END_TEST

/* Section 0 to 4: firmware and what was received. */
START_TEST(test_firmware_is_not_written_that_way)
{
    uint8_t write[] = {0x10, (uint8_t)_i, 0x22, 1, 'x'}, clear[] = {0x10, (uint8_t)_i};

    service_expect(board, WRITE, write, sizeof(write), -120, "", 0);
    service_expect(board, CLEAR, clear, sizeof(clear), -120, "", 0);
}
END_TEST

START_TEST(test_the_size_of_a_module_is_known_while_it_is_whole)
{
    EXPECT(SIZE, "", 0, "\x08\xE8\x77");             /* the bootloader's 15336 bytes */
    EXPECT(SIZE, "\x10\x01", 0, "\x08\xC8\xC6\x0E"); /* part1's 238408 */
    EXPECT(SIZE, "\x10\x05", -280, "");
    EXPECT(SIZE, "\x10\x06", -120, "");
    EXPECT(SIZE, "\x10\x08", -170, "");
    ck_assert(flash_load(photon_flash(board), MAP_USER + 0x100, "", 1));
    EXPECT(SIZE, "\x10\x03", -280, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control storage");
    TCase *tests = tcase_create("storage");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, make, drop);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_the_flash_is_described_section_by_section);
    tcase_add_test(tests, test_sections_are_read);
    tcase_add_test(tests, test_what_is_not_there_cannot_be_read);
    tcase_add_test(tests, test_the_factory_image_is_cleared_and_written);
    tcase_add_test(tests, test_settings_are_written);
    tcase_add_loop_test(tests, test_firmware_is_not_written_that_way, 0, 5);
    tcase_add_test(tests, test_the_size_of_a_module_is_known_while_it_is_whole);
    tcase_add_test(tests, test_the_eeprom_holds_what_is_written);
    tcase_add_test(tests, test_the_eeprom_has_2048_bytes);
    tcase_add_test(tests, test_the_eeprom_outlives_a_restart_and_can_be_cleared);
    tcase_add_test(tests, test_a_full_page_of_the_eeprom_is_copied_to_the_other);
    tcase_add_loop_test(tests, test_a_broken_record_ends_the_eeprom_s_page, 0, 3);
    tcase_add_test(tests, test_in_safe_mode_nobody_has_opened_the_eeprom);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
