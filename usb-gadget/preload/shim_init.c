#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "usb-gadget/preload/passing.h"
#include "usb-gadget/preload/shim.h"

char shim_folder[PATH_MAX];
char shim_root[PATH_MAX];
size_t shim_root_length;
const _Atomic uint64_t *shim_clock;

enum state { STATE_UNKNOWN, STATE_INACTIVE, STATE_ACTIVE };

static _Atomic int state = STATE_UNKNOWN;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Leaves the clock as it is when the server has none. */
static void map_clock(void)
{
    char path[PATH_MAX + sizeof PRELOAD_CLOCK_NAME + 1];

    strcpy(path, shim_folder);
    strcat(path, "/" PRELOAD_CLOCK_NAME);
    int fd = (int)raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof *shim_clock, PROT_READ, MAP_SHARED, fd, 0);
        shim_clock = page != MAP_FAILED ? page : NULL;
        (void)raw(SYS_close, fd);
    }
}

static void start(void)
{
    const char *folder = getenv(PRELOAD_ENVIRONMENT);
    size_t length = folder != NULL ? strlen(folder) : 0;

    if (length == 0 || folder[0] != '/' ||
        length + sizeof PRELOAD_ROOT_NAME + 1 >= sizeof shim_root) {
        atomic_store(&state, STATE_INACTIVE);
        return;
    }
    memcpy(shim_folder, folder, length + 1);
    strcpy(shim_root, folder);
    strcat(shim_root, "/" PRELOAD_ROOT_NAME);
    shim_root_length = strlen(shim_root);
    if (getenv(PRELOAD_WARP_ENVIRONMENT) != NULL) {
        map_clock();
    }
    atomic_store(&state, STATE_ACTIVE);
}

bool shim_active(void)
{
    int now = atomic_load_explicit(&state, memory_order_acquire);

    if (now == STATE_UNKNOWN) {
        if (environ == NULL) {
            return false; /* before the C library knows its environment */
        }
        (void)pthread_once(&once, start);
        now = atomic_load_explicit(&state, memory_order_acquire);
    }
    return now == STATE_ACTIVE;
}

uint64_t shim_now_ns(void)
{
    struct timespec now;

    (void)SHIM_REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int shim_dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(shim_folder);

    if (length + sizeof PRELOAD_SOCKET_NAME + 1 > sizeof address.sun_path) {
        errno = ENODEV;
        return -1;
    }
    memcpy(address.sun_path, shim_folder, length);
    memcpy(address.sun_path + length, "/" PRELOAD_SOCKET_NAME, sizeof PRELOAD_SOCKET_NAME + 1);
    int fd = (int)raw(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        errno = -fd;
        return -1;
    }
    if (raw(SYS_connect, fd, &address, sizeof address) != 0) {
        (void)raw(SYS_close, fd);
        errno = ENODEV;
        return -1;
    }
    return fd;
}

/* --- one request --- */

static long send_request(int connection, struct preload_request *request, const void *out,
                         size_t out_size)
{
    struct iovec parts[2] = {{request, sizeof *request}, {(void *)out, out_size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = out_size > 0 ? 2 : 1};
    long sent;

    do {
        sent = raw(SYS_sendmsg, connection, &message, MSG_NOSIGNAL);
    } while (sent == -EINTR);
    return sent;
}

/* Stays awake for the reply, for a moment at most. */
static long receive(int connection, struct msghdr *message)
{
    static struct vigil vigil;
    long received = -EAGAIN;

    if (vigil_tries(&vigil)) {
        const uint64_t end = shim_now_ns() + VIGIL_NS;
        do {
            received = raw(SYS_recvmsg, connection, message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        } while (received == -EAGAIN && shim_now_ns() < end);
        vigil_ended(&vigil, received != -EAGAIN);
    }
    while (received == -EAGAIN || received == -EINTR) {
        received = raw(SYS_recvmsg, connection, message, MSG_CMSG_CLOEXEC);
    }
    return received;
}

int shim_exchange(int connection, struct preload_request *request, const void *out, size_t out_size,
                  void *in, size_t *in_size, int *passed)
{
    struct preload_reply reply;
    union passing passing;
    struct iovec parts[2] = {{&reply, sizeof reply}, {in, in_size != NULL ? *in_size : 0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    long received;

    if (send_request(connection, request, out, out_size) < 0) {
        return -ENODEV;
    }
    if (passed != NULL) {
        passing_expect(&message, &passing);
    }
    received = receive(connection, &message);
    if (received < (long)sizeof reply) {
        return -ENODEV;
    }
    if (in_size != NULL) {
        *in_size = (size_t)received - sizeof reply;
    }
    if (passed != NULL) {
        *passed = passing_take(&message);
    }
    return reply.result != 0 ? reply.result : (int)reply.actual;
}
