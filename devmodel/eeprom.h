/*
 * The EEPROM that firmware from 0.6 on emulates in two sectors of the flash: one record of four
 * bytes for each byte written, the last one of an index counts; a full page is copied to the other.
 * Source: device-os v1.5.0 services/inc/eeprom_emulation.h (0.6.0 to 2.2.0 same).
 */
#ifndef PHOTON_EEPROM_H
#define PHOTON_EEPROM_H

#include <stddef.h>
#include <stdint.h>

#include "flash.h"

/* As in the real 1.5.0's table of sections. */
#define EEPROM_SIZE 2048

/* What an application does when it starts: formats the pages when none of them is in use. */
void eeprom_open(struct flash *flash);
/* Erases both pages and begins with the first. */
void eeprom_clear(struct flash *flash);
/* Reads bytes, 0xFF where none was written. `index` + `length` is at most EEPROM_SIZE, also below.
 */
void eeprom_read(const struct flash *flash, uint32_t index, uint8_t *data, uint32_t length);
/* Writes those that differ. Whether it worked is not told by the firmware, either. */
void eeprom_write(struct flash *flash, uint32_t index, const uint8_t *data, uint32_t length);

#endif
