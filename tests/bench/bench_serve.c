/* What `vphoton serve` costs with a thousand boards that nobody uses. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define BOARDS "1000"
/* The one that writes most to its flash when it starts. */
#define RELEASE "2.2.0"
/* A thousand boards make a thousand keys when they start. */
#define START_SECONDS 300
#define IDLE_SECONDS  5

struct daemon {
    pid_t pid;
    int ready;
};

static void start(struct daemon *daemon)
{
    extern char **environ;
    char *const argv[] = {BENCH_VPHOTON, "serve",       "-n",         BOARDS, "-r", RELEASE,
                          "--usbip",     "127.0.0.1:0", "--ready-fd", "3",    NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2];

    if (pipe(pipes) != 0) {
        measure_fail("serve", "no pipe");
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 3);
    int error = posix_spawn(&daemon->pid, BENCH_VPHOTON, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    daemon->ready = pipes[0];
    if (error != 0) {
        measure_fail("serve", "cannot start " BENCH_VPHOTON);
    }
}

static void await_ready(const struct daemon *daemon)
{
    struct pollfd one = {.fd = daemon->ready, .events = POLLIN};
    char byte = 0;

    if (poll(&one, 1, START_SECONDS * 1000) != 1 || read(daemon->ready, &byte, 1) != 1) {
        kill(daemon->pid, SIGKILL);
        measure_fail("serve", "it does not get ready");
    }
}

/* The rest of a line of /proc/PID/FILE that begins so; "" is the first line. */
static void read_line(pid_t pid, const char *name, const char *begin, char line[512])
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    FILE *file = fopen(path, "r");
    line[0] = '\0';
    while (file != NULL && fgets(line, 512, file) != NULL &&
           strncmp(line, begin, strlen(begin)) != 0) {
    }
    if (file == NULL || line[0] == '\0') {
        measure_fail("serve", path);
    }
    fclose(file);
    memmove(line, line + strlen(begin), strlen(line + strlen(begin)) + 1);
}

static double resident_mb(pid_t pid)
{
    char line[512];

    read_line(pid, "status", "VmRSS:", line);
    return strtod(line, NULL) * 1024 / 1e6;
}

/* utime and stime, the 14th and 15th word, in ms. */
static double processor_ms(pid_t pid)
{
    char line[512], *at = line;
    double ticks = 0;

    read_line(pid, "stat", "", line);
    for (unsigned word = 1; word <= 15 && at != NULL; word++) {
        ticks += word >= 14 ? strtod(at, NULL) : 0;
        at = strchr(at, ' ');
        at += at != NULL;
    }
    return ticks * 1000 / (double)sysconf(_SC_CLK_TCK);
}

int main(void)
{
    struct daemon daemon;

    start(&daemon);
    await_ready(&daemon);
    double before = processor_ms(daemon.pid);
    (void)poll(NULL, 0, IDLE_SECONDS * 1000);
    double used = processor_ms(daemon.pid) - before;
    double memory = resident_mb(daemon.pid);
    kill(daemon.pid, SIGTERM);
    waitpid(daemon.pid, NULL, 0);
    close(daemon.ready);

    measure_heading();
    measure_print(&(struct measure_row){"memory of serve with 1000 idle boards", "MB", memory, 0,
                                        GOAL_AT_MOST, 100});
    measure_print(&(struct measure_row){"their CPU time in 5 s", "ms", used, 0, GOAL_AT_MOST, 10});
    return 0;
}
