#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usb-gadget/preload/device.h"

#define CONFIG_STRING     6

#define CLASS_APPLICATION 0xFE
#define SUBCLASS_DFU      1
#define PROTOCOL_DFU_MODE 2

#define FULL_SPEED        12
#define HIGH_SPEED        480

/* The Linux root hub of a high-speed controller: one interface with one interrupt endpoint. */
static const uint8_t hub_device[18] = {0x12, 0x01, 0x00, 0x02, 0x09, 0x00, 0x01, 0x40, 0x6B,
                                       0x1D, 0x02, 0x00, 0x01, 0x06, 0x03, 0x02, 0x01, 0x01};
static const uint8_t hub_config[25] = {0x09, 0x02, 0x19, 0x00, 0x01, 0x01, 0x00, 0xE0, 0x00,
                                       0x09, 0x04, 0x00, 0x00, 0x01, 0x09, 0x00, 0x00, 0x00,
                                       0x07, 0x05, 0x81, 0x03, 0x04, 0x00, 0x0C};

static const uint8_t *next_descriptor(const struct usb_device *device, const uint8_t *at)
{
    return descriptor_next(device->identity.config, device->identity.config_length, at);
}

static void find_settings(struct usb_device *device)
{
    device->setting_count = 0;
    device->interface_count = 0;
    for (const uint8_t *at = next_descriptor(device, device->identity.config); at != NULL;
         at = next_descriptor(device, at)) {
        if (at[DESCRIPTOR_TYPE] != DESCRIPTOR_INTERFACE ||
            device->setting_count == USB_SETTINGS_MAX) {
            continue;
        }
        struct usb_setting *setting = &device->settings[device->setting_count++];
        *setting = (struct usb_setting){.descriptor = at};
        if (device_interface(device, at[INTERFACE_NUMBER]) == NULL &&
            device->interface_count < USB_INTERFACES_MAX) {
            device->interfaces[device->interface_count++] =
                (struct usb_interface){.number = at[INTERFACE_NUMBER], .setting = setting};
        }
    }
}

struct usb_device *device_enumerate(struct root_port *port, unsigned position, unsigned number)
{
    struct usb_device *device = calloc(1, sizeof *device);

    if (device == NULL) {
        return NULL;
    }
    device->port = port;
    device->position = position;
    device->number = number;
    device->speed = FULL_SPEED;
    if (!enumerate(port, (uint8_t)number, &device->identity)) {
        free(device);
        return NULL;
    }
    device->generation = port->generation;
    snprintf(device->name, sizeof device->name, "%d-%u", PRELOAD_BUS, position);
    snprintf(device->devpath, sizeof device->devpath, PRELOAD_DEVPATH "/usb%d/%s", PRELOAD_BUS,
             device->name);
    find_settings(device);
    (void)enumerate_string(port, device->identity.config[CONFIG_STRING], device->configuration_name,
                           sizeof device->configuration_name);
    device_use_configuration(device, device->identity.config[CONFIG_VALUE]);
    return device;
}

static bool is_same(const struct usb_identity *a, const struct usb_identity *b)
{
    return memcmp(a->device, b->device, sizeof a->device) == 0 &&
           a->config_length == b->config_length &&
           memcmp(a->config, b->config, a->config_length) == 0 && strcmp(a->serial, b->serial) == 0;
}

bool device_reset(struct usb_device *device)
{
    struct usb_identity *identity = malloc(sizeof *identity);
    uint64_t generation = device->port->generation;

    if (identity == NULL) {
        return false;
    }
    bool same = enumerate(device->port, (uint8_t)device->number, identity) &&
                device->port->generation == generation && is_same(identity, &device->identity);
    free(identity);
    return same;
}

struct usb_device *device_root_hub(void)
{
    struct usb_device *device = calloc(1, sizeof *device);

    if (device == NULL) {
        return NULL;
    }
    device->number = 1;
    device->speed = HIGH_SPEED;
    memcpy(device->identity.device, hub_device, sizeof hub_device);
    memcpy(device->identity.config, hub_config, sizeof hub_config);
    device->identity.config_length = sizeof hub_config;
    strcpy(device->identity.manufacturer, "vphoton");
    strcpy(device->identity.product, "virtual root hub");
    strcpy(device->identity.serial, "vphoton.0");
    snprintf(device->name, sizeof device->name, "usb%d", PRELOAD_BUS);
    snprintf(device->devpath, sizeof device->devpath, PRELOAD_DEVPATH "/%s", device->name);
    find_settings(device);
    device->interfaces[0].driver = "hub";
    device->configuration = 1;
    return device;
}

size_t device_descriptors(const struct usb_device *device, uint8_t *out)
{
    memcpy(out, device->identity.device, sizeof device->identity.device);
    memcpy(out + sizeof device->identity.device, device->identity.config,
           device->identity.config_length);
    return sizeof device->identity.device + device->identity.config_length;
}

struct usb_interface *device_interface(struct usb_device *device, uint32_t number)
{
    for (unsigned i = 0; i < device->interface_count; i++) {
        if (device->interfaces[i].number == number) {
            return &device->interfaces[i];
        }
    }
    return NULL;
}

struct usb_interface *device_endpoint(struct usb_device *device, uint32_t address,
                                      const uint8_t **descriptor)
{
    for (unsigned i = 0; i < device->interface_count; i++) {
        const uint8_t *at = device->interfaces[i].setting->descriptor;
        while ((at = next_descriptor(device, at)) != NULL &&
               at[DESCRIPTOR_TYPE] != DESCRIPTOR_INTERFACE) {
            if (at[DESCRIPTOR_TYPE] != DESCRIPTOR_ENDPOINT || at[ENDPOINT_ADDRESS] != address) {
                continue;
            }
            if (descriptor != NULL) {
                *descriptor = at;
            }
            return &device->interfaces[i];
        }
    }
    return NULL;
}

struct usb_setting *device_setting(struct usb_device *device, uint32_t interface,
                                   uint32_t alternate)
{
    for (unsigned i = 0; i < device->setting_count; i++) {
        const uint8_t *descriptor = device->settings[i].descriptor;
        if (descriptor[INTERFACE_NUMBER] == interface &&
            descriptor[INTERFACE_ALTERNATE] == alternate) {
            return &device->settings[i];
        }
    }
    return NULL;
}

void device_use_setting(struct usb_device *device, struct usb_interface *interface,
                        struct usb_setting *setting)
{
    interface->setting = setting;
    if (!setting->name_read && device->port != NULL) {
        setting->name_read = true;
        (void)enumerate_string(device->port, setting->descriptor[INTERFACE_STRING], setting->name,
                               sizeof setting->name);
    }
}

void device_use_configuration(struct usb_device *device, uint8_t value)
{
    device->configuration = value;
    for (unsigned i = 0; value != 0 && i < device->interface_count; i++) {
        struct usb_interface *interface = &device->interfaces[i];
        struct usb_setting *first = device_setting(device, interface->number, 0);
        device_use_setting(device, interface, first != NULL ? first : interface->setting);
    }
}

bool device_is_dfu(const struct usb_device *device)
{
    const uint8_t *descriptor =
        device->interface_count > 0 ? device->interfaces[0].setting->descriptor : NULL;

    return descriptor != NULL && descriptor[INTERFACE_CLASS] == CLASS_APPLICATION &&
           descriptor[INTERFACE_SUBCLASS] == SUBCLASS_DFU &&
           descriptor[INTERFACE_PROTOCOL] == PROTOCOL_DFU_MODE;
}
