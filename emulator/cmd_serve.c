#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "emulator/activation.h"
#include "emulator/commands.h"
#include "emulator/listener.h"
#include "emulator/readiness.h"
#include "emulator/redir_sockets.h"
#include "emulator/session.h"
#include "emulator/vhci_local.h"
#include "usb-gadget/usbip/server.h"

/* FileDescriptorName= of a socket unit. */
#define USBIP_SOCKET_NAME "usbip"

/* Device numbers on the wire are 16 bits. */
#define SERVE_BOARDS_MAX 65000

enum {
    OPT_COUNT = SESSION_OPTIONS,
    OPT_USBIP,
    OPT_USBREDIR,
    OPT_VHCI_LOCAL,
    OPT_ALLOW_REMOTE,
    OPT_READY_FD
};

static const struct option_row rows[] = {
    SESSION_ROWS,
    [SESSION_TIME] = {'t', "time", "MODE",
                      "real: board time follows the wall clock. fast (default): it\n"
                      "jumps over what a busy board makes the host wait for."},
    [SESSION_REPORT] = {'\0', "report", "FILE", "Sum it all up as JSON at the end."},
    [SESSION_CONTROL] = {'\0', "control", "ADDRESS",
                         "Where `vphoton ctl` finds the boards: a path, or @NAME\n"
                         "(default: a name that is printed)."},
    [OPT_COUNT] = {'n', "count", "N", "So many fresh boards (1); not together with -d."},
    [OPT_USBIP] = {'\0', "usbip", "ADDRESS:PORT",
                   "Serve USB/IP there (the usual port is 3240; 0 takes a free\n"
                   "one): board number N is bus id 1-N."},
    [OPT_USBREDIR] = {'\0', "usbredir", "WHERE",
                      "Serve usbredir (QEMU, SPICE) there: the path of a socket file,\n"
                      "or ADDRESS:PORT. The first is board 1's, the second board 2's;\n"
                      "or a single one with % for the board's number."},
    [OPT_VHCI_LOCAL] = {'\0', "vhci-local", NULL,
                        "Plug the boards into this Linux kernel, with no network. Needs\n"
                        "root and the kernel module vhci_hcd."},
    [OPT_ALLOW_REMOTE] = {'\0', "allow-remote", NULL,
                          "Listen where other machines reach it, too. Whoever can\n"
                          "connect can flash the boards: there are no passwords."},
    [OPT_READY_FD] = {'\0', "ready-fd", "N",
                      "Write a newline to this descriptor, and close it, when hosts\n"
                      "can connect."},
};

static const struct command_help help = {
    .name = "serve",
    .usage =
        "[OPTIONS] --usbip ADDRESS:PORT\n[OPTIONS] --usbredir WHERE...\n[OPTIONS] --vhci-local",
    .purpose = "Serves boards to hosts that plug them in over USB/IP or usbredir, until it gets\n"
               "SIGTERM or SIGINT. Then the boards finish what they are doing, lose their power\n"
               "and are saved.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .notes = "Each board has one host at a time. A service manager that wants to know is told\n"
             "when hosts can connect (sd_notify), and may open the sockets for USB/IP itself\n"
             "(FileDescriptorName=usbip).",
};

struct serve_wish {
    struct session_wish session;
    struct activation activation;
    const char *usbip;
    const char **usbredir;
    size_t usbredir_count;
    bool vhci_local, allow_remote;
    int ready; /* -1: nobody waits for it */
};

struct serve {
    struct session session;
    struct outlet *outlets;
    struct event *stops[3];
    struct usbip_server *usbip;
    struct vhci_local *vhci_local;
    struct redir_sockets *usbredir;
};

static const int stop_signals[] = {SIGTERM, SIGINT, SIGHUP};

/* --- the command line --- */

static int take_ready_fd(struct serve_wish *wish, const char *value)
{
    uint32_t number;
    if (!options_number(value, INT32_MAX, &number) || fcntl((int)number, F_GETFD) < 0) {
        return options_wrong(&help, "--ready-fd \"%s\" found, an open descriptor expected", value);
    }
    wish->ready = (int)number;
    return EXIT_DONE;
}

static int take_count(struct serve_wish *wish, const char *value)
{
    uint32_t number;
    if (!options_number(value, SERVE_BOARDS_MAX, &number) || number == 0) {
        return options_wrong(&help, "--count \"%s\" found, a number from 1 to %d expected", value,
                             SERVE_BOARDS_MAX);
    }
    wish->session.fresh = number;
    return EXIT_DONE;
}

static int take_option(struct serve_wish *wish, int option, const char *value)
{
    switch (option) {
    case OPT_COUNT:
        return take_count(wish, value);
    case OPT_USBIP:
        wish->usbip = value;
        return EXIT_DONE;
    case OPT_USBREDIR:
        return options_collect(&help, &wish->usbredir, &wish->usbredir_count, value);
    case OPT_VHCI_LOCAL:
        wish->vhci_local = true;
        return EXIT_DONE;
    case OPT_ALLOW_REMOTE:
        wish->allow_remote = true;
        return EXIT_DONE;
    case OPT_READY_FD:
        return take_ready_fd(wish, value);
    default:
        return session_take_option(&wish->session, &help, option, value);
    }
}

/* EXIT_DONE, an exit code, or -1 after the help. */
static int read_options(struct serve_wish *wish, int argc, char **argv)
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
    if (options.next < argc) {
        return options_wrong(&help, "unexpected word \"%s\"", argv[options.next]);
    }
    if (wish->session.mode == TIME_WARP) {
        return options_wrong(&help, "time warp shortens the sleeps of a command that it starts: "
                                    "that is `run`; real or fast expected");
    }
    if (wish->session.fresh > 1 && wish->session.count > 0) {
        return options_wrong(&help, "--count is for fresh boards, not for those in directories");
    }
    if (!wish->usbip && wish->usbredir_count == 0 && !wish->vhci_local &&
        wish->activation.count == 0) {
        return options_wrong(&help, "no way for hosts to reach the boards; --usbip, --usbredir or "
                                    "--vhci-local expected");
    }
    return session_check_options(&wish->session, &help, SERVE_BOARDS_MAX);
}

/* --- setting up --- */

static void on_stop(evutil_socket_t signal, short what, void *context)
{
    struct session *session = context;
    (void)signal;
    (void)what;
    session->over = true;
    event_base_loopbreak(session->base);
}

static bool watch_signals(struct serve *serve, struct complaint *complaint)
{
    struct session *session = &serve->session;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof stop_signals / sizeof stop_signals[0]; i++) {
        serve->stops[i] = evsignal_new(session->base, stop_signals[i], on_stop, session);
        if (!serve->stops[i] || event_add(serve->stops[i], NULL) != 0) {
            return complain(complaint, "cannot watch for signals: %s", strerror(errno));
        }
    }
    return true;
}

/* A board's directory is several open files, its host one. */
static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* then the first file too many says so */
    }
}

static bool make_outlets(struct serve *serve, struct complaint *complaint)
{
    struct desk *desk = &serve->session.desk;
    serve->outlets = calloc(desk->count, sizeof *serve->outlets);
    for (size_t i = 0; i < desk->count; i++) {
        struct desk_board *board = desk->boards[i];
        if (!serve->outlets || !outlet_init(&serve->outlets[i], serve->session.base, &board->port,
                                            board->name, (unsigned)i + 1)) {
            return complain(complaint, "memory is short");
        }
    }
    return true;
}

/* Takes the socket over. */
static bool serve_usbip_at(struct serve *serve, int listener, struct complaint *complaint)
{
    char name[LISTENER_NAME_MAX];
    listener_name(listener, name);
    printf("USB/IP at %s\n", name);
    return usbip_server_listen(serve->usbip, listener) || complain(complaint, "memory is short");
}

static bool open_usbip(struct serve *serve, const struct serve_wish *wish,
                       struct complaint *complaint)
{
    int listener = listener_open(wish->usbip, wish->allow_remote, complaint);
    if (listener < 0) {
        return complain_about(complaint, "--usbip");
    }
    return serve_usbip_at(serve, listener, complaint);
}

/* The sockets of a socket unit, which may have none of this name. */
static bool open_activated(struct serve *serve, struct serve_wish *wish,
                           struct complaint *complaint)
{
    for (int fd = activation_take(&wish->activation, USBIP_SOCKET_NAME); fd >= 0;
         fd = activation_take(&wish->activation, USBIP_SOCKET_NAME)) {
        if (!listener_check(fd, wish->allow_remote, complaint)) {
            close(fd);
            return complain_about(complaint, "socket unit");
        }
        if (!serve_usbip_at(serve, fd, complaint)) {
            return false;
        }
    }
    return true;
}

static bool open_vhci_local(struct serve *serve, struct complaint *complaint)
{
    serve->vhci_local =
        vhci_local_new(serve->usbip, serve->outlets, serve->session.desk.count, complaint);
    return serve->vhci_local || complain_about(complaint, "--vhci-local");
}

/* The server of USB/IP, and those who use it. */
static bool open_usbip_links(struct serve *serve, struct serve_wish *wish,
                             struct complaint *complaint)
{
    if (!wish->usbip && !wish->vhci_local && wish->activation.count == 0) {
        return true;
    }
    serve->usbip = usbip_server_new(serve->session.base, serve->outlets, serve->session.desk.count);
    if (!serve->usbip) {
        return complain(complaint, "memory is short");
    }
    return open_activated(serve, wish, complaint) &&
           (!wish->usbip || open_usbip(serve, wish, complaint)) &&
           (!wish->vhci_local || open_vhci_local(serve, complaint));
}

static bool open_usbredir(struct serve *serve, const struct serve_wish *wish,
                          struct complaint *complaint)
{
    serve->usbredir =
        redir_sockets_open(serve->session.base, serve->outlets, serve->session.desk.count,
                           wish->usbredir, wish->usbredir_count, wish->allow_remote, complaint);
    if (serve->usbredir) {
        redir_sockets_print(serve->usbredir);
    }
    return serve->usbredir;
}

static int set_up(struct serve *serve, struct serve_wish *wish, struct complaint *complaint)
{
    struct session *session = &serve->session;
    if (!session_begin(session, &wish->session, complaint) || !watch_signals(serve, complaint)) {
        return EXIT_ENVIRONMENT;
    }
    allow_many_files();
    int code = session_fill(session, complaint);
    if (code != EXIT_DONE) {
        return code;
    }
    bool good = make_outlets(serve, complaint) && open_usbip_links(serve, wish, complaint) &&
                (wish->usbredir_count == 0 || open_usbredir(serve, wish, complaint)) &&
                session_listen(session, complaint);
    return good ? EXIT_DONE : EXIT_ENVIRONMENT;
}

/* --- running --- */

static void say_ready(const struct serve *serve, const struct serve_wish *wish)
{
    printf("control socket at %s\n", control_address(serve->session.control));
    fflush(stdout);
    readiness_notify("READY=1");
    if (wish->ready >= 0) {
        readiness_write(wish->ready);
    }
}

static void clean_up(struct serve *serve)
{
    vhci_local_free(serve->vhci_local);
    if (serve->usbip) {
        usbip_server_free(serve->usbip);
    }
    redir_sockets_close(serve->usbredir);
    for (size_t i = 0; serve->outlets && i < serve->session.desk.count; i++) {
        outlet_free(&serve->outlets[i]);
    }
    free(serve->outlets);
    for (size_t i = 0; i < sizeof serve->stops / sizeof serve->stops[0]; i++) {
        if (serve->stops[i]) {
            event_free(serve->stops[i]);
        }
    }
    session_end(&serve->session);
}

/* The program's exit code. */
static int serve_boards(struct serve *serve, struct serve_wish *wish)
{
    struct complaint complaint;
    int code = set_up(serve, wish, &complaint);
    serve->session.code = code;
    if (code == EXIT_DONE) {
        say_ready(serve, wish);
        session_loop(&serve->session, NULL, NULL);
        readiness_notify("STOPPING=1");
        session_finish(&serve->session, NULL);
    } else {
        say_complaint(&complaint);
    }
    clean_up(serve);
    return serve->session.code;
}

int cmd_serve(int argc, char **argv)
{
    struct serve_wish wish = {.session = SESSION_WISH, .ready = -1};
    struct serve serve = {0};
    activation_begin(&wish.activation);
    int code = read_options(&wish, argc, argv);
    if (code == EXIT_DONE) {
        code = serve_boards(&serve, &wish);
    }
    session_wish_free(&wish.session);
    free(wish.usbredir);
    return code < 0 ? EXIT_DONE : code;
}
