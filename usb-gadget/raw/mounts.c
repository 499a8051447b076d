/* The server's files over the system's, in a mount namespace of our own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usb-gadget/preload/protocol.h"
#include "usb-gadget/preload/zones.h"
#include "usb-gadget/raw/cage.h"

#define FOLDER_MODE 0755
#define FILE_MODE   0644
#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

enum kind {
    KIND_COVERED, /* the folder is the server's alone */
    KIND_MERGED   /* the system's entries, and the server's */
};

static const struct {
    const char *path;
    enum kind kind;
} places[] = {
    {"/sys/bus/usb", KIND_COVERED}, {"/sys" PRELOAD_DEVPATH, KIND_COVERED},
    {"/sys/dev/char", KIND_MERGED}, {"/sys/class/tty", KIND_MERGED},
    {"/dev", KIND_MERGED},          {"/run/udev", KIND_COVERED},
};

static bool bind_mount(const char *from, const char *to, struct cage_failure *failure)
{
    /* What is mounted below cannot be left out where we are not root. */
    return mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0 ||
           cage_failed(failure, CAGE_MOUNT, to);
}

/* Lays the server's folder for `path` over it. */
static bool cover(int root, const char *path, struct cage_failure *failure)
{
    char from[PATH_MAX];

    snprintf(from, sizeof from, "/proc/self/fd/%d%s", root, path);
    return bind_mount(from, path, failure);
}

static bool is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* --- merging --- */

/* Shows an entry of the system's folder, which is open as `system` and covered, in the server's
 * folder, open as `ours`. */
static bool show_entry(int system, int ours, const char *path, const char *name,
                       struct cage_failure *failure)
{
    char from[NAME_MAX + 40], to[PATH_MAX], target[PATH_MAX];
    struct stat status;

    if (fstatat(system, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return true; /* it has just gone */
    }
    snprintf(to, sizeof to, "%s/%s", path, name);
    if (S_ISLNK(status.st_mode)) {
        ssize_t length = readlinkat(system, name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        return symlinkat(target, ours, name) == 0 || cage_failed(failure, CAGE_MOUNT, to);
    }
    if (S_ISDIR(status.st_mode) ? mkdirat(ours, name, FOLDER_MODE) != 0
                                : mknodat(ours, name, S_IFREG | FILE_MODE, 0) != 0) {
        return cage_failed(failure, CAGE_MOUNT, to);
    }
    snprintf(from, sizeof from, "/proc/self/fd/%d/%s", system, name);
    return bind_mount(from, to, failure);
}

/* Ours hides what the system has under the same name. */
static bool is_shown(int ours, const char *path, const char *name)
{
    char whole[PATH_MAX];

    snprintf(whole, sizeof whole, "%s/%s", path, name);
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || zones_of(whole) == ZONE_OURS ||
           faccessat(ours, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool show_entries(DIR *system, int ours, const char *path, struct cage_failure *failure)
{
    bool done = true;

    for (struct dirent *entry = readdir(system); done && entry != NULL; entry = readdir(system)) {
        done = is_shown(ours, path, entry->d_name) ||
               show_entry(dirfd(system), ours, path, entry->d_name, failure);
    }
    return done;
}

static bool merge(int root, const char *path, struct cage_failure *failure);

/* The parent of a folder that the system does not have gets it from the server. */
static bool merge_parent(int root, const char *path, struct cage_failure *failure)
{
    char parent[PATH_MAX];

    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    if (parent[0] == '\0') {
        errno = ENOENT;
        return cage_failed(failure, CAGE_MOUNT, path);
    }
    return merge(root, parent, failure);
}

/* Makes sure that the server has a folder for an absolute path. */
static bool make_folder(int root, const char *path)
{
    char part[PATH_MAX];

    for (const char *end = path + 1; end != NULL; end = strchr(end + 1, '/')) {
        const char *next = strchr(end + 1, '/');
        snprintf(part, sizeof part, "%.*s", next != NULL ? (int)(next - path - 1) : PATH_MAX - 1,
                 path + 1);
        if (mkdirat(root, part, FOLDER_MODE) != 0 && errno != EEXIST) {
            return false;
        }
    }
    return true;
}

/* Both folders are open. */
static bool merge_into(int root, DIR *system, int ours, const char *path,
                       struct cage_failure *failure)
{
    /* Whatever our mask of modes is, the system's folders are open to all. */
    return (fchmod(ours, FOLDER_MODE) == 0 || cage_failed(failure, CAGE_MOUNT, path)) &&
           cover(root, path, failure) && show_entries(system, ours, path, failure);
}

static bool merge(int root, const char *path, struct cage_failure *failure)
{
    if (!is_folder(path)) {
        return merge_parent(root, path, failure);
    }
    int ours = make_folder(root, path) ? openat(root, path + 1, OPEN_FOLDER) : -1;
    DIR *system = ours >= 0 ? opendir(path) : NULL;
    bool done = system != NULL ? merge_into(root, system, ours, path, failure)
                               : cage_failed(failure, CAGE_MOUNT, path);
    if (system != NULL) {
        closedir(system);
    }
    if (ours >= 0) {
        close(ours);
    }
    return done;
}

/* --- all of it --- */

/* What is mounted here stays here; what is mounted outside later is seen. */
static bool part(struct cage_failure *failure)
{
    return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0 ||
           cage_failed(failure, CAGE_MOUNT, "/");
}

static bool make_all(int root, struct cage_failure *failure)
{
    bool done = true;

    for (size_t i = 0; done && i < sizeof places / sizeof places[0]; i++) {
        const char *path = places[i].path;
        if (places[i].kind == KIND_MERGED) {
            done = merge(root, path, failure);
        } else {
            done = is_folder(path) ? cover(root, path, failure) : merge_parent(root, path, failure);
        }
    }
    return done;
}

bool mounts_make(const char *root, struct cage_failure *failure)
{
    /* Opened here, so that it is in our namespace; by path it is out of reach while what it lies in
     * is covered. */
    int files = open(root, OPEN_FOLDER);
    bool done = (files >= 0 || cage_failed(failure, CAGE_MOUNT, root)) && part(failure) &&
                make_all(files, failure);

    if (files >= 0) {
        close(files);
    }
    return done;
}

bool mounts_try(struct cage_failure *failure)
{
    return part(failure) && bind_mount("/dev", "/dev", failure);
}
