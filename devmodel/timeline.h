/*
 * What the CPU has done but the world has not seen yet.
 *
 * The model runs each stretch of firmware in one go, ahead of board time: the flash operations in
 * it take a second, the code that issues them does not wait. Every visible effect (LED, pull-up,
 * reset, event) goes into this queue with its board time and happens when board time gets there; a
 * power failure drops the rest.
 */
#ifndef PHOTON_TIMELINE_H
#define PHOTON_TIMELINE_H

#include "board.h"

enum effect {
    EFFECT_TELL, /* only the event */
    EFFECT_LED,
    EFFECT_ATTACH,
    EFFECT_DETACH,
    EFFECT_BACKUP, /* register already written; `undo` is its value before */
    EFFECT_RESET,  /* `undo` is the reset cause (RCC_CSR) */
    EFFECT_HANG,
    EFFECT_POWER_LOST
};

struct timeline_entry {
    enum effect effect;
    uint32_t undo;
    struct board_event event; /* its time is when the effect happens */
};

struct timeline {
    struct timeline_entry *entries;
    size_t head, tail, capacity;
};

void timeline_free(struct timeline *timeline);
void timeline_clear(struct timeline *timeline);
/* Appends; times never decrease. False when memory is short. */
bool timeline_push(struct timeline *timeline, const struct timeline_entry *entry);
/* The oldest entry or NULL; valid until the next push. */
const struct timeline_entry *timeline_first(const struct timeline *timeline);
void timeline_pop(struct timeline *timeline);
/* The newest entry, for taking effects back in reverse; NULL when empty. */
const struct timeline_entry *timeline_last(const struct timeline *timeline);
void timeline_drop_last(struct timeline *timeline);
/* Makes `to` equal to `from`. False when memory is short. */
bool timeline_copy(struct timeline *to, const struct timeline *from);

static inline uint64_t timeline_due(const struct timeline *timeline)
{
    return timeline->head == timeline->tail ? BOARD_NEVER
                                            : timeline->entries[timeline->head].event.time;
}

#endif
