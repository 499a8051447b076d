/* Firmware updates by control requests: chunks, the verdict, and what the next start makes of it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/flash_map.h"
#include "devmodel/module.h"
#include "devmodel/module_slot.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_service.h"

#define MS BOARD_NS_PER_MS

enum { START = 250, FINISH = 251, CANCEL = 252, DATA = 253 };

static struct board *fresh_2_2, *fresh_1_5;
static struct board *board;
static uint8_t image[FACTORY_MAX_SIZE];

static void make(void)
{
    fresh_2_2 = service_board("2.2.0");
    fresh_1_5 = service_board("1.5.0");
}

static void drop(void)
{
    fresh_2_2->ops->destroy(fresh_2_2);
    fresh_1_5->ops->destroy(fresh_1_5);
}

static void use(const struct board *fresh)
{
    board->ops->destroy(board);
    board = fresh->ops->clone(fresh);
    ck_assert_ptr_nonnull(board);
}

static void setup(void)
{
    board = fresh_2_2->ops->clone(fresh_2_2);
    ck_assert_ptr_nonnull(board);
}

static void teardown(void)
{
    board->ops->destroy(board);
}

/* --- messages --- */

static struct service_answer start(uint32_t size)
{
    return service_update_start(board, size);
}

static struct service_answer data(const uint8_t *bytes, uint16_t size)
{
    return service_update_data(board, bytes, size);
}

static int32_t finish(bool validate_only)
{
    return service_update_finish(board, validate_only);
}

static void send_all(const uint8_t *bytes, size_t size, uint16_t chunk)
{
    for (size_t done = 0; done < size; done += chunk) {
        size_t part = size - done < chunk ? size - done : chunk;

        ck_assert_int_eq(data(bytes + done, (uint16_t)part).result, 0);
    }
}

static int32_t update(const uint8_t *bytes, size_t size)
{
    return service_update(board, bytes, size);
}

/* --- modules --- */

static struct module_spec application(void)
{
    return (struct module_spec){
        .info = {.start = MAP_USER,
                 .version = 77,
                 .platform = MAP_PLATFORM_PHOTON,
                 .function = MODULE_USER_PART,
                 .index = 1,
                 .dependency = {{MODULE_SYSTEM_PART, 2, 6}}},
        .size = 5324,
        .suffix_size = 40,
        .product_id = MODULE_NO_PRODUCT,
        .product_version = MODULE_NO_PRODUCT,
        .fill_seed = 9,
        .digest = support_sha256,
    };
}

static size_t build(const struct module_spec *spec)
{
    ck_assert(module_build(spec, image));
    return spec->size;
}

static bool flash_is(uint32_t address, const uint8_t *bytes, size_t size)
{
    return flash_equals(photon_flash(board), address, bytes, size);
}

static uint16_t version_at(uint32_t address)
{
    return flash_read16(photon_flash(board), address + 10);
}

static void expect_no_reset(void)
{
    uint64_t attaches = board->attaches;

    board_advance(board, 3000 * MS);
    ck_assert(board->ops->attached(board));
    ck_assert_uint_eq(board->attaches, attaches);
}

static void expect_dropped(void)
{
    ck_assert_int_eq(data(image, 4).result, -210);
}

/* --- the whole way --- */

START_TEST(test_an_application_goes_the_measured_way)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);
    struct service_answer answer = start((uint32_t)size);
    uint64_t started;

    ck_assert_uint_eq(answer.size, 3);
    ck_assert_mem_eq(answer.data, "\x08\x80\x08", 3);
    ck_assert_uint_ge(answer.ended - answer.started, 1000 * MS); /* one sector erase */
    ck_assert_uint_le(answer.ended - answer.started, 1020 * MS);
    answer = data(image, 1024);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_ge(answer.ended - answer.started, 4 * MS);
    ck_assert_uint_le(answer.ended - answer.started, 7 * MS);
    send_all(image + 1024, size - 1024, 1024);
    answer = service_ask(board, FINISH, "", 0);
    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, 0);
    ck_assert_uint_ge(answer.ended - answer.started, 500 * MS); /* the slot is stored */
    ck_assert_uint_le(answer.ended - answer.started, 550 * MS);
    started = answer.ended;
    board_advance_to(board, started + 995 * MS);
    ck_assert(board->ops->attached(board));
    board_advance_to(board, started + 1001 * MS);
    ck_assert(!board->ops->attached(board));
    started = board->now;
    service_reattach(board);
    ck_assert_uint_ge(board->now - started, 1500 * MS);
    ck_assert_uint_le(board->now - started, 1700 * MS);
    ck_assert_uint_eq(version_at(MAP_USER), 77);
    ck_assert(flash_is(MAP_USER, image, size));
}
END_TEST

START_TEST(test_pieces_may_be_shorter_than_the_chunk)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);

    ck_assert_int_eq(start((uint32_t)size).result, 0);
    send_all(image, size, 512);
    ck_assert_int_eq(finish(false), 0);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    ck_assert(flash_is(MAP_USER, image, size));
}
END_TEST

START_TEST(test_pieces_may_be_longer_than_the_chunk)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);

    ck_assert_int_eq(start((uint32_t)size).result, 0);
    send_all(image, size, 2000);
    ck_assert_int_eq(finish(true), 0);
}
END_TEST

START_TEST(test_a_piece_after_an_odd_one_cannot_be_stored)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);

    ck_assert_int_eq(start((uint32_t)size).result, 0);
    ck_assert_int_eq(data(image, 3).result, 0);
    ck_assert_int_eq(data(image + 3, 4).result, -220);
    expect_dropped();
}
END_TEST

START_TEST(test_an_application_that_needs_a_newer_system_is_accepted)
{
    struct module_spec spec = application();

    spec.info.dependency[0].version = 9999;
    ck_assert_int_eq(update(image, build(&spec)), 0);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    ck_assert_uint_eq(version_at(MAP_USER), 77);
}
END_TEST

START_TEST(test_a_bootloader_is_installed_before_the_answer)
{
    size_t size = test_module("2.2.0", FACTORY_BOOTLOADER, image);
    uint8_t slot[MODULE_SLOT_SIZE];

    use(fresh_1_5);
    ck_assert_uint_eq(version_at(MAP_BOOTLOADER + 0x184), 501);
    ck_assert_int_eq(update(image, size), 0);
    ck_assert(flash_is(MAP_BOOTLOADER, image, size));
    flash_read(photon_flash(board), test_dct(board) + 2852 + MODULE_SLOT_SIZE, slot, sizeof(slot));
    ck_assert(slot[0] != 0xCD || slot[1] != 0xAB);
    board_advance(board, 1001 * MS);
    service_reattach(board);
}
END_TEST

START_TEST(test_a_downgrade_starts_with_part2)
{
    size_t size = test_module("1.5.0", FACTORY_PART1, image);

    ck_assert_int_eq(update(image, size), -1340);
    expect_no_reset();
    size = test_module("1.5.0", FACTORY_PART2, image);
    ck_assert_int_eq(update(image, size), 0);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    ck_assert_uint_eq(version_at(MAP_SYSTEM_PART2 + 0x184), 1502);
    ck_assert(flash_is(MAP_SYSTEM_PART2, image, size));
}
END_TEST

START_TEST(test_an_upgrade_starts_with_part1)
{
    size_t size = test_module("2.2.0", FACTORY_PART2, image);

    use(fresh_1_5);
    ck_assert_int_eq(update(image, size), 1);
    size = test_module("2.2.0", FACTORY_PART1, image);
    ck_assert_int_eq(update(image, size), 0);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    size = test_module("2.2.0", FACTORY_PART2, image);
    ck_assert_int_eq(update(image, size), 0);
    board_advance(board, 1001 * MS);
    service_reattach(board);
    service_expect(board, 30, "", 0, 0,
                   "\x0A\x05"
                   "2.2.0",
                   7);
}
END_TEST

/* --- the verdict --- */

static void not_a_module(struct module_spec *spec)
{
    spec->info.function = MODULE_RESOURCE;
}

static void for_the_p1(struct module_spec *spec)
{
    spec->info.platform = MAP_PLATFORM_P1;
}

static void elsewhere(struct module_spec *spec)
{
    spec->info.start = MAP_OTA + 0x10000;
}

static void as_it_is(struct module_spec *spec)
{
    (void)spec;
}

static const struct {
    void (*change)(struct module_spec *spec);
    bool damaged;
    int32_t since_2_0;
} invalid[] = {
    {not_a_module, false, -1300},
    {as_it_is, true, -1330},
    {elsewhere, false, -1350},
    {for_the_p1, false, -1360},
};

static size_t build_invalid(size_t which)
{
    struct module_spec spec = application();

    invalid[which].change(&spec);
    build(&spec);
    if (invalid[which].damaged) {
        image[1000] ^= 0x10;
    }
    return spec.size;
}

START_TEST(test_2_2_0_tells_what_is_wrong_with_a_module)
{
    size_t size = build_invalid((size_t)_i);
    uint32_t dct = test_dct(board);

    ck_assert_int_eq(update(image, size), invalid[_i].since_2_0);
    expect_no_reset();
    expect_dropped();
    ck_assert_uint_eq(test_dct(board), dct);
    ck_assert(!flash_is(MAP_USER, image, size));
}
END_TEST

START_TEST(test_1_5_0_only_tells_that_something_is_wrong)
{
    size_t size;

    use(fresh_1_5);
    size = build_invalid((size_t)_i);
    ck_assert_int_eq(update(image, size), 1);
    expect_no_reset();
    expect_dropped();
}
END_TEST

START_TEST(test_validation_alone_stores_nothing_and_ends_the_update)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);
    uint32_t dct = test_dct(board);

    ck_assert_int_eq(start((uint32_t)size).result, 0);
    send_all(image, size, 1024);
    ck_assert_int_eq(finish(true), 0);
    expect_no_reset();
    ck_assert_uint_eq(test_dct(board), dct);
    expect_dropped();
}
END_TEST

START_TEST(test_a_module_for_which_no_slot_is_free_is_not_stored)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);
    static const uint8_t pending[2] = {0xCD, 0xAB};

    for (uint32_t slot = 1; slot <= 4; slot++) {
        ck_assert(flash_load(photon_flash(board), test_dct(board) + 2852 + slot * MODULE_SLOT_SIZE,
                             pending, 2));
    }
    ck_assert_int_eq(update(image, size), -1390);
    expect_no_reset();
}
END_TEST

/* --- out of order --- */

START_TEST(test_nothing_goes_without_a_start)
{
    ck_assert_int_eq(data(image, 4).result, -210);
    ck_assert_int_eq(finish(false), -210);
    ck_assert_int_eq(finish(true), -210);
    service_expect(board, CANCEL, "", 0, 0, "", 0);
}
END_TEST

START_TEST(test_an_incomplete_update_is_dropped_at_its_end)
{
    ck_assert_int_eq(start(2048).result, 0);
    ck_assert_int_eq(data(image, 1024).result, 0);
    ck_assert_int_eq(finish(false), -210);
    expect_dropped();
}
END_TEST

START_TEST(test_a_cancelled_update_is_dropped)
{
    ck_assert_int_eq(start(2048).result, 0);
    service_expect(board, CANCEL, "", 0, 0, "", 0);
    expect_dropped();
    service_expect(board, CANCEL, "", 0, 0, "", 0);
}
END_TEST

START_TEST(test_empty_or_surplus_data_drop_the_update)
{
    ck_assert_int_eq(start(100).result, 0);
    ck_assert_int_eq(data(image, 0).result, -290);
    expect_dropped();
    ck_assert_int_eq(start(100).result, 0);
    ck_assert_int_eq(data(image, 101).result, -290);
    expect_dropped();
}
END_TEST

START_TEST(test_what_is_no_message_drops_the_update)
{
    ck_assert_int_eq(start(100).result, 0);
    service_expect(board, DATA, "\x0A\x05x", 3, -280, "", 0);
    expect_dropped();
    ck_assert_int_eq(start(0).result, 0);
    service_expect(board, FINISH, "\x08", 1, -280, "", 0);
    expect_dropped();
}
END_TEST

START_TEST(test_a_second_start_begins_anew)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);

    ck_assert_int_eq(start(1024).result, 0);
    ck_assert_int_eq(data(image + 2048, 1024).result, 0);
    ck_assert_int_eq(start((uint32_t)size).result, 0);
    send_all(image, size, 1024);
    ck_assert_int_eq(finish(true), 0);
}
END_TEST

START_TEST(test_no_size_is_refused)
{
    static const uint32_t sizes[] = {0, 262145, 2097151};
    struct service_answer answer = service_ask(board, START, "", 0);

    ck_assert_int_eq(answer.result, 0);
    ck_assert_mem_eq(answer.data, "\x08\x80\x08", 3);
    for (size_t i = 0; i < 3; i++) {
        answer = start(sizes[i]);
        ck_assert_int_eq(answer.result, 0);
        ck_assert_uint_eq(answer.size, 3);
        ck_assert_mem_eq(answer.data, "\x08\x80\x08", 3);
        ck_assert_uint_lt(answer.ended - answer.started, 5 * MS); /* nothing is erased */
    }
}
END_TEST

START_TEST(test_compressed_updates_are_not_for_the_photon)
{
    service_expect(board, START, "\x08\x64\x10\x01", 4, -120, "", 0);
    expect_dropped();
    service_expect(board, START, "\x08", 1, -280, "", 0);
}
END_TEST

START_TEST(test_data_past_the_end_of_flash_crash_the_system)
{
    struct service_reply reply;
    uint64_t crashed;

    memset(image, 0xFF, sizeof(image));
    ck_assert_int_eq(start(2097151).result, 0);
    send_all(image, MAP_OTA_SIZE, 2000);
    reply = service_init(board, DATA, 6);
    ck_assert_int_eq(service_send(board, reply.id,
                                  "\x0A\x04"
                                  "abcd",
                                  6),
                     HOST_ACK);
    crashed = board->now;
    board_advance(board, MS);
    ck_assert_int_eq(board->ops->led(board).pattern, LED_SOS);
    ck_assert_int_eq(service_check(board, reply.id).end, HOST_SILENT);
    ck_assert_uint_ge(board->now - crashed, 10000 * MS);
    service_reattach(board);
    ck_assert_uint_eq(service_init(board, 1, 0).id, 1);
}
END_TEST

START_TEST(test_the_led_follows_the_update)
{
    ck_assert_int_eq(start(2048).result, 0);
    ck_assert_int_eq(board->ops->led(board).pattern, LED_SOLID);
    ck_assert_uint_eq(board->ops->led(board).colour, 0xFF00FF);
    ck_assert_int_eq(data(image, 1024).result, 0);
    ck_assert_int_eq(board->ops->led(board).pattern, LED_OFF);
    ck_assert_int_eq(data(image, 512).result, 0);
    ck_assert_int_eq(board->ops->led(board).pattern, LED_SOLID);
    service_expect(board, CANCEL, "", 0, 0, "", 0);
    ck_assert_int_eq(board->ops->led(board).pattern, LED_TOGGLE);
    ck_assert_uint_eq(board->ops->led(board).colour, 0x0000FF);
}
END_TEST

START_TEST(test_a_power_cut_in_an_update_leaves_the_old_application)
{
    const struct module_spec spec = application();
    size_t size = build(&spec);
    struct flash *flash = photon_flash(board);
    struct service_reply reply;
    uint16_t version = version_at(MAP_USER);

    ck_assert_int_eq(start((uint32_t)size).result, 0);
    flash_cut_at(flash, flash_operations(flash) + 100, FLASH_CUT_WITHIN);
    reply = service_init(board, DATA, 1027);
    (void)service_wait(board, reply.id);
    (void)service_send(board, 2, image, 1027);
    board_advance(board, 10 * MS);
    ck_assert(!board->ops->powered(board) || board->ops->attached(board));
    board->ops->power(board, false);
    board->ops->power(board, true);
    service_reattach(board);
    ck_assert_uint_eq(version_at(MAP_USER), version);
    expect_dropped();
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("control update");
    TCase *update_case = tcase_create("update");

    tcase_add_unchecked_fixture(update_case, make, drop);
    tcase_add_checked_fixture(update_case, setup, teardown);
    tcase_set_timeout(update_case, 60);
    tcase_add_test(update_case, test_an_application_goes_the_measured_way);
    tcase_add_test(update_case, test_pieces_may_be_shorter_than_the_chunk);
    tcase_add_test(update_case, test_pieces_may_be_longer_than_the_chunk);
    tcase_add_test(update_case, test_a_piece_after_an_odd_one_cannot_be_stored);
    tcase_add_test(update_case, test_an_application_that_needs_a_newer_system_is_accepted);
    tcase_add_test(update_case, test_a_bootloader_is_installed_before_the_answer);
    tcase_add_test(update_case, test_a_downgrade_starts_with_part2);
    tcase_add_test(update_case, test_an_upgrade_starts_with_part1);
    tcase_add_loop_test(update_case, test_2_2_0_tells_what_is_wrong_with_a_module, 0, 4);
    tcase_add_loop_test(update_case, test_1_5_0_only_tells_that_something_is_wrong, 0, 4);
    tcase_add_test(update_case, test_validation_alone_stores_nothing_and_ends_the_update);
    tcase_add_test(update_case, test_a_module_for_which_no_slot_is_free_is_not_stored);
    tcase_add_test(update_case, test_nothing_goes_without_a_start);
    tcase_add_test(update_case, test_an_incomplete_update_is_dropped_at_its_end);
    tcase_add_test(update_case, test_a_cancelled_update_is_dropped);
    tcase_add_test(update_case, test_empty_or_surplus_data_drop_the_update);
    tcase_add_test(update_case, test_what_is_no_message_drops_the_update);
    tcase_add_test(update_case, test_a_second_start_begins_anew);
    tcase_add_test(update_case, test_no_size_is_refused);
    tcase_add_test(update_case, test_compressed_updates_are_not_for_the_photon);
    tcase_add_test(update_case, test_data_past_the_end_of_flash_crash_the_system);
    tcase_add_test(update_case, test_the_led_follows_the_update);
    tcase_add_test(update_case, test_a_power_cut_in_an_update_leaves_the_old_application);
    suite_add_tcase(suite, update_case);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
