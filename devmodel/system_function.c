/*
 * The running system on the device stack: a CDC-ACM port, from 0.6.0 with the control interface
 * beside it. Source: device-os v0.4.4 usbd_cdc_core.c, usbd_desc_stm32f2xx.c; v0.6.0-v2.2.0
 * usbd_composite.c, usbd_mcdc.c; 0.5.2 and 2.2.0 enumerated byte for byte.
 */
#include <string.h>

#include "descriptor.h"
#include "engine.h"

#define STRING_LANGUAGES     0
#define STRING_MANUFACTURER  1
#define STRING_PRODUCT       2
#define STRING_SERIAL        3
#define STRING_CONFIGURATION 4
#define STRING_INTERFACE     5
#define STRING_CONTROL       9
#define STRING_CDC           10

#define CONTROL_INTERFACE    2
#define CONTROL_GUID         "{20b6cfa4-6dc7-468a-a8db-faa7c23ddea5}"

/* A leftover of the HID example the class was made from. */
#define DESCRIPTOR_HID_REPORT 0x22
#define CONFIGURATION_HEADER  9
#define CONFIGURATION_VALUE   5 /* offset in the configuration descriptor */

static const uint8_t cdc_device[DESCRIPTOR_DEVICE_SIZE] = {
    0x12, 0x01, 0x00, 0x02, 0x02, 0x00, 0x00, 0x40, 0x04, 0x2B, 0x06, 0xC0, 0x00, 0x02, 1, 2, 3, 1};

static const uint8_t cdc_configuration[] = {
    0x09, 0x02, 0x43, 0x00, 0x02, 0x01, 0x00, 0xC0, 0x32, /* configuration */
    0x09, 0x04, 0x00, 0x00, 0x01, 0x02, 0x02, 0x01, 0x00, /* communication interface */
    0x05, 0x24, 0x00, 0x10, 0x01,                         /* CDC 1.10 */
    0x05, 0x24, 0x01, 0x00, 0x01,                         /* call management */
    0x04, 0x24, 0x02, 0x02,                               /* abstract control model */
    0x05, 0x24, 0x06, 0x00, 0x01,                         /* union */
    0x07, 0x05, 0x82, 0x03, 0x08, 0x00, 0x10,             /* interrupt IN */
    0x09, 0x04, 0x01, 0x00, 0x02, 0x0A, 0x00, 0x00, 0x00, /* data interface */
    0x07, 0x05, 0x01, 0x02, 0x40, 0x00, 0x00,             /* bulk OUT */
    0x07, 0x05, 0x81, 0x02, 0x40, 0x00, 0x00,             /* bulk IN */
};

static const uint8_t composite_device[DESCRIPTOR_DEVICE_SIZE] = {
    0x12, 0x01, 0x00, 0x02, 0xEF, 0x02, 0x01, 0x40, 0x04, 0x2B, 0x06, 0xC0, 0x50, 0x02, 1, 2, 3, 1};

static const uint8_t composite_configuration[] = {
    0x09,
    0x02,
    0x54,
    0x00,
    0x03,
    0x01,
    STRING_CONFIGURATION,
    0x80,
    0x32,
    0x08,
    0x0B,
    0x00,
    0x02,
    0x02,
    0x02,
    0x01,
    STRING_CDC, /* interface association */
    0x09,
    0x04,
    0x00,
    0x00,
    0x01,
    0x02,
    0x02,
    0x01,
    STRING_CDC,
    0x05,
    0x24,
    0x00,
    0x10,
    0x01,
    0x05,
    0x24,
    0x01,
    0x00,
    0x01,
    0x04,
    0x24,
    0x02,
    0x02,
    0x05,
    0x24,
    0x06,
    0x00,
    0x01,
    0x07,
    0x05,
    0x83,
    0x03,
    0x08,
    0x00,
    0x10,
    0x09,
    0x04,
    0x01,
    0x00,
    0x02,
    0x0A,
    0x00,
    0x00,
    STRING_CDC,
    0x07,
    0x05,
    0x01,
    0x02,
    0x40,
    0x00,
    0x10,
    0x07,
    0x05,
    0x81,
    0x02,
    0x40,
    0x00,
    0x00,
    0x09,
    0x04,
    CONTROL_INTERFACE,
    0x00,
    0x00,
    0xFF,
    0xFF,
    0xFF,
    STRING_CONTROL,
};

static bool composite(const struct photon *photon)
{
    return photon->system.quirks->composite;
}

/* --- descriptors --- */

static void send_configuration(struct photon *photon, const struct usb_setup *setup)
{
    uint8_t *copy = photon->usb.descriptor;

    if (!composite(photon)) {
        descriptor_send(photon, setup, cdc_configuration, sizeof(cdc_configuration));
        return;
    }
    memcpy(copy, composite_configuration, sizeof(composite_configuration));
    /* A second configuration is described though none is announced. */
    copy[CONFIGURATION_VALUE] = (uint8_t)((setup->value & 0xFF) + 1);
    descriptor_send(photon, setup, copy, sizeof(composite_configuration));
}

/* A string of a fixed text; NULL ends a table. */
struct fixed_string {
    uint8_t index;
    const char *text;
};
static const struct fixed_string cdc_strings[] = {{STRING_PRODUCT, "Photon with WiFi"},
                                                  {STRING_SERIAL, "00000000050C"},
                                                  {STRING_CONFIGURATION, "VCP Config"},
                                                  {STRING_INTERFACE, "VCP Interface"},
                                                  {0, NULL}};
static const struct fixed_string composite_strings[] = {
    {STRING_PRODUCT, "Photon"},
    {STRING_CONFIGURATION, "Composite"},
    {STRING_INTERFACE, ""},
    {STRING_CONTROL, "Photon Control Interface"},
    {0, NULL}};

/* False when the table has no such index. */
static bool send_fixed_string(struct photon *photon, const struct usb_setup *setup,
                              const struct fixed_string *table)
{
    for (; table->text != NULL; table++) {
        if (table->index == (setup->value & 0xFF)) {
            descriptor_send_text(photon, setup, table->text);
            return true;
        }
    }
    return false;
}

/* Strings beyond the fixed ones, where undefined ones are never answered. */
static void send_composite_string(struct photon *photon, const struct usb_setup *setup)
{
    uint8_t index = (uint8_t)setup->value;

    if (index == STRING_SERIAL) {
        descriptor_send_id(photon, setup, photon->system.quirks->upper_case_id);
    } else if (index == STRING_CDC && photon->usb.state == USB_CONFIGURED) {
        descriptor_send_text(photon, setup, "Photon Serial");
    } else if (index == MICROSOFT_OS) {
        microsoft_os_send_string(photon, setup);
    }
}

static void send_string(struct photon *photon, const struct usb_setup *setup)
{
    uint8_t index = (uint8_t)setup->value;

    if (index == STRING_LANGUAGES) {
        descriptor_send_languages(photon, setup);
    } else if (index == STRING_MANUFACTURER) {
        descriptor_send_text(photon, setup, photon->system.quirks->manufacturer);
    } else if (composite(photon)) {
        if (!send_fixed_string(photon, setup, composite_strings)) {
            send_composite_string(photon, setup);
        }
    } else if (!send_fixed_string(photon, setup, cdc_strings)) {
        system_crash(photon, "hard fault: no function behind string descriptors from 6 on");
    }
}

static void get_descriptor(struct photon *photon, const struct usb_setup *setup)
{
    switch (setup->value >> 8) {
    case DESCRIPTOR_DEVICE:
        descriptor_send_device(photon, setup, composite(photon) ? composite_device : cdc_device);
        break;
    case DESCRIPTOR_CONFIGURATION:
        send_configuration(photon, setup);
        break;
    case DESCRIPTOR_STRING:
        send_string(photon, setup);
        break;
    default:
        ep0_stall(&photon->usb);
        break;
    }
}

/* --- control requests --- */

static bool has_service(const struct photon *photon)
{
    return photon->system.quirks->control == USB_CONTROL_SERVICE;
}

static bool control_setup(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->request == CONTROL_RAW) {
        return control_raw_setup(photon, setup);
    }
    return has_service(photon) && control_service_setup(photon, setup);
}

void system_control_work(struct photon *photon)
{
    if (has_service(photon)) {
        control_service_work(photon);
    } else {
        control_raw_work(photon);
    }
}

/* The control transfer under way is one of theirs, not of the serial port. */
static bool under_control(const struct photon *photon)
{
    return (photon->usb.ep0.setup.type & USB_TYPE_MASK) == USB_TYPE_VENDOR;
}

/* --- requests --- */

static enum usb_vendor vendor(struct photon *photon, const struct usb_setup *setup)
{
    if (photon->system.quirks->control == USB_CONTROL_NONE) {
        return USB_VENDOR_UNSEEN;
    }
    if (microsoft_os_request(photon, setup, CONTROL_INTERFACE, CONTROL_GUID)) {
        return USB_VENDOR_DONE;
    }
    return control_setup(photon, setup) ? USB_VENDOR_DONE : USB_VENDOR_REFUSED;
}

static uint8_t interface_limit(const struct photon *photon)
{
    if (!composite(photon)) {
        return CONTROL_INTERFACE - 1;
    }
    /* Vendor requests are judged below: the Microsoft ones carry another number there. */
    return under_control(photon) ? UINT8_MAX : CONTROL_INTERFACE;
}

static void standard_request(struct photon *photon, const struct usb_setup *setup)
{
    static const uint8_t alternate = 0;

    switch (setup->request) {
    case USB_GET_DESCRIPTOR:
        if (setup->value >> 8 == DESCRIPTOR_HID_REPORT && !composite(photon)) {
            descriptor_send(photon, setup, cdc_configuration + CONFIGURATION_HEADER,
                            sizeof(cdc_configuration) - CONFIGURATION_HEADER);
        } else {
            ep0_send_small(&photon->usb, "", 0);
        }
        break;
    case USB_GET_INTERFACE:
        ep0_send_small(&photon->usb, &alternate, 1);
        break;
    case USB_SET_INTERFACE:
        if ((setup->value & 0xFF) != 0) {
            ep0_stall(&photon->usb);
        }
        break;
    default:
        break;
    }
}

/* The control interface itself takes no requests, and says nothing to any. */
static void vendor_interface(struct photon *photon, const struct usb_setup *setup)
{
    bool ours = (setup->index & 0xFF) == CONTROL_INTERFACE || setup->request == MICROSOFT_OS;

    if (!composite(photon) ||
        (!microsoft_os_request(photon, setup, CONTROL_INTERFACE, CONTROL_GUID) && !ours)) {
        ep0_stall(&photon->usb);
    }
}

static void interface(struct photon *photon, const struct usb_setup *setup)
{
    switch (setup->type & USB_TYPE_MASK) {
    case USB_TYPE_CLASS:
        cdc_class_request(photon, setup);
        break;
    case USB_TYPE_STANDARD:
        standard_request(photon, setup);
        break;
    case USB_TYPE_VENDOR:
        vendor_interface(photon, setup);
        break;
    default:
        break;
    }
}

static bool data(struct photon *photon, const uint8_t *bytes, size_t length)
{
    if (!under_control(photon)) {
        return cdc_control_data(photon, bytes, length);
    }
    if (photon->usb.ep0.setup.request != CONTROL_RAW) {
        control_service_data(photon, bytes, length);
    }
    return true;
}

static void control_received(struct photon *photon)
{
    if (photon->usb.ep0.setup.request == CONTROL_RAW) {
        control_raw_received(photon);
    } else {
        control_service_received(photon);
    }
}

static void data_sent(struct photon *photon)
{
    if (under_control(photon) && has_service(photon)) {
        control_service_sent(photon);
    }
}

static void data_received(struct photon *photon)
{
    uint32_t rate;

    if (under_control(photon)) {
        control_received(photon);
        return;
    }
    rate = cdc_control_received(photon);

    if (rate != 0) {
        system_line_rate(photon, rate);
    }
}

static enum usb_handshake out(struct photon *photon, uint8_t endpoint, const void *data,
                              size_t length)
{
    return photon->usb.state == USB_CONFIGURED && endpoint == CDC_ENDPOINT_OUT
               ? cdc_out(photon, data, length)
               : USB_NAK;
}

static enum usb_handshake in(struct photon *photon, uint8_t endpoint, void *data, size_t *length)
{
    return photon->usb.state == USB_CONFIGURED && (endpoint | 0x80) == CDC_ENDPOINT_IN
               ? cdc_in(photon, data, length)
               : USB_NAK;
}

const struct usb_function system_function = {
    .get_descriptor = get_descriptor,
    .vendor = vendor,
    .interface_limit = interface_limit,
    .interface = interface,
    .data = data,
    .data_received = data_received,
    .data_sent = data_sent,
    .out = out,
    .in = in,
};
