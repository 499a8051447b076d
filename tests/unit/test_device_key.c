/* The first start: a board without a device key makes one, stores it and starts again; and the keys
 * that the program makes. */
#include <check.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "emulator/key_pair.h"
#include "tests/unit/support_board.h"
#include "tests/unit/support_digest.h"

/* Where `particle keys save` reads, and how much. */
#define KEY_PLACE 34
#define KEY_SIZE  612
#define LIMIT     (30 * BOARD_NS_PER_S)

static const char *const eras[] = {"0.4.0", "0.4.4", "0.5.2", "0.6.3", "0.7.0", "1.5.0", "2.2.0"};
#define ERAS (sizeof(eras) / sizeof(eras[0]))

static struct test_record record;

struct maker {
    unsigned calls;
    bool fails;
    uint64_t number;
};

static bool make(void *context, uint64_t number, uint8_t key[PHOTON_KEY_SIZE])
{
    struct maker *maker = context;

    memset(key, 0, PHOTON_KEY_SIZE);
    key[0] = 0x30;
    key[1] = 0x82;
    key[KEY_SIZE - 1] = (uint8_t)++maker->calls;
    maker->number = number;
    return !maker->fails;
}

static struct board *board_of(const char *release, photon_keygen *keygen, struct maker *maker)
{
    const struct photon_config config = {.vbat = true, .keygen = keygen, .keygen_context = maker};
    struct flash *flash = flash_new(1);

    ck_assert(factory_flash(flash, release_find(release), support_sha256, false));
    return photon_new(&config, flash);
}

static void start(struct board *board)
{
    test_record(board, &record);
    board->ops->power(board, true);
    ck_assert(test_board_until_attached(board, LIMIT));
    board_advance(board, BOARD_NS_PER_S);
}

static const struct board_event *event(enum board_event_kind kind, const char *text)
{
    for (size_t i = 0; i < record.count; i++) {
        if (record.events[i].kind == kind && strcmp(record.events[i].text, text) == 0) {
            return &record.events[i];
        }
    }
    return NULL;
}

static void read_key(struct board *board, uint8_t key[KEY_SIZE])
{
    ck_assert(board->ops->flash_read(board, test_dct(board) + KEY_PLACE, key, KEY_SIZE));
}

/* White blinking for seconds, nothing on the bus before the second start, then business as usual.
 */
START_TEST(test_a_board_without_a_key_makes_one_and_starts_again)
{
    struct maker maker = {0};
    struct board *board = board_of(eras[_i], make, &maker);
    const struct board_event *begins, *ends;
    uint8_t key[KEY_SIZE];
    unsigned attaches = 0;
    bool blinked = false;

    start(board);
    begins = event(BOARD_EVENT_BOOT, "no device key: makes one");
    ends = event(BOARD_EVENT_RESET, "device key made");
    ck_assert_ptr_nonnull(begins);
    ck_assert_ptr_nonnull(ends);
    ck_assert_uint_ge(ends->time - begins->time, 2 * BOARD_NS_PER_S);
    for (const struct board_event *e = record.events; e < ends; e++) {
        attaches += e->kind == BOARD_EVENT_USB_ATTACH;
        blinked = blinked || (e->kind == BOARD_EVENT_LED && e->u.led.pattern == LED_TOGGLE &&
                              e->u.led.colour == 0xFFFFFF);
    }
    ck_assert_uint_eq(attaches, 0);
    ck_assert(blinked);
    ck_assert_uint_eq(maker.calls, 1);
    read_key(board, key);
    ck_assert_mem_eq(key, "\x30\x82", 2);
    ck_assert_uint_eq(key[KEY_SIZE - 1], 1);
    ck_assert_uint_eq(board->ops->led(board).colour, 0x0000FF);

    board->ops->power(board, false);
    start(board);
    ck_assert_uint_eq(maker.calls, 1);
    board->ops->destroy(board);
}
END_TEST

START_TEST(test_a_board_that_loses_its_key_makes_another)
{
    struct maker maker = {0};
    struct board *board = board_of(eras[_i], make, &maker);
    uint8_t erased[KEY_SIZE];
    uint64_t first;

    start(board);
    first = maker.number;
    board->ops->power(board, false);
    memset(erased, 0xFF, sizeof(erased));
    ck_assert(flash_load(photon_flash(board), test_dct(board) + KEY_PLACE, erased, sizeof(erased)));
    start(board);
    ck_assert_uint_eq(maker.calls, 2);
    ck_assert_uint_ne(maker.number, first);
    board->ops->destroy(board);
}
END_TEST

START_TEST(test_a_key_begins_with_anything_but_ff)
{
    struct maker maker = {0};
    struct board *board = board_of(eras[_i], make, &maker);

    ck_assert(flash_load(photon_flash(board), MAP_DCT1 + DCT_APPLICATION + KEY_PLACE, "\0", 1));
    start(board);
    ck_assert_uint_eq(maker.calls, 0);
    board->ops->destroy(board);
}
END_TEST

START_TEST(test_without_a_maker_or_when_it_fails_the_board_stays_without_a_key)
{
    struct maker maker = {.fails = true};

    for (int i = 0; i < 2; i++) {
        struct board *board = board_of(eras[_i], i == 0 ? NULL : make, &maker);
        uint8_t key[KEY_SIZE];

        start(board);
        ck_assert_ptr_null(event(BOARD_EVENT_RESET, "device key made"));
        read_key(board, key);
        ck_assert_uint_eq(key[0], 0xFF);
        ck_assert_uint_eq(maker.calls, (unsigned)i);
        board->ops->destroy(board);
    }
}
END_TEST

/* Anywhere in those seconds and in the write: the next start makes a key, or finds one. */
START_TEST(test_power_lost_meanwhile_leaves_a_board_that_comes_to_a_key)
{
    for (uint64_t ms = 200; ms < 6000; ms += 190) {
        struct maker maker = {0};
        struct board *board = board_of(eras[_i], make, &maker);
        uint8_t key[KEY_SIZE];

        board->ops->power(board, true);
        board_advance(board, ms * BOARD_NS_PER_MS);
        board->ops->power(board, false);
        start(board);
        read_key(board, key);
        ck_assert_uint_eq(key[0], 0x30);
        ck_assert_uint_eq(board->ops->led(board).colour, 0x0000FF);
        board->ops->destroy(board);
    }
}
END_TEST

/* --- the program's keys --- */

START_TEST(test_the_same_number_gives_the_same_key_and_another_number_another)
{
    uint8_t one[PHOTON_KEY_SIZE], again[PHOTON_KEY_SIZE], other[PHOTON_KEY_SIZE];

    ck_assert(key_pair_make(NULL, UINT64_MAX, one));
    ck_assert(key_pair_make(NULL, UINT64_MAX, again));
    ck_assert(key_pair_make(NULL, UINT32_MAX, other));
    ck_assert_mem_eq(one, again, sizeof(one));
    ck_assert_mem_ne(one, other, sizeof(one));
}
END_TEST

START_TEST(test_the_key_made_by_the_build_is_the_one_of_its_number)
{
    uint8_t key[PHOTON_KEY_SIZE];

    ck_assert(key_pair_make(NULL, KEY_PAIR_FRESH, key));
    ck_assert_mem_eq(key_pair_fresh, key, sizeof(key));
}
END_TEST

/* RFC 8017 §A.1.2: a sequence, 2 bytes of length, version 0, a modulus of 128 bytes and a sign. */
START_TEST(test_keys_are_pkcs1_with_a_modulus_of_1024_bits)
{
    static const uint8_t head[3] = {0x02, 0x01, 0x00}, modulus[4] = {0x02, 0x81, 0x81, 0x00};

    for (uint64_t number = 0; number < 20; number++) {
        uint8_t key[PHOTON_KEY_SIZE];
        size_t length;

        ck_assert(key_pair_make(NULL, number, key));
        ck_assert_uint_eq(key[0], 0x30);
        ck_assert_uint_eq(key[1], 0x82);
        length = 4 + (size_t)(key[2] << 8 | key[3]);
        ck_assert_uint_le(length, sizeof(key));
        ck_assert_mem_eq(key + 4, head, sizeof(head));
        ck_assert_mem_eq(key + 7, modulus, sizeof(modulus));
        ck_assert_uint_ge(key[11], 0x80);
        for (; length < sizeof(key); length++) {
            ck_assert_uint_eq(key[length], 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device key");
    TCase *model = tcase_create("model"), *program = tcase_create("program");
    SRunner *runner;
    int failed;

    tcase_set_timeout(model, 120);
    tcase_set_timeout(program, 120);
    tcase_add_loop_test(model, test_a_board_without_a_key_makes_one_and_starts_again, 0, ERAS);
    tcase_add_loop_test(model, test_a_board_that_loses_its_key_makes_another, 0, ERAS);
    tcase_add_loop_test(model, test_a_key_begins_with_anything_but_ff, 0, ERAS);
    tcase_add_loop_test(model, test_without_a_maker_or_when_it_fails_the_board_stays_without_a_key,
                        0, ERAS);
    tcase_add_loop_test(model, test_power_lost_meanwhile_leaves_a_board_that_comes_to_a_key, 0,
                        ERAS);
    tcase_add_test(program, test_the_same_number_gives_the_same_key_and_another_number_another);
    tcase_add_test(program, test_the_key_made_by_the_build_is_the_one_of_its_number);
    tcase_add_test(program, test_keys_are_pkcs1_with_a_modulus_of_1024_bits);
    suite_add_tcase(suite, model);
    suite_add_tcase(suite, program);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
