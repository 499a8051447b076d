#include "cells.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FF16 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
#define FF256                                                                                      \
    FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16, FF16

/* What an absent page reads as. */
static const uint8_t blank_bytes[FLASH_PAGE] = {FF256, FF256, FF256, FF256, FF256, FF256,
                                                FF256, FF256, FF256, FF256, FF256, FF256,
                                                FF256, FF256, FF256, FF256};

struct cells_page {
    unsigned refs;
    uint32_t crc_length; /* `crc` is that of so many bytes from the start; 0: not known */
    uint32_t crc;
    _Alignas(16) uint8_t bytes[FLASH_PAGE];
};

unsigned cells_page_of(uint32_t address)
{
    return (address - FLASH_BASE) / FLASH_PAGE;
}

size_t cells_within_page(uint32_t address, size_t length)
{
    size_t room = FLASH_PAGE - address % FLASH_PAGE;

    return length < room ? length : room;
}

/* --- ownership --- */

static const uint8_t *page_bytes(const struct cells_page *page)
{
    return page != NULL ? page->bytes : blank_bytes;
}

struct cells_page *cells_page_share(struct cells_page *page)
{
    if (page != NULL) {
        page->refs++;
    }
    return page;
}

void cells_page_release(struct cells_page *page)
{
    if (page != NULL && --page->refs == 0) {
        free(page);
    }
}

void cells_share(struct cells *to, const struct cells *from)
{
    for (unsigned i = 0; i < FLASH_PAGES; i++) {
        to->pages[i] = cells_page_share(from->pages[i]);
    }
}

void cells_assign(struct cells *to, const struct cells *from)
{
    for (unsigned i = 0; i < FLASH_PAGES; i++) {
        struct cells_page *old = to->pages[i];

        if (old != from->pages[i]) {
            to->pages[i] = cells_page_share(from->pages[i]);
            cells_page_release(old);
        }
    }
}

size_t cells_merge(struct cells *cells, const struct cells *like)
{
    size_t others = 0;

    for (unsigned i = 0; i < FLASH_PAGES; i++) {
        struct cells_page *own = cells->pages[i], *theirs = like->pages[i];

        if (own == theirs) {
            continue;
        }
        if (own != NULL && theirs != NULL && memcmp(own->bytes, theirs->bytes, FLASH_PAGE) == 0) {
            cells->pages[i] = cells_page_share(theirs);
            cells_page_release(own);
        } else {
            others++;
        }
    }
    return others;
}

void cells_release(struct cells *cells)
{
    for (unsigned i = 0; i < FLASH_PAGES; i++) {
        cells_page_release(cells->pages[i]);
        cells->pages[i] = NULL;
    }
}

size_t cells_private_pages(const struct cells *cells)
{
    size_t count = 0;

    for (unsigned i = 0; i < FLASH_PAGES; i++) {
        count += cells->pages[i] != NULL && cells->pages[i]->refs == 1;
    }
    return count;
}

uint8_t *cells_own(struct cells *cells, unsigned index)
{
    struct cells_page *page = cells->pages[index];

    if (page == NULL || page->refs > 1) {
        struct cells_page *own = malloc(sizeof(*own));

        if (own == NULL) {
            return NULL;
        }
        memcpy(own->bytes, page_bytes(page), FLASH_PAGE);
        own->refs = 1;
        cells_page_release(page);
        cells->pages[index] = page = own;
    }
    page->crc_length = 0;
    return page->bytes;
}

/* --- reading --- */

const uint8_t *cells_peek(const struct cells *cells, uint32_t address)
{
    return page_bytes(cells->pages[cells_page_of(address)]) + address % FLASH_PAGE;
}

bool cells_are_blank(const struct cells *cells, uint32_t address, size_t length)
{
    while (length > 0) {
        size_t part = cells_within_page(address, length);
        const uint8_t *bytes = cells_peek(cells, address);

        /* An absent page is blank_bytes themselves, and need not be compared. */
        if (cells->pages[cells_page_of(address)] != NULL && memcmp(bytes, blank_bytes, part) != 0) {
            return false;
        }
        address += (uint32_t)part;
        length -= part;
    }
    return true;
}

/* CRC-32 of a whole blank page. */
#define BLANK_CRC UINT32_C(0xF154670A)

/* Of the first `length` bytes. Modules begin at a page and end anywhere, always at the same place:
 * one remembered length a page does for both. */
static uint32_t page_crc(struct cells_page *page, size_t length)
{
    if (page == NULL) {
        return length == FLASH_PAGE ? BLANK_CRC : (uint32_t)crc32(0, blank_bytes, (uInt)length);
    }
    if (page->crc_length != length) {
        page->crc = (uint32_t)crc32(0, page->bytes, (uInt)length);
        page->crc_length = (uint32_t)length;
    }
    return page->crc;
}

uint32_t cells_crc32(const struct cells *cells, uint32_t address, size_t length)
{
    uLong append_page = crc32_combine_gen(FLASH_PAGE);
    uLong crc = 0;

    while (length > 0) {
        size_t part = cells_within_page(address, length);
        struct cells_page *page = cells->pages[cells_page_of(address)];

        if (address % FLASH_PAGE != 0) {
            crc = crc32(crc, page_bytes(page) + address % FLASH_PAGE, (uInt)part);
        } else if (part == FLASH_PAGE) {
            crc = crc32_combine_op(crc, page_crc(page, part), append_page);
        } else {
            crc = crc32_combine(crc, page_crc(page, part), (z_off_t)part);
        }
        address += (uint32_t)part;
        length -= part;
    }
    return (uint32_t)crc;
}

/* --- writing --- */

bool cells_store(struct cells *cells, uint32_t address, const void *data, size_t length)
{
    const uint8_t *from = data;

    while (length > 0) {
        size_t part = cells_within_page(address, length);
        unsigned index = cells_page_of(address);
        uint8_t *bytes = cells_own(cells, index);

        if (bytes == NULL) {
            return false;
        }
        memcpy(bytes + address % FLASH_PAGE, from, part);
        if (memcmp(bytes, blank_bytes, FLASH_PAGE) == 0) {
            cells_page_release(cells->pages[index]);
            cells->pages[index] = NULL;
        }
        address += (uint32_t)part;
        from += part;
        length -= part;
    }
    return true;
}

/* Would clearing leave these bytes as they are? */
static bool clears_nothing(const uint8_t *bytes, const uint8_t *data, size_t length)
{
    uint8_t cleared = 0;

    for (size_t i = 0; i < length; i++) {
        cleared |= (uint8_t)(bytes[i] & ~data[i]);
    }
    return cleared == 0;
}

/* One page's part of cells_clear(). */
static bool page_clear(struct cells *cells, uint32_t address, const uint8_t *data, size_t length)
{
    unsigned index = cells_page_of(address);
    bool blank = cells->pages[index] == NULL;

    if (blank ? memcmp(data, blank_bytes, length) == 0
              : clears_nothing(cells_peek(cells, address), data, length)) {
        return true;
    }

    uint8_t *bytes = cells_own(cells, index);

    if (bytes == NULL) {
        return false;
    }
    bytes += address % FLASH_PAGE;
    if (blank) {
        memcpy(bytes, data, length);
    } else {
        for (size_t i = 0; i < length; i++) {
            bytes[i] &= data[i];
        }
    }
    return true;
}

size_t cells_clear(struct cells *cells, uint32_t address, const uint8_t *data, size_t length)
{
    size_t done = 0;

    while (done < length) {
        uint32_t at = address + (uint32_t)done;
        size_t part = cells_within_page(at, length - done);

        if (!page_clear(cells, at, data + done, part)) {
            break;
        }
        done += part;
    }
    return done;
}

void cells_erase(struct cells *cells, uint32_t address, uint32_t length)
{
    for (size_t i = 0; i < length / FLASH_PAGE; i++) {
        struct cells_page **page = &cells->pages[cells_page_of(address) + i];

        cells_page_release(*page);
        *page = NULL;
    }
}

/* --- half-done operations --- */

uint64_t cells_noise(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void cells_clear_half(struct cells *cells, uint32_t address, const uint8_t *data, size_t length,
                      uint64_t noise)
{
    uint8_t mixed[FLASH_WORD];

    for (size_t i = 0; i < length; i++) {
        mixed[i] = (uint8_t)(data[i] | noise >> (8 * i));
    }
    (void)cells_clear(cells, address, mixed, length);
}

/* An erase moves all cells of a sector towards 1 together: no word that has cleared bits keeps them
 * all. */
void cells_erase_half(struct cells *cells, uint32_t address, uint32_t length, uint64_t noise)
{
    for (uint32_t end = address + length; address < end; address += FLASH_PAGE) {
        unsigned index = cells_page_of(address);
        uint8_t *bytes = cells->pages[index] != NULL ? cells_own(cells, index) : NULL;

        for (size_t at = 0; bytes != NULL && at < FLASH_PAGE; at += sizeof(uint32_t)) {
            uint64_t random = cells_noise(&noise);
            uint32_t word;

            memcpy(&word, bytes + at, sizeof(word));
            word |= word + 1; /* the lowest cleared bit goes first */
            word |= (random >> 32 & 1) != 0 ? UINT32_MAX : (uint32_t)random;
            memcpy(bytes + at, &word, sizeof(word));
        }
    }
}
