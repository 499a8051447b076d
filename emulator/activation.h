/*
 * Sockets that a service manager opened before it started us, by the names it gave them: the
 * protocol of systemd's sd_listen_fds_with_names(3).
 */
#ifndef VPHOTON_ACTIVATION_H
#define VPHOTON_ACTIVATION_H

#include <stddef.h>

#define ACTIVATION_MAX 64

struct activation {
    size_t count;
    struct {
        int fd; /* -1: taken */
        char name[32];
    } sockets[ACTIVATION_MAX];
};

/* Reads what the environment says, takes it out of the environment, and makes the sockets
 * nonblocking. No sockets when it is not meant for this process. */
void activation_begin(struct activation *activation);
/* The next socket of this name, the caller's from then on; -1 when there is none. */
int activation_take(struct activation *activation, const char *name);

#endif
