/* usbfs for programs: what a device node answers. */
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "usb-gadget/preload/shim_usb.h"

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

/* A request without data whose success may change what is claimed. */
static int claiming_call(struct shim_slot *slot, struct preload_request *request, const void *out,
                         size_t out_size)
{
    int result = shim_usb_call(slot, request, out, out_size, NULL, NULL);

    if (result >= 0) {
        uint64_t before = slot->claimed;
        while (!atomic_compare_exchange_weak(&slot->claimed, &before,
                                             translation_claims(before, request))) {
        }
    }
    return result;
}

int shim_usb_claim_for(struct shim_slot *slot, const struct preload_request *transfer)
{
    struct preload_request request = {.operation = PRELOAD_CLAIM};
    int interface;
    int result = translate_claim(&slot->info, transfer, slot->claimed, &interface);

    if (result < 0 || interface < 0) {
        return result;
    }
    request.number = (uint32_t)interface;
    return claiming_call(slot, &request, NULL, 0);
}

static int disconnect_claim(struct shim_slot *slot, const struct usbdevfs_disconnect_claim *what)
{
    struct preload_request request;

    translate_disconnect_claim(what, &request);
    return claiming_call(slot, &request, what->driver, strnlen(what->driver, sizeof what->driver));
}

static int numbers(struct shim_slot *slot, unsigned long ioctl, const void *argument)
{
    struct preload_request request;
    int result = translate_numbers(ioctl, argument, &request);

    return result < 0 ? result : claiming_call(slot, &request, NULL, 0);
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
    struct preload_request request;
    int result;

    return translate_driver_ioctl(what, &request, &result)
               ? shim_usb_call(slot, &request, NULL, 0, NULL, NULL)
               : result;
}

/* --- transfers that a program waits for --- */

static int transfer(struct shim_slot *slot, struct preload_request *request, void *data)
{
    bool in = translation_is_in(request);
    size_t in_size = in ? request->length : 0;
    int result = shim_usb_claim_for(slot, request);

    return result < 0
               ? result
               : shim_usb_call(slot, request, data, in ? 0 : request->length, data, &in_size);
}

static int control(struct shim_slot *slot, const struct usbdevfs_ctrltransfer *what)
{
    struct preload_request request;
    int result = translate_control(what, &request);

    return result < 0 ? result : transfer(slot, &request, what->data);
}

static int bulk(struct shim_slot *slot, const struct usbdevfs_bulktransfer *what)
{
    struct preload_request request;
    int result = translate_bulk(what, &request);

    return result < 0 ? result : transfer(slot, &request, what->data);
}

/* --- ioctl --- */

static int known(const struct shim_slot *slot, unsigned long ioctl, void *argument)
{
    uint8_t answer_bytes[TRANSLATION_ANSWER];
    size_t size;
    int result = translation_answer(&slot->info, ioctl, answer_bytes, &size);

    if (result >= 0 && size > 0) {
        memcpy(argument, answer_bytes, size);
    }
    return result;
}

/* 0 or more, or -errno. */
static int usb_ioctl(struct shim_slot *slot, int fd, unsigned long request, void *argument)
{
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
    case USBDEVFS_GETDRIVER:
        return get_driver(slot, argument);
    case USBDEVFS_DISCONNECT_CLAIM:
        return disconnect_claim(slot, argument);
    case USBDEVFS_IOCTL:
        return driver_ioctl(slot, argument);
    default:
        break;
    }
    int result = known(slot, request, argument);
    return result != -ENOTTY ? result : numbers(slot, request, argument);
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
        struct shim_slot *slot = shim_slot_trusted(fd, SHIM_USB);
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
