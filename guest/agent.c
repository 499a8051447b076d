/*
 * The first process of the guest: carries out the commands that the host sends over a virtio-serial
 * port, one at a time, and hands back what they print on both outputs and how they end. Static, so
 * that it needs nothing of the guest.
 *
 * A frame is a header of eight bytes and a payload: the type, three zero bytes, the payload's
 * length (32 bits, little-endian). guest/machine.py has the other end.
 *
 *   to the guest    RUN      the words of a command, each with its NUL
 *                   INPUT    for the command's standard input; empty: that was all
 *                   KILL     one byte: the signal for the command and those it started
 *                   PING     any bytes
 *   to the host     OUT ERR  what the command printed
 *                   EXIT     32 bits, little-endian: its exit code, 128 + N after signal N
 *                   PONG     the bytes of a PING
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEADER = 8, PAYLOAD_MAX = 256 * 1024, CHUNK = 32 * 1024, WORDS_MAX = 4096 };
enum {
    RUN = 'R',
    INPUT = 'I',
    KILL = 'K',
    PING = 'P',
    OUT = 'o',
    ERR = 'e',
    EXIT = 'x',
    PONG = 'p'
};

enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127, BY_SIGNAL = 128 };
/* How long to leave a port alone that has nobody at its other end. */
enum { NOBODY_MS = 20 };

struct agent {
    int port, signals;
    bool alone; /* nobody at the other end of the port */
    uint8_t frame[HEADER + PAYLOAD_MAX];
    size_t filled;
    pid_t command;                /* 0: none runs */
    int input, outputs[2];        /* ends of its pipes; -1: closed */
    uint8_t waiting[PAYLOAD_MAX]; /* input that the command has not taken yet */
    size_t waits, taken;
    bool ends; /* the input ends behind what waits */
};

__attribute__((noreturn)) static void give_up(const char *what)
{
    fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t little(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_little(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

/* --- to the host --- */

static void write_all(struct agent *agent, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(agent->port, bytes, size);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            give_up("writing to the host");
        }
        if (n < 0) {
            struct pollfd room = {.fd = agent->port, .events = POLLOUT};
            poll(&room, 1, NOBODY_MS);
            continue;
        }
        bytes += n;
        size -= (size_t)n;
    }
}

static void send_frame(struct agent *agent, int type, const uint8_t *payload, size_t size)
{
    uint8_t frame[HEADER + CHUNK] = {(uint8_t)type};
    put_little(frame + 4, (uint32_t)size);
    memcpy(frame + HEADER, payload, size);
    write_all(agent, frame, HEADER + size);
}

static void send_exit(struct agent *agent, int code)
{
    uint8_t bytes[4];
    put_little(bytes, (uint32_t)code);
    send_frame(agent, EXIT, bytes, sizeof bytes);
}

/* --- the command --- */

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Hands on what the command printed; false when there is nothing more for now. */
static bool hand_on(struct agent *agent, int which)
{
    uint8_t chunk[CHUNK];
    if (agent->outputs[which] < 0) {
        return false;
    }
    ssize_t n = read(agent->outputs[which], chunk, sizeof chunk);
    if (n > 0) {
        send_frame(agent, which == 0 ? OUT : ERR, chunk, (size_t)n);
    } else if (n == 0) {
        close_end(&agent->outputs[which]);
    }
    return n > 0;
}

static void command_ended(struct agent *agent, int status)
{
    /* What it left behind may still hold the pipes open, so their end is no sign. */
    for (int which = 0; which < 2; which++) {
        while (hand_on(agent, which)) {
        }
        close_end(&agent->outputs[which]);
    }
    close_end(&agent->input);
    agent->command = 0;
    send_exit(agent, WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL + WTERMSIG(status));
}

static void reap(struct agent *agent)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    while (read(agent->signals, &info, sizeof info) > 0) {
    }
    /* Of orphans too: this is the first process. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == agent->command) {
            command_ended(agent, status);
        }
    }
}

static void feed(struct agent *agent)
{
    if (agent->input >= 0 && agent->waits > agent->taken) {
        ssize_t n = write(agent->input, agent->waiting + agent->taken, agent->waits - agent->taken);
        if (n > 0) {
            agent->taken += (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            close_end(&agent->input);
        }
    }
    if (agent->input < 0 || agent->taken == agent->waits) {
        agent->taken = agent->waits = 0;
        if (agent->ends) {
            close_end(&agent->input);
        }
    }
}

__attribute__((noreturn)) static void become(char **words, const int pipes[3][2])
{
    sigset_t none;
    setpgid(0, 0);
    dup2(pipes[0][0], STDIN_FILENO);
    dup2(pipes[1][1], STDOUT_FILENO);
    dup2(pipes[2][1], STDERR_FILENO);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(words[0], words);
    dprintf(STDERR_FILENO, "%s: cannot run: %s\n", words[0], strerror(errno));
    _exit(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

static void start(struct agent *agent, char **words)
{
    int pipes[3][2];
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) != 0) {
            give_up("making a pipe");
        }
    }
    agent->command = fork();
    if (agent->command < 0) {
        give_up("starting a command");
    }
    if (agent->command == 0) {
        become(words, pipes);
    }
    setpgid(agent->command, agent->command);
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    agent->input = pipes[0][1];
    agent->outputs[0] = pipes[1][0];
    agent->outputs[1] = pipes[2][0];
    fcntl(agent->input, F_SETFL, O_NONBLOCK);
    fcntl(agent->outputs[0], F_SETFL, O_NONBLOCK);
    fcntl(agent->outputs[1], F_SETFL, O_NONBLOCK);
    agent->waits = agent->taken = 0;
    agent->ends = false;
}

/* --- from the host --- */

static void run(struct agent *agent, char *payload, size_t size)
{
    char *words[WORDS_MAX + 1];
    size_t count = 0;
    if (agent->command != 0 || size == 0 || payload[size - 1] != '\0') {
        send_exit(agent, NOT_EXECUTABLE);
        return;
    }
    for (size_t at = 0; at < size && count < WORDS_MAX; at += strlen(payload + at) + 1) {
        words[count++] = payload + at;
    }
    words[count] = NULL;
    start(agent, words);
}

static void take_frame(struct agent *agent, int type, uint8_t *payload, size_t size)
{
    switch (type) {
    case RUN:
        run(agent, (char *)payload, size);
        break;
    case INPUT:
        memcpy(agent->waiting, payload, size);
        agent->waits = size;
        agent->ends = size == 0;
        feed(agent);
        break;
    case KILL:
        if (agent->command > 0 && size == 1) {
            kill(-agent->command, payload[0]);
        }
        break;
    case PING:
        send_frame(agent, PONG, payload, size < CHUNK ? size : CHUNK);
        break;
    default:
        errno = EPROTO;
        give_up("a frame of the host");
    }
}

/* Frames that are whole, while the command has taken all its input. */
static void take_frames(struct agent *agent)
{
    while (agent->filled >= HEADER && agent->waits == 0) {
        size_t size = little(agent->frame + 4);
        if (size > PAYLOAD_MAX) {
            errno = EMSGSIZE;
            give_up("a frame of the host");
        }
        if (agent->filled < HEADER + size) {
            return;
        }
        take_frame(agent, agent->frame[0], agent->frame + HEADER, size);
        agent->filled -= HEADER + size;
        memmove(agent->frame, agent->frame + HEADER + size, agent->filled);
    }
}

static void listen_to_host(struct agent *agent)
{
    ssize_t n =
        read(agent->port, agent->frame + agent->filled, sizeof agent->frame - agent->filled);
    agent->alone = n == 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        give_up("reading from the host");
    }
    agent->filled += n > 0 ? (size_t)n : 0;
}

static void serve(struct agent *agent)
{
    enum { SIGNALS, FIRST_OUT, FIRST_ERR, FEED, PORT, COUNT };
    bool hungry = agent->waits > 0;
    struct pollfd watched[COUNT] = {
        [SIGNALS] = {.fd = agent->signals, .events = POLLIN},
        [FIRST_OUT] = {.fd = agent->outputs[0], .events = POLLIN},
        [FIRST_ERR] = {.fd = agent->outputs[1], .events = POLLIN},
        [FEED] = {.fd = hungry ? agent->input : -1, .events = POLLOUT},
        [PORT] = {.fd = hungry || agent->alone ? -1 : agent->port, .events = POLLIN},
    };
    poll(watched, COUNT, agent->alone ? NOBODY_MS : -1);
    if (watched[FIRST_OUT].revents) {
        hand_on(agent, 0);
    }
    if (watched[FIRST_ERR].revents) {
        hand_on(agent, 1);
    }
    if (watched[SIGNALS].revents) {
        reap(agent);
    }
    if (hungry) {
        feed(agent);
    }
    if (watched[PORT].revents || agent->alone) {
        listen_to_host(agent);
    }
    take_frames(agent);
}

int main(int argc, char **argv)
{
    static struct agent agent;
    sigset_t children;
    if (argc != 2) {
        fprintf(stderr, "usage: agent PORT\n");
        return 2;
    }
    agent.input = agent.outputs[0] = agent.outputs[1] = -1;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    agent.signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    agent.port = open(argv[1], O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (agent.port < 0 || agent.signals < 0) {
        give_up(argv[1]);
    }
    for (;;) {
        serve(&agent);
    }
}
