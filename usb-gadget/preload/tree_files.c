#include "usb-gadget/preload/tree_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONSTANT_MODE 0444

#define COUNT(array)  (sizeof(array) / sizeof(array)[0])

/* Numbers that half of the files hold. */
static const char *const numbers[] = {"0\n", "1\n", "00\n", "01\n", "02\n", " 0\n"};

/* --- files --- */

/* A new file, in place of one that is there: that may have other names. */
static int create(int folder, const char *name, mode_t mode)
{
    const int how = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int file = openat(folder, name, how, mode);

    if (file < 0 && errno == EEXIST && unlinkat(folder, name, 0) == 0) {
        file = openat(folder, name, how, mode);
    }
    return file;
}

static bool put_as(mode_t mode, int folder, const char *name, const void *content, size_t length)
{
    int file = create(folder, name, mode);

    if (file < 0) {
        return false;
    }
    bool done = write(file, content, length) == (ssize_t)length;
    return close(file) == 0 && done;
}

bool tree_put_file(int folder, const char *name, const void *content, size_t length)
{
    return put_as(TREE_FILE_MODE, folder, name, content, length);
}

/* The file of one of the numbers, by its index. */
static void number_name(size_t index, char name[2])
{
    name[0] = (char)('a' + index);
    name[1] = '\0';
}

bool tree_put_numbers(const struct tree *tree)
{
    bool done = true;

    for (size_t i = 0; done && i < COUNT(numbers); i++) {
        char number[2];
        number_name(i, number);
        done = put_as(CONSTANT_MODE, tree->constants, number, numbers[i], strlen(numbers[i]));
    }
    return done;
}

/* Gives a number's file a further name: that is made and removed in half the time of a file. False
 * when `text` is none of the numbers, or where files have one name. */
static bool link_number(const struct tree *tree, int folder, const char *name, const char *text)
{
    char number[2];
    size_t i = 0;

    while (i < COUNT(numbers) && strcmp(numbers[i], text) != 0) {
        i++;
    }
    if (i == COUNT(numbers)) {
        return false;
    }
    number_name(i, number);
    return linkat(tree->constants, number, folder, name, 0) == 0 ||
           (errno == EEXIST && unlinkat(folder, name, 0) == 0 &&
            linkat(tree->constants, number, folder, name, 0) == 0);
}

bool tree_put_constant(const struct tree *tree, int folder, const char *name, const char *text)
{
    return link_number(tree, folder, name, text) ||
           put_as(CONSTANT_MODE, folder, name, text, strlen(text));
}

/* --- folders --- */

int tree_open_folder(int folder, const char *name)
{
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int tree_make_folder(int folder, const char *name)
{
    if (mkdirat(folder, name, TREE_FOLDER_MODE) != 0 && errno != EEXIST) {
        return -1;
    }
    return tree_open_folder(folder, name);
}

/* What the system does not say the kind of is tried as a file first. */
static void remove_entry(int folder, const struct dirent64 *entry)
{
    const char *name = entry->d_name;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        (entry->d_type != DT_DIR && unlinkat(folder, name, 0) == 0)) {
        return;
    }
    tree_remove_folder(folder, name);
}

/* A run spends as long on this as on anything, so there is no opendir() for its many small folders.
 */
void tree_remove_folder(int folder, const char *name)
{
    _Alignas(struct dirent64) char entries[2048];
    int inner = tree_open_folder(folder, name);
    ssize_t length;

    while (inner >= 0 && (length = getdents64(inner, entries, sizeof entries)) > 0) {
        for (ssize_t at = 0; at < length;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            remove_entry(inner, entry);
            at += entry->d_reclen;
        }
    }
    if (inner >= 0) {
        close(inner);
    }
    (void)unlinkat(folder, name, AT_REMOVEDIR);
}
