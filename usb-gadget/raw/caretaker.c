#include "usb-gadget/raw/caretaker.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "usb-gadget/preload/server.h"

static void pass_on(int listener)
{
    struct seccomp_notif notice = {0};

    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) == 0) {
        struct seccomp_notif_resp response = {.id = notice.id,
                                              .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}

static void stay(int listener)
{
    struct pollfd there = {.fd = listener, .events = POLLIN};

    while (!(there.revents & POLLHUP)) {
        if (poll(&there, 1, -1) == 1 && (there.revents & POLLIN)) {
            pass_on(listener);
        }
    }
}

/* Nothing of the run may hang on us: no pipe, no lock of a board's directory. */
static void close_all_but(int one, int other)
{
    const unsigned low = (unsigned)(one < other ? one : other);
    const unsigned high = (unsigned)(one < other ? other : one);

    (void)(low > 0 && close_range(0, low - 1, 0));
    (void)(high > low + 1 && close_range(low + 1, high - 1, 0));
    (void)close_range(high + 1, ~0U, 0);
}

void caretaker_start(int listener, struct preload_server *server)
{
    sigset_t none;
    pid_t caretaker = fork();

    if (caretaker != 0) {
        if (caretaker > 0) {
            preload_server_keep_files(server);
        }
        return;
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    (void)(chdir("/") == 0);
    close_all_but(listener, preload_server_files_lock(server));
    stay(listener);
    preload_server_remove_files(server);
    _exit(0);
}
