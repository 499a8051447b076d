/*
 * The dynamic loader of a program file: it loads what LD_PRELOAD names into the programs that it
 * loads, and into no others.
 */
#ifndef VPHOTON_LOADER_H
#define VPHOTON_LOADER_H

#include <stdbool.h>

/* Whether execvp(name) starts a program that this program's own loader loads with the libraries in
 * LD_PRELOAD. False also for all that is not sure: scripts, programs that gain rights, those that
 * cannot be read. */
bool loader_is_ours(const char *name);

#endif
