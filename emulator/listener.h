/*
 * Sockets that listen for hosts on other machines, or rather on this one: anywhere but on the
 * loopback interface only when that was asked for in so many words.
 */
#ifndef VPHOTON_LISTENER_H
#define VPHOTON_LISTENER_H

#include "emulator/complaint.h"

/* What listener_name() writes at most. */
#define LISTENER_NAME_MAX 80

/* A nonblocking TCP socket that listens at "ADDRESS:PORT" ("[ADDRESS]:PORT" for IPv6) or "PORT" on
 * the loopback interface; -1 with a complaint. Addresses are numbers or "localhost"; port 0 takes a
 * free one. */
int listener_open(const char *where, bool allow_remote, struct complaint *complaint);
/* Whether a socket that somebody else opened may be used. */
bool listener_check(int fd, bool allow_remote, struct complaint *complaint);
/* Where a socket listens, as listener_open() takes it. */
void listener_name(int fd, char name[LISTENER_NAME_MAX]);

#endif
