#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "usb-gadget/preload/link.h"
#include "usb-gadget/preload/tty.h"

/* What the kernel waits for its own control requests. */
#define REQUEST_TIMEOUT_MS 5000

#define RECIPIENT_MASK     0x1F
#define TO_INTERFACE       1
#define TO_ENDPOINT        2
#define TYPE_MASK          0x60
#define TYPE_VENDOR        0x40
#define DIRECTION_IN       0x80
#define ENDPOINT_XFER      0x03 /* bmAttributes: type of an endpoint */
#define XFER_BULK          2
#define XFER_INTERRUPT     3
#define REQUEST_SETUP(type, request, value, index)                                                 \
    {                                                                                              \
        (type), (request), (uint8_t)(value), (uint8_t)((value) >> 8), (uint8_t)(index), 0, 0, 0    \
    }

/* --- interfaces --- */

static struct usb_interface *interface_of(struct usb_device *device, uint32_t number)
{
    return device->configuration != 0 ? device_interface(device, number) : NULL;
}

static int claim(struct usb_handle *handle, uint32_t number)
{
    struct usb_interface *interface = interface_of(handle->device, number);

    if (interface == NULL) {
        return handle->device->configuration == 0 ? -EHOSTUNREACH : -ENOENT;
    }
    if (interface->owner != NULL && interface->owner != handle) {
        handle_sweep(handle->server, handle); /* it may have been closed just now */
    }
    if (interface->owner == handle) {
        return 0;
    }
    if (interface->owner != NULL || interface->driver != NULL) {
        return -EBUSY;
    }
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

void usbfs_release_all(struct usb_handle *handle)
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
    return interface->owner == handle ? 0 : claim(handle, interface->number);
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
        return interface != NULL ? check_interface(handle, interface) : claim(handle, index);
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
    urb->turn = connection->turn;
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
    if (request->type == PRELOAD_CONTROL) {
        attention_to_transfer(connection->server, connection);
    }
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

/* That it came has made the box be looked into. */
static bool knock(struct connection *connection, const struct preload_request *request,
                  const uint8_t *data, size_t length)
{
    (void)connection;
    (void)request;
    (void)data;
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
    int result = claim(handle, request->number);
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
            usbfs_release_all(other); /* usbfs knows nothing of resets, so the kernel unbinds it */
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

static int disconnect_claim(struct usb_handle *handle, const struct preload_request *request,
                            const uint8_t *driver, size_t length)
{
    const char *name;
    int result = driver_of(handle->device, request->number, &name);

    if (result == 0) {
        bool same = strlen(name) == length && memcmp(name, driver, length) == 0;
        if ((request->flags & PRELOAD_IF_DRIVER && !same) ||
            (request->flags & PRELOAD_EXCEPT_DRIVER && same)) {
            return -EBUSY;
        }
        result = detach(handle, request->number);
    }
    return result < 0 && result != -ENODATA ? result : claim(handle, request->number);
}

static bool disconnect_claim_request(struct connection *connection,
                                     const struct preload_request *request, const uint8_t *data,
                                     size_t length)
{
    connection_reply(connection, request->tag,
                     disconnect_claim(connection->handle, request, data, length), NULL, 0);
    return true;
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
        result = claim(handle, request->number);
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
        [PRELOAD_KNOCK] = knock,
        [PRELOAD_CLAIM] = simple_request,
        [PRELOAD_RELEASE] = simple_request,
        [PRELOAD_SET_INTERFACE] = set_interface,
        [PRELOAD_SET_CONFIGURATION] = set_configuration,
        [PRELOAD_CLEAR_HALT] = clear_halt,
        [PRELOAD_RESET_ENDPOINT] = simple_request,
        [PRELOAD_RESET] = simple_request,
        [PRELOAD_GET_DRIVER] = simple_request,
        [PRELOAD_DETACH] = simple_request,
        [PRELOAD_DISCONNECT_CLAIM] = disconnect_claim_request,
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
