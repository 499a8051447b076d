/*
 * The preload library: what its rooms share.
 *
 * It lives in foreign programs. So it does nothing without its environment variable, prints
 * nothing, preserves errno, allocates no memory on the way of an ordinary call, and may be called
 * before its constructor ran, in signal handlers, after fork and from many threads. When the
 * server is gone every device answers ENODEV.
 */
#ifndef GADGET_PRELOAD_SHIM_H
#define GADGET_PRELOAD_SHIM_H

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "usb-gadget/preload/box.h"
#include "usb-gadget/preload/protocol.h"
#include "usb-gadget/preload/shim_raw.h"
#include "usb-gadget/preload/vigil.h"
#include "usb-gadget/preload/zones.h"

/* A function that stands before the C library's. */
#define SHIM_EXPORT      __attribute__((visibility("default")))
#define SHIM_ALIAS(name) __attribute__((visibility("default"), alias(#name)))

/* The C library's own function behind ours. */
#define SHIM_REAL(name)                                                                            \
    __extension__({                                                                                \
        static _Atomic(void *) shim_known;                                                         \
        void *shim_found = atomic_load_explicit(&shim_known, memory_order_relaxed);                \
        if (shim_found == NULL) {                                                                  \
            shim_found = dlsym(RTLD_NEXT, #name);                                                  \
            atomic_store_explicit(&shim_known, shim_found, memory_order_relaxed);                  \
        }                                                                                          \
        (__typeof__(&(name)))shim_found;                                                           \
    })

/* --- shim_init.c --- */

/* The server's folder and the root of its files in it; set once shim_active() is true. */
extern char shim_folder[PATH_MAX];
extern char shim_root[PATH_MAX];
extern size_t shim_root_length;
/* In warp: how far this run's clock is ahead, ns; or NULL. */
extern const _Atomic uint64_t *shim_clock;

/* Whether this program runs under a server. */
bool shim_active(void);
/* The machine's monotonic clock, whatever time the program is shown. */
uint64_t shim_now_ns(void);
/* A new connection to the server under a number that the program does not see; -1 with errno. */
int shim_dial(void);
/* One request, and its reply for those that have one: `*in_size` is the room for its data and
 * becomes what came. The reply's result, or -ENODEV when the server is gone. */
int shim_exchange(int connection, struct preload_request *request, const void *out, size_t out_size,
                  void *in, size_t *in_size, int *passed);

/* --- shim_paths.c --- */

#define SHIM_PATH_MAX ZONES_PATH_MAX

/* Where a path leads. */
struct shim_path {
    int folder;         /* to use instead of the caller's */
    const char *path;   /* to use instead of the caller's */
    const char *ours;   /* the path as the program means it, when it is the server's; or NULL */
    const char *merged; /* the path of a host folder to whose names the server adds some; or NULL */
    char buffer[SHIM_PATH_MAX];
};

void shim_resolve(struct shim_path *where, int folder, const char *path);
/* The same for what a descriptor is open on. */
void shim_resolve_fd(struct shim_path *where, int fd);
/* After chdir(). */
void shim_folder_changed(void);
/* Takes the server's root off a path that the system gave; its new length. */
size_t shim_strip_root(char *path, size_t length);

/* --- shim_fd.c --- */

#define SHIM_FDS   65536
#define SHIM_CALLS 4

enum shim_kind { SHIM_FREE, SHIM_USB, SHIM_MONITOR };

/* What is behind visible descriptors. They are known by the inode of their socket, so that it does
 * not matter how a descriptor came about or went away. */
struct shim_slot {
    enum shim_kind kind;
    uint64_t inode;
    _Atomic bool gone; /* the device, for good */

    /* SHIM_USB */
    struct preload_handle_info info;
    pthread_mutex_t lock;
    int urbs;                 /* connection for SUBMIT, or -1 */
    int calls[SHIM_CALLS];    /* idle connections for all else, or -1 */
    struct preload_box *box;  /* of `urbs`, or NULL */
    uint32_t turn;            /* number of the last request in it */
    bool boxed;               /* that one has no reply yet */
    bool leaving;             /* a transfer was lost: the server is about to hang up */
    unsigned in_flight;       /* submitted and not yet reaped */
    unsigned waiting;         /* threads that sleep in REAPURB */
    _Atomic unsigned looking; /* threads that look into the box */
    bool token;               /* in the visible socket, for all we know */
    bool watched;             /* by an epoll set, which must see each change */
    bool owes;                /* the token is not there, but must be when the program polls */
    int owes_to;              /* a descriptor of the visible socket, then */
    struct vigil vigil;       /* for the end of a control transfer */
    _Atomic uint64_t claimed; /* bits of interfaces */
    off_t position;           /* of read() */

    /* SHIM_MONITOR */
    uint32_t groups;
};

/* The slot of a descriptor, or NULL. */
struct shim_slot *shim_slot(int fd, enum shim_kind kind);
/* The same without asking the system whether the number was closed and used again by means that the
 * library does not see: where a mistake does no harm, as nobody asks usbfs of another file. */
struct shim_slot *shim_slot_trusted(int fd, enum shim_kind kind);
struct shim_slot *shim_slot_by_inode(uint64_t inode);
/* A new slot, not yet reached by any descriptor; NULL when there are too many. */
struct shim_slot *shim_slot_new(enum shim_kind kind);
void shim_slot_free(struct shim_slot *slot);
void shim_slot_attach(struct shim_slot *slot, int fd);
/* Before the first connection of a process is made. */
void shim_watch_forks(void);
/* The process's connection for moving time, or -1. */
extern int shim_clock_connection;
/* How many slots owe their token. */
extern _Atomic unsigned shim_debts;
/* Calls `pay` for each of them. */
void shim_slots_owing(void (*pay)(struct shim_slot *slot));
/* Moves a descriptor to a number that the program does not see. */
int shim_hide(int fd);
void shim_close_hidden(int fd);
/* Whether the other end of a socket is closed; false for -1. */
bool shim_hung_up(int fd);

/* --- shim_tty.c --- */

/* The n of the ttyACMn that a path leads to, or -1. */
int shim_tty(const struct shim_path *where);
/* The n of the ttyACMn that a descriptor is open on, or -1. */
int shim_tty_fd(int fd);
/* True when a descriptor is open on a port that is no more. */
bool shim_tty_gone(int fd);
int shim_tty_open(int index, int flags);
/* False when the request is the system's to handle. */
bool shim_tty_ioctl(int fd, unsigned long request, void *argument, int *result);
/* Makes a port's status out of its file's, or out of its pty's; false when the pty is none of ours.
 */
void shim_fix_tty_stat(int index, struct stat *status);
bool shim_fix_pts_stat(struct stat *status);

/* --- shim_urb.c --- */

/* Before the program polls: nodes with nothing to reap are made unwritable. */
void shim_pay_tokens(void);

static inline void shim_before_poll(void)
{
    if (atomic_load_explicit(&shim_debts, memory_order_relaxed) != 0) {
        shim_pay_tokens();
    }
}

/* --- shim_usbfs.c --- */

int shim_usb_open(unsigned number, int flags);
/* Finds out whether an unknown socket is a handle inherited from another program. */
struct shim_slot *shim_usb_adopt(uint64_t inode);
int shim_usb_ioctl(struct shim_slot *slot, int fd, unsigned long request, void *argument);
ssize_t shim_usb_read(struct shim_slot *slot, void *data, size_t size, off_t *position);

/* Makes a node's status out of a file's. */
void shim_fix_stat(unsigned number, struct stat *status);

#endif
