/*
 * A USB device inside the client's own process: the least that a dynamic program can pay for one.
 *
 * As a preloaded library it answers usbfs from a null board and shows the tree of /sys and /dev
 * files under NULL_USBFS_ROOT. No server, no socket, no time. It knows what libusb and libudev ask
 * for and no more; SYSTEMD_DEVICE_VERIFY_SYSFS=0 must be set beside it.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usbdevice_fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support_null_board.h"
#include "usb-gadget/root_port.h"

#define FDS_MAX    1024
#define URBS_MAX   64
#define EXPORT     __attribute__((visibility("default")))

#define REAL(name) ((__typeof__(&(name)))real(#name))

static struct root_port port;
static bool is_device[FDS_MAX];
static struct usbdevfs_urb *done[URBS_MAX];
static unsigned done_first, done_count;

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* --- paths --- */

/* `path` itself, or where it lies under the root. */
static const char *map(int folder, const char *path, char mapped[PATH_MAX])
{
    static const char *const ours[] = {"/sys/bus", "/sys/class", "/sys/devices/null",
                                       "/dev/bus/usb", "/run/udev"};
    const char *root = getenv("NULL_USBFS_ROOT");
    char joined[PATH_MAX];

    if (root == NULL) {
        return path;
    }
    const char *absolute = path;
    if (path[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD) {
            return path;
        }
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = REAL(readlink)(link, joined, sizeof joined - strlen(path) - 2);
        if (length <= 0) {
            return path;
        }
        joined[length] = '\0';
        snprintf(joined + length, sizeof joined - (size_t)length, "%s%s", length > 1 ? "/" : "",
                 path);
        absolute = joined;
    }
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        size_t length = strlen(ours[i]);
        if (strncmp(absolute, ours[i], length) == 0 &&
            (absolute[length] == '/' || absolute[length] == '\0')) {
            snprintf(mapped, PATH_MAX, "%s%s", root, absolute);
            return mapped;
        }
    }
    return path;
}

static int open_device(void)
{
    struct board *board = null_board_new();
    int fd = eventfd(0, EFD_CLOEXEC); /* always writable: a finished URB */

    if (board == NULL || fd < 0 || fd >= FDS_MAX) {
        errno = ENODEV;
        return -1;
    }
    board->ops->power(board, true);
    root_port_init(&port, board, true);
    is_device[fd] = true;
    return fd;
}

static int open_mapped(int folder, const char *path, int flags, mode_t mode)
{
    char mapped[PATH_MAX];
    const char *to = map(folder, path, mapped);

    if (to == mapped && strstr(to, "/dev/bus/usb/001/") != NULL && !(flags & O_DIRECTORY)) {
        return open_device();
    }
    return REAL(openat)(folder, to, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    EXPORT int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        return open_mapped(AT_FDCWD, path, flags, mode);                                           \
    }
#define OPENAT(name)                                                                               \
    EXPORT int name(int folder, const char *path, int flags, ...)                                  \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = mode_of(flags, arguments);                                                   \
        va_end(arguments);                                                                         \
        return open_mapped(folder, path, flags, mode);                                             \
    }

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

OPEN(open)
OPEN(open64)
OPENAT(openat64)

EXPORT int __open_2(const char *path, int flags)
{
    return open_mapped(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
    return open_mapped(AT_FDCWD, path, flags, 0);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
    char mapped[PATH_MAX];

    return REAL(fopen64)(map(AT_FDCWD, path, mapped), mode);
}

EXPORT DIR *opendir(const char *path)
{
    char mapped[PATH_MAX];

    return REAL(opendir)(map(AT_FDCWD, path, mapped));
}

EXPORT int access(const char *path, int mode)
{
    char mapped[PATH_MAX];

    return REAL(access)(map(AT_FDCWD, path, mapped), mode);
}

EXPORT ssize_t readlinkat(int folder, const char *path, char *target, size_t size)
{
    char mapped[PATH_MAX];

    return REAL(readlinkat)(folder, map(folder, path, mapped), target, size);
}

EXPORT ssize_t readlink(const char *path, char *target, size_t size)
{
    return readlinkat(AT_FDCWD, path, target, size);
}

EXPORT int faccessat(int folder, const char *path, int mode, int flags)
{
    char mapped[PATH_MAX];

    return REAL(faccessat)(folder, map(folder, path, mapped), mode, flags);
}

EXPORT int fstatat64(int folder, const char *path, struct stat64 *status, int flags)
{
    char mapped[PATH_MAX];

    return REAL(fstatat64)(folder, map(folder, path, mapped), status, flags);
}

EXPORT int stat64(const char *path, struct stat64 *status)
{
    return fstatat64(AT_FDCWD, path, status, 0);
}

EXPORT int lstat64(const char *path, struct stat64 *status)
{
    return fstatat64(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

/* --- usbfs --- */

static void ignore(struct transfer *transfer)
{
    (void)transfer;
}

static int submit(struct usbdevfs_urb *urb)
{
    uint8_t *buffer = urb->buffer;
    struct transfer transfer = {.type = TRANSFER_CONTROL, .complete = ignore};

    if (urb->type != USBDEVFS_URB_TYPE_CONTROL || urb->buffer_length < 8 ||
        done_count == URBS_MAX) {
        errno = EINVAL;
        return -1;
    }
    memcpy(transfer.setup, buffer, 8);
    transfer.data = buffer + 8;
    transfer.length = (size_t)urb->buffer_length - 8;
    root_port_submit(&port, &transfer);
    urb->status = transfer.status == TRANSFER_OK ? 0 : -EPIPE;
    urb->actual_length = (int)transfer.actual;
    done[(done_first + done_count++) % URBS_MAX] = urb;
    return 0;
}

static int reap(void **urb)
{
    if (done_count == 0) {
        errno = EAGAIN;
        return -1;
    }
    *urb = done[done_first];
    done_first = (done_first + 1) % URBS_MAX;
    done_count--;
    return 0;
}

static int device_ioctl(unsigned long request, void *argument)
{
    switch (request) {
    case USBDEVFS_SUBMITURB:
        return submit(argument);
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
        return reap(argument);
    case USBDEVFS_GET_CAPABILITIES:
        *(uint32_t *)argument = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
        return 0;
    case USBDEVFS_CLAIMINTERFACE:
    case USBDEVFS_RELEASEINTERFACE:
    case USBDEVFS_SETINTERFACE:
    case USBDEVFS_RESET:
        return 0;
    case USBDEVFS_GETDRIVER:
        errno = ENODATA;
        return -1;
    default:
        errno = ENOTTY;
        return -1;
    }
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (fd >= 0 && fd < FDS_MAX && is_device[fd]) {
        return device_ioctl(request, argument);
    }
    return REAL(ioctl)(fd, request, argument);
}

EXPORT int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX && is_device[fd]) {
        is_device[fd] = false;
        port.board->ops->destroy(port.board);
    }
    return REAL(close)(fd);
}
