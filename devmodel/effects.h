/*
 * How the CPU's doings become visible: at once, or from the timeline when board time gets there.
 * The effects that firmware asks for are in engine.h. Not for users of the library.
 */
#ifndef PHOTON_EFFECTS_H
#define PHOTON_EFFECTS_H

#include "engine.h"

/* Tells the observer. */
void effects_deliver(struct photon *photon, const struct board_event *event);
void effects_tell_now(struct photon *photon, enum board_event_kind kind, const char *text,
                      uint64_t value);
/* The moment of an entry has come. */
void effects_apply(struct photon *photon, const struct timeline_entry *entry);
/* Applies an entry now or puts it into the timeline, for the time where the CPU is. */
void effects_push(struct photon *photon, struct timeline_entry *entry);
void effects_stop_timers(struct photon *photon);
/* The flash's reporter; `context` is the photon. */
void effects_flash_told(void *context, const struct flash_report *report);

#endif
