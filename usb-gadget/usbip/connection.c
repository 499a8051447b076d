#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/usbip/link.h"

/* Bytes read at once. */
#define READ_MAX 65536
/* Pieces of memory sent at once. */
#define PARTS_MAX 16

/* --- what a client says --- */

static bool start_leaving(struct usbip_connection *connection)
{
    connection->stage = USBIP_STAGE_LEAVING;
    return true;
}

static bool take_operation(struct usbip_connection *connection)
{
    struct usbip_operation operation;

    usbip_operation_get(connection->head, &operation);
    if (operation.version != USBIP_VERSION) {
        return false;
    }
    switch (operation.code) {
    case USBIP_REQUEST_DEVLIST:
        usbip_devlist(connection);
        return start_leaving(connection);
    case USBIP_REQUEST_IMPORT:
        connection->stage = USBIP_STAGE_BUSID;
        return true;
    default:
        return false;
    }
}

void usbip_begin(struct usbip_connection *connection)
{
    struct usbip_server *server = connection->server;

    evtimer_del(connection->timer);
    TAILQ_REMOVE(&server->guests, connection, entry);
    server->guest_count--;
    TAILQ_INSERT_TAIL(&server->holders, connection, entry);
    connection->stage = USBIP_STAGE_HEADER;
}

static bool take_busid(struct usbip_connection *connection)
{
    char busid[USBIP_BUSID_SIZE];

    memcpy(busid, connection->head, sizeof busid);
    busid[sizeof busid - 1] = '\0';
    if (!usbip_import(connection, busid)) {
        return start_leaving(connection);
    }
    usbip_begin(connection);
    return true;
}

static bool take_header(struct usbip_connection *connection)
{
    struct usbip_header header;

    return usbip_header_get(connection->head, &header) && usbip_command(connection, &header);
}

static bool take_data(struct usbip_connection *connection)
{
    struct flight *flight = connection->filling;

    connection->filling = NULL;
    connection->stage = USBIP_STAGE_HEADER;
    usbip_transfer(connection, flight);
    return true;
}

/* What is collected in a stage, and what is done with it when it is whole. */
static const struct {
    size_t size; /* 0: of the transfer */
    bool (*take)(struct usbip_connection *connection);
} stages[] = {
    [USBIP_STAGE_OPERATION] = {USBIP_OPERATION_SIZE, take_operation},
    [USBIP_STAGE_BUSID] = {USBIP_BUSID_SIZE, take_busid},
    [USBIP_STAGE_HEADER] = {USBIP_HEADER_SIZE, take_header},
    [USBIP_STAGE_DATA] = {0, take_data},
};

/* Throws away; false when there is nothing more to throw. */
static bool skip(struct usbip_connection *connection, uint64_t count)
{
    const size_t there = evbuffer_get_length(connection->in);
    const size_t most = count < there ? (size_t)count : there;

    evbuffer_drain(connection->in, most);
    connection->skip -= connection->skip > 0 ? most : 0;
    return most > 0;
}

/* Is the present message whole? Takes what there is of it. */
static bool collect(struct usbip_connection *connection)
{
    const struct transfer *transfer =
        connection->filling != NULL ? &connection->filling->transfer : NULL;
    const size_t size = transfer != NULL ? transfer->length : stages[connection->stage].size;
    uint8_t *into = transfer != NULL ? transfer->data : connection->head;
    int count = evbuffer_remove(connection->in, into + connection->have, size - connection->have);

    connection->have += count > 0 ? (size_t)count : 0;
    if (connection->have < size) {
        return false;
    }
    connection->have = 0;
    return true;
}

static bool is_full(const struct usbip_connection *connection)
{
    return evbuffer_get_length(connection->out) > USBIP_UNREAD_MAX;
}

/* Understands what has come, as long as the replies are read; false when it breaks the protocol. */
static bool understand(struct usbip_connection *connection)
{
    while (evbuffer_get_length(connection->in) > 0 && !is_full(connection)) {
        if (connection->stage == USBIP_STAGE_LEAVING) {
            skip(connection, SIZE_MAX);
        } else if (connection->skip > 0) {
            skip(connection, connection->skip);
        } else if (collect(connection) && !stages[connection->stage].take(connection)) {
            return false;
        }
    }
    return true;
}

/* --- what it hears --- */

void usbip_send(struct usbip_connection *connection, const void *bytes, size_t length)
{
    if (evbuffer_add(connection->out, bytes, length) != 0) {
        connection->broken = true;
    }
    event_active(connection->writable, EV_WRITE, 0);
}

/* Sends what the socket takes. False when the connection is no good any more. */
static bool flush(struct usbip_connection *connection)
{
    struct evbuffer *out = connection->out;

    while (evbuffer_get_length(out) > 0) {
        struct evbuffer_iovec parts[PARTS_MAX];
        const int count = evbuffer_peek(out, -1, NULL, parts, PARTS_MAX);
        const struct msghdr message = {
            .msg_iov = parts,
            .msg_iovlen = (size_t)(count < PARTS_MAX ? count : PARTS_MAX),
        };
        /* Not evbuffer_write(): a client that is gone is no reason for a signal. */
        const ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        evbuffer_drain(out, (size_t)sent);
    }
    return true;
}

/* All is said. The client still may talk: closing now would make the system forget the replies. */
static void hang_up(struct usbip_connection *connection)
{
    if (!connection->shut) {
        connection->shut = true;
        shutdown(connection->fd, SHUT_WR);
    }
}

/* Understands, sends, and reads on or not. False when the connection is to be closed. */
static bool turn(struct usbip_connection *connection)
{
    bool stuck = false;

    while (!stuck) {
        const size_t before = evbuffer_get_length(connection->in);
        if (!understand(connection) || connection->broken || !flush(connection)) {
            return false;
        }
        stuck = evbuffer_get_length(connection->in) == before;
    }
    event_del(connection->writable);
    const size_t unsent = evbuffer_get_length(connection->out);
    if (unsent == 0 && connection->stage == USBIP_STAGE_LEAVING) {
        hang_up(connection);
    }
    if (unsent > 0 && event_add(connection->writable, NULL) != 0) {
        return false;
    }
    return is_full(connection) ? event_del(connection->readable) == 0
                               : event_add(connection->readable, NULL) == 0;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct usbip_connection *connection = context;

    (void)fd;
    (void)what;
    if (!turn(connection)) {
        usbip_close(connection);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct usbip_connection *connection = context;
    int count = evbuffer_read(connection->in, fd, READ_MAX);

    (void)what;
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0 || !turn(connection)) {
        usbip_close(connection);
    }
}

/* --- life --- */

static void on_patience_over(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    usbip_close(context);
}

static void let_go(struct usbip_connection *connection)
{
    struct usbip_server *server = connection->server;
    struct outlet *outlet = connection->outlet;

    if (outlet == NULL) {
        TAILQ_REMOVE(&server->guests, connection, entry);
        server->guest_count--;
        return;
    }
    TAILQ_REMOVE(&server->holders, connection, entry);
    if (connection->filling != NULL) {
        flight_free(connection->filling);
        connection->filling = NULL;
    }
    flights_drop(&connection->flights);
    connection->outlet = NULL;
    outlet_give_back(outlet);
}

/* Whoever has no board is not waited for without end. */
static void become_guest(struct usbip_connection *connection)
{
    struct usbip_server *server = connection->server;
    const struct timeval after = {.tv_sec = USBIP_PATIENCE_MS / 1000};

    TAILQ_INSERT_TAIL(&server->guests, connection, entry);
    server->guest_count++;
    evtimer_add(connection->timer, &after);
    if (server->guest_count > USBIP_GUESTS_MAX) {
        usbip_close(TAILQ_FIRST(&server->guests));
    }
}

void usbip_leave(struct usbip_connection *connection)
{
    let_go(connection);
    start_leaving(connection);
    event_active(connection->writable, EV_WRITE, 0);
    become_guest(connection);
}

static void free_parts(struct usbip_connection *connection)
{
    struct event *const events[] = {connection->readable, connection->writable, connection->timer};
    struct evbuffer *const buffers[] = {connection->in, connection->out};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        if (buffers[i] != NULL) {
            evbuffer_free(buffers[i]);
        }
    }
    close(connection->fd);
    free(connection);
}

void usbip_close(struct usbip_connection *connection)
{
    let_go(connection);
    free_parts(connection);
}

struct usbip_connection *usbip_connect(struct usbip_server *server, int fd)
{
    struct usbip_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL) {
        close(fd);
        return NULL;
    }
    connection->server = server;
    connection->fd = fd;
    connection->in = evbuffer_new();
    connection->out = evbuffer_new();
    connection->readable =
        event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable = event_new(server->base, fd, EV_WRITE, on_writable, connection);
    connection->timer = evtimer_new(server->base, on_patience_over, connection);
    if (connection->in == NULL || connection->out == NULL || connection->readable == NULL ||
        connection->writable == NULL || connection->timer == NULL ||
        event_add(connection->readable, NULL) != 0) {
        free_parts(connection);
        return NULL;
    }
    become_guest(connection);
    return connection;
}
