#include "emulator/recipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "emulator/digest.h"

/* Where a module may be put by a programmer. */
struct place {
    const char *name;
    uint8_t function, index;
    uint32_t address, size;
};

static const struct place places[] = {
    {"bootloader", MODULE_BOOTLOADER, 0, MAP_BOOTLOADER, MAP_BOOTLOADER_SIZE},
    {"system-part1", MODULE_SYSTEM_PART, 1, MAP_SYSTEM_PART1, MAP_SYSTEM_PART_SIZE},
    {"system-part2", MODULE_SYSTEM_PART, 2, MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE},
    {"user part", MODULE_USER_PART, 1, MAP_USER, MAP_USER_SIZE},
};
static const struct place factory_place = {"factory image", MODULE_USER_PART, 1, MAP_USER,
                                           MAP_FACTORY_SIZE};

/* --- releases --- */

const struct release *recipe_release(const char *name, struct complaint *complaint)
{
    const struct release *release = release_find(name);
    char known[512] = "";
    size_t used = 0;
    if (release) {
        return release;
    }
    for (size_t i = 0; i < release_count && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", releases[i].name);
    }
    complain(complaint, "unknown release \"%.40s\"; known:%s", name, known);
    return NULL;
}

void recipe_print_releases(void)
{
    printf("release   system  bootloader  application\n");
    for (size_t i = 0; i < release_count; i++) {
        const struct release *release = &releases[i];
        printf("%-8s  %6u  %10s  %11u\n", release->name, release->system, release->bootloader->name,
               release->user);
    }
}

/* --- identity --- */

static uint32_t mix(uint32_t *state)
{
    uint32_t z = *state += UINT32_C(0x9E3779B9);
    z = (z ^ (z >> 16)) * UINT32_C(0x21F0AAAD);
    z = (z ^ (z >> 15)) * UINT32_C(0x735A2D97);
    return z ^ (z >> 15);
}

/* A chip's unique id: place on the wafer (two little-endian u16), wafer number, lot in ASCII. */
void recipe_identity(struct device_identity *identity, const struct release *release,
                     uint32_t number)
{
    uint32_t state = number;
    if (number == 0 && getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state) {
        state = (uint32_t)getpid();
    }
    *identity = (struct device_identity){.seed = state};
    uint8_t *id = identity->id;
    id[0] = (uint8_t)(16 + mix(&state) % 64);
    id[2] = (uint8_t)(16 + mix(&state) % 64);
    id[4] = (uint8_t)(1 + mix(&state) % 25);
    id[5] = 'G';
    id[6] = '4';
    for (size_t i = 7; i < PHOTON_ID_SIZE; i++) {
        id[i] = (uint8_t)('0' + mix(&state) % 10);
    }
    static const uint8_t maker[3] = {0x6C, 0x0B, 0x84};
    memcpy(identity->mac, maker, sizeof maker);
    for (size_t i = sizeof maker; i < PHOTON_MAC_SIZE; i++) {
        identity->mac[i] = (uint8_t)mix(&state);
    }
    snprintf(identity->release, sizeof identity->release, "%s", release->name);
}

/* --- module files --- */

/* The whole file, to be freed; NULL with a complaint. Longer than any region is read no further
 * than needed to say so. */
static uint8_t *read_file(const char *path, size_t *length, struct complaint *complaint)
{
    struct stat status;
    uint8_t *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        complain(complaint, "%s: cannot open: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        complain(complaint, "%s: not a regular file; a firmware module expected", path);
    } else if (status.st_size > (off_t)FACTORY_MAX_SIZE) {
        complain(complaint, "%s: %lld bytes found; the largest module has %u", path,
                 (long long)status.st_size, FACTORY_MAX_SIZE);
    } else if ((bytes = malloc((size_t)status.st_size + 1)) == NULL) {
        complain(complaint, "%s: memory is short", path);
    } else {
        ssize_t n = read(fd, bytes, (size_t)status.st_size);
        if (n != (ssize_t)status.st_size) {
            complain(complaint, "%s: cannot read %lld bytes: %s", path, (long long)status.st_size,
                     n < 0 ? strerror(errno) : "the file became shorter");
            free(bytes);
            bytes = NULL;
        } else {
            *length = (size_t)n;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return bytes;
}

static bool check_whole(const struct module *module, enum module_error error, size_t length,
                        struct complaint *complaint)
{
    switch (error) {
    case MODULE_OK:
        break;
    case MODULE_TOO_SHORT:
        return complain(complaint, "%zu bytes found; the shortest module has %d", length,
                        MODULE_MIN_SIZE);
    case MODULE_BAD_BOUNDS:
        return complain(complaint,
                        "offset %u: start 0x%08X and end 0x%08X do not fit a file of %zu bytes",
                        module->prefix_offset, module->info.start, module->info.end, length);
    case MODULE_BAD_SUFFIX:
        return complain(complaint, "suffix of %u bytes found, 36 or 40 expected",
                        module->suffix.size);
    }
    if (module->size != length) {
        return complain(complaint, "%zu bytes found, %u expected by its prefix", length,
                        module->size);
    }
    if (module->crc_stored != module->crc_computed) {
        return complain(complaint, "offset %zu: CRC %08X found, %08X expected",
                        length - MODULE_CRC_SIZE, module->crc_stored, module->crc_computed);
    }
    if (module->info.platform != MAP_PLATFORM_PHOTON) {
        return complain(complaint, "platform %u found, %u (Photon) expected", module->info.platform,
                        MAP_PLATFORM_PHOTON);
    }
    return true;
}

static const struct place *find_place(const struct module_info *info, struct complaint *complaint)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i].function == info->function && places[i].index == info->index) {
            return &places[i];
        }
    }
    complain(complaint,
             "function %u index %u found; a bootloader (2/0), system part (4/1, 4/2) or user part "
             "(5/1) expected",
             info->function, info->index);
    return NULL;
}

/* Puts a checked image into its region and blanks the rest of it. */
static bool load_region(struct flash *flash, uint32_t address, uint32_t size, const uint8_t *image,
                        size_t length)
{
    uint8_t *region = malloc(size);
    bool done = region != NULL;
    if (done) {
        memset(region, 0xFF, size);
        memcpy(region, image, length);
        done = flash_load(flash, address, region, size);
    }
    free(region);
    return done;
}

/* `at` is where it goes: the place of its kind, or the factory slot. */
static bool load_module(struct flash *flash, const uint8_t *image, size_t length, bool as_factory,
                        struct complaint *complaint)
{
    struct module module = {0};
    enum module_error error = module_parse(&module, image, length);
    if (!check_whole(&module, error, length, complaint)) {
        return false;
    }
    const struct place *place = find_place(&module.info, complaint);
    if (!place) {
        return false;
    }
    if (as_factory && place->function != factory_place.function) {
        return complain(complaint, "a %s found, a user part expected as factory image",
                        place->name);
    }
    if (module.info.start != place->address) {
        return complain(complaint, "start 0x%08X found, 0x%08X expected of a %s", module.info.start,
                        place->address, place->name);
    }
    if (length > place->size) {
        return complain(complaint, "%zu bytes found, at most %u expected of a %s", length,
                        place->size, place->name);
    }
    return load_region(flash, as_factory ? MAP_FACTORY : place->address, place->size, image,
                       length) ||
           complain(complaint, "memory is short");
}

static bool load_file(struct flash *flash, const char *path, bool as_factory,
                      struct complaint *complaint)
{
    size_t length = 0;
    uint8_t *image = read_file(path, &length, complaint);
    if (!image) {
        return false;
    }
    bool done =
        load_module(flash, image, length, as_factory, complaint) || complain_about(complaint, path);
    free(image);
    return done;
}

struct flash *recipe_flash(const struct recipe *recipe, uint32_t seed, struct complaint *complaint)
{
    struct flash *flash = flash_new(seed);
    bool done = (flash && factory_flash(flash, recipe->release, digest_sha256, false)) ||
                complain(complaint, "memory is short");
    for (size_t i = 0; done && i < recipe->module_count; i++) {
        done = load_file(flash, recipe->modules[i], false, complaint);
    }
    if (done && recipe->factory) {
        done = load_file(flash, recipe->factory, true, complaint);
    }
    if (!done) {
        flash_free(flash);
        flash = NULL;
    }
    return flash;
}
