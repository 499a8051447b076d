#include "emulator/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "emulator/socket_file.h"

struct peer {
    struct control *control;
    struct bufferevent *stream;
};

struct control {
    char address[SOCKET_FILE_MAX]; /* "": not listening */
    int listener;
    struct event *incoming;
    struct event_base *base;
    control_answer *answer;
    void *context;
    struct peer peers[CONTROL_PEERS_MAX];
};

/* --- peers --- */

json_t *control_error(const char *text)
{
    return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static void drop(struct peer *peer)
{
    bufferevent_free(peer->stream);
    peer->stream = NULL;
}

static json_t *answer_line(struct control *control, const char *line, size_t length)
{
    json_error_t error;
    json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    json_t *reply;
    if (!request) {
        reply = control_error("the request is not JSON");
    } else if (!json_is_object(request)) {
        reply = control_error("the request is not an object");
    } else {
        reply = control->answer(control->context, request);
    }
    json_decref(request);
    return reply;
}

static void send_line(struct peer *peer, json_t *reply)
{
    char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
    json_decref(reply);
    if (text) {
        struct evbuffer *out = bufferevent_get_output(peer->stream);
        evbuffer_add(out, text, strlen(text));
        evbuffer_add(out, "\n", 1);
    }
    free(text);
}

static void on_read(struct bufferevent *stream, void *context)
{
    struct peer *peer = context;
    struct evbuffer *in = bufferevent_get_input(stream);
    size_t length;
    char *line;
    while ((line = evbuffer_readln(in, &length, EVBUFFER_EOL_LF)) != NULL) {
        send_line(peer, answer_line(peer->control, line, length));
        free(line);
    }
    /* A line without end, or one who asks and never listens. */
    if (evbuffer_get_length(in) > CONTROL_LINE_MAX ||
        evbuffer_get_length(bufferevent_get_output(stream)) > CONTROL_REPLY_MAX) {
        drop(peer);
    }
}

static void on_end(struct bufferevent *stream, short what, void *context)
{
    (void)stream;
    (void)what;
    drop(context);
}

static struct peer *free_peer(struct control *control)
{
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++) {
        if (!control->peers[i].stream) {
            return &control->peers[i];
        }
    }
    return NULL;
}

static void on_incoming(evutil_socket_t listener, short what, void *context)
{
    struct control *control = context;
    (void)what;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct peer *peer = socket_file_trusts(fd) ? free_peer(control) : NULL;
    struct bufferevent *stream =
        peer ? bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (!stream) {
        close(fd);
        return;
    }
    *peer = (struct peer){control, stream};
    bufferevent_setwatermark(stream, EV_READ, 0, CONTROL_LINE_MAX + 1);
    bufferevent_setcb(stream, on_read, NULL, on_end, peer);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

/* --- the server --- */

static bool listen_at(struct control *control, const char *address, struct complaint *complaint)
{
    control->listener = socket_file_listen(address, CONTROL_PEERS_MAX, complaint);
    if (control->listener < 0) {
        return complain_about(complaint, "control socket");
    }
    snprintf(control->address, sizeof control->address, "%s", address);
    return true;
}

static void own_address(char *text, size_t size)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) {
        random = 0; /* the pid alone is unique enough: only the same user is heard */
    }
    snprintf(text, size, "@vphoton-%ld-%016llx", (long)getpid(), (unsigned long long)random);
}

struct control *control_new(struct event_base *base, const char *address, control_answer *answer,
                            void *context, struct complaint *complaint)
{
    char own[64];
    struct control *control = calloc(1, sizeof *control);
    if (!control) {
        complain(complaint, "control socket: memory is short");
        return NULL;
    }
    control->listener = -1;
    control->base = base;
    control->answer = answer;
    control->context = context;
    own_address(own, sizeof own);
    if (listen_at(control, address ? address : own, complaint)) {
        control->incoming =
            event_new(base, control->listener, EV_READ | EV_PERSIST, on_incoming, control);
        if (control->incoming && event_add(control->incoming, NULL) == 0) {
            return control;
        }
        complain(complaint, "control socket: memory is short");
    }
    control_free(control);
    return NULL;
}

void control_free(struct control *control)
{
    if (!control) {
        return;
    }
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++) {
        if (control->peers[i].stream) {
            drop(&control->peers[i]);
        }
    }
    if (control->incoming) {
        event_free(control->incoming);
    }
    if (control->listener >= 0) {
        close(control->listener);
    }
    if (control->address[0]) {
        socket_file_remove(control->address);
    }
    free(control);
}

const char *control_address(const struct control *control)
{
    return control->address;
}

/* --- the client --- */

static int dial(const char *address, struct complaint *complaint)
{
    /* A server that does not answer must not hold a script for ever. */
    const struct timeval patience = {.tv_sec = 30};
    int fd = socket_file_dial(address, complaint);
    if (fd < 0) {
        complain_about(complaint, "control socket");
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static bool send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* One line, without its end; NULL with errno, 0 when the server hung up. */
static char *receive_line(int fd)
{
    size_t used = 0;
    char *line = malloc(CONTROL_REPLY_MAX);
    errno = 0;
    while (line && used < CONTROL_REPLY_MAX) {
        ssize_t n = recv(fd, line + used, CONTROL_REPLY_MAX - used, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        char *end = memchr(line + used, '\n', (size_t)n);
        if (end) {
            *end = '\0';
            return line;
        }
        used += (size_t)n;
    }
    free(line);
    return NULL;
}

static json_t *exchange(int fd, const json_t *request, const char *address,
                        struct complaint *complaint)
{
    char *text = json_dumps(request, JSON_COMPACT);
    bool sent = text && send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1);
    free(text);
    char *line = sent ? receive_line(fd) : NULL;
    if (!line) {
        complain(complaint, "control socket %s: no reply: %s", address,
                 errno ? strerror(errno) : "the other side hung up");
        return NULL;
    }
    json_t *reply = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    free(line);
    if (!json_is_object(reply)) {
        json_decref(reply);
        complain(complaint, "control socket %s: the reply is not a JSON object", address);
        return NULL;
    }
    return reply;
}

json_t *control_ask(const char *address, const json_t *request, struct complaint *complaint)
{
    int fd = dial(address, complaint);
    if (fd < 0) {
        return NULL;
    }
    json_t *reply = exchange(fd, request, address, complaint);
    close(fd);
    return reply;
}
