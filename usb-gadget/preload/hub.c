#include <errno.h>
#include <string.h>

#include "usb-gadget/preload/hub.h"

#define DESCRIPTOR_DEVICE   1
#define DESCRIPTOR_CONFIG   2
#define DESCRIPTOR_STRING   3
#define DESCRIPTOR_HUB      0x29

#define PORT_BITMAP         (PRELOAD_PORTS / 8 + 1)
#define HUB_DESCRIPTOR_SIZE (7 + 2 * PORT_BITMAP)

/* wPortStatus (USB 2.0 §11.24.2.7.1): connected, enabled, powered. */
#define PORT_CONNECTED 0x0001
#define PORT_ENABLED   0x0002
#define PORT_POWERED   0x0100

/* A string descriptor from plain ASCII. */
static size_t put_string(const char *text, uint8_t *out)
{
    size_t length = strlen(text);

    out[0] = (uint8_t)(2 + 2 * length);
    out[1] = DESCRIPTOR_STRING;
    for (size_t i = 0; i < length; i++) {
        out[2 + 2 * i] = (uint8_t)text[i];
        out[3 + 2 * i] = 0;
    }
    return out[0];
}

static size_t string_descriptor(const struct usb_identity *identity, uint8_t index, uint8_t *out)
{
    static const uint8_t languages[4] = {4, DESCRIPTOR_STRING, 0x09, 0x04};

    switch (index) {
    case 0:
        memcpy(out, languages, sizeof languages);
        return sizeof languages;
    case 1:
        return put_string(identity->serial, out);
    case 2:
        return put_string(identity->product, out);
    case 3:
        return put_string(identity->manufacturer, out);
    default:
        return 0;
    }
}

/* USB 2.0 §11.23.2.1: individual power switching and overcurrent protection are absent. */
static size_t hub_descriptor(uint8_t *out)
{
    memset(out, 0, HUB_DESCRIPTOR_SIZE);
    out[0] = HUB_DESCRIPTOR_SIZE;
    out[1] = DESCRIPTOR_HUB;
    out[2] = PRELOAD_PORTS;
    out[3] = 0x1A;
    memset(out + 7 + PORT_BITMAP, 0xFF, PORT_BITMAP);
    return HUB_DESCRIPTOR_SIZE;
}

static size_t get_descriptor(const struct usb_device *hub, uint16_t value, uint8_t *out)
{
    const struct usb_identity *identity = &hub->identity;

    switch (value >> 8) {
    case DESCRIPTOR_DEVICE:
        memcpy(out, identity->device, sizeof identity->device);
        return sizeof identity->device;
    case DESCRIPTOR_CONFIG:
        memcpy(out, identity->config, identity->config_length);
        return identity->config_length;
    case DESCRIPTOR_STRING:
        return string_descriptor(identity, (uint8_t)value, out);
    default:
        return 0;
    }
}

static size_t port_status(bool connected, uint8_t *out)
{
    const unsigned status =
        PORT_POWERED | (connected ? (unsigned)PORT_CONNECTED | PORT_ENABLED : 0u);

    out[0] = (uint8_t)status;
    out[1] = (uint8_t)(status >> 8);
    out[2] = out[3] = 0;
    return 4;
}

int hub_control(const struct usb_device *hub, const uint8_t setup[8], uint8_t *data,
                hub_connected *connected, const void *context)
{
    const uint16_t request = (uint16_t)(setup[0] << 8 | setup[1]);
    const unsigned index = device_u16(setup + 4);
    const size_t asked = device_u16(setup + 6);
    uint8_t answer[256] = {0};
    size_t length;

    switch (request) {
    case 0x8000: /* GET_STATUS: self-powered */
        answer[0] = 1;
        length = 2;
        break;
    case 0x8006:
        length = get_descriptor(hub, (uint16_t)device_u16(setup + 2), answer);
        break;
    case 0x8008:
        answer[0] = hub->configuration;
        length = 1;
        break;
    case 0xA006:
        length = hub_descriptor(answer);
        break;
    case 0xA000: /* hub status: nothing to say */
        length = 4;
        break;
    case 0xA300:
        length = index >= 1 && index <= PRELOAD_PORTS
                     ? port_status(connected(context, index), answer)
                     : 0;
        break;
    default:
        length = 0;
        break;
    }
    if (length == 0) {
        return -EPIPE;
    }
    length = length < asked ? length : asked;
    memcpy(data, answer, length);
    return (int)length;
}
