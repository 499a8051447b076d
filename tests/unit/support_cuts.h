/*
 * Power cuts at flash operations of a way: before, within and after each. Whatever is left, the
 * board then boots into a state that a table allows for what is in its flash, and nothing outside
 * the target has changed. Long ways are sampled by a stride, or taken whole (support_every.h).
 *
 * A way is gone once, in steps, with a snapshot before each; a case starts from the snapshot before
 * its operation.
 */
#ifndef TESTS_SUPPORT_CUTS_H
#define TESTS_SUPPORT_CUTS_H

#include "devmodel/photon.h"
#include "tests/unit/support_board.h"

#define CUTS_STEPS_MAX     80
#define CUTS_STRETCHES_MAX 400

/* Modules of which something may be left. */
enum { CUTS_BOOTLOADER, CUTS_PART1, CUTS_USER, CUTS_FACTORY, CUTS_PARTS };

/* What may be left of one. */
enum {
    CUTS_MISSING = 1,  /* no prefix that names the place */
    CUTS_TORN = 2,     /* prefix, but not the whole body */
    CUTS_UNSEALED = 4, /* only the suffix or the CRC is missing */
    CUTS_FRAYED = 8,   /* the same, and the last word of the body */
    CUTS_WHOLE = 16
};

struct cuts_file {
    uint8_t bytes[FACTORY_MAX_SIZE];
    size_t size;
};

struct course;

struct way {
    const char *name;
    void (*prepare)(struct course *course);
    bool (*step)(struct course *course, unsigned number); /* false: there is no such step */
    /* What only this way leads to, looked at after the boot. */
    void (*judge)(struct course *course);
    unsigned target;  /* the part that the file is for */
    bool by_slot;     /* the bootloader copies it there */
    uint32_t sectors; /* bit n: sector n may change; those of the DCT always may */
    /* Of the operations tried in these sectors and elsewhere, unless every one is taken. */
    unsigned stride, stride_elsewhere;
};
#define CUTS_SECTOR(n) (UINT32_C(1) << (n))

/* Operations in a row: an erase, or programming from one address on. */
struct stretch {
    uint64_t first;
    uint32_t address, end;
    unsigned step;
};

struct course {
    const struct way *way;
    unsigned image;
    bool factory;
    struct board *board, *start; /* at work; before the first step */
    struct board *snapshots[CUTS_STEPS_MAX];
    unsigned steps;
    uint64_t operations[CUTS_STEPS_MAX + 1]; /* before each step, and at the end */
    struct stretch stretches[CUTS_STRETCHES_MAX];
    size_t stretch_count;
    unsigned cases;
    /* The file that comes, and those that were there; prepare() may replace any. */
    struct cuts_file file, was[CUTS_PARTS];
    /* The case under way. */
    uint64_t operation;
    enum flash_cut cut;
    unsigned found[CUTS_PARTS]; /* CUTS_MISSING .. CUTS_WHOLE */
    unsigned outcome;
    bool slot_set, pending; /* the slot is set; and will be served */
};

/* All cases of a way, on a board with this bootloader image. */
void cuts_run(const struct way *way, unsigned image, bool factory);

/* The board has run before, so that its system has nothing to set up, and is in DFU mode. */
void cuts_enter_dfu(struct course *course);
/* Leaves DFU mode and waits for what comes of it; and that as a way's only step. */
void cuts_leave(struct board *board);
bool cuts_step_leave(struct course *course, unsigned number);
/* The release whose boards have the image. */
const struct release *cuts_release(const struct course *course);
/* An application of that release. */
void cuts_build_user(struct cuts_file *file, uint16_t version, uint32_t size,
                     const struct release *release);
/* Runs until the board waits for a host, is lost or has no power; says how often it was reset since
 * the step or the boot began. */
unsigned cuts_settle(struct board *board);

void cuts_read(struct board *board, uint32_t address, uint8_t *bytes, size_t length);
__attribute__((noreturn)) void cuts_wrong(const struct course *course, const char *what);

#endif
