/*
 * DFU as a function on the device stack: one interface, two alternate settings, no endpoint but 0.
 * Source: device-os v0.4.4 usbd_dfu_core.c; v0.6.0 same.
 */
#include "dfu.h"
#include "engine.h"

/* The functional descriptor's type (DFU 1.1 §4.1.3). */
#define DESCRIPTOR_DFU_FUNCTIONAL 0x21

static void standard_request(struct photon *photon, const struct usb_setup *setup)
{
    struct usb_device *usb = &photon->usb;

    switch (setup->request) {
    case USB_GET_DESCRIPTOR:
        if (setup->value >> 8 == DESCRIPTOR_DFU_FUNCTIONAL) {
            dfu_functional_descriptor(photon, setup);
        } else {
            ep0_send_small(usb, "", 0);
        }
        break;
    case USB_GET_INTERFACE:
        ep0_send_small(usb, &photon->dfu.alternate, 1);
        break;
    case USB_SET_INTERFACE:
        if ((setup->value & 0xFF) < DFU_ALTERNATES) {
            photon->dfu.alternate = (uint8_t)setup->value;
            ep0_status(usb);
        } else {
            ep0_stall(usb);
        }
        break;
    default:
        break;
    }
}

static void interface(struct photon *photon, const struct usb_setup *setup)
{
    switch (setup->type & USB_TYPE_MASK) {
    case USB_TYPE_CLASS:
        dfu_setup(photon, setup);
        break;
    case USB_TYPE_STANDARD:
        standard_request(photon, setup);
        break;
    case USB_TYPE_VENDOR:
        if (photon->boot.quirks->microsoft_os) {
            (void)dfu_microsoft(photon, setup);
        }
        break;
    default:
        break;
    }
}

static enum usb_vendor vendor(struct photon *photon, const struct usb_setup *setup)
{
    if (!photon->boot.quirks->microsoft_os) {
        return USB_VENDOR_UNSEEN;
    }
    return dfu_microsoft(photon, setup) ? USB_VENDOR_DONE : USB_VENDOR_REFUSED;
}

static uint8_t interface_limit(const struct photon *photon)
{
    return photon->boot.quirks->interface_limit;
}

const struct usb_function dfu_function = {
    .get_descriptor = dfu_get_descriptor,
    .vendor = vendor,
    .interface_limit = interface_limit,
    .interface = interface,
    .configured = dfu_configured,
    .data = dfu_data,
    .data_sent = dfu_data_sent,
};
