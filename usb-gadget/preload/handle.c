/* Open device nodes: their visible sockets, and how they begin and end. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usb-gadget/preload/link.h"
#include "usb-gadget/preload/passing.h"

/* USB_SPEED_* of linux/usb/ch9.h */
#define SPEED_FULL 2
#define SPEED_HIGH 3

void handle_close(struct usb_handle *handle)
{
    struct connection *connection;

    usbfs_release_all(handle);
    while ((connection = TAILQ_FIRST(&handle->connections)) != NULL) {
        connection_close(connection);
    }
    TAILQ_REMOVE(&handle->server->handles, handle, entry);
    handle->server->handle_count--;
    if (handle->event != NULL) {
        event_free(handle->event);
    }
    close(handle->socket);
    free(handle);
}

static void on_handle(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    handle_close(context);
}

static bool is_hung_up(const struct usb_handle *handle)
{
    struct pollfd hangup = {.fd = handle->socket};

    return poll(&hangup, 1, 0) == 1 && (hangup.revents & (POLLHUP | POLLERR));
}

static void on_change(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    if (is_hung_up(context)) {
        handle_close(context);
    }
}

static bool watch(struct usb_handle *handle, short what, event_callback_fn callback)
{
    if (handle->event != NULL) {
        event_free(handle->event);
    }
    handle->event =
        event_new(handle->server->base, handle->socket, what | EV_PERSIST, callback, handle);
    return handle->event != NULL && event_add(handle->event, NULL) == 0;
}

/* The last descriptor of the visible socket was closed. What was not read from it makes that an
 * error, which libevent tells as something to read; but the token is something to read as well, so
 * only changes count then. */
static bool watch_end(struct usb_handle *handle, bool readable)
{
    return readable ? watch(handle, EV_READ | EV_CLOSED | EV_ET, on_change)
                    : watch(handle, EV_CLOSED, on_handle);
}

void handle_sweep(struct preload_server *server, const struct usb_handle *keep)
{
    struct usb_handle *handle, *next;

    for (handle = TAILQ_FIRST(&server->handles); handle != NULL; handle = next) {
        next = TAILQ_NEXT(handle, entry);
        if (handle != keep && is_hung_up(handle)) {
            handle_close(handle);
        }
    }
}

/* Closing our end while the token lies in it makes the visible socket signal POLLERR, as usbfs
 * does for a device that is gone. So it waits for the token. */
static void hang_up(struct usb_handle *handle)
{
    uint8_t byte;

    if (recv(handle->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
        !watch(handle, EV_READ | EV_CLOSED, on_handle)) {
        handle_close(handle);
    }
}

static bool has_ended(const struct usb_handle *handle)
{
    const struct connection *connection;

    TAILQ_FOREACH(connection, &handle->connections, entry_of_handle)
    {
        if (!TAILQ_EMPTY(&connection->ended)) {
            return true;
        }
    }
    return false;
}

static void lose(struct usb_handle *handle)
{
    struct connection *connection, *next;
    struct urb *urb;

    for (connection = TAILQ_FIRST(&handle->connections); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, entry_of_handle);
        /* A detach has ended them all; a device that changed in a reset has not. */
        while ((urb = TAILQ_FIRST(&connection->urbs)) != NULL && urb_cancel(urb)) {
        }
        connection_finish(connection);
    }
    handle->device = NULL;
    hang_up(handle);
}

void handle_unplug(struct preload_server *server, struct usb_device *device)
{
    struct usb_handle *handle, *next;

    /* Those first that nobody waits for. */
    for (int waited = 0; waited < 2; waited++) {
        for (handle = TAILQ_FIRST(&server->handles); handle != NULL; handle = next) {
            next = TAILQ_NEXT(handle, entry);
            if (handle->device == device && (waited == 1 || !has_ended(handle))) {
                lose(handle);
            }
        }
    }
}

/* Puts the descriptors where a plain read() of the visible end finds them, and the end of the file
 * behind them. */
static bool show_descriptors(const struct usb_handle *handle)
{
    uint8_t descriptors[PRELOAD_DESCRIPTORS_MAX];
    size_t length = device_descriptors(handle->device, descriptors);

    return send(handle->socket, descriptors, length, MSG_DONTWAIT | MSG_NOSIGNAL) ==
               (ssize_t)length &&
           shutdown(handle->socket, SHUT_WR) == 0;
}

/* The visible end, with the token in it; -1 with errno. */
static int make_sockets(struct usb_handle *handle, bool readable)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    const int least = 1;
    int pair[2];
    struct stat status;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return -1;
    }
    handle->socket = pair[0];
    if (setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) != 0 ||
        send(pair[1], token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof token ||
        fstat(pair[1], &status) != 0 || (readable && !show_descriptors(handle)) ||
        !watch_end(handle, readable)) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    handle->inode = status.st_ino;
    return pair[1];
}

static void describe(const struct usb_handle *handle, struct preload_handle_info *info)
{
    const struct usb_device *device = handle->device;

    *info = (struct preload_handle_info){
        .inode = handle->inode,
        .number = device->number,
        .speed = device->port != NULL ? SPEED_FULL : SPEED_HIGH,
        .position = device->position,
        .flags = handle->writable ? PRELOAD_WRITABLE : 0,
    };
    info->descriptors_length = (uint32_t)device_descriptors(device, info->descriptors);
}

/* The process at the other end of a connection; 0 when the system does not tell. */
static pid_t peer_of(const struct connection *connection)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;

    return getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

static void join(struct connection *connection, struct usb_handle *handle)
{
    pid_t peer = peer_of(connection);

    handle->opener = TAILQ_EMPTY(&handle->connections) ? peer : handle->opener;
    handle->shared = handle->shared || peer == 0 || peer != handle->opener;
    connection->role = ROLE_HANDLE;
    connection->handle = handle;
    TAILQ_INSERT_TAIL(&handle->connections, connection, entry_of_handle);
}

/* Answers with the handle's description and a descriptor: its visible socket, or the box. */
static void send_handle(struct connection *connection, uint64_t tag, int passed)
{
    struct {
        struct preload_reply reply;
        struct preload_handle_info info;
    } answer = {.reply = {.tag = tag, .actual = sizeof answer.info}};
    union passing passing;
    struct iovec part = {&answer, sizeof answer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    describe(connection->handle, &answer.info);
    passing_give(&message, &passing, passed);
    (void)sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    attention_to_call(connection->server);
}

void handle_open(struct connection *connection, const struct preload_request *request)
{
    struct preload_server *server = connection->server;

    handle_sweep(server, NULL);
    struct usb_device *device = server_device(server, request->number);
    struct usb_handle *handle = NULL;
    if (device != NULL && server->handle_count < LINK_HANDLES_MAX) {
        handle = calloc(1, sizeof *handle);
    }
    if (handle == NULL) {
        connection_reply(connection, request->tag, device == NULL ? -ENOENT : -ENOMEM, NULL, 0);
        return;
    }
    handle->server = server;
    handle->device = device;
    handle->writable = request->flags & PRELOAD_WRITABLE;
    TAILQ_INIT(&handle->connections);
    int visible = make_sockets(handle, request->flags & PRELOAD_READABLE);
    if (visible < 0) {
        connection_reply(connection, request->tag, -errno, NULL, 0);
        free(handle);
        return;
    }
    TAILQ_INSERT_TAIL(&server->handles, handle, entry);
    server->handle_count++;
    join(connection, handle);
    send_handle(connection, request->tag, visible);
    close(visible);
}

void handle_adopt(struct connection *connection, const struct preload_request *request)
{
    struct usb_handle *handle;

    TAILQ_FOREACH(handle, &connection->server->handles, entry)
    {
        if (handle->inode == request->tag && handle->device != NULL) {
            join(connection, handle);
            int box = request->flags & PRELOAD_BOXED ? box_open(connection) : -1;
            send_handle(connection, request->tag, box);
            if (box >= 0) {
                close(box);
            }
            return;
        }
    }
    connection_reply(connection, request->tag, -ENODEV, NULL, 0);
}
