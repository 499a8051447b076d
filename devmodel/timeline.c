#include "timeline.h"

#include <stdlib.h>
#include <string.h>

#define TIMELINE_FIRST_CAPACITY 16

void timeline_free(struct timeline *timeline)
{
    free(timeline->entries);
    *timeline = (struct timeline){0};
}

void timeline_clear(struct timeline *timeline)
{
    timeline->head = 0;
    timeline->tail = 0;
}

static bool reserve(struct timeline *timeline, size_t capacity)
{
    struct timeline_entry *entries;

    if (capacity <= timeline->capacity) {
        return true;
    }
    entries = realloc(timeline->entries, capacity * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    timeline->entries = entries;
    timeline->capacity = capacity;
    return true;
}

bool timeline_push(struct timeline *timeline, const struct timeline_entry *entry)
{
    if (timeline->tail == timeline->capacity) {
        size_t capacity =
            timeline->capacity == 0 ? TIMELINE_FIRST_CAPACITY : timeline->capacity * 2;

        if (!reserve(timeline, capacity)) {
            return false;
        }
    }
    timeline->entries[timeline->tail++] = *entry;
    return true;
}

const struct timeline_entry *timeline_first(const struct timeline *timeline)
{
    return timeline->head == timeline->tail ? NULL : &timeline->entries[timeline->head];
}

void timeline_pop(struct timeline *timeline)
{
    timeline->head++;
    if (timeline->head == timeline->tail) {
        timeline_clear(timeline);
    }
}

const struct timeline_entry *timeline_last(const struct timeline *timeline)
{
    return timeline->head == timeline->tail ? NULL : &timeline->entries[timeline->tail - 1];
}

void timeline_drop_last(struct timeline *timeline)
{
    timeline->tail--;
    if (timeline->head == timeline->tail) {
        timeline_clear(timeline);
    }
}

bool timeline_copy(struct timeline *to, const struct timeline *from)
{
    size_t pending = from->tail - from->head;

    timeline_clear(to);
    if (pending == 0) {
        return true;
    }
    if (!reserve(to, pending)) {
        return false;
    }
    memcpy(to->entries, from->entries + from->head, pending * sizeof(*to->entries));
    to->tail = pending;
    return true;
}
