/*
 * The files of a device directory as bytes: read, checked, written. No file is touched here.
 *
 * A device directory holds one board between runs:
 *
 *   flash.bin     the 1 MiB of internal flash, raw; offset 0 is address 0x08000000
 *   backup.bin    132 bytes, little-endian:
 *                   0    20 x u32   RTC backup registers DR0 to DR19
 *                   80   u16        option bytes: the nWRP bits (bit n clear: sector n protected)
 *                   82   u16        0
 *                   84   12 x u32   erase cycles of sectors 0 to 11
 *   device.json   who the board is (struct device_identity), with a format number
 *   journal.bin   changes under way; empty or absent when there are none
 *   lock          locked (flock) by the process that owns the directory; holds its pid
 *
 * A change that one write cannot make whole goes to the journal first:
 *
 *   0    4 bytes    "vPhJ"
 *   4    u32        format, 1
 *   8    u32        length of the records
 *   12   u32        CRC-32 of the records
 *   16   records:   u32 kind, u32 offset, u32 length, then `length` bytes (none for ERASED)
 *
 * A journal whose length or CRC does not fit was never finished, so nothing else was touched yet:
 * it counts for nothing. A whole one is carried out again, which gives the same result however far
 * it had got.
 */
#ifndef VPHOTON_DEVICE_FORMAT_H
#define VPHOTON_DEVICE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devmodel/backup.h"
#include "devmodel/flash.h"
#include "devmodel/photon.h"
#include "emulator/complaint.h"

#define DEVICE_FORMAT       1
#define DEVICE_JSON_MAX     65536
#define DEVICE_BACKUP_SIZE  132
#define DEVICE_RELEASE_MAX  32
#define DEVICE_ID_TEXT      (2 * PHOTON_ID_SIZE + 1)
#define DEVICE_MAC_TEXT     (3 * PHOTON_MAC_SIZE)

#define JOURNAL_HEADER_SIZE 16
#define JOURNAL_RECORD_SIZE 12
/* Every page on its own, and the small state. */
#define JOURNAL_MAX                                                                                \
    (JOURNAL_HEADER_SIZE + FLASH_PAGES * (JOURNAL_RECORD_SIZE + FLASH_PAGE) +                      \
     JOURNAL_RECORD_SIZE + DEVICE_BACKUP_SIZE)

/* Who a board is: what does not lie in its flash. */
struct device_identity {
    uint8_t id[PHOTON_ID_SIZE];
    uint8_t mac[PHOTON_MAC_SIZE];
    char release[DEVICE_RELEASE_MAX]; /* what it left the factory with; only told, never used */
    uint32_t seed;                    /* shapes what half-done flash operations leave */
    bool vbat;                        /* a backup battery keeps the RTC registers */
};

/* What backup.bin holds. */
struct device_small_state {
    struct backup backup;
    uint16_t nwrp;
    uint32_t wear[FLASH_SECTORS];
};

/* 24 hexadecimal digits in address order; false for anything else. */
bool device_id_parse(const char *text, uint8_t id[PHOTON_ID_SIZE]);
void device_id_print(const uint8_t id[PHOTON_ID_SIZE], char text[DEVICE_ID_TEXT]);
/* "6c:0b:84:00:11:22"; false for anything else. */
bool device_mac_parse(const char *text, uint8_t mac[PHOTON_MAC_SIZE]);
void device_mac_print(const uint8_t mac[PHOTON_MAC_SIZE], char text[DEVICE_MAC_TEXT]);

bool device_json_parse(const void *bytes, size_t length, struct device_identity *identity,
                       struct complaint *complaint);
/* The text of device.json, to be freed; NULL when memory is short. */
char *device_json_print(const struct device_identity *identity);

bool device_backup_parse(const void *bytes, size_t length, struct device_small_state *state,
                         struct complaint *complaint);
void device_backup_print(const struct device_small_state *state, uint8_t bytes[DEVICE_BACKUP_SIZE]);

enum journal_kind {
    JOURNAL_ERASED = 1, /* flash: `length` bytes of 0xFF */
    JOURNAL_DATA = 2,   /* flash: these bytes */
    JOURNAL_BACKUP = 3  /* backup.bin: all of it */
};

/* A journal being written; `bytes` grows as needed. Zero-initialised is empty. */
struct journal {
    uint8_t *bytes;
    size_t length, room;
};

/* False when memory is short. `data` is NULL for JOURNAL_ERASED. */
bool journal_add(struct journal *journal, enum journal_kind kind, uint32_t offset, const void *data,
                 uint32_t length);
/* Completes the header; the journal is then what goes into the file. */
void journal_seal(struct journal *journal);
void journal_clear(struct journal *journal);
void journal_free(struct journal *journal);

typedef bool journal_apply(void *context, enum journal_kind kind, uint32_t offset, const void *data,
                           uint32_t length);

enum journal_verdict {
    JOURNAL_NOTHING,   /* empty, or never finished */
    JOURNAL_DONE,      /* every record was given to `apply` */
    JOURNAL_STOPPED,   /* `apply` said false */
    JOURNAL_IMPOSSIBLE /* sealed, but not by this format: complaint says why */
};

/* Checks the whole journal first, then gives each record to `apply`. */
enum journal_verdict journal_replay(const void *bytes, size_t length, journal_apply *apply,
                                    void *context, struct complaint *complaint);

#endif
