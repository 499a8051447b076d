/*
 * Inside a device directory: its struct, its files by name, reading and writing them whole. For
 * device_dir*.c only.
 */
#ifndef VPHOTON_DEVICE_FILES_H
#define VPHOTON_DEVICE_FILES_H

#include <sys/types.h>

#include "emulator/device_dir.h"

#define FILE_FLASH   "flash.bin"
#define FILE_BACKUP  "backup.bin"
#define FILE_JSON    "device.json"
#define FILE_JOURNAL "journal.bin"
#define FILE_LOCK    "lock"

struct device_dir {
    char *path;
    int folder, lock, flash_fd, backup_fd, journal_fd;
    struct device_identity identity;
    struct device_small_state state;   /* what the files hold */
    struct flash *flash;               /* likewise; shares its pages with the board's */
    uint8_t *image;                    /* flash.bin while the directory is being opened */
    uint8_t small[DEVICE_BACKUP_SIZE]; /* backup.bin likewise */
    bool failed;
    struct journal journal;
};

/* Complaints that name a file of the directory; false. */
__attribute__((format(printf, 4, 5))) bool complain_file(struct complaint *complaint,
                                                         const char *path, const char *file,
                                                         const char *format, ...);
bool complain_about_file(struct complaint *complaint, const char *path, const char *file);

/* Opens a regular file of the directory; -1 with a complaint. */
int device_file_open(struct device_dir *dir, const char *file, int flags, off_t *size,
                     struct complaint *complaint);
/* The first `length` bytes; false with errno. */
bool device_file_read(int fd, void *bytes, size_t length);
/* All of it; false with errno. */
bool device_file_write(int fd, const void *bytes, size_t length, off_t offset);

struct device_dir *device_dir_new(const char *path, struct complaint *complaint);
bool device_dir_open_folder(struct device_dir *dir, struct complaint *complaint);
bool device_dir_lock(struct device_dir *dir, enum device_dir_use use, struct complaint *complaint);

struct device_small_state device_small_state_of(const struct flash *flash,
                                                const struct backup *backup);

#endif
