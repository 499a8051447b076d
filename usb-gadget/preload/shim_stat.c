/* The C library's functions that give a file's status: nodes are character devices. */
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define NODE_MODE (S_IFCHR | 0664)

void shim_fix_stat(unsigned number, struct stat *status)
{
    status->st_mode = NODE_MODE;
    status->st_rdev = makedev(PRELOAD_USB_MAJOR, number - 1);
    status->st_size = 0;
    status->st_blocks = 0;
}

static int stat_at(int folder, const char *path, struct stat *status, int flags)
{
    struct shim_path where;

    shim_resolve(&where, folder, path);
    int result = (int)raw_errno(SYS_newfstatat, where.folder, where.path, status, flags);
    unsigned number = result == 0 ? zones_node(where.ours) : 0;
    int tty = result == 0 && !S_ISLNK(status->st_mode) ? shim_tty(&where) : -1;
    if (number != 0) {
        shim_fix_stat(number, status);
    } else if (tty >= 0) {
        shim_fix_tty_stat(tty, status);
    }
    return result;
}

SHIM_EXPORT int stat(const char *restrict path, struct stat *restrict status)
{
    return stat_at(AT_FDCWD, path, status, 0);
}

SHIM_EXPORT int lstat(const char *restrict path, struct stat *restrict status)
{
    return stat_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

SHIM_EXPORT int fstat(int fd, struct stat *status)
{
    int result = (int)raw_errno(SYS_fstat, fd, status);
    const struct shim_slot *slot = result == 0 ? shim_slot(fd, SHIM_USB) : NULL;

    if (slot != NULL) {
        shim_fix_stat(slot->info.number, status);
    } else if (result == 0) {
        (void)shim_fix_pts_stat(status);
    }
    return result;
}

SHIM_EXPORT int fstatat(int folder, const char *restrict path, struct stat *restrict status,
                        int flags)
{
    if ((flags & AT_EMPTY_PATH) && path != NULL && path[0] == '\0' && folder >= 0) {
        return fstat(folder, status);
    }
    return stat_at(folder, path, status, flags);
}

/* The entry points of programs that were linked before glibc 2.33. */
SHIM_EXPORT int __xstat(int version, const char *path, struct stat *status)
{
    (void)version;
    return stat(path, status);
}

SHIM_EXPORT int __lxstat(int version, const char *path, struct stat *status)
{
    (void)version;
    return lstat(path, status);
}

SHIM_EXPORT int __fxstat(int version, int fd, struct stat *status)
{
    (void)version;
    return fstat(fd, status);
}

SHIM_EXPORT int __fxstatat(int version, int folder, const char *path, struct stat *status,
                           int flags)
{
    (void)version;
    return fstatat(folder, path, status, flags);
}

/* On 64-bit machines the two kinds of `struct stat` are one. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "64-bit file offsets");
int stat64(const char *restrict path, struct stat64 *restrict status) SHIM_ALIAS(stat);
int lstat64(const char *restrict path, struct stat64 *restrict status) SHIM_ALIAS(lstat);
int fstat64(int fd, struct stat64 *status) SHIM_ALIAS(fstat);
int fstatat64(int folder, const char *restrict path, struct stat64 *restrict status, int flags)
    SHIM_ALIAS(fstatat);
int __xstat64(int version, const char *path, struct stat64 *status) SHIM_ALIAS(__xstat);
int __lxstat64(int version, const char *path, struct stat64 *status) SHIM_ALIAS(__lxstat);
int __fxstat64(int version, int fd, struct stat64 *status) SHIM_ALIAS(__fxstat);
int __fxstatat64(int version, int folder, const char *path, struct stat64 *status, int flags)
    SHIM_ALIAS(__fxstatat);

static void fix_statx(unsigned major_number, unsigned minor_number, struct statx *status)
{
    status->stx_mode = NODE_MODE;
    status->stx_rdev_major = major_number;
    status->stx_rdev_minor = minor_number;
    status->stx_size = 0;
    status->stx_blocks = 0;
}

SHIM_EXPORT int statx(int folder, const char *restrict path, int flags, unsigned mask,
                      struct statx *restrict status)
{
    struct shim_path where;
    unsigned number = 0;

    shim_resolve(&where, folder, path);
    int result = (int)raw_errno(SYS_statx, where.folder, where.path, flags, mask, status);
    if (result != 0) {
        return result;
    }
    if ((flags & AT_EMPTY_PATH) && (path == NULL || path[0] == '\0')) {
        const struct shim_slot *slot = shim_slot(folder, SHIM_USB);
        number = slot != NULL ? slot->info.number : 0;
    } else {
        number = zones_node(where.ours);
    }
    int tty = S_ISLNK(status->stx_mode) ? -1 : shim_tty(&where);
    if (number != 0) {
        fix_statx(PRELOAD_USB_MAJOR, number - 1, status);
    } else if (tty >= 0) {
        fix_statx(PRELOAD_TTY_MAJOR, (unsigned)tty, status);
    }
    return result;
}
