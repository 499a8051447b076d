/* Transfers that a program submits and reaps later. */
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

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

/* --- asking --- */

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

static void say(const struct shim_slot *slot, uint16_t operation)
{
    struct preload_request request = {.operation = operation};

    (void)raw(SYS_sendto, slot->urbs, &request, sizeof request, MSG_NOSIGNAL, NULL, 0);
}

/* Whether the server can work while this thread waits awake; it leaves when it finds that it
 * cannot. */
static bool has_cpu(const struct shim_slot *slot)
{
    if (slot->box == NULL) {
        return true;
    }
    uint32_t cpu = (uint32_t)(sched_getcpu() + 1);
    atomic_store_explicit(&slot->box->client_cpu, cpu, memory_order_relaxed);
    return atomic_load_explicit(&slot->box->server_cpu, memory_order_relaxed) != cpu;
}

static bool is_attended(const struct shim_slot *slot)
{
    return atomic_load(&slot->box->attended) != 0;
}

/* A control transfer by itself goes into the box while the server looks at it, unless somebody must
 * see by a socket that it has ended. */
static bool fits_box(struct shim_slot *slot, const struct preload_request *request)
{
    return slot->box != NULL && slot->in_flight == 0 && slot->waiting == 0 && !slot->watched &&
           request->type == PRELOAD_CONTROL && is_attended(slot) && has_cpu(slot) &&
           vigil_tries(&slot->vigil);
}

static void put_in_box(struct shim_slot *slot, const struct usbdevfs_urb *urb,
                       const struct preload_request *request)
{
    struct preload_box *box = slot->box;

    box->request = *request;
    box->request.flags |= slot->token ? PRELOAD_TOKEN : 0;
    if (!translation_is_in(request)) {
        memcpy(box->data, (uint8_t *)urb->buffer + translation_offset(urb), request->length);
    }
    slot->turn = box_number(box_turn(slot->turn + 1, BOX_FREE));
    slot->turn += slot->turn == 0;
    slot->boxed = true;
    atomic_store(&box->turn, box_turn(slot->turn, BOX_ASKED));
    if (!is_attended(slot)) {
        say(slot, PRELOAD_KNOCK);
    }
}

static bool is_writable(int fd)
{
    struct pollfd visible = {.fd = fd, .events = POLLOUT};
    const struct timespec now = {0};

    return raw(SYS_ppoll, &visible, 1, &now, NULL, 0) == 1;
}

/* Stays awake until the reply is there, for a moment at most: the program is about to sleep for it.
 */
static void await_reply(struct shim_slot *slot, int fd)
{
    const uint64_t end = shim_now_ns() + VIGIL_NS;
    bool there;

    do {
        there = is_writable(fd);
    } while (!there && shim_now_ns() < end);
    vigil_ended(&slot->vigil, there);
}

/* The same for a reply that comes by the box. Then it is to come by the socket. */
static void await_box(struct shim_slot *slot, uint32_t number)
{
    struct preload_box *box = slot->box;
    const uint64_t end = shim_now_ns() + VIGIL_NS;

    while (atomic_load(&box->turn) == box_turn(number, BOX_ASKED) && shim_now_ns() < end) {
        box_pause();
    }
    vigil_ended(&slot->vigil, !box_settle(box, number, BOX_LATE));
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
    uint32_t boxed = 0;
    if (slot->in_flight >= PRELOAD_URBS_MAX) {
        result = -ENOMEM;
    } else if (slot->gone || !shim_usb_connect_urbs(slot)) {
        result = -ENODEV;
    } else if (fits_box(slot, &request)) {
        put_in_box(slot, urb, &request);
        boxed = slot->turn;
        slot->looking++;
    } else {
        result = send_urb(slot, urb, &request);
    }
    slot->in_flight += result == 0;
    bool alone = slot->in_flight == 1;
    pthread_mutex_unlock(&slot->lock);
    if (boxed != 0) {
        await_box(slot, boxed);
        slot->looking--;
    } else if (result == 0 && alone && request.type == PRELOAD_CONTROL && has_cpu(slot) &&
               vigil_tries(&slot->vigil)) {
        await_reply(slot, fd);
    }
    return result < 0 ? result : 0;
}

/* --- reaping --- */

/* A reply has come, with `length` bytes of data: its URB. */
static struct usbdevfs_urb *end_urb(struct shim_slot *slot, const struct preload_reply *reply,
                                    const uint8_t *data, size_t length)
{
    struct usbdevfs_urb *urb = (struct usbdevfs_urb *)(uintptr_t)reply->tag;

    urb->status = reply->result;
    urb->actual_length = (int)reply->actual;
    urb->error_count = 0;
    if (urb_is_in(urb)) {
        memcpy((uint8_t *)urb->buffer + translation_offset(urb), data, length);
    }
    slot->leaving = slot->leaving || urb->status == -ESHUTDOWN;
    slot->in_flight -= slot->in_flight > 0;
    slot->token = false; /* the server took it when it had sent this */
    return urb;
}

/* Whether the reply is in the box. One that is not there yet comes by the socket. */
static bool is_answered(struct shim_slot *slot)
{
    bool answered = slot->boxed && !box_settle(slot->box, slot->turn, BOX_LATE) &&
                    box_state(atomic_load(&slot->box->turn)) == BOX_ANSWERED;

    slot->boxed = answered;
    return answered;
}

/* One reply, if there is one: the URB that has ended. Marks the slot when the server hung up. */
static struct usbdevfs_urb *receive_urb(struct shim_slot *slot)
{
    struct {
        struct preload_reply reply;
        uint8_t data[PRELOAD_DATA_MAX];
    } message;
    long length;

    if (is_answered(slot)) {
        slot->boxed = false;
        return end_urb(slot, &slot->box->reply, slot->box->data, slot->box->reply.actual);
    }
    do {
        length = raw(SYS_recvfrom, slot->urbs, &message, sizeof message,
                     slot->leaving ? 0 : MSG_DONTWAIT, NULL, NULL);
    } while (length == -EINTR || length == -ECONNRESET);
    if (length < (long)sizeof message.reply) {
        slot->gone = slot->gone || length != -EAGAIN;
        return NULL;
    }
    return end_urb(slot, &message.reply, message.data, (size_t)length - sizeof message.reply);
}

/* --- the token --- */

static void put_token(struct shim_slot *slot, int fd)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];

    (void)raw(SYS_sendto, fd, token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    slot->token = true;
    shim_debts -= slot->owes;
    slot->owes = false;
}

/* Nothing is in flight, and the next transfer may well end before the program polls. A program that
 * asks again has polled behind our back. */
static bool owe_token(struct shim_slot *slot, int fd)
{
    if (slot->in_flight > 0 || slot->watched || slot->owes) {
        return false;
    }
    slot->owes = true;
    slot->owes_to = fd;
    shim_debts++;
    return true;
}

static bool has_reply(const struct shim_slot *slot)
{
    struct pollfd reply = {.fd = slot->urbs, .events = POLLIN};
    const struct timespec now = {0};

    return slot->urbs >= 0 && raw(SYS_ppoll, &reply, 1, &now, NULL, 0) == 1;
}

/* A slot that somebody is busy with is left alone, for a signal handler may poll: a program that
 * wakes up in vain asks, finds nothing and then has its token. */
static void pay_token(struct shim_slot *slot)
{
    if (pthread_mutex_trylock(&slot->lock) != 0) {
        return;
    }
    if (slot->owes && !is_answered(slot) && !has_reply(slot)) {
        int fd = slot->owes_to;
        if (shim_slot(fd, SHIM_USB) == slot) {
            put_token(slot, fd);
        }
        if (has_reply(slot)) {
            say(slot, PRELOAD_DRAIN); /* it came in between */
        }
    }
    pthread_mutex_unlock(&slot->lock);
}

void shim_pay_tokens(void)
{
    int error = errno;

    shim_slots_owing(pay_token);
    errno = error;
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
    if (owe_token(slot, fd)) {
        return NULL;
    }
    put_token(slot, fd);
    urb = slot->in_flight > 0 && slot->urbs >= 0 ? receive_urb(slot) : NULL;
    if (urb != NULL) {
        slot->token = true; /* it ended in between, perhaps before the token was back */
    }
    if (urb != NULL && slot->in_flight > 0) {
        say(slot, PRELOAD_DRAIN); /* others may have, too, and nothing would wake the program */
    }
    return urb;
}

int shim_urb_reap(struct shim_slot *slot, int fd, bool wait, void **out)
{
    for (;;) {
        pthread_mutex_lock(&slot->lock);
        struct usbdevfs_urb *urb = reap_now(slot, fd);
        bool sleeps = urb == NULL && wait && shim_usb_connect_urbs(slot);
        int connection = slot->urbs;
        slot->waiting += sleeps;
        pthread_mutex_unlock(&slot->lock);
        if (urb != NULL) {
            *out = urb;
            return 0;
        }
        if (slot->gone) {
            return -ENODEV;
        }
        if (!sleeps) {
            return -EAGAIN;
        }
        struct pollfd reply = {.fd = connection, .events = POLLIN};
        long woken = raw(SYS_ppoll, &reply, 1, NULL, NULL, 0);
        pthread_mutex_lock(&slot->lock);
        slot->waiting--;
        pthread_mutex_unlock(&slot->lock);
        if (woken == -EINTR) {
            return -EINTR;
        }
    }
}

int shim_urb_discard(struct shim_slot *slot, const void *urb)
{
    struct preload_request request = {.operation = PRELOAD_DISCARD, .tag = (uintptr_t)urb};

    return shim_usb_call(slot, &request, NULL, 0, NULL, NULL);
}
