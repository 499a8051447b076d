/*
 * The raw link: boards on root ports for programs that no library reaches, because they are static
 * or make system calls by themselves.
 *
 * The program runs in a mount namespace of its own, in which the preload server's files lie over
 * /sys, /dev and /run, and behind a filter that hands some of its system calls to us: opens, usbfs
 * and terminal ioctls, and what concerns hotplug sockets. We answer them as a client of the preload
 * server (a front end, see preload/server.h), which stays the one that knows usbfs. Without the
 * rights to mount, the mount namespace belongs to a user namespace in which the user is what they
 * are outside.
 *
 * A process that was answered "go on" does the call by itself, so nothing here is a protection
 * against the program: it sees boards that it would not see otherwise, and may well look past them.
 */
#ifndef GADGET_RAW_RAW_H
#define GADGET_RAW_RAW_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

struct preload_server;
struct raw;

/* What this machine forbids, and what to use instead, as one line. */
struct raw_refusal {
    char text[512];
};

/* Tries everything that a run needs, in a process that ends at once. */
bool raw_possible(struct raw_refusal *why);

/* A supervisor over the server's boards; the server must have been made for a front end. NULL with
 * errno. */
struct raw *raw_new(struct event_base *base, struct preload_server *server);
/* Programs that live on get their calls passed on to the system by a process that stays with them
 * until the last has ended; their boards are gone. */
void raw_free(struct raw *raw);

/* "NAME=value" strings that a program needs, NULL-terminated. */
const char *const *raw_environment(void);

/* In a child of this process before it runs its program: goes where the boards are. False when
 * that failed; raw_accept() says why, and the child is to exit. */
bool raw_enter(struct raw *raw);
/* Meanwhile in this process: waits until the child is there and takes charge of it. */
bool raw_accept(struct raw *raw, pid_t child, struct raw_refusal *why);

#endif
