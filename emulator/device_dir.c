#include "emulator/device_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emulator/device_files.h"

/* --- opening --- */

static bool page_is_blank(const uint8_t *page)
{
    return page[0] == 0xFF && memcmp(page, page + 1, FLASH_PAGE - 1) == 0;
}

static bool read_identity(struct device_dir *dir, struct complaint *complaint)
{
    off_t size;
    if (faccessat(dir->folder, FILE_JSON, F_OK, 0) != 0 && errno == ENOENT) {
        return complain_file(complaint, dir->path, FILE_JSON,
                             "missing: not a device directory (vphoton new makes one)");
    }
    int fd = device_file_open(dir, FILE_JSON, O_RDONLY, &size, complaint);
    if (fd < 0) {
        return false;
    }
    char *text = NULL;
    bool good = false;
    if (size > DEVICE_JSON_MAX) {
        complain_file(complaint, dir->path, FILE_JSON, "%lld bytes found, at most %d expected",
                      (long long)size, DEVICE_JSON_MAX);
    } else if (!(text = malloc((size_t)size + 1)) || !device_file_read(fd, text, (size_t)size)) {
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
    dir->backup_fd = device_file_open(dir, FILE_BACKUP, flags, &size, complaint);
    if (dir->backup_fd < 0) {
        return false;
    }
    if (size != DEVICE_BACKUP_SIZE) {
        return complain_file(complaint, dir->path, FILE_BACKUP, "%lld bytes found, %d expected",
                             (long long)size, DEVICE_BACKUP_SIZE);
    }
    if (!device_file_read(dir->backup_fd, dir->small, sizeof dir->small)) {
        return complain_file(complaint, dir->path, FILE_BACKUP, "cannot read: %s", strerror(errno));
    }
    return true;
}

static bool read_flash(struct device_dir *dir, int flags, struct complaint *complaint)
{
    off_t size;
    dir->flash_fd = device_file_open(dir, FILE_FLASH, flags, &size, complaint);
    if (dir->flash_fd < 0) {
        return false;
    }
    if (size != FLASH_SIZE) {
        return complain_file(complaint, dir->path, FILE_FLASH, "%lld bytes found, %u expected",
                             (long long)size, FLASH_SIZE);
    }
    dir->image = malloc(FLASH_SIZE);
    if (!dir->image || !device_file_read(dir->flash_fd, dir->image, FLASH_SIZE)) {
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
        memcpy(dir->small, data, length);
        return !to_disk || device_file_write(dir->backup_fd, data, length, 0);
    }
    if (kind == JOURNAL_ERASED) {
        memset(dir->image + offset, 0xFF, length);
    } else {
        memcpy(dir->image + offset, data, length);
    }
    return !to_disk || device_file_write(dir->flash_fd, dir->image + offset, length, offset);
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
    int fd =
        device_file_open(dir, FILE_JOURNAL, run ? O_RDWR | O_CREAT : O_RDONLY, &size, complaint);
    if (fd < 0) {
        return false;
    }
    uint8_t *bytes = NULL;
    bool good;
    if (size > (off_t)JOURNAL_MAX) {
        good = complain_file(complaint, dir->path, FILE_JOURNAL,
                             "%lld bytes found, at most %u expected", (long long)size,
                             (unsigned)JOURNAL_MAX);
    } else if (!(bytes = malloc((size_t)size + 1)) || !device_file_read(fd, bytes, (size_t)size)) {
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

/* From bytes to a flash; blank pages cost nothing. */
static bool take_in(struct device_dir *dir, struct complaint *complaint)
{
    if (!device_backup_parse(dir->small, sizeof dir->small, &dir->state, complaint)) {
        return complain_about_file(complaint, dir->path, FILE_BACKUP);
    }
    dir->flash = flash_new(dir->identity.seed);
    bool done = dir->flash != NULL;
    for (uint32_t offset = 0; done && offset < FLASH_SIZE; offset += FLASH_PAGE) {
        const uint8_t *page = dir->image + offset;
        done = page_is_blank(page) || flash_load(dir->flash, FLASH_BASE + offset, page, FLASH_PAGE);
    }
    free(dir->image);
    dir->image = NULL;
    if (!done) {
        return complain(complaint, "%s: memory is short", dir->path);
    }
    flash_set_nwrp(dir->flash, dir->state.nwrp);
    flash_set_wear(dir->flash, dir->state.wear);
    return true;
}

struct device_dir *device_dir_open(const char *path, enum device_dir_use use,
                                   struct complaint *complaint)
{
    struct device_dir *dir = device_dir_new(path, complaint);
    int flags = use == DEVICE_DIR_RUN ? O_RDWR : O_RDONLY;
    if (!dir) {
        return NULL;
    }
    /* The identity first: a lock file must not appear in a directory that is not ours. */
    if (device_dir_open_folder(dir, complaint) && read_identity(dir, complaint) &&
        device_dir_lock(dir, use, complaint) && read_small_state(dir, flags, complaint) &&
        read_flash(dir, flags, complaint) && read_journal(dir, use, complaint) &&
        take_in(dir, complaint)) {
        return dir;
    }
    device_dir_close(dir);
    return NULL;
}

const struct device_small_state *device_dir_small_state(const struct device_dir *dir)
{
    return &dir->state;
}

void device_dir_share(struct device_dir *dir, const struct flash *like)
{
    (void)flash_share(dir->flash, like);
}

struct flash *device_dir_flash(const struct device_dir *dir)
{
    return flash_clone(dir->flash);
}

/* --- writing through --- */

/* What differs between the board and the files. */
struct change {
    const uint8_t *pages[FLASH_PAGES]; /* new bytes; NULL where the page is as before */
    size_t page_count;
    struct device_small_state state;
    bool small; /* the small state differs */
};

static bool same_small_state(const struct device_small_state *a, const struct device_small_state *b)
{
    return memcmp(&a->backup, &b->backup, sizeof a->backup) == 0 && a->nwrp == b->nwrp &&
           memcmp(a->wear, b->wear, sizeof a->wear) == 0;
}

/* Pages that both flashes share are not even looked at. */
static void find_change(const struct device_dir *dir, const struct flash *flash,
                        const struct backup *backup, struct change *change)
{
    size_t length;
    change->page_count = 0;
    for (uint32_t i = 0; i < FLASH_PAGES; i++) {
        const uint8_t *before = flash_peek(dir->flash, FLASH_BASE + i * FLASH_PAGE, &length);
        const uint8_t *now = flash_peek(flash, FLASH_BASE + i * FLASH_PAGE, &length);
        bool same = before == now || memcmp(before, now, FLASH_PAGE) == 0;
        change->pages[i] = same ? NULL : now;
        change->page_count += same ? 0 : 1;
    }
    change->state = device_small_state_of(flash, backup);
    change->small = !same_small_state(&dir->state, &change->state);
}

/* Runs of erased pages become one record. */
static bool note_pages(struct journal *journal, const struct change *change)
{
    for (uint32_t i = 0; i < FLASH_PAGES; i++) {
        uint32_t first = i;
        if (!change->pages[i]) {
            continue;
        }
        if (!page_is_blank(change->pages[i])) {
            if (!journal_add(journal, JOURNAL_DATA, i * FLASH_PAGE, change->pages[i], FLASH_PAGE)) {
                return false;
            }
            continue;
        }
        while (i + 1 < FLASH_PAGES && change->pages[i + 1] && page_is_blank(change->pages[i + 1])) {
            i++;
        }
        if (!journal_add(journal, JOURNAL_ERASED, first * FLASH_PAGE, NULL,
                         (i + 1 - first) * FLASH_PAGE)) {
            return false;
        }
    }
    return true;
}

/* The journal on disk, whole. A write that failed is taken back, so that it can never count. */
static bool write_journal(struct device_dir *dir, const struct change *change)
{
    uint8_t small[DEVICE_BACKUP_SIZE];
    device_backup_print(&change->state, small);
    journal_clear(&dir->journal);
    if (!note_pages(&dir->journal, change) ||
        !journal_add(&dir->journal, JOURNAL_BACKUP, 0, small, sizeof small)) {
        errno = ENOMEM;
        return false;
    }
    journal_seal(&dir->journal);
    if (device_file_write(dir->journal_fd, dir->journal.bytes, dir->journal.length, 0)) {
        return true;
    }
    int why = errno;
    if (ftruncate(dir->journal_fd, 0) == 0) {
        errno = why;
    }
    return false;
}

/* Neighbouring pages go in one call; what it left over is tried again page by page, where the
 * reason shows. */
static bool write_run(struct device_dir *dir, const struct change *change, uint32_t first,
                      uint32_t count)
{
    struct iovec parts[FLASH_PAGES];
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = (struct iovec){(void *)change->pages[first + i], FLASH_PAGE};
    }
    if (pwritev(dir->flash_fd, parts, (int)count, (off_t)first * FLASH_PAGE) ==
        (ssize_t)count * (ssize_t)FLASH_PAGE) {
        return true;
    }
    for (uint32_t page = first; page < first + count; page++) {
        if (!device_file_write(dir->flash_fd, change->pages[page], FLASH_PAGE,
                               (off_t)page * FLASH_PAGE)) {
            return false;
        }
    }
    return true;
}

static bool write_pages(struct device_dir *dir, const struct change *change)
{
    for (uint32_t i = 0; i < FLASH_PAGES; i++) {
        uint32_t first = i;
        while (i < FLASH_PAGES && change->pages[i]) {
            i++;
        }
        if (i > first && !write_run(dir, change, first, i - first)) {
            return false;
        }
    }
    return true;
}

static bool give_up(struct device_dir *dir, const char *file, struct complaint *complaint)
{
    dir->failed = true;
    return complain_file(complaint, dir->path, file,
                         "cannot write: %s; the directory keeps the last complete flash operation",
                         strerror(errno));
}

static bool write_change(struct device_dir *dir, const struct change *change,
                         struct complaint *complaint)
{
    uint8_t small[DEVICE_BACKUP_SIZE];
    /* One page is written whole or not at all; anything more could be killed half-way. */
    bool journalled = change->page_count + (change->small ? 1 : 0) > 1;
    if (journalled && !write_journal(dir, change)) {
        return give_up(dir, FILE_JOURNAL, complaint);
    }
    if (!write_pages(dir, change)) {
        return give_up(dir, FILE_FLASH, complaint);
    }
    device_backup_print(&change->state, small);
    if (change->small && !device_file_write(dir->backup_fd, small, sizeof small, 0)) {
        return give_up(dir, FILE_BACKUP, complaint);
    }
    if (journalled && ftruncate(dir->journal_fd, 0) != 0) {
        return give_up(dir, FILE_JOURNAL, complaint);
    }
    return true;
}

bool device_dir_commit(struct device_dir *dir, const struct flash *flash,
                       const struct backup *backup, struct complaint *complaint)
{
    struct change change;
    if (dir->failed) {
        return complain(complaint, "%s: not written any more", dir->path);
    }
    find_change(dir, flash, backup, &change);
    if (change.page_count == 0 && !change.small) {
        return true;
    }
    if (!write_change(dir, &change, complaint)) {
        return false;
    }
    dir->state = change.state;
    flash_restore(dir->flash, flash);
    return true;
}
