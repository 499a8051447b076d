#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "emulator/child.h"
#include "emulator/commands.h"
#include "emulator/session.h"
#include "usb-gadget/program_folder.h"
#include "usb-gadget/usbredir/server.h"

/* Ports of the guest's USB controller. */
#define PLUGS_MAX 8
#define HELPER    "vm.py"

static const struct option_row rows[] = {
    SESSION_ROWS,
    [SESSION_TIME] = {'t', "time", "MODE",
                      "real: board time follows the wall clock. fast (default): it\n"
                      "jumps over what a busy board makes the host wait for."},
    [SESSION_REPORT] = {'\0', "report", "FILE", "Sum the run up as JSON."},
    [SESSION_CONTROL] = {'\0', "control", "ADDRESS",
                         "Where `vphoton ctl` on this machine finds the boards: a path,\n"
                         "or @NAME."},
};

static const struct command_help help = {
    .name = "vm",
    .usage = "[OPTIONS] [--] COMMAND [ARGUMENT]...",
    .purpose = "Runs a command in a virtual machine with Debian's kernel, where the boards are\n"
               "plugged in, and gives its exit code. The command is root there.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .notes = "The files are this machine's; what is written outside the current folder vanishes\n"
             "with the virtual machine, and there is no network. It needs QEMU (Debian's\n"
             "qemu-system-x86) and, the first time, 75 MB of Debian's packages, which it fetches.\n"
             "It keeps 160 MB in VPHOTON_CACHE, or in vphoton in the user's cache folder.",
    .command = true,
};

/* One board's cable. */
struct plug {
    struct outlet outlet;
    struct usbredir_server *server;
    int guest; /* the end that the machine gets; -1: not made */
};

struct vm {
    struct session session;
    struct plug plugs[PLUGS_MAX];
    struct child *child;
    char **command;
};

/* EXIT_DONE, an exit code, or -1 after the help. */
static int read_options(struct vm *vm, struct session_wish *wish, int argc, char **argv)
{
    struct options options;
    int option;
    options_begin(&options, &help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? -1 : EXIT_USAGE;
        }
        int code = session_take_option(wish, &help, option, options.value);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    if (options.next == argc) {
        return options_wrong(&help, "no command given");
    }
    if (wish->mode == TIME_WARP) {
        return options_wrong(&help, "time warp cannot shorten the sleeps of a virtual machine; "
                                    "real or fast expected");
    }
    vm->command = argv + options.next;
    return session_check_options(wish, &help, PLUGS_MAX);
}

/* --- the cables --- */

static void say(void *context, const char *line)
{
    const struct plug *plug = context;
    say_error("vm: board %u: %s", plug->outlet.number, line);
}

static bool lay_cable(struct plug *plug, struct session *session, struct desk_board *board,
                      unsigned number, struct complaint *complaint)
{
    int ends[2];
    if (!outlet_init(&plug->outlet, session->base, &board->port, board->name, number)) {
        return complain(complaint, "memory is short");
    }
    plug->server = usbredir_server_new(session->base, &plug->outlet, -1, say, plug);
    /* The other end is for the command. */
    if (!plug->server || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return complain(complaint, "cannot plug board %u in: %s", number, strerror(errno));
    }
    plug->guest = ends[1];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0) {
        close(ends[0]);
        return complain(complaint, "cannot plug board %u in: %s", number, strerror(errno));
    }
    usbredir_server_accept(plug->server, ends[0]);
    return true;
}

static bool lay_cables(struct vm *vm, struct complaint *complaint)
{
    struct desk *desk = &vm->session.desk;
    for (size_t i = 0; i < desk->count; i++) {
        if (!lay_cable(&vm->plugs[i], &vm->session, desk->boards[i], (unsigned)i + 1, complaint)) {
            return false;
        }
    }
    return true;
}

static void close_guest_end(struct plug *plug)
{
    if (plug->guest >= 0) {
        close(plug->guest);
        plug->guest = -1;
    }
}

/* --- the machine --- */

/* From the program's folder: in a build folder, and installed. */
static const char *const helper_places[] = {"/../guest/", "/../" LIBEXECDIR "/vphoton/guest/"};

static bool find_helper(char path[PATH_MAX], struct complaint *complaint)
{
    char program[PATH_MAX];
    program_folder(program);
    for (size_t i = 0; i < sizeof helper_places / sizeof helper_places[0]; i++) {
        int written = snprintf(path, PATH_MAX, "%s%s" HELPER, program, helper_places[i]);
        if (written < PATH_MAX && access(path, R_OK) == 0) {
            return true;
        }
    }
    return complain(complaint,
                    "no " HELPER " beside the program in %s: the installation is not "
                    "whole",
                    program);
}

static size_t count_words(char **words)
{
    size_t count = 0;
    while (words[count]) {
        count++;
    }
    return count;
}

/* python3 -B HELPER --board FD... -- COMMAND... */
static int start(struct vm *vm, char *helper, struct complaint *complaint)
{
    char numbers[PLUGS_MAX][16];
    char *python = "python3";
    char **words = calloc(2 * PLUGS_MAX + count_words(vm->command) + 5, sizeof *words);
    size_t count = 0;
    if (!words) {
        complain(complaint, "memory is short");
        return EXIT_ENVIRONMENT;
    }
    words[count++] = python;
    words[count++] = "-B";
    words[count++] = helper;
    for (size_t i = 0; i < vm->session.desk.count; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%d", vm->plugs[i].guest);
        words[count++] = "--board";
        words[count++] = numbers[i];
    }
    words[count++] = "--";
    memcpy(&words[count], vm->command, count_words(vm->command) * sizeof *words);
    const char *const *const environments[] = {NULL};
    fflush(NULL);
    int code = child_start(vm->child, words, environments, NULL, false, complaint)
                   ? child_release(vm->child, complaint)
                   : EXIT_ENVIRONMENT;
    free(words);
    if (code == CHILD_NOT_FOUND) {
        complain(complaint, "python3 is missing: apt-get install python3");
    }
    return code == EXIT_DONE ? EXIT_DONE : EXIT_ENVIRONMENT;
}

static void child_is_over(void *context, int code)
{
    struct session *session = context;
    session->over = true;
    session->code = code;
}

static int set_up(struct vm *vm, const struct session_wish *wish, struct complaint *complaint)
{
    char helper[PATH_MAX];
    if (!find_helper(helper, complaint) || !session_begin(&vm->session, wish, complaint)) {
        return EXIT_ENVIRONMENT;
    }
    vm->child = child_new(vm->session.base, child_is_over, &vm->session);
    if (!vm->child) {
        complain(complaint, "cannot watch a command: %s", strerror(errno));
        return EXIT_ENVIRONMENT;
    }
    int code = session_fill(&vm->session, complaint);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!lay_cables(vm, complaint) || !session_listen(&vm->session, complaint)) {
        return EXIT_ENVIRONMENT;
    }
    return start(vm, helper, complaint);
}

static void clean_up(struct vm *vm)
{
    for (size_t i = 0; i < PLUGS_MAX; i++) {
        struct plug *plug = &vm->plugs[i];
        close_guest_end(plug);
        if (plug->server) {
            usbredir_server_free(plug->server);
        }
        outlet_free(&plug->outlet);
    }
    child_free(vm->child);
    session_end(&vm->session);
}

/* The program's exit code. */
static int run_machine(struct vm *vm, const struct session_wish *wish)
{
    struct complaint complaint;
    int code = set_up(vm, wish, &complaint);
    vm->session.code = code;
    if (code == EXIT_DONE) {
        /* So that a machine that ends is heard of. */
        for (size_t i = 0; i < PLUGS_MAX; i++) {
            close_guest_end(&vm->plugs[i]);
        }
        session_loop(&vm->session, NULL, NULL);
        session_finish(&vm->session, NULL);
    } else {
        say_complaint(&complaint);
    }
    clean_up(vm);
    return vm->session.code;
}

int cmd_vm(int argc, char **argv)
{
    struct session_wish wish = SESSION_WISH;
    struct vm vm = {0};
    for (size_t i = 0; i < PLUGS_MAX; i++) {
        vm.plugs[i].guest = -1;
    }
    int code = read_options(&vm, &wish, argc, argv);
    if (code == EXIT_DONE) {
        code = run_machine(&vm, &wish);
    }
    session_wish_free(&wish);
    return code < 0 ? EXIT_DONE : code;
}
