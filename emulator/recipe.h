/*
 * What a new board is made of: a release, files that the user names, and who it is.
 */
#ifndef VPHOTON_RECIPE_H
#define VPHOTON_RECIPE_H

#include "devmodel/release.h"
#include "emulator/device_format.h"

#define RECIPE_DEFAULT_RELEASE "0.4.3"
#define RECIPE_MODULES_MAX     16

struct recipe {
    const struct release *release;
    const char *modules[RECIPE_MODULES_MAX]; /* files, put where their prefixes say */
    size_t module_count;
    const char *factory; /* file of the factory application image, or NULL */
};

/* The release, or NULL with a complaint that lists the known ones. */
const struct release *recipe_release(const char *name, struct complaint *complaint);
/* Prints the known releases with their module numbers on stdout. */
void recipe_print_releases(void);

/* An identity as chips have them: `number` 0 takes a random one, any other is always the same
 * board. */
void recipe_identity(struct device_identity *identity, const struct release *release,
                     uint32_t number);

/* The flash of a new board, owned by the caller; NULL with a complaint. The device key is the one
 * of `seed`. */
struct flash *recipe_flash(const struct recipe *recipe, uint32_t seed, struct complaint *complaint);

#endif
