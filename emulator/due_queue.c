#include "emulator/due_queue.h"

#include <stdlib.h>

#define ROOM_FIRST 16

static void put(struct due_queue *queue, size_t place, struct due *due)
{
    queue->heap[place] = due;
    due->place = place;
}

static void swap(struct due_queue *queue, size_t a, size_t b)
{
    struct due *first = queue->heap[a];
    put(queue, a, queue->heap[b]);
    put(queue, b, first);
}

static void rise(struct due_queue *queue, size_t place)
{
    while (place > 0) {
        size_t parent = (place - 1) / 2;
        if (queue->heap[parent]->at <= queue->heap[place]->at) {
            break;
        }
        swap(queue, parent, place);
        place = parent;
    }
}

static void sink(struct due_queue *queue, size_t place)
{
    for (;;) {
        size_t least = place;
        for (size_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
            if (child < queue->count && queue->heap[child]->at < queue->heap[least]->at) {
                least = child;
            }
        }
        if (least == place) {
            break;
        }
        swap(queue, least, place);
        place = least;
    }
}

bool due_queue_add(struct due_queue *queue, struct due *due)
{
    if (queue->count == queue->room) {
        size_t room = queue->room ? 2 * queue->room : ROOM_FIRST;
        struct due **heap = realloc(queue->heap, room * sizeof(struct due *));
        if (!heap) {
            return false;
        }
        queue->heap = heap;
        queue->room = room;
    }
    put(queue, queue->count++, due);
    rise(queue, due->place);
    return true;
}

void due_queue_move(struct due_queue *queue, struct due *due, uint64_t at)
{
    due->at = at;
    rise(queue, due->place);
    sink(queue, due->place);
}

struct due *due_queue_first(const struct due_queue *queue)
{
    return queue->count > 0 ? queue->heap[0] : NULL;
}

void due_queue_free(struct due_queue *queue)
{
    free(queue->heap);
    *queue = (struct due_queue){0};
}
