#include "tests/unit/support_cuts.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_dfu_host.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_every.h"

#define BOOT_LIMIT (100 * BOARD_NS_PER_S)
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

#define ANY (CUTS_MISSING | CUTS_TORN | CUTS_UNSEALED | CUTS_FRAYED | CUTS_WHOLE)

enum {
    RUNS = 1,
    SAFE_MODE = 2,
    DFU = 4,
    DARK = 8,          /* crashed: no USB, until reset */
    COPY_LOOP = 16,    /* restores the application for ever */
    RESTART_LOOP = 32, /* the system asks for a factory reset for ever */
    BRICK = 64         /* dark, and neither reset nor power nor the button helps */
};

/* Since when a system does not start an application over a bootloader whose CRC is wrong. */
#define OLD_SYSTEMS UINT32_C(0x3F) /* images 2 to 11 */
#define NEW_SYSTEMS (~OLD_SYSTEMS)
#define ALL_SYSTEMS UINT32_MAX

static const struct rule {
    uint32_t images;                           /* bit n: bootloader image n at the start */
    unsigned bootloader, part1, user, factory; /* sets */
    unsigned outcome;                          /* set */
    const char *why;
} rules[] = {
    {ALL_SYSTEMS, CUTS_MISSING | CUTS_TORN, ANY, ANY, ANY, BRICK,
     "nothing that could start anything"},
    {ALL_SYSTEMS, CUTS_FRAYED, ANY, ANY, ANY, RUNS | SAFE_MODE | BRICK,
     "nobody knows whether the bootloader's last word is ever read"},
    {NEW_SYSTEMS, CUTS_UNSEALED, CUTS_WHOLE, ANY, ANY, SAFE_MODE,
     "system: the bootloader's CRC is wrong"},
    {ALL_SYSTEMS, ANY, CUTS_MISSING, ANY, CUTS_WHOLE, COPY_LOOP,
     "bootloader: no system, but a factory image: copies it and resets, for ever"},
    {ALL_SYSTEMS, ANY, CUTS_MISSING, ANY, ANY, DFU, "bootloader: no system and no factory image"},
    {ALL_SYSTEMS, ANY, CUTS_TORN, ANY, ANY, DARK,
     "bootloader looks at the prefix alone and jumps into garbage"},
    {ALL_SYSTEMS, ANY, CUTS_FRAYED, CUTS_WHOLE, ANY, RUNS | DARK,
     "nobody knows whether the last word is ever read"},
    {ALL_SYSTEMS, ANY, CUTS_FRAYED, ANY, ANY, SAFE_MODE | DARK, "the same"},
    {ALL_SYSTEMS, ANY, ANY, CUTS_WHOLE, ANY, RUNS,
     "nobody looks at the CRC of part1, the application is good"},
    {ALL_SYSTEMS, ANY, ANY, CUTS_TORN | CUTS_FRAYED | CUTS_UNSEALED, ANY, SAFE_MODE,
     "system: the application's CRC is wrong"},
    {ALL_SYSTEMS, ANY, ANY, CUTS_MISSING, CUTS_WHOLE, RUNS,
     "system: no application, the factory image is restored"},
    {ALL_SYSTEMS, ANY, ANY, CUTS_MISSING, CUTS_TORN | CUTS_FRAYED | CUTS_UNSEALED, RESTART_LOOP,
     "system: no application, asks for an image that the bootloader refuses"},
    {ALL_SYSTEMS, ANY, ANY, CUTS_MISSING, CUTS_MISSING, SAFE_MODE,
     "system: no application and no image"},
};

static bool holds(const struct rule *rule, const struct course *course)
{
    const unsigned sets[CUTS_PARTS] = {rule->bootloader, rule->part1, rule->user, rule->factory};

    for (unsigned part = 0; part < CUTS_PARTS; part++) {
        if ((sets[part] & course->found[part]) == 0) {
            return false;
        }
    }
    return (rule->images >> course->image & 1) != 0;
}

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
        return CUTS_MISSING;
    }
    if (memcmp(found, image, size) == 0) {
        return CUTS_WHOLE;
    }
    if (memcmp(found, image, size - SEAL_SIZE) == 0) {
        return CUTS_UNSEALED;
    }
    return memcmp(found, image, size - SEAL_SIZE - 4) == 0 ? CUTS_FRAYED : CUTS_TORN;
}

/* --- helpers of the ways --- */

static const char *const cut_names[] = {"before", "within", "after"};

void cuts_wrong(const struct course *course, const char *what)
{
    ck_abort_msg(
        "%s, bootloader %s (release %s)%s, supply fails %s operation %llu of %llu: %s\n"
        "  found bootloader %u, part1 %u, user %u, factory %u, slot %spending; outcome %u",
        course->way->name, test_images[course->image].name, test_images[course->image].release,
        course->factory ? ", factory image" : "", cut_names[course->cut],
        (unsigned long long)(course->operation - course->operations[0]),
        (unsigned long long)(course->operations[course->steps] - course->operations[0]), what,
        course->found[CUTS_BOOTLOADER], course->found[CUTS_PART1], course->found[CUTS_USER],
        course->found[CUTS_FACTORY], course->pending ? "" : "not ", course->outcome);
    abort();
}

void cuts_read(struct board *board, uint32_t address, uint8_t *bytes, size_t length)
{
    /* A ck_assert writes to a file even when all is well: none where every case comes by. */
    if (!board->ops->flash_read(board, address, bytes, length)) {
        ck_abort_msg("no flash at 0x%08X", (unsigned)address);
    }
}

static struct test_record record; /* of the step or the boot under way */

unsigned cuts_settle(struct board *board)
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

void cuts_build_user(struct cuts_file *file, uint16_t version, uint32_t size,
                     const struct release *release)
{
    struct module_spec spec;

    factory_spec(release, FACTORY_USER, support_sha256, &spec);
    spec.size = size;
    spec.info.version = version;
    spec.fill_seed = version;
    ck_assert(module_build(&spec, file->bytes));
    file->size = size;
}

const struct release *cuts_release(const struct course *course)
{
    return release_find(test_images[course->image].release);
}

void cuts_enter_dfu(struct course *course)
{
    struct board *board = course->board;

    board->ops->power(board, true);
    ck_assert(test_board_until_attached(board, BOOT_LIMIT));
    board->ops->power(board, false);
    ck_assert(test_board_enter_dfu(board));
}

void cuts_leave(struct board *board)
{
    if (dfu_host_leave(board)) {
        cuts_settle(board);
    }
}

bool cuts_step_leave(struct course *course, unsigned number)
{
    if (number == 0) {
        cuts_leave(course->board);
    }
    return number == 0;
}

/* --- judging --- */

static bool dct_bytes_same(struct course *course, uint32_t from, uint32_t to)
{
    static uint8_t before[DCT_APPLICATION_SIZE], after[DCT_APPLICATION_SIZE];

    cuts_read(course->start, test_dct(course->start) + from, before, to - from);
    cuts_read(course->board, test_dct(course->board) + from, after, to - from);
    return memcmp(before, after, to - from) == 0;
}

/* The application section but for flags, module slots and the claim code, where a way may write. */
static void check_dct(struct course *course)
{
    if (!dct_bytes_same(course, 32, DCT_CLAIM_CODE) ||
        !dct_bytes_same(course, DCT_CLAIM_CODE + 8, DCT_FLASH_MODULES) ||
        !dct_bytes_same(course, DCT_FLASH_MODULES + 100, 4258)) {
        cuts_wrong(course, "DCT fields that nobody writes have changed");
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
                cuts_wrong(course, "flash outside the target has changed");
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
    resets = cuts_settle(board);
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

static const uint32_t places[CUTS_PARTS] = {MAP_BOOTLOADER, MAP_SYSTEM_PART1, MAP_USER,
                                            MAP_FACTORY};

/* The slots need a driver: of its own up to image 11, else of a part2 that has its part1. */
static bool slots_are_served(const struct course *course)
{
    return course->image <= IMAGE_11 || course->found[CUTS_PART1] == CUTS_WHOLE;
}

/* What the flash has, before anything boots. */
static void look(struct course *course)
{
    static const uint32_t sizes[CUTS_PARTS] = {MAP_BOOTLOADER_SIZE, MAP_SYSTEM_PART_SIZE,
                                               MAP_USER_SIZE, MAP_FACTORY_SIZE};
    static uint8_t found[FACTORY_MAX_SIZE];
    const unsigned target = course->way->target;
    uint8_t magic[2];

    for (unsigned part = 0; part < CUTS_PARTS; part++) {
        const struct cuts_file *was = &course->was[part];
        unsigned as_new;

        cuts_read(course->board, places[part], found, sizes[part]);
        course->found[part] = judge_image(found, was->bytes, was->size);
        as_new = part == target ? judge_image(found, course->file.bytes, course->file.size) : 0;
        if (as_new > course->found[part]) {
            course->found[part] = as_new;
        }
    }
    cuts_read(course->board, test_dct(course->board) + DCT_FLASH_MODULES + 20, magic,
              sizeof(magic));
    course->slot_set = magic[0] == 0xCD && magic[1] == 0xAB;
    course->pending = course->slot_set && slots_are_served(course);
}

/* Bootloaders 101 and 501 free the slot before they copy, the others afterwards. */
static void check_slot(const struct course *course)
{
    bool freed_first = course->image == IMAGE_101 || course->image == IMAGE_501;

    if (course->way->by_slot && course->found[course->way->target] != CUTS_WHOLE &&
        course->slot_set == freed_first) {
        cuts_wrong(course, freed_first ? "the slot is still set while it is served"
                                       : "the slot is free before it has been served");
    }
}

/* A board that is dark gets a reset, power, and SETUP held. Does anything of that help? */
static bool bricked(struct board *board)
{
    board->ops->reset(board);
    board_advance(board, 20 * BOARD_NS_PER_S);
    if (board->ops->attached(board)) {
        return false;
    }
    board->ops->power(board, false);
    board->ops->button(board, true);
    board->ops->power(board, true);
    board_advance(board, 4 * BOARD_NS_PER_S);
    board->ops->button(board, false);
    board_advance(board, BOARD_NS_PER_S);
    return !board->ops->attached(board);
}

static void judge(struct course *course)
{
    const struct rule *rule = rules;

    course->outcome = 0;
    look(course);
    check_slot(course);
    if (course->pending) {
        course->found[course->way->target] = CUTS_WHOLE; /* by the time it is looked at */
    }
    course->outcome = boot(course->board);
    while (!holds(rule, course)) {
        rule++;
    }
    if (course->outcome == DARK && course->found[CUTS_BOOTLOADER] != CUTS_WHOLE &&
        bricked(course->board)) {
        course->outcome = BRICK;
    }
    if ((rule->outcome & course->outcome) == 0) {
        cuts_wrong(course, rule->why);
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
        cuts_wrong(course, "the operation never came");
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
            ck_assert_uint_lt(course->stretch_count, CUTS_STRETCHES_MAX);
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
        ck_assert_uint_lt(course->steps, CUTS_STEPS_MAX);
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

static void load_files(struct course *course)
{
    static const enum factory_module modules[CUTS_PARTS] = {FACTORY_BOOTLOADER, FACTORY_PART1,
                                                            FACTORY_USER, FACTORY_USER};

    for (unsigned part = 0; part < CUTS_PARTS; part++) {
        struct cuts_file *was = &course->was[part];

        was->size = test_module(test_images[course->image].release, modules[part], was->bytes);
    }
}

void cuts_run(const struct way *way, unsigned image, bool factory)
{
    struct course *course = calloc(1, sizeof(*course));

    ck_assert_ptr_nonnull(course);
    course->way = way;
    course->image = image;
    course->factory = factory;
    course->board = test_board(image, factory);
    load_files(course);
    way->prepare(course);
    course->start = course->board->ops->clone(course->board);
    survey(course);
    ck_assert_msg(flash_equals(photon_flash(course->board), places[way->target], course->file.bytes,
                               course->file.size),
                  "%s: without a power cut the file is not installed", way->name);
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
