#include "usb-gadget/preload/tty.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "usb-gadget/acm.h"

#define TTY_MODE  0620
#define LOOK_MS   50 /* how often settings that came by no call of ours are looked for */
#define READ_SIZE 512
/* More than a pty holds. */
#define CATCH_UP_READS_MAX 256
#define BREAK_MS           0xFFFF

/* What a terminal of the kernel's begins with (tty_std_termios, with cdc_acm's rate). */
static const struct termios2 first_settings = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B9600 | CS8 | CREAD | HUPCL | CLOCAL,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc = {[VINTR] = 3,
             [VQUIT] = 28,
             [VERASE] = 127,
             [VKILL] = 21,
             [VEOF] = 4,
             [VMIN] = 1,
             [VSTART] = 17,
             [VSTOP] = 19,
             [VSUSP] = 26,
             [VREPRINT] = 18,
             [VDISCARD] = 15,
             [VWERASE] = 23,
             [VLNEXT] = 22},
    .c_ispeed = 9600,
    .c_ospeed = 9600,
};

/* A client that waits for a control request. */
struct waiting {
    struct connection *connection; /* NULL when it has gone */
    uint64_t tag;
    uint32_t answer;
};

/* --- settings --- */

static struct acm_line_coding coding_of(const struct termios2 *settings)
{
    static const uint8_t bits[] = {5, 6, 7, 8};
    struct acm_line_coding coding = {.rate = settings->c_ospeed};

    coding.stop_bits = settings->c_cflag & CSTOPB ? 2 : 0;
    if (settings->c_cflag & PARENB) {
        coding.parity =
            (uint8_t)((settings->c_cflag & PARODD ? 1 : 2) + (settings->c_cflag & CMSPAR ? 2 : 0));
    }
    coding.data_bits = bits[(settings->c_cflag & CSIZE) / CS6];
    return coding;
}

static bool same_coding(const struct acm_line_coding *a, const struct acm_line_coding *b)
{
    return a->rate == b->rate && a->stop_bits == b->stop_bits && a->parity == b->parity &&
           a->data_bits == b->data_bits;
}

/* True when the settings have changed since they were last sent. Rate 0 means "hang up", not a
 * rate. */
static bool look(struct tty *tty)
{
    struct termios2 settings;

    if (ioctl(tty->master, TCGETS2, &settings) != 0) {
        return false;
    }
    struct acm_line_coding now = coding_of(&settings);
    if (now.rate == 0) {
        now.rate = tty->coding.rate;
    }
    bool changed = !same_coding(&now, &tty->coding);
    tty->coding = now;
    return changed;
}

/* --- data --- */

static void close_port(struct tty *tty)
{
    if (tty->opened) {
        tty->opened = false;
        event_del(tty->readable);
        event_del(tty->writable_again);
        event_del(tty->look);
        acm_close(tty->acm);
    }
}

/* From the device to the program. */
static size_t received(void *context, const uint8_t *data, size_t length)
{
    struct tty *tty = context;
    ssize_t written = write(tty->master, data, length);

    if (written == (ssize_t)length) {
        return length;
    }
    if (written >= 0 || errno == EAGAIN) {
        event_add(tty->writable_again, NULL);
        return written > 0 ? (size_t)written : 0;
    }
    return length; /* nobody has it open: lost, as in a driver without a reader */
}

static void on_room(evutil_socket_t fd, short what, void *context)
{
    struct tty *tty = context;

    (void)fd;
    (void)what;
    acm_resume(tty->acm);
}

/* The device took the last write: there may be more. */
static void device_took(void *context)
{
    struct tty *tty = context;

    event_add(tty->readable, NULL);
}

/* From the program to the device; a hang-up is the last close. False when there was nothing. */
static bool take(struct tty *tty)
{
    uint8_t data[READ_SIZE];
    ssize_t length = read(tty->master, data, sizeof data);

    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        event_add(tty->readable, NULL);
        return false;
    }
    if (length <= 0) {
        close_port(tty);
        return false;
    }
    /* No more until the device took it. */
    event_del(tty->readable);
    (void)acm_write(tty->acm, data, (size_t)length);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)take(context);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    struct tty *tty = context;

    (void)fd;
    (void)what;
    if (look(tty)) {
        acm_set_line_coding(tty->acm, &tty->coding, NULL, NULL);
    }
}

static void open_port(struct tty *tty)
{
    static const struct timeval every = {.tv_usec = LOOK_MS * 1000};

    if (tty->opened) {
        return;
    }
    tty->opened = true;
    (void)look(tty);
    acm_open(tty->acm, &tty->coding);
    event_add(tty->readable, NULL);
    event_add(tty->look, &every);
}

/* --- requests --- */

static void answer(struct waiting *waiting, int result)
{
    if (waiting->connection != NULL) {
        waiting->connection->waiting = NULL;
        connection_reply(waiting->connection, waiting->tag, result, &waiting->answer,
                         sizeof waiting->answer);
    }
    free(waiting);
}

static void request_ended(void *context, enum transfer_status status)
{
    answer(context, status == TRANSFER_OK ? 0 : -EIO);
}

void tty_forget(struct connection *connection)
{
    if (connection->waiting != NULL) {
        connection->waiting->connection = NULL;
        connection->waiting = NULL;
    }
}

/* True when there is more that the device may take at once. */
static bool ready(const struct tty *tty)
{
    return tty->opened && event_pending(tty->readable, EV_READ, NULL);
}

void tty_catch_up(struct preload_server *server)
{
    for (size_t i = 1; i <= PRELOAD_PORTS_MAX; i++) {
        /* What the device is given may be its end. */
        for (unsigned reads = 0; reads < CATCH_UP_READS_MAX; reads++) {
            struct usb_device *device = server->ports[i].device;

            if (device == NULL || device->tty == NULL || !ready(device->tty) ||
                !take(device->tty)) {
                break;
            }
        }
    }
}

static struct tty *tty_by_index(struct preload_server *server, unsigned index)
{
    for (size_t i = 1; i <= PRELOAD_PORTS_MAX; i++) {
        struct usb_device *device = server->ports[i].device;

        if (device != NULL && device->tty != NULL && device->tty->index == index) {
            return device->tty;
        }
    }
    return NULL;
}

/* What the driver knows of the modem lines: the device reports none. */
static void act(struct tty *tty, const struct preload_request *request, struct waiting *waiting)
{
    switch (request->type) {
    case PRELOAD_TTY_OPENED:
        open_port(tty);
        break;
    case PRELOAD_TTY_CHANGED:
        if (look(tty)) {
            acm_set_line_coding(tty->acm, &tty->coding, request_ended, waiting);
            return;
        }
        break;
    case PRELOAD_TTY_LINES:
        break;
    case PRELOAD_TTY_SET_LINES:
        waiting->answer = request->length & (ACM_DTR | ACM_RTS);
        acm_set_lines(tty->acm, waiting->answer, request_ended, waiting);
        return;
    case PRELOAD_TTY_BREAK:
        acm_send_break(tty->acm, request->length != 0 ? BREAK_MS : 0, request_ended, waiting);
        return;
    default:
        answer(waiting, -EINVAL);
        return;
    }
    waiting->answer = acm_lines(tty->acm);
    answer(waiting, 0);
}

void tty_request(struct connection *connection, const struct preload_request *request)
{
    struct tty *tty = tty_by_index(connection->server, request->number);
    struct waiting *waiting = calloc(1, sizeof *waiting);

    if (waiting == NULL || connection->waiting != NULL) {
        free(waiting);
        connection_reply(connection, request->tag, -ENOMEM, NULL, 0);
        return;
    }
    *waiting = (struct waiting){.connection = connection, .tag = request->tag};
    connection->waiting = waiting;
    if (tty == NULL) {
        answer(waiting, -ENODEV);
    } else {
        act(tty, request, waiting);
    }
}

/* --- life --- */

/* The lowest n that no other port has. */
static unsigned free_index(struct preload_server *server)
{
    unsigned index = 0;

    while (tty_by_index(server, index) != NULL) {
        index++;
    }
    return index;
}

static int open_master(unsigned *pts)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int unlocked = 0;

    if (master < 0) {
        return -1;
    }
    if (fcntl(master, F_SETFD, FD_CLOEXEC) != 0 || fcntl(master, F_SETFL, O_NONBLOCK) != 0 ||
        ioctl(master, TIOCSPTLCK, &unlocked) != 0 || ioctl(master, TIOCGPTN, pts) != 0 ||
        ioctl(master, TCSETS2, &first_settings) != 0) {
        close(master);
        return -1;
    }
    return master;
}

static void free_tty(struct tty *tty)
{
    struct event *const events[] = {tty->readable, tty->writable_again, tty->look};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    if (tty->acm != NULL) {
        acm_free(tty->acm);
    }
    if (tty->master >= 0) {
        close(tty->master);
    }
    free(tty);
}

static void take_interfaces(struct usb_device *device, const struct tty *tty)
{
    struct usb_interface *both[] = {device_interface(device, acm_interface(tty->acm)),
                                    device_interface(device, acm_data_interface(tty->acm))};

    for (size_t i = 0; i < 2; i++) {
        if (both[i] != NULL) {
            both[i]->driver = "cdc_acm";
        }
    }
}

const struct usb_interface *tty_interface(const struct usb_device *device)
{
    uint8_t number = acm_interface(device->tty->acm);

    for (unsigned i = 0; i < device->interface_count; i++) {
        if (device->interfaces[i].number == number) {
            return &device->interfaces[i];
        }
    }
    return &device->interfaces[0];
}

void tty_devpath(const struct usb_device *device, char *out, size_t size)
{
    snprintf(out, size, "%s/%s:%u.%u/tty/ttyACM%u", device->devpath, device->name,
             device->identity.config[CONFIG_VALUE], acm_interface(device->tty->acm),
             device->tty->index);
}

bool tty_add(struct preload_server *server, struct usb_device *device)
{
    struct tty *tty = calloc(1, sizeof *tty);
    const struct acm_owner owner = {received, device_took, tty};

    if (tty == NULL) {
        return false;
    }
    tty->server = server;
    tty->device = device;
    tty->index = free_index(server);
    tty->master = -1;
    tty->acm =
        acm_new(device->port, device->identity.config, device->identity.config_length, &owner);
    if (tty->acm != NULL) {
        tty->master = open_master(&tty->pts);
    }
    if (tty->master >= 0) {
        tty->readable = event_new(server->base, tty->master, EV_READ, on_readable, tty);
        tty->writable_again = event_new(server->base, tty->master, EV_WRITE, on_room, tty);
        tty->look = event_new(server->base, -1, EV_PERSIST, on_look, tty);
    }
    if (tty->readable == NULL || tty->writable_again == NULL || tty->look == NULL) {
        free_tty(tty);
        return false;
    }
    take_interfaces(device, tty);
    device->tty = tty;
    return true;
}

void tty_hang_up(struct usb_device *device)
{
    struct tty *tty = device->tty;

    if (tty != NULL) {
        tree_hang_up_tty(&tty->server->tree, device);
        event_del(tty->readable);
        event_del(tty->writable_again);
        event_del(tty->look);
        close(tty->master);
        tty->master = -1;
    }
}

void tty_remove(struct usb_device *device)
{
    struct tty *tty = device->tty;

    if (tty != NULL) {
        device->tty = NULL;
        free_tty(tty);
    }
}

void tty_evict(struct preload_server *server, struct usb_device *device,
               const struct usb_interface *interface)
{
    struct tty *tty = device->tty;

    if (tty == NULL || (interface->number != acm_interface(tty->acm) &&
                        interface->number != acm_data_interface(tty->acm))) {
        return;
    }
    for (unsigned i = 0; i < device->interface_count; i++) {
        struct usb_interface *each = &device->interfaces[i];

        if (each->number == acm_interface(tty->acm) ||
            each->number == acm_data_interface(tty->acm)) {
            each->driver = NULL;
        }
    }
    server_hide_tty(server, device);
    tty_hang_up(device);
    tree_remove_tty(&server->tree, device);
    tty_remove(device);
}
