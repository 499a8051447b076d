/*
 * The bootloader image that system-part2 of 0.4.2-0.6.4 carries in its body, to install it over an
 * older one. Source: device-os v0.4.4 hal/src/stm32f2xx/bootloader.cpp.
 */
#ifndef PHOTON_EMBEDDED_H
#define PHOTON_EMBEDDED_H

#include <stdbool.h>
#include <stdint.h>

#include "flash.h"
#include "module.h"

/* Finds it in the installed part2: a vector table and behind it the prefix of a bootloader, whole
 * within part2's body. Says nothing about its CRC and platform: the copy tests them. False when
 * there is no part2, or none in it. */
bool embedded_bootloader(const struct flash *flash, uint32_t *address, struct module_info *info);

#endif
