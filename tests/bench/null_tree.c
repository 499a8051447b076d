#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/null_tree.h"
#include "tests/unit/support_null_board.h"
#include "usb-gadget/enumerate.h"

#define DEVICE "/sys/devices/null/usb1/1-1"

static bool identify(struct usb_identity *identity)
{
    struct board *board = null_board_new();
    struct root_port port;

    if (board == NULL) {
        return false;
    }
    board->ops->power(board, true);
    root_port_init(&port, board, true);
    bool known = enumerate(&port, 2, identity);
    board->ops->destroy(board);
    return known;
}

static bool make_folders(const char *root)
{
    static const char *const folders[] = {
        "/sys",
        "/sys/bus",
        "/sys/bus/usb",
        "/sys/bus/usb/devices",
        "/sys/class",
        "/sys/devices",
        "/sys/devices/null",
        "/sys/devices/null/usb1",
        DEVICE,
        "/dev",
        "/dev/bus",
        "/dev/bus/usb",
        "/dev/bus/usb/001",
        "/run",
        "/run/udev",
    };

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s", root, folders[i]);
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            return false;
        }
    }
    return true;
}

static bool make_file(const char *root, const char *name, const void *data, size_t length)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s%s", root, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return false;
    }
    bool written = fwrite(data, 1, length, file) == length;
    return fclose(file) == 0 && written;
}

static bool make_link(const char *root, const char *name, const char *target)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s%s", root, name);
    return symlink(target, path) == 0 || errno == EEXIST;
}

bool null_tree_make(const char *root)
{
    static const struct {
        const char *name, *text;
    } files[] = {
        {"/dev/bus/usb/001/002", ""},
        {DEVICE "/busnum", "1\n"},
        {DEVICE "/devnum", "2\n"},
        {DEVICE "/speed", "12\n"},
        {DEVICE "/bConfigurationValue", "1\n"},
        {DEVICE "/uevent", "MAJOR=189\nMINOR=1\nDEVNAME=bus/usb/001/002\nDEVTYPE=usb_device\n"
                           "BUSNUM=001\nDEVNUM=002\n"},
    };
    struct usb_identity identity;
    uint8_t descriptors[sizeof identity.device + sizeof identity.config];

    if (!identify(&identity) || !make_folders(root)) {
        return false;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (!make_file(root, files[i].name, files[i].text, strlen(files[i].text))) {
            return false;
        }
    }
    memcpy(descriptors, identity.device, sizeof identity.device);
    memcpy(descriptors + sizeof identity.device, identity.config, identity.config_length);
    return make_file(root, DEVICE "/descriptors", descriptors,
                     sizeof identity.device + identity.config_length) &&
           make_link(root, DEVICE "/subsystem", "../../../../bus/usb") &&
           make_link(root, "/sys/bus/usb/devices/1-1", "../../../devices/null/usb1/1-1");
}
