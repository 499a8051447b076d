/*
 * Script commands of whoever has the board on the bench.
 *
 *   POWER on|off  RESET  BUTTON press|release
 *   WAIT TIME
 *   MARK                          the zero of "at" and COUNT (else the case's start)
 *   UNTIL EVENT [at TIME [~ TIME]]
 *                                 advances to the next such event; it comes at that time, give or
 *                                 take 3 ms or as said
 *   NEVER EVENT for TIME          advances; no such event comes
 *   COUNT EVENT = N               so many since MARK
 *   LED PATTERN [COLOUR [MS]]     what it does now
 *   ATTACHED  GONE  LOST          pull-up on, off; CPU lost until reset
 *   FLASH HEX BYTES               is there
 *   SAME HEX LENGTH               is as it was at the case's start (or at the last SNAPSHOT)
 *   SNAPSHOT
 *   LOAD HEX BYTES  BLANK HEX LENGTH  FLIP HEX
 *                                 a programmer's socket; FLIP inverts a byte
 *   MODULE RELEASE PART HEX       puts a factory module there; PART: bootloader part1 part2 user
 *   HAS RELEASE PART HEX          is there, byte for byte
 *   PROTECT HEX, NWRP HEX         sets, checks the write protection bits
 *   BACKUP N HEX, DR N HEX        sets (no power), checks a backup register
 *   DCT OFFSET BYTES              is in the current copy's application section
 *   DCT_LOAD OFFSET BYTES         puts it there
 *   SLOT N SOURCE DESTINATION LENGTH FLAGS FUNCTION
 *                                 puts a pending module entry into the DCT
 *
 * Events: attach, detach, hang, dfu, boot; reset [CAUSE]; led PATTERN [COLOUR [MS]]; erase,
 * program, refused [HEX]; protect [HEX]; backup [N [HEX]].
 */
#include "tests/unit/support_script.h"

#include <stdio.h>
#include <string.h>

#include "devmodel/dct.h"

#define UNTIL_LIMIT (120 * BOARD_NS_PER_S)
#define SLOT_SIZE   20

static const struct {
    const char *name;
    uint32_t rgb;
} colours[] = {
    {"white", 0xFFFFFF}, {"magenta", 0xFF00FF}, {"yellow", 0xFFFF00},
    {"green", 0x00FF00}, {"red", 0xFF0000},     {"blue", 0x0000FF},
};

static const char *const patterns[] = {
    [LED_OFF] = "off",         [LED_SOLID] = "solid", [LED_TOGGLE] = "toggle",
    [LED_BREATHE] = "breathe", [LED_SOS] = "sos",
};

static const struct {
    const char *name;
    enum board_event_kind kind;
} events[] = {
    {"attach", BOARD_EVENT_USB_ATTACH},
    {"detach", BOARD_EVENT_USB_DETACH},
    {"hang", BOARD_EVENT_HANG},
    {"dfu", BOARD_EVENT_DFU},
    {"boot", BOARD_EVENT_BOOT},
    {"reset", BOARD_EVENT_RESET},
    {"led", BOARD_EVENT_LED},
    {"erase", BOARD_EVENT_FLASH_ERASE},
    {"program", BOARD_EVENT_FLASH_PROGRAM},
    {"refused", BOARD_EVENT_FLASH_REFUSED},
    {"protect", BOARD_EVENT_FLASH_PROTECT},
    {"backup", BOARD_EVENT_BACKUP},
    {"power", BOARD_EVENT_POWER},
    {"bus-reset", BOARD_EVENT_USB_BUS_RESET},
};

/* What an event must be; fields that the script does not name are not looked at. */
struct pattern {
    enum board_event_kind kind;
    size_t details;
    const char *detail[3];
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static bool colour_is(struct script_run *run, const char *name, uint32_t rgb)
{
    for (size_t i = 0; i < COUNT_OF(colours); i++) {
        if (strcmp(colours[i].name, name) == 0) {
            return colours[i].rgb == rgb;
        }
    }
    return script_hex(run, name) == rgb;
}

static bool led_is(struct script_run *run, const struct led *led, const char *const *detail,
                   size_t details)
{
    return (details < 1 || strcmp(patterns[led->pattern], detail[0]) == 0) &&
           (details < 2 || colour_is(run, detail[1], led->colour)) &&
           (details < 3 || script_number(run, detail[2]) == led->period_ms);
}

/* Reads the words of an event from `from` on; returns the number of the next word. */
static size_t read_event(struct script_run *run, const struct script_words *words, size_t from,
                         struct pattern *pattern)
{
    size_t i = 0;

    while (i < COUNT_OF(events) && strcmp(events[i].name, words->word[from]) != 0) {
        i++;
    }
    if (i == COUNT_OF(events)) {
        script_fail(run, "no event is called %s", words->word[from]);
    }
    pattern->kind = events[i].kind;
    pattern->details = 0;
    for (from++; from < words->expect; from++) {
        const char *word = words->word[from];

        if (strcmp(word, "at") == 0 || strcmp(word, "for") == 0 || strcmp(word, "=") == 0) {
            break;
        }
        if (pattern->details == 3) {
            script_fail(run, "too many words for an event");
        }
        pattern->detail[pattern->details++] = word;
    }
    return from;
}

static bool matches(struct script_run *run, const struct pattern *pattern,
                    const struct board_event *event)
{
    const char *const *detail = pattern->detail;

    if (event->kind != pattern->kind || pattern->details == 0) {
        return event->kind == pattern->kind;
    }
    switch (event->kind) {
    case BOARD_EVENT_LED:
        return led_is(run, &event->u.led, detail, pattern->details);
    case BOARD_EVENT_RESET:
        return event->text != NULL && strcmp(event->text, detail[0]) == 0;
    case BOARD_EVENT_FLASH_ERASE:
    case BOARD_EVENT_FLASH_PROGRAM:
    case BOARD_EVENT_FLASH_REFUSED:
        return event->u.flash.address == script_hex(run, detail[0]);
    case BOARD_EVENT_FLASH_PROTECT:
        return event->u.value == script_hex(run, detail[0]);
    case BOARD_EVENT_BACKUP:
        return event->u.value >> 32 == script_number(run, detail[0]) &&
               (pattern->details < 2 ||
                (event->u.value & UINT32_MAX) == script_hex(run, detail[1]));
    default:
        return false;
    }
}

static void describe(const struct board_event *event, char *text, size_t size)
{
    const char *name = "?";

    for (size_t i = 0; i < COUNT_OF(events); i++) {
        if (events[i].kind == event->kind) {
            name = events[i].name;
        }
    }
    switch (event->kind) {
    case BOARD_EVENT_LED:
        snprintf(text, size, "led %s %06X %u", patterns[event->u.led.pattern], event->u.led.colour,
                 event->u.led.period_ms);
        break;
    case BOARD_EVENT_FLASH_ERASE:
    case BOARD_EVENT_FLASH_PROGRAM:
    case BOARD_EVENT_FLASH_REFUSED:
        snprintf(text, size, "%s %08X %u", name, event->u.flash.address, event->u.flash.length);
        break;
    case BOARD_EVENT_BACKUP:
    case BOARD_EVENT_FLASH_PROTECT:
        snprintf(text, size, "%s %u %04X", name, (unsigned)(event->u.value >> 32),
                 (unsigned)event->u.value);
        break;
    default:
        snprintf(text, size, "%s %s", name, event->text == NULL ? "" : event->text);
        break;
    }
}

/* Events since `from`, newest last, for messages. */
static const char *trail(struct script_run *run, size_t from, char *text, size_t size)
{
    size_t used = 0, room = 30;

    text[0] = '\0';
    if (run->record.count - from > room) {
        from = run->record.count - room;
    }
    for (; from < run->record.count && used + 120 < size; from++) {
        char event[100];
        const double ms =
            ((double)run->record.events[from].time - (double)run->mark) / (double)BOARD_NS_PER_MS;

        describe(&run->record.events[from], event, sizeof(event));
        used += (size_t)snprintf(text + used, size - used, "\n    %10.3f %s", ms, event);
    }
    return text;
}

/* Advances to the next matching event within `limit`; NULL when none comes. */
static const struct board_event *seek(struct script_run *run, const struct pattern *pattern,
                                      uint64_t limit)
{
    for (;;) {
        uint64_t next;

        for (; run->cursor < run->record.count; run->cursor++) {
            const struct board_event *event = &run->record.events[run->cursor];

            if (matches(run, pattern, event)) {
                run->cursor++;
                return event;
            }
        }
        next = run->board->ops->next_deadline(run->board);
        if (next > limit) {
            return NULL;
        }
        board_advance_to(run->board, next > run->board->now ? next : run->board->now + 1);
    }
}

static void until(struct script_run *run, const struct script_words *words)
{
    struct pattern pattern;
    size_t next = read_event(run, words, 1, &pattern), first = run->cursor;
    const struct board_event *event = seek(run, &pattern, run->board->now + UNTIL_LIMIT);
    uint64_t wanted, tolerance = 3 * BOARD_NS_PER_MS, came;
    char text[3000];

    if (event == NULL) {
        script_fail(run, "never came; since then:%s", trail(run, first, text, sizeof(text)));
    }
    if (next == words->expect) {
        return;
    }
    wanted = script_time(run, words->word[next + 1]);
    if (next + 3 < words->expect) {
        tolerance = script_time(run, words->word[next + 3]);
    }
    came = event->time - run->mark;
    if (came + tolerance < wanted || came > wanted + tolerance) {
        script_fail(run, "came at %.3f ms, expected %.3f +- %.3f ms; before it:%s",
                    (double)came / 1e6, (double)wanted / 1e6, (double)tolerance / 1e6,
                    trail(run, first, text, sizeof(text)));
    }
}

static void never(struct script_run *run, const struct script_words *words)
{
    struct pattern pattern;
    size_t next = read_event(run, words, 1, &pattern);
    uint64_t end;
    char text[3000];

    if (next + 1 >= words->expect) {
        script_fail(run, "NEVER EVENT for TIME");
    }
    end = run->board->now + script_time(run, words->word[next + 1]);
    if (seek(run, &pattern, end) != NULL) {
        script_fail(run, "it came:%s",
                    trail(run, run->cursor > 10 ? run->cursor - 10 : 0, text, sizeof(text)));
    }
    board_advance_to(run->board, end);
}

static void count(struct script_run *run, const struct script_words *words)
{
    struct pattern pattern;
    size_t next = read_event(run, words, 1, &pattern), found = 0;
    char text[3000];

    for (size_t i = run->mark_event; i < run->record.count; i++) {
        found += matches(run, &pattern, &run->record.events[i]);
    }
    if (next + 1 >= words->expect || found != script_number(run, words->word[next + 1])) {
        script_fail(run, "counted %zu:%s", found, trail(run, run->mark_event, text, sizeof(text)));
    }
}

static void power(struct script_run *run, const struct script_words *words)
{
    run->board->ops->power(run->board, strcmp(words->word[1], "on") == 0);
}

static void reset(struct script_run *run, const struct script_words *words)
{
    (void)words;
    run->board->ops->reset(run->board);
}

static void button(struct script_run *run, const struct script_words *words)
{
    run->board->ops->button(run->board, strcmp(words->word[1], "press") == 0);
}

static void wait_for(struct script_run *run, const struct script_words *words)
{
    board_advance(run->board, script_time(run, words->word[1]));
}

static void mark(struct script_run *run, const struct script_words *words)
{
    (void)words;
    run->mark = run->board->now;
    run->mark_event = run->cursor = run->record.count;
}

static void led(struct script_run *run, const struct script_words *words)
{
    const struct led now = run->board->ops->led(run->board);

    if (!led_is(run, &now, words->word + 1, words->expect - 1)) {
        script_fail(run, "it is %s %06X %u", patterns[now.pattern], now.colour, now.period_ms);
    }
}

static void pull_up(struct script_run *run, const struct script_words *words)
{
    if (run->board->ops->attached(run->board) != (strcmp(words->word[0], "ATTACHED") == 0)) {
        script_fail(run, "it is not");
    }
}

static void lost(struct script_run *run, const struct script_words *words)
{
    (void)words;
    if (run->board->ops->ready_at(run->board) != BOARD_NEVER) {
        script_fail(run, "the CPU runs");
    }
}

static void compare(struct script_run *run, uint32_t address, const uint8_t *wanted, size_t length)
{
    static uint8_t found[FLASH_SIZE + 3];

    if (!run->board->ops->flash_read(run->board, address, found, length)) {
        script_fail(run, "%08X is not in the flash", address);
    }
    for (size_t i = 0; i < length; i++) {
        if (found[i] != wanted[i]) {
            script_fail(run, "at %08X: %02X %02X %02X %02X..., expected %02X %02X %02X %02X...",
                        address + (uint32_t)i, found[i], found[i + 1], found[i + 2], found[i + 3],
                        wanted[i], wanted[i + 1], wanted[i + 2], wanted[i + 3]);
        }
    }
}

static uint8_t scratch[FLASH_SIZE + 4];

static void flash_has(struct script_run *run, const struct script_words *words)
{
    size_t length = script_bytes(run, words, 2, words->expect, scratch, FLASH_SIZE);

    compare(run, script_hex(run, words->word[1]), scratch, length);
}

static void same(struct script_run *run, const struct script_words *words)
{
    uint32_t address = script_hex(run, words->word[1]), length = script_number(run, words->word[2]);

    if (!run->start->ops->flash_read(run->start, address, scratch, length)) {
        script_fail(run, "not in the flash");
    }
    compare(run, address, scratch, length);
}

static void snapshot(struct script_run *run, const struct script_words *words)
{
    (void)words;
    run->start->ops->destroy(run->start);
    run->start = run->board->ops->clone(run->board);
}

static void load_bytes(struct script_run *run, uint32_t address, size_t length)
{
    if (!flash_load(photon_flash(run->board), address, scratch, length)) {
        script_fail(run, "cannot load %zu bytes at %08X", length, address);
    }
}

static void load(struct script_run *run, const struct script_words *words)
{
    size_t length = script_bytes(run, words, 2, words->expect, scratch, FLASH_SIZE);

    load_bytes(run, script_hex(run, words->word[1]), length);
}

static void blank(struct script_run *run, const struct script_words *words)
{
    uint32_t length = script_number(run, words->word[2]);

    if (length > FLASH_SIZE) {
        script_fail(run, "longer than the flash");
    }
    memset(scratch, 0xFF, length);
    load_bytes(run, script_hex(run, words->word[1]), length);
}

static void flip(struct script_run *run, const struct script_words *words)
{
    uint32_t address = script_hex(run, words->word[1]);

    if (!run->board->ops->flash_read(run->board, address, scratch, 1)) {
        script_fail(run, "not in the flash");
    }
    scratch[0] = (uint8_t)~scratch[0];
    load_bytes(run, address, 1);
}

static size_t build_module(struct script_run *run, const struct script_words *words)
{
    static const char *const parts[] = {"bootloader", "part1", "part2", "user"};
    unsigned part = 0;

    while (part < COUNT_OF(parts) && strcmp(parts[part], words->word[2]) != 0) {
        part++;
    }
    if (part == COUNT_OF(parts)) {
        script_fail(run, "no part is called %s", words->word[2]);
    }
    return test_module(words->word[1], (enum factory_module)part, scratch);
}

static void module(struct script_run *run, const struct script_words *words)
{
    size_t length = build_module(run, words);

    load_bytes(run, script_hex(run, words->word[3]), length);
}

static void has_module(struct script_run *run, const struct script_words *words)
{
    size_t length = build_module(run, words);

    compare(run, script_hex(run, words->word[3]), scratch, length);
}

static void protect(struct script_run *run, const struct script_words *words)
{
    flash_set_nwrp(photon_flash(run->board), (uint16_t)script_hex(run, words->word[1]));
}

static void nwrp(struct script_run *run, const struct script_words *words)
{
    uint16_t found = flash_nwrp(photon_flash(run->board));

    if (found != script_hex(run, words->word[1])) {
        script_fail(run, "it is %03X", found);
    }
}

static void backup(struct script_run *run, const struct script_words *words)
{
    uint32_t number = script_number(run, words->word[1]);

    if (number >= BACKUP_REGISTERS) {
        script_fail(run, "there are %d backup registers", BACKUP_REGISTERS);
    }
    photon_backup(run->board)->dr[number] = script_hex(run, words->word[2]);
}

static void backup_is(struct script_run *run, const struct script_words *words)
{
    uint32_t found = run->board->ops->backup_read(run->board, script_number(run, words->word[1]));

    if (found != script_hex(run, words->word[2])) {
        script_fail(run, "it is %X", found);
    }
}

static void dct(struct script_run *run, const struct script_words *words)
{
    size_t length = script_bytes(run, words, 2, words->expect, scratch, FLASH_SIZE);

    compare(run, test_dct(run->board) + script_number(run, words->word[1]), scratch, length);
}

static void dct_load(struct script_run *run, const struct script_words *words)
{
    size_t length = script_bytes(run, words, 2, words->expect, scratch, FLASH_SIZE);

    load_bytes(run, test_dct(run->board) + script_number(run, words->word[1]), length);
}

static void put32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static void slot(struct script_run *run, const struct script_words *words)
{
    uint32_t number = script_number(run, words->word[1]);

    memset(scratch, 0, SLOT_SIZE);
    scratch[0] = 0xCD;
    scratch[1] = 0xAB;
    put32(scratch + 4, script_hex(run, words->word[2]));
    put32(scratch + 8, script_hex(run, words->word[3]));
    put32(scratch + 12, script_number(run, words->word[4]));
    scratch[16] = (uint8_t)script_hex(run, words->word[5]);
    scratch[17] = (uint8_t)script_number(run, words->word[6]);
    load_bytes(run, test_dct(run->board) + DCT_FLASH_MODULES + number * SLOT_SIZE, SLOT_SIZE);
}

const struct script_command script_bench_commands[] = {
    {"POWER", 1, 1, power},
    {"RESET", 0, 0, reset},
    {"BUTTON", 1, 1, button},
    {"WAIT", 1, 1, wait_for},
    {"MARK", 0, 0, mark},
    {"UNTIL", 1, 8, until},
    {"NEVER", 3, 6, never},
    {"COUNT", 3, 6, count},
    {"LED", 1, 3, led},
    {"ATTACHED", 0, 0, pull_up},
    {"GONE", 0, 0, pull_up},
    {"LOST", 0, 0, lost},
    {"FLASH", 2, SCRIPT_WORDS, flash_has},
    {"SAME", 2, 2, same},
    {"SNAPSHOT", 0, 0, snapshot},
    {"LOAD", 2, SCRIPT_WORDS, load},
    {"BLANK", 2, 2, blank},
    {"FLIP", 1, 1, flip},
    {"MODULE", 3, 3, module},
    {"HAS", 3, 3, has_module},
    {"PROTECT", 1, 1, protect},
    {"NWRP", 1, 1, nwrp},
    {"BACKUP", 2, 2, backup},
    {"DR", 2, 2, backup_is},
    {"DCT", 2, SCRIPT_WORDS, dct},
    {"DCT_LOAD", 2, SCRIPT_WORDS, dct_load},
    {"SLOT", 6, 6, slot},
    {NULL, 0, 0, NULL},
};
