#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/preload/passing.h"
#include "usb-gadget/preload/server.h"
#include "usb-gadget/raw/link.h"

static void on_reply(evutil_socket_t fd, short what, void *context);

/* --- life --- */

static struct channel *dial(struct raw *raw)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (channel == NULL) {
        return NULL;
    }
    channel->raw = raw;
    channel->fd = preload_server_dial(raw->server);
    if (channel->fd >= 0) {
        channel->event = event_new(raw->base, channel->fd, EV_READ | EV_PERSIST, on_reply, channel);
    }
    if (channel->event == NULL || event_add(channel->event, NULL) != 0) {
        channel_close(channel);
        return NULL;
    }
    return channel;
}

struct channel *channel_join(struct raw *raw, struct node *node)
{
    const struct preload_request adopt = {
        .operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION, .tag = node->inode};
    struct channel *channel = dial(raw);

    if (channel == NULL) {
        return NULL;
    }
    /* Should the handle be gone, the server hangs up at the next request. */
    channel->skip = 1;
    channel->node = node;
    TAILQ_INSERT_TAIL(&node->calls, channel, entry);
    if (!channel_send(channel, &adopt, NULL, 0)) {
        channel_close(channel);
        return NULL;
    }
    return channel;
}

void channel_close(struct channel *channel)
{
    if (channel->node != NULL) {
        TAILQ_REMOVE(&channel->node->calls, channel, entry);
    }
    if (channel->event != NULL) {
        event_free(channel->event);
    }
    if (channel->fd >= 0) {
        close(channel->fd);
    }
    free(channel);
}

void channel_forget(struct call *call)
{
    if (call->channel != NULL) {
        channel_close(call->channel);
        call->channel = NULL;
    }
}

/* --- requests --- */

bool channel_send(const struct channel *channel, const struct preload_request *request,
                  const void *data, size_t length)
{
    struct iovec parts[2] = {{(void *)request, sizeof *request}, {(void *)data, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};

    return sendmsg(channel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* An idle channel of the node, or a new one. */
static struct channel *channel_of(struct raw *raw, struct node *node)
{
    struct channel *channel;

    if (node == NULL) {
        return dial(raw);
    }
    TAILQ_FOREACH(channel, &node->calls, entry)
    {
        if (channel->call == NULL) {
            return channel;
        }
    }
    return channel_join(raw, node);
}

void channel_ask(struct call *call, const struct preload_request *request, const void *data,
                 size_t length, call_ended *ended)
{
    struct channel *channel = channel_of(call->raw, call->node);

    call->ended = ended;
    if (channel == NULL || !channel_send(channel, request, data, length)) {
        if (channel != NULL) {
            channel_close(channel);
        }
        ended(call, -ENODEV, NULL, 0, -1);
        return;
    }
    channel->call = call;
    call->channel = channel;
}

/* --- replies --- */

/* The call goes on; a channel for one request has done its work. */
static void deliver(struct channel *channel, ssize_t length, int fd)
{
    struct raw *raw = channel->raw;
    const struct preload_reply *reply = &raw->in.reply;
    struct call *call = channel->call;
    int result = reply->result != 0 ? reply->result : (int)reply->actual;

    channel->call = NULL;
    call->channel = NULL;
    if (channel->node == NULL && fd < 0) {
        channel_close(channel);
    } else if (channel->node == NULL) {
        call->channel = channel; /* an opened node's first one */
    }
    call->ended(call, result, raw->in.data, (size_t)length - sizeof *reply, fd);
}

static void hang_up(struct channel *channel)
{
    struct node *node = channel->node;
    struct call *call = channel->call;

    channel_close(channel);
    if (call != NULL) {
        call->channel = NULL;
        call->ended(call, -ENODEV, NULL, 0, -1);
    }
    if (node != NULL) {
        nodes_channel_lost(node);
    }
}

static void on_reply(evutil_socket_t fd, short what, void *context)
{
    struct channel *channel = context;
    struct raw *raw = channel->raw;
    union passing passing;
    struct iovec part = {&raw->in, sizeof raw->in};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    (void)what;
    passing_expect(&message, &passing);
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (length < (ssize_t)sizeof raw->in.reply) {
        hang_up(channel);
    } else if (channel->skip > 0) {
        channel->skip--;
    } else if (channel->call != NULL) {
        deliver(channel, length, passing_take(&message));
    }
}
