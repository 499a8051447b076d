#include "system_flags.h"

#include <string.h>

#include "little_endian.h"

#define FLAGS_SIZE 32

/* Where the flags lie in their 32 bytes (device-os v0.4.4 hw_system_flags.h). */
enum {
    AT_HEADER = 0,
    AT_BOOTLOADER_VERSION = 4,
    AT_NVMEM_RESET = 6,
    AT_OTA_UPDATE = 8,
    AT_OTA_FLASHED = 10,
    AT_FACTORY_RESET = 12,
    AT_WATCHDOG_ENABLE = 14,
    AT_DFU_ON_NO_FIRMWARE = 16,
    AT_FACTORY_RESET_DONE = 17,
    AT_STARTUP_MODE = 18,
    AT_FEATURES_ENABLED = 19,
    AT_RESET_CAUSE = 20,
    AT_RESERVED = 24
};

/* DR5 to DR9 hold bytes 4 to 23 in this order; the header is DR4, the reserved bytes are nowhere
 * (v0.7.0 system_flags_impl.c). */
#define BACKUP_FLAGS_COUNT 5
#define BACKUP_FLAGS_AT    AT_BOOTLOADER_VERSION

static void unpack(struct system_flags *flags, const uint8_t bytes[FLAGS_SIZE])
{
    flags->header[0] = (uint16_t)BACKUP_FLAGS_VALID;
    flags->header[1] = (uint16_t)(BACKUP_FLAGS_VALID >> 16);
    flags->bootloader_version = le16_get(bytes + AT_BOOTLOADER_VERSION);
    flags->nvmem_reset = le16_get(bytes + AT_NVMEM_RESET);
    flags->ota_update = le16_get(bytes + AT_OTA_UPDATE);
    flags->ota_flashed = le16_get(bytes + AT_OTA_FLASHED);
    flags->factory_reset = le16_get(bytes + AT_FACTORY_RESET);
    flags->watchdog_enable = le16_get(bytes + AT_WATCHDOG_ENABLE);
    flags->dfu_on_no_firmware = bytes[AT_DFU_ON_NO_FIRMWARE];
    flags->factory_reset_done = bytes[AT_FACTORY_RESET_DONE];
    flags->startup_mode = bytes[AT_STARTUP_MODE];
    flags->features_enabled = bytes[AT_FEATURES_ENABLED];
    flags->reset_cause = le32_get(bytes + AT_RESET_CAUSE);
    memcpy(flags->reserved, bytes + AT_RESERVED, sizeof(flags->reserved));
}

static void pack(uint8_t bytes[FLAGS_SIZE], const struct system_flags *flags)
{
    le16_put(bytes + AT_HEADER, flags->header[0]);
    le16_put(bytes + AT_HEADER + 2, flags->header[1]);
    le16_put(bytes + AT_BOOTLOADER_VERSION, flags->bootloader_version);
    le16_put(bytes + AT_NVMEM_RESET, flags->nvmem_reset);
    le16_put(bytes + AT_OTA_UPDATE, flags->ota_update);
    le16_put(bytes + AT_OTA_FLASHED, flags->ota_flashed);
    le16_put(bytes + AT_FACTORY_RESET, flags->factory_reset);
    le16_put(bytes + AT_WATCHDOG_ENABLE, flags->watchdog_enable);
    bytes[AT_DFU_ON_NO_FIRMWARE] = flags->dfu_on_no_firmware;
    bytes[AT_FACTORY_RESET_DONE] = flags->factory_reset_done;
    bytes[AT_STARTUP_MODE] = flags->startup_mode;
    bytes[AT_FEATURES_ENABLED] = flags->features_enabled;
    le32_put(bytes + AT_RESET_CAUSE, flags->reset_cause);
    memcpy(bytes + AT_RESERVED, flags->reserved, sizeof(flags->reserved));
}

void system_flags_load(struct system_flags *flags, enum system_flags_store store,
                       const struct flash *flash, const struct dct_rules *rules,
                       const struct backup *backup)
{
    uint8_t bytes[FLAGS_SIZE];

    if (store == FLAGS_IN_DCT) {
        dct_read(flash, rules, DCT_SYSTEM_FLAGS, bytes, sizeof(bytes));
    } else {
        memset(bytes, 0xFF, sizeof(bytes));
        if (backup->dr[BACKUP_FLAGS_MAGIC] == BACKUP_FLAGS_VALID) {
            for (unsigned i = 0; i < BACKUP_FLAGS_COUNT; i++) {
                le32_put(bytes + BACKUP_FLAGS_AT + 4 * i, backup->dr[BACKUP_FLAGS_FIRST + i]);
            }
        }
    }
    unpack(flags, bytes);
}

enum dct_status system_flags_save(const struct system_flags *flags, enum system_flags_store store,
                                  struct flash *flash, const struct dct_rules *rules,
                                  struct backup *backup)
{
    uint8_t bytes[FLAGS_SIZE];

    pack(bytes, flags);
    if (store == FLAGS_IN_DCT) {
        return dct_write(flash, rules, DCT_SYSTEM_FLAGS, bytes, sizeof(bytes));
    }
    backup->dr[BACKUP_FLAGS_MAGIC] = BACKUP_FLAGS_VALID;
    for (unsigned i = 0; i < BACKUP_FLAGS_COUNT; i++) {
        backup->dr[BACKUP_FLAGS_FIRST + i] = le32_get(bytes + BACKUP_FLAGS_AT + 4 * i);
    }
    return DCT_OK;
}
