/* Warp: the clients' sleeps pass at once, and board time moves by as much. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "usb-gadget/preload/link.h"
#include "usb-gadget/preload/tty.h"

bool warp_open(struct preload_server *server)
{
    char path[sizeof server->tree.folder + sizeof PRELOAD_CLOCK_NAME + 1];

    snprintf(path, sizeof path, "%s/" PRELOAD_CLOCK_NAME, server->tree.folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    void *page = MAP_FAILED;
    if (ftruncate(fd, sizeof *server->clock_offset) == 0) {
        page = mmap(NULL, sizeof *server->clock_offset, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    server->clock_offset = page != MAP_FAILED ? page : NULL;
    return server->clock_offset != NULL;
}

void warp_close(struct preload_server *server)
{
    if (server->clock_offset != NULL) {
        (void)munmap(server->clock_offset, sizeof *server->clock_offset);
    }
}

uint64_t warp_advance(struct preload_server *server, uint64_t ns, bool until_event)
{
    if (server->clock_offset == NULL || server->options.advance == NULL || ns == 0) {
        return 0;
    }
    uint64_t moved = server->options.advance(server->options.advance_context, ns, until_event);
    atomic_fetch_add(server->clock_offset, moved);
    return moved;
}

void warp_request(struct connection *connection, const struct preload_request *request)
{
    struct preload_server *server = connection->server;
    const uint64_t ns = request->tag;
    const bool until_event = request->operation == PRELOAD_ADVANCE_POLL;

    /* What the client has submitted happens before time moves, and what happens meanwhile is shown
     * before the client looks. */
    connection_catch_up(server);
    tty_catch_up(server);
    uint64_t moved = warp_advance(server, ns, until_event);
    server_refresh(server);
    connection_reply(connection, 0, 0, &moved, sizeof moved);
}
