/*
 * One USB device as the host knows it after enumeration: descriptors, strings, the configuration
 * and alternate settings in force, and who has claimed what.
 */
#ifndef GADGET_PRELOAD_DEVICE_H
#define GADGET_PRELOAD_DEVICE_H

#include "usb-gadget/descriptor.h"
#include "usb-gadget/enumerate.h"
#include "usb-gadget/preload/protocol.h"

#define USB_SETTINGS_MAX   16
#define USB_INTERFACES_MAX 8
#define USB_NAME_MAX       (ENUMERATE_STRING_MAX * 3)

struct tty;
struct usb_handle;

/* One alternate setting of an interface. */
struct usb_setting {
    const uint8_t *descriptor; /* in the device's `config` */
    bool name_read;            /* hosts read the name when the setting is first used */
    char name[USB_NAME_MAX];
};

struct usb_interface {
    uint8_t number;
    struct usb_setting *setting; /* the one in force */
    const char *driver;          /* kernel driver that the link plays; NULL for none */
    struct usb_handle *owner;    /* usbfs handle that claimed it, or NULL */
};

struct usb_device {
    struct root_port *port; /* NULL for the root hub */
    uint64_t generation;    /* of the port at enumeration */
    unsigned position;      /* port of the root hub, 0 for the hub itself */
    unsigned number;        /* device number on the bus */
    unsigned speed;         /* Mbit/s */
    struct usb_identity identity;
    char configuration_name[USB_NAME_MAX];
    uint8_t configuration; /* bConfigurationValue in force, 0 for none */

    char name[12];    /* "1-1", "usb1" */
    char devpath[64]; /* behind /sys */
    struct usb_setting settings[USB_SETTINGS_MAX];
    unsigned setting_count;
    struct usb_interface interfaces[USB_INTERFACES_MAX];
    unsigned interface_count;

    struct tty *tty;   /* its serial port, or NULL */
    uint64_t poll_due; /* DFU: board time before which the device asked not to be polled */
};

/* Enumerates what is attached to `port` and reads what Linux reads. NULL when the device does not
 * play along or memory is short. The caller frees it with free(). */
struct usb_device *device_enumerate(struct root_port *port, unsigned position, unsigned number);
/* The same again after USBDEVFS_RESET; false when it is not the same device any more. */
bool device_reset(struct usb_device *device);
struct usb_device *device_root_hub(void);

/* Both descriptors one after the other, as usbfs and sysfs show them. `out` has room for
 * PRELOAD_DESCRIPTORS_MAX bytes. */
size_t device_descriptors(const struct usb_device *device, uint8_t *out);

/* NULL when there is no such interface in the configuration. */
struct usb_interface *device_interface(struct usb_device *device, uint32_t number);
/* The interface whose present setting has the endpoint; NULL when none. `*descriptor` is the
 * endpoint's, of 7 bytes or more; may be NULL. */
struct usb_interface *device_endpoint(struct usb_device *device, uint32_t address,
                                      const uint8_t **descriptor);
struct usb_setting *device_setting(struct usb_device *device, uint32_t interface,
                                   uint32_t alternate);
/* Takes note that the interface has this setting now, and reads its name as Linux does. */
void device_use_setting(struct usb_device *device, struct usb_interface *interface,
                        struct usb_setting *setting);
/* Takes note of a SET_CONFIGURATION. */
void device_use_configuration(struct usb_device *device, uint8_t value);
bool device_is_dfu(const struct usb_device *device);

static inline unsigned device_u16(const uint8_t *bytes)
{
    return bytes[0] | (unsigned)bytes[1] << 8;
}

#endif
