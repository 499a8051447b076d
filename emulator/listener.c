#include "emulator/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "emulator/options.h"

#define BACKLOG 128

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    }
    return address->sa_family == AF_UNIX;
}

static bool refuse_remote(const char *where, struct complaint *complaint)
{
    return complain(complaint,
                    "%s is no loopback address: whoever reaches it could flash the boards; "
                    "--allow-remote permits that",
                    where);
}

/* Parts "ADDRESS:PORT"; the address may have brackets. False when it does not look like that. */
static bool split(const char *where, char *address, size_t size, const char **port)
{
    const char *colon = strrchr(where, ':');
    const char *begin = where, *end = colon;
    if (!colon) {
        snprintf(address, size, "127.0.0.1");
        *port = where;
        return true;
    }
    *port = colon + 1;
    if (*begin == '[' && end > begin + 1 && end[-1] == ']') {
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return false; /* an IPv6 address without brackets ends nobody knows where */
    }
    snprintf(address, size, "%.*s", (int)(end - begin), begin);
    return end > begin;
}

static struct addrinfo *resolve(const char *where, struct complaint *complaint)
{
    char address[64];
    const char *port;
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    uint32_t number;
    if (split(where, address, sizeof address, &port) && options_number(port, UINT16_MAX, &number)) {
        const char *host = strcmp(address, "localhost") == 0 ? "127.0.0.1" : address;
        if (getaddrinfo(host, port, &hints, &found) == 0) {
            return found;
        }
    }
    complain(complaint, "\"%s\" found, ADDRESS:PORT expected, as 127.0.0.1:3240 or [::1]:3240",
             where);
    return NULL;
}

static int open_at(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    /* A daemon that is started again need not wait for its old connections. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int listener_open(const char *where, bool allow_remote, struct complaint *complaint)
{
    struct addrinfo *address = resolve(where, complaint);
    int fd = -1;
    if (!address) {
        return -1;
    }
    if (!allow_remote && !is_loopback(address->ai_addr)) {
        refuse_remote(where, complaint);
    } else {
        fd = open_at(address);
        if (fd < 0) {
            complain(complaint, "cannot listen at %s: %s", where, strerror(errno));
        }
    }
    freeaddrinfo(address);
    return fd;
}

bool listener_check(int fd, bool allow_remote, struct complaint *complaint)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char name[LISTENER_NAME_MAX];
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) {
        return complain(complaint, "descriptor %d is no socket that listens", fd);
    }
    if (!allow_remote && !is_loopback((struct sockaddr *)&address)) {
        listener_name(fd, name);
        return refuse_remote(name, complaint);
    }
    return true;
}

void listener_name(int fd, char name[LISTENER_NAME_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN + 16], port[16];
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(name, LISTENER_NAME_MAX, "an unknown address");
        return;
    }
    const char *format = address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
    snprintf(name, LISTENER_NAME_MAX, format, host, port);
}
