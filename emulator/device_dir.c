#include "emulator/device_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_FLASH   "flash.bin"
#define FILE_BACKUP  "backup.bin"
#define FILE_JSON    "device.json"
#define FILE_JOURNAL "journal.bin"
#define FILE_LOCK    "lock"

/* device.json comes last when a board is made: where it is, there is a board. */
static const char *const own_files[] = {
    FILE_FLASH,        FILE_BACKUP,        FILE_JOURNAL,     FILE_LOCK,
    FILE_FLASH ".new", FILE_BACKUP ".new", FILE_JSON ".new",
};

struct device_dir {
    char *path;
    int folder, lock, flash_fd, backup_fd, journal_fd;
    struct device_identity identity;
    struct device_small_state opened; /* as read */
    uint8_t written[DEVICE_BACKUP_SIZE];
    uint8_t *image; /* flash.bin as read, 1 MiB; NULL once handed over */
    bool touched[FLASH_PAGES];
    bool any_touched;
    bool failed;
    struct journal journal;
};

/* --- complaints that name a file --- */

__attribute__((format(printf, 4, 5))) static bool complain_file(struct complaint *complaint,
                                                                const char *path, const char *file,
                                                                const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return complain(complaint, "%s/%s: %s", path, file, text);
}

static bool complain_about_file(struct complaint *complaint, const char *path, const char *file)
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

/* Opens a regular file of the directory; -1 with a complaint. O_NONBLOCK keeps a pipe from holding
 * us up. */
static int open_regular(struct device_dir *dir, const char *file, int flags, off_t *size,
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

static bool read_exactly(int fd, void *bytes, size_t length)
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

static bool write_exactly(int fd, const void *bytes, size_t length, off_t offset)
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

static bool take_lock(struct device_dir *dir, enum device_dir_use use, struct complaint *complaint)
{
    off_t size;
    if (use == DEVICE_DIR_LOOK) {
        /* Looking needs no right to write; without a lock file nobody runs the board. */
        dir->lock = openat(dir->folder, FILE_LOCK, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        return dir->lock < 0 || flock(dir->lock, LOCK_SH | LOCK_NB) == 0 ||
               complain_locked(dir, complaint);
    }
    dir->lock = open_regular(dir, FILE_LOCK, O_RDWR | O_CREAT, &size, complaint);
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

/* --- opening --- */

static struct device_dir *dir_new(const char *path, struct complaint *complaint)
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

static bool open_folder(struct device_dir *dir, struct complaint *complaint)
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

static bool read_identity(struct device_dir *dir, struct complaint *complaint)
{
    off_t size;
    if (faccessat(dir->folder, FILE_JSON, F_OK, 0) != 0 && errno == ENOENT) {
        return complain_file(complaint, dir->path, FILE_JSON,
                             "missing: not a device directory (vphoton new makes one)");
    }
    int fd = open_regular(dir, FILE_JSON, O_RDONLY, &size, complaint);
    if (fd < 0) {
        return false;
    }
    char *text = NULL;
    bool good = false;
    if (size > DEVICE_JSON_MAX) {
        complain_file(complaint, dir->path, FILE_JSON, "%lld bytes found, at most %d expected",
                      (long long)size, DEVICE_JSON_MAX);
    } else if (!(text = malloc((size_t)size + 1)) || !read_exactly(fd, text, (size_t)size)) {
        complain_file(complaint, dir->path, FILE_JSON, "cannot read: %s", strerror(errno));
    } else {
        good = device_json_parse(text, (size_t)size, &dir->identity, complaint) ||
               complain_about_file(complaint, dir->path, FILE_JSON);
    }
    free(text);
    close(fd);
    return good;
}

static bool read_small_state(struct device_dir *dir, int flags, struct complaint *complaint)
{
    off_t size;
    dir->backup_fd = open_regular(dir, FILE_BACKUP, flags, &size, complaint);
    if (dir->backup_fd < 0) {
        return false;
    }
    if (size != DEVICE_BACKUP_SIZE) {
        return complain_file(complaint, dir->path, FILE_BACKUP, "%lld bytes found, %d expected",
                             (long long)size, DEVICE_BACKUP_SIZE);
    }
    if (!read_exactly(dir->backup_fd, dir->written, sizeof dir->written)) {
        return complain_file(complaint, dir->path, FILE_BACKUP, "cannot read: %s", strerror(errno));
    }
    return true;
}

static bool read_flash(struct device_dir *dir, int flags, struct complaint *complaint)
{
    off_t size;
    dir->flash_fd = open_regular(dir, FILE_FLASH, flags, &size, complaint);
    if (dir->flash_fd < 0) {
        return false;
    }
    if (size != FLASH_SIZE) {
        return complain_file(complaint, dir->path, FILE_FLASH, "%lld bytes found, %u expected",
                             (long long)size, FLASH_SIZE);
    }
    dir->image = malloc(FLASH_SIZE);
    if (!dir->image || !read_exactly(dir->flash_fd, dir->image, FLASH_SIZE)) {
        return complain_file(complaint, dir->path, FILE_FLASH, "cannot read: %s", strerror(errno));
    }
    return true;
}

/* Carries a journal record out in memory, and on disk when the board is going to run. */
static bool redo(void *context, enum journal_kind kind, uint32_t offset, const void *data,
                 uint32_t length)
{
    struct device_dir *dir = context;
    bool to_disk = dir->journal_fd >= 0;
    if (kind == JOURNAL_BACKUP) {
        memcpy(dir->written, data, length);
        return !to_disk || write_exactly(dir->backup_fd, data, length, 0);
    }
    if (kind == JOURNAL_ERASED) {
        memset(dir->image + offset, 0xFF, length);
    } else {
        memcpy(dir->image + offset, data, length);
    }
    return !to_disk || write_exactly(dir->flash_fd, dir->image + offset, length, offset);
}

static bool replay(struct device_dir *dir, const uint8_t *bytes, size_t length,
                   struct complaint *complaint)
{
    switch (journal_replay(bytes, length, redo, dir, complaint)) {
    case JOURNAL_IMPOSSIBLE:
        return complain_about_file(complaint, dir->path, FILE_JOURNAL);
    case JOURNAL_STOPPED:
        return complain_file(complaint, dir->path, FILE_JOURNAL,
                             "cannot complete the change it holds: %s", strerror(errno));
    case JOURNAL_NOTHING:
    case JOURNAL_DONE:
        break;
    }
    if (dir->journal_fd >= 0 && length > 0 && ftruncate(dir->journal_fd, 0) != 0) {
        return complain_file(complaint, dir->path, FILE_JOURNAL, "cannot empty it: %s",
                             strerror(errno));
    }
    return true;
}

static bool read_journal(struct device_dir *dir, enum device_dir_use use,
                         struct complaint *complaint)
{
    off_t size;
    bool run = use == DEVICE_DIR_RUN;
    if (!run && faccessat(dir->folder, FILE_JOURNAL, F_OK, 0) != 0 && errno == ENOENT) {
        return true;
    }
    int fd = open_regular(dir, FILE_JOURNAL, run ? O_RDWR | O_CREAT : O_RDONLY, &size, complaint);
    if (fd < 0) {
        return false;
    }
    uint8_t *bytes = NULL;
    bool good;
    if (size > (off_t)JOURNAL_MAX) {
        good = complain_file(complaint, dir->path, FILE_JOURNAL,
                             "%lld bytes found, at most %u expected", (long long)size,
                             (unsigned)JOURNAL_MAX);
    } else if (!(bytes = malloc((size_t)size + 1)) || !read_exactly(fd, bytes, (size_t)size)) {
        good =
            complain_file(complaint, dir->path, FILE_JOURNAL, "cannot read: %s", strerror(errno));
    } else {
        dir->journal_fd = run ? fd : -1;
        good = replay(dir, bytes, (size_t)size, complaint);
    }
    free(bytes);
    if (dir->journal_fd != fd) {
        close(fd);
    }
    return good;
}

struct device_dir *device_dir_open(const char *path, enum device_dir_use use,
                                   struct complaint *complaint)
{
    struct device_dir *dir = dir_new(path, complaint);
    int flags = use == DEVICE_DIR_RUN ? O_RDWR : O_RDONLY;
    if (!dir) {
        return NULL;
    }
    /* The identity first: a lock file must not appear in a directory that is not ours. */
    if (open_folder(dir, complaint) && read_identity(dir, complaint) &&
        take_lock(dir, use, complaint) && read_small_state(dir, flags, complaint) &&
        read_flash(dir, flags, complaint) && read_journal(dir, use, complaint)) {
        if (device_backup_parse(dir->written, sizeof dir->written, &dir->opened, complaint)) {
            return dir;
        }
        complain_about_file(complaint, dir->path, FILE_BACKUP);
    }
    device_dir_close(dir);
    return NULL;
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

const struct device_small_state *device_dir_small_state(const struct device_dir *dir)
{
    return &dir->opened;
}

static bool page_is_blank(const uint8_t *page)
{
    return page[0] == 0xFF && memcmp(page, page + 1, FLASH_PAGE - 1) == 0;
}

struct flash *device_dir_flash(const struct device_dir *dir)
{
    struct flash *flash = flash_new(dir->identity.seed);
    if (!flash) {
        return NULL;
    }
    for (uint32_t offset = 0; offset < FLASH_SIZE; offset += FLASH_PAGE) {
        const uint8_t *page = dir->image + offset;
        if (!page_is_blank(page) && !flash_load(flash, FLASH_BASE + offset, page, FLASH_PAGE)) {
            flash_free(flash);
            return NULL;
        }
    }
    flash_set_nwrp(flash, dir->opened.nwrp);
    flash_set_wear(flash, dir->opened.wear);
    return flash;
}

/* --- writing through --- */

void device_dir_touch(struct device_dir *dir, uint32_t address, uint32_t length)
{
    if (length == 0 || !flash_contains(address, length)) {
        return;
    }
    uint32_t first = (address - FLASH_BASE) / FLASH_PAGE;
    uint32_t last = (address - FLASH_BASE + length - 1) / FLASH_PAGE;
    memset(dir->touched + first, true, last - first + 1);
    dir->any_touched = true;
}

void device_dir_touch_all(struct device_dir *dir)
{
    device_dir_touch(dir, FLASH_BASE, FLASH_SIZE);
}

/* Keeps only the pages that differ from what the file holds. `image` follows the file. */
static size_t find_changes(struct device_dir *dir, const struct flash *flash)
{
    size_t changes = 0;
    for (uint32_t page = 0; dir->any_touched && page < FLASH_PAGES; page++) {
        if (!dir->touched[page]) {
            continue;
        }
        size_t length;
        uint32_t offset = page * FLASH_PAGE;
        const uint8_t *now = flash_peek(flash, FLASH_BASE + offset, &length);
        dir->touched[page] = memcmp(dir->image + offset, now, FLASH_PAGE) != 0;
        if (dir->touched[page]) {
            memcpy(dir->image + offset, now, FLASH_PAGE);
            changes++;
        }
    }
    return changes;
}

/* Gives each run of touched pages to `apply`, blank ones and others apart. */
static bool each_run(struct device_dir *dir, journal_apply *apply, void *context)
{
    for (uint32_t page = 0; page < FLASH_PAGES;) {
        if (!dir->touched[page]) {
            page++;
            continue;
        }
        uint32_t first = page;
        bool blank = page_is_blank(dir->image + first * FLASH_PAGE);
        do {
            page++;
        } while (page < FLASH_PAGES && dir->touched[page] &&
                 blank == page_is_blank(dir->image + page * FLASH_PAGE));
        uint32_t offset = first * FLASH_PAGE;
        if (!apply(context, blank ? JOURNAL_ERASED : JOURNAL_DATA, offset,
                   blank ? NULL : dir->image + offset, (page - first) * FLASH_PAGE)) {
            return false;
        }
    }
    return true;
}

static bool note(void *context, enum journal_kind kind, uint32_t offset, const void *data,
                 uint32_t length)
{
    struct device_dir *dir = context;
    return journal_add(&dir->journal, kind, offset, data, length);
}

static bool write_run(void *context, enum journal_kind kind, uint32_t offset, const void *data,
                      uint32_t length)
{
    struct device_dir *dir = context;
    (void)kind;
    (void)data;
    return write_exactly(dir->flash_fd, dir->image + offset, length, offset);
}

/* The journal on disk, whole. A write that failed is taken back, so that it can never count. */
static bool write_journal(struct device_dir *dir, const uint8_t *small)
{
    journal_clear(&dir->journal);
    if (!each_run(dir, note, dir) ||
        (small && !journal_add(&dir->journal, JOURNAL_BACKUP, 0, small, DEVICE_BACKUP_SIZE))) {
        errno = ENOMEM;
        return false;
    }
    journal_seal(&dir->journal);
    if (write_exactly(dir->journal_fd, dir->journal.bytes, dir->journal.length, 0)) {
        return true;
    }
    int why = errno;
    if (ftruncate(dir->journal_fd, 0) == 0) {
        errno = why;
    }
    return false;
}

static bool give_up(struct device_dir *dir, const char *file, struct complaint *complaint)
{
    dir->failed = true;
    return complain_file(complaint, dir->path, file,
                         "cannot write: %s; the directory keeps the last complete flash operation",
                         strerror(errno));
}

bool device_dir_commit(struct device_dir *dir, const struct flash *flash,
                       const struct backup *backup, struct complaint *complaint)
{
    uint8_t now[DEVICE_BACKUP_SIZE];
    struct device_small_state state = {.backup = *backup, .nwrp = flash_nwrp(flash)};
    if (dir->failed) {
        return complain(complaint, "%s: not written any more", dir->path);
    }
    for (unsigned sector = 0; sector < FLASH_SECTORS; sector++) {
        state.wear[sector] = flash_wear(flash, sector);
    }
    device_backup_print(&state, now);
    const uint8_t *small = memcmp(now, dir->written, sizeof now) ? now : NULL;
    size_t changes = find_changes(dir, flash) + (small ? 1 : 0);

    /* One page is written whole or not at all; anything more could be killed half-way. */
    bool journalled = changes > 1;
    if (journalled && !write_journal(dir, small)) {
        return give_up(dir, FILE_JOURNAL, complaint);
    }
    if (dir->any_touched && !each_run(dir, write_run, dir)) {
        return give_up(dir, FILE_FLASH, complaint);
    }
    if (small && !write_exactly(dir->backup_fd, small, DEVICE_BACKUP_SIZE, 0)) {
        return give_up(dir, FILE_BACKUP, complaint);
    }
    if (journalled && ftruncate(dir->journal_fd, 0) != 0) {
        return give_up(dir, FILE_JOURNAL, complaint);
    }
    memcpy(dir->written, now, sizeof now);
    memset(dir->touched, false, sizeof dir->touched);
    dir->any_touched = false;
    return true;
}

/* --- making one --- */

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
    bool good = write_exactly(fd, bytes, length, 0);
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
    struct device_small_state state = {.nwrp = flash_nwrp(flash)};
    for (unsigned sector = 0; sector < FLASH_SECTORS; sector++) {
        state.wear[sector] = flash_wear(flash, sector);
    }
    device_backup_print(&state, bytes);
    return put_file(dir, FILE_BACKUP, bytes, sizeof bytes, complaint);
}

static bool put_identity(struct device_dir *dir, const struct device_identity *identity,
                         struct complaint *complaint)
{
    char *text = device_json_print(identity);
    char *line = text ? malloc(strlen(text) + 2) : NULL;
    if (!line) {
        free(text);
        return complain(complaint, "%s: memory is short", dir->path);
    }
    size_t length = strlen(text);
    memcpy(line, text, length);
    line[length] = '\n';
    bool good = put_file(dir, FILE_JSON, line, length + 1, complaint);
    free(line);
    free(text);
    return good;
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
    struct device_dir *dir = dir_new(path, complaint);
    if (!dir) {
        return false;
    }
    bool made = mkdir(path, 0777) == 0;
    bool good = made || errno == EEXIST ||
                complain(complaint, "%s: cannot make the directory: %s", path, strerror(errno));
    good = good && open_folder(dir, complaint) && check_empty(dir, complaint);
    if (good && take_lock(dir, DEVICE_DIR_RUN, complaint)) {
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
