/* Warp: sleeping passes at once and moves the boards' time. Only waits with a limit move it; a
 * thread that waits for ever, as libusb's hotplug thread does, would run it away. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define NS_PER_S   UINT64_C(1000000000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_US  UINT64_C(1000)
#define TIMERS_MAX 16
/* How long to wait for a timer that was told to fire at once. */
#define FIRE_WAIT_MS 20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Timer descriptors that are armed, with their time on the shifted monotonic clock. */
static struct {
    int fd;
    uint64_t due; /* 0: unused */
} timers[TIMERS_MAX];
static _Atomic int timers_used;

static bool warps(void)
{
    return shim_active() && shim_clock != NULL;
}

static uint64_t offset(void)
{
    return atomic_load_explicit(shim_clock, memory_order_acquire);
}

static uint64_t to_ns(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* --- reading clocks --- */

static bool is_shifted(clockid_t clock)
{
    return clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID && clock >= 0;
}

SHIM_EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = SHIM_REAL(clock_gettime)(clock, out);

    if (result == 0 && warps() && is_shifted(clock)) {
        *out = to_timespec(to_ns(out) + offset());
    }
    return result;
}

SHIM_EXPORT int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    int result = SHIM_REAL(gettimeofday)(out, zone);

    if (result == 0 && out != NULL && warps()) {
        uint64_t us = (uint64_t)out->tv_usec + offset() / NS_PER_US;
        out->tv_sec += (time_t)(us / 1000000);
        out->tv_usec = (suseconds_t)(us % 1000000);
    }
    return result;
}

SHIM_EXPORT time_t time(time_t *out)
{
    struct timespec now;

    if (!warps()) {
        return SHIM_REAL(time)(out);
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

static uint64_t monotonic_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return to_ns(&now);
}

/* --- moving the clock --- */

/* Moves time; false when there is no server any more. */
static bool advance(uint16_t operation, uint64_t ns, uint64_t *moved)
{
    struct preload_request hello = {.operation = PRELOAD_CLOCK,
                                    .version = PRELOAD_PROTOCOL_VERSION};
    struct preload_request request = {.operation = operation, .tag = ns};
    size_t size = sizeof *moved;
    int result = -ENODEV;

    shim_watch_forks();
    pthread_mutex_lock(&lock);
    if (shim_clock_connection < 0) {
        int connection = shim_dial();
        if (connection >= 0 && shim_exchange(connection, &hello, NULL, 0, NULL, NULL, NULL) >= 0) {
            shim_clock_connection = shim_hide(connection);
        } else if (connection >= 0) {
            (void)raw(SYS_close, connection);
        }
    }
    if (shim_clock_connection >= 0) {
        result = shim_exchange(shim_clock_connection, &request, NULL, 0, moved, &size, NULL);
    }
    pthread_mutex_unlock(&lock);
    return result >= 0 && size == sizeof *moved;
}

static bool sleep_through(uint64_t ns)
{
    uint64_t moved;
    int error = errno;
    bool slept = warps() && advance(PRELOAD_ADVANCE, ns, &moved);

    errno = error;
    return slept;
}

static bool is_valid(const struct timespec *time)
{
    return time != NULL && time->tv_sec >= 0 && time->tv_nsec >= 0 &&
           time->tv_nsec < (long)NS_PER_S;
}

SHIM_EXPORT int nanosleep(const struct timespec *time, struct timespec *left)
{
    if (!is_valid(time) || !sleep_through(to_ns(time))) {
        return SHIM_REAL(nanosleep)(time, left);
    }
    if (left != NULL) {
        *left = (struct timespec){0};
    }
    return 0;
}

SHIM_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                                struct timespec *left)
{
    struct timespec now;
    uint64_t ns;

    if (!warps() || !is_valid(time) || !is_shifted(clock)) {
        return SHIM_REAL(clock_nanosleep)(clock, flags, time, left);
    }
    ns = to_ns(time);
    if (flags & TIMER_ABSTIME) {
        (void)clock_gettime(clock, &now);
        ns = ns > to_ns(&now) ? ns - to_ns(&now) : 0;
    }
    if (!sleep_through(ns)) {
        return SHIM_REAL(clock_nanosleep)(clock, flags, time, left);
    }
    if (left != NULL && !(flags & TIMER_ABSTIME)) {
        *left = (struct timespec){0};
    }
    return 0;
}

SHIM_EXPORT int usleep(useconds_t us)
{
    return sleep_through(us * NS_PER_US) ? 0 : SHIM_REAL(usleep)(us);
}

SHIM_EXPORT unsigned sleep(unsigned seconds)
{
    return sleep_through(seconds * NS_PER_S) ? 0 : SHIM_REAL(sleep)(seconds);
}

/* --- timer descriptors --- */

static void note_timer(int fd, uint64_t due)
{
    pthread_mutex_lock(&lock);
    size_t place = TIMERS_MAX;
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        bool same = timers[i].due != 0 && timers[i].fd == fd;
        place = same || (timers[i].due == 0 && place == TIMERS_MAX) ? i : place;
    }
    if (place < TIMERS_MAX && (due != 0 || timers[place].fd == fd)) {
        timers_used += (due != 0) - (timers[place].due != 0);
        timers[place].fd = fd;
        timers[place].due = due;
    }
    pthread_mutex_unlock(&lock);
}

/* Absolute times are meant on the shifted clock. */
SHIM_EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value,
                                struct itimerspec *old)
{
    struct itimerspec shifted, left;

    if (!warps() || value == NULL) {
        return (int)raw_errno(SYS_timerfd_settime, fd, flags, value, old);
    }
    shifted = *value;
    if ((flags & TFD_TIMER_ABSTIME) && to_ns(&value->it_value) != 0) {
        uint64_t at = to_ns(&value->it_value);
        shifted.it_value = to_timespec(at > offset() ? at - offset() : 1);
    }
    int result = (int)raw_errno(SYS_timerfd_settime, fd, flags, &shifted, old);
    if (result == 0 && raw(SYS_timerfd_gettime, fd, &left) == 0) {
        uint64_t rest = to_ns(&left.it_value);
        note_timer(fd, rest != 0 ? monotonic_now() + rest : 0);
    }
    return result;
}

/* When the first armed timer among the descriptors is due, or UINT64_MAX. */
static uint64_t first_timer(const struct pollfd *fds, nfds_t count)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; timers_used > 0 && i < TIMERS_MAX; i++) {
        for (nfds_t j = 0; timers[i].due != 0 && j < count; j++) {
            if (fds[j].fd == timers[i].fd && timers[i].due < first) {
                first = timers[i].due;
            }
        }
    }
    return first;
}

/* Lets the timers fire whose time has come; whether there were any. */
static bool fire_timers(void)
{
    const struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    uint64_t now = monotonic_now();
    bool fired = false;

    for (size_t i = 0; i < TIMERS_MAX; i++) {
        if (timers[i].due != 0 && timers[i].due <= now) {
            fired = raw(SYS_timerfd_settime, timers[i].fd, 0, &at_once, NULL) == 0 || fired;
            note_timer(timers[i].fd, 0);
        }
    }
    return fired;
}

/* --- waiting with a limit --- */

/* What a program waits for: the real call with a limit of `ms`. */
struct wait {
    int (*look)(struct wait *wait, int ms);
    struct pollfd *fds;
    nfds_t count;
    const sigset_t *mask;
    int highest;
    fd_set *sets[3];
    fd_set asked[3];
};

/* Moves time until something is ready or `ns` have passed. False when the real call must wait. */
static bool wait_for(struct wait *wait, uint64_t ns, int *result)
{
    uint64_t moved = 0;
    bool fired = false;

    *result = wait->look(wait, 0);
    if (*result != 0) {
        return true;
    }
    if (!advance(PRELOAD_ADVANCE_POLL, 0, &moved)) {
        return false;
    }
    for (;;) {
        *result = wait->look(wait, fired ? FIRE_WAIT_MS : 0);
        if (*result != 0 || ns == 0) {
            return true;
        }
        uint64_t due = first_timer(wait->fds, wait->count), now = monotonic_now();
        uint64_t step = due > now ? due - now : 1;
        step = step < ns ? step : ns;
        if (!advance(PRELOAD_ADVANCE_POLL, step, &moved) || moved == 0) {
            return false;
        }
        ns -= moved < ns ? moved : ns;
        fired = fire_timers();
    }
}

static int look_with_poll(struct wait *wait, int ms)
{
    const struct timespec limit = to_timespec((uint64_t)ms * NS_PER_MS);

    return SHIM_REAL(ppoll)(wait->fds, wait->count, &limit, wait->mask);
}

SHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct wait wait = {.look = look_with_poll, .fds = fds, .count = count};
    int result;

    shim_before_poll();
    if (timeout <= 0 || !warps() || !wait_for(&wait, (uint64_t)timeout * NS_PER_MS, &result)) {
        return SHIM_REAL(poll)(fds, count, timeout);
    }
    return result;
}

SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                      const sigset_t *mask)
{
    struct wait wait = {.look = look_with_poll, .fds = fds, .count = count, .mask = mask};
    int result;

    shim_before_poll();
    if (!warps() || !is_valid(timeout) || to_ns(timeout) == 0 ||
        !wait_for(&wait, to_ns(timeout), &result)) {
        return SHIM_REAL(ppoll)(fds, count, timeout, mask);
    }
    return result;
}

SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
    if (room / sizeof *fds < count) {
        abort();
    }
    return poll(fds, count, timeout);
}

SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                            const sigset_t *mask, size_t room)
{
    if (room / sizeof *fds < count) {
        abort();
    }
    return ppoll(fds, count, timeout, mask);
}

static int look_with_select(struct wait *wait, int ms)
{
    const struct timespec limit = to_timespec((uint64_t)ms * NS_PER_MS);

    for (size_t i = 0; i < 3; i++) {
        if (wait->sets[i] != NULL) {
            *wait->sets[i] = wait->asked[i];
        }
    }
    return SHIM_REAL(pselect)(wait->highest, wait->sets[0], wait->sets[1], wait->sets[2], &limit,
                              wait->mask);
}

/* False when the real call must wait, with the sets as they were. */
static bool wait_with_select(int highest, fd_set *sets[3], uint64_t ns, const sigset_t *mask,
                             int *result)
{
    struct wait wait = {.look = look_with_select,
                        .mask = mask,
                        .highest = highest,
                        .sets = {sets[0], sets[1], sets[2]}};

    for (size_t i = 0; i < 3; i++) {
        if (sets[i] != NULL) {
            wait.asked[i] = *sets[i];
        }
    }
    if (wait_for(&wait, ns, result)) {
        return true;
    }
    for (size_t i = 0; i < 3; i++) {
        if (sets[i] != NULL) {
            *sets[i] = wait.asked[i];
        }
    }
    return false;
}

SHIM_EXPORT int select(int highest, fd_set *restrict in, fd_set *restrict out,
                       fd_set *restrict other, struct timeval *restrict timeout)
{
    fd_set *sets[3] = {in, out, other};
    int result;

    shim_before_poll();
    if (!warps() || timeout == NULL || timeout->tv_sec < 0 ||
        (timeout->tv_sec == 0 && timeout->tv_usec <= 0)) {
        return SHIM_REAL(select)(highest, in, out, other, timeout);
    }
    uint64_t ns = (uint64_t)timeout->tv_sec * NS_PER_S + (uint64_t)timeout->tv_usec * NS_PER_US;
    if (!wait_with_select(highest, sets, ns, NULL, &result)) {
        return SHIM_REAL(select)(highest, in, out, other, timeout);
    }
    return result;
}

SHIM_EXPORT int pselect(int highest, fd_set *restrict in, fd_set *restrict out,
                        fd_set *restrict other, const struct timespec *restrict timeout,
                        const sigset_t *restrict mask)
{
    fd_set *sets[3] = {in, out, other};
    int result;

    shim_before_poll();
    if (!warps() || !is_valid(timeout) || to_ns(timeout) == 0 ||
        !wait_with_select(highest, sets, to_ns(timeout), mask, &result)) {
        return SHIM_REAL(pselect)(highest, in, out, other, timeout, mask);
    }
    return result;
}
