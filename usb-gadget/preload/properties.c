#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "usb-gadget/preload/properties.h"

void properties_add(struct properties *properties, const char *format, ...)
{
    size_t room = sizeof properties->text - properties->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(properties->text + properties->length, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room) {
        properties->length += (size_t)length + 1;
    }
}

/* PRODUCT and TYPE stand at devices and interfaces. */
static void add_product(struct properties *properties, const struct usb_device *device)
{
    const uint8_t *descriptor = device->identity.device;

    properties_add(properties, "PRODUCT=%x/%x/%x", device_u16(descriptor + 8),
                   device_u16(descriptor + 10), device_u16(descriptor + 12));
    properties_add(properties, "TYPE=%u/%u/%u", descriptor[4], descriptor[5], descriptor[6]);
}

void properties_of_device(struct properties *properties, const struct usb_device *device,
                          const char *node_prefix, bool driver)
{
    properties_add(properties, "MAJOR=%d", PRELOAD_USB_MAJOR);
    properties_add(properties, "MINOR=%u", device->number - 1);
    properties_add(properties, "DEVNAME=%sbus/usb/%03d/%03u", node_prefix, PRELOAD_BUS,
                   device->number);
    properties_add(properties, "DEVTYPE=usb_device");
    if (driver) {
        properties_add(properties, "DRIVER=usb");
    }
    add_product(properties, device);
    properties_add(properties, "BUSNUM=%03d", PRELOAD_BUS);
    properties_add(properties, "DEVNUM=%03u", device->number);
}

void properties_of_interface(struct properties *properties, const struct usb_device *device,
                             const struct usb_interface *interface)
{
    const uint8_t *whole = device->identity.device;
    const uint8_t *part = interface->setting->descriptor;

    properties_add(properties, "DEVTYPE=usb_interface");
    if (interface->driver != NULL) {
        properties_add(properties, "DRIVER=%s", interface->driver);
    }
    add_product(properties, device);
    properties_add(properties, "INTERFACE=%u/%u/%u", part[INTERFACE_CLASS],
                   part[INTERFACE_SUBCLASS], part[INTERFACE_PROTOCOL]);
    properties_add(properties,
                   "MODALIAS=usb:v%04Xp%04Xd%04Xdc%02Xdsc%02Xdp%02Xic%02Xisc%02Xip%02Xin%02X",
                   device_u16(whole + 8), device_u16(whole + 10), device_u16(whole + 12), whole[4],
                   whole[5], whole[6], part[INTERFACE_CLASS], part[INTERFACE_SUBCLASS],
                   part[INTERFACE_PROTOCOL], part[INTERFACE_NUMBER]);
}

/* --- udev's builtin usb_id --- */

/* A name as udev uses it in links: no outer blanks, runs of inner ones and what is not allowed in
 * a file name become an underscore. */
static void plain_name(const char *text, char *out, size_t size)
{
    size_t filled = 0;
    bool blank = false;

    for (; *text != '\0' && filled + 2 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (isspace(c)) {
            blank = filled > 0;
            continue;
        }
        if (blank) {
            out[filled++] = '_';
            blank = false;
        }
        out[filled++] = (char)(isalnum(c) || strchr("#+-.:=@_", c) != NULL ? c : '_');
    }
    out[filled] = '\0';
}

/* The whole name with \xNN for what is not allowed. */
static void encoded_name(const char *text, char *out, size_t size)
{
    size_t filled = 0;

    for (; *text != '\0' && filled + 5 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c >= 0x80 || strchr("#+-.:=@_/", c) != NULL) {
            out[filled++] = (char)c;
        } else {
            filled += (size_t)snprintf(out + filled, size - filled, "\\x%02x", c);
        }
    }
    out[filled] = '\0';
}

static void add_name(struct properties *properties, const char *name, const char *text, unsigned id,
                     char *plain, size_t size)
{
    char fallback[8];
    char encoded[USB_NAME_MAX * 4];

    snprintf(fallback, sizeof fallback, "%04x", id);
    text = text[0] != '\0' ? text : fallback;
    plain_name(text, plain, size);
    encoded_name(text, encoded, sizeof encoded);
    properties_add(properties, "%s=%s", name, plain);
    properties_add(properties, "%s_ENC=%s", name, encoded);
    properties_add(properties, "%s_ID=%04x", name, id);
}

static void add_interfaces(struct properties *properties, const struct usb_device *device)
{
    char list[USB_SETTINGS_MAX * 7 + 2] = ":";
    size_t length = 1;

    for (unsigned i = 0; i < device->setting_count; i++) {
        const uint8_t *descriptor = device->settings[i].descriptor;
        char one[8];
        snprintf(one, sizeof one, "%02x%02x%02x", descriptor[INTERFACE_CLASS],
                 descriptor[INTERFACE_SUBCLASS], descriptor[INTERFACE_PROTOCOL]);
        if (strstr(list, one) == NULL) {
            length += (size_t)snprintf(list + length, sizeof list - length, "%s:", one);
        }
    }
    properties_add(properties, "ID_USB_INTERFACES=%s", list);
}

/* ID_SERIAL: vendor, model and serial number. */
static void serial_name(const struct usb_device *device, char *out, size_t size)
{
    const struct usb_identity *identity = &device->identity;
    char vendor[USB_NAME_MAX], model[USB_NAME_MAX], serial[USB_NAME_MAX];

    plain_name(identity->manufacturer, vendor, sizeof vendor);
    plain_name(identity->product, model, sizeof model);
    plain_name(identity->serial, serial, sizeof serial);
    if (vendor[0] == '\0') {
        snprintf(vendor, sizeof vendor, "%04x", device_u16(identity->device + 8));
    }
    if (model[0] == '\0') {
        snprintf(model, sizeof model, "%04x", device_u16(identity->device + 10));
    }
    snprintf(out, size, "%s_%s%s%s", vendor, model, serial[0] != '\0' ? "_" : "", serial);
}

static void add_identity(struct properties *properties, const struct usb_device *device)
{
    const struct usb_identity *identity = &device->identity;
    char vendor[USB_NAME_MAX], model[USB_NAME_MAX], serial[USB_NAME_MAX];
    char whole[USB_NAME_MAX * 3 + 2];

    properties_add(properties, "ID_BUS=usb");
    add_name(properties, "ID_MODEL", identity->product, device_u16(identity->device + 10), model,
             sizeof model);
    properties_add(properties, "ID_REVISION=%04x", device_u16(identity->device + 12));
    add_name(properties, "ID_VENDOR", identity->manufacturer, device_u16(identity->device + 8),
             vendor, sizeof vendor);
    plain_name(identity->serial, serial, sizeof serial);
    serial_name(device, whole, sizeof whole);
    properties_add(properties, "ID_SERIAL=%s", whole);
    if (serial[0] != '\0') {
        properties_add(properties, "ID_SERIAL_SHORT=%s", serial);
    }
    add_interfaces(properties, device);
}

/* ID_PATH as the builtin path_id makes it; `suffix` names an interface. */
static void add_path(struct properties *properties, const struct usb_device *device,
                     const char *suffix)
{
    char path[64];

    snprintf(path, sizeof path, "platform-vphoton.0-usb-0:%u%s", device->position, suffix);
    properties_add(properties, "ID_PATH=%s", path);
    for (char *c = path; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-') {
            *c = '_';
        }
    }
    properties_add(properties, "ID_PATH_TAG=%s", path);
}

void properties_of_udev_device(struct properties *properties, const struct usb_device *device)
{
    add_identity(properties, device);
    if (device->position != 0) {
        add_path(properties, device, "");
    }
}

void properties_of_udev_interface(struct properties *properties, const struct usb_device *device,
                                  const struct usb_interface *interface)
{
    char suffix[24];

    snprintf(suffix, sizeof suffix, ":%u.%u", device->identity.config[CONFIG_VALUE],
             interface->number);
    if (device->position != 0) {
        add_path(properties, device, suffix);
    }
}

/* --- serial ports --- */

static void path_of_interface(const struct usb_device *device,
                              const struct usb_interface *interface, char *out, size_t size)
{
    snprintf(out, size, "platform-vphoton.0-usb-0:%u:%u.%u", device->position,
             device->identity.config[CONFIG_VALUE], interface->number);
}

void properties_of_tty(struct properties *properties, unsigned index, const char *node_prefix)
{
    properties_add(properties, "MAJOR=%d", PRELOAD_TTY_MAJOR);
    properties_add(properties, "MINOR=%u", index);
    properties_add(properties, "DEVNAME=%sttyACM%u", node_prefix, index);
}

void properties_tty_links(const struct usb_device *device, const struct usb_interface *interface,
                          char *by_id, char *by_path, size_t size)
{
    char name[USB_NAME_MAX * 3 + 2], path[64];

    serial_name(device, name, sizeof name);
    path_of_interface(device, interface, path, sizeof path);
    snprintf(by_id, size, "serial/by-id/usb-%.400s-if%02x", name, interface->number);
    snprintf(by_path, size, "serial/by-path/%s", path);
}

void properties_of_udev_tty(struct properties *properties, const struct usb_device *device,
                            const struct usb_interface *interface)
{
    char by_id[512], by_path[512];

    add_identity(properties, device);
    properties_add(properties, "ID_USB_INTERFACE_NUM=%02x", interface->number);
    properties_add(properties, "ID_USB_DRIVER=cdc_acm");
    properties_of_udev_interface(properties, device, interface);
    properties_tty_links(device, interface, by_id, by_path, sizeof by_id);
    properties_add(properties, "DEVLINKS=/dev/%s /dev/%s", by_id, by_path);
}
