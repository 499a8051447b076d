#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "usb-gadget/preload/server.h"
#include "usb-gadget/preload/translation.h"
#include "usb-gadget/raw/link.h"

/* --- the connection --- */

/* A reply has come, or the server hung up, while calls wait. */
static void on_urbs(evutil_socket_t fd, short what, void *context)
{
    struct node *node = context;
    struct call *call = TAILQ_FIRST(&node->reapers);

    (void)fd;
    (void)what;
    if (call == NULL) {
        (void)event_del(node->urbs_event);
        return;
    }
    nodes_forget(call);
    urbs_reap(call, true);
}

/* Opens the connection for transfers. The reply to ADOPT is the first to come. */
static bool connect_urbs(struct node *node)
{
    const struct preload_request adopt = {
        .operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION, .tag = node->inode};

    if (node->urbs >= 0) {
        return true;
    }
    node->urbs = preload_server_dial(node->raw->server);
    if (node->urbs >= 0) {
        node->urbs_event =
            event_new(node->raw->base, node->urbs, EV_READ | EV_PERSIST, on_urbs, node);
    }
    if (node->urbs_event == NULL ||
        send(node->urbs, &adopt, sizeof adopt, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (node->urbs >= 0) {
            close(node->urbs);
        }
        node->urbs = -1;
        return false;
    }
    if (!TAILQ_EMPTY(&node->reapers)) {
        (void)event_add(node->urbs_event, NULL);
    }
    return true;
}

/* --- submit --- */

static unsigned slot_of(const struct node *node, uint64_t tag)
{
    unsigned slot = 0;

    while (slot < PRELOAD_URBS_MAX && (!node->flying[slot].used || node->flying[slot].tag != tag)) {
        slot++;
    }
    return slot;
}

static unsigned free_slot(const struct node *node)
{
    unsigned slot = 0;

    while (slot < PRELOAD_URBS_MAX && node->flying[slot].used) {
        slot++;
    }
    return slot;
}

static int send_urb(struct node *node, const struct preload_request *request, uint64_t data,
                    const uint8_t *out)
{
    struct iovec parts[2] = {{(void *)request, sizeof *request},
                             {(void *)out, translation_is_in(request) ? 0 : request->length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    unsigned slot = free_slot(node);

    if (slot == PRELOAD_URBS_MAX || !connect_urbs(node)) {
        return -ENOMEM;
    }
    if (sendmsg(node->urbs, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        return errno == EAGAIN ? -ENOMEM : -ENODEV;
    }
    node->flying[slot].used = true;
    node->flying[slot].tag = request->tag;
    node->flying[slot].data = data;
    node->flying[slot].is_in = translation_is_in(request);
    return 0;
}

void urbs_submit(struct call *call)
{
    const uint64_t address = call->notice.data.args[2];
    uint8_t *out = call->raw->out.data;
    uint8_t setup[SETUP_SIZE] = {0};
    struct usbdevfs_urb urb;
    struct preload_request request;

    if (!call_read(call, address, &urb, sizeof urb) ||
        (urb.type == USBDEVFS_URB_TYPE_CONTROL && urb.buffer_length >= SETUP_SIZE &&
         urb.buffer != NULL && !call_read(call, (uintptr_t)urb.buffer, setup, sizeof setup))) {
        call_answer(call, -EFAULT);
        return;
    }
    int result = translate_urb(&urb, address, setup, &request);
    if (result < 0) {
        call_answer(call, result);
        return;
    }
    if (!nodes_claim_for(call, &request)) {
        return;
    }
    const uint64_t data = (uintptr_t)urb.buffer + translation_offset(&urb);
    if (!translation_is_in(&request) && !call_read(call, data, out, request.length)) {
        call_answer(call, -EFAULT);
        return;
    }
    call_answer(call, send_urb(call->node, &request, data, out));
}

/* --- reap --- */

enum receipt { RECEIPT_NOTHING, RECEIPT_URB, RECEIPT_LOST };

/* The next reply to a SUBMIT, into the supervisor's message. */
static enum receipt receive(struct node *node, size_t *length)
{
    struct raw *raw = node->raw;

    while (node->urbs >= 0) {
        ssize_t received = recv(node->urbs, &raw->in, sizeof raw->in, MSG_DONTWAIT);
        if (received < (ssize_t)sizeof raw->in.reply) {
            return received < 0 && (errno == EAGAIN || errno == EINTR) ? RECEIPT_NOTHING
                                                                       : RECEIPT_LOST;
        }
        if (slot_of(node, raw->in.reply.tag) < PRELOAD_URBS_MAX) {
            *length = (size_t)received - sizeof raw->in.reply;
            return RECEIPT_URB;
        }
    }
    return RECEIPT_NOTHING;
}

/* Puts what the reply says into the program's memory, in one go. */
static int deliver(struct call *call, size_t length)
{
    struct node *node = call->node;
    const struct preload_reply *reply = &call->raw->in.reply;
    const unsigned slot = slot_of(node, reply->tag);
    const uint64_t urb = reply->tag;
    const int no_errors = 0;
    const struct call_part parts[] = {
        {node->flying[slot].data, call->raw->in.data, node->flying[slot].is_in ? length : 0},
        {urb + offsetof(struct usbdevfs_urb, status), &reply->result, sizeof(int)},
        {urb + offsetof(struct usbdevfs_urb, actual_length), &reply->actual, sizeof(int)},
        {urb + offsetof(struct usbdevfs_urb, error_count), &no_errors, sizeof no_errors},
        {call->notice.data.args[2], &urb, sizeof urb},
    };

    node->flying[slot].used = false;
    node->token = false; /* the server took it when it had sent this */
    return call_write_parts(call, parts, sizeof parts / sizeof parts[0]) ? 0 : -EFAULT;
}

/* Makes the program's poll sleep until a transfer has ended. */
static void put_token(struct call *call)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    struct node *node = call->node;

    if (node->token) {
        return;
    }
    int visible = call_borrow(call, (int)call->notice.data.args[0], node->inode);
    if (visible >= 0) {
        node->token = send(visible, token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
        close(visible);
    }
}

void urbs_reap(struct call *call, bool wait)
{
    struct node *node = call->node;
    size_t length;
    enum receipt receipt = receive(node, &length);

    if (receipt == RECEIPT_URB) {
        call_answer(call, deliver(call, length));
    } else if (receipt == RECEIPT_LOST || node->gone) {
        nodes_channel_lost(node);
        put_token(call); /* the server waits for it, to hang up with an error */
        call_answer(call, -ENODEV);
    } else if (!wait) {
        put_token(call);
        call_answer(call, -EAGAIN);
    } else {
        call->reaps = node;
        TAILQ_INSERT_TAIL(&node->reapers, call, entry_of_node);
        if (node->urbs_event != NULL) {
            (void)event_add(node->urbs_event, NULL);
        }
    }
}

void urbs_lost(struct node *node)
{
    struct call *call;

    while ((call = TAILQ_FIRST(&node->reapers)) != NULL) {
        nodes_forget(call);
        call_answer(call, -ENODEV);
    }
}
