#include "emulator/clock.h"

#include <stdlib.h>
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

static struct clock_port *port_of(struct due *due)
{
    return (struct clock_port *)due; /* its first member */
}

static struct clock_port *port_at(const struct clock *clock, size_t index)
{
    return port_of(clock->queue.heap[index]);
}

void clock_free(struct clock *clock)
{
    for (size_t i = 0; i < clock->queue.count; i++) {
        free(clock->queue.heap[i]);
    }
    due_queue_free(&clock->queue);
}

static void touch(struct clock_port *port)
{
    if (!port->touched) {
        port->touched = true;
        port->touched_next = port->clock->touched;
        port->clock->touched = port;
    }
}

/* --- one board --- */

/* Board time of the next thing that clock_sync() would bring about. */
static uint64_t next_event(const struct board *board)
{
    uint64_t due = board->ops->next_deadline(board);
    uint64_t ready = board->ops->ready_at(board);
    return ready > board->now && ready < due ? ready : due;
}

/* From which wall time on board time runs along. */
static uint64_t pace_start(const struct clock *clock, const struct clock_port *port)
{
    uint64_t patience = clock->active_at + CLOCK_WARP_PATIENCE_NS;
    return clock->mode == TIME_WARP && patience > port->wall_at ? patience : port->wall_at;
}

/* Warp: silence counts towards one event. An event that was put off, as a timeout is by every byte,
 * is another one. */
static void be_silent(struct clock_port *port, uint64_t passed)
{
    uint64_t due = next_event(port->port->board);
    port->silence = due != BOARD_NEVER && due == port->awaited ? port->silence + passed : 0;
    port->awaited = due;
}

static void follow(struct clock *clock, struct clock_port *port, uint64_t wall)
{
    uint64_t start = pace_start(clock, port);
    uint64_t passed = wall > start ? wall - start : 0;
    uint64_t refill = CLOCK_JUMP_REFILL * (wall - port->wall_at);
    port->jumps =
        refill < CLOCK_JUMP_MAX_NS - port->jumps ? port->jumps + refill : CLOCK_JUMP_MAX_NS;
    if (clock->mode == TIME_WARP) {
        be_silent(port, passed);
    } else {
        board_advance_to(port->port->board, port->board_at + passed);
    }
    port->wall_at = wall;
    port->board_at = port->port->board->now;
}

static bool pauses(const struct board *board)
{
    return board->ops->pauses_until && board->ops->pauses_until(board) > board->now;
}

/* What a host would wait for. A pause in which the board serves USB is no such thing in warp, where
 * what comes next may be the client's. */
static uint64_t wait_ends(const struct clock *clock, const struct board *board)
{
    uint64_t ready = board->ops->ready_at(board);
    bool busy = ready > board->now;
    return !busy && clock->mode == TIME_FAST && pauses(board) ? board->ops->pauses_until(board)
                                                              : ready;
}

/* Time to jump over, or 0. */
static uint64_t jump_of(const struct clock *clock, const struct clock_port *port)
{
    const struct board *board = port->port->board;
    uint64_t end = clock->mode != TIME_REAL ? wait_ends(clock, board) : 0;
    return end != BOARD_NEVER && end > board->now && end - board->now <= port->jumps
               ? end - board->now
               : 0;
}

/* Lets a busy board finish, again and again, as far as the ration goes. */
static void jump(struct clock *clock, struct clock_port *port)
{
    struct board *board = port->port->board;
    for (uint64_t ns = jump_of(clock, port); ns > 0; ns = jump_of(clock, port)) {
        port->jumps -= ns;
        board_advance(board, ns);
    }
    port->board_at = board->now;
}

static void catch_up(struct clock_port *port)
{
    root_port_poll(port->port);
    root_port_run(port->port);
}

/* The host asks something of a board: it must not be in the past. */
static void before_use(void *context, struct root_port *used)
{
    struct clock_port *port = context;
    struct clock *clock = port->clock;
    uint64_t wall = wall_now(clock);
    (void)used;
    follow(clock, port, wall);
    touch(port);
    clock->active_at = wall;
}

/* Wall time of the next event. */
static uint64_t next_wall(const struct clock *clock, const struct clock_port *port)
{
    uint64_t due = next_event(port->port->board);
    uint64_t at = port->board_at + port->silence;
    if (due == BOARD_NEVER) {
        return BOARD_NEVER;
    }
    return pace_start(clock, port) + (due > at ? due - at : 0);
}

/* Grows with whatever a client of the port can notice: ended transfers, attach and detach. */
static uint64_t noticeable(const struct root_port *port)
{
    return port->generation + port->ended;
}

/* Warp: lets the events happen that clients have waited for, up to one that they can notice: what
 * they make of it comes before the next. */
static void wait_out(struct clock *clock, struct clock_port *port, uint64_t wall)
{
    struct board *board = port->port->board;
    uint64_t before = noticeable(port->port);
    be_silent(port, 0);
    while (port->awaited != BOARD_NEVER) {
        uint64_t away = port->awaited > board->now ? port->awaited - board->now : 1;
        if (away > port->silence) {
            break;
        }
        uint64_t left = port->silence - away;
        board_advance(board, away);
        jump(clock, port);
        catch_up(port);
        port->awaited = next_event(board);
        port->silence = left;
        if (noticeable(port->port) != before) {
            port->silence = 0;
            clock->active_at = wall;
            break;
        }
    }
}

static void bring_up(struct clock *clock, struct clock_port *port, uint64_t wall)
{
    follow(clock, port, wall);
    jump(clock, port);
    catch_up(port);
    if (clock->mode == TIME_WARP) {
        wait_out(clock, port, wall);
    }
    if (pauses(port->port->board) && jump_of(clock, port) > 0) {
        touch(port); /* the host has made room for what is printed behind the pause */
    }
    due_queue_move(&clock->queue, &port->due, next_wall(clock, port));
}

bool clock_add(struct clock *clock, struct root_port *root_port)
{
    struct clock_port *port = malloc(sizeof *port);
    if (!port) {
        return false;
    }
    *port = (struct clock_port){
        .due = {.at = BOARD_NEVER},
        .clock = clock,
        .port = root_port,
        .wall_at = wall_now(clock),
        .board_at = root_port->board->now,
        .jumps = CLOCK_JUMP_MAX_NS,
        .awaited = BOARD_NEVER,
    };
    if (!due_queue_add(&clock->queue, &port->due)) {
        free(port);
        return false;
    }
    touch(port);
    root_port->jump = clock->mode != TIME_REAL;
    root_port->on_use = before_use;
    root_port->on_use_context = port;
    return true;
}

/* --- all boards --- */

static void touch_all(struct clock *clock)
{
    for (size_t i = 0; i < clock->queue.count; i++) {
        touch(port_at(clock, i));
    }
}

void clock_sync(struct clock *clock)
{
    uint64_t wall = wall_now(clock);
    if (clock->mode == TIME_WARP) {
        touch_all(clock); /* a client's sleep puts every board's pace off */
    }
    for (struct due *due = due_queue_first(&clock->queue); due && due->at <= wall;
         due = due_queue_first(&clock->queue)) {
        touch(port_of(due));
        due_queue_move(&clock->queue, due, BOARD_NEVER);
    }
    /* Whoever is touched meanwhile may have been brought up already: that is for the next time. */
    struct clock_port *touched = clock->touched;
    clock->touched = NULL;
    while (touched) {
        struct clock_port *port = touched;
        touched = port->touched_next;
        port->touched = false;
        bring_up(clock, port, wall);
    }
}

void clock_sync_all(struct clock *clock)
{
    touch_all(clock);
    clock_sync(clock);
}

uint64_t clock_wait(const struct clock *clock)
{
    const struct due *first = due_queue_first(&clock->queue);
    if (clock->touched) {
        return 0;
    }
    if (!first || first->at == BOARD_NEVER) {
        return BOARD_NEVER;
    }
    uint64_t wall = wall_now(clock);
    return first->at > wall ? first->at - wall : 0;
}

void clock_touch(struct root_port *port)
{
    touch(port->on_use_context);
}

void clock_allow_jumps(struct root_port *root_port)
{
    struct clock_port *port = root_port->on_use_context;
    port->jumps = CLOCK_JUMP_MAX_NS;
    touch(port);
}

/* The longest step in which no board does anything before its end. */
static uint64_t longest_step(const struct clock *clock, uint64_t limit)
{
    for (size_t i = 0; i < clock->queue.count; i++) {
        const struct board *board = port_at(clock, i)->port->board;
        uint64_t due = next_event(board);
        uint64_t step = due > board->now ? due - board->now : 1;
        limit = due != BOARD_NEVER && step < limit ? step : limit;
    }
    return limit;
}

static bool step_all(struct clock *clock, uint64_t ns)
{
    bool happened = false;
    for (size_t i = 0; i < clock->queue.count; i++) {
        struct clock_port *port = port_at(clock, i);
        uint64_t before = noticeable(port->port);
        board_advance(port->port->board, ns);
        catch_up(port);
        port->board_at = port->port->board->now;
        happened = happened || noticeable(port->port) != before;
    }
    return happened;
}

uint64_t clock_advance(struct clock *clock, uint64_t ns, bool until_event)
{
    uint64_t moved = 0;
    clock->active_at = wall_now(clock);
    for (size_t i = 0; i < clock->queue.count; i++) {
        port_at(clock, i)->wall_at = clock->active_at;
        port_at(clock, i)->silence = 0;
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
