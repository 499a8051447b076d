#include "emulator/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct peer {
    struct control *control;
    struct bufferevent *stream;
};

struct control {
    struct sockaddr_un name;
    char address[sizeof(struct sockaddr_un)];
    int listener;
    struct event *incoming;
    struct event_base *base;
    control_answer *answer;
    void *context;
    struct peer peers[CONTROL_PEERS_MAX];
};

/* --- addresses --- */

static bool is_abstract(const char *address)
{
    return address[0] == '@';
}

static bool make_name(const char *address, struct sockaddr_un *name, socklen_t *length,
                      struct complaint *complaint)
{
    size_t size = strlen(address);
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (size == 0 || size >= sizeof name->sun_path) {
        return complain(complaint,
                        "control address \"%s\": %zu characters found, 1 to %zu expected", address,
                        size, sizeof name->sun_path - 1);
    }
    memcpy(name->sun_path, address, size);
    if (is_abstract(address)) {
        name->sun_path[0] = '\0';
        *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    } else {
        *length = (socklen_t)sizeof *name;
    }
    return true;
}

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

static bool is_welcome(int fd)
{
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } peer;
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
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
    struct peer *peer = is_welcome(fd) ? free_peer(control) : NULL;
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

/* A socket file whose owner is gone may be replaced; any other file may not. */
static bool is_stale(const struct sockaddr_un *name, socklen_t length)
{
    struct stat status;
    if (lstat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        errno = EADDRINUSE;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)name, length) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return stale;
}

static bool listen_at(struct control *control, const char *address, struct complaint *complaint)
{
    socklen_t length = 0;
    if (!make_name(address, &control->name, &length, complaint)) {
        return false;
    }
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr *name = (const struct sockaddr *)&control->name;
    bool bound = control->listener >= 0 && bind(control->listener, name, length) == 0;
    if (!bound && errno == EADDRINUSE && !is_abstract(address) &&
        is_stale(&control->name, length)) {
        unlink(address);
        bound = bind(control->listener, name, length) == 0;
    }
    if (!bound || listen(control->listener, CONTROL_PEERS_MAX) != 0) {
        return complain(complaint, "control socket %s: cannot listen: %s", address,
                        strerror(errno));
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
    if (control->address[0] && !is_abstract(control->address)) {
        unlink(control->address);
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
    struct sockaddr_un name;
    socklen_t length = 0;
    /* A server that does not answer must not hold a script for ever. */
    const struct timeval patience = {.tv_sec = 30};
    if (!make_name(address, &name, &length, complaint)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&name, length) != 0) {
        complain(complaint, "control socket %s: cannot connect: %s", address, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
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
