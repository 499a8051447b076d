/*
 * The command that runs beside the boards: started, watched, and handed the signals that are meant
 * for it, as if nothing stood between it and its caller.
 */
#ifndef VPHOTON_CHILD_H
#define VPHOTON_CHILD_H

#include <event2/event.h>
#include <sys/types.h>

#include "emulator/complaint.h"

struct child;

enum { CHILD_NOT_EXECUTABLE = 126, CHILD_NOT_FOUND = 127, CHILD_BY_SIGNAL = 128 };

/* Called once, with the exit code that stands for how the child ended. */
typedef void child_ended(void *context, int code);

/* Where the command runs, when not just here. */
struct child_place {
    bool (*enter)(void *context); /* in the child: goes there; false: the child is to exit */
    /* In this process meanwhile: false with a complaint when the child did not get there. */
    bool (*accept)(void *context, pid_t child, struct complaint *complaint);
    void *context;
};

/* Takes over the signals of this process. Before anything else that may get one. NULL when memory
 * is short. */
struct child *child_new(struct event_base *base, child_ended *ended, void *context);
/* Starts `argv` with the caller's terminal, files, process group and signal settings, and
 * `environment` ("NAME=value", NULL-terminated lists) on top of this process' own, in `place`
 * unless that is NULL. It is held before its first step until child_release(). When `environment`
 * brings a library that holds a program by itself (protocol.h, PRELOAD_HOLD_ENVIRONMENT), `held`
 * lets the system load the program meanwhile. False with a complaint. */
bool child_start(struct child *child, char **argv, const char *const *const environments[],
                 const struct child_place *place, bool held, struct complaint *complaint);
/* Lets it run. 0, or the exit code for why it cannot be run, with a complaint. */
int child_release(struct child *child, struct complaint *complaint);
/* One that is still held ends without having run. */
void child_free(struct child *child);

#endif
