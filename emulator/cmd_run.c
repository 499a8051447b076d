#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emulator/child.h"
#include "emulator/commands.h"
#include "emulator/session.h"
#include "usb-gadget/preload/server.h"
#include "usb-gadget/raw/raw.h"

enum { OPT_RAW = SESSION_OPTIONS };

static const struct option_row rows[] = {
    SESSION_ROWS,
    [SESSION_TIME] = {'t', "time", "MODE",
                      "real: board time follows the wall clock. fast (default): it\n"
                      "jumps over what a busy board makes the host wait for. warp:\n"
                      "the command's own sleeps pass at once, too."},
    [SESSION_REPORT] = {'\0', "report", "FILE", "Sum the run up as JSON."},
    [SESSION_CONTROL] = {'\0', "control", "ADDRESS",
                         "Where `vphoton ctl` finds this run: a path, or @NAME (default:\n"
                         "a name that the command gets in " CONTROL_ENVIRONMENT ")."},
    [OPT_RAW] = {'\0', "raw", NULL,
                 "Reach every program, static ones and those that make system calls\n"
                 "by themselves, too. Needs user namespaces, or root."},
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

struct run {
    struct session session;
    struct preload_server *server;
    bool wants_raw;
    struct raw *raw; /* NULL: programs are reached by the preload library */
    struct child *child;
    char **command;
};

/* EXIT_DONE, an exit code, or -1 after the help. */
static int read_options(struct run *run, struct session_wish *wish, int argc, char **argv)
{
    struct options options;
    int option;
    options_begin(&options, &help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? -1 : EXIT_USAGE;
        }
        if (option == OPT_RAW) {
            run->wants_raw = true;
            continue;
        }
        int code = session_take_option(wish, &help, option, options.value);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    if (options.next == argc) {
        return options_wrong(&help, "no command given");
    }
    if (run->wants_raw && wish->mode == TIME_WARP) {
        return options_wrong(&help, "--time warp is for programs that can do without --raw: it "
                                    "needs the library to let their sleeps pass");
    }
    run->command = argv + options.next;
    return session_check_options(wish, &help, PRELOAD_PORTS_MAX);
}

/* --- setting up --- */

static uint64_t warp(void *context, uint64_t ns, bool until_event)
{
    struct desk *desk = context;
    uint64_t moved = clock_advance(&desk->clock, ns, until_event);
    desk_tidy(desk);
    return moved;
}

static bool make_bus(struct run *run, struct complaint *complaint)
{
    struct desk *desk = &run->session.desk;
    const struct preload_options options = {
        .front_end = run->wants_raw,
        .warp = desk->clock.mode == TIME_WARP,
        .advance = warp,
        .advance_context = desk,
    };
    run->server = preload_server_new(run->session.base, &options);
    if (!run->server) {
        return complain(complaint, "cannot make the virtual bus: %s", strerror(errno));
    }
    if (run->wants_raw && !(run->raw = raw_new(run->session.base, run->server))) {
        return complain(complaint, "cannot supervise the command: %s", strerror(errno));
    }
    return true;
}

static bool plug_in(struct run *run, struct complaint *complaint)
{
    struct desk *desk = &run->session.desk;
    for (size_t i = 0; i < desk->count; i++) {
        if (!preload_server_add(run->server, &desk->boards[i]->port, (unsigned)i + 1)) {
            return complain(complaint, "cannot plug board %zu in: %s", i + 1, strerror(errno));
        }
    }
    return true;
}

static void child_is_over(void *context, int code)
{
    struct session *session = context;
    session->over = true;
    session->code = code;
}

/* Better known before a board has power. */
static bool is_possible(const struct run *run, struct complaint *complaint)
{
    struct raw_refusal why;
    return !run->wants_raw || raw_possible(&why) || complain(complaint, "%s", why.text);
}

static bool enter_raw(void *context)
{
    return raw_enter(context);
}

static bool accept_raw(void *context, pid_t child, struct complaint *complaint)
{
    struct raw_refusal why;
    return raw_accept(context, child, &why) || complain(complaint, "%s", why.text);
}

/* The command, held until all is there for it. */
static bool start(struct run *run, struct complaint *complaint)
{
    char control[256];
    snprintf(control, sizeof control, CONTROL_ENVIRONMENT "=%s",
             control_address(run->session.control));
    const char *const own[] = {control, NULL};
    const char *const *const environments[] = {
        run->raw ? raw_environment() : preload_server_environment(run->server), own, NULL};
    const struct child_place raw_place = {enter_raw, accept_raw, run->raw};
    fflush(NULL);
    return child_start(run->child, run->command, environments, run->raw ? &raw_place : NULL,
                       !run->raw, complaint);
}

static bool prepare(struct run *run, const struct session_wish *wish, struct complaint *complaint)
{
    if (!session_begin(&run->session, wish, complaint) || !is_possible(run, complaint)) {
        return false;
    }
    run->child = child_new(run->session.base, child_is_over, &run->session);
    if (!run->child) {
        return complain(complaint, "cannot watch a command: %s", strerror(errno));
    }
    return make_bus(run, complaint) && session_listen(&run->session, complaint);
}

/* The system loads the command while the boards are made; mounts need to have them all. */
static int set_up(struct run *run, const struct session_wish *wish, struct complaint *complaint)
{
    if (!prepare(run, wish, complaint) || (!run->raw && !start(run, complaint))) {
        return EXIT_ENVIRONMENT;
    }
    int code = session_fill(&run->session, complaint);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!plug_in(run, complaint) || (run->raw && !start(run, complaint))) {
        return EXIT_ENVIRONMENT;
    }
    return child_release(run->child, complaint);
}

/* --- running --- */

static bool expects(void *context)
{
    return preload_server_expects(context);
}

static void finish(struct run *run)
{
    json_t *link = json_pack("{s:i}", "early_polls", (int)preload_server_early_polls(run->server));
    session_finish(&run->session, link);
}

static void clean_up(struct run *run)
{
    if (run->raw) {
        raw_free(run->raw);
    }
    if (run->server) {
        preload_server_free(run->server);
    }
    child_free(run->child);
    session_end(&run->session);
}

/* The program's exit code. */
static int run_command(struct run *run, const struct session_wish *wish)
{
    struct complaint complaint;
    int code = set_up(run, wish, &complaint);
    run->session.code = code;
    if (code == EXIT_DONE) {
        session_loop(&run->session, expects, run->server);
        finish(run);
    } else {
        say_complaint(&complaint);
    }
    clean_up(run);
    return run->session.code;
}

int cmd_run(int argc, char **argv)
{
    struct session_wish wish = SESSION_WISH;
    struct run run = {0};
    int code = read_options(&run, &wish, argc, argv);
    if (code == EXIT_DONE) {
        code = run_command(&run, &wish);
    }
    session_wish_free(&wish);
    return code < 0 ? EXIT_DONE : code;
}
