/*
 * The diagnostics report: what `d` on the console and control request 100 answer. Only what a board
 * without a network can know changes; the rest stands as recorded from 2.2.0.
 */
#ifndef PHOTON_DIAGNOSTICS_H
#define PHOTON_DIAGNOSTICS_H

#include <stddef.h>

struct photon;

#define DIAGNOSTICS_MAX 640

/* One JSON object; returns its length without the NUL. */
size_t diagnostics_json(const struct photon *photon, char text[DIAGNOSTICS_MAX]);

#endif
