#include "emulator/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devmodel/photon.h"
#include "emulator/desk_control.h"

/* Where every link shows the boards. */
#define BUS 1

/* --- what the user asked for --- */

int session_take_option(struct session_wish *wish, const struct command_help *help, int option,
                        const char *value)
{
    switch (option) {
    case SESSION_BOARD:
        return options_collect(help, &wish->directories, &wish->count, value);
    case SESSION_RELEASE:
        wish->release = value;
        break;
    case SESSION_DFU:
        wish->dfu = true;
        break;
    case SESSION_TIME:
        if (!clock_mode_parse(value, &wish->mode)) {
            return options_wrong(help, "time \"%s\" found, real, fast or warp expected", value);
        }
        break;
    case SESSION_EVENTS:
        wish->wants_events = true;
        wish->events = value;
        break;
    case SESSION_TRACE:
        wish->trace = value;
        break;
    case SESSION_REPORT:
        wish->report = value;
        break;
    case SESSION_CONTROL:
        wish->control = value;
        break;
    }
    return EXIT_DONE;
}

int session_check_options(const struct session_wish *wish, const struct command_help *help,
                          size_t most)
{
    if (wish->count > most) {
        return options_wrong(help, "more than %zu boards", most);
    }
    if (wish->release && wish->count > 0) {
        return options_wrong(help, "--release is for a fresh board, not for one in a directory");
    }
    return EXIT_DONE;
}

void session_wish_free(struct session_wish *wish)
{
    free(wish->directories);
}

/* --- setting up --- */

static void nothing(evutil_socket_t fd, short what, void *context)
{
    /* Waking up is all: the loop brings the boards to the present. */
    (void)fd;
    (void)what;
    (void)context;
}

bool session_begin(struct session *session, const struct session_wish *wish,
                   struct complaint *complaint)
{
    *session = (struct session){.wish = wish};
    desk_init(&session->desk, wish->mode);
    struct event_config *config = event_config_new();
    if (config) {
        /* The board's deadlines are finer than epoll's milliseconds. */
        event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
        session->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    session->timer = session->base ? evtimer_new(session->base, nothing, NULL) : NULL;
    return session->timer || complain(complaint, "cannot make an event loop: %s", strerror(errno));
}

static int add_boards(struct session *session, struct complaint *complaint)
{
    const struct session_wish *wish = session->wish;
    for (size_t i = 0; i < wish->count; i++) {
        if (!desk_add_directory(&session->desk, wish->directories[i], complaint)) {
            return EXIT_ENVIRONMENT;
        }
    }
    if (wish->count > 0) {
        return EXIT_DONE;
    }
    struct recipe recipe = {.release = recipe_release(
                                wish->release ? wish->release : RECIPE_DEFAULT_RELEASE, complaint)};
    if (!recipe.release) {
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < wish->fresh; i++) {
        if (!desk_add_fresh(&session->desk, &recipe, complaint)) {
            return EXIT_ENVIRONMENT;
        }
    }
    return EXIT_DONE;
}

static bool open_events(struct session *session, struct complaint *complaint)
{
    const char *path = session->wish->events;
    session->events = path ? fopen(path, "we") : stderr;
    if (!session->events) {
        return complain(complaint, "%s: cannot write: %s", path, strerror(errno));
    }
    /* Who follows the file sees each line as it happens. */
    setvbuf(session->events, NULL, _IOLBF, BUFSIZ);
    desk_trace(&session->desk, session->events);
    return true;
}

static bool open_trace(struct session *session, struct complaint *complaint)
{
    session->trace = capture_file_open(session->wish->trace, complaint);
    return session->trace && (desk_capture(&session->desk, session->trace, BUS) ||
                              complain(complaint, "memory is short"));
}

static void view_board(const struct desk_board *board, struct flash_view *view)
{
    flash_view(photon_flash(board->board), photon_backup(board->board), view);
}

/* A report that cannot be written is better known before the work than after it. */
static bool prepare_report(struct session *session, struct complaint *complaint)
{
    const char *path = session->wish->report;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return complain(complaint, "%s: cannot write: %s", path, strerror(errno));
    }
    close(fd);
    session->before = calloc(session->desk.count, sizeof *session->before);
    if (!session->before) {
        return complain(complaint, "memory is short");
    }
    for (size_t i = 0; i < session->desk.count; i++) {
        view_board(session->desk.boards[i], &session->before[i]);
    }
    return true;
}

int session_fill(struct session *session, struct complaint *complaint)
{
    const struct session_wish *wish = session->wish;
    int code = add_boards(session, complaint);
    if (code != EXIT_DONE) {
        return code;
    }
    bool good = (!wish->wants_events || open_events(session, complaint)) &&
                (!wish->trace || open_trace(session, complaint)) &&
                (!wish->report || prepare_report(session, complaint)) &&
                desk_power_on(&session->desk, wish->dfu, complaint);
    return good ? EXIT_DONE : EXIT_ENVIRONMENT;
}

bool session_listen(struct session *session, struct complaint *complaint)
{
    session->control =
        control_new(session->base, session->wish->control, desk_answer, &session->desk, complaint);
    return session->control != NULL;
}

/* --- running --- */

static void set_timer(struct session *session)
{
    uint64_t wait = clock_wait(&session->desk.clock);
    if (wait == BOARD_NEVER) {
        evtimer_del(session->timer);
        return;
    }
    /* Rounded up: a moment too early would find nothing to do. */
    uint64_t us = wait / BOARD_NS_PER_US + 1;
    const struct timeval after = {.tv_sec = (time_t)(us / 1000000),
                                  .tv_usec = (suseconds_t)(us % 1000000)};
    evtimer_add(session->timer, &after);
}

void session_loop(struct session *session, bool (*awake)(void *context), void *context)
{
    while (!session->over) {
        clock_sync(&session->desk.clock);
        desk_tidy(&session->desk);
        set_timer(session);
        if (session->trace) {
            capture_file_flush(session->trace);
        }
        bool expects = awake && awake(context);
        event_base_loop(session->base, expects ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
}

/* --- summing up --- */

static json_t *board_report(const struct session *session, size_t index)
{
    const struct desk_board *board = session->desk.boards[index];
    struct flash_view after;
    char id[DEVICE_ID_TEXT];
    view_board(board, &after);
    device_id_print(board->identity.id, id);
    json_t *whole =
        json_pack("{s:s, s:s, s:f, s:o, s:o, s:b}", "name", board->name, "id", id, "time_ms",
                  (double)board->board->now / (double)BOARD_NS_PER_MS, "before",
                  report_modules_json(&session->before[index]), "after",
                  report_modules_json(&after), "saved", board->dir && !board->lost_store);
    json_t *sums = report_json(&board->report);
    json_object_update(whole, sums);
    json_decref(sums);
    return whole;
}

static bool write_report(const struct session *session, json_t *link)
{
    const char *path = session->wish->report;
    json_t *boards = json_array();
    for (size_t i = 0; i < session->desk.count; i++) {
        json_array_append_new(boards, board_report(session, i));
    }
    json_t *whole =
        json_pack("{s:i, s:s, s:i}", "format", 1, "time", clock_mode_name(session->desk.clock.mode),
                  "exit_code", session->code);
    if (link) {
        json_object_update(whole, link);
    }
    json_object_set_new(whole, "boards", boards);
    FILE *out = whole ? fopen(path, "we") : NULL;
    bool good = out && json_dumpf(whole, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) == 0 &&
                fputc('\n', out) != EOF;
    good = out && fclose(out) == 0 && good;
    json_decref(whole);
    if (!good) {
        say_error("%s: cannot write the report: %s", path, strerror(errno));
    }
    return good;
}

void session_finish(struct session *session, json_t *link)
{
    desk_settle(&session->desk);
    if (session->wish->report && !write_report(session, link)) {
        session->code = EXIT_ENVIRONMENT;
    }
    json_decref(link);
    desk_power_off(&session->desk);
    if (session->desk.lost_store) {
        session->code = EXIT_ENVIRONMENT;
    }
}

static void close_events(struct session *session)
{
    if (!session->events) {
        return;
    }
    bool lost = fflush(session->events) != 0 || ferror(session->events);
    lost = (session->events != stderr && fclose(session->events) != 0) || lost;
    if (lost) {
        say_error("cannot write all of the events");
        session->code = EXIT_ENVIRONMENT;
    }
}

static void close_trace(struct session *session)
{
    struct complaint complaint;
    if (!capture_file_close(session->trace, &complaint)) {
        say_complaint(&complaint);
        session->code = EXIT_ENVIRONMENT;
    }
}

void session_end(struct session *session)
{
    control_free(session->control);
    desk_free(&session->desk);
    close_events(session);
    close_trace(session);
    if (session->timer) {
        event_free(session->timer);
    }
    if (session->base) {
        event_base_free(session->base);
    }
    free(session->before);
}
