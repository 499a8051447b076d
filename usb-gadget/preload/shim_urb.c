/* Transfers that a program submits and reaps later. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "usb-gadget/preload/shim_usb.h"

/* Only a control URB has a setup packet, and only one that is long enough. */
static int urb_request(const struct usbdevfs_urb *urb, struct preload_request *request)
{
    static const uint8_t none[SETUP_SIZE];
    bool has = urb->buffer != NULL && urb->buffer_length >= SETUP_SIZE;

    return translate_urb(urb, (uintptr_t)urb, has ? urb->buffer : none, request);
}

static bool urb_is_in(const struct usbdevfs_urb *urb)
{
    const uint8_t *setup = urb->buffer;

    return (urb->type == USBDEVFS_URB_TYPE_CONTROL ? setup[0] : urb->endpoint) & DIRECTION_IN;
}

static bool connect_urbs(struct shim_slot *slot)
{
    if (slot->urbs < 0 && !slot->gone) {
        slot->urbs = shim_usb_connect(slot);
    }
    return slot->urbs >= 0;
}

static int send_urb(struct shim_slot *slot, const struct usbdevfs_urb *urb,
                    struct preload_request *request)
{
    struct iovec parts[2] = {{request, sizeof *request},
                             {(uint8_t *)urb->buffer + translation_offset(urb),
                              translation_is_in(request) ? 0 : request->length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    long sent;

    do {
        sent = raw(SYS_sendmsg, slot->urbs, &message, MSG_NOSIGNAL);
    } while (sent == -EINTR);
    return sent < 0 ? -ENODEV : 0;
}

static bool is_writable(int fd)
{
    struct pollfd visible = {.fd = fd, .events = POLLOUT};
    const struct timespec now = {0};

    return raw(SYS_ppoll, &visible, 1, &now, NULL, 0) == 1;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)SHIM_REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Stays awake until the reply is there, for a moment at most: the program is about to sleep for it.
 */
static void await_reply(struct shim_slot *slot, int fd)
{
    if (!vigil_tries(&slot->vigil)) {
        return;
    }
    const uint64_t end = now_ns() + VIGIL_NS;
    bool there;
    do {
        there = is_writable(fd);
    } while (!there && now_ns() < end);
    vigil_ended(&slot->vigil, there);
}

int shim_urb_submit(struct shim_slot *slot, int fd, const struct usbdevfs_urb *urb)
{
    struct preload_request request;
    int result = urb_request(urb, &request);

    if (result == 0) {
        result = shim_usb_claim_for(slot, &request);
    }
    if (result < 0) {
        return result;
    }
    pthread_mutex_lock(&slot->lock);
    if (slot->in_flight >= PRELOAD_URBS_MAX) {
        result = -ENOMEM;
    } else if (slot->gone || !connect_urbs(slot)) {
        result = -ENODEV;
    } else {
        result = send_urb(slot, urb, &request);
    }
    slot->in_flight += result == 0;
    bool alone = slot->in_flight == 1;
    pthread_mutex_unlock(&slot->lock);
    if (result == 0 && alone && request.type == PRELOAD_CONTROL) {
        await_reply(slot, fd);
    }
    return result < 0 ? result : 0;
}

/* One reply, if there is one: the URB that has ended. Marks the slot when the server hung up. */
static struct usbdevfs_urb *receive_urb(struct shim_slot *slot)
{
    struct {
        struct preload_reply reply;
        uint8_t data[PRELOAD_DATA_MAX];
    } message;
    long length;

    do {
        length = raw(SYS_recvfrom, slot->urbs, &message, sizeof message,
                     slot->leaving ? 0 : MSG_DONTWAIT, NULL, NULL);
    } while (length == -EINTR || length == -ECONNRESET);
    if (length < (long)sizeof message.reply) {
        slot->gone = slot->gone || length != -EAGAIN;
        return NULL;
    }
    struct usbdevfs_urb *urb = (struct usbdevfs_urb *)(uintptr_t)message.reply.tag;
    urb->status = message.reply.result;
    urb->actual_length = (int)message.reply.actual;
    urb->error_count = 0;
    if (urb_is_in(urb) && length > (long)sizeof message.reply) {
        memcpy((uint8_t *)urb->buffer + translation_offset(urb), message.data,
               (size_t)length - sizeof message.reply);
    }
    slot->leaving = slot->leaving || urb->status == -ESHUTDOWN;
    slot->in_flight -= slot->in_flight > 0;
    slot->token = false; /* the server took it when it had sent this */
    return urb;
}

static void put_token(struct shim_slot *slot, int fd)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];

    (void)raw(SYS_sendto, fd, token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    slot->token = true;
}

/* The next URB that has ended. When there is none the visible socket is made unwritable, so that
 * the program's poll sleeps. */
static struct usbdevfs_urb *reap_now(struct shim_slot *slot, int fd)
{
    struct usbdevfs_urb *urb = NULL;

    if (slot->urbs >= 0) {
        urb = receive_urb(slot);
    } else if (shim_hung_up(slot->calls[0])) {
        slot->gone = true;
    }
    /* A server that was slow to take the token after its last reply has taken our next one. */
    if (urb != NULL || (slot->token && !is_writable(fd))) {
        return urb;
    }
    put_token(slot, fd);
    urb = slot->in_flight > 0 && slot->urbs >= 0 ? receive_urb(slot) : NULL;
    if (urb != NULL && slot->in_flight > 0) {
        /* It ended in between; others may have too, and nothing would wake the program. */
        struct preload_request request = {.operation = PRELOAD_DRAIN};
        (void)raw(SYS_sendto, slot->urbs, &request, sizeof request, MSG_NOSIGNAL, NULL, 0);
    }
    return urb;
}

int shim_urb_reap(struct shim_slot *slot, int fd, bool wait, void **out)
{
    for (;;) {
        pthread_mutex_lock(&slot->lock);
        struct usbdevfs_urb *urb = reap_now(slot, fd);
        int connection = slot->urbs;
        pthread_mutex_unlock(&slot->lock);
        if (urb != NULL) {
            *out = urb;
            return 0;
        }
        if (slot->gone) {
            return -ENODEV;
        }
        if (!wait) {
            return -EAGAIN;
        }
        struct pollfd reply = {.fd = connection >= 0 ? connection : fd, .events = POLLIN};
        if (raw(SYS_ppoll, &reply, 1, NULL, NULL, 0) == -EINTR) {
            return -EINTR;
        }
    }
}

int shim_urb_discard(struct shim_slot *slot, const void *urb)
{
    struct preload_request request = {.operation = PRELOAD_DISCARD, .tag = (uintptr_t)urb};

    return shim_usb_call(slot, &request, NULL, 0, NULL, NULL);
}
