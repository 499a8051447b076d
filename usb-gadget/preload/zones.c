#include "usb-gadget/preload/zones.h"

#include <stdint.h>
#include <string.h>

#include "usb-gadget/preload/protocol.h"

#define NODE_PREFIX "/dev/ttyACM"
#define LINK_PREFIX "/dev/serial/"
#define NAME_PREFIX "ttyACM"

enum match { MATCH_TREE, MATCH_PREFIX, MATCH_SAME };

static const struct {
    const char *path;
    enum match match;
    enum zone zone;
} zones[] = {
    {"/sys/bus/usb", MATCH_TREE, ZONE_OURS},
    {"/sys" PRELOAD_DEVPATH, MATCH_TREE, ZONE_OURS},
    {"/sys/dev/char/189:", MATCH_PREFIX, ZONE_OURS},
    {"/dev/bus/usb", MATCH_TREE, ZONE_OURS},
    {"/run/udev/control", MATCH_SAME, ZONE_OURS},
    {"/run/udev/data/c189:", MATCH_PREFIX, ZONE_OURS},
    {"/run/udev/data/+usb:", MATCH_PREFIX, ZONE_OURS},
    {"/dev/ttyACM", MATCH_PREFIX, ZONE_OURS},
    {"/dev/serial", MATCH_TREE, ZONE_OURS},
    {"/sys/class/tty/ttyACM", MATCH_PREFIX, ZONE_OURS},
    {"/sys/dev/char/166:", MATCH_PREFIX, ZONE_OURS},
    {"/run/udev/data/c166:", MATCH_PREFIX, ZONE_OURS},
    {"/sys/class", MATCH_SAME, ZONE_MERGED},
    {"/sys/class/tty", MATCH_SAME, ZONE_MERGED},
    {"/sys", MATCH_SAME, ZONE_MERGED},
    {"/sys/bus", MATCH_SAME, ZONE_MERGED},
    {"/sys/devices", MATCH_SAME, ZONE_MERGED},
    {"/sys/devices/platform", MATCH_SAME, ZONE_MERGED},
    {"/sys/dev", MATCH_SAME, ZONE_MERGED},
    {"/sys/dev/char", MATCH_SAME, ZONE_MERGED},
    {"/dev", MATCH_SAME, ZONE_MERGED},
    {"/dev/bus", MATCH_SAME, ZONE_MERGED},
    {"/run", MATCH_SAME, ZONE_MERGED},
    {"/run/udev", MATCH_SAME, ZONE_MERGED},
    {"/run/udev/data", MATCH_SAME, ZONE_MERGED},
};

enum zone zones_of(const char *path)
{
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        size_t length = strlen(zones[i].path);
        if (strncmp(path, zones[i].path, length) != 0) {
            continue;
        }
        char next = path[length];
        if (next == '\0' || zones[i].match == MATCH_PREFIX ||
            (zones[i].match == MATCH_TREE && next == '/')) {
            return zones[i].zone;
        }
    }
    return ZONE_HOST;
}

bool zones_may_be_ours(const char *path)
{
    while (path[0] == '/' && path[1] == '/') {
        path++;
    }
    return strncmp(path, "/sys", 4) == 0 || strncmp(path, "/dev", 4) == 0 ||
           strncmp(path, "/run", 4) == 0 || strstr(path, "/.") != NULL;
}

bool zones_clean(const char *path, char *out)
{
    size_t length = 0;

    while (*path != '\0') {
        path += strspn(path, "/");
        size_t part = strcspn(path, "/");
        if (part == 0 || (part == 1 && path[0] == '.')) {
            path += part;
            continue;
        }
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (length > 0 && out[--length] != '/') {
            }
            path += part;
            continue;
        }
        if (length + part + 2 > PATH_MAX) {
            return false;
        }
        out[length++] = '/';
        memcpy(out + length, path, part);
        length += part;
        out[length] = '\0';
        path += part;
        if (zones_of(out) == ZONE_OURS) {
            break;
        }
    }
    if (length + strlen(path) + 2 > PATH_MAX) {
        return false;
    }
    strcpy(out + length, length == 0 ? "/" : path);
    return true;
}

/* What follows the folder of nodes in a path, or NULL. */
static const char *behind_bus(const char *ours)
{
    static const char bus[] = "/dev/bus/usb/001";

    return strncmp(ours, bus, sizeof bus - 1) == 0 ? ours + sizeof bus - 1 : NULL;
}

unsigned zones_node(const char *ours)
{
    const char *name = ours != NULL ? behind_bus(ours) : NULL;
    unsigned number = 0;

    if (name == NULL || name[0] != '/') {
        return 0;
    }
    name += strspn(name, "/");
    if (strlen(name) != 3 || strspn(name, "0123456789") != 3) {
        return 0;
    }
    for (; *name != '\0'; name++) {
        number = number * 10 + (unsigned)(*name - '0');
    }
    return number;
}

bool zones_is_node_folder(const char *ours)
{
    const char *rest = ours != NULL ? behind_bus(ours) : NULL;

    return rest != NULL && rest[strspn(rest, "/")] == '\0';
}

/* --- serial ports --- */

int zones_number(const char *text)
{
    int number = 0;

    if (text[0] == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > 9999) {
            return -1;
        }
        number = number * 10 + (*text - '0');
    }
    return number;
}

int zones_tty(const char *ours)
{
    return ours != NULL && strncmp(ours, NODE_PREFIX, sizeof NODE_PREFIX - 1) == 0
               ? zones_number(ours + sizeof NODE_PREFIX - 1)
               : -1;
}

bool zones_is_tty_link(const char *ours)
{
    return ours != NULL && strncmp(ours, LINK_PREFIX, sizeof LINK_PREFIX - 1) == 0;
}

int zones_tty_target(const char *target)
{
    const char *name = strrchr(target, '/');

    return name != NULL && strncmp(name + 1, NAME_PREFIX, sizeof NAME_PREFIX - 1) == 0
               ? zones_number(name + sizeof NAME_PREFIX)
               : -1;
}
