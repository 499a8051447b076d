/* The C library's functions that list folders. A host folder in which the server has names too is
 * listed as both together. */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define LISTS_MAX 64

/* A list that is more than the system's own. */
struct list {
    DIR *list;
    DIR *ours;     /* the server's names, after the host's; or NULL */
    bool nodes;    /* what looks like a file is a device node */
    char path[64]; /* of the folder, as the program means it */
};

static struct list lists[LISTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int lists_used;

static struct list *find(DIR *dir)
{
    if (atomic_load_explicit(&lists_used, memory_order_relaxed) == 0) {
        return NULL;
    }
    for (size_t i = 0; i < LISTS_MAX; i++) {
        if (lists[i].list == dir) {
            return &lists[i];
        }
    }
    return NULL;
}

/* Remembers what is special about a list. When there is no room it stays the system's own. */
static void note(DIR *dir, const struct shim_path *where)
{
    char path[SHIM_PATH_MAX];
    const char *name = where->merged != NULL ? where->merged : where->ours;
    DIR *ours = NULL;

    if (dir == NULL || name == NULL || strlen(name) >= sizeof lists[0].path ||
        (where->merged == NULL && !zones_is_node_folder(name))) {
        return;
    }
    if (where->merged != NULL && where->ours == NULL) {
        memcpy(path, shim_root, shim_root_length);
        strcpy(path + shim_root_length, name);
        ours = SHIM_REAL(opendir)(path);
    }
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < LISTS_MAX; i++) {
        if (lists[i].list == NULL) {
            lists[i] = (struct list){dir, ours, where->merged == NULL, ""};
            strcpy(lists[i].path, name);
            lists_used++;
            ours = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (ours != NULL) {
        (void)SHIM_REAL(closedir)(ours);
    }
}

SHIM_EXPORT DIR *opendir(const char *path)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, path);
    DIR *dir = SHIM_REAL(opendir)(where.path);
    int error = errno;
    note(dir, &where);
    errno = error;
    return dir;
}

SHIM_EXPORT DIR *fdopendir(int fd)
{
    struct shim_path where;

    shim_resolve_fd(&where, fd);
    DIR *dir = SHIM_REAL(fdopendir)(fd);
    int error = errno;
    note(dir, &where);
    errno = error;
    return dir;
}

SHIM_EXPORT int closedir(DIR *dir)
{
    struct list *list = find(dir);
    DIR *ours = NULL;

    if (list != NULL) {
        pthread_mutex_lock(&lock);
        ours = list->ours;
        *list = (struct list){0};
        lists_used--;
        pthread_mutex_unlock(&lock);
    }
    if (ours != NULL) {
        (void)SHIM_REAL(closedir)(ours);
    }
    return SHIM_REAL(closedir)(dir);
}

SHIM_EXPORT void rewinddir(DIR *dir)
{
    struct list *list = find(dir);

    if (list != NULL && list->ours != NULL) {
        SHIM_REAL(rewinddir)(list->ours);
    }
    SHIM_REAL(rewinddir)(dir);
}

/* --- entries --- */

static void name_path(const struct list *list, const char *name, char out[static PATH_MAX])
{
    size_t length = strlen(list->path);

    memcpy(out, list->path, length);
    out[length] = '/';
    strcpy(out + length + 1, name);
}

/* A host's name that the server's stands before. */
static bool is_masked(const struct list *list, const char *name)
{
    char path[PATH_MAX];

    name_path(list, name, path);
    return zones_of(path) == ZONE_OURS;
}

/* A server's name that the host's folder has shown already. */
static bool is_shown(const struct list *list, const char *name)
{
    char path[PATH_MAX];

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return true;
    }
    name_path(list, name, path);
    return zones_of(path) != ZONE_OURS && raw(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static struct dirent *next_entry(DIR *dir)
{
    struct list *list = find(dir);
    struct dirent *entry;

    if (list == NULL) {
        return SHIM_REAL(readdir)(dir);
    }
    do {
        entry = SHIM_REAL(readdir)(dir);
    } while (entry != NULL && list->ours != NULL && is_masked(list, entry->d_name));
    if (entry == NULL && list->ours != NULL) {
        do {
            entry = SHIM_REAL(readdir)(list->ours);
        } while (entry != NULL && is_shown(list, entry->d_name));
    }
    if (entry != NULL && list->nodes && entry->d_type == DT_REG) {
        entry->d_type = DT_CHR;
    }
    return entry;
}

SHIM_EXPORT struct dirent *readdir(DIR *dir)
{
    return next_entry(dir);
}

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "64-bit file offsets");
struct dirent64 *readdir64(DIR *dir) SHIM_ALIAS(readdir);

/* --- whole folders --- */

static void free_entries(struct dirent **entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
}

static struct dirent *copy_entry(const struct dirent *entry)
{
    struct dirent *copy = malloc(sizeof *copy);

    if (copy != NULL) {
        memcpy(copy, entry, entry->d_reclen < sizeof *copy ? entry->d_reclen : sizeof *copy);
    }
    return copy;
}

/* Appends a copy; false when memory is short. */
static bool keep_entry(struct dirent ***entries, size_t count, const struct dirent *entry)
{
    struct dirent **more = realloc(*entries, (count + 1) * sizeof *more);

    if (more == NULL) {
        return false;
    }
    *entries = more;
    more[count] = copy_entry(entry);
    return more[count] != NULL;
}

typedef int compare_function(const void *a, const void *b);

SHIM_EXPORT int scandir(const char *restrict path, struct dirent ***restrict out,
                        int (*wanted)(const struct dirent *),
                        int (*compare)(const struct dirent **, const struct dirent **))
{
    struct shim_path where;
    struct dirent **entries = NULL;
    struct dirent *entry;
    size_t count = 0;

    shim_resolve(&where, AT_FDCWD, path);
    if (where.ours == NULL && where.merged == NULL) {
        return SHIM_REAL(scandir)(path, out, wanted, compare);
    }
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return -1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (wanted != NULL && wanted(entry) == 0) {
            continue;
        }
        if (!keep_entry(&entries, count, entry)) {
            free_entries(entries, count);
            closedir(dir);
            errno = ENOMEM;
            return -1;
        }
        count++;
    }
    closedir(dir);
    if (compare != NULL && count > 1) {
        qsort(entries, count, sizeof *entries, (compare_function *)compare);
    }
    *out = entries != NULL ? entries : malloc(sizeof *entries);
    return (int)count;
}

int scandir64(const char *restrict path, struct dirent64 ***restrict out,
              int (*wanted)(const struct dirent64 *),
              int (*compare)(const struct dirent64 **, const struct dirent64 **))
    SHIM_ALIAS(scandir);

/* glob() opens folders by itself; these make it go through ours. */
static void *glob_open(const char *path)
{
    return opendir(path);
}

static struct dirent *glob_read(void *dir)
{
    return readdir(dir);
}

static void glob_close(void *dir)
{
    (void)closedir(dir);
}

SHIM_EXPORT int glob(const char *restrict pattern, int flags, int (*on_error)(const char *, int),
                     glob_t *restrict out)
{
    if (shim_active() && !(flags & GLOB_ALTDIRFUNC)) {
        out->gl_opendir = glob_open;
        out->gl_readdir = glob_read;
        out->gl_closedir = glob_close;
        out->gl_stat = stat;
        out->gl_lstat = lstat;
        flags |= GLOB_ALTDIRFUNC;
    }
    return SHIM_REAL(glob)(pattern, flags, on_error, out);
}

int glob64(const char *restrict pattern, int flags, int (*on_error)(const char *, int),
           glob64_t *restrict out) SHIM_ALIAS(glob);
