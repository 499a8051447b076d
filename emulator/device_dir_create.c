#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/device_files.h"

/* device.json comes last when a board is made: where it is, there is a board. */
static const char *const own_files[] = {
    FILE_FLASH,        FILE_BACKUP,        FILE_JOURNAL,     FILE_LOCK,
    FILE_FLASH ".new", FILE_BACKUP ".new", FILE_JSON ".new",
};

bool device_dir_exists(const char *path)
{
    char name[4096];
    int length = snprintf(name, sizeof name, "%s/" FILE_JSON, path);
    struct stat status;
    return length > 0 && (size_t)length < sizeof name && lstat(name, &status) == 0;
}

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof own_files / sizeof own_files[0]; i++) {
        if (strcmp(name, own_files[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Nothing of anybody else's may be there: the user may have mistyped the name. */
static bool check_empty(struct device_dir *dir, struct complaint *complaint)
{
    int fd = openat(dir->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        if (fd >= 0) {
            close(fd);
        }
        return complain(complaint, "%s: cannot list: %s", dir->path, strerror(errno));
    }
    bool good = true;
    for (const struct dirent *entry = readdir(list); good && entry; entry = readdir(list)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (strcmp(entry->d_name, FILE_JSON) == 0) {
            good = complain(complaint, "%s: already holds a board; nothing was changed", dir->path);
        } else if (!is_own(entry->d_name)) {
            good = complain(complaint, "%s: holds \"%.100s\"; a new or empty directory expected",
                            dir->path, entry->d_name);
        }
    }
    closedir(list);
    return good;
}

/* A whole file under a temporary name, then under its own. */
static bool put_file(struct device_dir *dir, const char *file, const void *bytes, size_t length,
                     struct complaint *complaint)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, "%s.new", file);
    int fd = openat(dir->folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return complain_file(complaint, dir->path, file, "cannot make: %s", strerror(errno));
    }
    bool good = device_file_write(fd, bytes, length, 0);
    good = close(fd) == 0 && good;
    good = good && renameat(dir->folder, temporary, dir->folder, file) == 0;
    if (!good) {
        complain_file(complaint, dir->path, file, "cannot write %zu bytes: %s", length,
                      strerror(errno));
        unlinkat(dir->folder, temporary, 0);
    }
    return good;
}

static bool put_flash(struct device_dir *dir, const struct flash *flash,
                      struct complaint *complaint)
{
    uint8_t *image = malloc(FLASH_SIZE);
    if (!image) {
        return complain(complaint, "%s: memory is short", dir->path);
    }
    flash_read(flash, FLASH_BASE, image, FLASH_SIZE);
    bool good = put_file(dir, FILE_FLASH, image, FLASH_SIZE, complaint);
    free(image);
    return good;
}

static bool put_small_state(struct device_dir *dir, const struct flash *flash,
                            struct complaint *complaint)
{
    uint8_t bytes[DEVICE_BACKUP_SIZE];
    struct device_small_state state = device_small_state_of(flash, &(struct backup){0});
    device_backup_print(&state, bytes);
    return put_file(dir, FILE_BACKUP, bytes, sizeof bytes, complaint);
}

static bool put_identity(struct device_dir *dir, const struct device_identity *identity,
                         struct complaint *complaint)
{
    char *text = device_json_print(identity);
    char line[1024];
    if (!text) {
        return complain(complaint, "%s: memory is short", dir->path);
    }
    int length = snprintf(line, sizeof line, "%s\n", text);
    free(text);
    return put_file(dir, FILE_JSON, line, (size_t)length, complaint);
}

static void remove_own(struct device_dir *dir, bool made)
{
    for (size_t i = 0; i < sizeof own_files / sizeof own_files[0]; i++) {
        unlinkat(dir->folder, own_files[i], 0);
    }
    if (made) {
        rmdir(dir->path);
    }
}

bool device_dir_create(const char *path, const struct device_identity *identity,
                       const struct flash *flash, struct complaint *complaint)
{
    struct device_dir *dir = device_dir_new(path, complaint);
    if (!dir) {
        return false;
    }
    bool made = mkdir(path, 0777) == 0;
    bool good = made || errno == EEXIST ||
                complain(complaint, "%s: cannot make the directory: %s", path, strerror(errno));
    good = good && device_dir_open_folder(dir, complaint) && check_empty(dir, complaint);
    if (good && device_dir_lock(dir, DEVICE_DIR_RUN, complaint)) {
        /* Once more under the lock: somebody else may have made a board meanwhile. */
        good = check_empty(dir, complaint);
        if (good) {
            good = put_flash(dir, flash, complaint) && put_small_state(dir, flash, complaint) &&
                   put_identity(dir, identity, complaint);
            if (!good) {
                remove_own(dir, made);
            }
        }
    } else {
        good = false;
    }
    device_dir_close(dir);
    return good;
}
