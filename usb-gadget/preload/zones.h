/*
 * Whose a path is, and what it means when it is the server's: the same for all front ends.
 */
#ifndef GADGET_PRELOAD_ZONES_H
#define GADGET_PRELOAD_ZONES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Room for the server's root before a path. */
#define ZONES_PATH_MAX (PATH_MAX + 256)

/* Host folders that get names of the server's are merged. */
enum zone { ZONE_HOST, ZONE_OURS, ZONE_MERGED };

/* Of an absolute, clean path. */
enum zone zones_of(const char *path);
/* A first look that costs nothing for nearly all absolute paths of a program. */
bool zones_may_be_ours(const char *path);
/* Takes "//", "/./" and "/../" out of an absolute path, but only as far as it is the host's: below
 * our own folders are links, where ".." must be left to the kernel. `out` has room for
 * ZONES_PATH_MAX bytes; false when the path is too long. */
bool zones_clean(const char *path, char *out);

/* For a path that is ours, or NULL. The device number of a node's path, or 0. */
unsigned zones_node(const char *ours);
/* Whether it is a folder of nodes. */
bool zones_is_node_folder(const char *ours);
/* The n of a serial port's path /dev/ttyACMn, or -1. */
int zones_tty(const char *ours);
/* Whether it may be a link to a serial port's node. */
bool zones_is_tty_link(const char *ours);
/* The n of a link's target that ends in ttyACMn, or -1. */
int zones_tty_target(const char *target);
/* A decimal number to the end of the text; -1 when it is none. */
int zones_number(const char *text);

#endif
