#include "emulator/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "devmodel/dct.h"
#include "devmodel/factory.h"
#include "devmodel/flash_map.h"
#include "emulator/fresh_sums.h"
#include "emulator/key_maker.h"
#include "emulator/module_file.h"

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

/* --- the device key --- */

/* A board has started before it leaves the factory, and made its key then. */
static bool load_key(struct flash *flash, uint32_t seed, struct complaint *complaint)
{
    uint8_t made[PHOTON_KEY_SIZE];
    const uint8_t *key = key_pair_fresh;
    if (seed != KEY_PAIR_FRESH) {
        if (!key_maker(NULL, seed, made)) {
            const char *missing = key_maker_missing();
            return complain(complaint, "cannot make a device key: %s",
                            missing ? missing : "memory is short");
        }
        key = made;
    }
    return flash_load(flash, MAP_DCT1 + DCT_APPLICATION + DCT_PRIVATE_KEY, key, sizeof made) ||
           complain(complaint, "memory is short");
}

/* --- module files --- */

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

/* Into the region of its kind, or into the factory slot. */
static bool load_module(struct flash *flash, const uint8_t *image, size_t length, bool as_factory,
                        struct complaint *complaint)
{
    struct module module;
    if (!module_file_parse(&module, image, length, complaint) ||
        !module_file_check(&module, complaint)) {
        return false;
    }
    if (module.size != length) {
        return complain(complaint, "%zu bytes found, %u expected by its prefix", length,
                        module.size);
    }
    const struct module_place *place = module_place_of(module.info.function, module.info.index);
    if (as_factory && place != &module_places[FACTORY_USER]) {
        return complain(complaint, "a %s found, a user part expected as factory image",
                        place->name);
    }
    return load_region(flash, as_factory ? MAP_FACTORY : place->address, place->size, image,
                       length) ||
           complain(complaint, "memory is short");
}

static bool load_file(struct flash *flash, const char *path, bool as_factory,
                      struct complaint *complaint)
{
    size_t length;
    uint8_t *image = module_file_read(path, &length, complaint);
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
    bool done = (flash && factory_flash_known(flash, recipe->release,
                                              &fresh_sums[recipe->release - releases])) ||
                complain(complaint, "memory is short");
    done = done && load_key(flash, seed, complaint);
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
