#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/preload/translation.h"
#include "usb-gadget/preload/zones.h"
#include "usb-gadget/raw/link.h"

/* The longest argument of a request that is all numbers. */
#define NUMBERS_MAX 16

/* --- life --- */

static struct node *node_of(struct raw *raw, uint64_t inode)
{
    struct node *node;

    TAILQ_FOREACH(node, &raw->nodes, entry)
    {
        if (node->inode == inode) {
            return node;
        }
    }
    return NULL;
}

static void free_node(struct node *node)
{
    struct channel *channel;

    urbs_lost(node);
    while ((channel = TAILQ_FIRST(&node->calls)) != NULL) {
        struct call *call = channel->call;
        channel_close(channel);
        if (call != NULL) {
            call->channel = NULL;
            call_answer(call, -ENODEV);
        }
    }
    if (node->urbs_event != NULL) {
        event_free(node->urbs_event);
    }
    if (node->urbs >= 0) {
        close(node->urbs);
    }
    TAILQ_REMOVE(&node->raw->nodes, node, entry);
    node->raw->gone_count -= node->gone;
    free(node);
}

void nodes_free(struct raw *raw)
{
    struct node *node;

    while ((node = TAILQ_FIRST(&raw->nodes)) != NULL) {
        free_node(node);
    }
}

/* Whether its program has closed it or still has it open cannot be told any more. */
static void forget_oldest(struct raw *raw)
{
    struct node *node;

    TAILQ_FOREACH(node, &raw->nodes, entry)
    {
        if (node->gone) {
            free_node(node);
            return;
        }
    }
}

void nodes_channel_lost(struct node *node)
{
    struct raw *raw = node->raw;

    if (node->gone) {
        return;
    }
    node->gone = true;
    TAILQ_REMOVE(&raw->nodes, node, entry);
    TAILQ_INSERT_TAIL(&raw->nodes, node, entry);
    if (node->urbs < 0) { /* else what has ended is reaped first */
        urbs_lost(node);
    }
    if (++raw->gone_count > LINK_GONE_MAX) {
        forget_oldest(raw);
    }
}

void nodes_forget(struct call *call)
{
    if (call->reaps != NULL) {
        TAILQ_REMOVE(&call->reaps->reapers, call, entry_of_node);
        call->reaps = NULL;
    }
}

/* --- open --- */

static struct node *new_node(struct raw *raw, const struct preload_handle_info *info)
{
    struct node *node = calloc(1, sizeof *node);

    if (node == NULL) {
        return NULL;
    }
    node->raw = raw;
    node->inode = info->inode;
    node->info = *info;
    node->token = true;
    node->urbs = -1;
    TAILQ_INIT(&node->calls);
    TAILQ_INIT(&node->reapers);
    TAILQ_INSERT_HEAD(&raw->nodes, node, entry);
    return node;
}

static void opened(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    struct preload_handle_info info;
    struct channel *channel = call->channel;

    if (result < 0 || fd < 0 || length != sizeof info) {
        if (fd >= 0) {
            close(fd);
            channel_forget(call);
        }
        call_answer(call, result < 0 ? result : -EMFILE);
        return;
    }
    memcpy(&info, data, sizeof info);
    channel->node = new_node(call->raw, &info);
    if (channel->node == NULL) {
        close(fd);
        channel_forget(call);
        call_answer(call, -ENOMEM);
        return;
    }
    TAILQ_INSERT_TAIL(&channel->node->calls, channel, entry);
    call->channel = NULL;
    call_pass(call, fd, call->request.length != 0);
}

void nodes_open(struct call *call, unsigned number, int flags)
{
    const struct preload_request request = {.operation = PRELOAD_OPEN,
                                            .version = PRELOAD_PROTOCOL_VERSION,
                                            .number = number,
                                            .flags = PRELOAD_WRITABLE | PRELOAD_READABLE};

    call->request.length = (flags & O_CLOEXEC) != 0;
    channel_ask(call, &request, NULL, 0, opened);
}

/* --- claims --- */

static void claim_ended(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    (void)data;
    (void)length;
    (void)fd;
    if (result < 0) {
        call_answer(call, result);
        return;
    }
    call->node->claimed = translation_claims(call->node->claimed, &call->request);
    supervisor_handle(call);
}

bool nodes_claim_for(struct call *call, const struct preload_request *transfer)
{
    int interface;
    int result = translate_claim(&call->node->info, transfer, call->node->claimed, &interface);

    if (result < 0) {
        call_answer(call, result);
        return false;
    }
    if (interface < 0) {
        return true;
    }
    call->request =
        (struct preload_request){.operation = PRELOAD_CLAIM, .number = (uint32_t)interface};
    channel_ask(call, &call->request, NULL, 0, claim_ended);
    return false;
}

/* --- ioctls --- */

static uint64_t argument_of(const struct call *call)
{
    return call->notice.data.args[2];
}

static unsigned long ioctl_of(const struct call *call)
{
    return (uint32_t)call->notice.data.args[1];
}

static void asked(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    (void)data;
    (void)length;
    (void)fd;
    if (result >= 0) {
        call->node->claimed = translation_claims(call->node->claimed, &call->request);
    }
    call_answer(call, result);
}

/* Sends `call->request`; its result is the call's. */
static void ask(struct call *call, const void *data, size_t length)
{
    channel_ask(call, &call->request, data, length, asked);
}

static void transferred(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    (void)fd;
    bool whole = result < 0 || !translation_is_in(&call->request) ||
                 call_write(call, call->address, data, length);
    call_answer(call, whole ? result : -EFAULT);
}

/* `call->request` is translated with `result`; `data` is the program's. */
static void transfer(struct call *call, int result, const void *data)
{
    struct preload_request request = call->request;
    const size_t length = translation_is_in(&request) ? 0 : request.length;
    uint8_t *out = call->raw->out.data;

    if (result < 0) {
        call_answer(call, result);
    } else if (nodes_claim_for(call, &request)) {
        call->request = request;
        call->address = (uintptr_t)data;
        if (call_read(call, call->address, out, length)) {
            channel_ask(call, &request, out, length, transferred);
        } else {
            call_answer(call, -EFAULT);
        }
    }
}

static void control(struct call *call)
{
    struct usbdevfs_ctrltransfer what;

    if (!call_read(call, argument_of(call), &what, sizeof what)) {
        call_answer(call, -EFAULT);
        return;
    }
    int result = translate_control(&what, &call->request);
    transfer(call, result, what.data);
}

static void bulk(struct call *call)
{
    struct usbdevfs_bulktransfer what;

    if (!call_read(call, argument_of(call), &what, sizeof what)) {
        call_answer(call, -EFAULT);
        return;
    }
    int result = translate_bulk(&what, &call->request);
    transfer(call, result, what.data);
}

static void discard(struct call *call)
{
    call->request =
        (struct preload_request){.operation = PRELOAD_DISCARD, .tag = argument_of(call)};
    ask(call, NULL, 0);
}

static void driver_found(struct call *call, int result, const uint8_t *data, size_t length, int fd)
{
    char name[USBDEVFS_MAXDRIVERNAME + 1] = "";
    const uint64_t to = argument_of(call) + offsetof(struct usbdevfs_getdriver, driver);

    (void)fd;
    if (result < 0) {
        call_answer(call, result);
        return;
    }
    memcpy(name, data, length < sizeof name - 1 ? length : sizeof name - 1);
    call_answer(call, call_write(call, to, name, sizeof name) ? 0 : -EFAULT);
}

static void get_driver(struct call *call)
{
    unsigned number;

    if (!call_read(call, argument_of(call), &number, sizeof number)) {
        call_answer(call, -EFAULT);
        return;
    }
    call->request = (struct preload_request){.operation = PRELOAD_GET_DRIVER, .number = number};
    channel_ask(call, &call->request, NULL, 0, driver_found);
}

static void disconnect_claim(struct call *call)
{
    struct usbdevfs_disconnect_claim what;

    if (!call_read(call, argument_of(call), &what, sizeof what)) {
        call_answer(call, -EFAULT);
        return;
    }
    translate_disconnect_claim(&what, &call->request);
    ask(call, what.driver, strnlen(what.driver, sizeof what.driver));
}

static void driver_ioctl(struct call *call)
{
    struct usbdevfs_ioctl what;
    int result;

    if (!call_read(call, argument_of(call), &what, sizeof what)) {
        call_answer(call, -EFAULT);
    } else if (translate_driver_ioctl(&what, &call->request, &result)) {
        ask(call, NULL, 0);
    } else {
        call_answer(call, result);
    }
}

static void numbers(struct call *call)
{
    const unsigned long ioctl = ioctl_of(call);
    const size_t size = translation_argument(ioctl);
    uint32_t argument[NUMBERS_MAX / sizeof(uint32_t)] = {0};

    if (size > sizeof argument || translate_numbers(ioctl, argument, &call->request) == -ENOTTY) {
        call_answer(call, -ENOTTY);
    } else if (!call_read(call, argument_of(call), argument, size)) {
        call_answer(call, -EFAULT);
    } else {
        int result = translate_numbers(ioctl, argument, &call->request);
        if (result < 0) {
            call_answer(call, result);
        } else {
            ask(call, NULL, 0);
        }
    }
}

/* What needs no server, and last the rest. */
static void known_or_numbers(struct call *call)
{
    uint8_t out[TRANSLATION_ANSWER];
    size_t size;
    int result = translation_answer(&call->node->info, ioctl_of(call), out, &size);

    if (result == -ENOTTY) {
        numbers(call);
        return;
    }
    call_answer(call, call_write(call, argument_of(call), out, size) ? result : -EFAULT);
}

static const struct {
    unsigned long ioctl;
    void (*handle)(struct call *call);
} handlers[] = {
    {USBDEVFS_CONTROL, control},       {USBDEVFS_BULK, bulk},
    {USBDEVFS_SUBMITURB, urbs_submit}, {USBDEVFS_DISCARDURB, discard},
    {USBDEVFS_GETDRIVER, get_driver},  {USBDEVFS_DISCONNECT_CLAIM, disconnect_claim},
    {USBDEVFS_IOCTL, driver_ioctl},
};

/* No open node of ours: the file that stands for one to who only reads it, or something else that
 * has ioctls of the same type. */
static void not_open(struct call *call, const struct stat *status)
{
    char path[PATH_MAX];

    if (S_ISREG(status->st_mode) &&
        call_path(call, (int)call->notice.data.args[0], path, sizeof path) &&
        zones_node(path) != 0) {
        call_answer(call, -EPERM);
    } else {
        call_continue(call);
    }
}

/* The open node that the call's first argument is, or NULL. */
static struct node *open_node(const struct call *call, struct stat *status)
{
    return call_stat(call, (int)call->notice.data.args[0], status) && S_ISSOCK(status->st_mode)
               ? node_of(call->raw, status->st_ino)
               : NULL;
}

/* Whether the program has read nothing of the descriptors: then it is at their beginning. */
static bool is_unread(struct call *call, const struct node *node)
{
    uint8_t bytes[PRELOAD_DESCRIPTORS_MAX];
    int visible = call_borrow(call, (int)call->notice.data.args[0], node->inode);
    ssize_t length =
        visible >= 0 ? recv(visible, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT) : -1;

    if (visible >= 0) {
        close(visible);
    }
    return length == (ssize_t)node->info.descriptors_length;
}

void nodes_rewind(struct call *call)
{
    struct stat status = {0};
    const struct node *node = open_node(call, &status);

    if (node != NULL && is_unread(call, node)) {
        call_answer(call, 0);
    } else {
        call_continue(call); /* a socket does not seek */
    }
}

void nodes_ioctl(struct call *call)
{
    const unsigned long ioctl = ioctl_of(call);
    struct stat status = {0};

    call->node = open_node(call, &status);
    if (call->node == NULL) {
        not_open(call, &status);
        return;
    }
    if (ioctl == USBDEVFS_REAPURB || ioctl == USBDEVFS_REAPURBNDELAY) {
        urbs_reap(call, ioctl == USBDEVFS_REAPURB);
        return;
    }
    if (call->node->gone) {
        call_answer(call, -ENODEV);
        return;
    }
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].ioctl == ioctl) {
            handlers[i].handle(call);
            return;
        }
    }
    known_or_numbers(call);
}
