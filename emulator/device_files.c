#include "emulator/device_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- complaints that name a file --- */

bool complain_file(struct complaint *complaint, const char *path, const char *file,
                   const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return complain(complaint, "%s/%s: %s", path, file, text);
}

bool complain_about_file(struct complaint *complaint, const char *path, const char *file)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", path, file);
    return complain_about(complaint, name);
}

/* --- whole files --- */

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "something strange";
}

/* O_NONBLOCK keeps a pipe from holding us up. */
int device_file_open(struct device_dir *dir, const char *file, int flags, off_t *size,
                     struct complaint *complaint)
{
    int fd = openat(dir->folder, file, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    struct stat status;
    if (fd < 0 && errno == EISDIR) {
        complain_file(complaint, dir->path, file, "a directory found, a regular file expected");
    } else if (fd < 0) {
        complain_file(complaint, dir->path, file, "cannot open: %s", strerror(errno));
    } else if (fstat(fd, &status) != 0) {
        complain_file(complaint, dir->path, file, "cannot look at it: %s", strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        complain_file(complaint, dir->path, file, "%s found, a regular file expected",
                      kind_of(status.st_mode));
    } else {
        *size = status.st_size;
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool device_file_read(int fd, void *bytes, size_t length)
{
    uint8_t *p = bytes;
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(fd, p + done, length - done, (off_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n ? errno : EIO;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

bool device_file_write(int fd, const void *bytes, size_t length, off_t offset)
{
    const uint8_t *p = bytes;
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(fd, p + done, length - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n ? errno : EIO;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

/* --- the lock --- */

static bool complain_locked(struct device_dir *dir, struct complaint *complaint)
{
    char text[32] = "";
    ssize_t n = pread(dir->lock, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0) {
        return complain(complaint, "%s: in use by process %ld", dir->path, pid);
    }
    return complain(complaint, "%s: in use by another process", dir->path);
}

bool device_dir_lock(struct device_dir *dir, enum device_dir_use use, struct complaint *complaint)
{
    off_t size;
    if (use == DEVICE_DIR_LOOK) {
        /* Looking needs no right to write; without a lock file nobody runs the board. */
        dir->lock = openat(dir->folder, FILE_LOCK, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        return dir->lock < 0 || flock(dir->lock, LOCK_SH | LOCK_NB) == 0 ||
               complain_locked(dir, complaint);
    }
    dir->lock = device_file_open(dir, FILE_LOCK, O_RDWR | O_CREAT, &size, complaint);
    if (dir->lock < 0) {
        return false;
    }
    if (flock(dir->lock, LOCK_EX | LOCK_NB) != 0) {
        return complain_locked(dir, complaint);
    }
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The pid only helps the next one's message: no reason to fail. */
    if (ftruncate(dir->lock, 0) != 0 || pwrite(dir->lock, text, (size_t)length, 0) < 0) {
        return true;
    }
    return true;
}

/* --- the directory itself --- */

struct device_dir *device_dir_new(const char *path, struct complaint *complaint)
{
    struct device_dir *dir = calloc(1, sizeof *dir);
    if (dir) {
        dir->folder = dir->lock = dir->flash_fd = dir->backup_fd = dir->journal_fd = -1;
        dir->path = strdup(path);
    }
    if (!dir || !dir->path) {
        complain(complaint, "%s: memory is short", path);
        device_dir_close(dir);
        return NULL;
    }
    return dir;
}

bool device_dir_open_folder(struct device_dir *dir, struct complaint *complaint)
{
    dir->folder = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->folder >= 0) {
        return true;
    }
    if (errno == ENOTDIR) {
        return complain(complaint, "%s: not a directory; a device directory expected", dir->path);
    }
    if (errno == ENOENT) {
        return complain(complaint, "%s: no such device directory (vphoton new makes one)",
                        dir->path);
    }
    return complain(complaint, "%s: cannot open: %s", dir->path, strerror(errno));
}

void device_dir_close(struct device_dir *dir)
{
    if (!dir) {
        return;
    }
    const int fds[] = {dir->flash_fd, dir->backup_fd, dir->journal_fd, dir->lock, dir->folder};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    journal_free(&dir->journal);
    flash_free(dir->flash);
    free(dir->image);
    free(dir->path);
    free(dir);
}

const char *device_dir_path(const struct device_dir *dir)
{
    return dir->path;
}

const struct device_identity *device_dir_identity(const struct device_dir *dir)
{
    return &dir->identity;
}

struct device_small_state device_small_state_of(const struct flash *flash,
                                                const struct backup *backup)
{
    struct device_small_state state = {.backup = *backup, .nwrp = flash_nwrp(flash)};
    for (unsigned sector = 0; sector < FLASH_SECTORS; sector++) {
        state.wear[sector] = flash_wear(flash, sector);
    }
    return state;
}
