/*
 * Things in the order in which they are due: a binary heap of pointers into their owners' structs.
 */
#ifndef VPHOTON_DUE_QUEUE_H
#define VPHOTON_DUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due {
    uint64_t at;
    size_t place; /* the queue's own */
};

struct due_queue {
    struct due **heap;
    size_t count, room;
};

/* False when memory is short. */
bool due_queue_add(struct due_queue *queue, struct due *due);
/* Sets `due->at` of one that is in the queue. */
void due_queue_move(struct due_queue *queue, struct due *due, uint64_t at);
/* The one that is due first; NULL when the queue is empty. */
struct due *due_queue_first(const struct due_queue *queue);
void due_queue_free(struct due_queue *queue);

#endif
