/*
 * Unix sockets by name: the path of a socket file, or "@NAME" for a name in Linux's abstract
 * namespace, which leaves no file behind however the program ends.
 */
#ifndef VPHOTON_SOCKET_FILE_H
#define VPHOTON_SOCKET_FILE_H

#include "emulator/complaint.h"

/* Longest name, with its NUL. */
#define SOCKET_FILE_MAX 108

/* A nonblocking stream socket that listens there; -1 with a complaint. A socket file whose owner is
 * gone is replaced, any other file is not. */
int socket_file_listen(const char *name, int backlog, struct complaint *complaint);
/* Takes the file away; nothing for an abstract name. */
void socket_file_remove(const char *name);
/* A blocking socket connected to it; -1 with a complaint. */
int socket_file_dial(const char *name, struct complaint *complaint);
/* Whether the other end is the same user's, or root's. */
bool socket_file_trusts(int fd);

#endif
