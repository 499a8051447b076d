#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "emulator/commands.h"
#include "emulator/complaint.h"
#include "emulator/options.h"
#include "usb-gadget/usbip/client.h"
#include "usb-gadget/usbip/vhci.h"

/* Between two tries, and for a server's answer. */
#define RETRY_MS    100
#define PATIENCE_MS 10000
#define HOST_MAX    256

enum { OPT_ONCE, OPT_VHCI };

static const struct option_row rows[] = {
    [OPT_ONCE] = {'1', "once", NULL,
                  "End when the board leaves the bus; do not plug it in again. Fail\n"
                  "when it is not there."},
    [OPT_VHCI] = {'\0', "vhci", "DIR", "The controller's folder in sysfs (default: found)."},
};

static const struct command_help help = {
    .name = "attach",
    .usage = "[OPTIONS] HOST[:PORT] BOARD",
    .purpose = "Plugs a board of a USB/IP server into this Linux kernel, and again whenever it\n"
               "comes back from a reset or in another mode, until it gets SIGTERM or SIGINT.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .notes = "BOARD is a bus id, as 1-1, or the name of the board: its device directory as\n"
             "the server was given it, or the last part of that. The usual port is 3240. Needs\n"
             "root and the kernel module vhci_hcd.",
};

struct attach {
    char host[HOST_MAX], service[8];
    const char *board;
    const char *folder; /* of vhci_hcd */
    bool once;
    int signals;           /* signalfd */
    int port;              /* of vhci, the last one that was used */
    struct complaint said; /* the last one */
};

/* --- the command line --- */

/* Parts "HOST:PORT", "[HOST]:PORT" or "HOST". */
static bool split(struct attach *attach, const char *where)
{
    const char *colon = strrchr(where, ':');
    const char *begin = where, *end = colon ? colon : where + strlen(where);
    if (colon && memchr(where, ':', (size_t)(colon - where)) && where[0] != '[') {
        end = where + strlen(where); /* a bare IPv6 address */
        colon = NULL;
    }
    if (*begin == '[' && end > begin + 1 && end[-1] == ']') {
        begin++;
        end--;
    }
    int host = snprintf(attach->host, sizeof attach->host, "%.*s", (int)(end - begin), begin);
    uint32_t port = USBIP_DEFAULT_PORT;
    if (colon && !options_number(colon + 1, UINT16_MAX, &port)) {
        return false;
    }
    snprintf(attach->service, sizeof attach->service, "%u", port);
    return host > 0 && (size_t)host < sizeof attach->host;
}

/* EXIT_DONE, an exit code, or -1 after the help. */
static int read_options(struct attach *attach, int argc, char **argv)
{
    struct options options;
    int option;
    options_begin(&options, &help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        switch (option) {
        case OPT_ONCE:
            attach->once = true;
            break;
        case OPT_VHCI:
            attach->folder = options.value;
            break;
        default:
            return option == OPTION_HELP ? -1 : EXIT_USAGE;
        }
    }
    if (argc - options.next != 2) {
        return options_wrong(&help, "%d words found, HOST[:PORT] and BOARD expected",
                             argc - options.next);
    }
    if (!split(attach, argv[options.next])) {
        return options_wrong(&help, "\"%s\" found, HOST or HOST:PORT expected", argv[options.next]);
    }
    attach->board = argv[options.next + 1];
    return EXIT_DONE;
}

/* --- the server --- */

/* "1-2": what else looks like that can be named by its path. */
static bool is_busid(const char *text)
{
    static const char digits[] = "0123456789";
    size_t bus = strspn(text, digits);
    size_t port = text[bus] == '-' ? strspn(text + bus + 1, digits) : 0;
    return bus > 0 && port > 0 && text[bus + 1 + port] == '\0';
}

static int dial(const struct attach *attach, struct complaint *complaint)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    struct addrinfo *found = NULL;
    int fd = -1, error = getaddrinfo(attach->host, attach->service, &hints, &found);
    if (error) {
        complain(complaint, "%s:%s: %s", attach->host, attach->service, gai_strerror(error));
        return -1;
    }
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        }
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            error = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        complain(complaint, "%s:%s: cannot connect: %s", attach->host, attach->service,
                 strerror(error));
    }
    return fd;
}

static bool explain(const struct attach *attach, enum usbip_outcome outcome, uint32_t status,
                    struct complaint *complaint)
{
    static const char *const words[] = {
        [USBIP_NOT_AVAILABLE] = "it is not available",
        [USBIP_BUSY] = "another host has it",
        [USBIP_DEVICE_ERROR] = "it does not answer",
        [USBIP_NO_DEVICE] = "it is not there, or not attached now",
    };
    const char *why = "the server does not speak USB/IP 1.1.1";
    if (outcome == USBIP_LOST) {
        why = "the server hung up";
    } else if (outcome == USBIP_REFUSED) {
        why = status < sizeof words / sizeof words[0] && words[status] ? words[status]
                                                                       : "the server refuses";
    }
    return complain(complaint, "board %s at %s:%s: %s", attach->board, attach->host,
                    attach->service, why);
}

/* The bus id of the board by name. */
static bool find_busid(const struct attach *attach, char busid[USBIP_BUSID_SIZE],
                       struct complaint *complaint)
{
    struct usbip_device device;
    bool found;
    if (is_busid(attach->board)) {
        snprintf(busid, USBIP_BUSID_SIZE, "%s", attach->board);
        return true;
    }
    int fd = dial(attach, complaint);
    if (fd < 0) {
        return false;
    }
    enum usbip_outcome outcome = usbip_client_find(fd, attach->board, &device, &found);
    close(fd);
    if (outcome != USBIP_DONE || !found) {
        return explain(attach, outcome == USBIP_DONE ? USBIP_REFUSED : outcome, USBIP_NO_DEVICE,
                       complaint);
    }
    memcpy(busid, device.busid, USBIP_BUSID_SIZE);
    return true;
}

/* A socket that carries the board's transfers, or -1. */
static int import(const struct attach *attach, struct usbip_device *device,
                  struct complaint *complaint)
{
    const struct timeval for_ever = {0};
    char busid[USBIP_BUSID_SIZE];
    uint32_t status = 0;
    int fd = find_busid(attach, busid, complaint) ? dial(attach, complaint) : -1;
    if (fd < 0) {
        return -1;
    }
    enum usbip_outcome outcome = usbip_client_import(fd, busid, device, &status);
    if (outcome != USBIP_DONE) {
        explain(attach, outcome, status, complaint);
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof for_ever);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof for_ever);
    return fd;
}

/* --- the kernel --- */

/* Waits until the cable's socket hangs up (-1: for no socket), or `ms` (-1: for ever). False when
 * we are to stop. */
static bool wait_for(const struct attach *attach, int fd, int ms)
{
    struct pollfd both[] = {{.fd = attach->signals, .events = POLLIN},
                            {.fd = fd, .events = POLLRDHUP}};
    while (poll(both, 2, ms) < 0 && errno == EINTR) {
    }
    return both[0].revents == 0;
}

/* Says something once, not at every try. */
static void say_once(struct attach *attach, const char *text)
{
    if (strcmp(attach->said.text, text) != 0) {
        snprintf(attach->said.text, sizeof attach->said.text, "%s", text);
        printf("%s\n", text);
        fflush(stdout);
    }
}

/* Plugs in until the board goes. False when we are to stop, with the cable pulled. */
static bool plug(struct attach *attach, int fd, const struct usbip_device *device, int *code)
{
    char text[256];
    const uint32_t devid = device->busnum << 16 | device->devnum;
    int port = vhci_attach(attach->folder, attach->port, fd, devid, device->speed);
    if (port < 0) {
        say_error("attach: %s/attach: %s", attach->folder,
                  port == -EBUSY ? "no port is free" : strerror(-port));
        *code = EXIT_ENVIRONMENT;
        return false;
    }
    attach->port = port;
    snprintf(text, sizeof text, "%s is plugged in: %04x:%04x at port %d", attach->board,
             device->vendor, device->product, port);
    say_once(attach, text);
    bool go_on = wait_for(attach, fd, -1);
    if (!go_on) {
        vhci_detach(attach->folder, port);
    }
    return go_on;
}

static int serve(struct attach *attach)
{
    int code = EXIT_DONE;
    bool go_on = true;
    while (go_on) {
        struct complaint complaint;
        struct usbip_device device;
        int fd = import(attach, &device, &complaint);
        if (fd >= 0) {
            go_on = plug(attach, fd, &device, &code) && !attach->once;
            close(fd);
        } else if (attach->once) {
            say_error("attach: %s", complaint.text);
            return EXIT_ENVIRONMENT;
        } else {
            say_once(attach, complaint.text);
            go_on = wait_for(attach, -1, RETRY_MS);
        }
    }
    return code;
}

static int watch_signals(void)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGHUP);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    return signalfd(-1, &stops, SFD_CLOEXEC);
}

int cmd_attach(int argc, char **argv)
{
    struct attach attach = {.board = "", .port = VHCI_NO_PORT};
    int code = read_options(&attach, argc, argv);
    if (code != EXIT_DONE) {
        return code < 0 ? EXIT_DONE : code;
    }
    const char *folder = vhci_folder(attach.folder);
    if (!folder) {
        say_error("attach: this kernel has no virtual USB controller%s%s; as root: modprobe "
                  "vhci_hcd",
                  attach.folder ? " at " : "", attach.folder ? attach.folder : "");
        return EXIT_ENVIRONMENT;
    }
    attach.folder = folder;
    attach.signals = watch_signals();
    if (attach.signals < 0) {
        say_error("attach: cannot watch for signals: %s", strerror(errno));
        return EXIT_ENVIRONMENT;
    }
    code = serve(&attach);
    close(attach.signals);
    return code;
}
