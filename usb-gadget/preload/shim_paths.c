/* Which paths lead to the server's files. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define FD_LINK "/proc/self/fd/"

/* Whether the present folder is one from which a relative path may lead to us. */
static _Atomic int folder_matters = -1;

/* --- where a path leads --- */

/* `where->buffer` holds our root and behind it the clean path. */
static void decide(struct shim_path *where)
{
    char *path = where->buffer + shim_root_length;

    switch (zones_of(path)) {
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
    return here[0] == '\0' || strcmp(here, "/") == 0 || zones_of(here) != ZONE_HOST;
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

static void look_at_path(struct shim_path *where, const char *absolute)
{
    memcpy(where->buffer, shim_root, shim_root_length);
    if (zones_clean(absolute, where->buffer + shim_root_length)) {
        decide(where);
    }
}

static void look_at_relative(struct shim_path *where)
{
    char joined[SHIM_PATH_MAX];
    int error = errno;

    if (relative_matters(where->folder, where->path) && join(where->folder, where->path, joined) &&
        zones_may_be_ours(joined)) {
        look_at_path(where, joined);
    }
    errno = error;
}

/* A host's absolute path must not even cost a look at errno: Chromium's sandbox calls chdir("/")
 * where the thread pointer points at zeros, and only what the C library does on success works. */
void shim_resolve(struct shim_path *where, int folder, const char *path)
{
    where->folder = folder;
    where->path = path;
    where->ours = NULL;
    where->merged = NULL;
    if (!shim_active() || path == NULL || path[0] == '\0') {
        return;
    }
    if (path[0] != '/') {
        look_at_relative(where);
    } else if (zones_may_be_ours(path)) {
        int error = errno;
        look_at_path(where, path);
        errno = error;
    }
}

void shim_resolve_fd(struct shim_path *where, int fd)
{
    char joined[SHIM_PATH_MAX];

    where->folder = fd;
    where->path = "";
    where->ours = NULL;
    where->merged = NULL;
    int error = errno;
    if (shim_active() && join(fd, "", joined)) {
        look_at_path(where, joined);
    }
    errno = error;
}
