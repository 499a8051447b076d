#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/preload/link.h"
#include "usb-gadget/preload/tty.h"
#include "usb-gadget/preload/uevent.h"

static void on_ready(evutil_socket_t fd, short what, void *context);

/* --- life --- */

static bool watch(struct connection *connection, short what)
{
    if (connection->event != NULL) {
        event_free(connection->event);
    }
    connection->event = event_new(connection->server->base, connection->fd, what | EV_PERSIST,
                                  on_ready, connection);
    return connection->event != NULL && event_add(connection->event, NULL) == 0;
}

bool connection_accept(struct preload_server *server, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL || server->connection_count == LINK_CONNECTIONS_MAX) {
        free(connection);
        close(fd);
        return false;
    }
    connection->server = server;
    connection->fd = fd;
    TAILQ_INIT(&connection->urbs);
    TAILQ_INIT(&connection->ended);
    TAILQ_INSERT_TAIL(&server->connections, connection, entry);
    server->connection_count++;
    if (!watch(connection, EV_READ)) {
        connection_close(connection);
        return false;
    }
    return true;
}

void connection_close(struct connection *connection)
{
    struct preload_server *server = connection->server;
    struct urb *urb;

    tty_forget(connection);
    if (connection->handle != NULL) {
        TAILQ_REMOVE(&connection->handle->connections, connection, entry_of_handle);
    }
    while ((urb = TAILQ_FIRST(&connection->urbs)) != NULL) {
        TAILQ_REMOVE(&connection->urbs, urb, entry);
        TAILQ_INSERT_TAIL(&server->own, urb, entry);
        urb->connection = NULL;
        (void)urb_cancel(urb);
    }
    while ((urb = TAILQ_FIRST(&connection->ended)) != NULL) {
        TAILQ_REMOVE(&connection->ended, urb, entry);
        urb_free(urb);
    }
    TAILQ_REMOVE(&server->connections, connection, entry);
    server->connection_count--;
    if (connection->event != NULL) {
        event_free(connection->event);
    }
    attention_forget(server, connection);
    box_close(connection);
    close(connection->fd);
    free(connection);
}

/* --- sending --- */

void connection_reply(struct connection *connection, uint64_t tag, int result, const void *data,
                      size_t length)
{
    struct preload_reply reply = {.tag = tag, .result = result, .actual = (uint32_t)length};
    struct iovec parts[2] = {{&reply, sizeof reply}, {(void *)data, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};

    /* A client that calls waits for the reply, so there is room; one that plays us false gets
     * none. */
    (void)sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    attention_to_call(connection->server);
}

void connection_take_token(const struct usb_handle *handle)
{
    uint8_t token[4 * PRELOAD_TOKEN_SIZE];

    (void)recv(handle->socket, token, sizeof token, MSG_DONTWAIT);
}

/* True when the reply has gone, or never will. */
static bool send_urb(struct connection *connection, const struct urb *urb)
{
    size_t length = sizeof urb->reply + (urb->is_in ? urb->reply.actual : 0);

    if (box_answer(connection, urb)) {
        return true;
    }
    if (send(connection->fd, &urb->reply, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno == EAGAIN) {
        return false;
    }
    if (urb->submitted && connection->handle != NULL) {
        connection_take_token(connection->handle);
    } else {
        attention_to_call(connection->server);
    }
    return true;
}

static void forget_urb(struct connection *connection, struct urb *urb)
{
    connection->urb_count--;
    urb_free(urb);
}

/* Between the board's detach and handle_unplug(): what it ended waits for the latter, so that a
 * program that learns of the loss by one handle finds all of them lost. */
static bool is_leaving(const struct urb *urb)
{
    const struct usb_device *device = urb->device;

    return device->port != NULL && device->port->generation != device->generation;
}

void connection_send_urb(struct connection *connection, struct urb *urb)
{
    bool leaving = is_leaving(urb);

    if (!leaving && TAILQ_EMPTY(&connection->ended) && send_urb(connection, urb)) {
        forget_urb(connection, urb);
        return;
    }
    if (!leaving && TAILQ_EMPTY(&connection->ended)) {
        (void)watch(connection, EV_READ | EV_WRITE);
    }
    TAILQ_INSERT_TAIL(&connection->ended, urb, entry);
}

/* True when all have gone. */
static bool send_ended(struct connection *connection)
{
    struct urb *urb;

    while ((urb = TAILQ_FIRST(&connection->ended)) != NULL) {
        if (!send_urb(connection, urb)) {
            return false;
        }
        TAILQ_REMOVE(&connection->ended, urb, entry);
        forget_urb(connection, urb);
    }
    return true;
}

void connection_finish(struct connection *connection)
{
    connection->closing = true;
    if (send_ended(connection) || !watch(connection, EV_READ | EV_WRITE)) {
        connection_close(connection);
    }
}

/* --- receiving --- */

/* The first request: what the connection is for. */
static bool begin(struct connection *connection, const struct preload_request *request)
{
    if (request->version != PRELOAD_PROTOCOL_VERSION) {
        return false;
    }
    switch (request->operation) {
    case PRELOAD_OPEN:
        handle_open(connection, request);
        return true;
    case PRELOAD_ADOPT:
        handle_adopt(connection, request);
        return true;
    case PRELOAD_MONITOR:
        connection->role = ROLE_MONITOR;
        connection->groups = request->number;
        return true;
    case PRELOAD_CLOCK:
        connection->role = ROLE_CLOCK;
        connection_reply(connection, request->tag, 0, NULL, 0);
        return true;
    case PRELOAD_TTY:
        connection->role = ROLE_TTY;
        tty_request(connection, request);
        return true;
    default:
        return false;
    }
}

/* False when the message makes no sense. */
static bool handle(struct connection *connection, const struct preload_request *request,
                   const uint8_t *data, size_t length)
{
    switch (connection->role) {
    case ROLE_NEW:
        return length == 0 && begin(connection, request);
    case ROLE_HANDLE:
        return usbfs_request(connection, request, data, length);
    case ROLE_MONITOR:
        connection->groups = request->number;
        return request->operation == PRELOAD_MONITOR && length == 0;
    case ROLE_TTY:
        if (length == 0 && request->operation == PRELOAD_TTY) {
            tty_request(connection, request);
            return true;
        }
        return false;
    case ROLE_CLOCK:
        if (length == 0) {
            warp_request(connection, request);
        }
        return length == 0;
    }
    return false;
}

enum receipt { RECEIPT_NOTHING, RECEIPT_HANDLED, RECEIPT_CLOSED };

static enum receipt receive(struct connection *connection)
{
    struct preload_server *server = connection->server;
    struct preload_request *request = &server->message.request;
    size_t boxed;
    ssize_t length;

    connection->turn = box_take(connection, &boxed);
    if (connection->turn != 0) {
        length = (ssize_t)boxed;
    } else {
        length = recv(connection->fd, &server->message, sizeof server->message, MSG_DONTWAIT);
    }
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return RECEIPT_NOTHING;
    }
    if (length < (ssize_t)sizeof *request || (size_t)length > sizeof *request + PRELOAD_DATA_MAX ||
        !handle(connection, request, server->message.data, (size_t)length - sizeof *request)) {
        connection_close(connection);
        return RECEIPT_CLOSED;
    }
    return RECEIPT_HANDLED;
}

void connection_receive(struct connection *connection)
{
    (void)receive(connection);
}

/* Handles what other connections of the handle have sent before a call on this one: the client
 * must find its transfers submitted when it asks for something else. */
static void catch_up(struct connection *connection)
{
    struct connection *other, *next;

    for (other = TAILQ_FIRST(&connection->handle->connections); other != NULL; other = next) {
        enum receipt receipt = RECEIPT_HANDLED;
        next = TAILQ_NEXT(other, entry_of_handle);
        while (other != connection && receipt == RECEIPT_HANDLED && other->submits) {
            receipt = receive(other);
        }
    }
}

void connection_catch_up(struct preload_server *server)
{
    struct connection *connection, *next;

    for (connection = TAILQ_FIRST(&server->connections); connection != NULL; connection = next) {
        enum receipt receipt = RECEIPT_HANDLED;
        while (receipt == RECEIPT_HANDLED && connection->submits) {
            next = TAILQ_NEXT(connection, entry);
            receipt = receive(connection);
        }
        next = receipt == RECEIPT_CLOSED ? next : TAILQ_NEXT(connection, entry);
    }
}

/* True when the next message is about monitoring; it has been handled then. Reads into a place of
 * its own, for another message may be under way. */
static bool hear_monitor(struct connection *connection)
{
    struct preload_request request;
    ssize_t length =
        recv(connection->fd, &request, sizeof request, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

    if (length != (ssize_t)sizeof request || request.operation != PRELOAD_MONITOR ||
        request.version != PRELOAD_PROTOCOL_VERSION) {
        return false;
    }
    return recv(connection->fd, &request, sizeof request, MSG_DONTWAIT) == length &&
           handle(connection, &request, NULL, 0);
}

void connection_hear_monitors(struct preload_server *server)
{
    struct connection *connection;

    TAILQ_FOREACH(connection, &server->connections, entry)
    {
        bool heard = connection->role == ROLE_NEW || connection->role == ROLE_MONITOR;
        while (heard) {
            heard = hear_monitor(connection);
        }
    }
}

static void on_ready(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;

    (void)fd;
    if (what & EV_WRITE) {
        bool done = send_ended(connection);
        if (done && connection->closing) {
            connection_close(connection);
            return;
        }
        if (done) {
            (void)watch(connection, EV_READ);
        }
    }
    if (what & EV_READ) {
        if (connection->handle != NULL && !connection->submits) {
            catch_up(connection);
        }
        (void)receive(connection);
    }
}
