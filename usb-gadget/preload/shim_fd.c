/* Which descriptors are ours, whatever the program does with them. */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define SLOTS_MAX 128
/* Where numbers start that most programs do not reach, yet below 64: more makes the kernel enlarge
 * the descriptor table, and that takes 10 ms in a program with threads. */
#define HIDDEN_START 40

int shim_clock_connection = -1;
_Atomic unsigned shim_debts;

static struct shim_slot slots[SLOTS_MAX];
static _Atomic size_t slots_end;          /* behind the last slot that was ever used */
static _Atomic uint8_t slot_of[SHIM_FDS]; /* index of the slot plus one, as far as we know */
static _Atomic int attached_end;          /* behind the last number that ever had one */
static _Atomic uint8_t hidden[SHIM_FDS];
static _Atomic int hidden_end; /* behind the last number that was ever hidden */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* --- hidden descriptors --- */

int shim_hide(int fd)
{
    int to = (int)raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIDDEN_START);

    if (to >= SHIM_FDS) {
        (void)raw(SYS_close, to);
        to = -1;
    }
    if (to < 0) {
        to = fd; /* so the program sees it */
    } else {
        (void)raw(SYS_close, fd);
    }
    if (to < SHIM_FDS) {
        atomic_store(&hidden[to], 1);
        int end = atomic_load(&hidden_end);
        while (end <= to && !atomic_compare_exchange_weak(&hidden_end, &end, to + 1)) {
        }
    }
    return to;
}

void shim_close_hidden(int fd)
{
    if (fd >= 0) {
        if (fd < SHIM_FDS) {
            atomic_store(&hidden[fd], 0);
        }
        (void)raw(SYS_close, fd);
    }
}

static bool is_hidden(int fd)
{
    return fd >= 0 && fd < atomic_load_explicit(&hidden_end, memory_order_relaxed) && hidden[fd];
}

/* --- fork --- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void close_urbs(struct shim_slot *slot)
{
    shim_close_hidden(slot->urbs);
    slot->urbs = -1;
    if (slot->box != NULL) {
        (void)munmap(slot->box, sizeof *slot->box);
        slot->box = NULL;
    }
    slot->boxed = false;
}

/* The child makes connections of its own: two readers of one would take each other's replies. */
static void after_fork_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    shim_close_hidden(shim_clock_connection);
    shim_clock_connection = -1;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct shim_slot *slot = &slots[i];
        if (slot->kind != SHIM_USB) {
            continue;
        }
        pthread_mutex_init(&slot->lock, NULL);
        close_urbs(slot);
        slot->in_flight = 0;
        slot->waiting = 0;
        slot->looking = 0;
        for (size_t j = 0; j < SHIM_CALLS; j++) {
            shim_close_hidden(slot->calls[j]);
            slot->calls[j] = -1;
        }
    }
}

static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void shim_watch_forks(void)
{
    (void)pthread_once(&once, register_fork);
}

/* --- slots --- */

static bool inode_of(int fd, uint64_t *inode)
{
    struct stat status;

    if (raw(SYS_fstat, fd, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    *inode = status.st_ino;
    return true;
}

struct shim_slot *shim_slot_by_inode(uint64_t inode)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (slots[i].kind != SHIM_FREE && slots[i].inode == inode) {
            return &slots[i];
        }
    }
    return NULL;
}

struct shim_slot *shim_slot(int fd, enum shim_kind kind)
{
    uint64_t inode;

    if (fd < 0 || fd >= SHIM_FDS) {
        return NULL;
    }
    unsigned index = atomic_load_explicit(&slot_of[fd], memory_order_acquire);
    if (index == 0 || slots[index - 1].kind != kind) {
        return NULL;
    }
    if (!inode_of(fd, &inode) || inode != slots[index - 1].inode) {
        return NULL; /* it was closed behind our back, and the number belongs to another file */
    }
    return &slots[index - 1];
}

struct shim_slot *shim_slot_trusted(int fd, enum shim_kind kind)
{
    unsigned index =
        fd >= 0 && fd < SHIM_FDS ? atomic_load_explicit(&slot_of[fd], memory_order_acquire) : 0;

    return index != 0 && slots[index - 1].kind == kind ? &slots[index - 1] : NULL;
}

static void set_slot(int fd, uint8_t index)
{
    if (fd < 0 || fd >= SHIM_FDS || (index == 0 && atomic_load(&slot_of[fd]) == 0)) {
        return;
    }
    atomic_store(&slot_of[fd], index);
    int end = atomic_load(&attached_end);
    while (end <= fd && !atomic_compare_exchange_weak(&attached_end, &end, fd + 1)) {
    }
}

void shim_slot_attach(struct shim_slot *slot, int fd)
{
    set_slot(fd, (uint8_t)(slot - slots + 1));
}

bool shim_hung_up(int fd)
{
    struct pollfd peer = {.fd = fd, .events = POLLRDHUP};
    const struct timespec now = {0};

    return fd >= 0 && raw(SYS_ppoll, &peer, 1, &now, NULL, 0) == 1;
}

/* Whether any descriptor still leads to the slot. */
static bool is_reached(const struct shim_slot *slot)
{
    const uint8_t index = (uint8_t)(slot - slots + 1);

    for (int fd = 0; fd < attached_end; fd++) {
        if (slot_of[fd] == index && shim_slot(fd, slot->kind) == slot) {
            return true;
        }
    }
    return false;
}

/* Whether it may be that nothing leads to the slot any more: the server hangs up when the last
 * descriptor of a handle was closed, or the device is gone. */
static bool may_be_closed(const struct shim_slot *slot)
{
    if (slot->kind == SHIM_FREE || slot->inode == 0 || slot->looking > 0) {
        return false; /* without an inode it is just being made */
    }
    return slot->kind == SHIM_MONITOR || slot->gone || (slot->urbs < 0 && slot->calls[0] < 0) ||
           shim_hung_up(slot->urbs) || shim_hung_up(slot->calls[0]);
}

static void free_closed(void)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (may_be_closed(&slots[i]) && !is_reached(&slots[i])) {
            shim_slot_free(&slots[i]);
        }
    }
}

struct shim_slot *shim_slot_new(enum shim_kind kind)
{
    struct shim_slot *slot = NULL;

    shim_watch_forks();
    pthread_mutex_lock(&lock);
    free_closed();
    for (size_t i = 0; i < SLOTS_MAX && slot == NULL; i++) {
        if (slots[i].kind == SHIM_FREE) {
            slot = &slots[i];
        }
    }
    if (slot != NULL) {
        memset(slot, 0, sizeof *slot);
        pthread_mutex_init(&slot->lock, NULL);
        slot->urbs = -1;
        for (size_t i = 0; i < SHIM_CALLS; i++) {
            slot->calls[i] = -1;
        }
        slot->kind = kind;
        size_t end = (size_t)(slot - slots) + 1;
        slots_end = end > slots_end ? end : slots_end;
    }
    pthread_mutex_unlock(&lock);
    return slot;
}

void shim_slot_free(struct shim_slot *slot)
{
    slot->inode = 0;
    shim_debts -= slot->owes;
    slot->owes = false;
    close_urbs(slot);
    for (size_t i = 0; i < SHIM_CALLS; i++) {
        shim_close_hidden(slot->calls[i]);
    }
    slot->calls[0] = -1;
    slot->kind = SHIM_FREE;
}

void shim_slots_owing(void (*pay)(struct shim_slot *slot))
{
    for (size_t i = 0; i < slots_end; i++) {
        if (slots[i].kind == SHIM_USB && slots[i].owes) {
            pay(&slots[i]);
        }
    }
}

/* --- duplicates --- */

static int note_duplicate(int from, int to)
{
    if (from >= 0 && from < SHIM_FDS) {
        set_slot(to, atomic_load(&slot_of[from]));
    }
    return to;
}

SHIM_EXPORT int dup(int fd)
{
    return note_duplicate(fd, (int)raw_errno(SYS_dup, fd));
}

/* Somebody wants a number that we hide something under: move it away. */
static void make_way(int fd)
{
    if (!is_hidden(fd)) {
        return;
    }
    pthread_mutex_lock(&lock);
    if (shim_clock_connection == fd) {
        shim_clock_connection = shim_hide(fd);
        atomic_store(&hidden[fd], 0);
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        int *numbers[SHIM_CALLS + 1] = {&slots[i].urbs};
        for (size_t j = 0; j < SHIM_CALLS; j++) {
            numbers[j + 1] = &slots[i].calls[j];
        }
        for (size_t j = 0; slots[i].kind == SHIM_USB && j <= SHIM_CALLS; j++) {
            if (*numbers[j] == fd) {
                *numbers[j] = shim_hide(fd);
                atomic_store(&hidden[fd], 0);
            }
        }
    }
    pthread_mutex_unlock(&lock);
}

SHIM_EXPORT int dup3(int from, int to, int flags)
{
    make_way(to);
    return note_duplicate(from, (int)raw_errno(SYS_dup3, from, to, flags));
}

SHIM_EXPORT int dup2(int from, int to)
{
    if (from == to) {
        return raw_errno(SYS_fcntl, from, F_GETFD) < 0 ? -1 : to;
    }
    return dup3(from, to, 0);
}

SHIM_EXPORT int fcntl(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int result = SHIM_REAL(fcntl)(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? note_duplicate(fd, result) : result;
}

int fcntl64(int fd, int command, ...) SHIM_ALIAS(fcntl);

/* --- watching --- */

/* A set that reports changes must see each of them, so no transfer goes past the socket. */
SHIM_EXPORT int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    struct shim_slot *slot = operation != EPOLL_CTL_DEL ? shim_slot(fd, SHIM_USB) : NULL;

    if (slot != NULL) {
        slot->watched = true;
        shim_before_poll();
    }
    return (int)raw_errno(SYS_epoll_ctl, set, operation, fd, event);
}

/* --- close --- */

/* Programs that close everything do not mean our connections. */
SHIM_EXPORT int close(int fd)
{
    if (is_hidden(fd)) {
        errno = EBADF;
        return -1;
    }
    set_slot(fd, 0);
    return (int)raw_errno(SYS_close, fd);
}

SHIM_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    unsigned end = (unsigned)atomic_load(&hidden_end);
    unsigned attached = flags == 0 ? (unsigned)atomic_load(&attached_end) : 0;

    for (unsigned fd = first; fd < attached && fd <= last; fd++) {
        set_slot((int)fd, 0);
    }
    for (unsigned fd = first; fd < end && fd <= last; fd++) {
        if (!hidden[fd]) {
            continue;
        }
        if (fd > first && raw_errno(SYS_close_range, first, fd - 1, flags) != 0) {
            return -1;
        }
        first = fd + 1;
    }
    return first <= last ? (int)raw_errno(SYS_close_range, first, last, flags) : 0;
}

SHIM_EXPORT void closefrom(int first)
{
    (void)close_range(first > 0 ? (unsigned)first : 0, ~0U, 0);
}

/* --- reading --- */

/* Descriptors of a node. A reader whom an unplugged port surprises hears of its end, where a pty
 * has an error. */
SHIM_EXPORT ssize_t read(int fd, void *data, size_t size)
{
    struct shim_slot *slot = shim_slot(fd, SHIM_USB);

    if (slot != NULL) {
        return shim_usb_read(slot, data, size, &slot->position);
    }
    ssize_t length = SHIM_REAL(read)(fd, data, size);
    return length < 0 && errno == EIO && shim_tty_gone(fd) ? 0 : length;
}

SHIM_EXPORT ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    struct shim_slot *slot = shim_slot(fd, SHIM_USB);

    return slot != NULL ? shim_usb_read(slot, data, size, &offset)
                        : SHIM_REAL(pread)(fd, data, size, offset);
}

SHIM_EXPORT ssize_t __read_chk(int fd, void *data, size_t size, size_t room)
{
    if (size > room) {
        __builtin_trap();
    }
    return read(fd, data, size);
}

SHIM_EXPORT ssize_t __pread_chk(int fd, void *data, size_t size, off_t offset, size_t room)
{
    if (size > room) {
        __builtin_trap();
    }
    return pread(fd, data, size, offset);
}

SHIM_EXPORT off_t lseek(int fd, off_t offset, int whence)
{
    struct shim_slot *slot = shim_slot(fd, SHIM_USB);

    if (slot == NULL) {
        return raw_errno(SYS_lseek, fd, offset, whence);
    }
    off_t from = whence == SEEK_CUR ? slot->position : 0;
    if ((whence != SEEK_SET && whence != SEEK_CUR) || from + offset < 0) {
        errno = EINVAL;
        return -1;
    }
    return slot->position = from + offset;
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset) SHIM_ALIAS(pread);
ssize_t __pread64_chk(int fd, void *data, size_t size, off64_t offset, size_t room)
    SHIM_ALIAS(__pread_chk);
off64_t lseek64(int fd, off64_t offset, int whence) SHIM_ALIAS(lseek);
