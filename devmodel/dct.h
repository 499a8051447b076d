/*
 * The device configuration table: two 16 KiB sectors that take turns, as the firmware's driver sees
 * them.
 *
 * Offsets are those of the *application* section, which are the addresses of DFU alternate
 * setting 1. Two formats: "swap" (WICED 3.3, system <= 0.6.4) and "sequence" (WICED 3.7.0-7, system
 * >= 0.7.0, whose code lives in system-part2). Which driver runs, and with which faults, is a row
 * the caller passes in: dct_swap.c and dct_sequence.c. Source: device-os v0.4.0-v2.2.0 flash_mal.c,
 * dct.h, and the real images at work.
 */
#ifndef PHOTON_DCT_H
#define PHOTON_DCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flash.h"

/* Application section: offset in its sector, and the most that fits behind it. */
#define DCT_APPLICATION      UINT32_C(7548)
#define DCT_APPLICATION_SIZE (UINT32_C(0x4000) - DCT_APPLICATION)

/* The Wi-Fi section before it, as an offset in the sector. */
#define DCT_WIFI UINT32_C(0x1A30)

/* Offsets of fields in the application section (application_dct_t). */
#define DCT_SYSTEM_FLAGS     0
#define DCT_PRIVATE_KEY      34
#define DCT_PUBLIC_KEY       1250
#define DCT_PUBLIC_KEY_SIZE  384
#define DCT_OTA_FLAG         1753
#define DCT_CLAIM_CODE       1762
#define DCT_CLAIMED          1825
#define DCT_SSID_PREFIX      1826
#define DCT_DEVICE_CODE      1852
#define DCT_DEVICE_CODE_SIZE 6
#define DCT_SERVER_KEY       2082
#define DCT_SERVER_KEY_SIZE  768
#define DCT_SERVER_ADDRESS   2466
#define DCT_FLASH_MODULES    2852
#define DCT_ANTENNA          2976

enum dct_format { DCT_FORMAT_SWAP, DCT_FORMAT_SEQUENCE };
/* How the driver decides that the other sector need not be erased. */
enum dct_blank_check { DCT_BLANK_HEADER_ONLY, DCT_BLANK_FULL };

/* One driver's behaviour. */
struct dct_rules {
    enum dct_format format;
    enum dct_blank_check blank_check; /* DCT_FORMAT_SWAP only */
    bool in_place; /* DCT_FORMAT_SWAP: try to program over the current copy first */
};

/* DCT_ERROR: refused, or failed on the way, or the power is gone. DCT_HANG: the driver loops for
 * ever in its erase retry; the CPU is lost until reset. */
enum dct_status { DCT_OK, DCT_ERROR, DCT_HANG };

/* Makes sure that there is a copy that holds, as the driver does at its first use (may erase and
 * program). */
__attribute__((warn_unused_result)) enum dct_status dct_open(struct flash *flash,
                                                             const struct dct_rules *rules);
/* Flash address of the current copy's application section. */
uint32_t dct_application(const struct flash *flash, const struct dct_rules *rules);
/* Reads as the driver does: whatever lies physically at offset, even past the section's end.
 * `offset` + `length` may reach past the sector but must end inside the flash. */
void dct_read(const struct flash *flash, const struct dct_rules *rules, uint32_t offset, void *data,
              size_t length);
__attribute__((warn_unused_result)) enum dct_status dct_write(struct flash *flash,
                                                              const struct dct_rules *rules,
                                                              uint32_t offset, const void *data,
                                                              size_t length);
/* The same anywhere in a copy behind its header: `start` counts from the start of the sector. */
__attribute__((warn_unused_result)) enum dct_status
dct_write_section(struct flash *flash, const struct dct_rules *rules, uint32_t start,
                  const void *data, size_t length);

#endif
