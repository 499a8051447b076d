/*
 * Microsoft OS 1.0 descriptors, which bind WinUSB without a driver file.
 * Source: device-os v0.6.0 usbd_wcid.h; read back from the real images.
 */
#include <string.h>

#include "descriptor.h"
#include "engine.h"

#define COMPATIBLE_ID           4
#define PROPERTIES              5

#define COMPATIBLE_ID_SIZE      40
#define COMPATIBLE_ID_INTERFACE 16
#define PROPERTIES_SIZE         146
#define PROPERTY_NAME           20 /* offsets in the property descriptor */
#define PROPERTY_DATA_LENGTH    62
#define PROPERTY_DATA           66

static const uint8_t string_descriptor[18] = {0x12, 0x03, 'M', 0, 'S', 0, 'F',          0, 'T', 0,
                                              '1',  0,    '0', 0, '0', 0, MICROSOFT_OS, 0};

static const uint8_t compatible_id[COMPATIBLE_ID_SIZE] = {
    0x28, 0,    0,   0,   0x00, 0x01, COMPATIBLE_ID, 0x00, 0x01, 0,
    0,    0,    0,   0,   0,    0, /* one section */
    0,    0x01, 'W', 'I', 'N',  'U',  'S',           'B'};

/* Header with one property: REG_MULTI_SZ, a name of 42 bytes. */
static const uint8_t properties_header[PROPERTY_NAME] = {PROPERTIES_SIZE,
                                                         0,
                                                         0,
                                                         0,
                                                         0x00,
                                                         0x01,
                                                         PROPERTIES,
                                                         0x00,
                                                         0x01,
                                                         0x00,
                                                         0x88,
                                                         0,
                                                         0,
                                                         0,
                                                         0x07,
                                                         0,
                                                         0,
                                                         0,
                                                         0x2A,
                                                         0x00};

static void put_utf16(uint8_t *bytes, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        bytes[2 * i] = (uint8_t)text[i];
    }
}

/* Both tables, one behind the other as in the firmware's memory. */
static void build(uint8_t tables[COMPATIBLE_ID_SIZE + PROPERTIES_SIZE], uint8_t interface,
                  const char *guid)
{
    uint8_t *properties = tables + COMPATIBLE_ID_SIZE;

    memset(tables, 0, COMPATIBLE_ID_SIZE + PROPERTIES_SIZE);
    memcpy(tables, compatible_id, sizeof(compatible_id));
    tables[COMPATIBLE_ID_INTERFACE] = interface;
    memcpy(properties, properties_header, sizeof(properties_header));
    put_utf16(properties + PROPERTY_NAME, "DeviceInterfaceGUIDs");
    properties[PROPERTY_DATA_LENGTH] = PROPERTIES_SIZE - PROPERTY_DATA;
    put_utf16(properties + PROPERTY_DATA, guid);
}

void microsoft_os_send_string(struct photon *photon, const struct usb_setup *setup)
{
    descriptor_send(photon, setup, string_descriptor, sizeof(string_descriptor));
}

bool microsoft_os_request(struct photon *photon, const struct usb_setup *setup, uint8_t interface,
                          const char *guid)
{
    const size_t size = COMPATIBLE_ID_SIZE + PROPERTIES_SIZE;
    bool device = (setup->type & USB_RECIPIENT_MASK) == USB_RECIPIENT_DEVICE;
    uint8_t *tables = photon->usb.descriptor;
    size_t from;

    if (setup->request != MICROSOFT_OS || setup->length == 0) {
        return false;
    }
    if (device && setup->value == 0 && setup->index == COMPATIBLE_ID) {
        from = 0;
    } else if (!device && setup->index == PROPERTIES) {
        /* Asked for another interface the firmware sends dummies. */
        from = (setup->value & 0xFF) == interface ? COMPATIBLE_ID_SIZE : size;
    } else {
        return false;
    }
    build(tables, interface, guid);
    /* The answer is as long as asked for, whatever lies behind the tables. */
    ep0_send_padded(&photon->usb, tables + from, (uint32_t)(size - from), setup->length);
    return true;
}
