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

#define NODE_PREFIX "/dev/ttyACM"
#define LINK_PREFIX "/dev/serial/"
#define NAME_PREFIX "ttyACM"
/* Majors of pty slaves. */
#define PTS_MAJOR_FIRST 136
#define PTS_MAJOR_LAST  143
#define PTS_PER_MAJOR   256
#define LINES           (TIOCM_DTR | TIOCM_RTS)
#define TCSETS2_NUMBER  0x2B

/* A decimal number to the end of the text; -1 when it is none. */
static int number_of(const char *text)
{
    int number = 0;

    if (text[0] == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > 9999) {
            return -1;
        }
        number = number * 10 + (*text - '0');
    }
    return number;
}

int shim_tty(const struct shim_path *where)
{
    char target[64];

    if (where->ours == NULL) {
        return -1;
    }
    if (strncmp(where->ours, NODE_PREFIX, sizeof NODE_PREFIX - 1) == 0) {
        return number_of(where->ours + sizeof NODE_PREFIX - 1);
    }
    if (strncmp(where->ours, LINK_PREFIX, sizeof LINK_PREFIX - 1) != 0) {
        return -1;
    }
    long length = raw(SYS_readlinkat, where->folder, where->path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    const char *name = strrchr(target, '/');
    return name != NULL && strncmp(name + 1, NAME_PREFIX, sizeof NAME_PREFIX - 1) == 0
               ? number_of(name + sizeof NAME_PREFIX)
               : -1;
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
    unsigned major_number = major(status->st_rdev);

    if (!S_ISCHR(status->st_mode) || major_number < PTS_MAJOR_FIRST ||
        major_number > PTS_MAJOR_LAST) {
        return false;
    }
    int pts = (int)((major_number - PTS_MAJOR_FIRST) * PTS_PER_MAJOR + minor(status->st_rdev));
    return read_link(PRELOAD_PTS_LINK, pts, out, size);
}

/* The n of ttyACMn behind a descriptor's status, or -1. */
static int tty_of_status(const struct stat *status)
{
    char index[16];

    return pts_link(status, index, sizeof index) ? number_of(index) : -1;
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
static int ask(int index, enum preload_tty what, uint32_t value, uint32_t *lines)
{
    struct preload_request request = {.operation = PRELOAD_TTY,
                                      .version = PRELOAD_PROTOCOL_VERSION,
                                      .type = (uint8_t)what,
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

/* The kernel's numbers of what sets a terminal: TCSETS to TCSETAF, and TCSETS2 to TCSETSF2, whose
 * structure the C library does not show. */
static bool sets(unsigned long request)
{
    return (request >= TCSETS && request <= TCSETAF && request != TCGETA) ||
           (_IOC_TYPE(request) == 'T' && _IOC_DIR(request) == _IOC_WRITE &&
            _IOC_NR(request) >= TCSETS2_NUMBER && _IOC_NR(request) <= TCSETS2_NUMBER + 2);
}

/* The usual break, and the unit of others, in ms. */
#define BREAK_MS      250
#define BREAK_UNIT_MS 100

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

    return index >= 0 ? send_break(index, ms > 0 ? ms : BREAK_MS) : SHIM_REAL(tcsendbreak)(fd, ms);
}

static int ms_of_break(int units)
{
    return units > 0 && units <= INT_MAX / BREAK_UNIT_MS ? units * BREAK_UNIT_MS : BREAK_MS;
}

/* The requests behind that call. With a number, TCSBRK only waits for what was written. */
static bool breaks(unsigned long request, int number)
{
    return request == TCSBRKP || (request == TCSBRK && number == 0);
}

static bool is_modem(unsigned long request)
{
    return request == TIOCMGET || request == TIOCMSET || request == TIOCMBIS ||
           request == TIOCMBIC || request == TIOCSBRK || request == TIOCCBRK;
}

static uint32_t to_acm(int bits)
{
    return (bits & TIOCM_DTR ? 1u : 0u) | (bits & TIOCM_RTS ? 2u : 0u);
}

static int to_bits(uint32_t acm)
{
    return (acm & 1 ? TIOCM_DTR : 0) | (acm & 2 ? TIOCM_RTS : 0);
}

static int modem(int index, unsigned long request, int *argument)
{
    uint32_t lines = 0;

    if (request == TIOCSBRK || request == TIOCCBRK) {
        return ask(index, PRELOAD_TTY_BREAK, request == TIOCSBRK, NULL);
    }
    int result = ask(index, PRELOAD_TTY_LINES, 0, &lines);
    if (result != 0) {
        return result;
    }
    int bits = to_bits(lines);
    switch (request) {
    case TIOCMGET:
        *argument = bits;
        return 0;
    case TIOCMBIS:
        bits |= *argument & LINES;
        break;
    case TIOCMBIC:
        bits &= ~(*argument & LINES);
        break;
    default:
        bits = *argument & LINES;
        break;
    }
    return ask(index, PRELOAD_TTY_SET_LINES, to_acm(bits), NULL);
}

bool shim_tty_ioctl(int fd, unsigned long request, void *argument, int *result)
{
    if (sets(request)) {
        *result = (int)raw_errno(SYS_ioctl, fd, request, argument);
        if (*result == 0) {
            changed(fd);
        }
        return true;
    }
    int number = (int)(intptr_t)argument;
    bool is_break = breaks(request, number);
    if (!is_break && !is_modem(request)) {
        return false;
    }
    int index = shim_tty_fd(fd);
    bool gone = index < 0 && shim_tty_gone(fd);
    if (index < 0 && !gone) {
        return false;
    }
    if (is_break && !gone) {
        *result = send_break(index, ms_of_break(number));
        return true;
    }
    int status = gone ? -EIO : modem(index, request, argument);
    if (status != 0) {
        errno = -status;
    }
    *result = status == 0 ? 0 : -1;
    return true;
}
