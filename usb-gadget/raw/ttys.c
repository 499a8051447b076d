#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "usb-gadget/preload/translation.h"
#include "usb-gadget/preload/zones.h"
#include "usb-gadget/raw/link.h"

/* Opening it here must not make it somebody's terminal. */
#define OPEN_FLAGS (O_ACCMODE | O_NONBLOCK | O_DSYNC | O_SYNC)

/* --- finding ports --- */

/* Reads a link in the server's folder. */
static bool read_link(const struct raw *raw, const char *prefix, unsigned number, char *out,
                      size_t size)
{
    char path[32];

    snprintf(path, sizeof path, "../%s%u", prefix, number);
    ssize_t length = readlinkat(raw->root, path, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
    return length > 0;
}

#define TTY_NONE (-1) /* none of ours */
#define TTY_GONE (-2) /* a port that is no more */

/* The n of ttyACMn behind a descriptor's status, or one of these. */
static int index_of(const struct raw *raw, const struct stat *status)
{
    char index[16];
    int pts = S_ISCHR(status->st_mode)
                  ? translation_pts(major(status->st_rdev), minor(status->st_rdev))
                  : -1;

    if (pts < 0 || !read_link(raw, PRELOAD_PTS_LINK, (unsigned)pts, index, sizeof index)) {
        return TTY_NONE;
    }
    return strcmp(index, PRELOAD_PTS_GONE) == 0 ? TTY_GONE : zones_number(index);
}

/* --- requests --- */

static void ask(struct call *call, unsigned index, uint8_t what, uint32_t value, call_ended *ended)
{
    const struct preload_request request = {.operation = PRELOAD_TTY,
                                            .version = PRELOAD_PROTOCOL_VERSION,
                                            .type = what,
                                            .number = index,
                                            .length = value};

    call->node = NULL;
    call->request.number = index;
    channel_ask(call, &request, NULL, 0, ended);
}

static void opened(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    int port = call->fd;

    (void)data;
    (void)length;
    (void)fd;
    if (result < 0) {
        call_answer(call, -ENODEV);
        return;
    }
    call->fd = -1;
    call_pass(call, port, call->request.flags != 0);
}

void ttys_open(struct call *call, unsigned index, int flags)
{
    char pts[32];

    if (!read_link(call->raw, PRELOAD_TTY_LINK, index, pts, sizeof pts)) {
        call_continue(call);
        return;
    }
    call->fd = open(pts, (flags & OPEN_FLAGS) | O_NOCTTY | O_CLOEXEC);
    if (call->fd < 0) {
        call_answer(call, -errno);
        return;
    }
    call->request.flags = (flags & O_CLOEXEC) != 0;
    ask(call, index, PRELOAD_TTY_OPENED, 0, opened);
}

static void done(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    (void)data;
    (void)length;
    (void)fd;
    call_answer(call, result < 0 ? result : 0);
}

/* --- settings --- */

static size_t settings_size(unsigned long ioctl)
{
    if (ioctl >= TCSETS && ioctl <= TCSETSF) {
        return sizeof(struct termios);
    }
    return ioctl >= TCSETA && ioctl <= TCSETAF ? sizeof(struct termio) : sizeof(struct termios2);
}

/* That the device refused a setting is not the terminal's failure. */
static void told(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    (void)result;
    (void)data;
    (void)length;
    (void)fd;
    call_answer(call, 0);
}

/* Sets the terminal in the program's place, and tells the port's driver before it goes on. */
static void set(struct call *call, unsigned index, unsigned long request, uint64_t inode)
{
    union {
        struct termios2 largest;
        struct termio oldest;
    } settings;

    if (!call_read(call, call->notice.data.args[2], &settings, settings_size(request))) {
        call_answer(call, -EFAULT);
        return;
    }
    int port = call_borrow(call, (int)call->notice.data.args[0], inode);
    int result = port >= 0 ? ioctl(port, request, &settings) : -1;
    int error = port >= 0 ? errno : EBADF;
    if (port >= 0) {
        close(port);
    }
    if (result != 0) {
        call_answer(call, -error);
    } else {
        ask(call, index, PRELOAD_TTY_CHANGED, 0, told);
    }
}

/* --- modem lines --- */

static void lines_known(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    const unsigned long ioctl = (uint32_t)call->notice.data.args[1];
    const uint64_t address = call->notice.data.args[2];
    const bool set = ioctl == TIOCMSET || ioctl == TIOCMBIS || ioctl == TIOCMBIC;
    struct preload_request request = {0};
    uint32_t lines = 0;
    int argument = 0;

    (void)fd;
    memcpy(&lines, data, length < sizeof lines ? length : sizeof lines);
    if (result < 0) {
        call_answer(call, result);
    } else if (ioctl == TIOCMGET) {
        const int bits = translation_modem_bits(lines);
        call_answer(call, call_write(call, address, &bits, sizeof bits) ? 0 : -EFAULT);
    } else if (set && !call_read(call, address, &argument, sizeof argument)) {
        call_answer(call, -EFAULT);
    } else {
        translate_modem(ioctl, lines, argument, &request);
        ask(call, call->request.number, request.type, request.length, done);
    }
}

/* --- breaks --- */

static void break_over(evutil_socket_t fd, short what, void *context)
{
    struct call *call = context;

    (void)fd;
    (void)what;
    ask(call, call->request.number, PRELOAD_TTY_BREAK, 0, done);
}

static void break_begun(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    const unsigned ms = (unsigned)call->address;
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    (void)data;
    (void)length;
    (void)fd;
    call->timer = result < 0 ? NULL : evtimer_new(call->raw->base, break_over, call);
    if (call->timer == NULL || evtimer_add(call->timer, &after) != 0) {
        call_answer(call, result < 0 ? result : -ENOMEM);
    }
}

/* As the kernel makes one: without it when the device refuses. */
static void send_break(struct call *call, unsigned index, int ms)
{
    call->address = (uint64_t)ms;
    ask(call, index, PRELOAD_TTY_BREAK, 1, break_begun);
}

/* --- all of them --- */

static void uart(struct call *call, int index)
{
    const unsigned long ioctl = (uint32_t)call->notice.data.args[1];
    const uint64_t address = call->notice.data.args[2];
    struct serial_struct info = {0};
    bool there = ioctl == TIOCGSERIAL || call_read(call, address, &info, sizeof info);
    int result = translation_uart(ioctl, index, &info);

    there = there && (ioctl != TIOCGSERIAL || call_write(call, address, &info, sizeof info));
    call_answer(call, there ? result : -EFAULT);
}

/* False when the pty does it by itself. */
static bool port_ioctl(struct call *call, int index, uint64_t inode)
{
    const unsigned long ioctl = (uint32_t)call->notice.data.args[1];
    const int break_ms = translation_break_ms(ioctl, (int)call->notice.data.args[2]);
    const bool of_port = break_ms >= 0 || translation_is_modem(ioctl) || translation_is_uart(ioctl);

    if (index == TTY_GONE && of_port) {
        call_answer(call, -EIO);
    } else if (index >= 0 && break_ms >= 0) {
        send_break(call, (unsigned)index, break_ms);
    } else if (index >= 0 && translation_is_modem(ioctl)) {
        ask(call, (unsigned)index, PRELOAD_TTY_LINES, 0, lines_known);
    } else if (index >= 0 && translation_is_uart(ioctl)) {
        uart(call, index);
    } else if (index >= 0 && translation_sets_terminal(ioctl)) {
        set(call, (unsigned)index, ioctl, inode);
    } else {
        return false;
    }
    return true;
}

void ttys_ioctl(struct call *call)
{
    struct stat status;

    if (!call_stat(call, (int)call->notice.data.args[0], &status) ||
        !port_ioctl(call, index_of(call->raw, &status), status.st_ino)) {
        call_continue(call);
    }
}
