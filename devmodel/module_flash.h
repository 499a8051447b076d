/*
 * Modules where the board has them: in flash. Finding, validating and copying as bootloader and
 * system do. Source: device-os v0.4.4 SPARK_Firmware_Driver/src/flash_mal.c; v0.4.9, v2.2.0 same.
 */
#ifndef PHOTON_MODULE_FLASH_H
#define PHOTON_MODULE_FLASH_H

#include "flash.h"
#include "module.h"

/* Verification flags of flash_modules entries and copy calls. */
#define MODULE_VERIFY_CRC         UINT8_C(0x02)
#define MODULE_VERIFY_DESTINATION UINT8_C(0x04)
#define MODULE_VERIFY_FUNCTION    UINT8_C(0x08) /* the same bit also asks for the length test */

/* Reads the prefix of the image at `address`; false when it does not lie inside the flash. Says
 * nothing about validity: erased flash gives a prefix of 0xFF. */
bool module_flash_info(const struct flash *flash, uint32_t address, struct module_info *info);
/* The suffix of the module at `address`; false when its end does not lie inside the flash. */
bool module_flash_suffix(const struct flash *flash, uint32_t address,
                         const struct module_info *info, struct module_suffix *suffix);
/* CRC of the module at `address` (its body read there, whatever its start says) matches the stored
 * one. */
bool module_flash_crc_ok(const struct flash *flash, uint32_t address,
                         const struct module_info *info);
/* Prefix names this start, an end not above the limit, and the platform: all that a bootloader asks
 * of the image it jumps to. */
bool module_flash_in_place(const struct module_info *info, uint32_t start, uint32_t limit,
                           uint16_t platform);

/* The image at `address` is there to be run: whole, or damaged only here and there (a wrong CRC
 * alone stops nothing). Where the line lies is a choice of the model: the last word before the
 * suffix is there, and no more than one word in 16 is erased. */
bool module_flash_executable(const struct flash *flash, uint32_t address,
                             const struct module_info *info);

struct module_copy {
    uint32_t source, destination, length;
    uint8_t flags;    /* MODULE_VERIFY_*; 0 copies without any test */
    uint8_t function; /* expected */
    uint16_t platform;
    bool whole_sectors_by_length; /* <= 0.4.8: erases length / 128 KiB rounded up; else sector by
                                     sector */
};

enum module_copy_status {
    MODULE_COPY_OK,
    MODULE_COPY_REFUSED, /* a test failed or a range is not in the flash; nothing was erased */
    MODULE_COPY_FAILED   /* erase or program failed on the way */
};

/* The tests alone: would module_flash_copy() begin? */
bool module_flash_copy_allowed(const struct flash *flash, const struct module_copy *copy);
/* Tests the source as the flags ask, lifts the write protection of the destination's sectors and
 * erases them; MODULE_COPY_OK: they can be programmed. */
__attribute__((warn_unused_result)) enum module_copy_status
module_flash_copy_begin(struct flash *flash, const struct module_copy *copy);
/* Programs them. */
__attribute__((warn_unused_result)) enum module_copy_status
module_flash_copy_finish(struct flash *flash, const struct module_copy *copy);
/* Both. */
__attribute__((warn_unused_result)) enum module_copy_status
module_flash_copy(struct flash *flash, const struct module_copy *copy);

#endif
