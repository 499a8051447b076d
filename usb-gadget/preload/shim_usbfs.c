/* usbfs for programs: what a device node answers. */
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

/* USBDEVFS_CONTROL moves a page at most. */
#define CONTROL_MAX  4096
#define SETUP_SIZE   8
#define DIRECTION_IN 0x80
#define RECIPIENT    0x1F
#define TO_INTERFACE 1
#define TO_ENDPOINT  2
#define TYPE_MASK    0x60
#define TYPE_VENDOR  0x40
#define URB_FLAGS                                                                                  \
    (USBDEVFS_URB_SHORT_NOT_OK | USBDEVFS_URB_ISO_ASAP | USBDEVFS_URB_BULK_CONTINUATION |          \
     USBDEVFS_URB_NO_FSBR | USBDEVFS_URB_ZERO_PACKET | USBDEVFS_URB_NO_INTERRUPT)
#define CAPABILITIES                                                                               \
    (USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_REAP_AFTER_DISCONNECT | USBDEVFS_CAP_CONNINFO_EX)

static int fail(int error)
{
    errno = error;
    return -1;
}

/* The result of a call, as ioctl() gives it. */
static int answer(int result)
{
    return result < 0 ? fail(-result) : result;
}

/* --- connections of a handle --- */

/* A further connection to the server for the handle of a socket; -1 with errno. */
static int adopt(uint64_t inode, struct preload_handle_info *info)
{
    struct preload_request request = {
        .operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION, .tag = inode};
    size_t size = sizeof *info;
    int connection = shim_dial();

    if (connection < 0) {
        return -1;
    }
    int result = shim_exchange(connection, &request, NULL, 0, info, &size, NULL);
    if (result < 0 || size != sizeof *info) {
        (void)raw(SYS_close, connection);
        return fail(ENODEV);
    }
    return shim_hide(connection);
}

static int new_connection(struct shim_slot *slot)
{
    struct preload_handle_info info;
    int connection = adopt(slot->inode, &info);

    if (connection < 0) {
        slot->gone = true;
    }
    return connection;
}

/* A connection that nobody else uses, so that calls of several threads do not mix. */
static int take_connection(struct shim_slot *slot)
{
    int connection = -1;

    pthread_mutex_lock(&slot->lock);
    for (size_t i = 0; i < SHIM_CALLS && connection < 0; i++) {
        connection = slot->calls[i];
        slot->calls[i] = -1;
    }
    pthread_mutex_unlock(&slot->lock);
    return connection >= 0 ? connection : new_connection(slot);
}

static void give_connection(struct shim_slot *slot, int connection)
{
    pthread_mutex_lock(&slot->lock);
    for (size_t i = 0; i < SHIM_CALLS; i++) {
        if (slot->calls[i] < 0) {
            slot->calls[i] = connection;
            connection = -1;
            break;
        }
    }
    pthread_mutex_unlock(&slot->lock);
    shim_close_hidden(connection);
}

/* One request with its reply: 0 or more, or -errno. */
static int call(struct shim_slot *slot, struct preload_request *request, const void *out,
                size_t out_size, void *in, size_t *in_size)
{
    int connection = slot->gone ? -1 : take_connection(slot);

    if (connection < 0) {
        return -ENODEV;
    }
    int result = shim_exchange(connection, request, out, out_size, in, in_size, NULL);
    if (result == -ENODEV) {
        shim_close_hidden(connection);
        slot->gone = true;
    } else {
        give_connection(slot, connection);
    }
    return result;
}

static int simple_call(struct shim_slot *slot, uint16_t operation, uint32_t number, uint32_t length,
                       uint16_t flags)
{
    struct preload_request request = {
        .operation = operation, .number = number, .length = length, .flags = flags};

    return call(slot, &request, NULL, 0, NULL, NULL);
}

/* --- open --- */

int shim_usb_open(unsigned number, int flags)
{
    bool writable = (flags & O_ACCMODE) != O_RDONLY;
    struct preload_request request = {.operation = PRELOAD_OPEN,
                                      .version = PRELOAD_PROTOCOL_VERSION,
                                      .number = number,
                                      .flags = writable ? PRELOAD_WRITABLE : 0};
    int visible = -1;
    struct shim_slot *slot = shim_slot_new(SHIM_USB);

    if (slot == NULL) {
        return fail(EMFILE);
    }
    int connection = shim_dial();
    int result = -ENODEV;
    if (connection >= 0) {
        size_t size = sizeof slot->info;
        result = shim_exchange(connection, &request, NULL, 0, &slot->info, &size, &visible);
    }
    if (result < 0 || visible < 0) {
        if (connection >= 0) {
            (void)raw(SYS_close, connection);
        }
        shim_slot_free(slot);
        return fail(result < 0 ? -result : EMFILE);
    }
    slot->calls[0] = shim_hide(connection);
    slot->token = true;
    slot->inode = slot->info.inode;
    if (!(flags & O_CLOEXEC)) {
        (void)raw(SYS_fcntl, visible, F_SETFD, 0);
    }
    shim_slot_attach(slot, visible);
    return visible;
}

struct shim_slot *shim_usb_adopt(uint64_t inode)
{
    struct preload_handle_info info;
    int connection = adopt(inode, &info);

    if (connection < 0) {
        return NULL;
    }
    struct shim_slot *slot = shim_slot_new(SHIM_USB);
    if (slot == NULL) {
        shim_close_hidden(connection);
        return NULL;
    }
    slot->info = info;
    slot->calls[0] = connection;
    slot->inode = inode;
    return slot;
}

ssize_t shim_usb_read(struct shim_slot *slot, void *data, size_t size, off_t *position)
{
    const struct preload_handle_info *info = &slot->info;

    if (slot->gone) {
        return fail(ENODEV);
    }
    if (*position < 0 || *position >= (off_t)info->descriptors_length) {
        return 0;
    }
    size_t left = info->descriptors_length - (size_t)*position;
    size = size < left ? size : left;
    memcpy(data, info->descriptors + *position, size);
    *position += (off_t)size;
    return (ssize_t)size;
}

/* --- claims --- */

/* The interface of an endpoint, in any of its settings; -1 when there is none. */
static int interface_of_endpoint(const struct shim_slot *slot, uint8_t address)
{
    const uint8_t *all = slot->info.descriptors;
    size_t length = slot->info.descriptors_length;
    int interface = -1;

    for (size_t at = all[0]; at + 2 <= length && all[at] >= 2 && at + all[at] <= length;
         at += all[at]) {
        if (all[at + 1] == 4 && all[at] >= 9) {
            interface = all[at + 2];
        } else if (all[at + 1] == 5 && all[at] >= 7 && all[at + 2] == address) {
            return interface;
        }
    }
    return -1;
}

static int claim(struct shim_slot *slot, uint32_t number, uint16_t flags)
{
    if (number >= 64) {
        return -EINVAL;
    }
    int result = simple_call(slot, PRELOAD_CLAIM, number, 0, flags);
    if (result >= 0) {
        slot->claimed |= UINT64_C(1) << number;
    }
    return result;
}

/* The kernel claims what a transfer needs, and a program wants to hear at once when it cannot. */
static int claim_for_transfer(struct shim_slot *slot, bool control, uint8_t endpoint,
                              const uint8_t *setup)
{
    int interface = -1;

    if (!control) {
        interface = interface_of_endpoint(slot, endpoint);
        if (interface < 0) {
            return -ENOENT;
        }
    } else if ((setup[0] & TYPE_MASK) == TYPE_VENDOR) {
        return 0;
    } else if ((setup[0] & RECIPIENT) == TO_INTERFACE) {
        interface = setup[4];
    } else if ((setup[0] & RECIPIENT) == TO_ENDPOINT && (setup[4] & ~DIRECTION_IN) != 0) {
        interface = interface_of_endpoint(slot, setup[4]);
        if (interface < 0) {
            interface = interface_of_endpoint(slot, setup[4] ^ DIRECTION_IN);
        }
    }
    if (interface < 0 || (interface < 64 && (slot->claimed >> interface & 1))) {
        return 0;
    }
    return claim(slot, (uint32_t)interface, 0);
}

static int release(struct shim_slot *slot, uint32_t number)
{
    if (number >= 64) {
        return -EINVAL;
    }
    slot->claimed &= ~(UINT64_C(1) << number);
    return simple_call(slot, PRELOAD_RELEASE, number, 0, 0);
}

static int disconnect_claim(struct shim_slot *slot, const struct usbdevfs_disconnect_claim *what)
{
    char driver[USBDEVFS_MAXDRIVERNAME + 1] = "";
    size_t size = sizeof driver - 1;
    struct preload_request request = {.operation = PRELOAD_GET_DRIVER, .number = what->interface};
    int result = call(slot, &request, NULL, 0, driver, &size);

    if (result >= 0) {
        bool same = strncmp(what->driver, driver, sizeof what->driver) == 0;
        if ((what->flags & USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER && !same) ||
            (what->flags & USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER && same)) {
            return -EBUSY;
        }
        result = simple_call(slot, PRELOAD_DETACH, what->interface, 0, 0);
    }
    return result < 0 && result != -ENODATA ? result
                                            : claim(slot, what->interface, PRELOAD_CLAIM_EVICTS);
}

static int get_driver(struct shim_slot *slot, struct usbdevfs_getdriver *what)
{
    struct preload_request request = {.operation = PRELOAD_GET_DRIVER, .number = what->interface};
    char driver[sizeof what->driver] = "";
    size_t size = sizeof driver - 1;
    int result = call(slot, &request, NULL, 0, driver, &size);

    if (result < 0) {
        return result;
    }
    memcpy(what->driver, driver, sizeof driver);
    return 0;
}

static int driver_ioctl(struct shim_slot *slot, const struct usbdevfs_ioctl *what)
{
    if (what->ioctl_code == (int)USBDEVFS_DISCONNECT) {
        return simple_call(slot, PRELOAD_DETACH, (uint32_t)what->ifno, 0, 0);
    }
    if (what->ioctl_code == (int)USBDEVFS_CONNECT) {
        return 0; /* there is no driver that would take it */
    }
    return -ENOTTY;
}

/* --- transfers that a program waits for --- */

static int control(struct shim_slot *slot, const struct usbdevfs_ctrltransfer *what)
{
    struct preload_request request = {.operation = PRELOAD_CALL,
                                      .type = PRELOAD_CONTROL,
                                      .number = what->timeout,
                                      .length = what->wLength};
    bool in = what->bRequestType & DIRECTION_IN;
    size_t in_size = in ? what->wLength : 0;

    if (what->wLength > CONTROL_MAX) {
        return -EINVAL;
    }
    memcpy(request.setup, what, SETUP_SIZE);
    int result = claim_for_transfer(slot, true, 0, request.setup);
    if (result < 0) {
        return result;
    }
    return call(slot, &request, what->data, in ? 0 : what->wLength, what->data, &in_size);
}

static int bulk(struct shim_slot *slot, const struct usbdevfs_bulktransfer *what)
{
    struct preload_request request = {.operation = PRELOAD_CALL,
                                      .type = PRELOAD_BULK,
                                      .endpoint = (uint8_t)what->ep,
                                      .number = what->timeout,
                                      .length = what->len};
    bool in = what->ep & DIRECTION_IN;
    size_t in_size = in ? what->len : 0;

    if (what->len > PRELOAD_DATA_MAX) {
        return -ENOMEM;
    }
    int result = claim_for_transfer(slot, false, (uint8_t)what->ep, NULL);
    if (result < 0) {
        return result;
    }
    return call(slot, &request, what->data, in ? 0 : what->len, what->data, &in_size);
}

/* --- URBs --- */

/* What an URB moves, behind the setup packet; -errno when it is not well made. */
static int urb_request(const struct usbdevfs_urb *urb, struct preload_request *request)
{
    const uint8_t *setup = urb->buffer;
    uint16_t flags = 0;

    if ((urb->flags & ~(unsigned)URB_FLAGS) != 0 || urb->buffer_length < 0 ||
        (urb->buffer_length > 0 && urb->buffer == NULL)) {
        return -EINVAL;
    }
    flags |= urb->flags & USBDEVFS_URB_SHORT_NOT_OK ? PRELOAD_SHORT_NOT_OK : 0;
    flags |= urb->flags & USBDEVFS_URB_ZERO_PACKET ? PRELOAD_ZERO_PACKET : 0;
    *request = (struct preload_request){.operation = PRELOAD_SUBMIT,
                                        .endpoint = urb->endpoint,
                                        .flags = flags,
                                        .length = (uint32_t)urb->buffer_length,
                                        .tag = (uintptr_t)urb};
    switch (urb->type) {
    case USBDEVFS_URB_TYPE_CONTROL:
        if ((urb->endpoint & ~DIRECTION_IN) != 0 || urb->buffer_length < SETUP_SIZE) {
            return -EINVAL;
        }
        request->type = PRELOAD_CONTROL;
        request->length = setup[6] | (uint32_t)setup[7] << 8;
        memcpy(request->setup, setup, SETUP_SIZE);
        if (request->length + SETUP_SIZE > (uint32_t)urb->buffer_length) {
            return -EINVAL;
        }
        break;
    case USBDEVFS_URB_TYPE_BULK:
        request->type = PRELOAD_BULK;
        break;
    case USBDEVFS_URB_TYPE_INTERRUPT:
        request->type = PRELOAD_INTERRUPT;
        break;
    default:
        return -EINVAL; /* no Photon has isochronous endpoints */
    }
    return request->length > PRELOAD_DATA_MAX ? -ENOMEM : 0;
}

static bool urb_is_in(const struct usbdevfs_urb *urb)
{
    const uint8_t *setup = urb->buffer;

    return (urb->type == USBDEVFS_URB_TYPE_CONTROL ? setup[0] : urb->endpoint) & DIRECTION_IN;
}

static size_t urb_offset(const struct usbdevfs_urb *urb)
{
    return urb->type == USBDEVFS_URB_TYPE_CONTROL ? SETUP_SIZE : 0;
}

static bool connect_urbs(struct shim_slot *slot)
{
    if (slot->urbs < 0 && !slot->gone) {
        slot->urbs = new_connection(slot);
    }
    return slot->urbs >= 0;
}

static int send_urb(struct shim_slot *slot, const struct usbdevfs_urb *urb,
                    struct preload_request *request)
{
    struct iovec parts[2] = {
        {request, sizeof *request},
        {(uint8_t *)urb->buffer + urb_offset(urb), urb_is_in(urb) ? 0 : request->length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    long sent;

    do {
        sent = raw(SYS_sendmsg, slot->urbs, &message, MSG_NOSIGNAL);
    } while (sent == -EINTR);
    return sent < 0 ? -ENODEV : 0;
}

static int submit(struct shim_slot *slot, const struct usbdevfs_urb *urb)
{
    struct preload_request request;
    int result = urb_request(urb, &request);

    if (result == 0) {
        result =
            claim_for_transfer(slot, request.type == PRELOAD_CONTROL, urb->endpoint, request.setup);
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
    pthread_mutex_unlock(&slot->lock);
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
        length = raw(SYS_recvfrom, slot->urbs, &message, sizeof message, MSG_DONTWAIT, NULL, NULL);
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
        memcpy((uint8_t *)urb->buffer + urb_offset(urb), message.data,
               (size_t)length - sizeof message.reply);
    }
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

static bool is_writable(int fd)
{
    struct pollfd visible = {.fd = fd, .events = POLLOUT};
    const struct timespec now = {0};

    return raw(SYS_ppoll, &visible, 1, &now, NULL, 0) == 1;
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

static int reap(struct shim_slot *slot, int fd, bool wait, void **out)
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

static int discard(struct shim_slot *slot, const void *urb)
{
    struct preload_request request = {.operation = PRELOAD_DISCARD, .tag = (uintptr_t)urb};

    return call(slot, &request, NULL, 0, NULL, NULL);
}

/* --- ioctl --- */

static int set_interface(struct shim_slot *slot, const struct usbdevfs_setinterface *what)
{
    int result = simple_call(slot, PRELOAD_SET_INTERFACE, what->interface, what->altsetting, 0);

    if (result >= 0 && what->interface < 64) {
        slot->claimed |= UINT64_C(1) << what->interface;
    }
    return result;
}

static int set_configuration(struct shim_slot *slot, unsigned value)
{
    return simple_call(slot, PRELOAD_SET_CONFIGURATION, value == ~0U ? 0 : value, 0, 0);
}

static int reset(struct shim_slot *slot)
{
    slot->claimed = 0;
    return simple_call(slot, PRELOAD_RESET, 0, 0, 0);
}

static int connect_info(const struct shim_slot *slot, struct usbdevfs_connectinfo *out)
{
    *out = (struct usbdevfs_connectinfo){.devnum = slot->info.number};
    return 0;
}

/* The caller's structure may be shorter or longer than ours. */
static int connect_info_ex(const struct shim_slot *slot, unsigned long request, void *out)
{
    struct usbdevfs_conninfo_ex info = {
        .size = sizeof info,
        .busnum = PRELOAD_BUS,
        .devnum = slot->info.number,
        .speed = slot->info.speed,
        .num_ports = slot->info.position != 0 ? 1 : 0,
        .ports = {(uint8_t)slot->info.position},
    };
    size_t size = _IOC_SIZE(request);

    memset(out, 0, size);
    memcpy(out, &info, size < sizeof info ? size : sizeof info);
    return 0;
}

/* 0 or more, or -errno. */
static int usb_ioctl(struct shim_slot *slot, int fd, unsigned long request, void *argument)
{
    const unsigned *number = argument;

    if (_IOC_NR(request) == _IOC_NR(USBDEVFS_CONNINFO_EX(0)) &&
        request == USBDEVFS_CONNINFO_EX(_IOC_SIZE(request))) {
        return slot->gone ? -ENODEV : connect_info_ex(slot, request, argument);
    }
    switch (request) {
    case USBDEVFS_REAPURB:
        return reap(slot, fd, true, argument);
    case USBDEVFS_REAPURBNDELAY:
        return reap(slot, fd, false, argument);
    default:
        break;
    }
    if (slot->gone) {
        return -ENODEV;
    }
    switch (request) {
    case USBDEVFS_CONTROL:
        return control(slot, argument);
    case USBDEVFS_BULK:
        return bulk(slot, argument);
    case USBDEVFS_SUBMITURB:
        return submit(slot, argument);
    case USBDEVFS_DISCARDURB:
        return discard(slot, argument);
    case USBDEVFS_RESETEP:
        return simple_call(slot, PRELOAD_RESET_ENDPOINT, *number, 0, 0);
    case USBDEVFS_CLEAR_HALT:
        return simple_call(slot, PRELOAD_CLEAR_HALT, *number, 0, 0);
    case USBDEVFS_SETINTERFACE:
        return set_interface(slot, argument);
    case USBDEVFS_SETCONFIGURATION:
        return set_configuration(slot, *number);
    case USBDEVFS_GETDRIVER:
        return get_driver(slot, argument);
    case USBDEVFS_CLAIMINTERFACE:
        return claim(slot, *number, 0);
    case USBDEVFS_RELEASEINTERFACE:
        return release(slot, *number);
    case USBDEVFS_DISCONNECT_CLAIM:
        return disconnect_claim(slot, argument);
    case USBDEVFS_IOCTL:
        return driver_ioctl(slot, argument);
    case USBDEVFS_RESET:
        return reset(slot);
    case USBDEVFS_CONNECTINFO:
        return connect_info(slot, argument);
    case USBDEVFS_GET_SPEED:
        return (int)slot->info.speed;
    case USBDEVFS_GET_CAPABILITIES:
        *(uint32_t *)argument = CAPABILITIES;
        return 0;
    default:
        return -ENOTTY;
    }
}

int shim_usb_ioctl(struct shim_slot *slot, int fd, unsigned long request, void *argument)
{
    int error = errno;

    if (!(slot->info.flags & PRELOAD_WRITABLE)) {
        return fail(EPERM);
    }
    int result = answer(usb_ioctl(slot, fd, request, argument));
    if (result >= 0) {
        errno = error;
    }
    return result;
}

/* A socket that usbfs is asked of is a handle that came by dup, exec or a message. */
static struct shim_slot *unknown_slot(int fd)
{
    struct stat status;

    if (fd < 0 || raw(SYS_fstat, fd, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return NULL;
    }
    int error = errno;
    struct shim_slot *slot = shim_slot_by_inode(status.st_ino);
    slot = slot != NULL ? slot : shim_usb_adopt(status.st_ino);
    if (slot != NULL) {
        shim_slot_attach(slot, fd);
    }
    errno = error;
    return slot;
}

SHIM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (_IOC_TYPE(request) == 'U' && shim_active()) {
        struct shim_slot *slot = shim_slot(fd, SHIM_USB);
        slot = slot != NULL ? slot : unknown_slot(fd);
        if (slot != NULL && slot->kind == SHIM_USB) {
            return shim_usb_ioctl(slot, fd, request, argument);
        }
    }
    int result;
    if (_IOC_TYPE(request) == 'T' && shim_active() &&
        shim_tty_ioctl(fd, request, argument, &result)) {
        return result;
    }
    return (int)raw_errno(SYS_ioctl, fd, request, argument);
}
