/*
 * The memory under the flash: 1 MiB of cells in 4 KiB pages, shared copy-on-write, absent where
 * blank.
 *
 * Not for users of the library: flash.c gives the cells their rules and time; here are none, only
 * ownership. A page is modified only while it has a single owner. Counts are not atomic: cells that
 * share pages belong to one thread. Addresses are flash addresses, ranges must lie inside the
 * flash.
 */
#ifndef PHOTON_CELLS_H
#define PHOTON_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flash.h"

/* A page; NULL is a blank one, which nobody owns. */
struct cells_page;

struct cells {
    struct cells_page *pages[FLASH_PAGES];
};

/* Number of the page that contains `address`. */
unsigned cells_page_of(uint32_t address);
/* Bytes from `address` to the end of its page, at most `length`. */
size_t cells_within_page(uint32_t address, size_t length);

struct cells_page *cells_page_share(struct cells_page *page);
void cells_page_release(struct cells_page *page);

/* `to` becomes a second owner of all pages of `from`; what `to` held is not looked at. */
void cells_share(struct cells *to, const struct cells *from);
/* The same for a `to` that has pages; costs the differences. */
void cells_assign(struct cells *to, const struct cells *from);
/* Pages of `cells` that hold the same as those of `like` become the same pages. Returns how many
 * hold something else. */
size_t cells_merge(struct cells *cells, const struct cells *like);
void cells_release(struct cells *cells);
/* Pages that have no other owner. */
size_t cells_private_pages(const struct cells *cells);

/* The bytes from `address` to the end of its page; valid until they change. */
const uint8_t *cells_peek(const struct cells *cells, uint32_t address);
bool cells_are_blank(const struct cells *cells, uint32_t address, size_t length);
/* zlib's CRC-32; pages remember theirs. */
uint32_t cells_crc32(const struct cells *cells, uint32_t address, size_t length);

/* The bytes of page number `index`, to be modified; NULL when memory is short. */
uint8_t *cells_own(struct cells *cells, unsigned index);
/* Replaces bytes. False when memory is short; a part may have been replaced. */
bool cells_store(struct cells *cells, uint32_t address, const void *data, size_t length);
/* Clears the bits that are 0 in `data`. Returns how many bytes it did, whole pages fewer when
 * memory is short. */
size_t cells_clear(struct cells *cells, uint32_t address, const uint8_t *data, size_t length);
/* Sets all bits of whole pages. */
void cells_erase(struct cells *cells, uint32_t address, uint32_t length);

/*
 * The same when the supply fails meanwhile; `noise` decides. Half cleared, some of the bits are;
 * `length` is at most FLASH_WORD and inside a page. Half erased, a word is erased or some of its
 * cleared bits are set; a page that there is no memory for stays as it is.
 */
void cells_clear_half(struct cells *cells, uint32_t address, const uint8_t *data, size_t length,
                      uint64_t noise);
void cells_erase_half(struct cells *cells, uint32_t address, uint32_t length, uint64_t noise);
/* The next value of a SplitMix64 generator. */
uint64_t cells_noise(uint64_t *state);

#endif
