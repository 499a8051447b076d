/*
 * `vphoton run` starts its command while the boards are still being made: the system loads it
 * meanwhile, and here it waits until they are there. This is the first constructor of all
 * (-z initfirst), before the C library's own, so it uses nothing of that.
 */
#include "usb-gadget/preload/shim.h"

#define NOT_RUN 3

/* The variable's place in the environment, or NULL. */
static char **find_variable(char **environment)
{
    static const char name[] = PRELOAD_HOLD_ENVIRONMENT "=";

    for (; *environment != NULL; environment++) {
        size_t same = 0;
        while (same < sizeof name - 1 && (*environment)[same] == name[same]) {
            same++;
        }
        if (same == sizeof name - 1) {
            return environment;
        }
    }
    return NULL;
}

static int read_number(const char *digits)
{
    int number = 0;

    for (; *digits >= '0' && *digits <= '9'; digits++) {
        number = number * 10 + (*digits - '0');
    }
    return number;
}

/* Returns whether to go on: the server, which holds the other end, may have died. */
static bool await_go(int fd)
{
    char go;
    long got;

    do {
        got = raw(SYS_read, fd, &go, 1);
    } while (got == -EINTR);
    return got == 1;
}

__attribute__((constructor)) static void hold(int argc, char **argv, char **environment)
{
    char **variable = find_variable(environment);

    (void)argc;
    (void)argv;
    if (variable == NULL) {
        return;
    }
    int fd = read_number(*variable + sizeof PRELOAD_HOLD_ENVIRONMENT);
    for (; *variable != NULL; variable++) {
        variable[0] = variable[1];
    }
    if (!await_go(fd)) {
        (void)raw(SYS_exit_group, NOT_RUN);
    }
    (void)raw(SYS_close, fd);
}
