#include "eeprom.h"

#include <string.h>

#include "flash_map.h"
#include "little_endian.h"

/* A page's first word. */
#define PAGE_COPY     UINT32_C(0xFFFFEEEE)
#define PAGE_ACTIVE   UINT32_C(0xFFFF0000)
#define PAGE_INACTIVE UINT32_C(0xCCCC0000)

/* A record: the byte, its status, its index. */
#define RECORD       4
#define RECORD_VALID 0
#define NO_INDEX     0xFFFF
#define ERASED       0xFF

static const struct page {
    uint32_t start, end;
    unsigned sector;
} pages[] = {
    {MAP_EEPROM_A, MAP_EEPROM_A + 0x4000, MAP_SECTOR_EEPROM_A},
    {MAP_EEPROM_B, MAP_EEPROM_B + 0x10000, MAP_SECTOR_EEPROM_B},
};

/* The first that says so. */
static const struct page *active_page(const struct flash *flash)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (flash_read32(flash, pages[i].start) == PAGE_ACTIVE) {
            return &pages[i];
        }
    }
    return NULL;
}

static bool write_word(struct flash *flash, uint32_t address, uint32_t word)
{
    uint8_t bytes[RECORD];

    le32_put(bytes, word);
    return flash_program(flash, address, bytes, sizeof(bytes), FLASH_WORD) == FLASH_COMPLETE &&
           flash_equals(flash, address, bytes, sizeof(bytes));
}

static bool write_record(struct flash *flash, const struct page *page, uint32_t address,
                         uint32_t index, uint8_t data)
{
    return address + RECORD <= page->end &&
           write_word(flash, address, index << 16 | RECORD_VALID << 8 | data);
}

/* Reads all that the page holds. Returns where the next record goes, the page's end when there is
 * no room; 0 after a record that is neither valid nor empty: whatever lies behind does not count.
 */
static uint32_t read_page(const struct flash *flash, const struct page *page,
                          uint8_t cells[EEPROM_SIZE])
{
    memset(cells, ERASED, EEPROM_SIZE);
    for (uint32_t at = page->start + RECORD; at < page->end; at += RECORD) {
        uint32_t record = flash_read32(flash, at);
        uint32_t index = record >> 16;

        if (record == UINT32_MAX) {
            return at;
        }
        if ((record >> 8 & 0xFF) != RECORD_VALID || index == NO_INDEX) {
            return 0;
        }
        if (index < EEPROM_SIZE) {
            cells[index] = (uint8_t)record;
        }
    }
    return page->end;
}

void eeprom_clear(struct flash *flash)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (flash_erase_unprotecting(flash, pages[i].sector) != FLASH_COMPLETE) {
            return;
        }
    }
    (void)write_word(flash, pages[0].start, PAGE_ACTIVE);
}

void eeprom_open(struct flash *flash)
{
    if (active_page(flash) == NULL) {
        eeprom_clear(flash);
    }
}

void eeprom_read(const struct flash *flash, uint32_t index, uint8_t *data, uint32_t length)
{
    const struct page *page = active_page(flash);
    uint8_t cells[EEPROM_SIZE];

    if (page == NULL) {
        memset(data, ERASED, length);
        return;
    }
    (void)read_page(flash, page, cells);
    memcpy(data, cells + index, length);
}

/* From the last to the first, so that reading, which stops at a gap, finds all of them or none. */
static bool append(struct flash *flash, const struct page *page, uint32_t first, uint32_t index,
                   const uint8_t *data, const uint8_t *old, uint32_t length)
{
    uint32_t at = first;

    for (uint32_t i = 0; i < length; i++) {
        at += old[i] != data[i] ? RECORD : 0;
    }
    if (at > first && at < page->end && flash_read32(flash, at) != UINT32_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (old[i] != data[i]) {
            at -= RECORD;
            if (!write_record(flash, page, at, index + i, data[i])) {
                return false;
            }
        }
    }
    return true;
}

/* Records of all cells that hold something, from `at` on; moves it. */
static bool write_cells(struct flash *flash, const struct page *page, uint32_t *at, uint32_t index,
                        const uint8_t *data, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        if (data[i] != ERASED) {
            if (!write_record(flash, page, *at, index + i, data[i])) {
                return false;
            }
            *at += RECORD;
        }
    }
    return true;
}

/* The old records without those that are written, then these; the old page stays active to the end.
 */
static bool copy_page(struct flash *flash, const struct page *from, const struct page *to,
                      const uint8_t cells[EEPROM_SIZE], uint32_t index, const uint8_t *data,
                      uint32_t length)
{
    uint32_t behind = index + length, at = to->start + RECORD;

    return write_word(flash, to->start, PAGE_COPY) &&
           write_cells(flash, to, &at, 0, cells, index) &&
           write_cells(flash, to, &at, behind, cells + behind, EEPROM_SIZE - behind) &&
           write_cells(flash, to, &at, index, data, length) &&
           write_word(flash, to->start, PAGE_ACTIVE) &&
           write_word(flash, from->start, PAGE_INACTIVE);
}

static void swap(struct flash *flash, const struct page *from, const uint8_t cells[EEPROM_SIZE],
                 uint32_t index, const uint8_t *data, uint32_t length)
{
    const struct page *to = from == &pages[0] ? &pages[1] : &pages[0];

    for (int tries = 0; tries < 2; tries++) {
        if ((tries > 0 || !flash_is_blank(flash, to->start, to->end - to->start)) &&
            flash_erase_unprotecting(flash, to->sector) != FLASH_COMPLETE) {
            return;
        }
        if (copy_page(flash, from, to, cells, index, data, length)) {
            return;
        }
    }
}

void eeprom_write(struct flash *flash, uint32_t index, const uint8_t *data, uint32_t length)
{
    const struct page *page = active_page(flash);
    uint8_t cells[EEPROM_SIZE];
    uint32_t first;

    if (page == NULL) {
        return;
    }
    first = read_page(flash, page, cells);
    if (first == 0 || !append(flash, page, first, index, data, cells + index, length)) {
        swap(flash, page, cells, index, data, length);
    }
}
