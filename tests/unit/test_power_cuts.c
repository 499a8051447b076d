/*
 * Power cuts at flash operations of a download, of a pending-module copy and of a DCT write:
 * before, within and after each. Whatever is left, the board then boots into a state that the table
 * below allows for what is in its flash, and nothing outside the target has changed.
 *
 * Long ways are sampled by a stride, or taken whole (support_every.h).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_board.h"
#include "tests/unit/support_dfu_host.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_every.h"
#include "tests/unit/support_script.h"

#define STEPS_MAX     80
#define STRETCHES_MAX 400
#define BOOT_LIMIT    (100 * BOARD_NS_PER_S)
/* More resets than any way to a quiet board takes. */
#define RESETS_MAX 12
/* The prefix, and how much of it bootloader and system look at: up to the function. */
#define MODULE_PREFIX    UINT32_C(0x184)
#define PREFIX_LOOKED_AT 15
/* The longest suffix, and the CRC. */
#define SEAL_SIZE 44
/* Operations at the end of a stretch that are always tried: those that write a seal, and more. */
#define TAIL (SEAL_SIZE / 4 + 1)

/* --- what may come of what is in the flash --- */

/* A part in its place. */
enum {
    MISSING = 1,  /* no prefix that names the place */
    TORN = 2,     /* prefix, but not the whole body */
    UNSEALED = 4, /* only the suffix or the CRC is missing */
    FRAYED = 8,   /* the same, and the last word of the body */
    WHOLE = 16,
    ANY = 31
};

enum {
    RUNS = 1,
    SAFE_MODE = 2,
    DFU = 4,
    DARK = 8,         /* crashed: no USB, until reset */
    COPY_LOOP = 16,   /* restores the application for ever */
    RESTART_LOOP = 32 /* the system asks for a factory reset for ever */
};

static const struct rule {
    unsigned part1, user, factory; /* sets */
    unsigned outcome;              /* set */
    const char *why;
} rules[] = {
    {MISSING, ANY, WHOLE, COPY_LOOP,
     "bootloader: no system, but a factory image: copies it and resets, for ever"},
    {MISSING, ANY, ANY, DFU, "bootloader: no system and no factory image"},
    {TORN, ANY, ANY, DARK, "bootloader looks at the prefix alone and jumps into garbage"},
    {FRAYED, WHOLE, ANY, RUNS | DARK, "nobody knows whether the last word is ever read"},
    {FRAYED, ANY, ANY, SAFE_MODE | DARK, "the same"},
    {ANY, WHOLE, ANY, RUNS, "nobody looks at the CRC of part1, the application is good"},
    {ANY, TORN | FRAYED | UNSEALED, ANY, SAFE_MODE, "system: the application's CRC is wrong"},
    {ANY, MISSING, WHOLE, RUNS, "system: no application, the factory image is restored"},
    {ANY, MISSING, TORN | FRAYED | UNSEALED, RESTART_LOOP,
     "system: no application, asks for an image that the bootloader refuses"},
    {ANY, MISSING, MISSING, SAFE_MODE, "system: no application and no image"},
};

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* Looks at a part whose whole image is known: `image`, `size` bytes for `destination`. */
static unsigned judge_image(const uint8_t *found, const uint8_t *image, size_t size)
{
    size_t prefix = word_at(image) == UINT32_C(0x20020000) ? MODULE_PREFIX : 0;

    if (memcmp(found + prefix, image + prefix, PREFIX_LOOKED_AT) != 0 ||
        (prefix != 0 && memcmp(found, image, 4) != 0)) {
        return MISSING;
    }
    if (memcmp(found, image, size) == 0) {
        return WHOLE;
    }
    if (memcmp(found, image, size - SEAL_SIZE) == 0) {
        return UNSEALED;
    }
    return memcmp(found, image, size - SEAL_SIZE - 4) == 0 ? FRAYED : TORN;
}

/* --- a way to go, in steps, with a snapshot before each --- */

struct course;

struct way {
    const char *name;
    void (*prepare)(struct course *course);
    bool (*step)(struct course *course, unsigned number); /* false: there is no such step */
    /* What only this way leads to, looked at after the boot. */
    void (*judge)(struct course *course);
    uint32_t sectors; /* bit n: sector n may change */
    /* Of the operations tried in these sectors and elsewhere, unless every one is taken. */
    unsigned stride, stride_elsewhere;
};

/* Operations in a row: an erase, or programming from one address on. */
struct stretch {
    uint64_t first;
    uint32_t address, end;
    unsigned step;
};

struct course {
    const struct way *way;
    unsigned image;
    bool factory;
    struct board *board, *start; /* at work; before the first step */
    struct board *snapshots[STEPS_MAX];
    unsigned steps;
    uint64_t operations[STEPS_MAX + 1]; /* before each step, and at the end */
    struct stretch stretches[STRETCHES_MAX];
    size_t stretch_count;
    unsigned cases;
    /* Files: the one that comes, and the one that was there. */
    uint8_t file[FACTORY_MAX_SIZE], old[FACTORY_MAX_SIZE], part1[FACTORY_MAX_SIZE];
    size_t file_size, old_size, part1_size;
    /* The case under way. */
    uint64_t operation;
    enum flash_cut cut;
    unsigned found_part1, found_user, found_factory, outcome;
    bool pending;
};

static const char *const cut_names[] = {"before", "within", "after"};

__attribute__((noreturn)) static void wrong(const struct course *course, const char *what)
{
    ck_abort_msg("%s, bootloader %s (release %s)%s, supply fails %s operation %llu of %llu: %s\n"
                 "  found part1 %u, user %u, factory %u, slot %spending; outcome %u",
                 course->way->name, test_images[course->image].name,
                 test_images[course->image].release, course->factory ? ", factory image" : "",
                 cut_names[course->cut],
                 (unsigned long long)(course->operation - course->operations[0]),
                 (unsigned long long)(course->operations[course->steps] - course->operations[0]),
                 what, course->found_part1, course->found_user, course->found_factory,
                 course->pending ? "" : "not ", course->outcome);
    abort();
}

static void read_flash(struct board *board, uint32_t address, uint8_t *bytes, size_t length)
{
    /* A ck_assert writes to a file even when all is well: none where every case comes by. */
    if (!board->ops->flash_read(board, address, bytes, length)) {
        ck_abort_msg("no flash at 0x%08X", (unsigned)address);
    }
}

/* --- host --- */

static struct test_record record; /* of the step or the boot under way */

/* Runs until the board waits for a host, is lost or has no power; says how often it was reset. */
static unsigned settle(struct board *board)
{
    const uint64_t limit = board->now + BOOT_LIMIT;
    unsigned resets = 0;
    size_t seen = 0;

    for (;;) {
        uint64_t next = board->ops->next_deadline(board);

        for (; seen < record.count; seen++) {
            resets += record.events[seen].kind == BOARD_EVENT_RESET;
        }
        if (next > limit || resets > RESETS_MAX ||
            (board->ops->attached(board) && board->ops->ready_at(board) <= board->now)) {
            return resets;
        }
        board_advance_to(board, next > board->now ? next : board->now + 1);
    }
}

/* Leaves DFU mode and waits for what comes of it. */
static void leave(struct board *board)
{
    if (dfu_host_leave(board)) {
        settle(board);
    }
}

/* --- the ways --- */

static size_t build_user(uint16_t version, uint32_t size, const struct release *release,
                         uint8_t *image)
{
    struct module_spec spec;

    factory_spec(release, FACTORY_USER, support_sha256, &spec);
    spec.size = size;
    spec.info.version = version;
    spec.fill_seed = version;
    ck_assert(module_build(&spec, image));
    return size;
}

static const struct release *release_under(const struct course *course)
{
    return release_find(test_images[course->image].release);
}

/* A board that has run before, so that its system has nothing to set up. */
static void enter_dfu(struct course *course)
{
    struct board *board = course->board;

    board->ops->power(board, true);
    ck_assert(test_board_until_attached(board, BOOT_LIMIT));
    board->ops->power(board, false);
    ck_assert(test_board_enter_dfu(board));
}

static void prepare_user_download(struct course *course)
{
    course->file_size = build_user(77, 2 * DFU_BLOCK - 3000, release_under(course), course->file);
    enter_dfu(course);
}

static bool block_step(struct course *course, uint32_t address, unsigned block)
{
    size_t at = (size_t)block * DFU_BLOCK, left = course->file_size - at;

    if (at >= course->file_size) {
        return false;
    }
    (void)dfu_host_write(course->board, address + (uint32_t)at, course->file + at,
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
        leave(course->board);
        return true;
    default:
        return number < 3 && block_step(course, MAP_USER, number - 1);
    }
}

static void prepare_part1_download(struct course *course)
{
    memcpy(course->file, course->part1, course->part1_size);
    course->file_size = course->part1_size;
    enter_dfu(course);
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

    enter_dfu(course);
    place = test_dct(course->board) + DCT_FLASH_MODULES + sizeof(slot);
    course->file_size = build_user(77, 0x800, release_under(course), course->file);
    ck_assert(flash_load(photon_flash(course->board), MAP_OTA, course->file, course->file_size));
    ck_assert(flash_load(photon_flash(course->board), place, slot, sizeof(slot)));
}

static bool step_leave(struct course *course, unsigned number)
{
    if (number == 0) {
        leave(course->board);
    }
    return number == 0;
}

/* A slot that was still pending has been served. */
static void judge_pending(struct course *course)
{
    static uint8_t found[FACTORY_MAX_SIZE];
    uint8_t magic[2];

    read_flash(course->board, test_dct(course->board) + DCT_FLASH_MODULES + 20, magic,
               sizeof(magic));
    if (magic[0] == 0xCD && magic[1] == 0xAB) {
        wrong(course, "the slot is still pending after a boot");
    }
    read_flash(course->board, MAP_USER, found, course->file_size);
    if (course->pending && memcmp(found, course->file, course->file_size) != 0) {
        wrong(course, "the pending module is not in its place");
    }
}

#define DCT_PLACE DCT_CLAIM_CODE
static const uint8_t dct_old[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
static const uint8_t dct_new[8] = {0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88};

static void prepare_dct_write(struct course *course)
{
    enter_dfu(course);
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

    read_flash(course->board, test_dct(course->board) + DCT_PLACE, found, sizeof(found));
    if (memcmp(found, dct_old, 8) == 0 || memcmp(found, dct_new, 8) == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(found); i++) {
        const uint8_t both = dct_old[i] & dct_new[i];

        /* A cell that must stay set in both has stayed, and none was set that was not in either. */
        if (!may_mix || (found[i] & both) != both ||
            (found[i] & (uint8_t) ~(dct_old[i] | dct_new[i])) != 0) {
            wrong(course, "the DCT has neither old nor new data, nor old AND new");
        }
    }
}

/* --- judging --- */

static bool dct_bytes_same(struct course *course, uint32_t from, uint32_t to)
{
    static uint8_t before[DCT_APPLICATION_SIZE], after[DCT_APPLICATION_SIZE];

    read_flash(course->start, test_dct(course->start) + from, before, to - from);
    read_flash(course->board, test_dct(course->board) + from, after, to - from);
    return memcmp(before, after, to - from) == 0;
}

/* The application section but for flags, module slots and what the way itself writes there. */
static void check_dct(struct course *course)
{
    if (!dct_bytes_same(course, 32, DCT_PLACE) ||
        !dct_bytes_same(course, DCT_PLACE + 8, DCT_FLASH_MODULES) ||
        !dct_bytes_same(course, DCT_FLASH_MODULES + 100, 4258)) {
        wrong(course, "DCT fields that nobody writes have changed");
    }
}

/* Pages are shared until they change, so most of the flash need not be compared. */
static void check_elsewhere(struct course *course)
{
    for (unsigned sector = 0; sector < FLASH_SECTORS; sector++) {
        uint32_t at = flash_sectors[sector].address, end = at + flash_sectors[sector].size;

        if (course->way->sectors >> sector & 1 || sector == MAP_SECTOR_DCT1 ||
            sector == MAP_SECTOR_DCT2) {
            continue;
        }
        for (; at < end; at += FLASH_PAGE) {
            size_t length;
            const uint8_t *before = flash_peek(photon_flash(course->start), at, &length);
            const uint8_t *after = flash_peek(photon_flash(course->board), at, &length);

            if (before != after && memcmp(before, after, FLASH_PAGE) != 0) {
                wrong(course, "flash outside the target has changed");
            }
        }
    }
}

static bool begins(const char *text, const char *with)
{
    return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

/* Gives the board power and says what becomes of it. */
static unsigned boot(struct board *board)
{
    unsigned resets, erases = 0, outcome = 0;

    test_record(board, &record);
    board->ops->power(board, true);
    resets = settle(board);
    for (size_t i = 0; i < record.count; i++) {
        const struct board_event *event = &record.events[i];

        erases += event->kind == BOARD_EVENT_FLASH_ERASE && event->u.flash.address == MAP_USER;
        if (event->kind == BOARD_EVENT_BOOT && begins(event->text, "application runs")) {
            outcome = RUNS;
        } else if (event->kind == BOARD_EVENT_BOOT && begins(event->text, "safe mode:")) {
            outcome = SAFE_MODE;
        }
    }
    if (resets > RESETS_MAX) {
        return erases > 2 ? COPY_LOOP : RESTART_LOOP;
    }
    if (board->ops->attached(board)) {
        const struct led led = board->ops->led(board);

        return led.pattern == LED_TOGGLE && led.colour == 0xFFFF00 ? DFU : outcome;
    }
    return board->ops->ready_at(board) == BOARD_NEVER && board->ops->powered(board) ? DARK : 0;
}

/* What the flash has, before anything boots. */
static void look(struct course *course)
{
    static uint8_t found[FACTORY_MAX_SIZE];
    uint8_t magic[2];
    unsigned as_new;

    read_flash(course->board, MAP_SYSTEM_PART1, found, course->part1_size);
    course->found_part1 = judge_image(found, course->part1, course->part1_size);
    read_flash(course->board, MAP_USER, found, MAP_USER_SIZE);
    course->found_user = judge_image(found, course->old, course->old_size);
    as_new = judge_image(found, course->file, course->file_size);
    if (as_new > course->found_user && course->file_size < course->part1_size) {
        course->found_user = as_new;
    }
    read_flash(course->board, MAP_FACTORY, found, course->old_size);
    course->found_factory = judge_image(found, course->old, course->old_size);
    read_flash(course->board, test_dct(course->board) + DCT_FLASH_MODULES + 20, magic,
               sizeof(magic));
    course->pending = magic[0] == 0xCD && magic[1] == 0xAB;
    if (course->pending) {
        course->found_user = WHOLE; /* by the time it is looked at */
    }
}

static void judge(struct course *course)
{
    const struct rule *rule = rules;

    course->outcome = 0;
    look(course);
    course->outcome = boot(course->board);
    while ((rule->part1 & course->found_part1) == 0 || (rule->user & course->found_user) == 0 ||
           (rule->factory & course->found_factory) == 0) {
        rule++;
    }
    if ((rule->outcome & course->outcome) == 0) {
        wrong(course, rule->why);
    }
    check_elsewhere(course);
    check_dct(course);
    if (course->way->judge != NULL) {
        course->way->judge(course);
    }
}

static void one_case(struct course *course, unsigned step)
{
    struct flash *flash;

    course->cases++;
    if (!course->board->ops->restore(course->board, course->snapshots[step])) {
        ck_abort_msg("memory is short");
    }
    test_record(course->board, &record);
    flash = photon_flash(course->board);
    flash_cut_at(flash, course->operation, course->cut);
    (void)course->way->step(course, step);
    if (flash_powered(flash)) {
        wrong(course, "the operation never came");
    }
    course->board->ops->power(course->board, false);
    judge(course);
}

static void note_stretches(struct course *course)
{
    struct stretch *last = NULL;

    for (size_t i = 0; i < record.count; i++) {
        const struct board_event *event = &record.events[i];
        struct stretch next = {event->u.flash.operation, event->u.flash.address,
                               event->u.flash.address + event->u.flash.length, course->steps};

        if (event->kind == BOARD_EVENT_FLASH_PROGRAM && last != NULL && last->end == next.address) {
            last->end = next.end;
        } else if (event->kind == BOARD_EVENT_FLASH_ERASE ||
                   event->kind == BOARD_EVENT_FLASH_PROGRAM) {
            ck_assert_uint_lt(course->stretch_count, STRETCHES_MAX);
            if (last == NULL) {
                next.first = course->operations[course->steps]; /* option bytes before it */
            }
            last = &course->stretches[course->stretch_count++];
            *last = next;
        }
    }
}

/* Goes the whole way once, with a snapshot before each step. */
static void survey(struct course *course)
{
    struct flash *flash = photon_flash(course->board);
    bool more = true;

    while (more) {
        ck_assert_uint_lt(course->steps, STEPS_MAX);
        course->operations[course->steps] = flash_operations(flash);
        course->snapshots[course->steps] = course->board->ops->clone(course->board);
        test_record(course->board, &record);
        more = course->way->step(course, course->steps);
        note_stretches(course);
        course->steps += more;
    }
    course->snapshots[course->steps]->ops->destroy(course->snapshots[course->steps]);
}

/* The first two operations of a stretch and its last ones always, a stride between them. */
static void try_stretch(struct course *course, size_t number)
{
    const struct stretch *stretch = &course->stretches[number];
    const uint64_t end = number + 1 < course->stretch_count && stretch[1].step == stretch->step
                             ? stretch[1].first
                             : course->operations[stretch->step + 1];
    const uint64_t last = end - 1;
    const uint64_t tail = last - stretch->first > TAIL ? last - TAIL : stretch->first;
    const bool target = course->way->sectors >> flash_sector_of(stretch->address) & 1;
    unsigned stride = target ? course->way->stride : course->way->stride_elsewhere;

    if (support_every_case()) {
        stride = 1;
    }
    for (course->operation = stretch->first; course->operation <= last;) {
        for (course->cut = FLASH_CUT_BEFORE; course->cut <= FLASH_CUT_AFTER; course->cut++) {
            one_case(course, stretch->step);
        }
        if (course->operation == stretch->first || course->operation >= tail) {
            course->operation++;
        } else {
            course->operation =
                course->operation + stride < tail ? course->operation + stride : tail;
        }
    }
}

static void run_way(const struct way *way, unsigned image, bool factory)
{
    struct course *course = calloc(1, sizeof(*course));

    ck_assert_ptr_nonnull(course);
    course->way = way;
    course->image = image;
    course->factory = factory;
    course->board = test_board(image, factory);
    course->part1_size = test_module(test_images[image].release, FACTORY_PART1, course->part1);
    course->old_size = test_module(test_images[image].release, FACTORY_USER, course->old);
    way->prepare(course);
    course->start = course->board->ops->clone(course->board);
    survey(course);
    for (size_t i = 0; i < course->stretch_count; i++) {
        try_stretch(course, i);
    }
    ck_assert_uint_gt(course->cases, 500);
    for (unsigned i = 0; i < course->steps; i++) {
        course->snapshots[i]->ops->destroy(course->snapshots[i]);
    }
    course->start->ops->destroy(course->start);
    course->board->ops->destroy(course->board);
    free(course);
}

#define SECTOR(n) (UINT32_C(1) << (n))

static const struct way user_download = {
    "download of an application",
    prepare_user_download,
    step_user_download,
    NULL,
    SECTOR(9),
    1,
    199,
};
static const struct way part1_download = {
    "download of part1",
    prepare_part1_download,
    step_part1_download,
    NULL,
    SECTOR(5) | SECTOR(6) | SECTOR(9),
    251,
    251,
};
static const struct way pending_copy = {
    "copy of a pending module", prepare_pending, step_leave, judge_pending, SECTOR(9), 1, 101,
};
static const struct way dct_update = {
    "DCT write", prepare_dct_write, step_dct_write, judge_dct_write, 0, 17, 17,
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
    run_way(tests[_i].way, tests[_i].image, tests[_i].factory);
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
