#include "emulator/clock.h"

#include <string.h>
#include <time.h>

static const char *const mode_names[] = {
    [TIME_REAL] = "real", [TIME_FAST] = "fast", [TIME_WARP] = "warp"};

bool clock_mode_parse(const char *name, enum time_mode *mode)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
        if (strcmp(name, mode_names[i]) == 0) {
            *mode = (enum time_mode)i;
            return true;
        }
    }
    return false;
}

const char *clock_mode_name(enum time_mode mode)
{
    return mode_names[mode];
}

static uint64_t monotonic(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * BOARD_NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t wall_now(const struct clock *clock)
{
    return clock->wall(clock->wall_context);
}

void clock_init(struct clock *clock, enum time_mode mode, uint64_t (*wall)(void *context),
                void *context)
{
    *clock = (struct clock){.mode = mode, .wall = wall ? wall : monotonic, .wall_context = context};
    clock->active_at = wall_now(clock);
}

/* --- one board --- */

/* From which wall time on board time runs along. */
static uint64_t pace_start(const struct clock *clock, const struct clock_port *port)
{
    uint64_t patience = clock->active_at + CLOCK_WARP_PATIENCE_NS;
    return clock->mode == TIME_WARP && patience > port->wall_at ? patience : port->wall_at;
}

static void follow(struct clock *clock, struct clock_port *port, uint64_t wall)
{
    uint64_t start = pace_start(clock, port);
    uint64_t passed = wall > start ? wall - start : 0;
    uint64_t refill = CLOCK_JUMP_REFILL * (wall - port->wall_at);
    port->jumps =
        refill < CLOCK_JUMP_MAX_NS - port->jumps ? port->jumps + refill : CLOCK_JUMP_MAX_NS;
    board_advance_to(port->port->board, port->board_at + passed);
    port->wall_at = wall;
    port->board_at = port->port->board->now;
}

/* Lets a busy board finish, again and again, as far as the ration goes. */
static void jump(struct clock *clock, struct clock_port *port)
{
    struct board *board = port->port->board;
    while (clock->mode != TIME_REAL) {
        uint64_t ready = board->ops->ready_at(board);
        if (ready == BOARD_NEVER || ready <= board->now || ready - board->now > port->jumps) {
            break;
        }
        port->jumps -= ready - board->now;
        board_advance_to(board, ready);
    }
    port->board_at = board->now;
}

static void catch_up(struct clock_port *port)
{
    root_port_poll(port->port);
    root_port_run(port->port);
}

/* The host asks something of a board: it must not be in the past. */
static void before_use(void *context, struct root_port *port)
{
    struct clock *clock = context;
    uint64_t wall = wall_now(clock);
    for (size_t i = 0; i < clock->count; i++) {
        if (clock->ports[i].port == port) {
            follow(clock, &clock->ports[i], wall);
        }
    }
    clock->active_at = wall;
}

bool clock_add(struct clock *clock, struct root_port *port)
{
    if (clock->count == CLOCK_PORTS_MAX) {
        return false;
    }
    clock->ports[clock->count++] = (struct clock_port){
        .port = port,
        .wall_at = wall_now(clock),
        .board_at = port->board->now,
        .jumps = CLOCK_JUMP_MAX_NS,
    };
    port->jump = clock->mode != TIME_REAL;
    port->on_use = before_use;
    port->on_use_context = clock;
    return true;
}

/* --- all boards --- */

void clock_sync(struct clock *clock)
{
    uint64_t wall = wall_now(clock);
    for (size_t i = 0; i < clock->count; i++) {
        follow(clock, &clock->ports[i], wall);
        jump(clock, &clock->ports[i]);
        catch_up(&clock->ports[i]);
    }
}

/* Board time of the next thing that clock_sync() would bring about. */
static uint64_t next_event(const struct board *board)
{
    uint64_t due = board->ops->next_deadline(board);
    uint64_t ready = board->ops->ready_at(board);
    return ready > board->now && ready < due ? ready : due;
}

uint64_t clock_wait(const struct clock *clock)
{
    uint64_t wall = wall_now(clock), least = BOARD_NEVER;
    for (size_t i = 0; i < clock->count; i++) {
        const struct clock_port *port = &clock->ports[i];
        uint64_t due = next_event(port->port->board);
        if (due == BOARD_NEVER) {
            continue;
        }
        uint64_t at = pace_start(clock, port) + (due > port->board_at ? due - port->board_at : 0);
        uint64_t wait = at > wall ? at - wall : 0;
        least = wait < least ? wait : least;
    }
    return least;
}

void clock_allow_jumps(struct clock *clock)
{
    for (size_t i = 0; i < clock->count; i++) {
        clock->ports[i].jumps = CLOCK_JUMP_MAX_NS;
    }
}

/* The longest step in which no board does anything before its end. */
static uint64_t longest_step(const struct clock *clock, uint64_t limit)
{
    for (size_t i = 0; i < clock->count; i++) {
        const struct board *board = clock->ports[i].port->board;
        uint64_t due = next_event(board);
        uint64_t step = due > board->now ? due - board->now : 1;
        limit = due != BOARD_NEVER && step < limit ? step : limit;
    }
    return limit;
}

static bool step_all(struct clock *clock, uint64_t ns)
{
    bool happened = false;
    for (size_t i = 0; i < clock->count; i++) {
        struct clock_port *port = &clock->ports[i];
        uint64_t generation = port->port->generation;
        uint64_t ended = port->port->ended;
        board_advance(port->port->board, ns);
        catch_up(port);
        port->board_at = port->port->board->now;
        happened = happened || port->port->generation != generation || port->port->ended != ended;
    }
    return happened;
}

uint64_t clock_advance(struct clock *clock, uint64_t ns, bool until_event)
{
    uint64_t moved = 0;
    clock->active_at = wall_now(clock);
    for (size_t i = 0; i < clock->count; i++) {
        clock->ports[i].wall_at = clock->active_at;
    }
    while (moved < ns) {
        uint64_t step = longest_step(clock, ns - moved);
        moved += step;
        if (step_all(clock, step) && until_event) {
            break;
        }
    }
    return moved;
}
