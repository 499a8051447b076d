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

/* The recipe of one module of a release, for module_build(). */
void factory_spec(const struct release *release, enum factory_module which, module_digest *digest,
                  struct module_spec *spec);
/* Fills a blank flash: modules of the release, a factory DCT (current copy, server address, no
 * device key), no factory application image unless `factory_image`. False when memory is short. */
bool factory_flash(struct flash *flash, const struct release *release, module_digest *digest,
                   bool factory_image);

#endif
