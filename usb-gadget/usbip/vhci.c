#include "usb-gadget/usbip/vhci.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* VDEV_ST_NULL: nothing is plugged in. */
#define STATE_FREE 4
/* One page is all that a file of sysfs shows. */
#define STATUS_MAX      4096
#define CONTROLLERS_MAX 128

static const char *const places[] = {
    "/sys/devices/platform/vhci_hcd.0", "/sys/devices/platform/vhci_hcd", /* before Linux 4.9 */
};

/* --- reading --- */

/* A decimal number of at most nine digits, and the blank behind it. */
static bool take_number(const char **at, int *number)
{
    size_t digits = strspn(*at, "0123456789");

    if (digits == 0 || digits > 9 || (*at)[digits] != ' ') {
        return false;
    }
    *number = (int)strtol(*at, NULL, 10);
    *at += digits + strspn(*at + digits, " ");
    return true;
}

/* One line: "hs  0001 004 000 ..." since Linux 4.13, "0001 004 000 ..." before; "ss" is a
 * SuperSpeed port. */
static bool is_free(const char *line, int *port)
{
    int state;

    if (strncmp(line, "hs ", 3) == 0) {
        line += strspn(line + 2, " ") + 2;
    }
    return take_number(&line, port) && take_number(&line, &state) && state == STATE_FREE;
}

int vhci_free_port(const char *status, int from)
{
    while (*status != '\0') {
        int port;
        if (is_free(status, &port) && port >= from) {
            return port;
        }
        status += strcspn(status, "\n");
        status += *status == '\n';
    }
    return VHCI_NO_PORT;
}

static bool read_text(const char *path, char text[STATUS_MAX + 1])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, STATUS_MAX) : -1;

    if (fd >= 0) {
        close(fd);
    }
    text[length > 0 ? length : 0] = '\0';
    return length >= 0;
}

/* Each controller has a file: "status", "status.1" and so on. */
static int find_port(const char *folder, int from)
{
    char path[PATH_MAX], text[STATUS_MAX + 1];

    for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
        int length = i == 0 ? snprintf(path, sizeof path, "%s/status", folder)
                            : snprintf(path, sizeof path, "%s/status.%u", folder, i);
        if (length < 0 || (size_t)length >= sizeof path || !read_text(path, text)) {
            break;
        }
        int port = vhci_free_port(text, from);
        if (port != VHCI_NO_PORT) {
            return port;
        }
    }
    return VHCI_NO_PORT;
}

const char *vhci_folder(const char *folder)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *place = folder != NULL ? folder : places[i];
        snprintf(path, sizeof path, "%s/attach", place);
        if (access(path, F_OK) == 0) {
            return place;
        }
    }
    return NULL;
}

/* --- writing --- */

static int write_text(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    int error = 0;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (write(fd, text, strlen(text)) < 0) {
        error = -errno;
    }
    close(fd);
    return error;
}

static int try_port(const char *folder, int port, int fd, uint32_t devid, uint32_t speed)
{
    char text[64];

    snprintf(text, sizeof text, "%d %d %u %u\n", port, fd, devid, speed);
    return write_text(folder, "attach", text);
}

static bool port_is_free(const char *folder, int port)
{
    return port != VHCI_NO_PORT && find_port(folder, port) == port;
}

int vhci_attach(const char *folder, int preferred, int fd, uint32_t devid, uint32_t speed)
{
    int error = -EBUSY;
    int port = port_is_free(folder, preferred) ? preferred : find_port(folder, 0);

    while (port != VHCI_NO_PORT) {
        error = try_port(folder, port, fd, devid, speed);
        if (error != -EINVAL && error != -EBUSY) {
            return error != 0 ? error : port;
        }
        port = find_port(folder, port + 1); /* somebody else was quicker */
    }
    return error;
}

int vhci_detach(const char *folder, int port)
{
    char text[16];

    snprintf(text, sizeof text, "%d\n", port);
    return write_text(folder, "detach", text);
}
