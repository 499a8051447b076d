/*
 * The start of the running system: from the jump to system-part1 until it waits for a host.
 * Source: device-os v0.4.4 hal/src/stm32f2xx/core_hal_stm32f2xx.c, system/src/main.cpp; v0.7.0 and
 * v2.2.0 same; time lines of 0.5.2 and 2.2.0.
 */
#include <string.h>

#include "embedded.h"
#include "engine.h"
#include "flash_map.h"
#include "module_flash.h"
#include "module_list.h"
#include "module_slot.h"
#include "update.h"

#define MS BOARD_NS_PER_MS

/* Time from the white LED to what comes next. */
struct pace {
    uint64_t before_white_ns; /* CRC of the parts, where they are checked */
    uint64_t user_check_ns, watchdog_flag_ns, attach_ns;
    uint64_t listen_ns; /* from the pull-up to the blue LED */
};
static const struct pace pace_old = {0, 10 * MS, 2 * MS, 21 * MS, 13 * MS};
static const struct pace pace_old_changed_cause = {0, 80 * MS, 2 * MS, 50 * MS, 13 * MS};
static const struct pace pace_from_0_7 = {9 * MS, 6 * MS, 8 * MS, 18 * MS, 76 * MS};

/* One hard fault: SOS twice, then the release build resets. */
#define SOS_NS         (10400 * MS)
#define SOS_HARD_FAULT 1
#define FAULT_NS       (6 * MS)

/* First byte of the DCT's private key where there is none. Finding the primes takes "some seconds"
 * with the LED blinking white; how many, and how fast, is a choice. */
#define NO_KEY        0xFF
#define KEY_NS        (4000 * MS)
#define KEY_TOGGLE_MS 50

/* Value of the DCT's OTA flag byte. */
#define OTA_FLAG_APPLY 0xA5

/* Line rates that are requests. */
#define RATE_DFU    14400
#define RATE_LISTEN 28800 /* before 0.5.0: YMODEM */

/* Backup register 1 while the system starts: "main". */
#define HEALTH_MAIN 5

/* The image of a part is there to be run. The device itself checks nothing. */
static bool part_at(const struct photon *photon, uint32_t start, uint8_t index,
                    struct module_info *info)
{
    return module_flash_info(photon->flash, start, info) &&
           module_flash_in_place(info, start, start + MAP_SYSTEM_PART_SIZE, MAP_PLATFORM_PHOTON) &&
           info->function == MODULE_SYSTEM_PART && info->index == index &&
           module_flash_executable(photon->flash, start, info);
}

/* --- settings, as the system's own driver sees them --- */

static bool settled(struct photon *photon, enum dct_status status)
{
    if (status == DCT_HANG) {
        engine_hang(photon, "DCT sector cannot be erased: the driver tries for ever");
        return false;
    }
    return true;
}

bool system_save_flags(struct photon *photon)
{
    const struct system_quirks *quirks = photon->system.quirks;
    struct backup backup = photon->backup;

    if (!settled(photon, system_flags_save(&photon->system.flags, quirks->flags, photon->flash,
                                           &quirks->dct, &backup))) {
        return false;
    }
    for (unsigned i = 0; i < BACKUP_REGISTERS; i++) {
        engine_backup(photon, i, backup.dr[i]);
    }
    return true;
}

bool system_write_dct_section(struct photon *photon, uint32_t start, const void *data,
                              size_t length)
{
    enum dct_status status =
        dct_write_section(photon->flash, &photon->system.quirks->dct, start, data, length);

    return settled(photon, status) && status == DCT_OK;
}

void system_read_dct_section(const struct photon *photon, uint32_t start, void *data, size_t length)
{
    uint32_t application = dct_application(photon->flash, &photon->system.quirks->dct);

    flash_read(photon->flash, application - DCT_APPLICATION + start, data, length);
}

bool system_write_dct(struct photon *photon, uint32_t offset, const void *data, size_t length)
{
    enum dct_status status =
        dct_write(photon->flash, &photon->system.quirks->dct, offset, data, length);

    return settled(photon, status) && status == DCT_OK;
}

void system_read_dct(const struct photon *photon, uint32_t offset, void *data, size_t length)
{
    dct_read(photon->flash, &photon->system.quirks->dct, offset, data, length);
}

/* --- steps of the start --- */

/* Write protection of the parts, one option byte programming a sector. */
static void protect_parts(struct photon *photon)
{
    static const uint8_t order[] = {5, 6, 7, 8, MAP_SECTOR_BOOTLOADER};
    static const size_t counts[] = {
        [PROTECT_PARTS] = 4, [PROTECT_PARTS_AND_BOOTLOADER] = 5, [PROTECT_NOTHING] = 0};
    size_t count = counts[photon->system.quirks->protection];

    for (size_t i = 0; i < count; i++) {
        uint16_t nwrp = flash_nwrp(photon->flash);
        uint16_t bit = (uint16_t)(1U << order[i]);

        if ((nwrp & bit) != 0 &&
            flash_protect(photon->flash, nwrp & (uint16_t)~bit) != FLASH_COMPLETE) {
            return;
        }
    }
}

static bool rewrite_factory_slot(struct photon *photon)
{
    uint8_t wanted[MODULE_SLOT_SIZE];
    uint8_t found[MODULE_SLOT_SIZE];

    module_slot_encode(&module_slot_factory, wanted);
    system_read_dct(photon, DCT_FLASH_MODULES, found, sizeof(found));
    if (memcmp(wanted, found, sizeof(found)) != 0) {
        (void)system_write_dct(photon, DCT_FLASH_MODULES, wanted, sizeof(wanted));
    }
    return photon->life != LIFE_DEAD;
}

static bool safe_mode_requested(const struct photon *photon)
{
    uint8_t mode = photon->system.flags.startup_mode;

    switch (photon->system.quirks->safe_mode) {
    case SAFE_MODE_NONZERO:
        return mode != 0;
    case SAFE_MODE_BIT:
        return (mode & 1) != 0;
    default:
        return (mode & 1) != 0 && mode != 0xFF;
    }
}

/* The bootloader and part2 before the application; part1's CRC is not looked at. */
static bool system_modules_good(const struct photon *photon)
{
    const struct flash *flash = photon->flash;
    const struct module_info *part2 = &photon->system.part2;
    struct module_info bootloader;

    if (!photon->system.quirks->checks_system_modules) {
        return true;
    }
    return module_flash_info(flash, MAP_BOOTLOADER, &bootloader) &&
           module_flash_in_place(&bootloader, MAP_BOOTLOADER, MAP_BOOTLOADER + MAP_BOOTLOADER_SIZE,
                                 MAP_PLATFORM_PHOTON) &&
           module_flash_crc_ok(flash, MAP_BOOTLOADER, &bootloader) &&
           module_flash_crc_ok(flash, MAP_SYSTEM_PART2, part2) &&
           module_dependency_met(photon->flash, &part2->dependency[0]) &&
           module_dependency_met(photon->flash, &part2->dependency[1]);
}

static bool user_prefix_at(const struct photon *photon, uint32_t address, struct module_info *info)
{
    return module_flash_info(photon->flash, address, info) && info->function == MODULE_USER_PART &&
           module_flash_in_place(info, MAP_USER, MAP_USER + MAP_USER_SIZE, MAP_PLATFORM_PHOTON);
}

static void restore_application(struct photon *photon)
{
    engine_boot_event(photon, "no application: asks for the factory image");
    photon->system.flags.factory_reset = FLAGS_FACTORY_RESET;
    if (system_save_flags(photon)) {
        engine_reset(photon, CAUSE_SOFTWARE, "automatic factory restore");
    }
}

/* Why the application does not run, or NULL. */
static const char *application_refused(const struct photon *photon)
{
    struct module_info user;

    if (safe_mode_requested(photon)) {
        return "safe mode: requested";
    }
    if (!system_modules_good(photon)) {
        return "safe mode: system modules do not belong together";
    }
    if (!user_prefix_at(photon, MAP_USER, &user)) {
        return "safe mode: no application";
    }
    if (!module_flash_crc_ok(photon->flash, MAP_USER, &user)) {
        return "safe mode: application's CRC is wrong";
    }
    if (!module_dependency_met(photon->flash, &user.dependency[0])) {
        return "safe mode: application needs a newer system";
    }
    return NULL;
}

/* False when it ended in a reset. */
static bool check_application(struct photon *photon)
{
    const char *refused = application_refused(photon);
    struct module_info info;

    if (refused != NULL && !safe_mode_requested(photon) && system_modules_good(photon) &&
        !user_prefix_at(photon, MAP_USER, &info) && user_prefix_at(photon, MAP_FACTORY, &info)) {
        restore_application(photon);
        return false;
    }
    photon->system.safe_mode = refused != NULL;
    engine_boot_event(photon, refused != NULL ? refused : "application runs");
    return true;
}

/* A finished update armed the watchdog: the system disarms it and starts once more. */
static bool watchdog_flag_cleared(struct photon *photon)
{
    if (photon->system.flags.watchdog_enable != FLAGS_WATCHDOG) {
        return true;
    }
    photon->system.flags.watchdog_enable = 0xFFFF;
    if (system_save_flags(photon)) {
        engine_reset(photon, CAUSE_SOFTWARE, "watchdog flag cleared");
    }
    return false;
}

/* Part2 brings its bootloader along and installs it over an older one. */
static void update_bootloader(struct photon *photon)
{
    struct module_info installed;
    struct module_info carried;
    struct module_copy copy = {
        .destination = MAP_BOOTLOADER,
        .flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION | MODULE_VERIFY_FUNCTION,
        .function = MODULE_BOOTLOADER,
        .platform = MAP_PLATFORM_PHOTON,
    };

    if (!photon->system.quirks->updates_bootloader ||
        !embedded_bootloader(photon->flash, &copy.source, &carried) ||
        !module_flash_info(photon->flash, MAP_BOOTLOADER, &installed) ||
        installed.version >= carried.version) {
        return;
    }
    copy.length = carried.end - carried.start + MODULE_CRC_SIZE;
    engine_boot_event(photon, "installs the bootloader that system-part2 carries");
    if (module_flash_copy(photon->flash, &copy) != MODULE_COPY_OK) {
        engine_boot_event(photon, "bootloader not installed");
    }
}

/* The first start: a board without a private key makes one. False when it ended in a reset: the
 * serial port did not always come up after that. Source: v0.6.0 core_hal_stm32f2xx.c,
 * generate_key(). */
static bool has_key(struct photon *photon)
{
    const struct photon_config *config = &photon->config;
    uint8_t key[PHOTON_KEY_SIZE];

    system_read_dct(photon, DCT_PRIVATE_KEY, key, 1);
    if (key[0] != NO_KEY || config->keygen == NULL) {
        return true;
    }
    engine_boot_event(photon, "no device key: makes one");
    engine_led(photon, LED_TOGGLE, LED_WHITE, KEY_TOGGLE_MS);
    if (!config->keygen(config->keygen_context, flash_chance(photon->flash), key)) {
        return true;
    }
    cpu_spend(photon, KEY_NS);
    (void)system_write_dct(photon, DCT_PRIVATE_KEY, key, sizeof(key));
    if (photon->life != LIFE_DEAD) {
        engine_reset(photon, CAUSE_SOFTWARE, "device key made");
    }
    return false;
}

/* A host left a module in the OTA slot by DFU and set the flag byte. False when it ended in a
 * reset. */
static bool ota_flag_clear(struct photon *photon)
{
    static const uint8_t clear = 0xFF;
    uint8_t flag;

    if (!photon->system.quirks->ota_flag) {
        return true;
    }
    system_read_dct(photon, DCT_OTA_FLAG, &flag, 1);
    if (flag != OTA_FLAG_APPLY) {
        return true;
    }
    (void)system_write_dct(photon, DCT_OTA_FLAG, &clear, 1);
    if (photon->life != LIFE_DEAD && update_finish(photon) == UPDATE_OK) {
        engine_reset(photon, CAUSE_SOFTWARE, "update from the OTA slot");
        return false;
    }
    return photon->life != LIFE_DEAD;
}

/* The bootloader's longest button stage asked for it. */
static bool erase_profiles(struct photon *photon)
{
    if (photon->system.flags.nvmem_reset == FLAGS_NVMEM_RESET) {
        (void)wifi_erase(photon);
        photon->system.flags.nvmem_reset = 0;
        return photon->life != LIFE_DEAD && system_save_flags(photon);
    }
    return true;
}

void system_crash(struct photon *photon, const char *text)
{
    engine_boot_event(photon, text);
    engine_sos(photon, SOS_HARD_FAULT);
    cpu_spend(photon, SOS_NS);
    engine_stop_timer(photon, TIMER_WATCHDOG);
    engine_reset(photon, CAUSE_SOFTWARE, "SOS 1");
}

/* The register counts only in safe mode; otherwise nobody looks at it. */
static bool listening_asked(struct photon *photon)
{
    bool asked = photon->system.quirks->has_listen_reset && photon->system.safe_mode &&
                 photon->backup.dr[BACKUP_OTA] == BACKUP_OTA_LISTEN;

    if (asked) {
        engine_backup(photon, BACKUP_OTA, BACKUP_OTA_NONE);
    }
    return asked;
}

static void run(struct photon *photon, const struct pace *pace)
{
    photon->life = LIFE_SYSTEM;
    engine_stop_timer(photon, TIMER_WATCHDOG);
    engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_CLEARED);
    cdc_begin(&photon->system.cdc);
    photon->usb.function = &system_function;
    engine_attach(photon, true);
    cpu_spend(photon, pace->listen_ns);
    listening_begin(photon, listening_asked(photon));
}

/* From the white LED to the loop. */
static void start(struct photon *photon, const struct pace *pace)
{
    struct system *system = &photon->system;

    protect_parts(photon);
    if (!settled(photon, dct_open(photon->flash, &system->quirks->dct)) ||
        !rewrite_factory_slot(photon)) {
        return;
    }
    system_flags_load(&system->flags, system->quirks->flags, photon->flash, &system->quirks->dct,
                      &photon->backup);
    engine_backup(photon, BACKUP_HEALTH, HEALTH_MAIN);
    cpu_spend(photon, pace->user_check_ns);
    if (!check_application(photon)) {
        return;
    }
    cpu_spend(photon, pace->watchdog_flag_ns);
    if (!watchdog_flag_cleared(photon) || !ota_flag_clear(photon)) {
        return;
    }
    update_bootloader(photon);
    if (!has_key(photon) || !erase_profiles(photon)) {
        return;
    }
    cpu_spend(photon, pace->attach_ns);
    run(photon, pace);
}

static const struct pace *choose_pace(const struct photon *photon)
{
    if (photon->system.quirks->checks_system_modules) {
        return &pace_from_0_7;
    }
    return photon->boot.cause_changed ? &pace_old_changed_cause : &pace_old;
}

void system_start(struct photon *photon)
{
    struct system *system = &photon->system;
    const struct pace *pace;

    *system = (struct system){.started = cpu_now(photon)};
    if (!part_at(photon, MAP_SYSTEM_PART1, 1, &system->part1)) {
        engine_hang(photon, "system-part1 is not whole: ran into garbage");
        return;
    }
    if (!part_at(photon, MAP_SYSTEM_PART2, 2, &system->part2)) {
        engine_hang(photon, "no system-part2: jumped into erased flash");
        return;
    }
    system->quirks = system_quirks(system->part2.version);
    pace = choose_pace(photon);
    cpu_spend(photon, pace->before_white_ns);
    engine_led(photon, LED_SOLID, LED_WHITE, 0);
    if (system->quirks->checks_system_modules &&
        !module_dependency_met(photon->flash, &system->part2.dependency[0])) {
        cpu_spend(photon, FAULT_NS);
        system_crash(photon, "hard fault: system-part2 calls into an older system-part1");
        return;
    }
    start(photon, pace);
}

/* --- the loop --- */

void system_enter_dfu(struct photon *photon)
{
    engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_DFU);
    engine_reset(photon, CAUSE_SOFTWARE, "DFU mode requested");
}

void system_line_rate(struct photon *photon, uint32_t rate)
{
    const struct system *system = &photon->system;

    if (rate == RATE_DFU) {
        system_enter_dfu(photon);
    } else if (rate == RATE_LISTEN && system->quirks->rate_28800_listens) {
        listening_enter(photon);
    } else if (rate == RATE_LISTEN && !system->listening.on && !system->ymodem.active) {
        ymodem_begin(photon, system->quirks->ymodem_broken);
    }
}

void system_loop(struct photon *photon)
{
    bool moved = true;

    while (moved && photon->life == LIFE_SYSTEM && terminal_idle(photon)) {
        moved = photon->system.ymodem.active ? ymodem_step(photon) : console_step(photon);
    }
}
