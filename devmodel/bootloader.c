/*
 * The bootloader's decision tree, its button stages, pending modules and factory reset.
 * Source: device-os v0.4.4 bootloader/src/main.c, hw_config.c, flash_mal.c; v0.4.5, v0.7.0, v1.5.0,
 * v2.2.0 same.
 */
#include <string.h>

#include "engine.h"
#include "flash_map.h"
#include "module_flash.h"
#include "module_slot.h"

#define MS BOARD_NS_PER_MS

/* From reset to the first decision: up to 0.6.4, and from 0.7.0 on (time lines of images v7 and
 * 1006). */
#define START_NS          (1 * MS)
#define START_NS_FROM_101 (17 * MS)
/* From the decision for DFU to the pull-up. */
#define DFU_START_NS (9 * MS)
/* From the pull-up going off and the flags saved to the reset that ends an update; 1006 lost its
 * wait loop here as in DETACH. */
#define LEAVE_RESET_NS         (2600 * BOARD_NS_PER_US)
#define LEAVE_RESET_NS_DELAYED (500 * BOARD_NS_PER_US)
#define WATCHDOG_NS            (5000 * MS)
#define WATCHDOG_PART2_VERSION 200
#define TOGGLE_MS              50
#define TOGGLE_MS_MODE         100

enum stage { STAGE_NONE, STAGE_SAFE_MODE, STAGE_DFU, STAGE_FACTORY, STAGE_WIFI, STAGE_END };

/* Hold times as measured on v7 and 1006. */
static const uint64_t stage_ns[] = {
    [STAGE_NONE] = 0,          [STAGE_SAFE_MODE] = 1000 * MS,
    [STAGE_DFU] = 3020 * MS,   [STAGE_FACTORY] = 6610 * MS,
    [STAGE_WIFI] = 10080 * MS, [STAGE_END] = 12040 * MS,
};

static bool lost(const struct photon *photon)
{
    return photon->life == LIFE_DEAD;
}

/* --- modules --- */

static bool part1_valid(const struct photon *photon)
{
    struct module_info info;

    return module_flash_info(photon->flash, MAP_SYSTEM_PART1, &info) &&
           module_flash_in_place(&info, MAP_SYSTEM_PART1, FLASH_END, MAP_PLATFORM_PHOTON);
}

/* The slots, or free ones where the settings cannot be read. */
static void read_slots(struct photon *photon, struct module_slot slots[MODULE_SLOTS])
{
    uint8_t bytes[MODULE_SLOTS * MODULE_SLOT_SIZE];

    memset(bytes, 0xFF, sizeof(bytes));
    if (settings_open(photon) == SETTINGS_OK) {
        dct_read(photon->flash, &photon->boot.quirks->dct, DCT_FLASH_MODULES, bytes, sizeof(bytes));
    }
    for (size_t i = 0; i < MODULE_SLOTS; i++) {
        module_slot_decode(&slots[i], bytes + i * MODULE_SLOT_SIZE);
    }
}

static struct module_copy copy_of_slot(const struct photon *photon, const struct module_slot *slot)
{
    return (struct module_copy){
        .source = slot->source,
        .destination = slot->destination,
        .length = slot->length,
        .flags = slot->flags,
        .function = slot->function,
        .platform = MAP_PLATFORM_PHOTON,
        .whole_sectors_by_length = photon->boot.quirks->erase_by_length,
    };
}

static struct module_copy factory_copy(struct photon *photon)
{
    struct module_slot slots[MODULE_SLOTS];

    read_slots(photon, slots);
    if (slots[0].magic != MODULE_SLOT_FACTORY) {
        slots[0] = module_slot_factory;
    }
    slots[0].flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION | MODULE_VERIFY_FUNCTION;
    return copy_of_slot(photon, &slots[0]);
}

static bool has_factory_image(struct photon *photon)
{
    struct module_copy copy = factory_copy(photon);

    return module_flash_copy_allowed(photon->flash, &copy);
}

static bool write_slot(struct photon *photon, size_t number, size_t offset, const void *data,
                       size_t length)
{
    uint32_t address = (uint32_t)(DCT_FLASH_MODULES + number * MODULE_SLOT_SIZE + offset);

    return settings_write(photon, address, data, length) != SETTINGS_HUNG;
}

static void show_colour(struct photon *photon, uint32_t colour)
{
    if (colour != 0) {
        engine_led(photon, LED_TOGGLE, colour, TOGGLE_MS);
    }
}

/* The LED begins to toggle at a tick, and there is none during the erase. */
static enum module_copy_status copy_module(struct photon *photon, const struct module_copy *copy,
                                           uint32_t colour)
{
    enum module_copy_status status = module_flash_copy_begin(photon->flash, copy);

    if (status != MODULE_COPY_OK) {
        return status;
    }
    show_colour(photon, colour);
    return module_flash_copy_finish(photon->flash, copy);
}

static void copy_pending(struct photon *photon, const struct module_slot *slot)
{
    struct module_copy copy = copy_of_slot(photon, slot);

    switch (copy_module(photon, &copy, LED_MAGENTA)) {
    case MODULE_COPY_OK:
        engine_boot_event(photon, "pending module copied");
        settings_flash_written(photon, slot->destination);
        break;
    case MODULE_COPY_REFUSED:
        engine_boot_event(photon, "pending module refused: nothing copied");
        break;
    case MODULE_COPY_FAILED:
        engine_boot_event(photon, "pending module: copy failed");
        settings_flash_written(photon, slot->destination);
        break;
    }
}

static bool process_slot(struct photon *photon, size_t number, const struct module_slot *slot)
{
    static const uint8_t zeros[MODULE_SLOT_SIZE];
    static const uint8_t free_magic[2] = {0xFF, 0xFF};

    switch (photon->boot.quirks->pending) {
    case PENDING_COPY_THEN_ZERO:
        copy_pending(photon, slot);
        return write_slot(photon, number, 0, zeros, sizeof(zeros));
    case PENDING_MARK_THEN_COPY:
        if (!write_slot(photon, number, 0, free_magic, sizeof(free_magic))) {
            return false;
        }
        copy_pending(photon, slot);
        return true;
    case PENDING_COPY_THEN_MARK:
        copy_pending(photon, slot);
        return write_slot(photon, number, 0, free_magic, sizeof(free_magic));
    }
    return true;
}

/* False when the CPU was lost. */
static bool process_pending(struct photon *photon)
{
    struct module_slot slots[MODULE_SLOTS];

    read_slots(photon, slots);
    for (size_t i = 1; i < MODULE_SLOTS && !lost(photon); i++) {
        if (slots[i].magic == MODULE_SLOT_PENDING && !process_slot(photon, i, &slots[i])) {
            return false;
        }
    }
    return !lost(photon);
}

/* --- ways out --- */

void bootloader_finish_update(struct photon *photon)
{
    struct system_flags *flags = &photon->boot.flags;

    if (photon->usb.attached) {
        engine_attach(photon, false);
    }
    flags->watchdog_enable = FLAGS_WATCHDOG;
    flags->ota_update = FLAGS_OTA_FINISHED;
    if (settings_save_flags(photon) == SETTINGS_HUNG) {
        return;
    }
    engine_backup(photon, BACKUP_OTA, BACKUP_OTA_DONE);
    if (photon->boot.quirks->leave == LEAVE_RESET_IN_STATUS) {
        cpu_spend(photon, LEAVE_RESET_NS);
    } else if (photon->boot.quirks->detach_visible) {
        cpu_spend(photon, LEAVE_RESET_NS_DELAYED);
    }
    engine_reset(photon, CAUSE_SOFTWARE, "update finished");
}

static void enter_dfu(struct photon *photon)
{
    engine_boot_event(photon, "DFU mode");
    engine_led(photon, LED_TOGGLE, LED_YELLOW, TOGGLE_MS_MODE);
    cpu_spend(photon, DFU_START_NS);
    photon->life = LIFE_DFU;
    photon->usb.function = &dfu_function;
    engine_attach(photon, true);
}

/* Green, where the bootloader shows at once what it is about to do; the button's stage has been
 * shown. */
static void show_factory_reset(struct photon *photon)
{
    if (!photon->boot.quirks->green_after_erase || photon->boot.stage >= STAGE_FACTORY) {
        engine_led(photon, LED_TOGGLE, LED_GREEN, TOGGLE_MS);
    }
}

/* Ends in a reset (true), or found nothing to restore and no valid system (false). `colour` 0 is
 * dark. */
static bool factory_reset(struct photon *photon, uint32_t colour)
{
    struct module_copy copy = factory_copy(photon);
    struct system_flags *flags = &photon->boot.flags;

    if (lost(photon)) {
        return true;
    }
    if (copy_module(photon, &copy, colour) == MODULE_COPY_OK) {
        engine_boot_event(photon, "factory reset: application restored");
        flags->factory_reset = 0xFFFF;
        flags->ota_flashed = 0;
        flags->dfu_on_no_firmware = 0;
        flags->factory_reset_done = FLAGS_FACTORY_RESET_DONE;
        bootloader_finish_update(photon);
        return true;
    }
    engine_boot_event(photon, "factory reset: no valid image");
    flags->factory_reset = 0xFFFF;
    if (settings_save_flags(photon) == SETTINGS_HUNG) {
        return true;
    }
    show_colour(photon, colour);
    if (part1_valid(photon)) {
        engine_reset(photon, CAUSE_SOFTWARE, "nothing to restore");
        return true;
    }
    return false;
}

static void start_watchdog(struct photon *photon)
{
    struct module_info part2;

    if (photon->boot.flags.watchdog_enable != FLAGS_WATCHDOG) {
        return;
    }
    if (photon->boot.quirks->watchdog_needs_part2 &&
        (!module_flash_info(photon->flash, MAP_SYSTEM_PART2, &part2) ||
         part2.version < WATCHDOG_PART2_VERSION)) {
        return;
    }
    engine_set_timer(photon, TIMER_WATCHDOG, cpu_now(photon) + WATCHDOG_NS);
}

/* The action, once everything is decided. */
static void act(struct photon *photon)
{
    const struct boot *boot = &photon->boot;

    if (boot->ota) {
        engine_boot_event(photon, "OTA update flag: nothing to do on this board");
        engine_led(photon, LED_TOGGLE, LED_MAGENTA, TOGGLE_MS);
        enter_dfu(photon);
        return;
    }
    if (boot->factory) {
        show_factory_reset(photon);
        if (!factory_reset(photon, LED_GREEN)) {
            enter_dfu(photon);
        }
        return;
    }
    if (boot->dfu) {
        enter_dfu(photon);
        return;
    }
    if (!process_pending(photon)) {
        return;
    }
    if (part1_valid(photon)) {
        engine_boot_event(photon, "jump to system-part1");
        start_watchdog(photon);
        engine_led(photon, LED_OFF, 0, 0);
        system_start(photon);
        return;
    }
    engine_boot_event(photon, "system-part1 is not valid");
    engine_led(photon, LED_OFF, 0, 0);
    if (!factory_reset(photon, 0)) {
        enter_dfu(photon);
    }
}

/* After the button: what it decided is saved, then acted on. */
static void go_on(struct photon *photon)
{
    struct boot *boot = &photon->boot;
    bool save = false;

    photon->life = LIFE_BOOTING;
    engine_stop_timer(photon, TIMER_BUTTON);
    if (boot->safe_mode || (boot->stage >= STAGE_FACTORY && boot->factory)) {
        /* The safe-mode stage leaves its mark on a factory reset, too. */
        boot->flags.startup_mode = 1;
        save = true;
    }
    if (boot->stage >= STAGE_FACTORY && !boot->dfu) {
        boot->flags.nvmem_reset = boot->stage >= STAGE_WIFI ? 1 : 0;
        save = true;
    }
    if (save && settings_save_flags(photon) == SETTINGS_HUNG) {
        return;
    }
    if (boot->safe_mode) {
        engine_boot_event(photon, "safe mode");
    }
    act(photon);
}

/* --- the button --- */

static void watch_button(struct photon *photon)
{
    const struct boot *boot = &photon->boot;

    engine_set_timer(photon, TIMER_BUTTON, boot->button_looked + stage_ns[boot->stage + 1]);
}

static void cancel_flags(struct boot *boot)
{
    boot->ota = false;
    boot->factory = false;
}

static void reach_dfu(struct photon *photon)
{
    struct boot *boot = &photon->boot;

    cancel_flags(boot);
    boot->safe_mode = false;
    boot->dfu = true;
    engine_led(photon, LED_TOGGLE, LED_YELLOW, TOGGLE_MS_MODE);
    if (boot->quirks->button == BUTTON_DFU_IF_NO_FACTORY && !has_factory_image(photon)) {
        go_on(photon);
    }
}

static void reach_factory(struct photon *photon, uint32_t colour)
{
    struct boot *boot = &photon->boot;

    if (boot->quirks->button == BUTTON_SKIP_FACTORY && !has_factory_image(photon)) {
        if (boot->stage == STAGE_FACTORY) {
            return;
        }
    } else {
        boot->factory = true;
    }
    boot->dfu = false;
    engine_led(photon, LED_TOGGLE, colour, TOGGLE_MS_MODE);
}

void bootloader_button_stage(struct photon *photon)
{
    struct boot *boot = &photon->boot;

    boot->stage++;
    if (boot->stage < STAGE_END) {
        watch_button(photon);
    }
    switch (boot->stage) {
    case STAGE_SAFE_MODE:
        if (boot->quirks->cancel_at_safe_mode_stage) {
            cancel_flags(boot);
        }
        boot->safe_mode = true;
        boot->dfu = false;
        engine_led(photon, LED_TOGGLE, LED_MAGENTA, TOGGLE_MS_MODE);
        break;
    case STAGE_DFU:
        reach_dfu(photon);
        break;
    case STAGE_FACTORY:
        reach_factory(photon, LED_GREEN);
        break;
    case STAGE_WIFI:
        reach_factory(photon, LED_WHITE);
        break;
    default:
        go_on(photon);
        break;
    }
}

void bootloader_button_released(struct photon *photon)
{
    go_on(photon);
}

/* --- from reset --- */

/* The row of the image in sector 0, or NULL. */
static const struct bootloader_quirks *installed_bootloader(const struct photon *photon)
{
    struct module_info info;

    if (!module_flash_info(photon->flash, MAP_BOOTLOADER, &info) || info.start != MAP_BOOTLOADER ||
        info.end <= MAP_BOOTLOADER || info.end > MAP_BOOTLOADER + MAP_BOOTLOADER_SIZE ||
        info.function != MODULE_BOOTLOADER ||
        !module_flash_executable(photon->flash, MAP_BOOTLOADER, &info)) {
        return NULL;
    }
    return bootloader_quirks(info.version, flash_read16(photon->flash, info.end - 2));
}

static uint16_t bootloader_version(const struct photon *photon)
{
    struct module_info info;

    return module_flash_info(photon->flash, MAP_BOOTLOADER, &info) ? info.version : 0;
}

static void refresh_flags(struct photon *photon)
{
    struct system_flags *flags = &photon->boot.flags;
    uint16_t version = bootloader_version(photon);

    photon->boot.cause_changed = flags->reset_cause != photon->boot.cause;
    if (photon->boot.cause_changed || flags->bootloader_version != version) {
        flags->reset_cause = photon->boot.cause;
        flags->bootloader_version = version;
        if (settings_save_flags(photon) == SETTINGS_HUNG) {
            return;
        }
    }
    if (flags->startup_mode != 0 &&
        !(photon->boot.quirks->keeps_erased_startup_mode && flags->startup_mode == 0xFF)) {
        flags->startup_mode = 0;
        (void)settings_save_flags(photon);
    }
}

/* After a watchdog reset the retry counter climbs: re-flash, factory reset, DFU. */
static void climb_retry_ladder(struct photon *photon)
{
    struct boot *boot = &photon->boot;

    cancel_flags(boot);
    boot->dfu = false;
    switch (photon->backup.dr[BACKUP_HEALTH]) {
    case 1:
        engine_backup(photon, BACKUP_HEALTH, 2);
        break;
    case 2:
        boot->factory = true;
        boot->flags.nvmem_reset = 0;
        engine_backup(photon, BACKUP_HEALTH, 3);
        break;
    case 3:
        boot->dfu = true;
        engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_CLEARED);
        break;
    default:
        engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_CLEARED);
        break;
    }
    boot->flags.ota_flashed = 0;
    (void)settings_save_flags(photon);
}

static void read_health(struct photon *photon)
{
    struct boot *boot = &photon->boot;
    uint32_t health = photon->backup.dr[BACKUP_HEALTH];

    if (health == BACKUP_HEALTH_CLEARED) {
        engine_backup(photon, BACKUP_HEALTH, 1);
    } else if (health == BACKUP_HEALTH_DFU) {
        boot->dfu = true;
        engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_CLEARED);
    } else if (health == BACKUP_HEALTH_SAFE_MODE && boot->quirks->safe_mode_request) {
        boot->safe_mode = true;
        engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_CLEARED);
    } else if (boot->cause == CAUSE_WATCHDOG) {
        climb_retry_ladder(photon);
    }
}

void bootloader_start(struct photon *photon, uint32_t cause)
{
    struct boot *boot = &photon->boot;

    boot->cause = cause;
    boot->quirks = installed_bootloader(photon);
    if (boot->quirks == NULL) {
        engine_hang(photon, "no whole bootloader in sector 0");
        return;
    }
    cpu_spend(photon, boot->quirks->dct_in_part2 ? START_NS_FROM_101 : START_NS);
    if (settings_load_flags(photon) == SETTINGS_HUNG) {
        return;
    }
    refresh_flags(photon);
    if (lost(photon)) {
        return;
    }
    boot->ota = boot->flags.ota_update == FLAGS_OTA_AVAILABLE;
    boot->factory = boot->flags.factory_reset == FLAGS_FACTORY_RESET;
    if (boot->factory) {
        show_factory_reset(photon);
    }
    read_health(photon);
    if (lost(photon)) {
        return;
    }
    if (photon->button_pressed) {
        boot->button_looked = cpu_now(photon);
        photon->life = LIFE_BUTTON;
        watch_button(photon);
        return;
    }
    go_on(photon);
}
