/*
 * The flash_modules slots of the DCT: what the running system asks the bootloader to copy.
 * Source: device-os v0.4.4 SPARK_Firmware_Driver/inc/flash_mal.h, dct.h.
 */
#ifndef PHOTON_MODULE_SLOT_H
#define PHOTON_MODULE_SLOT_H

#include <stdint.h>

#define MODULE_SLOTS     5
#define MODULE_SLOT_SIZE 20

/* Magic numbers; anything else is a free slot. */
#define MODULE_SLOT_PENDING UINT16_C(0xABCD)
#define MODULE_SLOT_FACTORY UINT16_C(0x0FAC)

struct module_slot {
    uint16_t magic;
    uint8_t source_device, destination_device; /* 0 internal flash */
    uint32_t source, destination, length;
    uint8_t flags;    /* MODULE_VERIFY_* */
    uint8_t function; /* expected module function */
    uint16_t reserved;
};

/* Slot 0 as the Photon's system writes it at each start, and the bootloader's default. */
extern const struct module_slot module_slot_factory;

void module_slot_decode(struct module_slot *slot, const uint8_t bytes[MODULE_SLOT_SIZE]);
void module_slot_encode(const struct module_slot *slot, uint8_t bytes[MODULE_SLOT_SIZE]);

#endif
