/* Hotplug: a netlink socket for uevents is a socket of the server's, which sends what the kernel
 * and udev would. The sender's name is such that its bytes read as a netlink address with the right
 * group, because that is what programs look at. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "usb-gadget/preload/server.h"
#include "usb-gadget/raw/link.h"

#define NAMES 255

struct monitor {
    struct raw *raw;
    TAILQ_ENTRY(monitor) entry;
    uint64_t inode; /* of the program's end */
    int server_end; /* of the pair, a duplicate */
    struct event *event;
    uint32_t groups;
    bool named;
};

static void free_monitor(struct monitor *monitor)
{
    TAILQ_REMOVE(&monitor->raw->monitors, monitor, entry);
    if (monitor->event != NULL) {
        event_free(monitor->event);
    }
    close(monitor->server_end);
    free(monitor);
}

void monitors_free(struct raw *raw)
{
    struct monitor *monitor, *next;

    for (monitor = TAILQ_FIRST(&raw->monitors); monitor != NULL; monitor = next) {
        next = TAILQ_NEXT(monitor, entry);
        free_monitor(monitor);
    }
}

static void on_closed(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    free_monitor(context);
}

static struct monitor *monitor_of(struct call *call)
{
    struct monitor *monitor;
    struct stat status;

    if (!call_stat(call, (int)call->notice.data.args[0], &status) || !S_ISSOCK(status.st_mode)) {
        return NULL;
    }
    TAILQ_FOREACH(monitor, &call->raw->monitors, entry)
    {
        if (monitor->inode == status.st_ino) {
            break;
        }
    }
    return monitor;
}

/* --- socket() --- */

static bool say_groups(int program_end, uint32_t groups)
{
    const struct preload_request request = {
        .operation = PRELOAD_MONITOR, .version = PRELOAD_PROTOCOL_VERSION, .number = groups};

    return send(program_end, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

/* Takes the server's end. */
static struct monitor *new_monitor(struct raw *raw, int program_end, int server_end)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);
    struct stat status;

    if (monitor == NULL || fstat(program_end, &status) != 0) {
        close(server_end);
        free(monitor);
        return NULL;
    }
    monitor->raw = raw;
    monitor->inode = status.st_ino;
    monitor->server_end = server_end;
    TAILQ_INSERT_HEAD(&raw->monitors, monitor, entry);
    monitor->event = event_new(raw->base, server_end, EV_CLOSED, on_closed, monitor);
    int copy = fcntl(server_end, F_DUPFD_CLOEXEC, 0);
    if (monitor->event == NULL || event_add(monitor->event, NULL) != 0 || copy < 0 ||
        !preload_server_take(raw->server, copy) || !say_groups(program_end, 0)) {
        free_monitor(monitor);
        return NULL;
    }
    return monitor;
}

void monitors_socket(struct call *call)
{
    const int type = (int)call->notice.data.args[1];
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        call_answer(call, -errno);
        return;
    }
    (void)fcntl(pair[1], F_SETFL, O_RDWR | O_NONBLOCK);
    if (new_monitor(call->raw, pair[0], pair[1]) == NULL) {
        close(pair[0]);
        call_answer(call, -ENOMEM);
        return;
    }
    if (type & SOCK_NONBLOCK) {
        (void)fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK);
    }
    call_pass(call, pair[0], type & SOCK_CLOEXEC);
}

/* --- groups --- */

/* What reads as struct sockaddr_nl, but for the family; its padding makes the name unique. */
static void take_name(struct monitor *monitor, uint32_t group)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const size_t pad = offsetof(struct sockaddr_nl, nl_pad) + 1;

    memcpy((char *)&name + offsetof(struct sockaddr_nl, nl_groups), &group, sizeof group);
    for (int i = 1; i <= NAMES && !monitor->named; i++) {
        ((uint8_t *)&name)[pad] = (uint8_t)i;
        monitor->named = bind(monitor->server_end, (const struct sockaddr *)&name,
                              sizeof(struct sockaddr_nl)) == 0;
    }
}

/* The first group names the socket: programs have a socket for each. */
static void join(struct call *call, struct monitor *monitor, uint32_t groups)
{
    int program_end = call_borrow(call, (int)call->notice.data.args[0], monitor->inode);

    monitor->groups = groups;
    if (groups != 0 && !monitor->named) {
        take_name(monitor, groups & -groups);
    }
    bool said = program_end >= 0 && say_groups(program_end, groups);
    if (program_end >= 0) {
        close(program_end);
    }
    call_answer(call, said ? 0 : -ENOBUFS);
}

void monitors_bind(struct call *call)
{
    struct monitor *monitor = monitor_of(call);
    struct sockaddr_nl address;

    if (monitor == NULL) {
        call_continue(call);
    } else if (!call_read(call, call->notice.data.args[1], &address, sizeof address)) {
        call_answer(call, -EFAULT);
    } else {
        join(call, monitor, address.nl_groups);
    }
}

void monitors_option(struct call *call)
{
    const uint64_t *arguments = (const uint64_t *)call->notice.data.args;
    struct monitor *monitor = monitor_of(call);
    const int option = (int)arguments[2];
    unsigned group;

    if (monitor == NULL) {
        call_continue(call);
        return;
    }
    if (option != NETLINK_ADD_MEMBERSHIP && option != NETLINK_DROP_MEMBERSHIP) {
        call_answer(call, 0);
        return;
    }
    if ((unsigned)arguments[4] < sizeof group ||
        !call_read(call, arguments[3], &group, sizeof group)) {
        call_answer(call, -EFAULT);
        return;
    }
    const uint32_t bit = group >= 1 && group <= 32 ? UINT32_C(1) << (group - 1) : 0;
    join(call, monitor,
         option == NETLINK_ADD_MEMBERSHIP ? monitor->groups | bit : monitor->groups & ~bit);
}
