#include "emulator/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/loader.h"
#include "usb-gadget/preload/protocol.h"

extern char **environ;

struct child {
    pid_t pid;
    const char *name;
    int hold;    /* a byte here lets the child go on; -1: it runs */
    int report;  /* from here comes why it does not run; ends when it does */
    int signals; /* signalfd */
    struct event *incoming;
    child_ended *ended;
    void *context;
    sigset_t mask_before;
    struct sigaction pipe_before, size_before, child_before;
};

/* Sent to us, they are meant for the child. What the terminal sends goes to its whole foreground
 * group and so has reached the child already. */
static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

static bool from_the_kernel(const struct signalfd_siginfo *info)
{
    return info->ssi_code == SI_KERNEL;
}

/* With job control the terminal stops the whole job; a child that stopped only itself must not
 * leave its caller waiting for a job that seems to run. Stopped by hand, it is the hand's
 * business. */
static void child_stopped(int signal)
{
    if (signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        raise(signal);
    }
}

static void reap(struct child *child)
{
    int status;
    while (child->pid > 0 && waitpid(child->pid, &status, WNOHANG | WUNTRACED) == child->pid) {
        if (WIFSTOPPED(status)) {
            child_stopped(WSTOPSIG(status));
            continue;
        }
        child->pid = 0;
        child->ended(child->context,
                     WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_BY_SIGNAL + WTERMSIG(status));
    }
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    struct child *child = context;
    struct signalfd_siginfo info;
    (void)what;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            reap(child);
        } else if (child->pid > 0 && info.ssi_signo == SIGCONT) {
            kill(child->pid, SIGCONT);
        } else if (child->pid > 0 && !from_the_kernel(&info)) {
            kill(child->pid, (int)info.ssi_signo);
        }
    }
}

static void set_action(int signal, void (*handler)(int), struct sigaction *before)
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, before);
}

struct child *child_new(struct event_base *base, child_ended *ended, void *context)
{
    struct child *child = calloc(1, sizeof *child);
    sigset_t watched;
    if (!child) {
        return NULL;
    }
    child->ended = ended;
    child->context = context;
    child->hold = child->report = -1;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGCONT);
    for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++) {
        sigaddset(&watched, forwarded[i]);
    }
    sigprocmask(SIG_BLOCK, &watched, &child->mask_before);
    /* A write that fails shall say so by its error. */
    set_action(SIGPIPE, SIG_IGN, &child->pipe_before);
    set_action(SIGXFSZ, SIG_IGN, &child->size_before);
    /* A caller that ignores SIGCHLD would take the exit code from us. */
    set_action(SIGCHLD, SIG_DFL, &child->child_before);
    child->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (child->signals >= 0) {
        child->incoming = event_new(base, child->signals, EV_READ | EV_PERSIST, on_signal, child);
    }
    if (!child->incoming || event_add(child->incoming, NULL) != 0) {
        child_free(child);
        return NULL;
    }
    return child;
}

static void close_pipe(int *end)
{
    if (*end >= 0) {
        close(*end);
    }
    *end = -1;
}

static void end_held(struct child *child)
{
    if (child->pid > 0 && child->hold >= 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        child->pid = 0;
    }
    close_pipe(&child->hold);
    close_pipe(&child->report);
}

void child_free(struct child *child)
{
    if (!child) {
        return;
    }
    end_held(child);
    if (child->incoming) {
        event_free(child->incoming);
    }
    if (child->signals >= 0) {
        close(child->signals);
    }
    free(child);
}

/* --- starting --- */

static size_t name_length(const char *variable)
{
    const char *equals = strchr(variable, '=');
    return equals ? (size_t)(equals - variable) : strlen(variable);
}

static bool is_replaced(const char *variable, const char *const *const environments[])
{
    size_t length = name_length(variable);
    for (; *environments; environments++) {
        for (const char *const *other = *environments; *other; other++) {
            if (name_length(*other) == length && strncmp(*other, variable, length) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* This process' environment with `environments` on top and room for one more, to be freed; the
 * strings stay theirs. */
static const char **merge(const char *const *const environments[])
{
    size_t count = 0, used = 0;
    for (char **variable = environ; *variable; variable++) {
        count++;
    }
    for (size_t i = 0; environments[i]; i++) {
        for (const char *const *variable = environments[i]; *variable; variable++) {
            count++;
        }
    }
    const char **merged = malloc((count + 2) * sizeof *merged);
    if (!merged) {
        return NULL;
    }
    for (char **variable = environ; *variable; variable++) {
        if (!is_replaced(*variable, environments)) {
            merged[used++] = *variable;
        }
    }
    for (size_t i = 0; environments[i]; i++) {
        for (const char *const *variable = environments[i]; *variable; variable++) {
            merged[used++] = *variable;
        }
    }
    merged[used] = NULL;
    return merged;
}

/* The child's ends of the pipes, and what it is to become. */
struct start {
    char **argv;
    const char **environment;
    const struct child_place *place;
    bool library; /* it may be held by the preload library */
    int hold, report;
};

/* Returns when the program may run, or when the library in it will see to that. */
static void hold(const struct start *start)
{
    static char variable[sizeof PRELOAD_HOLD_ENVIRONMENT + 16];
    const char **last = start->environment;
    char go;
    ssize_t n;
    if (start->library && loader_is_ours(start->argv[0])) {
        while (*last) {
            last++;
        }
        snprintf(variable, sizeof variable, PRELOAD_HOLD_ENVIRONMENT "=%d", start->hold);
        last[0] = variable;
        last[1] = NULL;
        fcntl(start->hold, F_SETFD, 0);
        return;
    }
    do {
        n = read(start->hold, &go, 1);
    } while (n < 0 && errno == EINTR);
    if (n != 1) {
        _exit(EXIT_ENVIRONMENT);
    }
}

/* In the child: never returns. Why not goes into the pipe. */
__attribute__((noreturn)) static void become(const struct child *child, const struct start *start)
{
    /* Only the parent's end says whether there still is one. */
    close(child->hold);
    if (start->place && !start->place->enter(start->place->context)) {
        _exit(EXIT_ENVIRONMENT);
    }
    sigaction(SIGPIPE, &child->pipe_before, NULL);
    sigaction(SIGXFSZ, &child->size_before, NULL);
    sigaction(SIGCHLD, &child->child_before, NULL);
    sigprocmask(SIG_SETMASK, &child->mask_before, NULL);
    hold(start);
    environ = (char **)start->environment;
    execvp(start->argv[0], start->argv);
    int why = errno;
    if (write(start->report, &why, sizeof why) < 0) {
        _exit(CHILD_NOT_EXECUTABLE);
    }
    _exit(CHILD_NOT_FOUND);
}

/* Both pipes, with the child's ends in `start`; false with errno. */
static bool open_pipes(struct child *child, struct start *start)
{
    int holding[2], reporting[2];
    if (pipe2(holding, O_CLOEXEC) != 0) {
        return false;
    }
    start->hold = holding[0];
    child->hold = holding[1];
    if (pipe2(reporting, O_CLOEXEC) != 0) {
        return false;
    }
    child->report = reporting[0];
    start->report = reporting[1];
    return true;
}

/* False with errno. */
static bool fork_child(struct child *child, struct start *start)
{
    bool done = start->environment && open_pipes(child, start);
    if (done) {
        child->pid = fork();
        if (child->pid == 0) {
            become(child, start);
        }
        done = child->pid > 0;
        /* The child may be kept waiting on this core for as long as this process works, but when it
         * executes its program the system looks for an idle one. */
        sched_yield();
    }
    int error = errno;
    close_pipe(&start->hold);
    close_pipe(&start->report);
    errno = error;
    return done;
}

bool child_start(struct child *child, char **argv, const char *const *const environments[],
                 const struct child_place *place, bool held, struct complaint *complaint)
{
    struct start start = {argv, merge(environments), place, held, -1, -1};
    child->name = argv[0];
    bool done = fork_child(child, &start);
    if (!done) {
        complain(complaint, "%s: cannot start: %s", argv[0], strerror(errno));
    }
    free(start.environment);
    return done && (!place || place->accept(place->context, child->pid, complaint));
}

/* --- letting it run --- */

/* 0 when the child runs its program, else errno. The pipe closes by itself when it does. */
static int await_program(struct child *child)
{
    int why = 0;
    ssize_t n;
    do {
        n = read(child->report, &why, sizeof why);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return 0;
    }
    waitpid(child->pid, NULL, 0);
    child->pid = 0;
    return why;
}

int child_release(struct child *child, struct complaint *complaint)
{
    /* One that has ended meanwhile does not read it, and is heard of in the event loop. */
    (void)!write(child->hold, "", 1);
    close_pipe(&child->hold);
    int why = await_program(child);
    close_pipe(&child->report);
    if (why == 0) {
        return 0;
    }
    complain(complaint, "%s: cannot run: %s", child->name, strerror(why));
    return why == ENOENT ? CHILD_NOT_FOUND : CHILD_NOT_EXECUTABLE;
}
