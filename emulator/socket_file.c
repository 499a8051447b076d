#include "emulator/socket_file.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(SOCKET_FILE_MAX == sizeof(((struct sockaddr_un *)0)->sun_path), "of this system");

struct address {
    struct sockaddr_un un;
    socklen_t length;
};

static bool is_abstract(const char *name)
{
    return name[0] == '@';
}

static bool make_address(const char *name, struct address *address, struct complaint *complaint)
{
    size_t size = strlen(name);
    address->un = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (size == 0 || size >= SOCKET_FILE_MAX) {
        return complain(complaint, "\"%s\": %zu characters found, 1 to %d expected", name, size,
                        SOCKET_FILE_MAX - 1);
    }
    memcpy(address->un.sun_path, name, size);
    if (is_abstract(name)) {
        address->un.sun_path[0] = '\0';
        address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    } else {
        address->length = (socklen_t)sizeof address->un;
    }
    return true;
}

static const struct sockaddr *generic(const struct address *address)
{
    return (const struct sockaddr *)&address->un;
}

/* A socket file whose owner is gone may be replaced; any other file may not. */
static bool is_stale(const struct address *address)
{
    struct stat status;
    if (lstat(address->un.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        errno = EADDRINUSE;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool stale =
        fd >= 0 && connect(fd, generic(address), address->length) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    errno = EADDRINUSE;
    return stale;
}

int socket_file_listen(const char *name, int backlog, struct complaint *complaint)
{
    struct address address;
    if (!make_address(name, &address, complaint)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool bound = fd >= 0 && bind(fd, generic(&address), address.length) == 0;
    if (!bound && errno == EADDRINUSE && !is_abstract(name) && is_stale(&address)) {
        unlink(name);
        bound = bind(fd, generic(&address), address.length) == 0;
    }
    if (bound && listen(fd, backlog) == 0) {
        return fd;
    }
    complain(complaint, "%s: cannot listen: %s", name, strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

void socket_file_remove(const char *name)
{
    if (!is_abstract(name)) {
        unlink(name);
    }
}

int socket_file_dial(const char *name, struct complaint *complaint)
{
    struct address address;
    if (!make_address(name, &address, complaint)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, generic(&address), address.length) == 0) {
        return fd;
    }
    complain(complaint, "%s: cannot connect: %s", name, strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool socket_file_trusts(int fd)
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
