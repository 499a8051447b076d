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
           /* OTA, factory, settings of 8391 bytes, EEPROM of 2047 */
           "\x1A\x08\x08\x02\x10\x80\x80\x10\x18\x09"
           "\x1A\x08\x08\x03\x10\x80\x80\x08\x18\x1F"
           "\x1A\x07\x08\x04\x10\xC7\x41\x18\x03"
           "\x1A\x07\x08\x05\x10\xFF\x0F\x18\x07");
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
    EXPECT(READ, "\x10\x07\x20\x01", -120, "");
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
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
