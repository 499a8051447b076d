/* When the server stays awake: a client that has just been answered may ask again at once. */
#include <sched.h>
#include <time.h>

#include "usb-gadget/preload/link.h"

/* As long as the event loop takes to look at all sockets, where the next request may come as well.
 */
#define GLANCE_NS UINT64_C(4000)
/* Transfers in a row from the server's own processor that make it leave, and how often it may. */
#define TOGETHER_MAX 3
#define LEAVE_NS     (UINT64_C(2) * BOARD_NS_PER_MS)

static uint64_t now_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * BOARD_NS_PER_S + (uint64_t)time.tv_nsec;
}

static bool has_box(const struct connection *connection)
{
    return connection != NULL && connection->box != NULL;
}

/* --- processors --- */

/* The scheduler wakes either end on the processor of the other, which is about to sleep as a rule;
 * but two that stay awake for each other need one each. */
static void leave_processor(unsigned cpu)
{
    cpu_set_t allowed, others;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    others = allowed;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) {
        (void)sched_setaffinity(0, sizeof allowed, &allowed);
    }
}

/* Whether the client can work while the server waits awake. When it could not several times in a
 * row, the server leaves. */
static bool has_processor(struct attention *attention)
{
    struct preload_box *box = attention->asker->box;
    int cpu = sched_getcpu();
    bool together = cpu >= 0 && atomic_load_explicit(&box->client_cpu, memory_order_relaxed) ==
                                    (uint32_t)cpu + 1;

    atomic_store_explicit(&box->server_cpu, (uint32_t)(cpu + 1), memory_order_relaxed);
    attention->together = together ? attention->together + 1 : 0;
    if (attention->together >= TOGETHER_MAX && now_ns() - attention->left >= LEAVE_NS) {
        attention->together = 0;
        attention->left = now_ns();
        leave_processor((unsigned)cpu);
    }
    return !together;
}

/* --- what is expected --- */

void attention_to_call(struct preload_server *server)
{
    if (server->attention.asked == ATTENTION_NONE) {
        server->attention.asked = ATTENTION_CALL;
    }
}

void attention_to_transfer(struct preload_server *server, struct connection *connection)
{
    struct attention *attention = &server->attention;
    struct connection *before = attention->asker;

    attention->asked = ATTENTION_TRANSFER;
    attention->asker = connection;
    if (before != connection && has_box(before) && !box_ignore(before)) {
        event_active(before->event, EV_READ, 0);
    }
}

void attention_forget(struct preload_server *server, const struct connection *connection)
{
    if (server->attention.asker == connection) {
        server->attention.asker = NULL;
    }
}

/* Begins to wait for what comes next; what was waited for has come. */
static void begin(struct attention *attention)
{
    if (attention->expecting != ATTENTION_NONE) {
        vigil_ended(&attention->vigils[attention->expecting], true);
    }
    bool tries = (!has_box(attention->asker) || has_processor(attention)) &&
                 vigil_tries(&attention->vigils[attention->asked]);
    attention->expecting = tries ? attention->asked : ATTENTION_NONE;
    attention->asked = ATTENTION_NONE;
    attention->until = now_ns() + VIGIL_NS;
}

/* Looks into the asker's box for a while. */
static bool find_in_box(const struct attention *attention)
{
    const uint64_t end = now_ns() + GLANCE_NS;

    box_attend(attention->asker);
    while (!box_waits(attention->asker)) {
        if (now_ns() >= end) {
            return false;
        }
        box_pause();
    }
    return true;
}

bool preload_server_expects(struct preload_server *server)
{
    struct attention *attention = &server->attention;

    if (attention->asked == ATTENTION_NONE && attention->expecting == ATTENTION_NONE) {
        return false;
    }
    if (attention->asked != ATTENTION_NONE) {
        begin(attention);
    }
    bool found = attention->expecting != ATTENTION_NONE && has_box(attention->asker) &&
                 find_in_box(attention);
    if (!found && attention->expecting != ATTENTION_NONE && now_ns() >= attention->until) {
        vigil_ended(&attention->vigils[attention->expecting], false);
        attention->expecting = ATTENTION_NONE;
    }
    if (attention->expecting == ATTENTION_NONE && has_box(attention->asker)) {
        found = !box_ignore(attention->asker);
    }
    if (found) {
        connection_receive(attention->asker);
    }
    return found || attention->expecting != ATTENTION_NONE;
}
