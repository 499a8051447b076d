#include "usb-gadget/usbredir/describe.h"

#include <string.h>

#include "usb-gadget/descriptor.h"

#define ENDPOINT_IN     0x80
#define ENDPOINT_TYPE   0x03
#define MAX_PACKET_BITS 0x07FF

unsigned usbredir_slot(uint8_t endpoint)
{
    return (endpoint & 0x0Fu) + (endpoint & ENDPOINT_IN ? 16u : 0u);
}

static void add_interface(struct usb_redir_interface_info_header *interfaces, const uint8_t *at)
{
    const uint32_t slot = interfaces->interface_count;

    if (slot < USBREDIR_SLOTS) {
        interfaces->interface_count++;
        interfaces->interface[slot] = at[INTERFACE_NUMBER];
        interfaces->interface_class[slot] = at[INTERFACE_CLASS];
        interfaces->interface_subclass[slot] = at[INTERFACE_SUBCLASS];
        interfaces->interface_protocol[slot] = at[INTERFACE_PROTOCOL];
    }
}

static void add_endpoint(struct usb_redir_ep_info_header *endpoints, uint8_t interface,
                         const uint8_t *at)
{
    const unsigned slot = usbredir_slot(at[ENDPOINT_ADDRESS]);

    if ((at[ENDPOINT_ADDRESS] & 0x0F) == 0) {
        return; /* endpoint 0 has no descriptor */
    }
    endpoints->type[slot] = at[ENDPOINT_ATTRIBUTES] & ENDPOINT_TYPE;
    endpoints->interval[slot] = at[ENDPOINT_INTERVAL];
    endpoints->interface[slot] = interface;
    endpoints->max_packet_size[slot] = descriptor_u16(at + ENDPOINT_MAX_PACKET) & MAX_PACKET_BITS;
}

static void clear(struct usbredir_shape *shape)
{
    memset(&shape->interfaces, 0, sizeof shape->interfaces);
    memset(&shape->endpoints, 0, sizeof shape->endpoints);
    memset(shape->endpoints.type, usb_redir_type_invalid, sizeof shape->endpoints.type);
    for (unsigned slot = 0; slot < USBREDIR_SLOTS; slot += USBREDIR_SLOTS / 2) {
        shape->endpoints.type[slot] = usb_redir_type_control;
        shape->endpoints.max_packet_size[slot] = BOARD_USB_PACKET;
    }
}

void usbredir_describe(const struct usb_identity *identity, struct usbredir_shape *shape)
{
    const uint8_t *at = NULL;
    const uint8_t *interface = NULL; /* the present one, when its setting is in force */

    clear(shape);
    if (!shape->configured) {
        return;
    }
    while ((at = descriptor_next(identity->config, identity->config_length, at)) != NULL) {
        if (at[DESCRIPTOR_TYPE] == DESCRIPTOR_INTERFACE) {
            bool in_force = at[INTERFACE_NUMBER] < USBREDIR_SLOTS &&
                            shape->alternates[at[INTERFACE_NUMBER]] == at[INTERFACE_ALTERNATE];
            interface = in_force ? at : NULL;
            if (in_force) {
                add_interface(&shape->interfaces, at);
            }
        } else if (at[DESCRIPTOR_TYPE] == DESCRIPTOR_ENDPOINT && interface != NULL) {
            add_endpoint(&shape->endpoints, interface[INTERFACE_NUMBER], at);
        }
    }
}

void usbredir_describe_device(const struct usb_identity *identity,
                              struct usb_redir_device_connect_header *device)
{
    const uint8_t *bytes = identity->device;

    *device = (struct usb_redir_device_connect_header){
        .speed = usb_redir_speed_full,
        .device_class = bytes[DEVICE_CLASS],
        .device_subclass = bytes[DEVICE_SUBCLASS],
        .device_protocol = bytes[DEVICE_PROTOCOL],
        .vendor_id = descriptor_u16(bytes + DEVICE_VENDOR),
        .product_id = descriptor_u16(bytes + DEVICE_PRODUCT),
        .device_version_bcd = descriptor_u16(bytes + DEVICE_RELEASE),
    };
}
