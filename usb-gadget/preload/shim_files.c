/* The C library's functions that take paths, but for status and folders. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define SYSFS_TYPE  0x62656572
#define TMPFS_TYPE  0x01021994
#define SOCKET_LINK "socket:["

/* --- open --- */

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    struct shim_path where;

    shim_resolve(&where, folder, path);
    unsigned number = zones_node(where.ours);
    if (number != 0 && (flags & (O_PATH | O_DIRECTORY)) == 0) {
        return shim_usb_open(number, flags);
    }
    int tty = shim_tty(&where);
    if (tty >= 0 && (flags & (O_PATH | O_DIRECTORY)) == 0) {
        return shim_tty_open(tty, flags);
    }
    return (int)raw_errno(SYS_openat, where.folder, where.path, flags, mode);
}

/* The mode stands behind the flags only when a file may be made. */
#define OPEN_MODE(flags)                                                                           \
    mode_t mode = 0;                                                                               \
    if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                              \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode = va_arg(arguments, mode_t);                                                          \
        va_end(arguments);                                                                         \
    }

SHIM_EXPORT int open(const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

SHIM_EXPORT int openat(int folder, const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return open_at(folder, path, flags, mode);
}

int open64(const char *path, int flags, ...) SHIM_ALIAS(open);
int openat64(int folder, const char *path, int flags, ...) SHIM_ALIAS(openat);

/* What programs built with _FORTIFY_SOURCE call. */
SHIM_EXPORT int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}

SHIM_EXPORT int __openat_2(int folder, const char *path, int flags)
{
    return open_at(folder, path, flags, 0);
}

int __open64_2(const char *path, int flags) SHIM_ALIAS(__open_2);
int __openat64_2(int folder, const char *path, int flags) SHIM_ALIAS(__openat_2);

SHIM_EXPORT FILE *fopen(const char *path, const char *mode)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return SHIM_REAL(fopen)(where.path, mode);
}

FILE *fopen64(const char *path, const char *mode) SHIM_ALIAS(fopen);

/* --- questions --- */

SHIM_EXPORT int access(const char *path, int mode)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return (int)raw_errno(SYS_faccessat, where.folder, where.path, mode);
}

SHIM_EXPORT int faccessat(int folder, const char *path, int mode, int flags)
{
    struct shim_path where;

    shim_resolve(&where, folder, path);
    if (where.ours == NULL) {
        return SHIM_REAL(faccessat)(folder, path, mode, flags);
    }
    return (int)raw_errno(SYS_faccessat, where.folder, where.path, mode);
}

SHIM_EXPORT int euidaccess(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

int eaccess(const char *path, int mode) SHIM_ALIAS(euidaccess);

/* The link of a node's descriptor in /proc shows the socket behind it. */
static long show_node(char *out, long length, size_t size)
{
    char name[sizeof SOCKET_LINK + 24];
    unsigned long inode;

    if (!shim_active() || length <= (long)sizeof SOCKET_LINK || length >= (long)sizeof name ||
        memcmp(out, SOCKET_LINK, sizeof SOCKET_LINK - 1) != 0) {
        return length;
    }
    memcpy(name, out, (size_t)length);
    name[length] = '\0';
    inode = strtoul(name + sizeof SOCKET_LINK - 1, NULL, 10);
    const struct shim_slot *slot = shim_slot_by_inode(inode);
    if (slot == NULL || slot->kind != SHIM_USB) {
        return length;
    }
    char node[40];
    int count =
        snprintf(node, sizeof node, "/dev/bus/usb/%03d/%03u", PRELOAD_BUS, slot->info.number);
    length = count < (int)size ? count : (long)size;
    memcpy(out, node, (size_t)length);
    return length;
}

SHIM_EXPORT ssize_t readlinkat(int folder, const char *restrict path, char *restrict out,
                               size_t size)
{
    struct shim_path where;

    shim_resolve(&where, folder, path);
    long length = raw_errno(SYS_readlinkat, where.folder, where.path, out, size);
    if (length <= 0 || out[0] == '.') {
        return length;
    }
    return show_node(out, (long)shim_strip_root(out, (size_t)length), size);
}

SHIM_EXPORT ssize_t readlink(const char *restrict path, char *restrict out, size_t size)
{
    return readlinkat(AT_FDCWD, path, out, size);
}

SHIM_EXPORT ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t room)
{
    if (size > room) {
        abort();
    }
    return readlink(path, out, size);
}

SHIM_EXPORT ssize_t __readlinkat_chk(int folder, const char *path, char *out, size_t size,
                                     size_t room)
{
    if (size > room) {
        abort();
    }
    return readlinkat(folder, path, out, size);
}

SHIM_EXPORT char *realpath(const char *restrict path, char *restrict out)
{
    struct shim_path where;
    char resolved[PATH_MAX];

    shim_resolve(&where, AT_FDCWD, path);
    if (where.ours == NULL) {
        return SHIM_REAL(realpath)(path, out);
    }
    if (SHIM_REAL(realpath)(where.path, resolved) == NULL) {
        return NULL;
    }
    resolved[shim_strip_root(resolved, strlen(resolved))] = '\0';
    return out != NULL ? strcpy(out, resolved) : strdup(resolved);
}

SHIM_EXPORT char *__realpath_chk(const char *path, char *out, size_t room)
{
    if (room < PATH_MAX) {
        abort();
    }
    return realpath(path, out);
}

SHIM_EXPORT char *canonicalize_file_name(const char *path)
{
    return realpath(path, NULL);
}

/* --- extended attributes, which `ls -l` asks for --- */

SHIM_EXPORT ssize_t getxattr(const char *path, const char *name, void *out, size_t size)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return raw_errno(SYS_getxattr, where.path, name, out, size);
}

SHIM_EXPORT ssize_t lgetxattr(const char *path, const char *name, void *out, size_t size)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return raw_errno(SYS_lgetxattr, where.path, name, out, size);
}

SHIM_EXPORT ssize_t listxattr(const char *path, char *out, size_t size)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return raw_errno(SYS_listxattr, where.path, out, size);
}

SHIM_EXPORT ssize_t llistxattr(const char *path, char *out, size_t size)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return raw_errno(SYS_llistxattr, where.path, out, size);
}

/* --- the present folder --- */

SHIM_EXPORT int chdir(const char *path)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    int result = (int)raw_errno(SYS_chdir, where.path);
    shim_folder_changed();
    return result;
}

SHIM_EXPORT int fchdir(int folder)
{
    int result = (int)raw_errno(SYS_fchdir, folder);

    shim_folder_changed();
    return result;
}

SHIM_EXPORT char *getcwd(char *out, size_t size)
{
    char *path = SHIM_REAL(getcwd)(out, size);

    if (path != NULL) {
        path[shim_strip_root(path, strlen(path))] = '\0';
    }
    return path;
}

SHIM_EXPORT char *__getcwd_chk(char *out, size_t size, size_t room)
{
    if (size > room) {
        abort();
    }
    return getcwd(out, size);
}

/* --- file systems --- */

/* Programs make sure that sysfs is sysfs. */
static void fix_statfs(const char *ours, struct statfs *status)
{
    status->f_type = strncmp(ours, "/sys", 4) == 0 ? SYSFS_TYPE : TMPFS_TYPE;
}

SHIM_EXPORT int statfs(const char *path, struct statfs *status)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    int result = (int)raw_errno(SYS_statfs, where.path, status);
    if (result == 0 && where.ours != NULL) {
        fix_statfs(where.ours, status);
    }
    return result;
}

SHIM_EXPORT int fstatfs(int fd, struct statfs *status)
{
    struct shim_path where;
    int result = (int)raw_errno(SYS_fstatfs, fd, status);

    /* All our files lie on one file system, but which one is not worth remembering. */
    if (result == 0 && shim_active()) {
        shim_resolve_fd(&where, fd);
        if (where.ours != NULL) {
            fix_statfs(where.ours, status);
        }
    }
    return result;
}

int statfs64(const char *path, struct statfs64 *status)
    __attribute__((visibility("default"), alias("statfs")));
int fstatfs64(int fd, struct statfs64 *status)
    __attribute__((visibility("default"), alias("fstatfs")));

SHIM_EXPORT int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    return (int)raw_errno(SYS_inotify_add_watch, fd, where.path, mask);
}
