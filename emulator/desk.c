#include "emulator/desk.h"

#include <stdlib.h>
#include <string.h>

#include "devmodel/photon.h"
#include "emulator/key_maker.h"
#include "emulator/options.h"

/* A board is at rest when it is ready and has nothing planned for longer than its watchdog. */
#define REST_NS   (6 * BOARD_NS_PER_S)
#define SETTLE_NS (30 * BOARD_NS_PER_S)
/* How long the button is held for DFU at most, and how often a finger looks at the LED. */
#define HOLD_MAX_NS  (6500 * BOARD_NS_PER_MS)
#define HOLD_LOOK_NS (20 * BOARD_NS_PER_MS)
#define LED_YELLOW   UINT32_C(0xFFFF00)

#define BOARDS_FIRST 8
/* A flash that differs in more pages from all others is one that others may be like. */
#define PATTERN_PAGES 32

void desk_init(struct desk *desk, enum time_mode mode)
{
    *desk = (struct desk){0};
    clock_init(&desk->clock, mode, NULL, NULL);
}

static void board_free(struct desk_board *board)
{
    if (board->board) {
        board_observe(board->board, NULL, NULL);
        board->board->ops->destroy(board->board);
    }
    device_dir_close(board->dir);
    free(board);
}

void desk_free(struct desk *desk)
{
    for (size_t i = 0; i < desk->count; i++) {
        board_free(desk->boards[i]);
    }
    free(desk->boards);
    clock_free(&desk->clock);
    *desk = (struct desk){0};
}

/* --- watching --- */

static void save(struct desk_board *board)
{
    struct complaint complaint;
    if (!board->dir || board->lost_store) {
        return;
    }
    board->operations_written = flash_operations(photon_flash(board->board));
    if (!device_dir_commit(board->dir, photon_flash(board->board), photon_backup(board->board),
                           &complaint)) {
        say_complaint(&complaint);
        board->lost_store = true;
        board->desk->untidy = true;
    }
}

/* Events of a stretch of operations come one by one, but the flash has them all already. */
static void save_if_new(struct desk_board *board)
{
    if (board->dir && board->operations_written != flash_operations(photon_flash(board->board))) {
        save(board);
    }
}

static void watch(void *context, const struct board_event *event)
{
    struct desk_board *board = context;
    report_event(&board->report, event);
    trace_event(&board->trace, event);
    switch (event->kind) {
    case BOARD_EVENT_FLASH_ERASE:
    case BOARD_EVENT_FLASH_PROGRAM:
    case BOARD_EVENT_FLASH_PROTECT:
        save_if_new(board);
        break;
    case BOARD_EVENT_RESET:
    case BOARD_EVENT_POWER:
        board->hung = board->decision = NULL;
        save(board);
        break;
    case BOARD_EVENT_BACKUP:
        save(board);
        break;
    case BOARD_EVENT_BOOT:
        board->decision = event->text;
        break;
    case BOARD_EVENT_HANG:
        board->hung = event->text;
        break;
    default:
        break;
    }
}

/* --- memory --- */

/* Boards of one release have most of their flash in common, and a desk may hold a thousand. Returns
 * in how many pages the flash is like none of the patterns. */
static size_t share_pages(const struct desk *desk, struct flash *flash)
{
    size_t least = FLASH_PAGES;
    for (size_t i = 0; i < desk->pattern_count && least > PATTERN_PAGES; i++) {
        size_t others = flash_share(flash, photon_flash(desk->patterns[i]->board));
        least = others < least ? others : least;
    }
    return least;
}

/* After a start, which writes the same to many of them. */
static void share_again(const struct desk *desk, struct desk_board *board)
{
    struct flash *flash = photon_flash(board->board);
    /* What has ended need not be taken back any more. */
    flash_settle(flash, board->board->now);
    share_pages(desk, flash);
    if (board->dir) {
        device_dir_share(board->dir, flash);
    }
}

/* --- putting boards on the desk --- */

/* Makes the board work; takes the flash over. */
static bool put(struct desk *desk, struct desk_board *board, struct flash *flash,
                struct complaint *complaint)
{
    struct photon_config config = {.vbat = board->identity.vbat, .keygen = key_maker};
    memcpy(config.device_id, board->identity.id, sizeof config.device_id);
    memcpy(config.mac, board->identity.mac, sizeof config.mac);
    size_t own_pages = flash ? share_pages(desk, flash) : 0;
    board->board = flash ? photon_new(&config, flash) : NULL;
    if (!board->board) {
        flash_free(flash);
        return complain(complaint, "%s: memory is short", board->name);
    }
    /* Without a battery the registers did not live through the time on the shelf. */
    if (board->dir && board->identity.vbat) {
        *photon_backup(board->board) = device_dir_small_state(board->dir)->backup;
    }
    board->operations_written = flash_operations(flash);
    root_port_init(&board->port, board->board, false);
    board_observe(board->board, watch, board);
    if (!clock_add(&desk->clock, &board->port)) {
        return complain(complaint, "%s: memory is short", board->name);
    }
    if (board->dir) {
        device_dir_share(board->dir, flash);
    }
    if (own_pages > PATTERN_PAGES && desk->pattern_count < DESK_PATTERNS) {
        desk->patterns[desk->pattern_count++] = board;
    }
    return true;
}

static bool make_room(struct desk *desk)
{
    if (desk->count == desk->room) {
        size_t room = desk->room ? 2 * desk->room : BOARDS_FIRST;
        struct desk_board **boards = realloc(desk->boards, room * sizeof(struct desk_board *));
        if (!boards) {
            return false;
        }
        desk->boards = boards;
        desk->room = room;
    }
    return true;
}

static struct desk_board *board_new(struct desk *desk, const char *name,
                                    struct complaint *complaint)
{
    struct desk_board *board = make_room(desk) ? calloc(1, sizeof *board) : NULL;
    if (!board) {
        complain(complaint, "%s: memory is short", name);
        return NULL;
    }
    board->desk = desk;
    board->name = name;
    return board;
}

bool desk_add_directory(struct desk *desk, const char *path, struct complaint *complaint)
{
    struct desk_board *board = board_new(desk, path, complaint);
    if (!board) {
        return false;
    }
    board->dir = device_dir_open(path, DEVICE_DIR_RUN, complaint);
    if (board->dir) {
        board->identity = *device_dir_identity(board->dir);
        if (put(desk, board, device_dir_flash(board->dir), complaint)) {
            desk->boards[desk->count++] = board;
            return true;
        }
    }
    board_free(board);
    return false;
}

bool desk_add_fresh(struct desk *desk, const struct recipe *recipe, struct complaint *complaint)
{
    struct desk_board *board = board_new(desk, "board", complaint);
    if (!board) {
        return false;
    }
    if (desk->count > 0) {
        snprintf(board->own_name, sizeof board->own_name, "board-%zu", desk->count + 1);
        board->name = board->own_name;
    }
    recipe_identity(&board->identity, recipe->release, (uint32_t)desk->count + 1);
    struct flash *flash = recipe_flash(recipe, board->identity.seed, complaint);
    if (flash && put(desk, board, flash, complaint)) {
        desk->boards[desk->count++] = board;
        return true;
    }
    board_free(board);
    return false;
}

void desk_trace(struct desk *desk, FILE *out)
{
    for (size_t i = 0; i < desk->count; i++) {
        struct desk_board *board = desk->boards[i];
        board->trace = (struct trace){.out = out, .name = desk->count > 1 ? board->name : NULL};
    }
}

bool desk_capture(struct desk *desk, struct capture_file *file, uint16_t bus)
{
    for (size_t i = 0; i < desk->count; i++) {
        if (!capture_file_watch(file, &desk->boards[i]->port, bus)) {
            return false;
        }
    }
    return true;
}

/* --- power and rest --- */

static uint64_t next_event(const struct board *board)
{
    uint64_t due = board->ops->next_deadline(board);
    uint64_t ready = board->ops->ready_at(board);
    return ready > board->now && ready < due ? ready : due;
}

static void settle(struct desk_board *board)
{
    uint64_t end = board->board->now + SETTLE_NS;
    for (;;) {
        uint64_t now = board->board->now, next = next_event(board->board);
        if (next == BOARD_NEVER || next > now + REST_NS || next > end) {
            break;
        }
        /* Something due now still needs a moment to pass. */
        board_advance_to(board->board, next > now ? next : now + 1);
    }
    root_port_poll(&board->port);
    root_port_run(&board->port);
}

void desk_settle(struct desk *desk)
{
    for (size_t i = 0; i < desk->count; i++) {
        settle(desk->boards[i]);
        trace_flush(&desk->boards[i]->trace);
    }
}

static bool shows_dfu(const struct desk_board *board)
{
    return board->board->ops->led(board->board).colour == LED_YELLOW;
}

/* As a person does it: hold SETUP over the start until the LED is yellow. */
static void hold_until_yellow(struct desk_board *board)
{
    desk_button(board, true);
    board->board->ops->power(board->board, true);
    uint64_t looked = 0;
    while (!shows_dfu(board) && looked < HOLD_MAX_NS) {
        uint64_t ready = board->board->ops->ready_at(board->board);
        uint64_t now = board->board->now;
        /* The bootloader looks at the button once it has done its first work. */
        bool busy = ready != BOARD_NEVER && ready > now;
        board_advance(board->board, busy ? ready - now : HOLD_LOOK_NS);
        looked += busy ? 0 : HOLD_LOOK_NS;
    }
    desk_button(board, false);
}

bool desk_power_on(struct desk *desk, bool dfu, struct complaint *complaint)
{
    bool there = true;
    for (size_t i = 0; i < desk->count; i++) {
        struct desk_board *board = desk->boards[i];
        if (dfu) {
            hold_until_yellow(board);
        } else {
            board->board->ops->power(board->board, true);
        }
        settle(board);
        if (there && dfu && !shows_dfu(board)) {
            there = complain(complaint, "%s: did not reach DFU mode: %s", board->name,
                             board->hung ? board->hung : "the LED did not turn yellow");
        }
        share_again(desk, board);
    }
    return there;
}

void desk_power_off(struct desk *desk)
{
    for (size_t i = 0; i < desk->count; i++) {
        struct desk_board *board = desk->boards[i];
        trace_flush(&board->trace);
        board_observe(board->board, NULL, NULL);
        board->board->ops->power(board->board, false);
        save(board);
    }
    desk_tidy(desk);
}

void desk_tidy(struct desk *desk)
{
    if (!desk->untidy) {
        return;
    }
    desk->untidy = false;
    for (size_t i = 0; i < desk->count; i++) {
        struct desk_board *board = desk->boards[i];
        /* What the host sees must be what the directory holds: nothing more happens. */
        if (board->lost_store && board->board->ops->powered(board->board)) {
            board->board->ops->power(board->board, false);
            root_port_poll(&board->port);
        }
        desk->lost_store = desk->lost_store || board->lost_store;
    }
}

/* --- fingers --- */

static void touched(struct desk_board *board)
{
    clock_allow_jumps(&board->port);
    root_port_poll(&board->port);
    root_port_run(&board->port);
}

void desk_button(struct desk_board *board, bool pressed)
{
    board->button = pressed;
    board->board->ops->button(board->board, pressed);
    touched(board);
}

void desk_hold(struct desk_board *board, uint64_t ns)
{
    desk_button(board, true);
    board_advance(board->board, ns);
    desk_button(board, false);
}

void desk_reset(struct desk_board *board)
{
    board->board->ops->reset(board->board);
    touched(board);
}

void desk_power(struct desk_board *board, bool on)
{
    if (!on || !board->lost_store) {
        board->board->ops->power(board->board, on);
        touched(board);
    }
}

struct desk_board *desk_find(struct desk *desk, const char *name)
{
    uint32_t number;
    for (size_t i = 0; i < desk->count; i++) {
        if (strcmp(desk->boards[i]->name, name) == 0) {
            return desk->boards[i];
        }
    }
    for (size_t i = 0; i < desk->count; i++) {
        const char *slash = strrchr(desk->boards[i]->name, '/');
        if (slash && strcmp(slash + 1, name) == 0) {
            return desk->boards[i];
        }
    }
    if (options_number(name, (uint32_t)desk->count, &number) && number > 0) {
        return desk->boards[number - 1];
    }
    return NULL;
}
