#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "usb-gadget/preload/server.h"
#include "usb-gadget/raw/cage.h"
#include "usb-gadget/raw/caretaker.h"
#include "usb-gadget/raw/link.h"

/* How often waiting programs are looked after. */
#define SWEEP_MS 100

/* Since Linux 6.6: the program runs on at once where we have just run. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

const char *const *raw_environment(void)
{
    /* libudev is to take our files for sysfs; and a library of another run is to keep still. */
    static const char *const environment[] = {"SYSTEMD_DEVICE_VERIFY_SYSFS=0",
                                              PRELOAD_ENVIRONMENT "=", NULL};

    return environment;
}

/* --- calls --- */

static void handle_ioctl(struct call *call)
{
    if (_IOC_TYPE((uint32_t)call->notice.data.args[1]) == 'U') {
        nodes_ioctl(call);
    } else {
        ttys_ioctl(call);
    }
}

static const struct {
    int number;
    void (*handle)(struct call *call);
} handlers[] = {
    {SYS_ioctl, handle_ioctl},   {SYS_openat, opens_handle},
#ifdef SYS_open
    {SYS_open, opens_handle},
#endif
    {SYS_openat2, opens_handle}, {SYS_socket, monitors_socket},     {SYS_lseek, nodes_rewind},
    {SYS_bind, monitors_bind},   {SYS_setsockopt, monitors_option},
};

void supervisor_handle(struct call *call)
{
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].number == call->notice.data.nr) {
            handlers[i].handle(call);
            return;
        }
    }
    call_continue(call);
}

/* The program has gone, or has a signal to handle. As in usbfs, that interrupts the wait for the
 * end of a transfer, but no short one: the board may have seen it. */
static bool is_over(const struct call *call)
{
    return !call_is_valid(call) || (call->node != NULL && call_is_interrupted(call));
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    struct raw *raw = context;
    struct call *call, *next;

    (void)fd;
    (void)what;
    for (call = TAILQ_FIRST(&raw->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, entry);
        if (call->waits_long && is_over(call)) {
            channel_forget(call);
            call_answer(call, -EINTR);
        } else {
            call->waits_long = true;
        }
    }
    if (TAILQ_EMPTY(&raw->calls)) {
        (void)event_del(raw->sweep);
    }
}

static void watch_over(struct raw *raw)
{
    static const struct timeval every = {.tv_usec = SWEEP_MS * 1000};

    if (!event_pending(raw->sweep, EV_TIMEOUT, NULL)) {
        (void)event_add(raw->sweep, &every);
    }
}

/* What is there to be received: POLLIN for a call, POLLHUP when all programs have ended. */
static int look(const struct raw *raw)
{
    struct pollfd listener = {.fd = raw->listener, .events = POLLIN};

    return poll(&listener, 1, 0) == 1 ? listener.revents : 0;
}

static void on_notice(evutil_socket_t fd, short what, void *context)
{
    struct raw *raw = context;
    const int there = look(raw);
    struct seccomp_notif notice = {0};

    (void)what;
    if (!(there & POLLIN)) {
        if (there & POLLHUP) {
            (void)event_del(raw->event);
        }
        return; /* receiving would wait */
    }
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) {
        return; /* it was killed just now */
    }
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        struct seccomp_notif_resp response = {.id = notice.id, .error = -ENOMEM};
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
        return;
    }
    call->raw = raw;
    call->notice = notice;
    call->fd = -1;
    TAILQ_INSERT_TAIL(&raw->calls, call, entry);
    supervisor_handle(call);
    if (!TAILQ_EMPTY(&raw->calls)) {
        watch_over(raw);
    }
}

/* --- life --- */

static void files_of(const struct preload_server *server, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/" PRELOAD_ROOT_NAME, preload_server_folder(server));
}

struct raw *raw_new(struct event_base *base, struct preload_server *server)
{
    struct raw *raw = calloc(1, sizeof *raw);
    char path[PATH_MAX];

    if (raw == NULL) {
        return NULL;
    }
    raw->base = base;
    raw->server = server;
    raw->listener = raw->pair[0] = raw->pair[1] = -1;
    TAILQ_INIT(&raw->calls);
    TAILQ_INIT(&raw->nodes);
    TAILQ_INIT(&raw->monitors);
    files_of(server, path);
    raw->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    raw->sweep = event_new(base, -1, EV_PERSIST, on_sweep, raw);
    if (raw->root < 0 || raw->sweep == NULL || !cage_pair(raw->pair)) {
        int error = errno;
        raw_free(raw);
        errno = error;
        return NULL;
    }
    return raw;
}

static void close_pair(struct raw *raw)
{
    for (size_t i = 0; i < 2; i++) {
        if (raw->pair[i] >= 0) {
            close(raw->pair[i]);
            raw->pair[i] = -1;
        }
    }
}

void raw_free(struct raw *raw)
{
    struct call *call;

    while ((call = TAILQ_FIRST(&raw->calls)) != NULL) {
        channel_forget(call);
        call_answer(call, -ENODEV);
    }
    nodes_free(raw);
    monitors_free(raw);
    for (size_t i = 0; i < LINK_PROCESSES; i++) {
        if (raw->processes[i].thread != 0) {
            close(raw->processes[i].process);
        }
    }
    if (raw->event != NULL) {
        event_free(raw->event);
    }
    if (raw->sweep != NULL) {
        event_free(raw->sweep);
    }
    close_pair(raw);
    if (raw->listener >= 0) {
        if (!(look(raw) & POLLHUP)) {
            caretaker_start(raw->listener, raw->server);
        }
        close(raw->listener);
    }
    if (raw->root >= 0) {
        close(raw->root);
    }
    free(raw);
}

bool raw_enter(struct raw *raw)
{
    char root[PATH_MAX];

    files_of(raw->server, root);
    return cage_enter(raw->pair[1], root);
}

bool raw_accept(struct raw *raw, pid_t child, struct raw_refusal *why)
{
    struct cage_failure failure;

    close(raw->pair[1]);
    raw->pair[1] = -1;
    raw->listener = cage_accept(raw->pair[0], child, &failure);
    if (raw->listener < 0) {
        cage_explain(&failure, why);
        return false;
    }
    (void)ioctl(raw->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    raw->event = event_new(raw->base, raw->listener, EV_READ | EV_PERSIST, on_notice, raw);
    if (raw->event == NULL || event_add(raw->event, NULL) != 0) {
        snprintf(why->text, sizeof why->text, "--raw: memory is short");
        return false;
    }
    return true;
}
