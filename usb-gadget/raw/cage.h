/*
 * Where a program of the raw link runs: how a process goes there, and what may be in the way.
 */
#ifndef GADGET_RAW_CAGE_H
#define GADGET_RAW_CAGE_H

#include "usb-gadget/raw/raw.h"

/* What is done, in this order. */
enum cage_step {
    CAGE_NAMESPACE, /* unshare() */
    CAGE_IDENTITY,  /* the map of user and group */
    CAGE_MOUNT,
    CAGE_FILTER, /* the seccomp filter with its listener */
    CAGE_LINK,   /* handing over the listener */
    CAGE_MEMORY, /* reading the program's memory */
    CAGE_FILES,  /* borrowing the program's descriptors */
};

struct cage_failure {
    enum cage_step step;
    int error; /* errno */
    char what[128];
};

/* Notes errno and the thing at hand. Returns false. */
bool cage_failed(struct cage_failure *failure, enum cage_step step, const char *what);
/* As one line for people. */
void cage_explain(const struct cage_failure *failure, struct raw_refusal *why);

/* A pair of sockets between the two processes, before the fork. */
bool cage_pair(int pair[2]);
/* In the child: with the server's files in `root` (NULL: none, for a trial) mounted and the filter
 * at work. Returns when the parent has agreed. */
bool cage_enter(int link, const char *root);
/* In the parent: the filter's listener, or -1. */
int cage_accept(int link, pid_t child, struct cage_failure *failure);

/* --- mounts.c --- */

/* Lays the server's files over the system's. */
bool mounts_make(const char *root, struct cage_failure *failure);
/* Whether mounting is possible at all; changes nothing that can be seen. */
bool mounts_try(struct cage_failure *failure);

/* --- filter.c --- */

/* From now on some calls of this process and all that it starts wait for the listener, which is
 * returned; -1 with errno. */
int filter_install(void);

#endif
