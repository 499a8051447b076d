#include "usb-gadget/usbip/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* More devices than that are no list. */
#define DEVICES_MAX 65536u

static bool send_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        bytes += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

static bool receive_all(int fd, uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = recv(fd, bytes, length, 0);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            return false;
        }
        bytes += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

/* Sends a request and takes the reply's head. */
static enum usbip_outcome ask(int fd, const uint8_t *request, size_t length, uint16_t code,
                              uint32_t *status)
{
    uint8_t head[USBIP_OPERATION_SIZE];
    struct usbip_operation reply;

    if (!send_all(fd, request, length) || !receive_all(fd, head, sizeof head)) {
        return USBIP_LOST;
    }
    usbip_operation_get(head, &reply);
    if (reply.version != USBIP_VERSION || reply.code != code) {
        return USBIP_NONSENSE;
    }
    *status = reply.status;
    return reply.status == USBIP_OK ? USBIP_DONE : USBIP_REFUSED;
}

enum usbip_outcome usbip_client_import(int fd, const char *busid, struct usbip_device *device,
                                       uint32_t *status)
{
    const struct usbip_operation operation = {USBIP_VERSION, USBIP_REQUEST_IMPORT, USBIP_OK};
    uint8_t request[USBIP_OPERATION_SIZE + USBIP_BUSID_SIZE] = {0};
    uint8_t bytes[USBIP_DEVICE_SIZE];
    const size_t length = strnlen(busid, USBIP_BUSID_SIZE - 1);

    usbip_operation_put(request, &operation);
    memcpy(request + USBIP_OPERATION_SIZE, busid, length);
    enum usbip_outcome outcome = ask(fd, request, sizeof request, USBIP_REPLY_IMPORT, status);
    if (outcome != USBIP_DONE) {
        return outcome;
    }
    if (!receive_all(fd, bytes, sizeof bytes)) {
        return USBIP_LOST;
    }
    usbip_device_get(bytes, device);
    return USBIP_DONE;
}

static bool is_named(const struct usbip_device *device, const char *name)
{
    const char *slash = strrchr(device->path, '/');

    return strcmp(device->path, name) == 0 || (slash != NULL && strcmp(slash + 1, name) == 0);
}

static bool receive_device(int fd, struct usbip_device *device)
{
    uint8_t bytes[USBIP_DEVICE_SIZE], interface[USBIP_INTERFACE_SIZE];

    if (!receive_all(fd, bytes, sizeof bytes)) {
        return false;
    }
    usbip_device_get(bytes, device);
    for (unsigned i = 0; i < device->interfaces; i++) {
        if (!receive_all(fd, interface, sizeof interface)) {
            return false;
        }
    }
    return true;
}

enum usbip_outcome usbip_client_find(int fd, const char *name, struct usbip_device *device,
                                     bool *found)
{
    const struct usbip_operation operation = {USBIP_VERSION, USBIP_REQUEST_DEVLIST, USBIP_OK};
    uint8_t request[USBIP_OPERATION_SIZE], bytes[USBIP_COUNT_SIZE];
    uint32_t status;

    *found = false;
    usbip_operation_put(request, &operation);
    enum usbip_outcome outcome = ask(fd, request, sizeof request, USBIP_REPLY_DEVLIST, &status);
    if (outcome != USBIP_DONE) {
        return outcome;
    }
    if (!receive_all(fd, bytes, sizeof bytes)) {
        return USBIP_LOST;
    }
    const uint32_t count = usbip_count_get(bytes);
    if (count > DEVICES_MAX) {
        return USBIP_NONSENSE;
    }
    for (uint32_t i = 0; i < count && !*found; i++) {
        if (!receive_device(fd, device)) {
            return USBIP_LOST;
        }
        *found = is_named(device, name);
    }
    return USBIP_DONE;
}
