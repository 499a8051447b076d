#include <errno.h>

#include "usb-gadget/preload/link.h"

void clock_request(struct connection *connection, const struct preload_request *request)
{
    struct preload_server *server = connection->server;
    struct preload_time time = {.offset = server->clock_offset};

    if (server->options.warp && server->options.advance != NULL && request->tag > 0) {
        bool until_event = request->operation == PRELOAD_ADVANCE_POLL;
        time.moved =
            server->options.advance(server->options.advance_context, request->tag, until_event);
        server->clock_offset += time.moved;
        time.offset = server->clock_offset;
    }
    connection_reply(connection, 0, 0, &time, sizeof time);
}
