/*
 * The RTC backup registers, and what Photon firmware keeps in them.
 * Source: device-os v0.4.4 bootloader/src/main.c, hal/inc/syshealth_hal.h; v0.7.0
 * system_flags_impl.c.
 */
#ifndef PHOTON_BACKUP_H
#define PHOTON_BACKUP_H

#include <stdint.h>

#define BACKUP_REGISTERS 20

enum backup_register {
    BACKUP_HEALTH = 1,      /* retry counter, DFU and safe-mode requests */
    BACKUP_FLAGS_MAGIC = 4, /* >= 0.7.0: BACKUP_FLAGS_VALID makes DR5-DR9 valid */
    BACKUP_FLAGS_FIRST = 5, /* >= 0.7.0: system flags in DR5-DR9 */
    BACKUP_OTA = 10
};

#define BACKUP_HEALTH_CLEARED   UINT32_C(0xFFFF)
#define BACKUP_HEALTH_DFU       UINT32_C(0xEDFA)
#define BACKUP_HEALTH_SAFE_MODE UINT32_C(0x5AFE)
#define BACKUP_FLAGS_VALID      UINT32_C(0x1ADEACC0)
#define BACKUP_OTA_DONE         UINT32_C(0x5000)
#define BACKUP_OTA_LISTEN       UINT32_C(0x5A1B)
#define BACKUP_OTA_NONE         UINT32_C(0xFFFF)

struct backup {
    uint32_t dr[BACKUP_REGISTERS];
};

#endif
