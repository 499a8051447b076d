/*
 * What the rooms of the raw supervisor share: calls of programs that wait, connections to the
 * preload server, open nodes and hotplug sockets.
 *
 * Everything happens in the event loop's thread and nothing waits for a program: a call is taken,
 * turned into a request to the server, and answered when the reply is there. A program that is
 * killed meanwhile leaves a call that nobody misses: an answer to it fails, its descriptors are
 * closed by the kernel, and the server hears of that.
 */
#ifndef GADGET_RAW_LINK_H
#define GADGET_RAW_LINK_H

#include <linux/seccomp.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "usb-gadget/preload/protocol.h"
#include "usb-gadget/raw/raw.h"

/* Programs whose descriptors were borrowed lately. */
#define LINK_PROCESSES 8
/* Nodes that are lost or closed are remembered, up to so many: a program may still ask. */
#define LINK_GONE_MAX 256

struct channel;
struct node;
struct call;
TAILQ_HEAD(node_list, node);
TAILQ_HEAD(channel_list, channel);
TAILQ_HEAD(call_list, call);
TAILQ_HEAD(monitor_list, monitor);

struct raw {
    struct event_base *base;
    struct preload_server *server;
    int root;     /* the server's files, open */
    int pair[2];  /* with the child, while it starts */
    int listener; /* of the filter, or -1 */
    struct event *event;
    struct event *sweep; /* while calls wait */
    struct call_list calls;
    struct node_list nodes;
    unsigned gone_count;
    struct monitor_list monitors;
    struct {
        pid_t thread;
        int process; /* a pidfd, or 0 for none */
    } processes[LINK_PROCESSES];
    unsigned next_process;
    struct {
        struct preload_request request;
        uint8_t data[PRELOAD_DATA_MAX];
    } out;
    struct {
        struct preload_reply reply;
        uint8_t data[PRELOAD_DATA_MAX];
    } in;
};

/* --- call.c: a program's call, and the program's memory --- */

/* The end of a request to the server: the reply's result (-ENODEV when the server hung up), its
 * data, and the descriptor that came along, or -1, which the function takes. The call is to be
 * answered then, or asked about once more. */
typedef void call_ended(struct call *call, int result, const uint8_t *data, size_t length, int fd);

struct call {
    struct raw *raw;
    struct seccomp_notif notice;
    struct channel *channel; /* that it waits for; NULL: none */
    bool waits_long;         /* since the sweep before the next */
    TAILQ_ENTRY(call) entry;
    TAILQ_ENTRY(call) entry_of_node; /* those that wait for a transfer's end */
    struct node *reaps;
    call_ended *ended;

    /* For `ended`. */
    struct node *node;
    struct preload_request request;
    uint64_t address; /* in the program's memory */
    int fd;           /* of ours, or -1 */
    struct event *timer;
};

/* Each answers the call and frees it. A negative result is an errno. */
void call_answer(struct call *call, int64_t result);
void call_continue(struct call *call);
/* With a descriptor of ours as its result, which is closed here. */
void call_pass(struct call *call, int fd, bool close_on_exec);
/* Whether a signal wants to be handled, for which the program's system calls are interrupted. */
bool call_is_interrupted(const struct call *call);
/* Whether the program still waits. What a call's thread number means is certain only as long. */
bool call_is_valid(const struct call *call);

/* False when the memory is not there. Writing makes sure that it is the caller's. */
bool call_read(const struct call *call, uint64_t address, void *out, size_t size);
bool call_write(const struct call *call, uint64_t address, const void *in, size_t size);
/* Several pieces in one go. */
struct call_part {
    uint64_t address;
    const void *in;
    size_t size;
};
#define CALL_PARTS_MAX 8
bool call_write_parts(const struct call *call, const struct call_part *parts, size_t count);
/* A text with its end; false when there is none within `size` bytes. */
bool call_read_text(const struct call *call, uint64_t address, char *out, size_t size);
/* The status of one of the program's descriptors. */
bool call_stat(const struct call *call, int fd, struct stat *status);
/* A copy of the program's descriptor whose inode is known, to be closed at once; or -1. */
int call_borrow(struct call *call, int fd, uint64_t inode);
/* The path of what a descriptor of the program is open on, or with AT_FDCWD of its present folder.
 */
bool call_path(const struct call *call, int fd, char *out, size_t size);

/* --- channel.c: connections to the server --- */

struct channel {
    struct raw *raw;
    int fd;
    struct event *event;
    struct call *call; /* whose reply comes next; NULL: idle */
    struct node *node; /* NULL: for one request only */
    unsigned skip;     /* replies that nobody asks for */
    TAILQ_ENTRY(channel) entry;
};

/* Sends a request for the call, whose `ended` hears of the reply. `data` of `length` bytes goes
 * along. On a channel of the call's node, or one for this request only. */
void channel_ask(struct call *call, const struct preload_request *request, const void *data,
                 size_t length, call_ended *ended);
/* A new one that belongs to a node already open (the server is told), or NULL. */
struct channel *channel_join(struct raw *raw, struct node *node);
/* False when the server has no room or has hung up. */
bool channel_send(const struct channel *channel, const struct preload_request *request,
                  const void *data, size_t length);
void channel_close(struct channel *channel);
/* The program has gone: takes the request back. */
void channel_forget(struct call *call);

/* --- opens.c --- */

void opens_handle(struct call *call);

/* --- nodes.c: usbfs for programs --- */

/* Answers an open of the device node. */
void nodes_open(struct call *call, unsigned number, int flags);
void nodes_ioctl(struct call *call);
/* lseek() to the beginning of the descriptors. */
void nodes_rewind(struct call *call);
/* A channel of the node was hung up. */
void nodes_channel_lost(struct node *node);
/* The call does not wait for the end of a transfer any more. */
void nodes_forget(struct call *call);
void nodes_free(struct raw *raw);

/* An open device node of any program. It is known by the inode of its socket. */
struct node {
    struct raw *raw;
    TAILQ_ENTRY(node) entry;
    uint64_t inode;
    struct preload_handle_info info;
    uint64_t claimed; /* bits of interfaces */
    bool gone;        /* the device, or the last descriptor */
    bool token;       /* in the visible socket */
    struct channel_list calls;
    /* Transfers: a connection without events, unless calls wait for one to end. */
    int urbs;
    struct event *urbs_event;
    struct {
        uint64_t tag; /* address of the URB */
        uint64_t data;
        bool used, is_in;
    } flying[PRELOAD_URBS_MAX];
    struct call_list reapers;
};

/* --- urbs.c: transfers that programs submit and reap later --- */

void urbs_submit(struct call *call);
void urbs_reap(struct call *call, bool wait);
/* All that waits for a transfer's end gets ENODEV. */
void urbs_lost(struct node *node);

/* Claims what the transfer needs first. False when that has been asked of the server, after which
 * the call is handled anew, or when it was answered. */
bool nodes_claim_for(struct call *call, const struct preload_request *transfer);

/* --- ttys.c: serial ports --- */

void ttys_open(struct call *call, unsigned index, int flags);
void ttys_ioctl(struct call *call);

/* --- monitors.c: hotplug sockets --- */

void monitors_socket(struct call *call);
void monitors_bind(struct call *call);
void monitors_option(struct call *call);
void monitors_free(struct raw *raw);

/* --- supervisor.c --- */

/* Handles a call, from the beginning. */
void supervisor_handle(struct call *call);

#endif
