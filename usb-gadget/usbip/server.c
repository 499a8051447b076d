#include <stdlib.h>
#include <unistd.h>

#include "usb-gadget/usbip/link.h"

static void on_client(void *context, int fd)
{
    (void)usbip_server_accept(context, fd);
}

static void listener_free(struct usbip_listener *listener)
{
    acceptor_free(listener->acceptor);
    free(listener);
}

bool usbip_server_listen(struct usbip_server *server, int fd)
{
    struct usbip_listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL) {
        close(fd);
        return false;
    }
    listener->acceptor = acceptor_new(server->base, fd, on_client, server);
    if (listener->acceptor == NULL) {
        free(listener);
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
