/*
 * Descriptors and strings of the DFU mode.
 * Source: device-os v0.4.4 bootloader/src/stm32f2xx/usbd_desc.c, usbd_dfu_core.c; read back byte
 * for byte from the real images.
 */
#include <string.h>

#include "descriptor.h"
#include "engine.h"
#include "little_endian.h"

#define STRING_LANGUAGES     0
#define STRING_MANUFACTURER  1
#define STRING_PRODUCT       2
#define STRING_SERIAL        3
#define STRING_CONFIGURATION 4
#define STRING_INTERFACE     5
#define STRING_ALTERNATE     6
#define STRING_AFTER_LAST    (STRING_ALTERNATE + DFU_ALTERNATES)
/* The last index that reads a pointer from behind the string table. */
#define STRING_WILD_LAST 15

#define DFU_INTERFACE    0
#define DFU_GUID         "{37fb5f90-1a34-4929-933b-8a27e1850033}"

static const uint8_t device_descriptor[DESCRIPTOR_DEVICE_SIZE] = {
    0x12, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x40, 0x04, 0x2B, 0x06, 0xD0, 0x00, 0x02, 1, 2, 3, 1};

static const uint8_t configuration_descriptor[] = {
    0x09, 0x02, 0x24, 0x00, 0x01, 0x01, 0x02, 0xC0, 0x32,                 /* configuration */
    0x09, 0x04, 0x00, 0x00, 0x00, 0xFE, 0x01, 0x02, STRING_ALTERNATE,     /* internal flash */
    0x09, 0x04, 0x00, 0x01, 0x00, 0xFE, 0x01, 0x02, STRING_ALTERNATE + 1, /* DCT */
    0x09, 0x21, 0x0B, 0xFF, 0x00, 0x00, 0x10, 0x1A, 0x01,                 /* DFU functional */
};
#define FUNCTIONAL_SIZE 9

static const char *const alternate_strings[DFU_ALTERNATES] = {
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg",
    "@DCT Flash   /0x00000000/01*016Kg",
};

static void send_device(struct photon *photon, const struct usb_setup *setup)
{
    uint8_t descriptor[DESCRIPTOR_DEVICE_SIZE];

    memcpy(descriptor, device_descriptor, sizeof(descriptor));
    le16_put(descriptor + DESCRIPTOR_BCD_DEVICE, photon->boot.quirks->bcd_device);
    descriptor_send_device(photon, setup, descriptor);
}

static void send_serial(struct photon *photon, const struct usb_setup *setup)
{
    enum usb_serial_kind kind = photon->boot.quirks->serial;

    if (kind == SERIAL_FIXED_10C) {
        descriptor_send_text(photon, setup, "00000000010C");
    } else {
        descriptor_send_id(photon, setup, kind == SERIAL_ID_UPPER);
    }
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

    if (kind == STRINGS_READ_ADDRESS_0 ||
        (kind == STRINGS_WILD_POINTERS && index > STRING_WILD_LAST)) {
        send_bootloader_code(photon, setup);
    } else if (index == STRING_AFTER_LAST) {
        if (kind == STRINGS_JUNK) {
            descriptor_send(photon, setup, junk, sizeof(junk));
        } else {
            descriptor_send(photon, setup, empty, sizeof(empty));
        }
    } else if (kind == STRINGS_WILD_POINTERS || index == STRING_AFTER_LAST + 1) {
        engine_hang(photon, "string descriptor behind the table: wild pointer");
    } else if (index <= STRING_WILD_LAST) {
        descriptor_send_text(photon, setup, alternate_strings[DFU_ALT_DCT]);
    }
}

static void send_string(struct photon *photon, const struct usb_setup *setup)
{
    const struct bootloader_quirks *quirks = photon->boot.quirks;
    uint8_t index = (uint8_t)setup->value;

    switch (index) {
    case STRING_LANGUAGES:
        descriptor_send_languages(photon, setup);
        break;
    case STRING_MANUFACTURER:
        descriptor_send_text(photon, setup, quirks->manufacturer);
        break;
    case STRING_PRODUCT:
        descriptor_send_text(photon, setup, "Photon DFU Mode");
        break;
    case STRING_SERIAL:
        send_serial(photon, setup);
        break;
    case STRING_CONFIGURATION:
        descriptor_send_text(photon, setup, quirks->config_string);
        break;
    case STRING_INTERFACE:
        descriptor_send_text(photon, setup, quirks->interface_string);
        break;
    default:
        if (index < STRING_AFTER_LAST) {
            descriptor_send_text(photon, setup, alternate_strings[index - STRING_ALTERNATE]);
        } else if (index == MICROSOFT_OS && quirks->microsoft_os) {
            microsoft_os_send_string(photon, setup);
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
        descriptor_send(photon, setup, configuration_descriptor, sizeof(configuration_descriptor));
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
    descriptor_send(photon, setup,
                    configuration_descriptor + sizeof(configuration_descriptor) - FUNCTIONAL_SIZE,
                    FUNCTIONAL_SIZE);
}

bool dfu_microsoft(struct photon *photon, const struct usb_setup *setup)
{
    return microsoft_os_request(photon, setup, DFU_INTERFACE, DFU_GUID);
}
