#include "emulator/readiness.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void readiness_notify(const char *assignments)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof name.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(name.sun_path, path, length);
    if (path[0] == '@') {
        name.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        /* A manager that is gone needs no news. */
        (void)sendto(fd, assignments, strlen(assignments), MSG_NOSIGNAL,
                     (const struct sockaddr *)&name,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
        close(fd);
    }
}

void readiness_write(int fd)
{
    /* Who asked may have left. */
    ssize_t written = write(fd, "\n", 1);
    (void)written;
    close(fd);
}
