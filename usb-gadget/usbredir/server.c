#include "usb-gadget/usbredir/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "usb-gadget/acceptor.h"
#include "usb-gadget/usbredir/peer.h"

struct usbredir_server {
    struct event_base *base;
    struct outlet *outlet;
    struct acceptor *acceptor; /* NULL: clients come by usbredir_server_accept() only */
    usbredir_say *say;
    void *context;
    struct usbredir_peer *peer; /* NULL: none */
    bool said;                  /* that others have to wait for it */
};

static void on_over(void *context, const char *fault)
{
    struct usbredir_server *server = context;
    char line[GUARD_FAULT_MAX + 64];

    server->peer = NULL;
    if (fault != NULL) {
        snprintf(line, sizeof line, "client sent away: %s", fault);
        server->say(server->context, line);
    }
}

/* True when somebody is there who has said hello. One who has left, or is just now leaving, is not
 * in the way of the next. */
static bool is_occupied(struct usbredir_server *server)
{
    if (server->peer != NULL && !peer_turn(server->peer)) {
        return false;
    }
    if (server->peer != NULL && server->peer->state == PEER_SILENT) {
        peer_free(server->peer);
        server->peer = NULL;
    }
    return server->peer != NULL;
}

void usbredir_server_accept(struct usbredir_server *server, int fd)
{
    if (is_occupied(server)) {
        /* Once: QEMU comes again every second. */
        if (!server->said) {
            server->say(server->context, "client sent away: another one has the board");
        }
        server->said = true;
        close(fd);
        return;
    }
    server->said = false;
    server->peer = peer_new(server->base, server->outlet, fd, on_over, server);
    if (server->peer == NULL) {
        server->say(server->context, "client sent away: memory is short");
    }
}

static void on_client(void *context, int fd)
{
    usbredir_server_accept(context, fd);
}

struct usbredir_server *usbredir_server_new(struct event_base *base, struct outlet *outlet,
                                            int listener, usbredir_say *say, void *context)
{
    struct usbredir_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        if (listener >= 0) {
            close(listener);
        }
        return NULL;
    }
    *server =
        (struct usbredir_server){.base = base, .outlet = outlet, .say = say, .context = context};
    if (listener >= 0) {
        server->acceptor = acceptor_new(base, listener, on_client, server);
        if (server->acceptor == NULL) {
            free(server);
            return NULL;
        }
    }
    return server;
}

void usbredir_server_free(struct usbredir_server *server)
{
    if (server->peer != NULL) {
        peer_free(server->peer);
    }
    acceptor_free(server->acceptor);
    free(server);
}
