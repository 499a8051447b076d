/*
 * client_usbfs CASE [ARGUMENT]: talks to the first Photon in DFU mode through its device node as
 * the kernel's interface is documented, and says what is not as expected.
 */
#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS    200
#define OPENS     500
#define THREADS   4
#define IN_FLIGHT 8

/* GETSTATUS of a bootloader in dfuIDLE. */
static const uint8_t idle_status[6] = {0, 0, 0, 0, 2, 0};

static const char *what_case;
static uint8_t product_high = 0xD0; /* of the Photon to find: 2b04:d006, or c006 when it runs */

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s, line %d: not so: %s (errno %d, %s)\n", what_case, __LINE__,       \
                    #condition, errno, strerror(errno));                                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Under --raw no library stands before the C library's functions: an open node is a socket for all
 * that is no usbfs request, and its path is a file. */
static int by_library(void)
{
    const char *folder = getenv("VPHOTON_PRELOAD");

    return folder != NULL && folder[0] != '\0';
}

/* The node of the first Photon; its number in `*number`. */
static void find(char *path, size_t size, unsigned *number)
{
    for (unsigned i = 2; i < 128; i++) {
        uint8_t descriptor[18];
        snprintf(path, size, "/dev/bus/usb/001/%03u", i);
        int fd = open(path, O_RDONLY);
        if (fd < 0) {
            continue;
        }
        ssize_t length = read(fd, descriptor, sizeof descriptor);
        close(fd);
        if (length == sizeof descriptor && descriptor[8] == 0x04 && descriptor[9] == 0x2B &&
            descriptor[10] == 0x06 && descriptor[11] == product_high) {
            *number = i;
            return;
        }
    }
    EXPECT(!"a Photon");
}

static int open_photon(int flags)
{
    char path[64];
    unsigned number;

    find(path, sizeof path, &number);
    int fd = open(path, flags);
    EXPECT(fd >= 0);
    return fd;
}

static int get_status(int fd, uint8_t status[6])
{
    struct usbdevfs_ctrltransfer transfer = {0xA1, 3, 0, 0, 6, 1000, status};

    return ioctl(fd, USBDEVFS_CONTROL, &transfer);
}

static void expect_idle(int fd)
{
    uint8_t status[6] = {0};

    EXPECT(get_status(fd, status) == 6);
    EXPECT(memcmp(status, idle_status, sizeof status) == 0);
}

struct urb {
    struct usbdevfs_urb urb;
    uint8_t buffer[8 + 64];
};

/* GETSTATUS, or a request that the bootloader never answers. */
static void make_urb(struct urb *urb, int answered)
{
    const uint8_t setup[8] = {answered ? 0xA1 : 0xC1, 3, 0, 0, 0, 0, 6, 0};

    memset(urb, 0, sizeof *urb);
    urb->urb.type = USBDEVFS_URB_TYPE_CONTROL;
    urb->urb.buffer = urb->buffer;
    urb->urb.buffer_length = 8 + 6;
    urb->urb.usercontext = urb;
    urb->urb.status = 1;
    memcpy(urb->buffer, setup, sizeof setup);
}

static struct urb *reap(int fd)
{
    struct usbdevfs_urb *done = NULL;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    EXPECT(poll(&ready, 1, 5000) == 1);
    if (ioctl(fd, USBDEVFS_REAPURBNDELAY, &done) != 0) {
        EXPECT(errno == EAGAIN);
        return NULL;
    }
    return done->usercontext;
}

static struct urb *reap_one(int fd)
{
    struct urb *urb = NULL;

    while (urb == NULL) {
        urb = reap(fd);
    }
    return urb;
}

static void claim(int fd)
{
    unsigned interface = 0;

    EXPECT(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface) == 0);
}

static int claim_fails(int fd)
{
    unsigned interface = 0;

    return ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface) == 0 ? 0 : errno;
}

/* --- cases --- */

static void node(const char *argument)
{
    char path[64];
    unsigned number;
    struct stat status;
    uint8_t all[64], part[9];
    struct usbdevfs_connectinfo info;
    uint32_t capabilities = 0;

    (void)argument;
    find(path, sizeof path, &number);
    EXPECT(stat(path, &status) == 0);
    EXPECT(!by_library() || S_ISCHR(status.st_mode));
    EXPECT(!by_library() || status.st_rdev == makedev(189, number - 1));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    EXPECT(fd >= 0);
    EXPECT(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    EXPECT(fstat(fd, &status) == 0);
    EXPECT(!by_library() || S_ISCHR(status.st_mode));
    EXPECT(!by_library() || status.st_rdev == makedev(189, number - 1));
    EXPECT(read(fd, all, sizeof all) == 18 + 36);
    EXPECT(all[0] == 18 && all[18 + 2] == 36);
    EXPECT(read(fd, all, sizeof all) == 0);
    if (by_library()) {
        EXPECT(lseek(fd, 18, SEEK_SET) == 18);
        EXPECT(read(fd, part, sizeof part) == sizeof part);
        EXPECT(memcmp(part, all + 18, sizeof part) == 0 && part[2] == 36);
        EXPECT(pread(fd, part, 4, 0) == 4 && part[0] == 18 && part[1] == 1);
    }
    EXPECT(ioctl(fd, USBDEVFS_CONNECTINFO, &info) == 0 && info.devnum == number);
    EXPECT(ioctl(fd, USBDEVFS_GET_CAPABILITIES, &capabilities) == 0);
    EXPECT(capabilities & USBDEVFS_CAP_REAP_AFTER_DISCONNECT);
    EXPECT(ioctl(fd, USBDEVFS_GET_SPEED) == 2);
    EXPECT(ioctl(fd, _IO('U', 99)) == -1 && errno == ENOTTY);
    EXPECT(close(fd) == 0);
    fd = open(path, O_RDONLY);
    EXPECT(fd >= 0 && claim_fails(fd) == EPERM);
    snprintf(path, sizeof path, "/dev/bus/usb/001/%03u", 126u);
    EXPECT(open(path, O_RDWR) == -1 && errno == ENOENT);
}

static void claims(const char *argument)
{
    int first = open_photon(O_RDWR), second = open_photon(O_RDWR);
    struct usbdevfs_getdriver driver = {0};
    unsigned absent = 7;

    (void)argument;
    EXPECT(ioctl(first, USBDEVFS_GETDRIVER, &driver) == -1 && errno == ENODATA);
    claim(first);
    claim(first);
    EXPECT(claim_fails(second) == EBUSY);
    EXPECT(ioctl(second, USBDEVFS_GETDRIVER, &driver) == 0);
    EXPECT(strcmp(driver.driver, "usbfs") == 0);
    EXPECT(ioctl(second, USBDEVFS_RELEASEINTERFACE, &driver.interface) == -1 && errno == EINVAL);
    EXPECT(get_status(second, (uint8_t[6]){0}) == -1 && errno == EBUSY);
    EXPECT(ioctl(second, USBDEVFS_CLAIMINTERFACE, &absent) == -1 && errno == ENOENT);
    FILE *stream = fdopen(first, "r+");
    EXPECT(stream != NULL && fclose(stream) == 0); /* closes behind everybody's back */
    claim(second);
    expect_idle(second);
    first = open_photon(O_RDWR);
    EXPECT(claim_fails(first) == EBUSY);
    int copy = dup(second);
    EXPECT(copy >= 0 && close(second) == 0);
    EXPECT(claim_fails(first) == EBUSY); /* the copy keeps it */
    expect_idle(copy);
    EXPECT(close(copy) == 0);
    claim(first);
}

/* Nothing more has ended, and poll sleeps. It may wake up for nothing, when replies overtook what
 * makes the node ready: as often as there were some in flight. How often it did. */
static int expect_nothing_ended(int fd, int in_flight)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    struct usbdevfs_urb *none;
    int woken = 0;

    do {
        EXPECT(ioctl(fd, USBDEVFS_REAPURBNDELAY, &none) == -1 && errno == EAGAIN);
    } while (poll(&ready, 1, 0) != 0 && woken++ < in_flight);
    EXPECT(woken <= in_flight);
    return woken;
}

static int disconnect_claim(int fd, unsigned flags, const char *driver)
{
    struct usbdevfs_disconnect_claim what = {.interface = 0, .flags = flags};

    strncpy(what.driver, driver, sizeof what.driver - 1);
    return ioctl(fd, USBDEVFS_DISCONNECT_CLAIM, &what) == 0 ? 0 : errno;
}

/* Takes the console's interface away from the kernel's driver, as it is asked to. */
static void disconnect(const char *argument)
{
    (void)argument;
    product_high = 0xC0;
    int first = open_photon(O_RDWR), second = open_photon(O_RDWR);
    struct usbdevfs_getdriver driver = {0};

    EXPECT(claim_fails(first) == EBUSY);
    EXPECT(ioctl(first, USBDEVFS_GETDRIVER, &driver) == 0);
    EXPECT(strcmp(driver.driver, "cdc_acm") == 0);
    EXPECT(disconnect_claim(first, USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER, "usbfs") == EBUSY);
    EXPECT(disconnect_claim(first, USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER, "cdc_acm") == EBUSY);
    EXPECT(disconnect_claim(first, USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER, "cdc_acm") == 0);
    EXPECT(claim_fails(second) == EBUSY);
    EXPECT(disconnect_claim(second, USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER, "usbfs") == EBUSY);
    EXPECT(disconnect_claim(second, 0, "") == 0); /* from another program, too */
    EXPECT(claim_fails(first) == EBUSY);
}

static void urbs(const char *argument)
{
    int fd = open_photon(O_RDWR);
    struct urb some[IN_FLIGHT];
    struct usbdevfs_urb *none;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    (void)argument;
    EXPECT(poll(&ready, 1, 0) == 0);
    EXPECT(ioctl(fd, USBDEVFS_REAPURBNDELAY, &none) == -1 && errno == EAGAIN);
    for (int round = 0; round < ROUNDS; round++) {
        int seen = 0;
        for (int i = 0; i < IN_FLIGHT; i++) {
            make_urb(&some[i], 1);
            EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &some[i].urb) == 0);
        }
        while (seen < IN_FLIGHT) {
            const struct urb *urb = reap_one(fd);
            EXPECT(urb == &some[seen++]); /* one endpoint: in order */
            EXPECT(urb->urb.status == 0 && urb->urb.actual_length == 6);
            EXPECT(memcmp(urb->buffer + 8, idle_status, 6) == 0);
        }
        expect_nothing_ended(fd, IN_FLIGHT);
    }
    int woken = 0;
    for (int round = 0; round < ROUNDS; round++) { /* and one at a time */
        make_urb(&some[0], 1);
        EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &some[0].urb) == 0);
        EXPECT(reap_one(fd) == &some[0] && memcmp(some[0].buffer + 8, idle_status, 6) == 0);
        if (round % 2 == 0) {
            woken += expect_nothing_ended(fd, 1);
        } else {
            EXPECT(ioctl(fd, USBDEVFS_REAPURBNDELAY, &none) == -1 && errno == EAGAIN);
        }
    }
    EXPECT(woken < ROUNDS / 4); /* not as a rule */
    make_urb(&some[0], 1);
    EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &some[0].urb) == 0);
    EXPECT(ioctl(fd, USBDEVFS_REAPURB, &none) == 0 && none == &some[0].urb);
}

/* An epoll set that reports changes reports each transfer's end, early and late in the node's life.
 */
static void edges(const char *argument)
{
    int fd = open_photon(O_RDWR), set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
    struct usbdevfs_urb *none;
    struct urb urb;

    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        if (i == ROUNDS / 2) {
            EXPECT(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
        }
        make_urb(&urb, 1);
        EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
        EXPECT(i < ROUNDS / 2 || epoll_wait(set, &event, 1, 5000) == 1);
        EXPECT(reap_one(fd) == &urb);
        EXPECT(ioctl(fd, USBDEVFS_REAPURBNDELAY, &none) == -1 && errno == EAGAIN);
    }
}

struct reaper {
    int fd;
    int polls;
    int seen;
};

/* Reaps what another thread submits: waits for it by poll, or in the request. */
static void *reap_all(void *context)
{
    struct reaper *reaper = context;

    while (reaper->seen < ROUNDS) {
        struct usbdevfs_urb *done = NULL;
        struct pollfd ready = {.fd = reaper->fd, .events = POLLOUT};
        EXPECT(!reaper->polls || poll(&ready, 1, 5000) == 1);
        if (ioctl(reaper->fd, reaper->polls ? USBDEVFS_REAPURBNDELAY : USBDEVFS_REAPURB, &done) !=
            0) {
            EXPECT(reaper->polls && errno == EAGAIN);
            continue;
        }
        const struct urb *urb = done->usercontext;
        EXPECT(memcmp(urb->buffer + 8, idle_status, 6) == 0);
        __atomic_fetch_add(&reaper->seen, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* One thread submits, another sleeps for the ends. */
static void reapers(const char *argument)
{
    (void)argument;
    for (int polls = 0; polls < 2; polls++) {
        struct reaper reaper = {.fd = open_photon(O_RDWR), .polls = polls};
        struct urb urb;
        pthread_t thread;
        EXPECT(pthread_create(&thread, NULL, reap_all, &reaper) == 0);
        for (int i = 0; i < ROUNDS; i++) {
            make_urb(&urb, 1);
            EXPECT(ioctl(reaper.fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
            while (__atomic_load_n(&reaper.seen, __ATOMIC_ACQUIRE) == i) {
                sched_yield();
            }
            /* Now and then the other one has fallen asleep when the next comes. */
            const struct timespec moment = {.tv_nsec = 100000};
            EXPECT(i % 8 != 0 || nanosleep(&moment, NULL) == 0);
        }
        EXPECT(pthread_join(thread, NULL) == 0 && close(reaper.fd) == 0);
    }
}

static void discard(const char *argument)
{
    int fd = open_photon(O_RDWR);
    struct urb hanging, behind;

    (void)argument;
    make_urb(&hanging, 0);
    make_urb(&behind, 1);
    EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &hanging.urb) == 0);
    EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &behind.urb) == 0);
    EXPECT(ioctl(fd, USBDEVFS_DISCARDURB, &hanging.urb) == 0);
    EXPECT(ioctl(fd, USBDEVFS_DISCARDURB, &hanging.urb) == -1 && errno == EINVAL);
    EXPECT(reap_one(fd) == &hanging && hanging.urb.status == -ENOENT);
    EXPECT(reap_one(fd) == &behind && behind.urb.status == 0);
}

static void timeout(const char *argument)
{
    int fd = open_photon(O_RDWR);
    uint8_t data[6];
    struct usbdevfs_ctrltransfer transfer = {0xC1, 3, 0, 0, 6, 100, data};

    (void)argument;
    EXPECT(ioctl(fd, USBDEVFS_CONTROL, &transfer) == -1 && errno == ETIMEDOUT);
    expect_idle(fd);
    transfer = (struct usbdevfs_ctrltransfer){0x80, 6, 0x0600, 0, 10, 1000, data};
    EXPECT(ioctl(fd, USBDEVFS_CONTROL, &transfer) == -1 && errno == EPIPE);
    transfer = (struct usbdevfs_ctrltransfer){0x80, 6, 0x0100, 0, 4097, 1000, data};
    EXPECT(ioctl(fd, USBDEVFS_CONTROL, &transfer) == -1 && errno == EINVAL);
    transfer = (struct usbdevfs_ctrltransfer){0xA1, 3, 0, 0, 1, 1000, data};
    EXPECT(ioctl(fd, USBDEVFS_CONTROL, &transfer) == -1 && errno == EOVERFLOW);
}

static void on_alarm(int number)
{
    (void)number;
}

/* A signal that the program handles ends its wait for a transfer. */
static void interrupted(const char *argument)
{
    int fd = open_photon(O_RDWR);
    struct urb hanging;
    struct usbdevfs_urb *ended;
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval soon = {.it_value = {.tv_usec = 20000}};

    (void)argument;
    make_urb(&hanging, 0);
    EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &hanging.urb) == 0);
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    EXPECT(ioctl(fd, USBDEVFS_REAPURB, &ended) == -1 && errno == EINTR);
    EXPECT(ioctl(fd, USBDEVFS_DISCARDURB, &hanging.urb) == 0);
    EXPECT(ioctl(fd, USBDEVFS_REAPURB, &ended) == 0 && ended == &hanging.urb);
}

/* Signals meet a program anywhere; no transfer may be done twice or fail for that. */
static void alarms(const char *argument)
{
    int fd = open_photon(O_RDWR);
    struct urb urb;
    const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval often = {.it_value = {.tv_usec = 50}, .it_interval = {.tv_usec = 50}};

    (void)argument;
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        expect_idle(fd);
        make_urb(&urb, 1);
        EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
        const struct urb *ended = NULL;
        while (ended == NULL) {
            struct usbdevfs_urb *done = NULL;
            int result = ioctl(fd, USBDEVFS_REAPURB, &done);
            EXPECT(result == 0 || errno == EINTR);
            ended = result == 0 ? done->usercontext : NULL;
        }
        EXPECT(ended == &urb && memcmp(urb.buffer + 8, idle_status, 6) == 0);
    }
}

static void many(const char *argument)
{
    struct rlimit few = {64, 64};

    (void)argument;
    EXPECT(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int i = 0; i < OPENS; i++) {
        int fd = open_photon(O_RDWR | O_CLOEXEC);
        EXPECT(fd < 16);
        expect_idle(fd);
        EXPECT(close(fd) == 0);
    }
}

static void forks(const char *argument)
{
    int fd = open_photon(O_RDWR);
    int status;
    struct urb urb;

    (void)argument;
    claim(fd);
    pid_t child = fork();
    EXPECT(child >= 0);
    for (int i = 0; i < ROUNDS; i++) {
        expect_idle(fd);
        if (child != 0) {
            continue; /* an URB belongs to whoever reaps first, so only the child has some */
        }
        make_urb(&urb, 1);
        EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
        EXPECT(reap_one(fd) == &urb && memcmp(urb.buffer + 8, idle_status, 6) == 0);
    }
    if (child == 0) {
        exit(0);
    }
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    expect_idle(fd);
}

static void *work(void *context)
{
    int fd = *(int *)context;

    for (int i = 0; i < ROUNDS; i++) {
        expect_idle(fd);
    }
    return NULL;
}

static void threads(const char *argument)
{
    int fd = open_photon(O_RDWR);
    pthread_t workers[THREADS];
    struct urb urb;

    (void)argument;
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_create(&workers[i], NULL, work, &fd) == 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        make_urb(&urb, 1);
        EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
        EXPECT(reap_one(fd) == &urb && memcmp(urb.buffer + 8, idle_status, 6) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(workers[i], NULL) == 0);
    }
}

/* libusb works on what was opened by somebody else. */
static void use_by_libusb(int fd)
{
    libusb_device_handle *handle;
    struct libusb_device_descriptor descriptor;
    uint8_t status[6] = {0xFF};

    EXPECT(libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY) == 0);
    EXPECT(libusb_init(NULL) == 0);
    EXPECT(libusb_wrap_sys_device(NULL, fd, &handle) == 0);
    EXPECT(libusb_get_device_descriptor(libusb_get_device(handle), &descriptor) == 0);
    EXPECT(descriptor.idVendor == 0x2B04 && descriptor.idProduct == 0xD006);
    EXPECT(libusb_control_transfer(handle, 0xA1, 3, 0, 0, status, 6, 1000) == 6);
    EXPECT(memcmp(status, idle_status, sizeof status) == 0);
    libusb_close(handle);
    libusb_exit(NULL);
}

/* Behind exec: argument is the descriptor's number. */
static void inherited(const char *argument)
{
    int fd = (int)strtol(argument, NULL, 10);
    int other = open_photon(O_RDWR);

    EXPECT(claim_fails(other) == EBUSY); /* the claim came along */
    use_by_libusb(fd);
    expect_idle(fd);
    close(fd);
    claim(other);
}

static void inherit(const char *program)
{
    int fd = open_photon(O_RDWR);
    char number[12];

    claim(fd);
    EXPECT(dup2(fd, 30) == 30 && close(fd) == 0);
    snprintf(number, sizeof number, "%d", fcntl(30, F_DUPFD, 40));
    close(30);
    execl(program, program, "inherited", number, (char *)NULL);
    EXPECT(!"exec");
}

/* Polls again at once where the bootloader asked for a pause. */
static void impatient(const char *argument)
{
    int fd = open_photon(O_RDWR);
    uint8_t address[5] = {0x21, 0x00, 0x00, 0x0A, 0x08}, status[6];
    struct usbdevfs_ctrltransfer dnload = {0x21, 1, 0, 0, sizeof address, 1000, address};

    (void)argument;
    EXPECT(ioctl(fd, USBDEVFS_CONTROL, &dnload) == sizeof address);
    EXPECT(get_status(fd, status) == 6 && status[1] > 0 && status[4] == 4);
    EXPECT(get_status(fd, status) == 6 && status[4] == 5);
}

/* Leaves a transfer that nothing ends and says so. */
static void hang(const char *argument)
{
    static struct urb urb;
    int fd = open_photon(O_RDWR);

    (void)argument;
    claim(fd);
    make_urb(&urb, 0);
    EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
    puts("hanging");
    fflush(stdout);
    pause();
}

/* Waits for the unplugging with a transfer in flight. */
static void unplug(const char *argument)
{
    int fd = open_photon(O_RDWR), idle = open_photon(O_RDWR);
    struct pollfd both[2] = {{.fd = fd, .events = POLLOUT}, {.fd = idle, .events = POLLOUT}};
    struct urb urb;
    struct usbdevfs_urb *none;
    unsigned interface = 0;

    (void)argument;
    make_urb(&urb, 0);
    EXPECT(ioctl(fd, USBDEVFS_SUBMITURB, &urb.urb) == 0);
    puts("ready");
    fflush(stdout);
    EXPECT(poll(both, 1, 10000) == 1);
    EXPECT(ioctl(fd, USBDEVFS_REAPURB, &none) == 0 && none == &urb.urb);
    EXPECT(urb.urb.status == -ESHUTDOWN);
    for (int i = 0; i < 2; i++) {
        int one = both[i].fd;
        EXPECT(poll(&both[i], 1, 10000) == 1); /* each handle learns of it by itself */
        EXPECT(ioctl(one, USBDEVFS_REAPURBNDELAY, &none) == -1 && errno == ENODEV);
        EXPECT(ioctl(one, USBDEVFS_REAPURB, &none) == -1 && errno == ENODEV);
        EXPECT(get_status(one, (uint8_t[6]){0}) == -1 && errno == ENODEV);
        EXPECT(ioctl(one, USBDEVFS_SUBMITURB, &urb.urb) == -1 && errno == ENODEV);
        EXPECT(ioctl(one, USBDEVFS_DISCARDURB, &urb.urb) == -1 && errno == ENODEV);
        EXPECT(ioctl(one, USBDEVFS_RELEASEINTERFACE, &interface) == -1 && errno == ENODEV);
        EXPECT(!by_library() || (read(one, urb.buffer, 1) == -1 && errno == ENODEV));
        EXPECT(poll(&both[i], 1, 5000) == 1);
        EXPECT((both[i].revents & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
    }
}

static const struct {
    const char *name;
    void (*run)(const char *argument);
} cases[] = {
    {"node", node},
    {"claims", claims},
    {"urbs", urbs},
    {"edges", edges},
    {"reapers", reapers},
    {"discard", discard},
    {"timeout", timeout},
    {"many", many},
    {"forks", forks},
    {"threads", threads},
    {"impatient", impatient},
    {"inherit", inherit},
    {"hang", hang},
    {"inherited", inherited},
    {"unplug", unplug},
    {"alarms", alarms},
    {"disconnect", disconnect},
    {"interrupted", interrupted},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            what_case = argv[1];
            cases[i].run(argc > 2 ? argv[2] : argv[0]);
            return 0;
        }
    }
    fprintf(stderr, "usage: client_usbfs CASE\n");
    return 2;
}
