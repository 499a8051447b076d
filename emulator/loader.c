#include "emulator/loader.h"

#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The first file of that name that execvp() would run, open; or -1. */
static int open_program(const char *name)
{
    const char *folder = getenv("PATH");
    char path[PATH_MAX];
    if (strchr(name, '/')) {
        return open(name, O_RDONLY | O_CLOEXEC);
    }
    while (folder) {
        const char *end = strchr(folder, ':');
        int length = (int)(end ? (size_t)(end - folder) : strlen(folder));
        snprintf(path, sizeof path, "%.*s%s%s", length, folder, length > 0 ? "/" : "", name);
        if (access(path, X_OK) == 0) {
            return open(path, O_RDONLY | O_CLOEXEC);
        }
        folder = end ? end + 1 : NULL;
    }
    return -1;
}

/* Set-user-id and the like: the loader leaves LD_PRELOAD alone then. */
static bool gains_rights(int program)
{
    struct stat status;
    return fstat(program, &status) != 0 || (status.st_mode & (S_ISUID | S_ISGID)) != 0 ||
           fgetxattr(program, "security.capability", NULL, 0) >= 0;
}

/* The path in an ELF file's PT_INTERP; false when it has none, or is of another machine's kind. */
static bool read_loader(int program, char loader[PATH_MAX])
{
    ElfW(Ehdr) head;
    ElfW(Phdr) part;
    if (pread(program, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof part) {
        return false;
    }
    for (unsigned i = 0; i < head.e_phnum; i++) {
        off_t at = (off_t)(head.e_phoff + i * sizeof part);
        if (pread(program, &part, sizeof part, at) != (ssize_t)sizeof part) {
            return false;
        }
        if (part.p_type == PT_INTERP) {
            return part.p_filesz <= PATH_MAX &&
                   pread(program, loader, part.p_filesz, (off_t)part.p_offset) ==
                       (ssize_t)part.p_filesz &&
                   memchr(loader, '\0', part.p_filesz) != NULL;
        }
    }
    return false;
}

static bool loader_of(const char *name, char loader[PATH_MAX])
{
    int program = open_program(name);
    bool known = program >= 0 && !gains_rights(program) && read_loader(program, loader);
    if (program >= 0) {
        close(program);
    }
    return known;
}

bool loader_is_ours(const char *name)
{
    char own[PATH_MAX], loader[PATH_MAX];
    return loader_of(name, loader) && loader_of("/proc/self/exe", own) && strcmp(own, loader) == 0;
}
