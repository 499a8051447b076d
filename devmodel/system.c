/*
 * The start of the running system: from the jump to system-part1 until it waits for a host.
 * Source: device-os v0.4.4 hal/src/stm32f2xx/core_hal_stm32f2xx.c, system/src/main.cpp; v0.7.0 and
 * v2.2.0 same; time lines of 0.5.2 and 2.2.0.
 */
#include <string.h>

#include "engine.h"
#include "flash_map.h"
#include "module_flash.h"
#include "module_slot.h"

#define MS BOARD_NS_PER_MS

/* Module versions of system-part2 at which its behaviour changes. */
#define SYSTEM_0_4_2 2
#define SYSTEM_0_4_3 3
#define SYSTEM_0_4_9 11
#define SYSTEM_0_6_0 100
#define SYSTEM_0_7_0 200
#define SYSTEM_0_8_0 300

/* Time from the white LED to what comes next. */
struct pace {
    uint64_t before_white_ns; /* CRC of the parts, where they are checked */
    uint64_t user_check_ns, watchdog_flag_ns, listening_ns;
};
static const struct pace pace_old = {0, 80 * MS, 2 * MS, 33 * MS};
static const struct pace pace_from_0_7 = {9 * MS, 6 * MS, 8 * MS, 32 * MS};

/* One hard fault: SOS twice, then the release build resets. */
#define SOS_NS              (10400 * MS)
#define SOS_HARD_FAULT      1
#define FAULT_NS            (6 * MS)

#define LISTENING_TOGGLE_MS 250
/* Backup register 1 while the system starts: "main". */
#define HEALTH_MAIN 5

/* An image of which more than this part is erased is not there to be run. */
#define ERASED_WORDS_LIMIT 16

struct system {
    struct photon *photon;
    struct module_info part1, part2;
    struct dct_rules rules;
    enum system_flags_store store;
    struct system_flags flags;
    const struct pace *pace;
};

/* --- is there anything to run? --- */

static bool mostly_there(const struct flash *flash, uint32_t address, uint32_t length)
{
    uint32_t erased = 0;

    for (uint32_t i = 0; i + 4 <= length; i += 4) {
        erased += flash_read32(flash, address + i) == UINT32_MAX;
    }
    return erased < length / 4 / ERASED_WORDS_LIMIT;
}

/* The image of a part can be executed: whole, or damaged only here and there. The device itself
 * checks nothing. */
static bool executable(const struct photon *photon, uint32_t start, uint8_t index,
                       struct module_info *info)
{
    uint16_t suffix_size;

    if (!module_flash_info(photon->flash, start, info) ||
        !module_flash_in_place(info, start, start + MAP_SYSTEM_PART_SIZE, MAP_PLATFORM_PHOTON) ||
        info->function != MODULE_SYSTEM_PART || info->index != index) {
        return false;
    }
    if (module_flash_crc_ok(photon->flash, start, info)) {
        return true;
    }
    suffix_size = flash_read16(photon->flash, info->end - 2);
    return (suffix_size == 36 || suffix_size == 40) &&
           mostly_there(photon->flash, start, info->end - start);
}

/* --- settings, as the system's own driver sees them --- */

static void choose_settings(struct system *system)
{
    uint16_t version = system->part2.version;

    system->rules.format = version >= SYSTEM_0_7_0 ? DCT_FORMAT_SEQUENCE : DCT_FORMAT_SWAP;
    system->rules.blank_check = version >= SYSTEM_0_4_2 ? DCT_BLANK_FULL : DCT_BLANK_HEADER_ONLY;
    system->rules.in_place = version >= SYSTEM_0_4_3;
    system->store = version >= SYSTEM_0_7_0 ? FLAGS_IN_BACKUP : FLAGS_IN_DCT;
    system->pace = version >= SYSTEM_0_7_0 ? &pace_from_0_7 : &pace_old;
}

static bool settled(struct system *system, enum dct_status status)
{
    if (status == DCT_HANG) {
        engine_hang(system->photon, "DCT sector cannot be erased: the driver tries for ever");
        return false;
    }
    return true;
}

static bool save_flags(struct system *system)
{
    struct photon *photon = system->photon;
    struct backup backup = photon->backup;

    if (!settled(system, system_flags_save(&system->flags, system->store, photon->flash,
                                           &system->rules, &backup))) {
        return false;
    }
    for (unsigned i = 0; i < BACKUP_REGISTERS; i++) {
        engine_backup(photon, i, backup.dr[i]);
    }
    return true;
}

/* --- steps of the start --- */

/* Write protection of the parts, one option byte programming a sector; 0.8 dropped it again. */
static void protect_parts(struct system *system)
{
    static const uint8_t order[] = {5, 6, 7, 8, MAP_SECTOR_BOOTLOADER};
    uint16_t version = system->part2.version;
    size_t count = sizeof(order) - (version >= SYSTEM_0_4_9 ? 0 : 1);
    struct flash *flash = system->photon->flash;

    if (version >= SYSTEM_0_8_0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t bit = (uint16_t)(1U << order[i]);

        if ((flash_nwrp(flash) & bit) != 0 &&
            flash_protect(flash, flash_nwrp(flash) & (uint16_t)~bit) != FLASH_COMPLETE) {
            return;
        }
    }
}

static bool rewrite_factory_slot(struct system *system)
{
    struct photon *photon = system->photon;
    uint8_t wanted[MODULE_SLOT_SIZE];
    uint8_t found[MODULE_SLOT_SIZE];

    module_slot_encode(&module_slot_factory, wanted);
    dct_read(photon->flash, &system->rules, DCT_FLASH_MODULES, found, sizeof(found));
    if (memcmp(wanted, found, sizeof(found)) == 0) {
        return true;
    }
    return settled(system, dct_write(photon->flash, &system->rules, DCT_FLASH_MODULES, wanted,
                                     sizeof(wanted)));
}

static bool safe_mode_requested(const struct system *system)
{
    uint8_t mode = system->flags.startup_mode;

    if (system->part2.version < SYSTEM_0_6_0) {
        return mode != 0;
    }
    return (mode & 1) != 0 && (mode != 0xFF || system->part2.version < SYSTEM_0_7_0);
}

static bool satisfied(const struct system *system, const struct module_dependency *needs)
{
    struct module_info bootloader;

    switch (needs->function) {
    case MODULE_SYSTEM_PART:
        return (needs->index == 1 ? system->part1.version : system->part2.version) >=
               needs->version;
    case MODULE_BOOTLOADER:
        return module_flash_info(system->photon->flash, MAP_BOOTLOADER, &bootloader) &&
               bootloader.version >= needs->version;
    default:
        return true;
    }
}

/* From 0.7.0 the bootloader and part2 are checked before the application; part1's CRC is not. */
static bool system_modules_good(const struct system *system)
{
    const struct flash *flash = system->photon->flash;
    struct module_info bootloader;

    if (system->part2.version < SYSTEM_0_7_0) {
        return true;
    }
    return module_flash_info(flash, MAP_BOOTLOADER, &bootloader) &&
           module_flash_in_place(&bootloader, MAP_BOOTLOADER, MAP_BOOTLOADER + MAP_BOOTLOADER_SIZE,
                                 MAP_PLATFORM_PHOTON) &&
           module_flash_crc_ok(flash, MAP_BOOTLOADER, &bootloader) &&
           module_flash_crc_ok(flash, MAP_SYSTEM_PART2, &system->part2) &&
           satisfied(system, &system->part2.dependency[0]) &&
           satisfied(system, &system->part2.dependency[1]);
}

static bool user_prefix_at(const struct photon *photon, uint32_t address, struct module_info *info)
{
    return module_flash_info(photon->flash, address, info) && info->function == MODULE_USER_PART &&
           module_flash_in_place(info, MAP_USER, MAP_USER + MAP_USER_SIZE, MAP_PLATFORM_PHOTON);
}

static void restore_application(struct system *system)
{
    engine_boot_event(system->photon, "no application: asks for the factory image");
    system->flags.factory_reset = FLAGS_FACTORY_RESET;
    if (save_flags(system)) {
        engine_reset(system->photon, CAUSE_SOFTWARE, "automatic factory restore");
    }
}

/* False when it ended in a reset. */
static bool check_application(struct system *system)
{
    struct photon *photon = system->photon;
    struct module_info user;
    struct module_info factory;

    if (safe_mode_requested(system)) {
        engine_boot_event(photon, "safe mode: requested");
    } else if (!system_modules_good(system)) {
        engine_boot_event(photon, "safe mode: system modules do not belong together");
    } else if (user_prefix_at(photon, MAP_USER, &user)) {
        if (!module_flash_crc_ok(photon->flash, MAP_USER, &user)) {
            engine_boot_event(photon, "safe mode: application's CRC is wrong");
        } else if (!satisfied(system, &user.dependency[0])) {
            engine_boot_event(photon, "safe mode: application needs a newer system");
        } else {
            engine_boot_event(photon, "application runs");
        }
    } else if (user_prefix_at(photon, MAP_FACTORY, &factory)) {
        restore_application(system);
        return false;
    } else {
        engine_boot_event(photon, "safe mode: no application");
    }
    return true;
}

/* A finished update armed the watchdog: the system disarms it and starts once more. */
static bool watchdog_flag_cleared(struct system *system)
{
    if (system->flags.watchdog_enable != FLAGS_WATCHDOG) {
        return true;
    }
    system->flags.watchdog_enable = 0xFFFF;
    if (save_flags(system)) {
        engine_reset(system->photon, CAUSE_SOFTWARE, "watchdog flag cleared");
    }
    return false;
}

static void hard_fault(struct photon *photon)
{
    engine_boot_event(photon, "hard fault: system-part2 calls into an older system-part1");
    cpu_spend(photon, FAULT_NS);
    engine_sos(photon, SOS_HARD_FAULT);
    cpu_spend(photon, SOS_NS);
    engine_stop_timer(photon, TIMER_WATCHDOG);
    engine_reset(photon, CAUSE_SOFTWARE, "SOS 1");
}

static void run(struct photon *photon)
{
    photon->life = LIFE_SYSTEM;
    engine_stop_timer(photon, TIMER_WATCHDOG);
    engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_CLEARED);
    engine_boot_event(photon, "system runs: listening");
    engine_led(photon, LED_TOGGLE, LED_BLUE, LISTENING_TOGGLE_MS);
}

void system_start(struct photon *photon)
{
    struct system system = {.photon = photon};

    if (!executable(photon, MAP_SYSTEM_PART1, 1, &system.part1)) {
        engine_hang(photon, "system-part1 is not whole: ran into garbage");
        return;
    }
    if (!executable(photon, MAP_SYSTEM_PART2, 2, &system.part2)) {
        engine_hang(photon, "no system-part2: jumped into erased flash");
        return;
    }
    choose_settings(&system);
    cpu_spend(photon, system.pace->before_white_ns);
    engine_led(photon, LED_SOLID, LED_WHITE, 0);
    if (system.part2.version >= SYSTEM_0_7_0 && !satisfied(&system, &system.part2.dependency[0])) {
        hard_fault(photon);
        return;
    }
    protect_parts(&system);
    if (!settled(&system, dct_open(photon->flash, &system.rules)) ||
        !rewrite_factory_slot(&system)) {
        return;
    }
    system_flags_load(&system.flags, system.store, photon->flash, &system.rules, &photon->backup);
    engine_backup(photon, BACKUP_HEALTH, HEALTH_MAIN);
    cpu_spend(photon, system.pace->user_check_ns);
    if (!check_application(&system)) {
        return;
    }
    cpu_spend(photon, system.pace->watchdog_flag_ns);
    if (!watchdog_flag_cleared(&system)) {
        return;
    }
    cpu_spend(photon, system.pace->listening_ns);
    run(photon);
}
