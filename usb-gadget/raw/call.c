#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "usb-gadget/raw/link.h"

#define PAGE         4096
#define ERRNO_MAX    4095
#define STATUS_SIZE  4096
#define PIDFD_THREAD O_EXCL /* pidfd_open() takes a thread; since Linux 6.9 */

/* --- answers --- */

static void free_call(struct call *call)
{
    nodes_forget(call);
    TAILQ_REMOVE(&call->raw->calls, call, entry);
    if (call->fd >= 0) {
        close(call->fd);
    }
    if (call->timer != NULL) {
        event_free(call->timer);
    }
    free(call);
}

/* That it fails means that the program has gone, which is as good. */
static void respond(struct call *call, int64_t value, int error, uint32_t flags)
{
    struct seccomp_notif_resp response = {
        .id = call->notice.id, .val = value, .error = error, .flags = flags};

    (void)ioctl(call->raw->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    free_call(call);
}

void call_answer(struct call *call, int64_t result)
{
    bool failed = result < 0 && result >= -ERRNO_MAX;

    respond(call, failed ? 0 : result, failed ? (int)result : 0, 0);
}

void call_continue(struct call *call)
{
    respond(call, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void call_pass(struct call *call, int fd, bool close_on_exec)
{
    const struct seccomp_notif_addfd pass = {.id = call->notice.id,
                                             .flags = SECCOMP_ADDFD_FLAG_SEND,
                                             .srcfd = (uint32_t)fd,
                                             .newfd_flags = close_on_exec ? O_CLOEXEC : 0};
    int result = ioctl(call->raw->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &pass);
    int error = errno;

    close(fd);
    if (result < 0) {
        call_answer(call, -error); /* it has too many open */
    } else {
        free_call(call);
    }
}

bool call_is_valid(const struct call *call)
{
    return ioctl(call->raw->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->notice.id) == 0;
}

/* --- memory --- */

static pid_t thread_of(const struct call *call)
{
    return (pid_t)call->notice.pid;
}

/* An address in the program's memory, which is none of ours. */
static void *foreign(uint64_t address)
{
    void *pointer;

    _Static_assert(sizeof pointer == sizeof address, "64-bit machines");
    memcpy(&pointer, &address, sizeof pointer);
    return pointer;
}

static ssize_t read_some(const struct call *call, uint64_t address, void *out, size_t size)
{
    const struct iovec here = {out, size};
    const struct iovec there = {foreign(address), size};

    return process_vm_readv(thread_of(call), &here, 1, &there, 1, 0);
}

bool call_read(const struct call *call, uint64_t address, void *out, size_t size)
{
    return size == 0 || read_some(call, address, out, size) == (ssize_t)size;
}

bool call_write_parts(const struct call *call, const struct call_part *parts, size_t count)
{
    struct iovec here[CALL_PARTS_MAX], there[CALL_PARTS_MAX];
    ssize_t size = 0;

    for (size_t i = 0; i < count; i++) {
        here[i] = (struct iovec){(void *)parts[i].in, parts[i].size};
        there[i] = (struct iovec){foreign(parts[i].address), parts[i].size};
        size += (ssize_t)parts[i].size;
    }
    return size == 0 || (call_is_valid(call) &&
                         process_vm_writev(thread_of(call), here, count, there, count, 0) == size);
}

bool call_write(const struct call *call, uint64_t address, const void *in, size_t size)
{
    return call_write_parts(call, &(struct call_part){address, in, size}, 1);
}

/* Page by page: what lies behind the text may not be there. */
bool call_read_text(const struct call *call, uint64_t address, char *out, size_t size)
{
    size_t length = 0;

    while (length < size) {
        size_t part = PAGE - (address + length) % PAGE;
        part = part < size - length ? part : size - length;
        if (read_some(call, address + length, out + length, part) != (ssize_t)part) {
            return false;
        }
        if (memchr(out + length, '\0', part) != NULL) {
            return true;
        }
        length += part;
    }
    return false;
}

/* --- descriptors --- */

bool call_stat(const struct call *call, int fd, struct stat *status)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", thread_of(call), fd);
    return stat(path, status) == 0;
}

bool call_path(const struct call *call, int fd, char *out, size_t size)
{
    char path[48];

    if (fd == AT_FDCWD) {
        snprintf(path, sizeof path, "/proc/%d/cwd", thread_of(call));
    } else {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", thread_of(call), fd);
    }
    ssize_t length = readlink(path, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
    return out[0] == '/';
}

/* What the kernel says about a thread; false when it has gone. */
static bool read_status(pid_t thread, char text[STATUS_SIZE])
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d/status", thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, STATUS_SIZE - 1) : -1;
    if (file >= 0) {
        close(file);
    }
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* A number of it behind "\nNAME:"; 0 when there is none. */
static uint64_t status_number(const char *status, const char *name, int base)
{
    const char *line = strstr(status, name);

    return line != NULL ? strtoull(line + strlen(name), NULL, base) : 0;
}

bool call_is_interrupted(const struct call *call)
{
    char status[STATUS_SIZE];

    if (!read_status(thread_of(call), status)) {
        return false;
    }
    uint64_t pending =
        status_number(status, "\nSigPnd:", 16) | status_number(status, "\nShdPnd:", 16);
    return (pending & ~status_number(status, "\nSigBlk:", 16) &
            status_number(status, "\nSigCgt:", 16)) != 0;
}

static pid_t process_of(pid_t thread)
{
    char status[STATUS_SIZE];

    return read_status(thread, status) ? (pid_t)status_number(status, "\nTgid:", 10) : 0;
}

static int open_process(pid_t thread)
{
    int fd = (int)syscall(SYS_pidfd_open, thread, PIDFD_THREAD);

    return fd >= 0 ? fd : (int)syscall(SYS_pidfd_open, process_of(thread), 0);
}

static int borrow(int process, int fd, uint64_t inode)
{
    int borrowed = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    struct stat status;

    if (borrowed >= 0 && (fstat(borrowed, &status) != 0 || status.st_ino != inode)) {
        close(borrowed);
        borrowed = -1;
    }
    return borrowed;
}

/* A thread number may have been given to another process since: the inode tells. */
int call_borrow(struct call *call, int fd, uint64_t inode)
{
    struct raw *raw = call->raw;
    const pid_t thread = thread_of(call);
    unsigned at = 0;

    while (at < LINK_PROCESSES && raw->processes[at].thread != thread) {
        at++;
    }
    int borrowed = at < LINK_PROCESSES ? borrow(raw->processes[at].process, fd, inode) : -1;
    if (borrowed >= 0) {
        return borrowed;
    }
    int process = open_process(thread);
    if (process < 0) {
        return -1;
    }
    if (at == LINK_PROCESSES) {
        at = raw->next_process++ % LINK_PROCESSES;
    }
    if (raw->processes[at].thread != 0) {
        close(raw->processes[at].process);
    }
    raw->processes[at].thread = thread;
    raw->processes[at].process = process;
    return borrow(process, fd, inode);
}
