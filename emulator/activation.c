#include "emulator/activation.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/options.h"

#define FD_FIRST 3

static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};

static uint32_t number(const char *variable)
{
    const char *text = getenv(variable);
    uint32_t value;
    return text && options_number(text, INT32_MAX, &value) ? value : 0;
}

/* The next of the names between colons; what has no name is "unknown", as with systemd. */
static const char *take_name(const char *names, char *name, size_t size)
{
    size_t length = names ? strcspn(names, ":") : 0;
    snprintf(name, size, "%.*s", (int)length, length > 0 ? names : "");
    if (length == 0) {
        snprintf(name, size, "unknown");
    }
    return names && names[length] == ':' ? names + length + 1 : NULL;
}

void activation_begin(struct activation *activation)
{
    const char *names = getenv("LISTEN_FDNAMES");
    uint32_t count = number("LISTEN_PID") == (uint32_t)getpid() ? number("LISTEN_FDS") : 0;
    activation->count = 0;
    for (uint32_t i = 0; i < count && i < ACTIVATION_MAX; i++) {
        const int fd = FD_FIRST + (int)i;
        const int flags = fcntl(fd, F_GETFL);
        const bool usable = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
                            fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
        activation->sockets[i].fd = usable ? fd : -1;
        names = take_name(names, activation->sockets[i].name, sizeof activation->sockets[i].name);
        activation->count++;
    }
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        unsetenv(variables[i]);
    }
}

int activation_take(struct activation *activation, const char *name)
{
    for (size_t i = 0; i < activation->count; i++) {
        int fd = activation->sockets[i].fd;
        if (fd >= 0 && strcmp(activation->sockets[i].name, name) == 0) {
            activation->sockets[i].fd = -1;
            return fd;
        }
    }
    return -1;
}
