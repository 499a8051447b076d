#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usb-gadget/preload/link.h"
#include "usb-gadget/preload/tty.h"

/* What the kernel waits for its own control requests. */
#define REQUEST_TIMEOUT_MS 5000

/* USB_SPEED_* of linux/usb/ch9.h */
#define SPEED_FULL     2
#define SPEED_HIGH     3

#define RECIPIENT_MASK 0x1F
#define TO_INTERFACE   1
#define TO_ENDPOINT    2
#define TYPE_MASK      0x60
#define TYPE_VENDOR    0x40
#define DIRECTION_IN   0x80
#define ENDPOINT_XFER  0x03 /* bmAttributes: type of an endpoint */
#define XFER_BULK      2
#define XFER_INTERRUPT 3
#define REQUEST_SETUP(type, request, value, index)                                                 \
    {                                                                                              \
        (type), (request), (uint8_t)(value), (uint8_t)((value) >> 8), (uint8_t)(index), 0, 0, 0    \
    }

/* --- interfaces --- */

static struct usb_interface *interface_of(struct usb_device *device, uint32_t number)
{
    return device->configuration != 0 ? device_interface(device, number) : NULL;
}

static int claim(struct usb_handle *handle, uint32_t number, bool evict)
{
    struct usb_interface *interface = interface_of(handle->device, number);

    if (interface == NULL) {
        return handle->device->configuration == 0 ? -EHOSTUNREACH : -ENOENT;
    }
    if (interface->owner != NULL && interface->owner != handle) {
        usbfs_sweep(handle->server, handle); /* it may have been closed just now */
    }
    if (interface->owner == handle) {
        return 0;
    }
    if (interface->owner != NULL || (interface->driver != NULL && !evict)) {
        return -EBUSY;
    }
    tty_evict(handle->server, handle->device, interface);
    interface->driver = NULL;
    interface->owner = handle;
    return 0;
}

/* The kernel sets a released interface back to its first setting. */
static void note_default_setting(struct urb *urb)
{
    struct usb_setting *setting = device_setting(urb->device, urb->interface->number, 0);

    if (urb->reply.result == 0 && setting != NULL) {
        device_use_setting(urb->device, urb->interface, setting);
        tree_update_interface(&urb->server->tree, urb->device, urb->interface);
    }
}

static void cancel_interface(struct usb_handle *handle, const struct usb_interface *interface)
{
    struct connection *connection;

    TAILQ_FOREACH(connection, &handle->connections, entry_of_handle)
    {
        struct urb *urb, *next;
        for (urb = TAILQ_FIRST(&connection->urbs); urb != NULL; urb = next) {
            next = TAILQ_NEXT(urb, entry);
            if (urb->transfer.type != TRANSFER_CONTROL &&
                device_endpoint(handle->device, urb->transfer.endpoint, NULL) == interface) {
                urb->discarded = true;
                (void)urb_cancel(urb);
            }
        }
    }
}

static void release(struct usb_handle *handle, struct usb_interface *interface)
{
    const uint8_t setup[8] = REQUEST_SETUP(0x01, 11, 0, interface->number);
    struct urb *urb = NULL;

    cancel_interface(handle, interface);
    interface->owner = NULL;
    if (interface->setting->descriptor[INTERFACE_ALTERNATE] != 0) {
        urb = urb_request(handle->server, NULL, handle->device, setup);
    }
    if (urb != NULL) {
        urb->interface = interface;
        urb->ended = note_default_setting;
        urb_submit(urb, REQUEST_TIMEOUT_MS);
    }
}

static void release_all(struct usb_handle *handle)
{
    struct usb_device *device = handle->device;

    for (unsigned i = 0; device != NULL && i < device->interface_count; i++) {
        if (device->interfaces[i].owner == handle) {
            release(handle, &device->interfaces[i]);
        }
    }
}

/* Claims what a transfer needs, as the kernel does for programs that forgot. */
static int check_interface(struct usb_handle *handle, const struct usb_interface *interface)
{
    return interface->owner == handle ? 0 : claim(handle, interface->number, false);
}

static int check_control(struct usb_handle *handle, const uint8_t setup[8])
{
    struct usb_device *device = handle->device;
    const uint8_t index = setup[4];
    struct usb_interface *interface;

    if ((setup[0] & TYPE_MASK) == TYPE_VENDOR) {
        return 0;
    }
    switch (setup[0] & RECIPIENT_MASK) {
    case TO_INTERFACE:
        interface = interface_of(device, index);
        return interface != NULL ? check_interface(handle, interface) : claim(handle, index, false);
    case TO_ENDPOINT:
        if ((index & ~DIRECTION_IN) == 0) {
            return 0;
        }
        interface = device_endpoint(device, index, NULL);
        interface =
            interface != NULL ? interface : device_endpoint(device, index ^ DIRECTION_IN, NULL);
        return interface != NULL ? check_interface(handle, interface) : -ENOENT;
    default:
        return 0;
    }
}

/* A bulk transfer to an interrupt endpoint is an interrupt transfer, as in the kernel. */
static int check_transfer(struct usb_handle *handle, struct transfer *transfer)
{
    const uint8_t *endpoint = NULL;

    if (transfer->type == TRANSFER_CONTROL) {
        return check_control(handle, transfer->setup);
    }
    struct usb_interface *interface =
        device_endpoint(handle->device, transfer->endpoint, &endpoint);
    if (interface == NULL) {
        return -ENOENT;
    }
    unsigned kind = endpoint[ENDPOINT_ATTRIBUTES] & ENDPOINT_XFER;
    if (kind == XFER_INTERRUPT) {
        transfer->type = TRANSFER_INTERRUPT;
        transfer->interval = endpoint[ENDPOINT_INTERVAL];
    } else if (kind != XFER_BULK || transfer->type != TRANSFER_BULK) {
        return -EINVAL;
    }
    return check_interface(handle, interface);
}

/* --- transfers --- */

typedef bool request_handler(struct connection *connection, const struct preload_request *request,
                             const uint8_t *data, size_t length);

/* False when the message makes no sense. */
static bool transfer_request(struct connection *connection, const struct preload_request *request,
                             const uint8_t *data, size_t length)
{
    bool control = request->type == PRELOAD_CONTROL;
    bool is_in = (control ? request->setup[0] : request->endpoint) & DIRECTION_IN;

    if (request->type > PRELOAD_INTERRUPT || request->length > PRELOAD_DATA_MAX ||
        length != (is_in ? 0 : request->length) || connection->urb_count >= PRELOAD_URBS_MAX ||
        (control && device_u16(request->setup + 6) != request->length)) {
        return false;
    }
    struct usb_handle *handle = connection->handle;
    struct urb *urb = urb_new(connection->server, connection, handle->device, request->length);
    if (urb == NULL) {
        connection_reply(connection, request->tag, -ENOMEM, NULL, 0);
        connection_take_token(handle);
        return true;
    }
    urb->reply.tag = request->tag;
    urb->flags = request->flags;
    urb->is_in = is_in;
    urb->submitted = request->operation == PRELOAD_SUBMIT;
    urb->transfer.type = (enum transfer_type)request->type;
    urb->transfer.endpoint = control ? 0 : request->endpoint;
    urb->transfer.zero_packet =
        request->type == TRANSFER_BULK && !is_in && (request->flags & PRELOAD_ZERO_PACKET) != 0;
    memcpy(urb->transfer.setup, request->setup, sizeof urb->transfer.setup);
    memcpy(urb->data, data, length);

    int refused = check_transfer(handle, &urb->transfer);
    if (refused != 0) {
        urb_fail(urb, refused);
    } else {
        urb_submit(urb, urb->submitted ? 0 : request->number);
    }
    return true;
}

static bool submit(struct connection *connection, const struct preload_request *request,
                   const uint8_t *data, size_t length)
{
    connection->submits = true;
    connection->server->asked |= request->type == PRELOAD_CONTROL;
    return transfer_request(connection, request, data, length);
}

static bool discard(struct connection *connection, const struct preload_request *request,
                    const uint8_t *data, size_t length)
{
    struct connection *other;
    int result = -EINVAL;

    (void)data;
    TAILQ_FOREACH(other, &connection->handle->connections, entry_of_handle)
    {
        struct urb *urb;
        TAILQ_FOREACH(urb, &other->urbs, entry)
        {
            if (urb->submitted && urb->reply.tag == request->tag) {
                break;
            }
        }
        if (urb != NULL) {
            urb->discarded = true;
            result = urb_cancel(urb) ? 0 : -EINVAL;
            break;
        }
    }
    connection_reply(connection, request->tag, result, NULL, 0);
    return length == 0;
}

static bool drain(struct connection *connection, const struct preload_request *request,
                  const uint8_t *data, size_t length)
{
    (void)request;
    (void)data;
    connection_take_token(connection->handle);
    return length == 0;
}

/* --- interfaces and configurations --- */

/* A request of the link itself whose end answers the client. */
static struct urb *request_to_device(struct connection *connection,
                                     const struct preload_request *request, const uint8_t setup[8])
{
    struct urb *urb =
        connection->urb_count < PRELOAD_URBS_MAX
            ? urb_request(connection->server, connection, connection->handle->device, setup)
            : NULL;

    if (urb == NULL) {
        connection_reply(connection, request->tag, -ENOMEM, NULL, 0);
        return NULL;
    }
    urb->reply.tag = request->tag;
    return urb;
}

static void note_setting(struct urb *urb)
{
    struct usb_setting *setting = device_setting(urb->device, urb->interface->number, urb->value);

    if (urb->reply.result == 0) {
        device_use_setting(urb->device, urb->interface, setting);
        tree_update_interface(&urb->server->tree, urb->device, urb->interface);
    }
}

static bool set_interface(struct connection *connection, const struct preload_request *request,
                          const uint8_t *data, size_t length)
{
    const uint8_t setup[8] = REQUEST_SETUP(0x01, 11, request->length, request->number);
    struct usb_handle *handle = connection->handle;
    int result = claim(handle, request->number, false);
    struct urb *urb;

    (void)data;
    if (result == 0 && device_setting(handle->device, request->number, request->length) == NULL) {
        result = -EINVAL;
    }
    if (result != 0) {
        connection_reply(connection, request->tag, result, NULL, 0);
    } else if ((urb = request_to_device(connection, request, setup)) != NULL) {
        urb->interface = device_interface(handle->device, request->number);
        urb->value = request->length;
        urb->ended = note_setting;
        cancel_interface(handle, urb->interface);
        urb_submit(urb, REQUEST_TIMEOUT_MS);
    }
    return length == 0;
}

static void note_configuration(struct urb *urb)
{
    if (urb->reply.result != 0) {
        return;
    }
    device_use_configuration(urb->device, (uint8_t)urb->value);
    tree_update_configuration(&urb->server->tree, urb->device);
    for (unsigned i = 0; i < urb->device->interface_count; i++) {
        tree_update_interface(&urb->server->tree, urb->device, &urb->device->interfaces[i]);
    }
}

static int check_configuration(const struct usb_device *device, uint32_t value)
{
    if (value != 0 && value != device->identity.config[CONFIG_VALUE]) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < device->interface_count; i++) {
        if (device->interfaces[i].owner != NULL || device->interfaces[i].driver != NULL) {
            return -EBUSY;
        }
    }
    return 0;
}

static bool set_configuration(struct connection *connection, const struct preload_request *request,
                              const uint8_t *data, size_t length)
{
    const uint8_t setup[8] = REQUEST_SETUP(0x00, 9, request->number, 0);
    int result = check_configuration(connection->handle->device, request->number);
    struct urb *urb;

    (void)data;
    if (result != 0) {
        connection_reply(connection, request->tag, result, NULL, 0);
    } else if ((urb = request_to_device(connection, request, setup)) != NULL) {
        urb->value = request->number;
        urb->ended = note_configuration;
        urb_submit(urb, REQUEST_TIMEOUT_MS);
    }
    return length == 0;
}

/* The interface of an endpoint that a request is about; a negative errno when it may not. */
static int check_endpoint(struct usb_handle *handle, uint32_t address)
{
    struct usb_interface *interface = device_endpoint(handle->device, address, NULL);

    return interface != NULL ? check_interface(handle, interface) : -ENOENT;
}

static bool clear_halt(struct connection *connection, const struct preload_request *request,
                       const uint8_t *data, size_t length)
{
    const uint8_t setup[8] = REQUEST_SETUP(0x02, 1, 0, request->number);
    int result = check_endpoint(connection->handle, request->number);
    struct urb *urb;

    (void)data;
    if (result != 0) {
        connection_reply(connection, request->tag, result, NULL, 0);
    } else if ((urb = request_to_device(connection, request, setup)) != NULL) {
        urb_submit(urb, REQUEST_TIMEOUT_MS);
    }
    return length == 0;
}

static int reset(struct usb_handle *handle)
{
    struct usb_device *device = handle->device;
    struct usb_handle *other;

    if (device->port == NULL) {
        return -EISDIR;
    }
    TAILQ_FOREACH(other, &handle->server->handles, entry)
    {
        if (other->device == device) {
            release_all(other); /* usbfs knows nothing of resets, so the kernel unbinds it */
        }
    }
    if (!device_reset(device)) {
        server_replug(handle->server, device);
        return -ENODEV;
    }
    device->poll_due = 0;
    return 0;
}

/* --- what is answered at once --- */

static int driver_of(struct usb_device *device, uint32_t number, const char **name)
{
    const struct usb_interface *interface = interface_of(device, number);

    if (interface == NULL || (interface->owner == NULL && interface->driver == NULL)) {
        return -ENODATA;
    }
    *name = interface->owner != NULL ? "usbfs" : interface->driver;
    return 0;
}

static int detach(struct usb_handle *handle, uint32_t number)
{
    struct usb_interface *interface = interface_of(handle->device, number);

    if (interface == NULL) {
        return -EINVAL;
    }
    if (interface->owner != NULL) {
        release(interface->owner, interface);
    } else if (interface->driver != NULL) {
        tty_evict(handle->server, handle->device, interface);
        interface->driver = NULL;
    } else {
        return -ENODATA;
    }
    return 0;
}

static int release_request(struct usb_handle *handle, uint32_t number)
{
    struct usb_interface *interface = interface_of(handle->device, number);

    if (interface == NULL) {
        return -ENOENT;
    }
    if (interface->owner != handle) {
        return -EINVAL;
    }
    release(handle, interface);
    return 0;
}

static bool simple_request(struct connection *connection, const struct preload_request *request,
                           const uint8_t *data, size_t length)
{
    struct usb_handle *handle = connection->handle;
    const char *name = "";
    int result = 0;

    (void)data;
    switch (request->operation) {
    case PRELOAD_CLAIM:
        result = claim(handle, request->number, request->flags & PRELOAD_CLAIM_EVICTS);
        break;
    case PRELOAD_RELEASE:
        result = release_request(handle, request->number);
        break;
    case PRELOAD_RESET_ENDPOINT:
        result = check_endpoint(handle, request->number);
        break;
    case PRELOAD_RESET:
        result = reset(handle);
        break;
    case PRELOAD_GET_DRIVER:
        result = driver_of(handle->device, request->number, &name);
        break;
    default:
        result = detach(handle, request->number);
        break;
    }
    connection_reply(connection, request->tag, result, name, strlen(name));
    return length == 0;
}

bool usbfs_request(struct connection *connection, const struct preload_request *request,
                   const uint8_t *data, size_t length)
{
    static request_handler *const handlers[] = {
        [PRELOAD_SUBMIT] = submit,
        [PRELOAD_DISCARD] = discard,
        [PRELOAD_CALL] = transfer_request,
        [PRELOAD_DRAIN] = drain,
        [PRELOAD_CLAIM] = simple_request,
        [PRELOAD_RELEASE] = simple_request,
        [PRELOAD_SET_INTERFACE] = set_interface,
        [PRELOAD_SET_CONFIGURATION] = set_configuration,
        [PRELOAD_CLEAR_HALT] = clear_halt,
        [PRELOAD_RESET_ENDPOINT] = simple_request,
        [PRELOAD_RESET] = simple_request,
        [PRELOAD_GET_DRIVER] = simple_request,
        [PRELOAD_DETACH] = simple_request,
    };

    if (request->operation >= sizeof handlers / sizeof handlers[0] ||
        handlers[request->operation] == NULL) {
        return false;
    }
    if (connection->closing) {
        return true; /* unplugged: nobody answers any more */
    }
    return handlers[request->operation](connection, request, data, length);
}

/* --- handles --- */

void usbfs_close(struct usb_handle *handle)
{
    struct connection *connection;

    release_all(handle);
    while ((connection = TAILQ_FIRST(&handle->connections)) != NULL) {
        connection_close(connection);
    }
    TAILQ_REMOVE(&handle->server->handles, handle, entry);
    handle->server->handle_count--;
    if (handle->event != NULL) {
        event_free(handle->event);
    }
    close(handle->socket);
    free(handle);
}

static void on_handle(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    usbfs_close(context);
}

static bool watch(struct usb_handle *handle, short what)
{
    if (handle->event != NULL) {
        event_free(handle->event);
    }
    handle->event =
        event_new(handle->server->base, handle->socket, what | EV_PERSIST, on_handle, handle);
    return handle->event != NULL && event_add(handle->event, NULL) == 0;
}

void usbfs_sweep(struct preload_server *server, const struct usb_handle *keep)
{
    struct usb_handle *handle, *next;

    for (handle = TAILQ_FIRST(&server->handles); handle != NULL; handle = next) {
        struct pollfd hangup = {.fd = handle->socket};
        next = TAILQ_NEXT(handle, entry);
        if (handle != keep && poll(&hangup, 1, 0) == 1 && (hangup.revents & (POLLHUP | POLLERR))) {
            usbfs_close(handle);
        }
    }
}

/* Closing our end while the token lies in it makes the visible socket signal POLLERR, as usbfs
 * does for a device that is gone. So it waits for the token. */
static void hang_up(struct usb_handle *handle)
{
    uint8_t byte;

    if (recv(handle->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
        !watch(handle, EV_READ | EV_CLOSED)) {
        usbfs_close(handle);
    }
}

static bool has_ended(const struct usb_handle *handle)
{
    const struct connection *connection;

    TAILQ_FOREACH(connection, &handle->connections, entry_of_handle)
    {
        if (!TAILQ_EMPTY(&connection->ended)) {
            return true;
        }
    }
    return false;
}

static void lose(struct usb_handle *handle)
{
    struct connection *connection, *next;
    struct urb *urb;

    for (connection = TAILQ_FIRST(&handle->connections); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, entry_of_handle);
        /* A detach has ended them all; a device that changed in a reset has not. */
        while ((urb = TAILQ_FIRST(&connection->urbs)) != NULL && urb_cancel(urb)) {
        }
        connection_finish(connection);
    }
    handle->device = NULL;
    hang_up(handle);
}

void usbfs_unplug(struct preload_server *server, struct usb_device *device)
{
    struct usb_handle *handle, *next;

    /* Those first that nobody waits for. */
    for (int waited = 0; waited < 2; waited++) {
        for (handle = TAILQ_FIRST(&server->handles); handle != NULL; handle = next) {
            next = TAILQ_NEXT(handle, entry);
            if (handle->device == device && (waited == 1 || !has_ended(handle))) {
                lose(handle);
            }
        }
    }
}

/* The visible end, with the token in it; -1 with errno. */
static int make_sockets(struct usb_handle *handle)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    const int least = 1;
    int pair[2];
    struct stat status;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return -1;
    }
    handle->socket = pair[0];
    if (setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) != 0 ||
        send(pair[1], token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof token ||
        fstat(pair[1], &status) != 0 || !watch(handle, EV_CLOSED)) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    handle->inode = status.st_ino;
    return pair[1];
}

static void describe(const struct usb_handle *handle, struct preload_handle_info *info)
{
    const struct usb_device *device = handle->device;

    *info = (struct preload_handle_info){
        .inode = handle->inode,
        .number = device->number,
        .speed = device->port != NULL ? SPEED_FULL : SPEED_HIGH,
        .position = device->position,
        .flags = handle->writable ? PRELOAD_WRITABLE : 0,
    };
    info->descriptors_length = (uint32_t)device_descriptors(device, info->descriptors);
}

static void join(struct connection *connection, struct usb_handle *handle)
{
    connection->role = ROLE_HANDLE;
    connection->handle = handle;
    TAILQ_INSERT_TAIL(&handle->connections, connection, entry_of_handle);
}

/* Answers with the handle's description and its visible socket. */
static void send_handle(struct connection *connection, uint64_t tag, int visible)
{
    struct {
        struct preload_reply reply;
        struct preload_handle_info info;
    } answer = {.reply = {.tag = tag, .actual = sizeof answer.info}};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {&answer, sizeof answer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    describe(connection->handle, &answer.info);
    if (visible >= 0) {
        memcpy(CMSG_DATA(&control.head), &visible, sizeof visible);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    (void)sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void usbfs_open(struct connection *connection, const struct preload_request *request)
{
    struct preload_server *server = connection->server;

    usbfs_sweep(server, NULL);
    struct usb_device *device = server_device(server, request->number);
    struct usb_handle *handle = NULL;
    if (device != NULL && server->handle_count < LINK_HANDLES_MAX) {
        handle = calloc(1, sizeof *handle);
    }
    if (handle == NULL) {
        connection_reply(connection, request->tag, device == NULL ? -ENOENT : -ENOMEM, NULL, 0);
        return;
    }
    handle->server = server;
    handle->device = device;
    handle->writable = request->flags & PRELOAD_WRITABLE;
    TAILQ_INIT(&handle->connections);
    int visible = make_sockets(handle);
    if (visible < 0) {
        connection_reply(connection, request->tag, -errno, NULL, 0);
        free(handle);
        return;
    }
    TAILQ_INSERT_TAIL(&server->handles, handle, entry);
    server->handle_count++;
    join(connection, handle);
    send_handle(connection, request->tag, visible);
    close(visible);
}

void usbfs_adopt(struct connection *connection, const struct preload_request *request)
{
    struct usb_handle *handle;

    TAILQ_FOREACH(handle, &connection->server->handles, entry)
    {
        if (handle->inode == request->tag && handle->device != NULL) {
            join(connection, handle);
            send_handle(connection, request->tag, -1);
            return;
        }
    }
    connection_reply(connection, request->tag, -ENODEV, NULL, 0);
}
