/*
 * What leaves the factory: a flash with bootloader, DCT, system parts and application of a release.
 */
#ifndef PHOTON_FACTORY_H
#define PHOTON_FACTORY_H

#include "flash.h"
#include "module.h"
#include "release.h"

/* Which module of a release. */
enum factory_module { FACTORY_BOOTLOADER, FACTORY_PART1, FACTORY_PART2, FACTORY_USER };
#define FACTORY_MODULES 4
/* Room for any module of any release. */
#define FACTORY_MAX_SIZE UINT32_C(0x40000)

/* The recipe of one module of a release, for module_build(). */
void factory_spec(const struct release *release, enum factory_module which, module_digest *digest,
                  struct module_spec *spec);
/* Builds that module as a file: as factory_spec() says, and part2 with the bootloader image that it
 * embeds. `image` has room for FACTORY_MAX_SIZE bytes; returns the size of the file. */
uint32_t factory_build(const struct release *release, enum factory_module which,
                       module_digest *digest, uint8_t *image);
/* Where part2 of `release` carries the bootloader image, as an offset in the file. Meaningful when
 * the release embeds one. The rule is a choice that gives 0.5.2's real place, 0x28500. */
uint32_t factory_embedded_offset(const struct release *release);
/* Fills a blank flash: modules of the release, a factory DCT (current copy, server address, no
 * device key), no factory application image unless `factory_image`. False when memory is short. */
bool factory_flash(struct flash *flash, const struct release *release, module_digest *digest,
                   bool factory_image);

/* The sums in a release's modules. */
struct factory_sums {
    struct module_sums of[FACTORY_MODULES];
};

/* Finds them with `digest`. False when memory is short. */
bool factory_find_sums(const struct release *release, module_digest *digest,
                       struct factory_sums *sums);
/* The same flash as factory_flash() makes without a factory application image, in a fraction of the
 * time. */
bool factory_flash_known(struct flash *flash, const struct release *release,
                         const struct factory_sums *sums);

#endif
