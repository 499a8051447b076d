/*
 * An update on its way: received into the OTA slot, judged, and handed to the bootloader or
 * installed.
 *
 * Used by YMODEM, the USB control requests and the OTA flag byte. Not for users of the library.
 * Source: device-os v0.4.4 hal/src/photon/ota_flash_hal.cpp; v0.7.0, v1.5.0, v2.2.0
 * ota_flash_hal_stm32f2xx.cpp, ota_module.cpp.
 */
#ifndef PHOTON_UPDATE_H
#define PHOTON_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct photon;

enum update_verdict {
    UPDATE_OK,
    UPDATE_NO_MODULE,
    UPDATE_BAD_CRC,
    UPDATE_BAD_DEPENDENCY,
    UPDATE_BAD_ADDRESS,
    UPDATE_BAD_PLATFORM,
    UPDATE_NOT_STORED /* valid, but slot or bootloader could not be written */
};

/* Erases as much of the OTA slot as `size` needs, nothing when it is 0 or larger than the flash
 * behind it. The CPU is busy meanwhile. */
void update_begin(struct photon *photon, uint32_t size);
/* Programs bytes at `offset` of the slot. False when they cannot be stored. */
bool update_store(struct photon *photon, uint32_t offset, const uint8_t *data, size_t length);
/* Judges the module in the slot by the running release's rules. */
enum update_verdict update_judge(struct photon *photon);
/* The checks that it fails (module_list.h), as "Validation failed" prints them: 0 when it
 * is good and could not be stored. */
unsigned update_failures(struct photon *photon);
/* Judges it and, when it is good, installs a bootloader at once or sets a pending slot for the
 * rest. */
enum update_verdict update_finish(struct photon *photon);

#endif
