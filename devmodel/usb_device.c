#include "usb_device.h"

#include <string.h>

#include "engine.h"

#define FEATURE_REMOTE_WAKEUP 1
#define STATUS_SELF_POWERED   1
#define STATUS_REMOTE_WAKEUP  2
#define CONFIGURATIONS        1

void usb_device_reset(struct usb_device *usb)
{
    bool attached = usb->attached;

    *usb = (struct usb_device){.attached = attached};
}

void usb_device_bus_reset(struct usb_device *usb)
{
    usb->state = USB_DEFAULT;
    usb->remote_wakeup = false;
    usb->setup_latched = false;
    usb->ep0.stage = EP0_NOTHING;
}

/* --- answers --- */

void ep0_stall(struct usb_device *usb)
{
    usb->ep0.stage = EP0_STALL;
    usb->ep0_was_stalled = true;
}

void ep0_nothing(struct usb_device *usb)
{
    usb->ep0.stage = EP0_NOTHING;
}

void ep0_status(struct usb_device *usb)
{
    usb->ep0.stage = EP0_STATUS_IN;
}

void ep0_send_padded(struct usb_device *usb, const void *data, uint32_t size, uint32_t length)
{
    usb->ep0.stage = EP0_DATA_IN;
    usb->ep0.data = data;
    usb->ep0.data_size = size;
    usb->ep0.total = length;
    usb->ep0.done = 0;
}

void ep0_send(struct usb_device *usb, const void *data, uint32_t length)
{
    ep0_send_padded(usb, data, length, length);
}

void ep0_send_small(struct usb_device *usb, const void *data, uint32_t length)
{
    if (length > sizeof(usb->ep0.small)) {
        length = sizeof(usb->ep0.small);
    }
    memcpy(usb->ep0.small, data, length);
    ep0_send(usb, usb->ep0.small, length);
}

void ep0_send_flash(struct usb_device *usb, uint32_t address, uint32_t length)
{
    ep0_send_padded(usb, NULL, 0, length);
    usb->ep0.address = address;
}

void ep0_receive(struct usb_device *usb, uint32_t length)
{
    usb->ep0.stage = EP0_DATA_OUT;
    usb->ep0.total = length;
    usb->ep0.done = 0;
}

static void configured(struct photon *photon, bool on)
{
    if (photon->usb.function->configured != NULL) {
        photon->usb.function->configured(photon, on);
    }
}

/* --- requests to the device: bRequest decides, whatever the type bits say --- */

static void device_get_descriptor(struct photon *photon, const struct usb_setup *setup)
{
    photon->usb.function->get_descriptor(photon, setup);
}

static void device_get_status(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;
    uint8_t status[2] = {STATUS_SELF_POWERED, 0};

    (void)setup;
    if (usb->state == USB_DEFAULT) {
        ep0_stall(usb);
        return;
    }
    status[0] |= usb->remote_wakeup ? STATUS_REMOTE_WAKEUP : 0;
    ep0_send_small(usb, status, sizeof(status));
}

static void device_clear_feature(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;

    if (usb->state == USB_DEFAULT) {
        ep0_stall(usb);
    } else if (setup->value == FEATURE_REMOTE_WAKEUP) {
        usb->remote_wakeup = false;
        ep0_status(usb);
    }
}

static void device_set_feature(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->value == FEATURE_REMOTE_WAKEUP) {
        photon->usb.remote_wakeup = true;
        ep0_status(&photon->usb);
    }
}

static void device_set_address(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;

    if (setup->index != 0 || setup->length != 0 || usb->state == USB_CONFIGURED) {
        ep0_stall(usb);
        return;
    }
    usb->state = (setup->value & 0x7F) != 0 ? USB_ADDRESSED : USB_DEFAULT;
    ep0_status(usb);
}

static void device_get_configuration(struct photon *photon, const struct usb_setup *setup)
{
    uint8_t configuration = photon->usb.state == USB_CONFIGURED ? 1 : 0;

    if (setup->length != 1 || photon->usb.state == USB_DEFAULT) {
        ep0_stall(&photon->usb);
    } else {
        ep0_send_small(&photon->usb, &configuration, 1);
    }
}

static void device_set_configuration(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;
    uint8_t configuration = (uint8_t)setup->value;

    if (configuration > CONFIGURATIONS || usb->state == USB_DEFAULT) {
        ep0_stall(usb);
        return;
    }
    ep0_status(usb);
    if (configuration != 0 && usb->state == USB_ADDRESSED) {
        usb->state = USB_CONFIGURED;
        configured(photon, true);
    } else if (configuration == 0 && usb->state == USB_CONFIGURED) {
        usb->state = USB_ADDRESSED;
        configured(photon, false);
    }
}

static void device_request(struct photon *photon, const struct usb_setup *setup)
{
    static const struct {
        enum usb_request request;
        void (*handle)(struct photon *photon, const struct usb_setup *setup);
    } handlers[] = {
        {USB_GET_STATUS, device_get_status},
        {USB_CLEAR_FEATURE, device_clear_feature},
        {USB_SET_FEATURE, device_set_feature},
        {USB_SET_ADDRESS, device_set_address},
        {USB_GET_DESCRIPTOR, device_get_descriptor},
        {USB_GET_CONFIGURATION, device_get_configuration},
        {USB_SET_CONFIGURATION, device_set_configuration},
    };

    if ((setup->type & USB_TYPE_MASK) == USB_TYPE_VENDOR) {
        switch (photon->usb.function->vendor(photon, setup)) {
        case USB_VENDOR_UNSEEN:
            break;
        case USB_VENDOR_REFUSED:
            ep0_stall(&photon->usb);
            return;
        case USB_VENDOR_DONE:
            return;
        }
    }
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (handlers[i].request == setup->request) {
            handlers[i].handle(photon, setup);
            return;
        }
    }
    ep0_stall(&photon->usb);
}

/* --- requests to an interface --- */

static void interface_request(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;

    if (usb->state != USB_CONFIGURED ||
        (setup->index & 0xFF) > usb->function->interface_limit(photon)) {
        ep0_stall(usb);
        return;
    }
    usb->function->interface(photon, setup);
    /* Without a data stage the stack queues the status packet by itself, whatever the handler did
     * but STALL. */
    if (setup->length == 0 && usb->ep0.stage != EP0_STALL) {
        ep0_status(usb);
    }
}

/* --- requests to an endpoint: by bRequest only, all types --- */

static uint32_t endpoint_bit(uint16_t index)
{
    return UINT32_C(1) << ((index & 0x0F) + ((index & 0x80) != 0 ? 16 : 0));
}

static void endpoint_request(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;
    uint32_t bit = endpoint_bit(setup->index);
    bool control = (setup->index & 0x0F) == 0;
    uint8_t status[2] = {0, 0};

    switch (setup->request) {
    case USB_GET_STATUS:
        status[0] = (control ? usb->ep0_was_stalled : (usb->halted & bit) != 0) ? 1 : 0;
        ep0_send_small(usb, status, sizeof(status));
        break;
    case USB_SET_FEATURE:
        usb->halted |= bit;
        ep0_status(usb);
        break;
    case USB_CLEAR_FEATURE:
        usb->halted &= ~bit;
        ep0_status(usb);
        break;
    default:
        break;
    }
}

/* --- transactions --- */

void usb_device_setup(struct photon *photon, const uint8_t packet[8])
{
    struct usb_setup *setup = &photon->usb.ep0.setup;

    setup->type = packet[0];
    setup->request = packet[1];
    setup->value = (uint16_t)(packet[2] | packet[3] << 8);
    setup->index = (uint16_t)(packet[4] | packet[5] << 8);
    setup->length = (uint16_t)(packet[6] | packet[7] << 8);
    photon->usb.ep0.stage = EP0_NOTHING;
    switch (setup->type & USB_RECIPIENT_MASK) {
    case USB_RECIPIENT_DEVICE:
        device_request(photon, setup);
        break;
    case USB_RECIPIENT_INTERFACE:
        interface_request(photon, setup);
        break;
    case USB_RECIPIENT_ENDPOINT:
        endpoint_request(photon, setup);
        break;
    default:
        ep0_stall(&photon->usb);
        break;
    }
}

/* One data packet from memory or flash; false when the CPU died on the way there. */
static bool fill_packet(struct photon *photon, void *data, size_t length)
{
    struct ep0 *ep0 = &photon->usb.ep0;

    if (ep0->data != NULL) {
        size_t there = ep0->done < ep0->data_size ? ep0->data_size - ep0->done : 0;

        there = there < length ? there : length;
        memcpy(data, ep0->data + ep0->done, there);
        memset((uint8_t *)data + there, 0, length - there);
        return true;
    }
    if (!flash_contains(ep0->address + ep0->done, length)) {
        engine_hang(photon, "read past the end of flash: bus fault");
        return false;
    }
    flash_read(photon->flash, ep0->address + ep0->done, data, length);
    return true;
}

/* Data that ends on a packet boundary before wLength needs an empty packet to say so. */
static bool owes_empty_packet(const struct ep0 *ep0)
{
    return ep0->total % BOARD_USB_PACKET == 0 && ep0->total > 0 && ep0->total < ep0->setup.length;
}

static enum usb_handshake ep0_in(struct photon *photon, void *data, size_t *length, bool *taken)
{
    struct ep0 *ep0 = &photon->usb.ep0;
    uint32_t left = ep0->total - ep0->done;
    size_t size = left < BOARD_USB_PACKET ? left : BOARD_USB_PACKET;

    switch (ep0->stage) {
    case EP0_DATA_IN:
        if (size > 0 && !fill_packet(photon, data, size)) {
            return USB_NAK;
        }
        *length = size;
        ep0->done += (uint32_t)size;
        if (ep0->done == ep0->total && (size < BOARD_USB_PACKET || !owes_empty_packet(ep0))) {
            ep0->stage = EP0_STATUS_OUT;
            *taken = true;
        }
        return USB_ACK;
    case EP0_STATUS_IN:
        ep0->stage = EP0_NOTHING;
        return USB_ACK;
    case EP0_STALL:
        return USB_STALL;
    default:
        return USB_NAK;
    }
}

static enum usb_handshake ep0_out(struct photon *photon, const void *data, size_t length)
{
    struct ep0 *ep0 = &photon->usb.ep0;

    switch (ep0->stage) {
    case EP0_DATA_OUT:
        if (!photon->usb.function->data(photon, data, length)) {
            return USB_NAK;
        }
        ep0->done += (uint32_t)length;
        if (ep0->done >= ep0->total) {
            ep0->stage = EP0_STATUS_IN;
            if (photon->usb.function->data_received != NULL) {
                photon->usb.function->data_received(photon);
            }
        }
        return USB_ACK;
    case EP0_STATUS_OUT:
        ep0->stage = EP0_NOTHING;
        return USB_ACK;
    case EP0_STALL:
        return USB_STALL;
    default:
        return USB_NAK;
    }
}

enum usb_handshake usb_device_in(struct photon *photon, uint8_t endpoint, void *data,
                                 size_t *length, bool *taken)
{
    const struct usb_function *function = photon->usb.function;

    *taken = false;
    if ((endpoint & 0x0F) == 0) {
        return ep0_in(photon, data, length, taken);
    }
    return function->in != NULL ? function->in(photon, endpoint, data, length) : USB_NAK;
}

enum usb_handshake usb_device_out(struct photon *photon, uint8_t endpoint, const void *data,
                                  size_t length)
{
    const struct usb_function *function = photon->usb.function;

    if ((endpoint & 0x0F) == 0) {
        return ep0_out(photon, data, length);
    }
    return function->out != NULL ? function->out(photon, endpoint, data, length) : USB_NAK;
}
