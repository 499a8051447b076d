/* The whole program and real tools, against the same tools with a device in their own process. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"
#include "tests/bench/null_tree.h"

#define START_RUNS    51
#define TRANSFER_RUNS 11
#define DOWNLOAD_RUNS 25

/* The environment that puts a null device into a program. */
static const char *const null_device[] = {"env", "LD_PRELOAD=" BENCH_NULL_USBFS,
                                          "NULL_USBFS_ROOT=" BENCH_NULL_TREE,
                                          "SYSTEMD_DEVICE_VERIFY_SYSFS=0", NULL};
static const char *const board[] = {BENCH_VPHOTON, "run", "--", NULL};
/* The bootloader of 1.5.0 asks for no pauses between requests. Before 0.7.0 it asks for 50 ms each,
 * six seconds for this file, which dfu-util sleeps unless its time warps. */
static const char *const board_in_dfu[] = {BENCH_VPHOTON, "run", "--dfu", "--release",
                                           "1.5.0",       "--",  NULL};
/* The same with no library in the command. */
static const char *const raw[] = {BENCH_VPHOTON, "run", "--raw", "--", NULL};
static const char *const raw_in_dfu[] = {BENCH_VPHOTON, "run",   "--raw", "--dfu",
                                         "--release",   "1.5.0", "--",    NULL};
static const char *const board_in_warp[] = {BENCH_VPHOTON, "run",  "--dfu", "--release", "0.5.2",
                                            "--time",      "warp", "--",    NULL};
static const char *const running_board[] = {BENCH_VPHOTON, "run", "--release", "2.2.0", "--", NULL};
/* It waits a millisecond after each character. */
static const char *const slow_board[] = {BENCH_VPHOTON, "run", "--release", "0.4.4", "--", NULL};
static const char *const nothing[] = {NULL};

static const char *const do_nothing[] = {"true", NULL};
static const char *const round_trip[] = {BENCH_ROUND_TRIP, NULL};
static const char *const ask_console[] = {BENCH_SERIAL_CLIENT, NULL};
static const char *const send_part1[] = {BENCH_SERIAL_CLIENT, BENCH_PART1_2_2, NULL};
static const char *const download[] = {"dfu-util", "-d",         "2b04:d006", "-a",        "0",
                                       "-s",       "0x08020000", "-D",        BENCH_PART1, NULL};

struct command {
    const char *const *under, *const *what;
    char output[64]; /* the beginning of its standard output */
};

#define WORDS_MAX 32

static void words(const struct command *command, const char *argv[WORDS_MAX])
{
    size_t count = 0;

    for (const char *const *word = command->under; *word != NULL; word++) {
        argv[count++] = *word;
    }
    for (const char *const *word = command->what; *word != NULL; word++) {
        argv[count++] = *word;
    }
    argv[count] = NULL;
}

/* Reads to the end, so that the command never waits for us; keeps the beginning. */
static void read_output(int fd, struct command *command)
{
    char chunk[4096];
    size_t kept = 0;
    ssize_t got;

    while ((got = read(fd, chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR)) {
        size_t room = sizeof command->output - 1 - kept;
        size_t take = got < 0 ? 0 : (size_t)got < room ? (size_t)got : room;
        memcpy(command->output + kept, chunk, take);
        kept += take;
    }
    command->output[kept] = '\0';
}

static bool run(void *context)
{
    extern char **environ;
    struct command *command = context;
    const char *argv[WORDS_MAX];
    posix_spawn_file_actions_t actions;
    int pipes[2], status = -1;
    pid_t child;

    words(command, argv);
    if (pipe(pipes) != 0) {
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    posix_spawn_file_actions_addclose(&actions, pipes[1]);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (error == 0) {
        read_output(pipes[0], command);
        waitpid(child, &status, 0);
    }
    close(pipes[0]);
    return error == 0 && status == 0;
}

static void wall_time_row(const char *title, unsigned runs, const char *const *under,
                          const char *const *null, const char *const *what, enum measure_goal goal,
                          double reach)
{
    struct command commands[2] = {{.under = under, .what = what}, {.under = null, .what = what}};
    double seconds[2];

    measure_pair(title, runs, CLOCK_OF_WALL, run, (void *[]){&commands[0], &commands[1]}, seconds);
    measure_print(
        &(struct measure_row){title, "ms", seconds[0] * 1e3, seconds[1] * 1e3, goal, reach});
}

/* What the client measured, the least of its runs: it may have been put aside now and then. */
static double least_microseconds(const char *title, const char *const *under,
                                 const char *const *what)
{
    struct command command = {.under = under, .what = what};
    double least = 0;

    for (unsigned i = 0; i < TRANSFER_RUNS; i++) {
        if (!run(&command)) {
            measure_fail(title, "the client failed");
        }
        double found = strtod(command.output, NULL);
        least = i == 0 || found < least ? found : least;
    }
    return least;
}

static void serial_row(const char *title, const char *const *under, const char *const *client,
                       double reach)
{
    measure_print(&(struct measure_row){.work = title,
                                        .unit = "ms",
                                        .measured = least_microseconds(title, under, client) * 1e-3,
                                        .goal = GOAL_AT_MOST,
                                        .reach = reach});
}

static void transfer_row(const char *title, const char *const *under, double reach)
{
    measure_print(&(struct measure_row){title, "us", least_microseconds(title, under, round_trip),
                                        least_microseconds(title, null_device, round_trip),
                                        GOAL_AT_MOST, reach});
}

static void raw_rows(void)
{
    if (!run(&(struct command){.under = raw, .what = do_nothing})) {
        printf("(no rows for --raw: this machine forbids it)\n");
        return;
    }
    wall_time_row("vphoton run --raw -- true (null: true)", START_RUNS, raw, nothing, do_nothing,
                  GOAL_AT_MOST, 15);
    transfer_row("control transfer through --raw", raw_in_dfu, 92);
    wall_time_row("dfu-util download of part1, --raw, 1.5.0", DOWNLOAD_RUNS, raw_in_dfu,
                  null_device, download, GOAL_RATIO_AT_MOST, 6);
}

int main(void)
{
    if (access(BENCH_PART1, R_OK) != 0) {
        measure_fail("bench_program",
                     "no " BENCH_PART1 "; fixtures/fetch.sh build/firmware brings it");
    }
    if ((mkdir(BENCH_NULL_TREE, 0755) != 0 && errno != EEXIST) ||
        !null_tree_make(BENCH_NULL_TREE)) {
        measure_fail("bench_program", "cannot make " BENCH_NULL_TREE);
    }
    measure_heading();
    wall_time_row("vphoton run -- true (null: true)", START_RUNS, board, nothing, do_nothing,
                  GOAL_AT_MOST, 5);
    transfer_row("control transfer through preload", board_in_dfu, 15);
    wall_time_row("dfu-util download of part1, fast, 1.5.0", DOWNLOAD_RUNS, board_in_dfu,
                  null_device, download, GOAL_RATIO_AT_MOST, 3);
    wall_time_row("dfu-util download of part1, warp, 0.5.2", DOWNLOAD_RUNS, board_in_warp,
                  null_device, download, GOAL_RATIO_AT_MOST, 3);
    serial_row("YMODEM of part1, own sender, fast, 2.2.0", running_board, send_part1, 500);
    serial_row("console reply to s, through preload, 2.2.0", running_board, ask_console, 1);
    serial_row("console reply to s, through preload, 0.4.4", slow_board, ask_console, 1);
    raw_rows();
    return 0;
}
