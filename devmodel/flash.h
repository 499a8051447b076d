/*
 * The STM32F205's internal flash: 1 MiB of NOR in 12 sectors, with its controller's rules and time.
 *
 * Programming can only clear bits, erasing sets a whole sector to 0xFF, both take board time and
 * may be cut off by a power failure. Underneath the cells are 4 KiB pages, shared copy-on-write
 * between flashes and absent where blank, so that a thousand boards made from one image cost their
 * differences.
 *
 * Operations take effect for the reader at once and end at flash_clock(); the owner (the CPU) is
 * busy until then. flash_power_fail() takes back what had not happened by the given time.
 *
 * Numbers: device-os v0.4.4 flash_mal.h, ST PM0059 (STM32F205 flash programming manual).
 */
#ifndef PHOTON_FLASH_H
#define PHOTON_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLASH_BASE    UINT32_C(0x08000000)
#define FLASH_SIZE    UINT32_C(0x00100000)
#define FLASH_END     (FLASH_BASE + FLASH_SIZE)
#define FLASH_SECTORS 12
#define FLASH_PAGE    UINT32_C(4096)
#define FLASH_PAGES   (FLASH_SIZE / FLASH_PAGE)

/* All sectors unprotected: bit n of nWRP is 0 when sector n is write-protected. */
#define FLASH_NWRP_NONE UINT16_C(0x0FFF)

/* The firmware's driver status codes; 8 is the only success. NO_POWER is ours: the supply
 * failed before or within this operation, and nothing the CPU does any more has an effect. */
enum flash_status {
    FLASH_NO_POWER = 0,
    FLASH_BUSY = 1,
    FLASH_ERROR_SEQUENCE = 2,
    FLASH_ERROR_PARALLELISM = 3,
    FLASH_ERROR_ALIGNMENT = 4,
    FLASH_ERROR_WRITE_PROTECTION = 5,
    FLASH_ERROR_PROGRAM = 6,
    FLASH_ERROR_OPERATION = 7,
    FLASH_COMPLETE = 8
};

enum flash_width { FLASH_BYTE = 1, FLASH_WORD = 4 };

/*
 * Where in one operation the supply fails. Within: an erased word keeps not all of its cleared
 * bits, a programmed unit has some of its bits cleared, option bits are old or new.
 */
enum flash_cut { FLASH_CUT_BEFORE, FLASH_CUT_WITHIN, FLASH_CUT_AFTER };

struct flash_sector {
    uint32_t address;
    uint32_t size;
    uint64_t erase_ns;
};

/* The 12 sectors in address order. */
extern const struct flash_sector flash_sectors[FLASH_SECTORS];

/* What the flash tells about each operation; called when the operation is issued, with its start
 * time. */
enum flash_report_kind {
    FLASH_REPORT_ERASE,
    FLASH_REPORT_PROGRAM,
    FLASH_REPORT_REFUSED,
    FLASH_REPORT_PROTECT
};

struct flash_report {
    enum flash_report_kind kind;
    enum flash_status status; /* FLASH_COMPLETE, why it was refused, or FLASH_NO_POWER when its last
                                 operation is half done */
    uint64_t start, end;      /* board time, ns */
    uint32_t address, length;
    uint64_t operation; /* number of its first operation: an erase, one programmed unit, one option
                           byte write */
    uint16_t nwrp;      /* FLASH_REPORT_PROTECT */
};

typedef void flash_reporter(void *context, const struct flash_report *report);

struct flash;

/* A blank flash, unprotected, clock 0; NULL when memory is short. `seed` shapes what half-done
 * operations leave. */
struct flash *flash_new(uint64_t seed);
void flash_free(struct flash *flash);
/* A second flash with the same contents, sharing pages; no reporter. */
struct flash *flash_clone(const struct flash *flash);
/* Makes `flash` equal to `from` (contents, option bytes, wear, counters, clock, power, what can be
 * taken back), except for the reporter; costs the differences. */
void flash_restore(struct flash *flash, const struct flash *from);
void flash_set_reporter(struct flash *flash, flash_reporter *reporter, void *context);

/* --- not operations of the chip: a programmer's socket, no time, no wear; all operations issued
 * before are final --- */

/* Replaces the contents. `length` must not reach past the end. False when memory is short or out of
 * range. */
bool flash_load(struct flash *flash, uint32_t address, const void *data, size_t length);
void flash_set_nwrp(struct flash *flash, uint16_t nwrp);
void flash_set_wear(struct flash *flash, const uint32_t wear[FLASH_SECTORS]);

/* --- reading --- */

static inline bool flash_contains(uint32_t address, size_t length)
{
    return address >= FLASH_BASE && address < FLASH_END && length <= FLASH_END - address;
}

/* Sector that contains `address`, or -1. */
int flash_sector_of(uint32_t address);
/* Copies `length` bytes; the range must be inside the flash (flash_contains). */
void flash_read(const struct flash *flash, uint32_t address, void *data, size_t length);
/* The bytes from `address` to the end of its page, without a copy; valid until the flash changes.
 */
const uint8_t *flash_peek(const struct flash *flash, uint32_t address, size_t *length);
uint16_t flash_read16(const struct flash *flash, uint32_t address);
uint32_t flash_read32(const struct flash *flash, uint32_t address);
/* The range holds just these bytes. */
bool flash_equals(const struct flash *flash, uint32_t address, const void *data, size_t length);
bool flash_is_blank(const struct flash *flash, uint32_t address, size_t length);
/* zlib CRC-32 of a range; remembers whole pages, so asking again is cheap. */
uint32_t flash_crc32(const struct flash *flash, uint32_t address, size_t length);

uint16_t flash_nwrp(const struct flash *flash);
/* Erase cycles of one sector since new. */
uint32_t flash_wear(const struct flash *flash, unsigned sector);
/* Shares the pages that hold the same as those of `like`, which costs memory only once then; what
 * anybody reads stays as it is. Returns how many pages hold something else. */
size_t flash_share(struct flash *flash, const struct flash *like);
/* Pages of this flash's own, not shared and not blank (for memory figures). */
size_t flash_private_pages(const struct flash *flash);

/* --- the chip's operations; each starts at flash_clock() and moves it --- */

/* Board time up to which operations have been issued. The owner sets it forward to "now" before a
 * run; it does not go back. */
uint64_t flash_clock(const struct flash *flash);
void flash_set_clock(struct flash *flash, uint64_t now);
/* Operations issued since new: erases, programmed units and option byte writes each count one,
 * refused ones and those taken back do not. */
uint64_t flash_operations(const struct flash *flash);
/* A number that depends on the seed and on how many operations there were: chance for the firmware
 * above, the same in every run. */
uint64_t flash_chance(const struct flash *flash);

/* FLASH_ERROR_WRITE_PROTECTION: nothing happened. FLASH_ERROR_OPERATION: no such sector. */
__attribute__((warn_unused_result)) enum flash_status flash_erase(struct flash *flash,
                                                                  unsigned sector);
/* Lifts the sector's write protection first when it is set, as the firmware's erase call does. */
__attribute__((warn_unused_result)) enum flash_status flash_erase_unprotecting(struct flash *flash,
                                                                               unsigned sector);
/* Programs units of `width` bytes; `length` is a multiple of the width. Stops at the first unit
 * that fails: FLASH_ERROR_ALIGNMENT, FLASH_ERROR_WRITE_PROTECTION, FLASH_ERROR_OPERATION outside
 * the flash (the CPU's bus fault), FLASH_ERROR_PROGRAM when memory is short. A bit that is 0 stays
 * 0 without an error. */
__attribute__((warn_unused_result)) enum flash_status flash_program(struct flash *flash,
                                                                    uint32_t address,
                                                                    const void *data, size_t length,
                                                                    enum flash_width width);
/* Programs the option bytes' nWRP field. */
__attribute__((warn_unused_result)) enum flash_status flash_protect(struct flash *flash,
                                                                    uint16_t nwrp);

/* --- power --- */

/* The supply will fail at operation number `operation`; never if that one has been issued. The call
 * in which it fails returns FLASH_NO_POWER and leaves flash_clock() at the time of the failure. */
void flash_cut_at(struct flash *flash, uint64_t operation, enum flash_cut cut);
/* False once the cut has happened or flash_power_fail() was called. */
bool flash_powered(const struct flash *flash);
/* The supply fails at board time `time`: operations not begun by then never happened, the one under
 * way is half done. Then as after a cut. */
void flash_power_fail(struct flash *flash, uint64_t time);
/* Operations that ended by `time` are final (frees what was kept to take them back). */
void flash_settle(struct flash *flash, uint64_t time);
/* Supply is back: error flags cleared, no cut armed, clock at `now`. */
void flash_power_on(struct flash *flash, uint64_t now);

#endif
