#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "usb-gadget/preload/tty.h"
#include "usb-gadget/preload/uevent.h"

#define UDEV_MAGIC 0xFEEDCAFE

/* The head of udev's messages (systemd src/libsystemd/sd-device/device-monitor.c). The hashes and
 * the magic are big-endian. */
struct udev_head {
    char prefix[8];
    uint32_t magic;
    uint32_t head_size;
    uint32_t properties_offset;
    uint32_t properties_length;
    uint32_t subsystem_hash;
    uint32_t devtype_hash;
    uint32_t tag_bloom_high;
    uint32_t tag_bloom_low;
};

uint32_t uevent_hash(const char *text)
{
    const uint32_t m = 0x5BD1E995;
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);
    uint32_t hash = (uint32_t)left;

    for (; left >= 4; left -= 4, at += 4) {
        uint32_t k = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        hash *= m;
        hash ^= k;
    }
    for (size_t i = left; i > 0; i--) {
        hash ^= (uint32_t)at[i - 1] << (8 * (i - 1));
    }
    if (left > 0) {
        hash *= m;
    }
    hash ^= hash >> 13;
    hash *= m;
    hash ^= hash >> 15;
    return hash;
}

static const char *devtype(const struct uevent *event)
{
    return event->interface != NULL ? "usb_interface" : "usb_device";
}

static void format_path(const struct uevent *event, char *out, size_t size)
{
    if (event->tty) {
        tty_devpath(event->device, out, size);
        return;
    }
    if (event->interface == NULL) {
        snprintf(out, size, "%s", event->device->devpath);
        return;
    }
    snprintf(out, size, "%s/%s:%u.%u", event->device->devpath, event->device->name,
             event->device->identity.config[CONFIG_VALUE], event->interface->number);
}

static void add_properties(const struct uevent *event, const char *path, bool udev,
                           struct properties *properties)
{
    properties_add(properties, "ACTION=%s", event->action);
    properties_add(properties, "DEVPATH=%s", path);
    properties_add(properties, "SUBSYSTEM=%s", event->tty ? "tty" : "usb");
    if (event->tty) {
        properties_of_tty(properties, event->device->tty->index, udev ? "/dev/" : "");
    } else if (event->interface != NULL) {
        properties_of_interface(properties, event->device, event->interface);
    } else {
        /* The driver "usb" binds a device after it was added and leaves before it is removed. */
        properties_of_device(properties, event->device, udev ? "/dev/" : "",
                             strcmp(event->action, "bind") == 0);
    }
    properties_add(properties, "SEQNUM=%llu", (unsigned long long)event->sequence);
    if (!udev) {
        return;
    }
    properties_add(properties, "USEC_INITIALIZED=1");
    if (event->tty) {
        properties_of_udev_tty(properties, event->device, tty_interface(event->device));
    } else if (event->interface != NULL) {
        properties_of_udev_interface(properties, event->device, event->interface);
    } else {
        properties_of_udev_device(properties, event->device);
    }
}

size_t uevent_format(const struct uevent *event, uint32_t group, uint8_t out[static UEVENT_MAX])
{
    struct properties properties = {0};
    char path[160];
    size_t head;

    format_path(event, path, sizeof path);
    add_properties(event, path, group == UEVENT_UDEV, &properties);
    if (group == UEVENT_UDEV) {
        const struct udev_head udev = {
            .prefix = "libudev",
            .magic = htonl(UDEV_MAGIC),
            .head_size = sizeof udev,
            .properties_offset = sizeof udev,
            .properties_length = (uint32_t)properties.length,
            .subsystem_hash = htonl(uevent_hash(event->tty ? "tty" : "usb")),
            .devtype_hash = event->tty ? 0 : htonl(uevent_hash(devtype(event))),
        };
        head = sizeof udev;
        memcpy(out, &udev, head);
    } else {
        head = (size_t)snprintf((char *)out, UEVENT_MAX, "%s@%s", event->action, path) + 1;
    }
    memcpy(out + head, properties.text, properties.length);
    return head + properties.length;
}
