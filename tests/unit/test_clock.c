/*
 * Time modes against a scripted board and a scripted wall clock.
 */
#include "emulator/clock.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MS BOARD_NS_PER_MS
#define S  BOARD_NS_PER_S

/* --- a board that is busy until a time, attaches at one, and may loop for ever --- */

struct fake {
    struct board board;
    uint64_t busy_until;
    uint64_t pause; /* up to here it waits for time alone */
    uint64_t attach_at;
    uint64_t deadline; /* not 0: something that no host notices */
    uint64_t period;   /* not 0: busy again for so long whenever it was ready */
    uint64_t turns;
    bool on;
};

static void fake_advance(struct board *board, uint64_t ns)
{
    struct fake *fake = (struct fake *)board;
    board->now += ns;
    if (!fake->on && board->now >= fake->attach_at) {
        fake->on = true;
        board->attaches++;
    }
    while (fake->period && fake->busy_until <= board->now) {
        fake->busy_until += fake->period;
        fake->turns++;
    }
}

static uint64_t fake_next_deadline(const struct board *board)
{
    const struct fake *fake = (const struct fake *)board;
    uint64_t attaches = fake->on ? BOARD_NEVER : fake->attach_at;
    return fake->deadline > board->now && fake->deadline < attaches ? fake->deadline : attaches;
}

static uint64_t fake_ready_at(const struct board *board)
{
    const struct fake *fake = (const struct fake *)board;
    return fake->busy_until > board->now ? fake->busy_until : board->now;
}

static uint64_t fake_pauses_until(const struct board *board)
{
    const struct fake *fake = (const struct fake *)board;
    return fake->pause > board->now ? fake->pause : board->now;
}

static bool fake_attached(const struct board *board)
{
    return ((const struct fake *)board)->on;
}

static enum usb_handshake fake_in(struct board *board, uint8_t endpoint, void *data, size_t *length)
{
    (void)endpoint;
    (void)data;
    *length = 0;
    return fake_ready_at(board) > board->now ? USB_NAK : USB_ACK;
}

static const struct board_ops fake_ops = {
    .advance = fake_advance,
    .next_deadline = fake_next_deadline,
    .ready_at = fake_ready_at,
    .pauses_until = fake_pauses_until,
    .attached = fake_attached,
    .in = fake_in,
};

static uint64_t wall;

static uint64_t fake_wall(void *context)
{
    (void)context;
    return wall;
}

static struct fake fake;
static struct root_port port;
static struct clock clock_;

/* An attached, idle board in this mode, at wall time 1000 s. */
static void begin(enum time_mode mode)
{
    wall = 1000 * S;
    fake = (struct fake){.board = {.ops = &fake_ops}, .on = true, .attach_at = BOARD_NEVER};
    root_port_init(&port, &fake.board, false);
    clock_free(&clock_);
    clock_init(&clock_, mode, fake_wall, NULL);
    ck_assert(clock_add(&clock_, &port));
}

static unsigned completed;

static void count_completion(struct transfer *transfer)
{
    (void)transfer;
    completed++;
}

static struct transfer bulk_in = {
    .type = TRANSFER_BULK, .endpoint = 0x81, .complete = count_completion};

/* --- real and fast --- */

START_TEST(test_board_time_follows_the_wall_clock)
{
    begin(_i);
    wall += 5 * S;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 5 * S);
    wall += 7 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 5 * S + 7 * MS);
}
END_TEST

START_TEST(test_a_request_finds_the_board_in_the_present)
{
    begin(_i);
    wall += 250 * MS;
    root_port_submit(&port, &bulk_in);
    ck_assert_uint_eq(fake.board.now, 250 * MS);
}
END_TEST

START_TEST(test_real_waits_for_a_busy_board)
{
    begin(TIME_REAL);
    fake.busy_until = 1000 * MS;
    completed = 0;
    root_port_submit(&port, &bulk_in);
    clock_sync_all(&clock_);
    ck_assert_uint_eq(completed, 0);
    ck_assert_uint_eq(clock_wait(&clock_), 1000 * MS);
    wall += 999 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(completed, 0);
    ck_assert_uint_eq(clock_wait(&clock_), 1 * MS);
    wall += 1 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(completed, 1);
}
END_TEST

START_TEST(test_fast_jumps_over_a_busy_board)
{
    begin(TIME_FAST);
    fake.busy_until = 1000 * MS;
    completed = 0;
    root_port_submit(&port, &bulk_in);
    ck_assert_uint_eq(completed, 1);
    ck_assert_uint_eq(fake.board.now, 1000 * MS);
}
END_TEST

/* In warp the client may do something in the pause, and must always find the same. */
START_TEST(test_only_fast_jumps_over_pauses)
{
    begin(_i);
    fake.pause = 40 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, _i == TIME_FAST ? 40 * MS : 0);
}
END_TEST

START_TEST(test_fast_jumps_over_a_boot)
{
    begin(TIME_FAST);
    fake.on = false;
    fake.busy_until = fake.attach_at = 3 * S;
    root_port_init(&port, &fake.board, true);
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 3 * S);
    ck_assert(root_port_attached(&port));
}
END_TEST

/* An idle board's timer is nothing that makes a host wait. */
START_TEST(test_fast_does_not_jump_to_an_idle_boards_timer)
{
    begin(TIME_FAST);
    fake.on = false;
    fake.attach_at = 500 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 0);
    ck_assert_uint_eq(clock_wait(&clock_), 500 * MS);
}
END_TEST

START_TEST(test_after_a_jump_time_goes_on_at_its_pace)
{
    begin(TIME_FAST);
    fake.busy_until = 2 * S;
    clock_sync_all(&clock_);
    wall += 10 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 2 * S + 10 * MS);
}
END_TEST

START_TEST(test_an_endless_loop_soon_runs_at_a_real_ones_pace)
{
    begin(TIME_FAST);
    fake.period = 70 * MS;
    fake.busy_until = 70 * MS;
    for (int i = 0; i < 10000; i++) {
        wall += 1 * MS;
        clock_sync_all(&clock_);
    }
    /* 10 s of wall time: its own pace, 30 s at once, and 4 s a second. */
    ck_assert_uint_le(fake.turns, (10 + 30 + 40) * S / (70 * MS) + 1);
    ck_assert_uint_ge(fake.turns, 10 * S / (70 * MS));
}
END_TEST

START_TEST(test_touching_a_pin_gives_the_jumps_back)
{
    begin(TIME_FAST);
    fake.busy_until = 29 * S;
    clock_sync_all(&clock_);
    fake.busy_until = 40 * S;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 29 * S);
    clock_allow_jumps(&port);
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 40 * S);
}
END_TEST

START_TEST(test_nothing_due_needs_no_waking)
{
    begin(_i);
    clock_sync(&clock_);
    ck_assert_uint_eq(clock_wait(&clock_), BOARD_NEVER);
}
END_TEST

/* --- many boards --- */

#define MANY 1000

/* Boards that are idle, and one that does something each second, cost what the one costs. */
START_TEST(test_idle_boards_are_left_alone)
{
    static struct fake many[MANY];
    static struct root_port ports[MANY];
    static struct clock crowd;

    wall = 1000 * S;
    clock_init(&crowd, _i, fake_wall, NULL);
    for (size_t i = 0; i < MANY; i++) {
        many[i] = (struct fake){.board = {.ops = &fake_ops}, .on = true, .attach_at = BOARD_NEVER};
        root_port_init(&ports[i], &many[i].board, false);
        ck_assert(clock_add(&crowd, &ports[i]));
    }
    many[500].on = false;
    many[500].attach_at = 3 * S;
    clock_sync(&crowd);
    ck_assert_uint_eq(clock_wait(&crowd), 3 * S);
    wall += 1 * S;
    clock_sync(&crowd);
    wall += 2 * S;
    clock_sync(&crowd);
    ck_assert(root_port_attached(&ports[500]));
    ck_assert_uint_eq(many[500].board.now, 3 * S);
    ck_assert_uint_eq(many[0].board.now, 0);
    ck_assert_uint_eq(clock_wait(&crowd), BOARD_NEVER);

    root_port_submit(&ports[0], &bulk_in);
    ck_assert_uint_eq(many[0].board.now, 3 * S);
    ck_assert_uint_eq(clock_wait(&crowd), 0);
    clock_sync(&crowd);
    ck_assert_uint_eq(clock_wait(&crowd), BOARD_NEVER);
    clock_sync_all(&crowd);
    ck_assert_uint_eq(many[1].board.now, 3 * S);
    clock_free(&crowd);
}
END_TEST

/* A finger makes a board do something sooner than it was going to. */
START_TEST(test_a_touched_board_is_looked_at_again)
{
    begin(_i);
    fake.on = false;
    fake.attach_at = 60 * S;
    clock_sync(&clock_);
    ck_assert_uint_eq(clock_wait(&clock_), 60 * S);
    fake.attach_at = 2 * S;
    clock_touch(&port);
    ck_assert_uint_eq(clock_wait(&clock_), 0);
    clock_sync(&clock_);
    ck_assert_uint_eq(clock_wait(&clock_), 2 * S);
}
END_TEST

/* --- warp --- */

START_TEST(test_warp_moves_by_what_clients_sleep)
{
    begin(TIME_WARP);
    ck_assert_uint_eq(clock_advance(&clock_, 3 * S, false), 3 * S);
    ck_assert_uint_eq(fake.board.now, 3 * S);
    wall += 50 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 3 * S);
}
END_TEST

START_TEST(test_warp_stops_where_a_board_attaches)
{
    begin(TIME_WARP);
    fake.on = false;
    fake.attach_at = 500 * MS;
    root_port_init(&port, &fake.board, true);
    ck_assert_uint_eq(clock_advance(&clock_, 3 * S, true), 500 * MS);
    ck_assert(root_port_attached(&port));
    ck_assert_uint_eq(clock_advance(&clock_, 3 * S, true), 3 * S);
}
END_TEST

START_TEST(test_warp_stops_where_a_transfer_completes)
{
    begin(TIME_WARP);
    port.jump = false;
    fake.busy_until = 80 * MS;
    completed = 0;
    root_port_submit(&port, &bulk_in);
    ck_assert_uint_eq(completed, 0);
    ck_assert_uint_eq(clock_advance(&clock_, 3 * S, true), 80 * MS);
    ck_assert_uint_eq(completed, 1);
}
END_TEST

/* As on a machine that has better things to do than to run the client. */
START_TEST(test_warp_does_not_care_how_long_a_client_thinks)
{
    begin(TIME_WARP);
    for (int i = 0; i < 10; i++) {
        wall += 5 * S;
        clock_sync_all(&clock_);
        root_port_submit(&port, &bulk_in);
        clock_sync(&clock_);
    }
    ck_assert_uint_eq(fake.board.now, 0);
    ck_assert_uint_eq(clock_wait(&clock_), BOARD_NEVER);
}
END_TEST

START_TEST(test_warp_does_not_go_half_the_way_to_an_event)
{
    begin(TIME_WARP);
    fake.on = false;
    fake.attach_at = 500 * MS;
    clock_sync(&clock_);
    wall += 599 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 0);
    ck_assert_uint_eq(clock_wait(&clock_), 1 * MS);
    wall += 300 * MS; /* the server is late, too */
    clock_sync(&clock_);
    ck_assert(root_port_attached(&port));
    ck_assert_uint_eq(fake.board.now, 500 * MS);
}
END_TEST

/* A timeout that each byte puts off does not run down because all bytes together were slow. */
START_TEST(test_warp_starts_to_wait_anew_for_an_event_that_was_put_off)
{
    begin(TIME_WARP);
    fake.on = false;
    fake.attach_at = 500 * MS;
    clock_sync(&clock_);
    for (int i = 0; i < 10; i++) {
        wall += 550 * MS;
        fake.attach_at++;
        clock_sync_all(&clock_);
    }
    ck_assert_uint_eq(fake.board.now, 0);
    ck_assert_uint_eq(clock_wait(&clock_), 500 * MS + 10);
}
END_TEST

/* It sleeps elsewhere than warp can see, and looks at the board between. */
START_TEST(test_warp_adds_the_silence_of_a_client_that_polls)
{
    begin(TIME_WARP);
    fake.deadline = 500 * MS;
    clock_sync(&clock_);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(fake.board.now, 0);
        wall += 200 * MS;
        root_port_submit(&port, &bulk_in);
        clock_sync(&clock_);
    }
    ck_assert_uint_eq(fake.board.now, 500 * MS);
}
END_TEST

/* The second event is what a client may still prevent that has heard of the first. */
START_TEST(test_warp_lets_a_client_react_before_the_next_event)
{
    begin(TIME_WARP);
    fake.on = false;
    fake.attach_at = 500 * MS;
    fake.deadline = 510 * MS;
    clock_sync(&clock_);
    wall += 2 * S;
    clock_sync(&clock_);
    ck_assert_uint_eq(fake.board.now, 500 * MS);
    ck_assert_uint_eq(clock_wait(&clock_), 110 * MS);
    wall += 110 * MS;
    clock_sync(&clock_);
    ck_assert_uint_eq(fake.board.now, 510 * MS);
}
END_TEST

START_TEST(test_warp_counts_no_silence_before_a_sleep)
{
    begin(TIME_WARP);
    fake.deadline = 500 * MS;
    clock_sync(&clock_);
    wall += 550 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(clock_advance(&clock_, 100 * MS, false), 100 * MS);
    clock_sync(&clock_);
    ck_assert_uint_eq(clock_wait(&clock_), 500 * MS);
}
END_TEST

START_TEST(test_warp_brings_the_event_that_a_silent_client_waits_for)
{
    begin(TIME_WARP);
    fake.on = false;
    fake.attach_at = 200 * MS;
    clock_sync(&clock_);
    ck_assert_uint_eq(clock_wait(&clock_), 300 * MS);
    wall += 300 * MS;
    clock_sync_all(&clock_);
    ck_assert_uint_eq(fake.board.now, 200 * MS);
}
END_TEST

START_TEST(test_modes_have_names)
{
    enum time_mode mode = TIME_REAL;
    ck_assert(clock_mode_parse("warp", &mode));
    ck_assert_int_eq(mode, TIME_WARP);
    ck_assert_str_eq(clock_mode_name(TIME_FAST), "fast");
    ck_assert(!clock_mode_parse("slow", &mode));
    ck_assert(!clock_mode_parse("", &mode));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tests = tcase_create("modes");
    tcase_add_loop_test(tests, test_board_time_follows_the_wall_clock, TIME_REAL, TIME_FAST + 1);
    tcase_add_loop_test(tests, test_a_request_finds_the_board_in_the_present, TIME_REAL,
                        TIME_FAST + 1);
    tcase_add_test(tests, test_real_waits_for_a_busy_board);
    tcase_add_test(tests, test_fast_jumps_over_a_busy_board);
    tcase_add_loop_test(tests, test_only_fast_jumps_over_pauses, TIME_REAL, TIME_WARP + 1);
    tcase_add_test(tests, test_fast_jumps_over_a_boot);
    tcase_add_test(tests, test_fast_does_not_jump_to_an_idle_boards_timer);
    tcase_add_test(tests, test_after_a_jump_time_goes_on_at_its_pace);
    tcase_add_test(tests, test_an_endless_loop_soon_runs_at_a_real_ones_pace);
    tcase_add_test(tests, test_touching_a_pin_gives_the_jumps_back);
    tcase_add_loop_test(tests, test_idle_boards_are_left_alone, TIME_REAL, TIME_FAST + 1);
    tcase_add_loop_test(tests, test_a_touched_board_is_looked_at_again, TIME_REAL, TIME_FAST + 1);
    tcase_add_loop_test(tests, test_nothing_due_needs_no_waking, TIME_REAL, TIME_WARP + 1);
    tcase_add_test(tests, test_warp_moves_by_what_clients_sleep);
    tcase_add_test(tests, test_warp_stops_where_a_board_attaches);
    tcase_add_test(tests, test_warp_stops_where_a_transfer_completes);
    tcase_add_test(tests, test_warp_does_not_care_how_long_a_client_thinks);
    tcase_add_test(tests, test_warp_does_not_go_half_the_way_to_an_event);
    tcase_add_test(tests, test_warp_starts_to_wait_anew_for_an_event_that_was_put_off);
    tcase_add_test(tests, test_warp_adds_the_silence_of_a_client_that_polls);
    tcase_add_test(tests, test_warp_lets_a_client_react_before_the_next_event);
    tcase_add_test(tests, test_warp_counts_no_silence_before_a_sleep);
    tcase_add_test(tests, test_warp_brings_the_event_that_a_silent_client_waits_for);
    tcase_add_test(tests, test_modes_have_names);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
