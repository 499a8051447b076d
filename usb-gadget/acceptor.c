#include "usb-gadget/acceptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long it rests when descriptors or memory are short. */
#define REST_MS 200

struct acceptor {
    int listener;
    struct event *incoming, *rested;
    acceptor_client *client;
    void *context;
};

/* Small messages go at once, and a client whose machine is gone is noticed within a minute. */
static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},   {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 20}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 4},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        /* Not every stream is TCP. */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
    }
}

static void on_rested(evutil_socket_t fd, short what, void *context)
{
    struct acceptor *acceptor = context;

    (void)fd;
    (void)what;
    (void)event_add(acceptor->incoming, NULL);
}

/* The one who waits would be reported again and again. */
static void rest(struct acceptor *acceptor)
{
    const struct timeval after = {.tv_usec = REST_MS * 1000};

    (void)event_del(acceptor->incoming);
    (void)evtimer_add(acceptor->rested, &after);
}

static void on_incoming(evutil_socket_t listener, short what, void *context)
{
    struct acceptor *acceptor = context;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (fd >= 0) {
        set_options(fd);
        acceptor->client(acceptor->context, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        rest(acceptor);
    }
}

struct acceptor *acceptor_new(struct event_base *base, int listener, acceptor_client *client,
                              void *context)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);

    if (acceptor == NULL) {
        close(listener);
        return NULL;
    }
    *acceptor = (struct acceptor){.listener = listener, .client = client, .context = context};
    acceptor->incoming = event_new(base, listener, EV_READ | EV_PERSIST, on_incoming, acceptor);
    acceptor->rested = evtimer_new(base, on_rested, acceptor);
    if (acceptor->incoming == NULL || acceptor->rested == NULL ||
        event_add(acceptor->incoming, NULL) != 0) {
        acceptor_free(acceptor);
        return NULL;
    }
    return acceptor;
}

void acceptor_free(struct acceptor *acceptor)
{
    if (acceptor == NULL) {
        return;
    }
    if (acceptor->incoming != NULL) {
        event_free(acceptor->incoming);
    }
    if (acceptor->rested != NULL) {
        event_free(acceptor->rested);
    }
    close(acceptor->listener);
    free(acceptor);
}
