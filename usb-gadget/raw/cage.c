#include "usb-gadget/raw/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "usb-gadget/preload/passing.h"
#include "usb-gadget/preload/protocol.h"

#define MARK    UINT64_C(0x50484F544F4E2121)
#define INSTEAD "without --raw, dynamic programs need none of this"

/* What the child has to say: it failed, or its listener comes along and this is where its mark
 * lies. */
struct report {
    struct cage_failure failure;
    bool failed;
    void *mark; /* where it lies in the child */
    int link;   /* number of its end of the link */
};

static const uint64_t mark = MARK;

bool cage_failed(struct cage_failure *failure, enum cage_step step, const char *what)
{
    failure->step = step;
    failure->error = errno;
    snprintf(failure->what, sizeof failure->what, "%s", what);
    return false;
}

/* --- what people read --- */

/* The most likely reason first: one that does not say 0 holds for that error only. */
static const struct {
    enum cage_step step;
    int error;
    const char *reason;
} reasons[] = {
    {CAGE_NAMESPACE, ENOSPC,
     "no user namespaces (more) are allowed here, see /proc/sys/user/max_user_namespaces"},
    {CAGE_NAMESPACE, EUSERS, "user namespaces are nested too deep here"},
    {CAGE_NAMESPACE, 0, "this machine or container forbids user namespaces"},
    {CAGE_IDENTITY, 0, "this machine gives user namespaces no rights"},
    {CAGE_MOUNT, EPERM, "this machine or container forbids mounts"},
    {CAGE_MOUNT, EACCES, "this machine or container forbids mounts"},
    {CAGE_MOUNT, 0, "the files of the boards cannot be mounted"},
    {CAGE_FILTER, EBUSY,
     "another supervisor answers system calls here already: --raw within --raw, or a container's"},
    {CAGE_FILTER, EINVAL, "this kernel's seccomp is older than 5.19's"},
    {CAGE_FILTER, 0, "this machine or container forbids seccomp filters"},
    {CAGE_LINK, 0, "the process for the command went away"},
    {CAGE_MEMORY, 0, "this machine or container forbids reading another process' memory"},
    {CAGE_FILES, 0, "this machine or container forbids borrowing another process' files"},
};

void cage_explain(const struct cage_failure *failure, struct raw_refusal *why)
{
    size_t row = 0;

    while (reasons[row].step != failure->step ||
           (reasons[row].error != 0 && reasons[row].error != failure->error)) {
        row++;
    }
    snprintf(why->text, sizeof why->text, "--raw: %s (%s: %s); " INSTEAD, reasons[row].reason,
             failure->what, strerror(failure->error));
}

/* --- in the child --- */

static bool put(const char *path, const char *text, struct cage_failure *failure)
{
    const ssize_t length = (ssize_t)strlen(text);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool done = (file >= 0 && write(file, text, (size_t)length) == length) ||
                cage_failed(failure, CAGE_IDENTITY, path);

    if (file >= 0) {
        close(file);
    }
    return done;
}

/* Everybody is who they are outside; all other users are nobody. */
static bool keep_identity(unsigned user, unsigned group, struct cage_failure *failure)
{
    char users[32], groups[32];

    snprintf(users, sizeof users, "%u %u 1", user, user);
    snprintf(groups, sizeof groups, "%u %u 1", group, group);
    return put("/proc/self/setgroups", "deny", failure) &&
           put("/proc/self/uid_map", users, failure) && put("/proc/self/gid_map", groups, failure);
}

/* Root needs no user namespace, and keeps all rights that way. */
static bool leave_namespaces(struct cage_failure *failure)
{
    const unsigned user = geteuid(), group = getegid();

    if (unshare(CLONE_NEWNS) == 0) {
        return true;
    }
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0
               ? keep_identity(user, group, failure)
               : cage_failed(failure, CAGE_NAMESPACE, "unshare");
}

/* The listener, or -1. */
static int go(const char *root, struct cage_failure *failure)
{
    int listener = -1;

    if (leave_namespaces(failure) &&
        (root != NULL ? mounts_make(root, failure) : mounts_try(failure))) {
        listener = filter_install();
        if (listener < 0) {
            (void)cage_failed(failure, CAGE_FILTER, "seccomp");
        }
    }
    return listener;
}

static bool send_report(int link, const struct report *report, int listener)
{
    union passing passing;
    struct iovec part = {(void *)report, sizeof *report};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    passing_give(&message, &passing, listener);
    return sendmsg(link, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *report;
}

bool cage_pair(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;
}

bool cage_enter(int link, const char *root)
{
    struct report report = {.mark = (void *)&mark, .link = link};
    char agreed;
    int listener = go(root, &report.failure);

    report.failed = listener < 0;
    bool sent = send_report(link, &report, listener);
    if (listener >= 0) {
        close(listener);
    }
    return sent && !report.failed && recv(link, &agreed, sizeof agreed, 0) == sizeof agreed;
}

/* --- in the parent --- */

/* False when the child is gone. */
static bool receive_report(int link, struct report *report, int *listener)
{
    union passing passing;
    struct iovec part = {report, sizeof *report};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t length;

    passing_expect(&message, &passing);
    do {
        length = recvmsg(link, &message, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    *listener = length > 0 ? passing_take(&message) : -1;
    errno = length == 0 ? ECHILD : errno;
    return length == (ssize_t)sizeof *report && (report->failed || *listener >= 0);
}

static bool can_read(pid_t child, void *address, struct cage_failure *failure)
{
    uint64_t found = 0;
    const struct iovec here = {&found, sizeof found};
    const struct iovec there = {address, sizeof found};

    errno = EPERM;
    return (process_vm_readv(child, &here, 1, &there, 1, 0) == sizeof found && found == mark) ||
           cage_failed(failure, CAGE_MEMORY, "process_vm_readv");
}

static bool can_borrow(pid_t child, int fd, struct cage_failure *failure)
{
    int process = (int)syscall(SYS_pidfd_open, child, 0);
    int borrowed = process >= 0 ? (int)syscall(SYS_pidfd_getfd, process, fd, 0) : -1;
    bool done = borrowed >= 0 || cage_failed(failure, CAGE_FILES, "pidfd_getfd");

    if (borrowed >= 0) {
        close(borrowed);
    }
    if (process >= 0) {
        close(process);
    }
    return done;
}

int cage_accept(int link, pid_t child, struct cage_failure *failure)
{
    static const char agreed = 1;
    struct report report;
    int listener;

    if (!receive_report(link, &report, &listener)) {
        (void)cage_failed(failure, CAGE_LINK, "start");
        return -1;
    }
    if (report.failed) {
        *failure = report.failure;
        return -1;
    }
    if (!can_read(child, report.mark, failure) || !can_borrow(child, report.link, failure) ||
        send(link, &agreed, sizeof agreed, MSG_NOSIGNAL) != sizeof agreed) {
        close(listener);
        return -1;
    }
    return listener;
}

/* The library of a run around us would show us its files where we look for the system's. */
static bool is_free(struct raw_refusal *why)
{
    const char *folder = getenv(PRELOAD_ENVIRONMENT);

    if (folder != NULL && folder[0] != '\0') {
        snprintf(why->text, sizeof why->text,
                 "--raw: not within a run whose library is loaded; ask for --raw there");
        return false;
    }
    return true;
}

bool raw_possible(struct raw_refusal *why)
{
    struct cage_failure failure = {.step = CAGE_LINK, .what = "start"};
    int pair[2];

    if (!is_free(why)) {
        return false;
    }
    if (!cage_pair(pair)) {
        (void)cage_failed(&failure, CAGE_LINK, "socketpair");
        cage_explain(&failure, why);
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        _exit(cage_enter(pair[1], NULL) ? 0 : 1);
    }
    close(pair[1]);
    int listener = -1;
    if (child > 0) {
        listener = cage_accept(pair[0], child, &failure);
    } else {
        (void)cage_failed(&failure, CAGE_LINK, "fork");
    }
    close(pair[0]);
    if (child > 0) {
        (void)waitpid(child, NULL, 0);
    }
    if (listener < 0) {
        cage_explain(&failure, why);
        return false;
    }
    close(listener);
    return true;
}
