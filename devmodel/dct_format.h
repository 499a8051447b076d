/*
 * What the two formats of the DCT have in common. Not for users of the library.
 *
 * Observed: bootloader 7 and system-part2 2.2.0, executed with every programmed word and byte
 * recorded; bootloaders 3a, 3b, 4, 11, 501 by their results.
 */
#ifndef PHOTON_DCT_FORMAT_H
#define PHOTON_DCT_FORMAT_H

#include "dct.h"
#include "flash_map.h"

/* One copy: its header, then the sections. */
#define DCT_HEADER_SIZE       UINT32_C(0x184)
#define DCT_HEADER_INCOMPLETE UINT32_C(8)
#define DCT_HEADER_CURRENT    UINT32_C(9)
#define DCT_HEADER_VALID      UINT32_C(10) /* application valid */
#define DCT_HEADER_MAGIC      UINT32_C(12)
#define DCT_MAGIC             UINT32_C(0x4D435242) /* "BRCM" */

struct dct_copy {
    uint32_t address;
    unsigned sector;
};

extern const struct dct_copy dct_copies[2];

/* A write in the terms of the sectors: `data` goes to `start`, up to `end`, of the copy that is to
 * hold instead of `from`. */
struct dct_change {
    const struct dct_copy *from, *to;
    uint32_t start, end; /* offsets in the sector; `end` may lie behind it */
    const uint8_t *data;
};

struct dct_driver {
    /* The copy that holds, or NULL. */
    const struct dct_copy *(*current)(const struct flash *flash);
    /* Makes copy 1 hold when none does. */
    enum dct_status (*make)(struct flash *flash);
    enum dct_status (*write)(struct flash *flash, const struct dct_rules *rules,
                             const struct dct_change *change);
};

extern const struct dct_driver dct_swap, dct_sequence;

/* Erases a copy's sector, as often as it takes: DCT_HANG when that is for ever. */
enum dct_status dct_erase_copy(struct flash *flash, const struct dct_copy *copy);
/* As WICED's flash writer: words where the address is aligned and more than 15 bytes remain, else
 * bytes. */
enum dct_status dct_program(struct flash *flash, uint32_t address, const uint8_t *data,
                            size_t length);

#endif
