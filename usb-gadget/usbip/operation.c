#include <stdio.h>
#include <string.h>

#include "usb-gadget/descriptor.h"
#include "usb-gadget/usbip/link.h"

/* Offsets in a device descriptor and a configuration descriptor (USB 2.0 §9.6). */
#define DEVICE_CONFIGURATIONS 17
#define CONFIG_INTERFACES     4

static void busid_of(const struct outlet *outlet, char busid[USBIP_BUSID_SIZE])
{
    snprintf(busid, USBIP_BUSID_SIZE, "%u-%u", USBIP_BUS, outlet->number);
}

static void describe(const struct outlet *outlet, const struct usb_identity *identity,
                     struct usbip_device *device)
{
    const uint8_t *descriptor = identity->device;

    *device = (struct usbip_device){
        .busnum = USBIP_BUS,
        .devnum = usbip_device_number(outlet),
        .speed = USBIP_FULL_SPEED,
        .vendor = descriptor_u16(descriptor + DEVICE_VENDOR),
        .product = descriptor_u16(descriptor + DEVICE_PRODUCT),
        .release = descriptor_u16(descriptor + DEVICE_RELEASE),
        .class = descriptor[DEVICE_CLASS],
        .subclass = descriptor[DEVICE_SUBCLASS],
        .protocol = descriptor[DEVICE_PROTOCOL],
        .configuration = identity->config[CONFIG_VALUE],
        .configurations = descriptor[DEVICE_CONFIGURATIONS],
        .interfaces = identity->config[CONFIG_INTERFACES],
    };
    /* No path leads to it; the name is what its user knows it by. */
    snprintf(device->path, sizeof device->path, "%s", outlet->name);
    busid_of(outlet, device->busid);
}

static void send_operation(struct usbip_connection *connection, uint16_t code, uint32_t status)
{
    const struct usbip_operation operation = {USBIP_VERSION, code, status};
    uint8_t bytes[USBIP_OPERATION_SIZE];

    usbip_operation_put(bytes, &operation);
    usbip_send(connection, bytes, sizeof bytes);
}

/* --- the list --- */

/* The first setting of each interface, as many as the device claims to have. */
static void send_interfaces(struct usbip_connection *connection,
                            const struct usb_identity *identity)
{
    const uint8_t *at = NULL;

    for (unsigned i = 0; i < identity->config[CONFIG_INTERFACES]; i++) {
        uint8_t bytes[USBIP_INTERFACE_SIZE] = {0};
        do {
            at = descriptor_next(identity->config, identity->config_length, at);
        } while (at != NULL &&
                 (at[DESCRIPTOR_TYPE] != DESCRIPTOR_INTERFACE || at[INTERFACE_ALTERNATE] != 0));
        if (at != NULL) {
            memcpy(bytes, at + INTERFACE_CLASS, 3);
        }
        usbip_send(connection, bytes, sizeof bytes);
        if (at == NULL) {
            at = identity->config + identity->config_length;
        }
    }
}

static void send_device(struct usbip_connection *connection, const struct outlet *outlet,
                        const struct usb_identity *identity)
{
    struct usbip_device device;
    uint8_t bytes[USBIP_DEVICE_SIZE];

    describe(outlet, identity, &device);
    usbip_device_put(bytes, &device);
    usbip_send(connection, bytes, sizeof bytes);
}

static const struct usb_identity *offered(struct outlet *outlet)
{
    return outlet_taken(outlet) ? NULL : outlet_identity(outlet);
}

void usbip_devlist(struct usbip_connection *connection)
{
    struct usbip_server *server = connection->server;
    uint8_t bytes[USBIP_COUNT_SIZE];
    uint32_t count = 0;

    for (size_t i = 0; i < server->count; i++) {
        count += offered(&server->outlets[i]) != NULL;
    }
    send_operation(connection, USBIP_REPLY_DEVLIST, USBIP_OK);
    usbip_count_put(bytes, count);
    usbip_send(connection, bytes, sizeof bytes);
    for (size_t i = 0; i < server->count; i++) {
        const struct usb_identity *identity = offered(&server->outlets[i]);
        if (identity != NULL) {
            send_device(connection, &server->outlets[i], identity);
            send_interfaces(connection, identity);
        }
    }
}

/* --- importing --- */

static struct outlet *find(struct usbip_server *server, const char *busid)
{
    for (size_t i = 0; i < server->count; i++) {
        char known[USBIP_BUSID_SIZE];
        busid_of(&server->outlets[i], known);
        if (strcmp(known, busid) == 0) {
            return &server->outlets[i];
        }
    }
    return NULL;
}

/* The board went, or went and came: this import is over. */
static void on_change(void *holder, struct outlet *outlet)
{
    (void)outlet;
    usbip_leave(holder);
}

enum usbip_status usbip_take(struct usbip_connection *connection, struct outlet *outlet)
{
    if (outlet == NULL || !root_port_attached(outlet->port)) {
        return USBIP_NO_DEVICE;
    }
    if (!outlet_take(outlet, on_change, connection)) {
        return USBIP_BUSY;
    }
    if (outlet_enumerate(outlet) == NULL) {
        outlet_give_back(outlet);
        return USBIP_DEVICE_ERROR;
    }
    connection->outlet = outlet;
    connection->generation = outlet->port->generation;
    flights_init(&connection->flights, outlet->port, connection, USBIP_URBS_MAX,
                 USBIP_CONNECTION_MAX);
    connection->flights.shared = &connection->server->memory;
    connection->flights.shared_max = USBIP_SERVER_MAX;
    return USBIP_OK;
}

bool usbip_import(struct usbip_connection *connection, const char *busid)
{
    struct outlet *outlet = find(connection->server, busid);
    enum usbip_status status = usbip_take(connection, outlet);

    send_operation(connection, USBIP_REPLY_IMPORT, status);
    if (status == USBIP_OK) {
        send_device(connection, outlet, outlet_identity(outlet));
    }
    return status == USBIP_OK;
}
