/*
 * Descriptors and strings of the DFU mode.
 * Source: device-os v0.4.4 bootloader/src/stm32f2xx/usbd_desc.c, usbd_dfu_core.c; v0.6.0
 * usbd_wcid.h, dfu_usb.c; read back byte for byte from the real images.
 */
#include <string.h>

#include "engine.h"
#include "flash_map.h"

#define DESCRIPTOR_DEVICE        1
#define DESCRIPTOR_CONFIGURATION 2
#define DESCRIPTOR_STRING        3

/* The host's first look at a device: 8 bytes are enough to learn the packet size. */
#define FIRST_LOOK_REQUEST      64
#define FIRST_LOOK_BYTES        8

#define STRING_LANGUAGES        0
#define STRING_MANUFACTURER     1
#define STRING_PRODUCT          2
#define STRING_SERIAL           3
#define STRING_CONFIGURATION    4
#define STRING_INTERFACE        5
#define STRING_ALTERNATE        6
#define STRING_AFTER_LAST       (STRING_ALTERNATE + DFU_ALTERNATES)
#define STRING_MICROSOFT        0xEE

#define MICROSOFT_VENDOR_CODE   0xEE
#define MICROSOFT_COMPATIBLE_ID 4
#define MICROSOFT_PROPERTIES    5

static const uint8_t device_descriptor[18] = {0x12, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x40, 0x04,
                                              0x2B, 0x06, 0xD0, 0x00, 0x02, 1,    2,    3,    1};

static const uint8_t configuration_descriptor[] = {
    0x09, 0x02, 0x24, 0x00, 0x01, 0x01, 0x02, 0xC0, 0x32,                 /* configuration */
    0x09, 0x04, 0x00, 0x00, 0x00, 0xFE, 0x01, 0x02, STRING_ALTERNATE,     /* internal flash */
    0x09, 0x04, 0x00, 0x01, 0x00, 0xFE, 0x01, 0x02, STRING_ALTERNATE + 1, /* DCT */
    0x09, 0x21, 0x0B, 0xFF, 0x00, 0x00, 0x10, 0x1A, 0x01,                 /* DFU functional */
};
#define FUNCTIONAL_OFFSET (sizeof(configuration_descriptor) - 9)

static const char *const alternate_strings[DFU_ALTERNATES] = {
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg",
    "@DCT Flash   /0x00000000/01*016Kg",
};

static const uint8_t microsoft_string[18] = {
    0x12, 0x03, 'M', 0, 'S', 0, 'F', 0, 'T', 0, '1', 0, '0', 0, '0', 0, MICROSOFT_VENDOR_CODE, 0};

/* The compatible ID descriptor and, behind it in memory, the extended properties: longer requests
 * see both. */
#define COMPATIBLE_ID_SIZE 40
#define PROPERTIES_SIZE    146
static const uint8_t microsoft_tables[COMPATIBLE_ID_SIZE + PROPERTIES_SIZE] = {
    0x28, 0,    0,    0,    0x00, 0x01, 0x04, 0x00, 0x01, 0,    0,    0, 0,   0,
    0,    0, /* header, one section */
    0x00, 0x01, 'W',  'I',  'N',  'U',  'S',  'B',  0,    0,    0,    0, 0,   0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x92, 0, 0,   0,
    0x00, 0x01, 0x05, 0x00, 0x01, 0x00,                         /* header, one property */
    0x88, 0,    0,    0,    0x07, 0,    0,    0,    0x2A, 0x00, /* REG_MULTI_SZ, name length */
    'D',  0,    'e',  0,    'v',  0,    'i',  0,    'c',  0,    'e',  0, 'I', 0,
    'n',  0,    't',  0,    'e',  0,    'r',  0,    'f',  0,    'a',  0, 'c', 0,
    'e',  0,    'G',  0,    'U',  0,    'I',  0,    'D',  0,    's',  0, 0,   0,
    0x50, 0,    0,    0,    '{',  0,    '3',  0,    '7',  0,    'f',  0, 'b', 0,
    '5',  0,    'f',  0,    '9',  0,    '0',  0,    '-',  0,    '1',  0, 'a', 0,
    '3',  0,    '4',  0,    '-',  0,    '4',  0,    '9',  0,    '2',  0, '9', 0,
    '-',  0,    '9',  0,    '3',  0,    '3',  0,    'b',  0,    '-',  0, '8', 0,
    'a',  0,    '2',  0,    '7',  0,    'e',  0,    '1',  0,    '8',  0, '5', 0,
    '0',  0,    '0',  0,    '3',  0,    '3',  0,    '}',  0,    0,    0, 0,   0};

static uint32_t at_most(uint32_t length, uint32_t limit)
{
    return length < limit ? length : limit;
}

/* Sends a part that is as long as asked for and no longer than it is; asking for nothing gets
 * nothing prepared. */
static void send_descriptor(struct photon *photon, const struct usb_setup *setup, const void *data,
                            uint32_t length)
{
    if (setup->length > 0) {
        ep0_send(&photon->usb, data, at_most(length, setup->length));
    }
}

static void send_device(struct photon *photon, const struct usb_setup *setup)
{
    uint8_t descriptor[sizeof(device_descriptor)];
    uint32_t length = sizeof(descriptor);

    memcpy(descriptor, device_descriptor, sizeof(descriptor));
    descriptor[12] = (uint8_t)photon->boot.quirks->bcd_device;
    descriptor[13] = (uint8_t)(photon->boot.quirks->bcd_device >> 8);
    if (setup->length == FIRST_LOOK_REQUEST || photon->usb.state == USB_DEFAULT) {
        length = FIRST_LOOK_BYTES;
    }
    if (setup->length > 0) {
        ep0_send_small(&photon->usb, descriptor, at_most(length, setup->length));
    }
}

/* --- strings --- */

static void send_text(struct photon *photon, const struct usb_setup *setup, const char *text)
{
    uint8_t *descriptor = photon->usb.text;
    size_t length = strlen(text);

    descriptor[0] = (uint8_t)(2 + 2 * length);
    descriptor[1] = DESCRIPTOR_STRING;
    for (size_t i = 0; i < length; i++) {
        descriptor[2 + 2 * i] = (uint8_t)text[i];
        descriptor[3 + 2 * i] = 0;
    }
    send_descriptor(photon, setup, descriptor, descriptor[0]);
}

static void send_serial(struct photon *photon, const struct usb_setup *setup)
{
    static const char *const digits[] = {"0123456789ABCDEF", "0123456789abcdef"};
    const char *hex = digits[photon->boot.quirks->serial == SERIAL_ID_LOWER];
    char text[2 * PHOTON_ID_SIZE + 1] = {0};

    if (photon->boot.quirks->serial == SERIAL_FIXED_10C) {
        send_text(photon, setup, "00000000010C");
        return;
    }
    for (size_t i = 0; i < PHOTON_ID_SIZE; i++) {
        text[2 * i] = hex[photon->config.device_id[i] >> 4];
        text[2 * i + 1] = hex[photon->config.device_id[i] & 0x0F];
    }
    send_text(photon, setup, text);
}

static void send_bootloader_code(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->length > 0) {
        ep0_send_flash(&photon->usb, FLASH_BASE, setup->length);
    }
}

/* Past the last string the firmware runs through whatever lies behind its table. */
static void send_unknown_string(struct photon *photon, const struct usb_setup *setup)
{
    static const uint8_t empty[] = {0x02, DESCRIPTOR_STRING};
    static const uint8_t junk[] = {0x04, DESCRIPTOR_STRING, 'K', 0x00};
    enum unknown_string kind = photon->boot.quirks->unknown_string;
    uint8_t index = (uint8_t)setup->value;

    if (kind == STRINGS_READ_ADDRESS_0 || (kind == STRINGS_WILD_POINTERS && index > 15)) {
        send_bootloader_code(photon, setup);
    } else if (index == STRING_AFTER_LAST) {
        if (kind == STRINGS_JUNK) {
            send_descriptor(photon, setup, junk, sizeof(junk));
        } else {
            send_descriptor(photon, setup, empty, sizeof(empty));
        }
    } else if (kind == STRINGS_WILD_POINTERS || index == STRING_AFTER_LAST + 1) {
        engine_hang(photon, "string descriptor behind the table: wild pointer");
    } else if (index <= 15) {
        send_text(photon, setup, alternate_strings[DFU_ALT_DCT]);
    }
}

static void send_string(struct photon *photon, const struct usb_setup *setup)
{
    static const uint8_t languages[] = {0x04, DESCRIPTOR_STRING, 0x09, 0x04};
    const struct bootloader_quirks *quirks = photon->boot.quirks;
    uint8_t index = (uint8_t)setup->value;

    switch (index) {
    case STRING_LANGUAGES:
        send_descriptor(photon, setup, languages, sizeof(languages));
        break;
    case STRING_MANUFACTURER:
        send_text(photon, setup, quirks->manufacturer);
        break;
    case STRING_PRODUCT:
        send_text(photon, setup, "Photon DFU Mode");
        break;
    case STRING_SERIAL:
        send_serial(photon, setup);
        break;
    case STRING_CONFIGURATION:
        send_text(photon, setup, quirks->config_string);
        break;
    case STRING_INTERFACE:
        send_text(photon, setup, quirks->interface_string);
        break;
    default:
        if (index < STRING_AFTER_LAST) {
            send_text(photon, setup, alternate_strings[index - STRING_ALTERNATE]);
        } else if (index == STRING_MICROSOFT && quirks->microsoft_os) {
            send_descriptor(photon, setup, microsoft_string, sizeof(microsoft_string));
        } else {
            send_unknown_string(photon, setup);
        }
        break;
    }
}

void dfu_get_descriptor(struct photon *photon, const struct usb_setup *setup)
{
    switch (setup->value >> 8) {
    case DESCRIPTOR_DEVICE:
        send_device(photon, setup);
        break;
    case DESCRIPTOR_CONFIGURATION:
        send_descriptor(photon, setup, configuration_descriptor, sizeof(configuration_descriptor));
        break;
    case DESCRIPTOR_STRING:
        send_string(photon, setup);
        break;
    default:
        ep0_stall(&photon->usb);
        break;
    }
}

void dfu_functional_descriptor(struct photon *photon, const struct usb_setup *setup)
{
    send_descriptor(photon, setup, configuration_descriptor + FUNCTIONAL_OFFSET,
                    sizeof(configuration_descriptor) - FUNCTIONAL_OFFSET);
}

/* Both answers are as long as asked for: what lies behind them in memory follows. */
static void send_microsoft(struct photon *photon, const struct usb_setup *setup, size_t from)
{
    ep0_send_padded(&photon->usb, microsoft_tables + from,
                    (uint32_t)(sizeof(microsoft_tables) - from), setup->length);
}

bool dfu_microsoft(struct photon *photon, const struct usb_setup *setup)
{
    bool device = (setup->type & USB_RECIPIENT_MASK) == USB_RECIPIENT_DEVICE;

    if (setup->request != MICROSOFT_VENDOR_CODE || setup->length == 0) {
        return false;
    }
    if (device && setup->value == 0 && setup->index == MICROSOFT_COMPATIBLE_ID) {
        send_microsoft(photon, setup, 0);
        return true;
    }
    if (!device && setup->index == MICROSOFT_PROPERTIES) {
        /* Other pages than 0 are dummies. */
        send_microsoft(photon, setup,
                       (setup->value & 0xFF) == 0 ? COMPATIBLE_ID_SIZE : sizeof(microsoft_tables));
        return true;
    }
    return false;
}
