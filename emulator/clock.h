/*
 * The time of the boards of a run: who moves it, and by how much.
 *
 *   real   board time follows the wall clock
 *   fast   the same, but it jumps over whatever a busy board would make the host wait for
 *   warp   it moves by what the clients sleep (clock_advance), and jumps like fast. How long a
 *          client takes over its own work moves nothing, so that a slow machine makes the same
 *          trace as a fast one. Only when a client has been silent for a while and then for as long
 *          as the board's next event is away does that event happen, and time is then the event's:
 *          a client that waits without a limit is not left waiting
 *
 * Jumps that nobody asked for are rationed: a board in an endless reset loop soon runs at the pace
 * of a real one and costs no CPU time to speak of.
 *
 * A board that nobody touches and that has nothing to do costs nothing: it is brought to the
 * present when something of its own falls due, or when a host or a finger reaches it.
 */
#ifndef VPHOTON_CLOCK_H
#define VPHOTON_CLOCK_H

#include "emulator/due_queue.h"
#include "usb-gadget/root_port.h"

enum time_mode { TIME_REAL, TIME_FAST, TIME_WARP };

/* Jumps allowed at once, and what each second of wall time adds to them. */
#define CLOCK_JUMP_MAX_NS (30 * BOARD_NS_PER_S)
#define CLOCK_JUMP_REFILL 4
/* Warp: a client that does nothing for longer is taken to wait for the board. */
#define CLOCK_WARP_PATIENCE_NS (100 * BOARD_NS_PER_MS)

struct clock;

/* One board. */
struct clock_port {
    struct due due; /* wall time of its own next event; first member */
    struct clock *clock;
    struct root_port *port;
    uint64_t wall_at; /* wall time at which board time was `board_at` */
    uint64_t board_at;
    uint64_t jumps;   /* board time that may still be jumped over, ns */
    uint64_t silence; /* warp: how long clients have waited for the event at `awaited` */
    uint64_t awaited; /* board time */
    bool touched;     /* is in the list of those */
    struct clock_port *touched_next;
};

struct clock {
    enum time_mode mode;
    uint64_t (*wall)(void *context); /* any clock in ns that never goes back */
    void *wall_context;
    uint64_t active_at;         /* warp: wall time of the last thing a client did */
    struct due_queue queue;     /* every board */
    struct clock_port *touched; /* boards whose next event may be another one now */
};

/* False when the name is none of "real", "fast", "warp". */
bool clock_mode_parse(const char *name, enum time_mode *mode);
const char *clock_mode_name(enum time_mode mode);

/* `wall` NULL takes the machine's monotonic clock. */
void clock_init(struct clock *clock, enum time_mode mode, uint64_t (*wall)(void *context),
                void *context);
void clock_free(struct clock *clock);
/* The clock moves this port's board from now on. False when memory is short. */
bool clock_add(struct clock *clock, struct root_port *port);

/* Brings every board to the present for which something is due or that was touched, and its port
 * up to date. */
void clock_sync(struct clock *clock);
/* The same for every board, for those who look at them. */
void clock_sync_all(struct clock *clock);
/* Wall time from now until clock_sync() is needed, in ns; BOARD_NEVER when nothing is due. */
uint64_t clock_wait(const struct clock *clock);
/* Something that is no host's request reached a board of this clock. */
void clock_touch(struct root_port *port);
/* Gives all jumps of a board back: somebody touched a pin and wants to see what comes of it. */
void clock_allow_jumps(struct root_port *port);
/* Moves every board by `ns`; with `until_event` no further than to where a transfer completed or a
 * board attached or detached. Returns the time moved. */
uint64_t clock_advance(struct clock *clock, uint64_t ns, bool until_event);

#endif
