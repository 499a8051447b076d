#include "descriptor.h"

#include <string.h>

#include "engine.h"

/* The host's first look at a device: 8 bytes are enough to learn the packet size. */
#define FIRST_LOOK_REQUEST 64
#define FIRST_LOOK_BYTES   8

void descriptor_send(struct photon *photon, const struct usb_setup *setup, const void *data,
                     size_t length)
{
    if (setup->length > 0) {
        ep0_send(&photon->usb, data, (uint32_t)(length < setup->length ? length : setup->length));
    }
}

void descriptor_send_device(struct photon *photon, const struct usb_setup *setup,
                            const uint8_t descriptor[DESCRIPTOR_DEVICE_SIZE])
{
    size_t length = DESCRIPTOR_DEVICE_SIZE;

    if (setup->length == FIRST_LOOK_REQUEST || photon->usb.state == USB_DEFAULT) {
        length = FIRST_LOOK_BYTES;
    }
    memcpy(photon->usb.descriptor, descriptor, DESCRIPTOR_DEVICE_SIZE);
    descriptor_send(photon, setup, photon->usb.descriptor, length);
}

void descriptor_send_languages(struct photon *photon, const struct usb_setup *setup)
{
    static const uint8_t languages[] = {0x04, DESCRIPTOR_STRING, 0x09, 0x04};

    descriptor_send(photon, setup, languages, sizeof(languages));
}

void descriptor_send_text(struct photon *photon, const struct usb_setup *setup, const char *text)
{
    uint8_t *descriptor = photon->usb.descriptor;
    size_t length = strlen(text);

    descriptor[0] = (uint8_t)(2 + 2 * length);
    descriptor[1] = DESCRIPTOR_STRING;
    for (size_t i = 0; i < length; i++) {
        descriptor[2 + 2 * i] = (uint8_t)text[i];
        descriptor[3 + 2 * i] = 0;
    }
    descriptor_send(photon, setup, descriptor, descriptor[0]);
}

void descriptor_send_id(struct photon *photon, const struct usb_setup *setup, bool upper_case)
{
    const char *hex = upper_case ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[2 * PHOTON_ID_SIZE + 1] = {0};

    for (size_t i = 0; i < PHOTON_ID_SIZE; i++) {
        text[2 * i] = hex[photon->config.device_id[i] >> 4];
        text[2 * i + 1] = hex[photon->config.device_id[i] & 0x0F];
    }
    descriptor_send_text(photon, setup, text);
}
