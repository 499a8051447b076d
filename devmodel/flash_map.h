/* What lies where in a Photon's flash (device-os v0.4.4 hal/src/photon/ota_flash_hal.cpp,
 * build/arm/linker). */
#ifndef PHOTON_FLASH_MAP_H
#define PHOTON_FLASH_MAP_H

#include <stdint.h>

#define MAP_BOOTLOADER       UINT32_C(0x08000000)
#define MAP_BOOTLOADER_SIZE  UINT32_C(0x4000)
#define MAP_DCT1             UINT32_C(0x08004000)
#define MAP_DCT2             UINT32_C(0x08008000)
#define MAP_DCT_SIZE         UINT32_C(0x4000)
#define MAP_EEPROM_A         UINT32_C(0x0800C000)
#define MAP_EEPROM_B         UINT32_C(0x08010000)
#define MAP_SYSTEM_PART1     UINT32_C(0x08020000)
#define MAP_SYSTEM_PART2     UINT32_C(0x08060000)
#define MAP_SYSTEM_PART_SIZE UINT32_C(0x40000)
#define MAP_USER             UINT32_C(0x080A0000)
#define MAP_USER_SIZE        UINT32_C(0x20000)
#define MAP_OTA              UINT32_C(0x080C0000)
#define MAP_OTA_SIZE         UINT32_C(0x40000)
#define MAP_FACTORY          UINT32_C(0x080E0000)
#define MAP_FACTORY_SIZE     UINT32_C(0x20000)

/* Sector numbers of the small regions. */
#define MAP_SECTOR_BOOTLOADER 0
#define MAP_SECTOR_DCT1       1
#define MAP_SECTOR_DCT2       2
#define MAP_SECTOR_EEPROM_A   3
#define MAP_SECTOR_EEPROM_B   4

#define MAP_PLATFORM_PHOTON   6
#define MAP_PLATFORM_P1       8

#endif
