/* DCT sectors as bytes, and the drivers that real bootloaders have. */
#ifndef SUPPORT_DCT_H
#define SUPPORT_DCT_H

#include <stddef.h>
#include <stdint.h>

#include "dct.h"

#define COPY1       UINT32_C(0x08004000)
#define COPY2       UINT32_C(0x08008000)
#define EEPROM_A    UINT32_C(0x0800C000)
#define EEPROM_B    UINT32_C(0x08010000)
#define PART1       UINT32_C(0x08020000)
#define COPY_SIZE   UINT32_C(0x4000)
#define APPLICATION UINT32_C(7548)

/* Bytes 8 to 15 of a header, from write_incomplete and is_current on. */
#define STATE_CURRENT    "\0\1\1\0BRCM"
#define STATE_SUPERSEDED "\0\0\1\0BRCM"
#define STATE_INCOMPLETE "\1\1\1\0BRCM"
#define STATE_EMPTY      "\0\1\0\0BRCM"

/* v2; v3a; v3b, v4, v7, v11; 101 and later. */
enum { DRIVER_2, DRIVER_3A, DRIVER_3B, DRIVER_SEQUENCE, DRIVERS };
extern const struct dct_rules support_dct_rules[DRIVERS];

/* What support_dct_load() puts at offset `at` of a sector, behind the header. */
uint8_t support_dct_byte(uint32_t at);
/* A whole copy at `address`: a header in this state, and something in every byte behind it up to
 * 0x3E00. No tail. */
void support_dct_load(struct flash *flash, uint32_t address, const char state[8]);
/* Gives a copy the sequence format's tail; `error` is XORed into its checksum. */
void support_dct_seal(struct flash *flash, uint32_t address, uint8_t sequence, uint8_t error);
/* Erases done since new. */
unsigned support_dct_erases(const struct flash *flash);

#endif
