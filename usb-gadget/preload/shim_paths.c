/* Which paths lead to the server's files. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define FD_LINK "/proc/self/fd/"
/* More folders than there are between the root and a device's interface, several times. */
#define KNOWN_MAX      32
#define KNOWN_PATH_MAX 128

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

/* --- where a descriptor leads --- */

/* Folders on the way to our files, which keep their names: libudev walks from the root to a device,
 * one open at a time, over and over, and asking the system for a descriptor's path is what costs.
 */
static struct {
    dev_t device;
    ino_t inode;
    uint8_t length; /* 0: unused */
    char path[KNOWN_PATH_MAX];
} known[KNOWN_MAX];
static size_t known_next;
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

/* The path's length, or 0. Whoever would have to wait, in a signal handler perhaps, does without.
 */
static size_t recall(const struct stat *status, char *out)
{
    size_t length = 0;

    if (pthread_mutex_trylock(&known_lock) != 0) {
        return 0;
    }
    for (size_t i = 0; i < KNOWN_MAX && length == 0; i++) {
        if (known[i].length > 0 && known[i].inode == status->st_ino &&
            known[i].device == status->st_dev) {
            length = known[i].length;
            memcpy(out, known[i].path, length + 1);
        }
    }
    pthread_mutex_unlock(&known_lock);
    return length;
}

static void remember(const struct stat *status, const char *path, size_t length)
{
    if (length == 0 || length >= KNOWN_PATH_MAX ||
        (zones_of(path) == ZONE_HOST && strcmp(path, "/") != 0) ||
        pthread_mutex_trylock(&known_lock) != 0) {
        return;
    }
    known[known_next].device = status->st_dev;
    known[known_next].inode = status->st_ino;
    known[known_next].length = (uint8_t)length;
    memcpy(known[known_next].path, path, length + 1);
    known_next = (known_next + 1) % KNOWN_MAX;
    pthread_mutex_unlock(&known_lock);
}

/* Whether a descriptor is open on a folder that was not removed. */
static bool is_folder(int fd, struct stat *status)
{
    return fd >= 0 && raw(SYS_fstat, fd, status) == 0 && S_ISDIR(status->st_mode) &&
           status->st_nlink > 0;
}

/* The absolute path of what is open, as the program means it: "" for our root. */
static bool path_of(int fd, char *out, size_t *out_length)
{
    char name[sizeof FD_LINK + 12];
    struct stat status;
    bool lasts = is_folder(fd, &status);

    *out_length = lasts ? recall(&status, out) : 0;
    if (*out_length > 0) {
        return true;
    }
    snprintf(name, sizeof name, FD_LINK "%d", fd);
    long length = fd == AT_FDCWD ? raw(SYS_getcwd, out, PATH_MAX) - 1
                                 : raw(SYS_readlinkat, AT_FDCWD, name, out, PATH_MAX);
    if (length <= 0 || length >= PATH_MAX || out[0] != '/') {
        return false;
    }
    out[length] = '\0';
    *out_length = shim_strip_root(out, (size_t)length);
    out[*out_length] = '\0';
    if (lasts) {
        remember(&status, out, *out_length);
    }
    return true;
}

/* The absolute path that `path` under the open folder `fd` means. */
static bool join(int fd, const char *path, char *out)
{
    size_t length;

    if (!path_of(fd, out, &length)) {
        return false;
    }
    if (length + strlen(path) + 2 > PATH_MAX) {
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
