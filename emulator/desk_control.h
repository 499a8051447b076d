/*
 * What the control socket can ask of a desk.
 *
 * Request:  {"command": C, "board": B, ...}   board: a name or number; left out: the only board
 *   press     "ms": hold for so long, in board time; left out: until release
 *   release   -
 *   reset     a pulse on the RESET pin
 *   power     "on": true or false
 *   status    every board, or the one asked for
 * Reply:    {"ok": true, ...} or {"ok": false, "error": text}
 *
 * A press under real time replies at once with "wait_ms": the one who asked waits as long and then
 * asks for the release.
 */
#ifndef VPHOTON_DESK_CONTROL_H
#define VPHOTON_DESK_CONTROL_H

#include "emulator/desk.h"

/* A control_answer; the context is a struct desk. */
json_t *desk_answer(void *context, const json_t *request);

#endif
