#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/usbip/link.h"

/* How long a listener rests when descriptors or memory are short. */
#define REST_MS 200

static void on_rested(evutil_socket_t fd, short what, void *context)
{
    struct usbip_listener *listener = context;

    (void)fd;
    (void)what;
    event_add(listener->incoming, NULL);
}

/* The one who waits would be reported again and again. */
static void rest(struct usbip_listener *listener)
{
    const struct timeval after = {.tv_usec = REST_MS * 1000};

    event_del(listener->incoming);
    evtimer_add(listener->pause, &after);
}

static void on_incoming(evutil_socket_t fd, short what, void *context)
{
    struct usbip_listener *listener = context;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (client >= 0) {
        (void)usbip_server_accept(listener->server, client);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        rest(listener);
    }
}

static void listener_free(struct usbip_listener *listener)
{
    if (listener->incoming != NULL) {
        event_free(listener->incoming);
    }
    if (listener->pause != NULL) {
        event_free(listener->pause);
    }
    close(listener->fd);
    free(listener);
}

bool usbip_server_listen(struct usbip_server *server, int fd)
{
    struct usbip_listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL) {
        close(fd);
        return false;
    }
    listener->server = server;
    listener->fd = fd;
    listener->incoming = event_new(server->base, fd, EV_READ | EV_PERSIST, on_incoming, listener);
    listener->pause = evtimer_new(server->base, on_rested, listener);
    if (listener->incoming == NULL || listener->pause == NULL ||
        event_add(listener->incoming, NULL) != 0) {
        listener_free(listener);
        return false;
    }
    TAILQ_INSERT_TAIL(&server->listeners, listener, entry);
    return true;
}

bool usbip_server_accept(struct usbip_server *server, int fd)
{
    return usbip_connect(server, fd) != NULL;
}

bool usbip_server_plug(struct usbip_server *server, struct outlet *outlet, int fd)
{
    struct usbip_connection *connection = usbip_connect(server, fd);

    if (connection == NULL) {
        return false;
    }
    if (usbip_take(connection, outlet) != USBIP_OK) {
        usbip_close(connection);
        return false;
    }
    usbip_begin(connection);
    return true;
}

uint32_t usbip_device_id(const struct outlet *outlet)
{
    return USBIP_BUS << 16 | usbip_device_number(outlet);
}

size_t usbip_server_memory(const struct usbip_server *server)
{
    return server->memory;
}

struct usbip_server *usbip_server_new(struct event_base *base, struct outlet *outlets, size_t count)
{
    struct usbip_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        return NULL;
    }
    server->base = base;
    server->outlets = outlets;
    server->count = count;
    TAILQ_INIT(&server->listeners);
    TAILQ_INIT(&server->guests);
    TAILQ_INIT(&server->holders);
    return server;
}

void usbip_server_free(struct usbip_server *server)
{
    struct usbip_listener *listener;

    while ((listener = TAILQ_FIRST(&server->listeners)) != NULL) {
        TAILQ_REMOVE(&server->listeners, listener, entry);
        listener_free(listener);
    }
    while (!TAILQ_EMPTY(&server->guests)) {
        usbip_close(TAILQ_FIRST(&server->guests));
    }
    while (!TAILQ_EMPTY(&server->holders)) {
        usbip_close(TAILQ_FIRST(&server->holders));
    }
    free(server);
}
