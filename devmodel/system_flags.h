/*
 * The system flags: 32 bytes through which bootloader and system firmware talk across resets.
 *
 * In the DCT's application section up to 0.6.4, in RTC backup registers DR4-DR9 from 0.7.0 on.
 * Source: device-os v0.4.4 hw_system_flags.h/.c; v0.7.0 platform_system_flags.h,
 * system_flags_impl.c.
 */
#ifndef PHOTON_SYSTEM_FLAGS_H
#define PHOTON_SYSTEM_FLAGS_H

#include <stdint.h>

#include "backup.h"
#include "dct.h"
#include "flash.h"

#define FLAGS_NVMEM_RESET        UINT16_C(0x0001)
#define FLAGS_OTA_AVAILABLE      UINT16_C(0x0005)
#define FLAGS_OTA_REFLASH        UINT16_C(0x5555)
#define FLAGS_OTA_FINISHED       UINT16_C(0x5000)
#define FLAGS_FACTORY_RESET      UINT16_C(0xAAAA)
#define FLAGS_WATCHDOG           UINT16_C(0xD001)
#define FLAGS_FACTORY_RESET_DONE UINT8_C(0x5A)

struct system_flags {
    uint16_t header[2];          /* 0xACC0, 0x1ADE */
    uint16_t bootloader_version; /* written by the bootloader */
    uint16_t nvmem_reset;        /* 1: erase Wi-Fi profiles at the next system start */
    uint16_t ota_update;         /* FLAGS_OTA_*, 0xFFFF none */
    uint16_t ota_flashed;
    uint16_t factory_reset;   /* FLAGS_FACTORY_RESET, 0xFFFF none */
    uint16_t watchdog_enable; /* FLAGS_WATCHDOG, 0xFFFF off */
    uint8_t dfu_on_no_firmware;
    uint8_t factory_reset_done;
    uint8_t startup_mode; /* bit 0: start in safe mode */
    uint8_t features_enabled;
    uint32_t reset_cause; /* RCC_CSR */
    uint8_t reserved[8];
};

enum system_flags_store { FLAGS_IN_DCT, FLAGS_IN_BACKUP };

/* Loads the flags. Header words are forced to their values on load, as the firmware does. */
void system_flags_load(struct system_flags *flags, enum system_flags_store store,
                       const struct flash *flash, const struct dct_rules *rules,
                       const struct backup *backup);
/* Saves them: a DCT write of 32 bytes (which may swap sectors), or six backup registers at no cost.
 */
__attribute__((warn_unused_result)) enum dct_status
system_flags_save(const struct system_flags *flags, enum system_flags_store store,
                  struct flash *flash, const struct dct_rules *rules, struct backup *backup);

#endif
