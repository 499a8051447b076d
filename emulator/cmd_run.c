#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devmodel/photon.h"
#include "emulator/child.h"
#include "emulator/commands.h"
#include "emulator/control.h"
#include "emulator/desk.h"
#include "emulator/desk_control.h"
#include "emulator/options.h"
#include "usb-gadget/preload/server.h"

enum { OPT_BOARD, OPT_RELEASE, OPT_DFU, OPT_TIME, OPT_EVENTS, OPT_REPORT, OPT_CONTROL };

static const struct option_row rows[] = {
    [OPT_BOARD] = {'d', "device", "DIR",
                   "The board in this device directory; may be given several times.\n"
                   "Without it: a fresh board that is forgotten afterwards."},
    [OPT_RELEASE] =
        {'r', "release", "R",
         "What the fresh board leaves the factory with (default\n" RECIPE_DEFAULT_RELEASE
         "); not together with -d."},
    [OPT_DFU] = {'\0', "dfu", NULL, "Hold SETUP over the start until the board is in DFU mode."},
    [OPT_TIME] = {'t', "time", "MODE",
                  "real: board time follows the wall clock. fast (default): it\n"
                  "jumps over what a busy board makes the host wait for. warp:\n"
                  "the command's own sleeps pass at once, too."},
    [OPT_EVENTS] = {'e', "events", "[FILE]",
                    "Tell what happens on the boards, one line an event (default:\n"
                    "on stderr)."},
    [OPT_REPORT] = {'\0', "report", "FILE", "Sum the run up as JSON."},
    [OPT_CONTROL] = {'\0', "control", "ADDRESS",
                     "Where `vphoton ctl` finds this run: a path, or @NAME (default:\n"
                     "a name that the command gets in " CONTROL_ENVIRONMENT ")."},
};

static const struct command_help help = {
    .name = "run",
    .usage = "[OPTIONS] [--] COMMAND [ARGUMENT]...",
    .purpose = "Runs a command that finds the boards on its USB, and gives its exit code.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .notes = "Boards are powered and at rest when the command starts; when it ends they finish\n"
             "what they are doing, lose their power and are saved.",
    .command = true,
};

struct wish {
    const char *directories[DESK_BOARDS_MAX];
    size_t count;
    const char *release, *events, *report, *control;
    bool dfu, wants_events;
    enum time_mode mode;
    char **command;
};

struct run {
    struct desk desk;
    struct event_base *base;
    struct event *timer;
    struct preload_server *server;
    struct control *control;
    struct child *child;
    FILE *events;
    struct flash_view *before; /* one a board, for the report */
    bool over;
    int code;
};

/* --- the command line --- */

static int take_option(struct wish *wish, int option, const char *value)
{
    switch (option) {
    case OPT_BOARD:
        if (wish->count == DESK_BOARDS_MAX) {
            return options_wrong(&help, "more than %d boards", DESK_BOARDS_MAX);
        }
        wish->directories[wish->count++] = value;
        break;
    case OPT_RELEASE:
        wish->release = value;
        break;
    case OPT_DFU:
        wish->dfu = true;
        break;
    case OPT_TIME:
        if (!clock_mode_parse(value, &wish->mode)) {
            return options_wrong(&help, "time \"%s\" found, real, fast or warp expected", value);
        }
        break;
    case OPT_EVENTS:
        wish->wants_events = true;
        wish->events = value;
        break;
    case OPT_REPORT:
        wish->report = value;
        break;
    case OPT_CONTROL:
        wish->control = value;
        break;
    }
    return EXIT_DONE;
}

/* EXIT_DONE, an exit code, or -1 after the help. */
static int read_options(struct wish *wish, int argc, char **argv)
{
    struct options options;
    int option;
    options_begin(&options, &help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? -1 : EXIT_USAGE;
        }
        int code = take_option(wish, option, options.value);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    if (options.next == argc) {
        return options_wrong(&help, "no command given");
    }
    if (wish->release && wish->count > 0) {
        return options_wrong(&help, "--release is for a fresh board, not for one in a directory");
    }
    wish->command = argv + options.next;
    return EXIT_DONE;
}

/* --- setting up --- */

static int add_boards(struct run *run, const struct wish *wish, struct complaint *complaint)
{
    for (size_t i = 0; i < wish->count; i++) {
        if (!desk_add_directory(&run->desk, wish->directories[i], complaint)) {
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
    return desk_add_fresh(&run->desk, &recipe, complaint) ? EXIT_DONE : EXIT_ENVIRONMENT;
}

static bool open_events(struct run *run, const struct wish *wish, struct complaint *complaint)
{
    run->events = wish->events ? fopen(wish->events, "we") : stderr;
    if (!run->events) {
        return complain(complaint, "%s: cannot write: %s", wish->events, strerror(errno));
    }
    /* Who reads along learns of an event when it happens. */
    setvbuf(run->events, NULL, _IOLBF, 0);
    /* Who follows the file sees each line as it happens. */
    setvbuf(run->events, NULL, _IOLBF, BUFSIZ);
    desk_trace(&run->desk, run->events);
    return true;
}

static void view_board(const struct desk_board *board, struct flash_view *view)
{
    flash_view(photon_flash(board->board), photon_backup(board->board), view);
}

/* A report that cannot be written is better known before the work than after it. */
static bool prepare_report(struct run *run, const struct wish *wish, struct complaint *complaint)
{
    int fd = open(wish->report, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return complain(complaint, "%s: cannot write: %s", wish->report, strerror(errno));
    }
    close(fd);
    run->before = calloc(run->desk.count, sizeof *run->before);
    if (!run->before) {
        return complain(complaint, "memory is short");
    }
    for (size_t i = 0; i < run->desk.count; i++) {
        view_board(run->desk.boards[i], &run->before[i]);
    }
    return true;
}

static uint64_t warp(void *context, uint64_t ns, bool until_event)
{
    struct run *run = context;
    uint64_t moved = clock_advance(&run->desk.clock, ns, until_event);
    desk_tidy(&run->desk);
    return moved;
}

static bool plug_in(struct run *run, struct complaint *complaint)
{
    const struct preload_options options = {
        .warp = run->desk.clock.mode == TIME_WARP,
        .advance = warp,
        .advance_context = run,
    };
    run->server = preload_server_new(run->base, &options);
    if (!run->server) {
        return complain(complaint, "cannot make the virtual bus: %s", strerror(errno));
    }
    for (size_t i = 0; i < run->desk.count; i++) {
        if (!preload_server_add(run->server, &run->desk.boards[i]->port, (unsigned)i + 1)) {
            return complain(complaint, "cannot plug board %zu in: %s", i + 1, strerror(errno));
        }
    }
    return true;
}

static void child_is_over(void *context, int code)
{
    struct run *run = context;
    run->over = true;
    run->code = code;
}

static void nothing(evutil_socket_t fd, short what, void *context)
{
    /* Waking up is all: the loop brings the boards to the present. */
    (void)fd;
    (void)what;
    (void)context;
}

static bool make_loop(struct run *run, struct complaint *complaint)
{
    struct event_config *config = event_config_new();
    if (config) {
        /* The board's deadlines are finer than epoll's milliseconds. */
        event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
        run->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    run->timer = run->base ? evtimer_new(run->base, nothing, NULL) : NULL;
    run->child = run->timer ? child_new(run->base, child_is_over, run) : NULL;
    return run->child || complain(complaint, "cannot make an event loop: %s", strerror(errno));
}

static int set_up(struct run *run, const struct wish *wish, struct complaint *complaint)
{
    if (!make_loop(run, complaint)) {
        return EXIT_ENVIRONMENT;
    }
    int code = add_boards(run, wish, complaint);
    if (code != EXIT_DONE) {
        return code;
    }
    if ((wish->wants_events && !open_events(run, wish, complaint)) ||
        (wish->report && !prepare_report(run, wish, complaint)) ||
        !desk_power_on(&run->desk, wish->dfu, complaint) || !plug_in(run, complaint)) {
        return EXIT_ENVIRONMENT;
    }
    run->control = control_new(run->base, wish->control, desk_answer, &run->desk, complaint);
    return run->control ? EXIT_DONE : EXIT_ENVIRONMENT;
}

/* --- running --- */

static int start(struct run *run, const struct wish *wish, struct complaint *complaint)
{
    char control[256];
    snprintf(control, sizeof control, CONTROL_ENVIRONMENT "=%s", control_address(run->control));
    const char *const own[] = {control, NULL};
    const char *const *const environments[] = {preload_server_environment(run->server), own, NULL};
    fflush(NULL);
    return child_start(run->child, wish->command, environments, complaint);
}

static void set_timer(struct run *run)
{
    uint64_t wait = clock_wait(&run->desk.clock);
    if (wait == BOARD_NEVER) {
        evtimer_del(run->timer);
        return;
    }
    /* Rounded up: a moment too early would find nothing to do. */
    uint64_t us = wait / BOARD_NS_PER_US + 1;
    const struct timeval after = {.tv_sec = (time_t)(us / 1000000),
                                  .tv_usec = (suseconds_t)(us % 1000000)};
    evtimer_add(run->timer, &after);
}

static void loop(struct run *run)
{
    while (!run->over) {
        clock_sync(&run->desk.clock);
        desk_tidy(&run->desk);
        set_timer(run);
        bool awake = preload_server_expects(run->server);
        event_base_loop(run->base, awake ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
}

/* --- summing up --- */

static json_t *board_report(const struct run *run, size_t index)
{
    const struct desk_board *board = run->desk.boards[index];
    struct flash_view after;
    char id[DEVICE_ID_TEXT];
    view_board(board, &after);
    device_id_print(board->identity.id, id);
    json_t *whole =
        json_pack("{s:s, s:s, s:f, s:o, s:o, s:b}", "name", board->name, "id", id, "time_ms",
                  (double)board->board->now / (double)BOARD_NS_PER_MS, "before",
                  report_modules_json(&run->before[index]), "after", report_modules_json(&after),
                  "saved", board->dir && !board->lost_store);
    json_t *sums = report_json(&board->report);
    json_object_update(whole, sums);
    json_decref(sums);
    return whole;
}

static bool write_report(const struct run *run, const char *path)
{
    json_t *boards = json_array();
    for (size_t i = 0; i < run->desk.count; i++) {
        json_array_append_new(boards, board_report(run, i));
    }
    json_t *whole =
        json_pack("{s:i, s:s, s:i, s:i, s:o}", "format", 1, "time",
                  clock_mode_name(run->desk.clock.mode), "exit_code", run->code, "early_polls",
                  (int)preload_server_early_polls(run->server), "boards", boards);
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

static void close_events(struct run *run)
{
    if (!run->events) {
        return;
    }
    bool lost = fflush(run->events) != 0 || ferror(run->events);
    lost = (run->events != stderr && fclose(run->events) != 0) || lost;
    if (lost) {
        say_error("cannot write all of the events");
        run->code = EXIT_ENVIRONMENT;
    }
}

static void finish(struct run *run, const struct wish *wish)
{
    desk_settle(&run->desk);
    if (wish->report && !write_report(run, wish->report)) {
        run->code = EXIT_ENVIRONMENT;
    }
    desk_power_off(&run->desk);
    if (run->desk.lost_store) {
        run->code = EXIT_ENVIRONMENT;
    }
}

static void clean_up(struct run *run)
{
    control_free(run->control);
    if (run->server) {
        preload_server_free(run->server);
    }
    desk_free(&run->desk);
    close_events(run);
    child_free(run->child);
    if (run->timer) {
        event_free(run->timer);
    }
    if (run->base) {
        event_base_free(run->base);
    }
    free(run->before);
}

int cmd_run(int argc, char **argv)
{
    struct wish wish = {.mode = TIME_FAST};
    struct complaint complaint;
    struct run run = {0};
    int code = read_options(&wish, argc, argv);
    if (code != EXIT_DONE) {
        return code < 0 ? EXIT_DONE : code;
    }
    desk_init(&run.desk, wish.mode);
    run.code = set_up(&run, &wish, &complaint);
    if (run.code == EXIT_DONE) {
        run.code = start(&run, &wish, &complaint);
    }
    if (run.code == EXIT_DONE) {
        loop(&run);
        finish(&run, &wish);
    } else {
        say_complaint(&complaint);
    }
    clean_up(&run);
    return run.code;
}
