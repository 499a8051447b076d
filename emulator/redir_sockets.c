#include "emulator/redir_sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/listener.h"
#include "emulator/socket_file.h"
#include "usb-gadget/usbredir/server.h"

#define BACKLOG 16
#define NUMBER  '%'

struct redir_socket {
    struct usbredir_server *server;
    char name[SOCKET_FILE_MAX]; /* as a user would give it */
    bool is_file;               /* to be removed */
};

struct redir_sockets {
    size_t count;
    struct redir_socket sockets[];
};

static void say(void *context, const char *line)
{
    const struct redir_socket *socket = context;
    say_error("usbredir at %s: %s", socket->name, line);
}

/* `where` with the number for its first '%'. */
static bool make_name(const char *where, unsigned number, char name[SOCKET_FILE_MAX],
                      struct complaint *complaint)
{
    const char *place = strchr(where, NUMBER);
    int length = place ? snprintf(name, SOCKET_FILE_MAX, "%.*s%u%s", (int)(place - where), where,
                                  number, place + 1)
                       : snprintf(name, SOCKET_FILE_MAX, "%s", where);
    return length < SOCKET_FILE_MAX ||
           complain(complaint, "\"%s\": %d characters found, at most %d expected", where, length,
                    SOCKET_FILE_MAX - 1);
}

/* What has a colon and no slash is no path. */
static bool is_path(const char *name)
{
    return strchr(name, '/') || !strchr(name, ':');
}

static int listen_at(struct redir_socket *socket, bool allow_remote, struct complaint *complaint)
{
    char address[LISTENER_NAME_MAX];
    int fd;
    if (!is_path(socket->name)) {
        fd = listener_open(socket->name, allow_remote, complaint);
        if (fd >= 0) {
            listener_name(fd, address);
            snprintf(socket->name, sizeof socket->name, "%s", address);
        }
        return fd;
    }
    if (socket->name[0] == '@') {
        /* Such a name has no permissions: everybody on this machine could flash the board. */
        complain(complaint, "\"%s\" found, a path or ADDRESS:PORT expected", socket->name);
        return -1;
    }
    fd = socket_file_listen(socket->name, BACKLOG, complaint);
    socket->is_file = fd >= 0;
    return fd;
}

static bool open_socket(struct redir_socket *socket, struct event_base *base, struct outlet *outlet,
                        const char *where, bool allow_remote, struct complaint *complaint)
{
    int fd = make_name(where, outlet->number, socket->name, complaint)
                 ? listen_at(socket, allow_remote, complaint)
                 : -1;
    if (fd < 0) {
        return complain_about(complaint, "--usbredir");
    }
    socket->server = usbredir_server_new(base, outlet, fd, say, socket);
    return socket->server || complain(complaint, "memory is short");
}

struct redir_sockets *redir_sockets_open(struct event_base *base, struct outlet *outlets,
                                         size_t count, const char *const *where, size_t where_count,
                                         bool allow_remote, struct complaint *complaint)
{
    const bool numbered = where_count == 1 && strchr(where[0], NUMBER);
    if (!numbered && where_count != count) {
        complain(complaint,
                 "--usbredir: given %zu times, %zu expected: one for each board; or a single one "
                 "with %c for the board's number",
                 where_count, count, NUMBER);
        return NULL;
    }
    struct redir_sockets *sockets = calloc(1, sizeof *sockets + count * sizeof sockets->sockets[0]);
    if (!sockets) {
        complain(complaint, "memory is short");
        return NULL;
    }
    sockets->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!open_socket(&sockets->sockets[i], base, &outlets[i], where[numbered ? 0 : i],
                         allow_remote, complaint)) {
            redir_sockets_close(sockets);
            return NULL;
        }
    }
    return sockets;
}

void redir_sockets_close(struct redir_sockets *sockets)
{
    for (size_t i = 0; sockets && i < sockets->count; i++) {
        struct redir_socket *socket = &sockets->sockets[i];
        if (socket->server) {
            usbredir_server_free(socket->server);
        }
        if (socket->is_file) {
            socket_file_remove(socket->name);
        }
    }
    free(sockets);
}

void redir_sockets_print(const struct redir_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        printf("usbredir for board %zu at %s\n", i + 1, sockets->sockets[i].name);
    }
}
