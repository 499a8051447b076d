/* Serial ports: the node is a pty, and the server hears what the terminal's driver would hear. */
#include <asm/ioctls.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"
#include "usb-gadget/preload/translation.h"

int shim_tty(const struct shim_path *where)
{
    char target[64];

    if (!zones_is_tty_link(where->ours)) {
        return zones_tty(where->ours);
    }
    long length = raw(SYS_readlinkat, where->folder, where->path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    return zones_tty_target(target);
}

/* Reads a link in the server's folder. */
static bool read_link(const char *prefix, int number, char *out, size_t size)
{
    char path[SHIM_PATH_MAX];

    snprintf(path, sizeof path, "%s/%s%d", shim_folder, prefix, number);
    long length = raw(SYS_readlinkat, AT_FDCWD, path, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* What the server says of the pty that a descriptor's status is of. */
static bool pts_link(const struct stat *status, char *out, size_t size)
{
    int pts = S_ISCHR(status->st_mode)
                  ? translation_pts(major(status->st_rdev), minor(status->st_rdev))
                  : -1;

    return pts >= 0 && read_link(PRELOAD_PTS_LINK, pts, out, size);
}

/* The n of ttyACMn behind a descriptor's status, or -1. */
static int tty_of_status(const struct stat *status)
{
    char index[16];

    return pts_link(status, index, sizeof index) ? zones_number(index) : -1;
}

int shim_tty_fd(int fd)
{
    struct stat status;

    if (!shim_active() || raw(SYS_fstat, fd, &status) != 0) {
        return -1;
    }
    return tty_of_status(&status);
}

bool shim_tty_gone(int fd)
{
    struct stat status;
    char index[16];

    return shim_active() && raw(SYS_fstat, fd, &status) == 0 &&
           pts_link(&status, index, sizeof index) && strcmp(index, PRELOAD_PTS_GONE) == 0;
}

/* Asks the server; its answer's result, and the lines in `*lines` unless it is NULL. */
static int ask(int index, uint8_t what, uint32_t value, uint32_t *lines)
{
    struct preload_request request = {.operation = PRELOAD_TTY,
                                      .version = PRELOAD_PROTOCOL_VERSION,
                                      .type = what,
                                      .number = (uint32_t)index,
                                      .length = value};
    uint32_t answer = 0;
    size_t size = sizeof answer;
    int connection = shim_dial();

    if (connection < 0) {
        return -ENODEV;
    }
    int result = shim_exchange(connection, &request, NULL, 0, &answer, &size, NULL);
    (void)raw(SYS_close, connection);
    if (lines != NULL) {
        *lines = answer;
    }
    return result < 0 ? result : 0;
}

int shim_tty_open(int index, int flags)
{
    char pts[32];

    if (!read_link(PRELOAD_TTY_LINK, index, pts, sizeof pts)) {
        errno = ENODEV;
        return -1;
    }
    int fd = (int)raw_errno(SYS_openat, AT_FDCWD, pts, flags & ~(O_CREAT | O_EXCL), 0);
    if (fd >= 0 && ask(index, PRELOAD_TTY_OPENED, 0, NULL) != 0) {
        (void)raw(SYS_close, fd);
        errno = ENODEV;
        return -1;
    }
    return fd;
}

void shim_fix_tty_stat(int index, struct stat *status)
{
    status->st_mode = S_IFCHR | 0660;
    status->st_rdev = makedev(PRELOAD_TTY_MAJOR, (unsigned)index);
    status->st_size = 0;
    status->st_blocks = 0;
}

bool shim_fix_pts_stat(struct stat *status)
{
    int index = shim_active() ? tty_of_status(status) : -1;

    if (index >= 0) {
        shim_fix_tty_stat(index, status);
    }
    return index >= 0;
}

/* The terminal's settings may have changed: the program goes on when the device knows them. */
static void changed(int fd)
{
    int error = errno;
    int index = shim_tty_fd(fd);

    if (index >= 0) {
        (void)ask(index, PRELOAD_TTY_CHANGED, 0, NULL);
    }
    errno = error;
}

SHIM_EXPORT int tcsetattr(int fd, int when, const struct termios *settings)
{
    int result = SHIM_REAL(tcsetattr)(fd, when, settings);

    if (result == 0) {
        changed(fd);
    }
    return result;
}

/* A break of so long, as the kernel makes one: without it when the device refuses. */
static int send_break(int index, int ms)
{
    const struct timespec length = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    int result = ask(index, PRELOAD_TTY_BREAK, 1, NULL);

    if (result == 0) {
        (void)nanosleep(&length, NULL);
        result = ask(index, PRELOAD_TTY_BREAK, 0, NULL);
    }
    if (result != 0) {
        errno = -result;
    }
    return result == 0 ? 0 : -1;
}

SHIM_EXPORT int tcsendbreak(int fd, int ms)
{
    int index = shim_tty_fd(fd);

    return index >= 0 ? send_break(index, ms > 0 ? ms : TRANSLATION_BREAK_MS)
                      : SHIM_REAL(tcsendbreak)(fd, ms);
}

static int modem(int index, unsigned long ioctl, int *argument)
{
    struct preload_request request = {0};
    uint32_t lines = 0;
    int result = ask(index, PRELOAD_TTY_LINES, 0, &lines);

    if (result != 0) {
        return result;
    }
    if (ioctl == TIOCMGET) {
        *argument = translation_modem_bits(lines);
        return 0;
    }
    bool set = ioctl == TIOCMBIS || ioctl == TIOCMBIC || ioctl == TIOCMSET;
    translate_modem(ioctl, lines, set ? *argument : 0, &request);
    return ask(index, request.type, request.length, NULL);
}

bool shim_tty_ioctl(int fd, unsigned long request, void *argument, int *result)
{
    if (translation_sets_terminal(request)) {
        *result = (int)raw_errno(SYS_ioctl, fd, request, argument);
        if (*result == 0) {
            changed(fd);
        }
        return true;
    }
    int break_ms = translation_break_ms(request, (int)(intptr_t)argument);
    bool of_uart = translation_is_uart(request);
    if (break_ms < 0 && !of_uart && !translation_is_modem(request)) {
        return false;
    }
    int index = shim_tty_fd(fd);
    bool gone = index < 0 && shim_tty_gone(fd);
    if (index < 0 && !gone) {
        return false;
    }
    if (break_ms >= 0 && !gone) {
        *result = send_break(index, break_ms);
        return true;
    }
    int status = -EIO;
    if (!gone) {
        status =
            of_uart ? translation_uart(request, index, argument) : modem(index, request, argument);
    }
    if (status != 0) {
        errno = -status;
    }
    *result = status == 0 ? 0 : -1;
    return true;
}
