/*
 * What starts with which modules: bootloader x part1 x part2 x application for four releases of
 * three eras. Each row says what becomes of the board, what its LED shows and, where its console is
 * there, what `s` lists. Expected: the combination table, the LED patterns and the listings of real
 * 0.5.2, 1.5.0 and 2.2.0 systems; version mismatches in 0.4.4's listing as in its own release.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_board.h"
#include "tests/unit/support_client.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_script.h"

#define LIMIT      (200 * BOARD_NS_PER_S)
#define RESETS_MAX 12

/* --- eras --- */

enum { E_0_4_4 = 1, E_0_5_2 = 2, E_1_5_0 = 4, E_2_2_0 = 8 };
#define OLD (E_0_4_4 | E_0_5_2)
#define NEW (E_1_5_0 | E_2_2_0)
#define ALL (OLD | NEW)

static const struct era {
    unsigned bit;
    const char *release;
    unsigned dependencies; /* of a module, that are listed */
    bool lists_empty;      /* a region without a module is listed */
    bool empty_pair;       /* "_":"" ends a dependency */
} eras[] = {
    {E_0_4_4, "0.4.4", 1, true, true},
    {E_0_5_2, "0.5.2", 1, true, true},
    {E_1_5_0, "1.5.0", 2, false, true},
    {E_2_2_0, "2.2.0", 2, false, false},
};
#define ERAS (sizeof(eras) / sizeof(eras[0]))

/* --- regions --- */

/* In the settings of a new board. */
#define STARTUP_MODE (MAP_DCT1 + 7548 + 18)

enum { BOOTLOADER, PART1, PART2, USER, FACTORY, REGIONS };

static const struct region {
    uint32_t address, size;
    char store;
} regions[REGIONS] = {
    {MAP_BOOTLOADER, MAP_BOOTLOADER_SIZE, 'm'},    {MAP_SYSTEM_PART1, MAP_SYSTEM_PART_SIZE, 'm'},
    {MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE, 'm'}, {MAP_USER, MAP_USER_SIZE, 'm'},
    {MAP_FACTORY, MAP_FACTORY_SIZE, 'f'},
};

static uint8_t image[FACTORY_MAX_SIZE];

static void blank(struct flash *flash, unsigned region)
{
    memset(image, 0xFF, sizeof(image));
    ck_assert(flash_load(flash, regions[region].address, image, regions[region].size));
}

/* A module of another release. */
static void put(struct flash *flash, const char *release, unsigned region)
{
    size_t size;

    blank(flash, region);
    size = test_module(release, (enum factory_module)region, image);
    ck_assert(flash_load(flash, regions[region].address, image, size));
}

/* A module of the release that needs something else. */
static void put_needing(struct flash *flash, const struct era *era, unsigned region,
                        unsigned number, struct module_dependency needs)
{
    struct module_spec spec;

    factory_spec(release_find(era->release), (enum factory_module)region, support_sha256, &spec);
    spec.info.dependency[number] = needs;
    ck_assert(module_build(&spec, image));
    ck_assert(flash_load(flash, regions[region].address, image, spec.size));
}

/* A bit of the body that nobody misses. */
static void damage(struct flash *flash, unsigned region)
{
    uint32_t address = regions[region].address + 0x800;
    uint8_t byte;

    flash_read(flash, address, &byte, 1);
    byte ^= 1;
    ck_assert(flash_load(flash, address, &byte, 1));
}

static void put_factory(struct flash *flash, const struct era *era)
{
    size_t size = test_module(era->release, FACTORY_USER, image);

    ck_assert(flash_load(flash, MAP_FACTORY, image, size));
}

/* --- rows --- */

typedef void change(struct flash *flash, const struct era *era);

static void nothing(struct flash *flash, const struct era *era)
{
    (void)flash;
    (void)era;
}

static void user_needs_more(struct flash *flash, const struct era *era)
{
    put_needing(flash, era, USER, 0, (struct module_dependency){MODULE_SYSTEM_PART, 2, 9999});
}

static void user_damaged(struct flash *flash, const struct era *era)
{
    (void)era;
    damage(flash, USER);
}

static void user_for_a_p1(struct flash *flash, const struct era *era)
{
    struct module_spec spec;

    factory_spec(release_find(era->release), FACTORY_USER, support_sha256, &spec);
    spec.info.platform = MAP_PLATFORM_P1;
    ck_assert(module_build(&spec, image));
    ck_assert(flash_load(flash, MAP_USER, image, spec.size));
}

static void user_missing(struct flash *flash, const struct era *era)
{
    (void)era;
    blank(flash, USER);
}

static void user_zeroed(struct flash *flash, const struct era *era)
{
    (void)era;
    memset(image, 0, MAP_USER_SIZE);
    ck_assert(flash_load(flash, MAP_USER, image, MAP_USER_SIZE));
}

static void user_missing_with_factory(struct flash *flash, const struct era *era)
{
    blank(flash, USER);
    put_factory(flash, era);
}

static void user_missing_factory_damaged(struct flash *flash, const struct era *era)
{
    user_missing_with_factory(flash, era);
    damage(flash, FACTORY);
}

static void part1_missing(struct flash *flash, const struct era *era)
{
    (void)era;
    blank(flash, PART1);
}

static void part1_missing_with_factory(struct flash *flash, const struct era *era)
{
    blank(flash, PART1);
    put_factory(flash, era);
}

static void part1_damaged(struct flash *flash, const struct era *era)
{
    (void)era;
    damage(flash, PART1);
}

static void part2_damaged(struct flash *flash, const struct era *era)
{
    (void)era;
    damage(flash, PART2);
}

static void part2_missing(struct flash *flash, const struct era *era)
{
    (void)era;
    blank(flash, PART2);
}

static void part1_of_0_4_3(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "0.4.3", PART1);
}

static void part1_of_0_5_2(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "0.5.2", PART1);
}

static void part1_of_1_5_0(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "1.5.0", PART1);
}

static void bootloader_7(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "0.5.2", BOOTLOADER);
}

static void bootloader_2(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "0.4.0", BOOTLOADER);
}

static void bootloader_501(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "1.5.0", BOOTLOADER);
}

static void bootloader_1006(struct flash *flash, const struct era *era)
{
    (void)era;
    put(flash, "2.2.0", BOOTLOADER);
}

/* The flags in the settings, which 1006 does not know, are as the bootloader before it left them.
 */
static void bootloader_1006_after_another(struct flash *flash, const struct era *era)
{
    bootloader_1006(flash, era);
    ck_assert(flash_load(flash, STARTUP_MODE, "", 1));
}

static void bootloader_damaged(struct flash *flash, const struct era *era)
{
    (void)era;
    damage(flash, BOOTLOADER);
}

/* Releases before 0.7.0 have no such dependency, and nobody who looks. */
static void part2_needs_another_bootloader(struct flash *flash, const struct era *era)
{
    put_needing(flash, era, PART2, 1, (struct module_dependency){MODULE_BOOTLOADER, 0, 9999});
}

enum outcome { RUNS, SAFE_MODE, DFU, DARK, COPY_LOOP, RESTART_LOOP, SOS_LOOP };

static const char *const outcome_names[] = {
    "runs", "safe mode", "DFU", "dark", "copies for ever", "restarts for ever", "SOS for ever"};

#define NONE 0 /* nothing there: "vv":0, or not listed at all */

static const struct row {
    const char *name;
    unsigned eras;
    change *change;
    enum outcome outcome;
    unsigned starts; /* of the CPU, where it comes to rest */
    unsigned vv[REGIONS];
} rows[] = {
    {"all of one release", ALL, nothing, RUNS, 1, {30, 30, 30, 30, NONE}},
    {"application needs a newer system",
     ALL,
     user_needs_more,
     SAFE_MODE,
     1,
     {30, 30, 30, 26, NONE}},
    {"application for a P1", ALL, user_for_a_p1, SAFE_MODE, 1, {30, 30, 30, 14, NONE}},
    {"application damaged", ALL, user_damaged, SAFE_MODE, 1, {30, 30, 30, 28, NONE}},
    {"application erased", ALL, user_missing, SAFE_MODE, 1, {30, 30, 30, NONE, NONE}},
    {"application zeroed", ALL, user_zeroed, SAFE_MODE, 1, {30, 30, 30, NONE, NONE}},
    {"application erased, factory image",
     ALL,
     user_missing_with_factory,
     RUNS,
     4,
     {30, 30, 30, 30, 30}},
    {"application erased, factory image damaged",
     ALL,
     user_missing_factory_damaged,
     RESTART_LOOP,
     0,
     {0}},
    {"part1 erased", ALL, part1_missing, DFU, 1, {0}},
    {"part1 erased, factory image", ALL, part1_missing_with_factory, COPY_LOOP, 0, {0}},
    {"part1 damaged", ALL, part1_damaged, RUNS, 1, {30, 28, 30, 30, NONE}},
    {"part2 damaged", OLD, part2_damaged, RUNS, 1, {30, 30, 28, 30, NONE}},
    {"part2 damaged", NEW, part2_damaged, SAFE_MODE, 1, {30, 30, 28, 30, NONE}},
    {"part2 erased", ALL, part2_missing, DARK, 1, {0}},
    {"part1 newer, without dependencies", E_0_4_4, part1_of_0_5_2, RUNS, 1, {30, 30, 30, 30, NONE}},
    {"part1 newer, needs part2 207", OLD, part1_of_1_5_0, RUNS, 1, {30, 26, 30, 30, NONE}},
    {"part1 older", OLD, part1_of_0_4_3, RUNS, 1, {30, 30, 26, 30, NONE}},
    {"part1 older", NEW, part1_of_0_5_2, SOS_LOOP, 0, {0}},
    {"part2 needs a newer bootloader",
     OLD,
     part2_needs_another_bootloader,
     RUNS,
     1,
     {30, 30, 30, 30, NONE}},
    {"part2 needs a newer bootloader",
     NEW,
     part2_needs_another_bootloader,
     SAFE_MODE,
     1,
     {30, 30, 26, 30, NONE}},
    {"bootloader 7", NEW, bootloader_7, SAFE_MODE, 1, {30, 30, 26, 30, NONE}},
    {"bootloader 501", E_2_2_0, bootloader_501, SAFE_MODE, 1, {30, 30, 26, 30, NONE}},
    {"bootloader 1006", OLD, bootloader_1006_after_another, RUNS, 1, {30, 30, 30, 30, NONE}},
    {"bootloader 1006, StartupMode 0xFF",
     OLD,
     bootloader_1006,
     SAFE_MODE,
     1,
     {30, 30, 30, 30, NONE}},
    {"bootloader 1006", E_1_5_0, bootloader_1006, RUNS, 1, {30, 30, 30, 30, NONE}},
    {"bootloader 2, StartupMode 0xFF", OLD, bootloader_2, SAFE_MODE, 1, {30, 30, 30, 30, NONE}},
    {"bootloader 2", NEW, bootloader_2, SAFE_MODE, 1, {28, 30, 26, 30, NONE}},
    {"bootloader damaged", OLD, bootloader_damaged, RUNS, 1, {28, 30, 30, 30, NONE}},
    {"bootloader damaged", NEW, bootloader_damaged, SAFE_MODE, 1, {28, 30, 30, 30, NONE}},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* --- what becomes of the board --- */

static struct test_record record;

static bool begins(const char *text, const char *with)
{
    return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

struct course {
    enum outcome outcome;
    unsigned starts;
    bool white, green, attached; /* seen on the way */
};

static void sum_up(struct course *course)
{
    unsigned erases = 0;
    bool sos = false;

    for (size_t i = 0; i < record.count; i++) {
        const struct board_event *event = &record.events[i];
        const struct led *led = &event->u.led;

        switch (event->kind) {
        case BOARD_EVENT_RESET:
            course->starts++;
            break;
        case BOARD_EVENT_FLASH_ERASE:
            erases += event->u.flash.address == MAP_USER;
            break;
        case BOARD_EVENT_USB_ATTACH:
            course->attached = true;
            break;
        case BOARD_EVENT_LED:
            sos = sos || (led->pattern == LED_SOS && led->code == 1 && led->colour == 0xFF0000);
            course->white = course->white || (led->pattern == LED_SOLID && led->colour == 0xFFFFFF);
            course->green = course->green || (led->pattern == LED_TOGGLE &&
                                              led->colour == 0x00FF00 && led->period_ms == 50);
            break;
        case BOARD_EVENT_BOOT:
            if (begins(event->text, "safe mode:")) {
                course->outcome = SAFE_MODE;
            } else if (begins(event->text, "application runs")) {
                course->outcome = RUNS;
            }
            break;
        default:
            break;
        }
    }
    if (course->starts > RESETS_MAX) {
        course->outcome = sos ? SOS_LOOP : erases > 2 ? COPY_LOOP : RESTART_LOOP;
    }
}

static struct course start(struct board *board)
{
    const uint64_t limit = board->now + LIMIT;
    struct course course = {.outcome = DARK};
    struct led led;

    test_record(board, &record);
    board->ops->power(board, true);
    while (board->ops->next_deadline(board) <= limit &&
           !(board->ops->attached(board) && board->ops->ready_at(board) <= board->now)) {
        unsigned resets = 0;

        board_advance_to(board, board->ops->next_deadline(board));
        for (size_t i = 0; i < record.count; i++) {
            resets += record.events[i].kind == BOARD_EVENT_RESET;
        }
        if (resets > RESETS_MAX) {
            break;
        }
    }
    sum_up(&course);
    led = board->ops->led(board);
    if (board->ops->attached(board) && led.colour == 0xFFFF00) {
        course.outcome = DFU;
    }
    return course;
}

static void check_led(struct board *board, const struct course *course)
{
    struct led led;

    board_advance(board, BOARD_NS_PER_S); /* from the attach to the pattern that stays */
    led = board->ops->led(board);
    switch (course->outcome) {
    case RUNS:
    case SAFE_MODE: /* without credentials it looks like any other */
        ck_assert_int_eq(led.pattern, LED_TOGGLE);
        ck_assert_uint_eq(led.colour, 0x0000FF);
        ck_assert_uint_eq(led.period_ms, 250);
        break;
    case DFU:
        ck_assert_int_eq(led.pattern, LED_TOGGLE);
        ck_assert_uint_eq(led.colour, 0xFFFF00);
        ck_assert_uint_eq(led.period_ms, 100);
        break;
    case DARK:
        ck_assert_int_eq(led.pattern, LED_OFF);
        ck_assert(!course->white && !course->attached);
        break;
    case COPY_LOOP:
        ck_assert(!course->white && !course->green && !course->attached);
        break;
    case RESTART_LOOP:
        ck_assert(course->white && course->green && !course->attached);
        break;
    case SOS_LOOP:
        ck_assert(course->white && !course->attached);
        break;
    }
}

/* --- what `s` lists --- */

static uint32_t word(const struct flash *flash, uint32_t address)
{
    uint8_t b[4];

    flash_read(flash, address, b, sizeof(b));
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static unsigned half(const struct flash *flash, uint32_t address)
{
    return word(flash, address) & 0xFFFF;
}

static unsigned byte(const struct flash *flash, uint32_t address)
{
    return word(flash, address) & 0xFF;
}

struct text {
    char bytes[2048];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
{
    size_t room = sizeof(text->bytes) - text->length;
    va_list arguments;
    int written;

    va_start(arguments, format);
    written = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    ck_assert(written >= 0 && (size_t)written < room);
    text->length += (size_t)written;
}

static char letter(unsigned function)
{
    return "_rbmsu"[function];
}

static void append_module(struct text *text, const struct flash *flash, const struct era *era,
                          unsigned number)
{
    const uint32_t address = regions[number].address;
    const uint32_t prefix = address + (number <= PART2 ? 0x184 : 0);
    const uint32_t sha256 = address + (word(flash, prefix + 4) - word(flash, prefix)) - 34;
    const char *comma = "";

    if (number >= USER) {
        append(text, ",\"u\":\"");
        for (uint32_t i = 0; i < 32; i++) {
            append(text, "%02X", byte(flash, sha256 + i));
        }
        append(text, "\"");
    }
    append(text, ",\"f\":\"%c\",\"n\":\"%u\",\"v\":%u,\"d\":[", letter(byte(flash, prefix + 14)),
           byte(flash, prefix + 15), half(flash, prefix + 10));
    for (uint32_t at = prefix + 16; at < prefix + 16 + 4 * era->dependencies; at += 4) {
        if (byte(flash, at) != 0) {
            append(text, "%s{\"f\":\"%c\",\"n\":\"%u\",\"v\":%u%s}", comma, letter(byte(flash, at)),
                   byte(flash, at + 1), half(flash, at + 2), era->empty_pair ? ",\"_\":\"\"" : "");
            comma = ",";
        }
    }
    append(text, "]}");
}

/* The grammar of the listing, with the row's verdicts. */
static void expect_listing(struct client *client, const struct row *row, const struct era *era)
{
    const struct flash *flash = photon_flash(client->board);
    struct text text = {.length = 0};
    const char *comma = "";

    append(&text, "{\"p\":6,\"m\":[");
    for (unsigned i = 0; i < REGIONS; i++) {
        if (row->vv[i] == NONE && !era->lists_empty) {
            continue;
        }
        append(&text, "%s{\"s\":%u,\"l\":\"%c\",\"vc\":30,\"vv\":%u", comma,
               (unsigned)regions[i].size, regions[i].store, row->vv[i]);
        comma = ",";
        if (row->vv[i] == NONE) {
            append(&text, ",\"d\":[]}");
        } else {
            append_module(&text, flash, era, i);
        }
    }
    append(&text, "]}\r\n");
    client_expect(client, "s", text.bytes);
}

/* --- the table --- */

/* Loop number: row * ERAS + era. */
START_TEST(test_what_starts_with_which_modules)
{
    static struct client client;
    const struct row *row = &rows[(size_t)_i / ERAS];
    const struct era *era = &eras[(size_t)_i % ERAS];
    struct board *board;
    struct course course;

    if ((row->eras & era->bit) == 0) {
        return;
    }
    board = client_board(era->release);
    row->change(photon_flash(board), era);
    course = start(board);
    ck_assert_msg(
        course.outcome == row->outcome && (row->starts == 0 || course.starts == row->starts),
        "%s, %s: %s after %u starts, expected: %s after %u", era->release, row->name,
        outcome_names[course.outcome], course.starts, outcome_names[row->outcome], row->starts);
    check_led(board, &course);
    if (row->outcome == RUNS || row->outcome == SAFE_MODE) {
        ck_assert(client_open(&client, board));
        expect_listing(&client, row, era);
    }
    board->ops->destroy(board);
}
END_TEST

/* --- bootloader 2 leaves StartupMode as it is in new settings --- */

static const struct dct_rules swapping = {.format = DCT_FORMAT_SWAP};

static uint8_t startup_mode(struct board *board)
{
    uint8_t flags[19];

    dct_read(photon_flash(board), &swapping, DCT_SYSTEM_FLAGS, flags, sizeof(flags));
    ck_assert_mem_eq(flags, "\xC0\xAC\xDE\x1A", 4); /* written */
    return flags[18];
}

/* 0.4.0 and 0.4.1 expect it (device-os v0.4.0 system/src/main.cpp); all later systems before 0.6
 * take it for safe mode, until the bootloader that they bring has cleared it. */
START_TEST(test_bootloader_2_keeps_an_erased_startup_mode)
{
    const struct era *era = &eras[_i];
    struct board *board = client_board(era->release);

    bootloader_2(photon_flash(board), era);
    ck_assert_int_eq(start(board).outcome, SAFE_MODE);
    ck_assert_uint_eq(startup_mode(board), 0xFF);
    board->ops->power(board, false);
    ck_assert_int_eq(start(board).outcome, RUNS);
    ck_assert_uint_eq(startup_mode(board), 0);
    board->ops->destroy(board);
}
END_TEST

START_TEST(test_0_4_0_runs_with_an_erased_startup_mode)
{
    struct board *board = client_board("0.4.0");

    ck_assert_int_eq(start(board).outcome, RUNS);
    ck_assert_uint_eq(startup_mode(board), 0xFF);
    board->ops->power(board, false);
    ck_assert(flash_load(photon_flash(board),
                         dct_application(photon_flash(board), &swapping) + DCT_SYSTEM_FLAGS + 18,
                         "\1", 1));
    ck_assert_int_eq(start(board).outcome, RUNS); /* cleared: that is no relic */
    ck_assert_uint_eq(startup_mode(board), 0);
    board->ops->destroy(board);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("combinations");
    TCase *table = tcase_create("table");
    SRunner *runner;
    int first, end, failed;

    script_pick(argc, argv, ROWS * ERAS, &first, &end);
    tcase_set_timeout(table, 60);
    tcase_add_loop_test(table, test_what_starts_with_which_modules, first, end);
    if (first == 0) {
        tcase_add_loop_test(table, test_bootloader_2_keeps_an_erased_startup_mode, 0, 2);
        tcase_add_test(table, test_0_4_0_runs_with_an_erased_startup_mode);
    }
    suite_add_tcase(suite, table);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
