/* Which paths lead to the server's files. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define FD_LINK "/proc/self/fd/"

/* Whose a path is. Host folders that get names of the server's are merged. */
enum zone { ZONE_HOST, ZONE_OURS, ZONE_MERGED };
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

/* Whether the present folder is one from which a relative path may lead to us. */
static _Atomic int folder_matters = -1;

/* --- whose a path is --- */

static enum zone zone_of(const char *path)
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

bool shim_is_ours(const char *path)
{
    return zone_of(path) == ZONE_OURS;
}

/* A first look that costs nothing for nearly all paths of a program. */
static bool may_be_ours(const char *path)
{
    while (path[0] == '/' && path[1] == '/') {
        path++;
    }
    return strncmp(path, "/sys", 4) == 0 || strncmp(path, "/dev", 4) == 0 ||
           strncmp(path, "/run", 4) == 0 || strstr(path, "/.") != NULL;
}

/* Takes "//", "/./" and "/../" out of an absolute path, but only as far as it is the host's: below
 * our own folders are links, where ".." must be left to the kernel. `out` has room for
 * SHIM_PATH_MAX bytes; false when the path is too long. */
static bool clean(const char *path, char *out)
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
        if (zone_of(out) == ZONE_OURS) {
            break;
        }
    }
    if (length + strlen(path) + 2 > PATH_MAX) {
        return false;
    }
    strcpy(out + length, length == 0 ? "/" : path);
    return true;
}

/* `where->buffer` holds our root and behind it the clean path. */
static void decide(struct shim_path *where)
{
    char *path = where->buffer + shim_root_length;

    switch (zone_of(path)) {
    case ZONE_HOST:
        break;
    case ZONE_OURS:
        where->folder = AT_FDCWD;
        where->path = where->buffer;
        where->ours = path;
        break;
    case ZONE_MERGED:
        where->merged = path;
        if (raw(SYS_faccessat, AT_FDCWD, path, F_OK) != 0) {
            where->folder = AT_FDCWD;
            where->path = where->buffer;
            where->ours = path;
        }
        break;
    }
}

size_t shim_strip_root(char *path, size_t length)
{
    if (!shim_active() || length < shim_root_length ||
        memcmp(path, shim_root, shim_root_length) != 0 ||
        (length > shim_root_length && path[shim_root_length] != '/')) {
        return length;
    }
    memmove(path, path + shim_root_length, length - shim_root_length);
    return length - shim_root_length;
}

/* The absolute path that `path` under the open folder `fd` means. */
static bool join(int fd, const char *path, char *out)
{
    char name[sizeof FD_LINK + 12];

    snprintf(name, sizeof name, FD_LINK "%d", fd);
    long length = fd == AT_FDCWD ? raw(SYS_getcwd, out, PATH_MAX) - 1
                                 : raw(SYS_readlinkat, AT_FDCWD, name, out, PATH_MAX);
    if (length <= 0 || length >= PATH_MAX || out[0] != '/') {
        return false;
    }
    out[length] = '\0';
    length = (long)shim_strip_root(out, (size_t)length);
    if ((size_t)length + strlen(path) + 2 > PATH_MAX) {
        return false;
    }
    if (path[0] != '\0') {
        out[length] = '/';
        strcpy(out + length + 1, path);
    } else {
        out[length] = '\0';
    }
    return true;
}

/* Is the present folder one of ours, or one above them? */
static bool look_at_folder(void)
{
    char here[SHIM_PATH_MAX];

    if (!join(AT_FDCWD, "", here)) {
        return true;
    }
    return here[0] == '\0' || strcmp(here, "/") == 0 || zone_of(here) != ZONE_HOST;
}

void shim_folder_changed(void)
{
    folder_matters = -1;
}

static bool relative_matters(int folder, const char *path)
{
    if (folder != AT_FDCWD || strncmp(path, "..", 2) == 0) {
        return true;
    }
    if (folder_matters < 0) {
        folder_matters = look_at_folder();
    }
    return folder_matters != 0;
}

void shim_resolve(struct shim_path *where, int folder, const char *path)
{
    char joined[SHIM_PATH_MAX];

    where->folder = folder;
    where->path = path;
    where->ours = NULL;
    where->merged = NULL;
    if (!shim_active() || path == NULL || path[0] == '\0') {
        return;
    }
    int error = errno;
    const char *absolute = path;
    if (path[0] != '/') {
        absolute = relative_matters(folder, path) && join(folder, path, joined) ? joined : NULL;
    }
    if (absolute != NULL && may_be_ours(absolute)) {
        memcpy(where->buffer, shim_root, shim_root_length);
        if (clean(absolute, where->buffer + shim_root_length)) {
            decide(where);
        }
    }
    errno = error;
}

void shim_resolve_fd(struct shim_path *where, int fd)
{
    char joined[SHIM_PATH_MAX];

    where->folder = fd;
    where->path = "";
    where->ours = NULL;
    where->merged = NULL;
    if (shim_active() && join(fd, "", joined)) {
        int error = errno;
        memcpy(where->buffer, shim_root, shim_root_length);
        if (clean(joined, where->buffer + shim_root_length)) {
            decide(where);
        }
        errno = error;
    }
}

/* What follows the folder of nodes in a path, or NULL. */
static const char *behind_bus(const char *ours)
{
    static const char bus[] = "/dev/bus/usb/001";

    return strncmp(ours, bus, sizeof bus - 1) == 0 ? ours + sizeof bus - 1 : NULL;
}

unsigned shim_node(const char *ours)
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

bool shim_is_node_folder(const char *ours)
{
    const char *rest = ours != NULL ? behind_bus(ours) : NULL;

    return rest != NULL && rest[strspn(rest, "/")] == '\0';
}
