/* usbfs for programs: what a device node answers. */
#include <linux/usbdevice_fs.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "usb-gadget/preload/shim_usb.h"

/* USBDEVFS_CONTROL moves a page at most. */
#define CONTROL_MAX  4096
#define RECIPIENT    0x1F
#define TO_INTERFACE 1
#define TO_ENDPOINT  2
#define TYPE_MASK    0x60
#define TYPE_VENDOR  0x40
#define CAPABILITIES                                                                               \
    (USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_REAP_AFTER_DISCONNECT | USBDEVFS_CAP_CONNINFO_EX)
static int fail(int error)
{
    errno = error;
    return -1;
}

/* The result of a call, as ioctl() gives it. */
static int answer(int result)
{
    return result < 0 ? fail(-result) : result;
}
/* --- claims --- */

/* The interface of an endpoint, in any of its settings; -1 when there is none. */
static int interface_of_endpoint(const struct shim_slot *slot, uint8_t address)
{
    const uint8_t *all = slot->info.descriptors;
    size_t length = slot->info.descriptors_length;
    int interface = -1;

    for (size_t at = all[0]; at + 2 <= length && all[at] >= 2 && at + all[at] <= length;
         at += all[at]) {
        if (all[at + 1] == 4 && all[at] >= 9) {
            interface = all[at + 2];
        } else if (all[at + 1] == 5 && all[at] >= 7 && all[at + 2] == address) {
            return interface;
        }
    }
    return -1;
}

static int claim(struct shim_slot *slot, uint32_t number, uint16_t flags)
{
    if (number >= 64) {
        return -EINVAL;
    }
    int result = shim_usb_ask(slot, PRELOAD_CLAIM, number, 0, flags);
    if (result >= 0) {
        atomic_fetch_or(&slot->claimed, UINT64_C(1) << number);
    }
    return result;
}

int shim_usb_claim_for(struct shim_slot *slot, bool control, uint8_t endpoint, const uint8_t *setup)
{
    int interface = -1;

    if (!control) {
        interface = interface_of_endpoint(slot, endpoint);
        if (interface < 0) {
            return -ENOENT;
        }
    } else if ((setup[0] & TYPE_MASK) == TYPE_VENDOR) {
        return 0;
    } else if ((setup[0] & RECIPIENT) == TO_INTERFACE) {
        interface = setup[4];
    } else if ((setup[0] & RECIPIENT) == TO_ENDPOINT && (setup[4] & ~DIRECTION_IN) != 0) {
        interface = interface_of_endpoint(slot, setup[4]);
        if (interface < 0) {
            interface = interface_of_endpoint(slot, setup[4] ^ DIRECTION_IN);
        }
    }
    if (interface < 0 || (interface < 64 && (slot->claimed >> interface & 1))) {
        return 0;
    }
    return claim(slot, (uint32_t)interface, 0);
}

static int release(struct shim_slot *slot, uint32_t number)
{
    if (number >= 64) {
        return -EINVAL;
    }
    atomic_fetch_and(&slot->claimed, ~(UINT64_C(1) << number));
    return shim_usb_ask(slot, PRELOAD_RELEASE, number, 0, 0);
}

static int disconnect_claim(struct shim_slot *slot, const struct usbdevfs_disconnect_claim *what)
{
    char driver[USBDEVFS_MAXDRIVERNAME + 1] = "";
    size_t size = sizeof driver - 1;
    struct preload_request request = {.operation = PRELOAD_GET_DRIVER, .number = what->interface};
    int result = shim_usb_call(slot, &request, NULL, 0, driver, &size);

    if (result >= 0) {
        bool same = strncmp(what->driver, driver, sizeof what->driver) == 0;
        if ((what->flags & USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER && !same) ||
            (what->flags & USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER && same)) {
            return -EBUSY;
        }
        result = shim_usb_ask(slot, PRELOAD_DETACH, what->interface, 0, 0);
    }
    return result < 0 && result != -ENODATA ? result
                                            : claim(slot, what->interface, PRELOAD_CLAIM_EVICTS);
}

static int get_driver(struct shim_slot *slot, struct usbdevfs_getdriver *what)
{
    struct preload_request request = {.operation = PRELOAD_GET_DRIVER, .number = what->interface};
    char driver[sizeof what->driver] = "";
    size_t size = sizeof driver - 1;
    int result = shim_usb_call(slot, &request, NULL, 0, driver, &size);

    if (result < 0) {
        return result;
    }
    memcpy(what->driver, driver, sizeof driver);
    return 0;
}

static int driver_ioctl(struct shim_slot *slot, const struct usbdevfs_ioctl *what)
{
    if (what->ioctl_code == (int)USBDEVFS_DISCONNECT) {
        return shim_usb_ask(slot, PRELOAD_DETACH, (uint32_t)what->ifno, 0, 0);
    }
    if (what->ioctl_code == (int)USBDEVFS_CONNECT) {
        return 0; /* there is no driver that would take it */
    }
    return -ENOTTY;
}

/* --- transfers that a program waits for --- */

static int control(struct shim_slot *slot, const struct usbdevfs_ctrltransfer *what)
{
    struct preload_request request = {.operation = PRELOAD_CALL,
                                      .type = PRELOAD_CONTROL,
                                      .number = what->timeout,
                                      .length = what->wLength};
    bool in = what->bRequestType & DIRECTION_IN;
    size_t in_size = in ? what->wLength : 0;

    if (what->wLength > CONTROL_MAX) {
        return -EINVAL;
    }
    memcpy(request.setup, what, SETUP_SIZE);
    int result = shim_usb_claim_for(slot, true, 0, request.setup);
    if (result < 0) {
        return result;
    }
    return shim_usb_call(slot, &request, what->data, in ? 0 : what->wLength, what->data, &in_size);
}

static int bulk(struct shim_slot *slot, const struct usbdevfs_bulktransfer *what)
{
    struct preload_request request = {.operation = PRELOAD_CALL,
                                      .type = PRELOAD_BULK,
                                      .endpoint = (uint8_t)what->ep,
                                      .number = what->timeout,
                                      .length = what->len};
    bool in = what->ep & DIRECTION_IN;
    size_t in_size = in ? what->len : 0;

    if (what->len > PRELOAD_DATA_MAX) {
        return -ENOMEM;
    }
    int result = shim_usb_claim_for(slot, false, (uint8_t)what->ep, NULL);
    if (result < 0) {
        return result;
    }
    return shim_usb_call(slot, &request, what->data, in ? 0 : what->len, what->data, &in_size);
}
/* --- ioctl --- */

static int set_interface(struct shim_slot *slot, const struct usbdevfs_setinterface *what)
{
    int result = shim_usb_ask(slot, PRELOAD_SET_INTERFACE, what->interface, what->altsetting, 0);

    if (result >= 0 && what->interface < 64) {
        atomic_fetch_or(&slot->claimed, UINT64_C(1) << what->interface);
    }
    return result;
}

static int set_configuration(struct shim_slot *slot, unsigned value)
{
    return shim_usb_ask(slot, PRELOAD_SET_CONFIGURATION, value == ~0U ? 0 : value, 0, 0);
}

static int reset(struct shim_slot *slot)
{
    slot->claimed = 0;
    return shim_usb_ask(slot, PRELOAD_RESET, 0, 0, 0);
}

static int connect_info(const struct shim_slot *slot, struct usbdevfs_connectinfo *out)
{
    *out = (struct usbdevfs_connectinfo){.devnum = slot->info.number};
    return 0;
}

/* The caller's structure may be shorter or longer than ours. */
static int connect_info_ex(const struct shim_slot *slot, unsigned long request, void *out)
{
    struct usbdevfs_conninfo_ex info = {
        .size = sizeof info,
        .busnum = PRELOAD_BUS,
        .devnum = slot->info.number,
        .speed = slot->info.speed,
        .num_ports = slot->info.position != 0 ? 1 : 0,
        .ports = {(uint8_t)slot->info.position},
    };
    size_t size = _IOC_SIZE(request);

    memset(out, 0, size);
    memcpy(out, &info, size < sizeof info ? size : sizeof info);
    return 0;
}

/* 0 or more, or -errno. */
static int usb_ioctl(struct shim_slot *slot, int fd, unsigned long request, void *argument)
{
    const unsigned *number = argument;

    if (_IOC_NR(request) == _IOC_NR(USBDEVFS_CONNINFO_EX(0)) &&
        request == USBDEVFS_CONNINFO_EX(_IOC_SIZE(request))) {
        return slot->gone ? -ENODEV : connect_info_ex(slot, request, argument);
    }
    switch (request) {
    case USBDEVFS_REAPURB:
        return shim_urb_reap(slot, fd, true, argument);
    case USBDEVFS_REAPURBNDELAY:
        return shim_urb_reap(slot, fd, false, argument);
    default:
        break;
    }
    if (slot->gone) {
        return -ENODEV;
    }
    switch (request) {
    case USBDEVFS_CONTROL:
        return control(slot, argument);
    case USBDEVFS_BULK:
        return bulk(slot, argument);
    case USBDEVFS_SUBMITURB:
        return shim_urb_submit(slot, fd, argument);
    case USBDEVFS_DISCARDURB:
        return shim_urb_discard(slot, argument);
    case USBDEVFS_RESETEP:
        return shim_usb_ask(slot, PRELOAD_RESET_ENDPOINT, *number, 0, 0);
    case USBDEVFS_CLEAR_HALT:
        return shim_usb_ask(slot, PRELOAD_CLEAR_HALT, *number, 0, 0);
    case USBDEVFS_SETINTERFACE:
        return set_interface(slot, argument);
    case USBDEVFS_SETCONFIGURATION:
        return set_configuration(slot, *number);
    case USBDEVFS_GETDRIVER:
        return get_driver(slot, argument);
    case USBDEVFS_CLAIMINTERFACE:
        return claim(slot, *number, 0);
    case USBDEVFS_RELEASEINTERFACE:
        return release(slot, *number);
    case USBDEVFS_DISCONNECT_CLAIM:
        return disconnect_claim(slot, argument);
    case USBDEVFS_IOCTL:
        return driver_ioctl(slot, argument);
    case USBDEVFS_RESET:
        return reset(slot);
    case USBDEVFS_CONNECTINFO:
        return connect_info(slot, argument);
    case USBDEVFS_GET_SPEED:
        return (int)slot->info.speed;
    case USBDEVFS_GET_CAPABILITIES:
        *(uint32_t *)argument = CAPABILITIES;
        return 0;
    default:
        return -ENOTTY;
    }
}

int shim_usb_ioctl(struct shim_slot *slot, int fd, unsigned long request, void *argument)
{
    int error = errno;

    if (!(slot->info.flags & PRELOAD_WRITABLE)) {
        return fail(EPERM);
    }
    int result = answer(usb_ioctl(slot, fd, request, argument));
    if (result >= 0) {
        errno = error;
    }
    return result;
}

/* A socket that usbfs is asked of is a handle that came by dup, exec or a message. */
static struct shim_slot *unknown_slot(int fd)
{
    struct stat status;

    if (fd < 0 || raw(SYS_fstat, fd, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return NULL;
    }
    int error = errno;
    struct shim_slot *slot = shim_slot_by_inode(status.st_ino);
    slot = slot != NULL ? slot : shim_usb_adopt(status.st_ino);
    if (slot != NULL) {
        shim_slot_attach(slot, fd);
    }
    errno = error;
    return slot;
}

SHIM_EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (_IOC_TYPE(request) == 'U' && shim_active()) {
        struct shim_slot *slot = shim_slot(fd, SHIM_USB);
        slot = slot != NULL ? slot : unknown_slot(fd);
        if (slot != NULL && slot->kind == SHIM_USB) {
            return shim_usb_ioctl(slot, fd, request, argument);
        }
    }
    int result;
    if (_IOC_TYPE(request) == 'T' && shim_active() &&
        shim_tty_ioctl(fd, request, argument, &result)) {
        return result;
    }
    return (int)raw_errno(SYS_ioctl, fd, request, argument);
}
