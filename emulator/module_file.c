#include "emulator/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devmodel/flash.h"
#include "devmodel/flash_map.h"

const struct module_place module_places[FACTORY_MODULES] = {
    [FACTORY_BOOTLOADER] = {"bootloader", "bootloader", MODULE_BOOTLOADER, 0, MAP_BOOTLOADER,
                            MAP_BOOTLOADER_SIZE},
    [FACTORY_PART1] = {"system-part1", "part1", MODULE_SYSTEM_PART, 1, MAP_SYSTEM_PART1,
                       MAP_SYSTEM_PART_SIZE},
    [FACTORY_PART2] = {"system-part2", "part2", MODULE_SYSTEM_PART, 2, MAP_SYSTEM_PART2,
                       MAP_SYSTEM_PART_SIZE},
    [FACTORY_USER] = {"user part", "user", MODULE_USER_PART, 1, MAP_USER, MAP_USER_SIZE},
};

const struct module_place *module_place_of(uint8_t function, uint8_t index)
{
    for (size_t i = 0; i < FACTORY_MODULES; i++) {
        if (module_places[i].function == function && module_places[i].index == index) {
            return &module_places[i];
        }
    }
    return NULL;
}

static uint8_t *read_whole(int fd, size_t size, struct complaint *complaint)
{
    uint8_t *bytes = malloc(size + 1);
    size_t used = 0;

    if (!bytes) {
        complain(complaint, "memory is short");
        return NULL;
    }
    while (used < size) {
        ssize_t n = read(fd, bytes + used, size - used);

        if (n <= 0) {
            complain(complaint, "offset %zu: cannot read: %s", used,
                     n < 0 ? strerror(errno) : "the file became shorter");
            free(bytes);
            return NULL;
        }
        used += (size_t)n;
    }
    return bytes;
}

static uint8_t *read_module(int fd, size_t *length, struct complaint *complaint)
{
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        complain(complaint, "cannot open: %s", strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        complain(complaint, "%s found, a file with a firmware module expected",
                 S_ISDIR(status.st_mode) ? "directory" : "no regular file");
        return NULL;
    }
    if (status.st_size > (off_t)FLASH_SIZE) {
        complain(complaint, "%lld bytes found, at most %u expected (the whole flash)",
                 (long long)status.st_size, FLASH_SIZE);
        return NULL;
    }
    *length = (size_t)status.st_size;
    return read_whole(fd, *length, complaint);
}

uint8_t *module_file_read(const char *path, size_t *length, struct complaint *complaint)
{
    /* A FIFO without a writer would block the opening. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    uint8_t *bytes = read_module(fd, length, complaint);

    if (!bytes) {
        complain_about(complaint, path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return bytes;
}

bool module_file_parse(struct module *module, const uint8_t *bytes, size_t length,
                       struct complaint *complaint)
{
    switch (module_parse(module, bytes, length)) {
    case MODULE_TOO_SHORT:
        return complain(complaint, "%zu bytes found, at least %u expected of a module%s", length,
                        module->prefix_offset + MODULE_MIN_SIZE,
                        module->prefix_offset ? " with a vector table" : "");
    case MODULE_BAD_BOUNDS:
        return complain(complaint,
                        "offset %u: start 0x%08X and end 0x%08X found, which do not fit a module "
                        "in a file of %zu bytes",
                        module->prefix_offset, module->info.start, module->info.end, length);
    case MODULE_BAD_SUFFIX:
        return complain(complaint, "offset %u: suffix size %u found, 36 or 40 expected",
                        module->size - MODULE_CRC_SIZE - 2, module->suffix.size);
    case MODULE_OK:
        break;
    }
    return true;
}

bool module_file_check(const struct module *module, struct complaint *complaint)
{
    const struct module_info *info = &module->info;
    const struct module_place *place = module_place_of(info->function, info->index);

    if (module->crc_stored != module->crc_computed) {
        return complain(complaint, "offset %u: CRC %08X found, %08X expected",
                        module->size - MODULE_CRC_SIZE, module->crc_stored, module->crc_computed);
    }
    if (info->platform != MAP_PLATFORM_PHOTON) {
        return complain(complaint, "offset %u: platform %u found, %u (Photon) expected",
                        module->prefix_offset + 12, info->platform, MAP_PLATFORM_PHOTON);
    }
    if (!place) {
        return complain(complaint,
                        "offset %u: function %u index %u found, a bootloader (2/0), system part "
                        "(4/1, 4/2) or user part (5/1) expected",
                        module->prefix_offset + 14, info->function, info->index);
    }
    if (info->start != place->address) {
        return complain(complaint, "offset %u: start 0x%08X found, 0x%08X expected of a %s",
                        module->prefix_offset, info->start, place->address, place->name);
    }
    if (module->size > place->size) {
        return complain(complaint, "%u bytes found, at most %u expected of a %s", module->size,
                        place->size, place->name);
    }
    return true;
}

static bool write_whole(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0) {
            return false;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* A device or a pipe is written to; nothing to lose there. */
static bool write_special(const char *path, const uint8_t *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    bool done = fd >= 0 && write_whole(fd, bytes, length);

    if (fd >= 0 && close(fd) != 0) {
        done = false;
    }
    return done;
}

/* Beside the file first, then renamed over it. */
static bool write_regular(const char *path, const uint8_t *bytes, size_t length)
{
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *beside = malloc(size);
    mode_t mask = umask(0);
    bool done = false;
    int fd, error;

    umask(mask);
    if (!beside) {
        return false;
    }
    snprintf(beside, size, "%s.XXXXXX", path);
    fd = mkstemp(beside);
    if (fd >= 0) {
        done = fchmod(fd, 0666 & ~mask) == 0 && write_whole(fd, bytes, length);
        done = close(fd) == 0 && done && rename(beside, path) == 0;
        if (!done) {
            error = errno;
            unlink(beside);
            errno = error;
        }
    }
    free(beside);
    return done;
}

bool module_file_write(const char *path, const uint8_t *bytes, size_t length,
                       struct complaint *complaint)
{
    struct stat status;
    bool special = stat(path, &status) == 0 && !S_ISREG(status.st_mode);
    /* A symbolic link stays one; what it points to is replaced. */
    char *target = special ? NULL : realpath(path, NULL);
    bool done = special ? write_special(path, bytes, length)
                        : write_regular(target ? target : path, bytes, length);

    if (!done) {
        complain(complaint, "%s: cannot write %zu bytes: %s", path, length, strerror(errno));
    }
    free(target);
    return done;
}
