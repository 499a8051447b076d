#include "flash.h"

#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "little_endian.h"

#define MS UINT64_C(1000000)

/* RM0033 §2.3.3. Times: PM0059's typical ones, but for the 16 KiB sectors, which are between its
 * typical 250 ms and its 500 ms at most. */
const struct flash_sector flash_sectors[FLASH_SECTORS] = {
    {0x08000000, 0x4000, 400 * MS},   {0x08004000, 0x4000, 400 * MS},
    {0x08008000, 0x4000, 400 * MS},   {0x0800C000, 0x4000, 400 * MS},
    {0x08010000, 0x10000, 550 * MS},  {0x08020000, 0x20000, 1000 * MS},
    {0x08040000, 0x20000, 1000 * MS}, {0x08060000, 0x20000, 1000 * MS},
    {0x08080000, 0x20000, 1000 * MS}, {0x080A0000, 0x20000, 1000 * MS},
    {0x080C0000, 0x20000, 1000 * MS}, {0x080E0000, 0x20000, 1000 * MS},
};

#define PROGRAM_NS UINT64_C(16000)
#define PROTECT_NS (20 * MS)

enum step_kind { STEP_ERASE, STEP_PROGRAM, STEP_PROTECT };

/* A run of operations that may still be taken back, and what was there before it. */
struct step {
    struct step *older, *newer;
    enum step_kind kind;
    uint64_t start, unit_ns;
    uint64_t operation, units; /* the first one's number, and how many */
    uint32_t address, length;
    struct cells_page **pages; /* STEP_ERASE: the sector's, shared */
    uint8_t *bytes;            /* STEP_PROGRAM: the range's */
    uint16_t nwrp;             /* STEP_PROTECT */
};

struct flash {
    struct cells cells;
    uint32_t wear[FLASH_SECTORS];
    uint16_t nwrp;
    uint64_t seed;
    uint64_t clock;
    uint64_t operations;
    bool powered;
    bool cut_armed;
    enum flash_cut cut;
    uint64_t cut_operation;
    struct step *oldest, *newest;
    flash_reporter *reporter;
    void *reporter_context;
};

/* Which bits had gone over when the supply failed: every operation has its own, whatever came
 * before it. */
static uint64_t noise_of(const struct flash *flash, uint64_t operation)
{
    uint64_t state = flash->seed + operation;

    return cells_noise(&state);
}

static uint16_t half_protect(const struct flash *flash, uint16_t before, uint16_t after,
                             uint64_t operation)
{
    uint16_t noise = (uint16_t)noise_of(flash, operation);

    return (uint16_t)((before & ~noise) | (after & noise));
}

/* --- what can be taken back --- */

static uint64_t step_end(const struct step *step)
{
    return step->start + step->units * step->unit_ns;
}

static size_t step_pages(const struct step *step)
{
    return step->kind == STEP_ERASE ? step->length / FLASH_PAGE : 0;
}

static size_t step_bytes(const struct step *step)
{
    return step->kind == STEP_PROGRAM ? step->length : 0;
}

static void step_free(struct step *step)
{
    for (size_t i = 0; i < step_pages(step); i++) {
        cells_page_release(step->pages[i]);
    }
    free(step);
}

static void forget_oldest(struct flash *flash)
{
    struct step *step = flash->oldest;

    flash->oldest = step->newer;
    *(step->newer != NULL ? &step->newer->older : &flash->newest) = NULL;
    step_free(step);
}

static void forget_newest(struct flash *flash)
{
    struct step *step = flash->newest;

    flash->newest = step->older;
    *(step->older != NULL ? &step->older->newer : &flash->oldest) = NULL;
    step_free(step);
}

static void forget_steps(struct flash *flash)
{
    while (flash->oldest != NULL) {
        forget_oldest(flash);
    }
}

/* Appends a step like `model`, with room for what was there before. When memory is short all steps
 * become final instead, and NULL: a power failure then finds these operations done. */
static struct step *step_append(struct flash *flash, const struct step *model)
{
    size_t pages = step_pages(model) * sizeof(model->pages[0]);
    struct step *step = malloc(sizeof(*step) + pages + step_bytes(model));

    if (step == NULL) {
        forget_steps(flash);
        return NULL;
    }
    *step = *model;
    step->pages = (struct cells_page **)(step + 1);
    step->bytes = (uint8_t *)(step + 1);
    step->older = flash->newest;
    step->newer = NULL;
    *(flash->newest != NULL ? &flash->newest->newer : &flash->oldest) = step;
    flash->newest = step;
    return step;
}

/* Remembers what is there before something is done. */
static void remember(struct flash *flash, struct step model)
{
    model.start = flash->clock;
    model.operation = flash->operations;
    model.nwrp = flash->nwrp;

    struct step *step = step_append(flash, &model);

    if (step == NULL) {
        return;
    }
    for (size_t i = 0; i < step_pages(step); i++) {
        step->pages[i] = cells_page_share(flash->cells.pages[cells_page_of(step->address) + i]);
    }
    flash_read(flash, step->address, step->bytes, step_bytes(step));
}

static bool copy_steps(struct flash *flash, const struct flash *from)
{
    for (const struct step *model = from->oldest; model != NULL; model = model->newer) {
        struct step *step = step_append(flash, model);

        if (step == NULL) {
            return false;
        }
        for (size_t i = 0; i < step_pages(step); i++) {
            step->pages[i] = cells_page_share(model->pages[i]);
        }
        memcpy(step->bytes, model->bytes, step_bytes(step));
    }
    return true;
}

/* --- a flash --- */

struct flash *flash_new(uint64_t seed)
{
    struct flash *flash = calloc(1, sizeof(*flash));

    if (flash != NULL) {
        flash->seed = seed;
        flash->nwrp = FLASH_NWRP_NONE;
        flash->powered = true;
    }
    return flash;
}

void flash_free(struct flash *flash)
{
    if (flash == NULL) {
        return;
    }
    forget_steps(flash);
    cells_release(&flash->cells);
    free(flash);
}

struct flash *flash_clone(const struct flash *flash)
{
    struct flash *clone = malloc(sizeof(*clone));

    if (clone == NULL) {
        return NULL;
    }
    *clone = *flash;
    clone->reporter = NULL;
    clone->reporter_context = NULL;
    clone->oldest = clone->newest = NULL;
    cells_share(&clone->cells, &flash->cells);
    if (!copy_steps(clone, flash)) {
        flash_free(clone);
        return NULL;
    }
    return clone;
}

void flash_restore(struct flash *flash, const struct flash *from)
{
    flash_reporter *reporter = flash->reporter;
    void *context = flash->reporter_context;

    if (flash == from) {
        return;
    }
    forget_steps(flash);
    cells_assign(&flash->cells, &from->cells);
    *flash = *from;
    flash->reporter = reporter;
    flash->reporter_context = context;
    flash->oldest = flash->newest = NULL;
    (void)copy_steps(flash, from);
}

void flash_set_reporter(struct flash *flash, flash_reporter *reporter, void *context)
{
    flash->reporter = reporter;
    flash->reporter_context = context;
}

bool flash_load(struct flash *flash, uint32_t address, const void *data, size_t length)
{
    if (length > 0 && !flash_contains(address, length)) {
        return false;
    }
    forget_steps(flash);
    return cells_store(&flash->cells, address, data, length);
}

void flash_set_nwrp(struct flash *flash, uint16_t nwrp)
{
    forget_steps(flash);
    flash->nwrp = nwrp & FLASH_NWRP_NONE;
}

void flash_set_wear(struct flash *flash, const uint32_t wear[FLASH_SECTORS])
{
    memcpy(flash->wear, wear, sizeof(flash->wear));
}

/* --- reading --- */

int flash_sector_of(uint32_t address)
{
    if (!flash_contains(address, 1)) {
        return -1;
    }
    for (int i = FLASH_SECTORS - 1;; i--) {
        if (address >= flash_sectors[i].address) {
            return i;
        }
    }
}

void flash_read(const struct flash *flash, uint32_t address, void *data, size_t length)
{
    uint8_t *to = data;

    while (length > 0) {
        size_t part = cells_within_page(address, length);

        memcpy(to, cells_peek(&flash->cells, address), part);
        address += (uint32_t)part;
        to += part;
        length -= part;
    }
}

const uint8_t *flash_peek(const struct flash *flash, uint32_t address, size_t *length)
{
    *length = cells_within_page(address, FLASH_PAGE);
    return cells_peek(&flash->cells, address);
}

uint16_t flash_read16(const struct flash *flash, uint32_t address)
{
    uint8_t b[2];

    flash_read(flash, address, b, sizeof(b));
    return le16_get(b);
}

uint32_t flash_read32(const struct flash *flash, uint32_t address)
{
    uint8_t b[4];

    flash_read(flash, address, b, sizeof(b));
    return le32_get(b);
}

bool flash_equals(const struct flash *flash, uint32_t address, const void *data, size_t length)
{
    const uint8_t *expected = data;

    while (length > 0) {
        size_t run;
        const uint8_t *cells = flash_peek(flash, address, &run);

        run = run < length ? run : length;
        if (memcmp(cells, expected, run) != 0) {
            return false;
        }
        address += (uint32_t)run;
        expected += run;
        length -= run;
    }
    return true;
}

bool flash_is_blank(const struct flash *flash, uint32_t address, size_t length)
{
    return cells_are_blank(&flash->cells, address, length);
}

uint32_t flash_crc32(const struct flash *flash, uint32_t address, size_t length)
{
    return cells_crc32(&flash->cells, address, length);
}

uint16_t flash_nwrp(const struct flash *flash)
{
    return flash->nwrp;
}

uint32_t flash_wear(const struct flash *flash, unsigned sector)
{
    return flash->wear[sector];
}

size_t flash_share(struct flash *flash, const struct flash *like)
{
    return cells_merge(&flash->cells, &like->cells);
}

size_t flash_private_pages(const struct flash *flash)
{
    return cells_private_pages(&flash->cells);
}

/* --- operations --- */

uint64_t flash_clock(const struct flash *flash)
{
    return flash->clock;
}

void flash_set_clock(struct flash *flash, uint64_t now)
{
    if (now > flash->clock) {
        flash->clock = now;
    }
}

uint64_t flash_operations(const struct flash *flash)
{
    return flash->operations;
}

uint64_t flash_chance(const struct flash *flash)
{
    return noise_of(flash, flash->operations);
}

/* What happens to the next operations: so many are done, then perhaps half of one, and then perhaps
 * the power is gone. */
struct fate {
    uint64_t done;
    bool half, lost;
};

static struct fate fate_of(const struct flash *flash, uint64_t units)
{
    uint64_t before = flash->cut_operation - flash->operations;

    if (!flash->cut_armed || before >= units) {
        return (struct fate){.done = units};
    }
    return (struct fate){.done = before + (flash->cut == FLASH_CUT_AFTER),
                         .half = flash->cut == FLASH_CUT_WITHIN,
                         .lost = true};
}

static void report(const struct flash *flash, const struct flash_report *what)
{
    if (flash->reporter != NULL) {
        flash->reporter(flash->reporter_context, what);
    }
}

static enum flash_status refuse(const struct flash *flash, uint32_t address, uint32_t length,
                                enum flash_status status)
{
    report(flash, &(struct flash_report){.kind = FLASH_REPORT_REFUSED,
                                         .status = status,
                                         .start = flash->clock,
                                         .end = flash->clock,
                                         .address = address,
                                         .length = length,
                                         .operation = flash->operations});
    return status;
}

/* Lets time and the operation count pass, reports what was done and loses power where the cut says
 * so. */
static enum flash_status conclude(struct flash *flash, struct fate fate, uint64_t unit_ns,
                                  struct flash_report what)
{
    uint64_t issued = fate.done + fate.half;

    what.status = fate.half ? FLASH_NO_POWER : FLASH_COMPLETE;
    what.start = flash->clock;
    what.operation = flash->operations;
    flash->clock += fate.done * unit_ns + (fate.half ? unit_ns / 2 : 0);
    flash->operations += issued;
    what.end = flash->clock;
    if (fate.lost) {
        flash->powered = false;
        flash->cut_armed = false;
    }
    if (issued > 0) {
        report(flash, &what);
    }
    return fate.lost ? FLASH_NO_POWER : FLASH_COMPLETE;
}

static bool sector_protected(const struct flash *flash, unsigned sector)
{
    return (flash->nwrp >> sector & 1) == 0;
}

enum flash_status flash_erase(struct flash *flash, unsigned sector)
{
    if (!flash->powered) {
        return FLASH_NO_POWER;
    }
    if (sector >= FLASH_SECTORS) {
        return refuse(flash, 0, 0, FLASH_ERROR_OPERATION);
    }

    const struct flash_sector *s = &flash_sectors[sector];
    struct fate fate = fate_of(flash, 1);

    if (sector_protected(flash, sector)) {
        return refuse(flash, s->address, s->size, FLASH_ERROR_WRITE_PROTECTION);
    }
    if (fate.done + fate.half > 0) {
        remember(flash, (struct step){.kind = STEP_ERASE,
                                      .unit_ns = s->erase_ns,
                                      .units = 1,
                                      .address = s->address,
                                      .length = s->size});
        flash->wear[sector]++;
    }
    if (fate.half) {
        cells_erase_half(&flash->cells, s->address, s->size, noise_of(flash, flash->operations));
    } else if (fate.done > 0) {
        cells_erase(&flash->cells, s->address, s->size);
    }
    return conclude(flash, fate, s->erase_ns,
                    (struct flash_report){
                        .kind = FLASH_REPORT_ERASE, .address = s->address, .length = s->size});
}

/* How many bytes from `address` on the chip takes without an error; when none, *why. */
static size_t programmable(const struct flash *flash, uint32_t address, size_t length,
                           enum flash_width width, enum flash_status *why)
{
    int first = flash_sector_of(address);

    if (first < 0) {
        *why = FLASH_ERROR_OPERATION;
        return 0;
    }
    if (address % width != 0) {
        *why = FLASH_ERROR_ALIGNMENT;
        return 0;
    }

    size_t room = 0;

    for (unsigned i = (unsigned)first;
         i < FLASH_SECTORS && room < length && !sector_protected(flash, i); i++) {
        room = flash_sectors[i].address + flash_sectors[i].size - address;
    }
    *why = FLASH_ERROR_WRITE_PROTECTION;
    return room < length ? room : length;
}

/* Programs a range that the chip takes. */
static enum flash_status program_run(struct flash *flash, uint32_t address, const uint8_t *data,
                                     size_t length, enum flash_width width)
{
    struct fate fate = fate_of(flash, length / width);
    size_t whole = (size_t)fate.done * width;
    size_t touched = whole + (fate.half ? width : 0);
    size_t done;

    if (touched > 0) {
        remember(flash, (struct step){.kind = STEP_PROGRAM,
                                      .unit_ns = PROGRAM_NS,
                                      .units = touched / width,
                                      .address = address,
                                      .length = (uint32_t)touched});
    }
    done = cells_clear(&flash->cells, address, data, whole);
    if (done < whole) {
        fate = (struct fate){.done = done / width};
        touched = done;
    } else if (fate.half) {
        cells_clear_half(&flash->cells, address + (uint32_t)whole, data + whole, width,
                         noise_of(flash, flash->operations + fate.done));
    }

    enum flash_status status = conclude(flash, fate, PROGRAM_NS,
                                        (struct flash_report){.kind = FLASH_REPORT_PROGRAM,
                                                              .address = address,
                                                              .length = (uint32_t)touched});

    return done < whole ? FLASH_ERROR_PROGRAM : status;
}

enum flash_status flash_program(struct flash *flash, uint32_t address, const void *data,
                                size_t length, enum flash_width width)
{
    const uint8_t *bytes = data;
    enum flash_status status = FLASH_COMPLETE;

    if (!flash->powered) {
        return FLASH_NO_POWER;
    }
    while (length > 0 && status == FLASH_COMPLETE) {
        enum flash_status why;
        size_t run = programmable(flash, address, length, width, &why);

        if (run == 0) {
            return refuse(flash, address, (uint32_t)length, why);
        }
        status = program_run(flash, address, bytes, run, width);
        address += (uint32_t)run;
        bytes += run;
        length -= run;
    }
    return status;
}

enum flash_status flash_protect(struct flash *flash, uint16_t nwrp)
{
    struct fate fate = fate_of(flash, 1);

    if (!flash->powered) {
        return FLASH_NO_POWER;
    }
    nwrp &= FLASH_NWRP_NONE;
    if (fate.done + fate.half > 0) {
        remember(flash, (struct step){.kind = STEP_PROTECT, .unit_ns = PROTECT_NS, .units = 1});
        flash->nwrp = fate.half ? half_protect(flash, flash->nwrp, nwrp, flash->operations) : nwrp;
    }
    return conclude(flash, fate, PROTECT_NS,
                    (struct flash_report){.kind = FLASH_REPORT_PROTECT, .nwrp = flash->nwrp});
}

enum flash_status flash_erase_unprotecting(struct flash *flash, unsigned sector)
{
    if (sector < FLASH_SECTORS && sector_protected(flash, sector)) {
        enum flash_status status = flash_protect(flash, (uint16_t)(flash->nwrp | 1U << sector));

        if (status != FLASH_COMPLETE) {
            return status;
        }
    }
    return flash_erase(flash, sector);
}

/* --- power --- */

void flash_cut_at(struct flash *flash, uint64_t operation, enum flash_cut cut)
{
    flash->cut_armed = true;
    flash->cut_operation = operation;
    flash->cut = cut;
}

bool flash_powered(const struct flash *flash)
{
    return flash->powered;
}

/* Puts back what a programmed run changed behind the units that had been done. Where memory is
 * short the run stays. */
static void take_back_program(struct flash *flash, const struct step *step, struct fate fate)
{
    uint32_t unit = step->length / (uint32_t)step->units;
    uint32_t whole = (uint32_t)fate.done * unit;
    uint32_t half = step->address + whole;
    uint8_t data[FLASH_WORD];

    flash_read(flash, half, data, unit);
    (void)cells_store(&flash->cells, half, step->bytes + whole, step->length - whole);
    if (fate.half) {
        cells_clear_half(&flash->cells, half, data, unit,
                         noise_of(flash, step->operation + fate.done));
    }
}

static void take_back_erase(struct flash *flash, const struct step *step, struct fate fate)
{
    for (size_t i = 0; i < step_pages(step); i++) {
        struct cells_page **page = &flash->cells.pages[cells_page_of(step->address) + i];

        cells_page_release(*page);
        *page = cells_page_share(step->pages[i]);
    }
    if (fate.half) {
        cells_erase_half(&flash->cells, step->address, step->length,
                         noise_of(flash, step->operation));
    } else {
        flash->wear[flash_sector_of(step->address)]--;
    }
}

/* What of a step had been done when the supply failed. */
static struct fate fate_at(const struct step *step, uint64_t time)
{
    uint64_t elapsed = time > step->start ? time - step->start : 0;

    return (struct fate){.done = elapsed / step->unit_ns, .half = elapsed % step->unit_ns != 0};
}

void flash_power_fail(struct flash *flash, uint64_t time)
{
    while (flash->newest != NULL && step_end(flash->newest) > time) {
        struct step *step = flash->newest;
        struct fate fate = fate_at(step, time);

        if (step->kind == STEP_ERASE) {
            take_back_erase(flash, step, fate);
        } else if (step->kind == STEP_PROGRAM) {
            take_back_program(flash, step, fate);
        } else {
            flash->nwrp = fate.half ? half_protect(flash, step->nwrp, flash->nwrp, step->operation)
                                    : step->nwrp;
        }
        flash->operations = step->operation + fate.done + fate.half;
        forget_newest(flash);
    }
    forget_steps(flash);
    flash->powered = false;
    flash->cut_armed = false;
    if (flash->clock > time) {
        flash->clock = time;
    }
}

void flash_settle(struct flash *flash, uint64_t time)
{
    while (flash->oldest != NULL && step_end(flash->oldest) <= time) {
        forget_oldest(flash);
    }
}

void flash_power_on(struct flash *flash, uint64_t now)
{
    flash->powered = true;
    flash->cut_armed = false;
    flash->clock = now;
}
