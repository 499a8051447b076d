#include "emulator/desk_control.h"

#include <string.h>

#include "devmodel/photon.h"
#include "emulator/control.h"

/* Nobody holds a button for longer. */
#define PRESS_MS_MAX 60000

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

static json_t *do_press(struct desk_board *board, const json_t *request)
{
    const json_t *ms = json_object_get(request, "ms");
    if (!ms) {
        desk_button(board, true);
        return done();
    }
    if (!json_is_integer(ms) || json_integer_value(ms) < 1 ||
        json_integer_value(ms) > PRESS_MS_MAX) {
        return control_error("\"ms\" is no number from 1 to 60000");
    }
    if (board->desk->clock.mode == TIME_REAL) {
        desk_button(board, true);
        return json_pack("{s:b, s:I}", "ok", 1, "wait_ms", json_integer_value(ms));
    }
    desk_hold(board, (uint64_t)json_integer_value(ms) * BOARD_NS_PER_MS);
    return done();
}

static json_t *do_release(struct desk_board *board, const json_t *request)
{
    (void)request;
    desk_button(board, false);
    return done();
}

static json_t *do_reset(struct desk_board *board, const json_t *request)
{
    (void)request;
    desk_reset(board);
    return done();
}

static json_t *do_power(struct desk_board *board, const json_t *request)
{
    const json_t *on = json_object_get(request, "on");
    if (!json_is_boolean(on)) {
        return control_error("\"on\" is neither true nor false");
    }
    if (board->lost_store) {
        return control_error("the board stays off: its directory cannot be written");
    }
    desk_power(board, json_is_true(on));
    return done();
}

static const struct {
    const char *name;
    json_t *(*act)(struct desk_board *board, const json_t *request);
} commands[] = {
    {"press", do_press},
    {"release", do_release},
    {"reset", do_reset},
    {"power", do_power},
};

/* --- status --- */

static json_t *board_status(const struct desk *desk, size_t index)
{
    const struct desk_board *board = desk->boards[index];
    const struct board_ops *ops = board->board->ops;
    struct led led = ops->led(board->board);
    char words[96], colour[16], id[DEVICE_ID_TEXT];
    struct flash_view view;
    struct backup backup;
    for (unsigned i = 0; i < BACKUP_REGISTERS; i++) {
        backup.dr[i] = ops->backup_read(board->board, i);
    }
    flash_view(photon_flash(board->board), &backup, &view);
    trace_led_words(&led, words, sizeof words);
    snprintf(colour, sizeof colour, "#%06X", led.colour);
    device_id_print(board->identity.id, id);
    return json_pack("{s:i, s:s, s:s, s:s?, s:s?, s:b, s:b, s:b, s:{s:s, s:s}, s:s?, s:s?, s:f}",
                     "number", (int)index + 1, "name", board->name, "id", id, "release",
                     view.release, "bootloader", view.bootloader, "powered",
                     ops->powered(board->board), "attached", ops->attached(board->board), "button",
                     board->button, "led", "words", words, "colour", colour, "hung", board->hung,
                     "decision", board->decision, "time_ms",
                     (double)board->board->now / (double)BOARD_NS_PER_MS);
}

static json_t *status(const struct desk *desk, const struct desk_board *only)
{
    json_t *boards = json_array();
    for (size_t i = 0; i < desk->count; i++) {
        if (!only || desk->boards[i] == only) {
            json_array_append_new(boards, board_status(desk, i));
        }
    }
    return json_pack("{s:b, s:s, s:o}", "ok", 1, "time", clock_mode_name(desk->clock.mode),
                     "boards", boards);
}

/* --- one request --- */

/* The board a request is about; NULL with the reason in `*error`. */
static struct desk_board *choose(struct desk *desk, const json_t *name, const char **error)
{
    struct desk_board *board = NULL;
    if (name && !json_is_string(name)) {
        *error = "\"board\" is no string";
    } else if (name) {
        board = desk_find(desk, json_string_value(name));
        *error = "there is no such board";
    } else if (desk->count == 1) {
        board = desk->boards[0];
    } else {
        *error = "several boards: which one?";
    }
    return board;
}

json_t *desk_answer(void *context, const json_t *request)
{
    struct desk *desk = context;
    const char *command = json_string_value(json_object_get(request, "command"));
    const json_t *name = json_object_get(request, "board");
    const char *error = "no board";
    if (!command) {
        return control_error("\"command\" is no string");
    }
    clock_sync_all(&desk->clock);
    bool asks = strcmp(command, "status") == 0;
    struct desk_board *board = asks && !name ? NULL : choose(desk, name, &error);
    if (!board && !(asks && !name)) {
        return control_error(error);
    }
    if (asks) {
        return status(desk, board);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, command) == 0) {
            json_t *reply = commands[i].act(board, request);
            clock_sync(&desk->clock);
            desk_tidy(desk);
            return reply;
        }
    }
    return control_error("unknown command");
}
