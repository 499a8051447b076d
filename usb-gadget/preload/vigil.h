/*
 * Waiting awake. To wake a sleeping process takes longer than a control transfer, most of all on
 * an idle virtual machine. So both ends of the link look again for a moment before they sleep for
 * each other. When that was in vain (one processor, a busy machine, an erase in real time) they
 * try ever more seldom.
 */
#ifndef GADGET_PRELOAD_VIGIL_H
#define GADGET_PRELOAD_VIGIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Longer than the other end takes to wake up once and answer. More gains little, and on a busy
 * machine takes the processor from the other end. */
#define VIGIL_NS         UINT64_C(60000)
#define VIGIL_MISSES_MAX 5

/* Zero at first. Threads that race lose no more than a try. */
struct vigil {
    _Atomic unsigned misses; /* in a row */
    _Atomic unsigned skip;   /* waits to sleep through before the next try */
};

/* Whether to stay awake this time. */
static inline bool vigil_tries(struct vigil *vigil)
{
    unsigned skip = atomic_load_explicit(&vigil->skip, memory_order_relaxed);

    if (skip > 0) {
        atomic_store_explicit(&vigil->skip, skip - 1, memory_order_relaxed);
    }
    return skip == 0;
}

/* How staying awake ended. */
static inline void vigil_ended(struct vigil *vigil, bool paid)
{
    unsigned misses = atomic_load_explicit(&vigil->misses, memory_order_relaxed);

    misses = paid ? 0 : misses < VIGIL_MISSES_MAX ? misses + 1 : misses;
    atomic_store_explicit(&vigil->misses, misses, memory_order_relaxed);
    atomic_store_explicit(&vigil->skip, (1u << misses) - 1, memory_order_relaxed);
}

#endif
