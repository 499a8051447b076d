#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "devmodel/photon.h"
#include "emulator/commands.h"
#include "emulator/device_dir.h"
#include "emulator/flash_view.h"
#include "emulator/options.h"
#include "emulator/rehearsal.h"

enum { OPT_JSON };

static const struct option_row rows[] = {
    [OPT_JSON] = {'j', "json", NULL, "Print what a script wants."},
};

static const struct command_help help = {
    .name = "inspect",
    .usage = "[--json] DIR|FILE",
    .purpose = "Shows what a board holds and what it would do at power-on. FILE is a raw flash\n"
               "image of 1 MiB, as flash.bin in a device directory.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};

/* What there is to look at. */
struct subject {
    const char *path;
    bool is_board; /* from a directory: `identity` holds */
    struct device_identity identity;
    struct device_small_state state;
    struct flash *flash;
    struct flash_view view;
    struct rehearsal rehearsal;
};

/* --- the flash map --- */

/* A region of the map; `module` is its place in the view, or -1. */
static const struct {
    const char *name;
    uint32_t address, size;
    int module;
} map[] = {
    {"bootloader", MAP_BOOTLOADER, MAP_BOOTLOADER_SIZE, VIEW_BOOTLOADER},
    {"DCT copy 1", MAP_DCT1, MAP_DCT_SIZE, -1},
    {"DCT copy 2", MAP_DCT2, MAP_DCT_SIZE, -1},
    {"EEPROM A", MAP_EEPROM_A, 0x4000, -1},
    {"EEPROM B", MAP_EEPROM_B, 0x10000, -1},
    {"system-part1", MAP_SYSTEM_PART1, MAP_SYSTEM_PART_SIZE, VIEW_PART1},
    {"system-part2", MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE, VIEW_PART2},
    {"application", MAP_USER, MAP_USER_SIZE, VIEW_USER},
    {"OTA scratch", MAP_OTA, MAP_FACTORY - MAP_OTA, -1},
    {"factory", MAP_FACTORY, MAP_FACTORY_SIZE, VIEW_FACTORY},
};
#define MAP_ROWS (sizeof map / sizeof map[0])

static void describe_region(const struct subject *subject, size_t row, char *text, size_t size)
{
    const struct flash_view *view = &subject->view;
    uint32_t address = map[row].address;
    if (flash_is_blank(subject->flash, address, map[row].size)) {
        snprintf(text, size, "erased");
    } else if (map[row].module >= 0 && view->modules[map[row].module].present) {
        flash_view_module_words(&view->modules[map[row].module], text, size);
    } else if (map[row].module >= 0) {
        snprintf(text, size, "no module, but not erased");
    } else if (view->settings && (address == MAP_DCT1 || address == MAP_DCT2)) {
        snprintf(text, size, (address == MAP_DCT1) == (view->dct_copy == 1) ? "current" : "old");
    } else {
        snprintf(text, size, "in use");
    }
}

static void print_map(const struct subject *subject)
{
    printf("\naddress     KiB  region        version   bytes  valid\n");
    for (size_t i = 0; i < MAP_ROWS; i++) {
        char words[160];
        describe_region(subject, i, words, sizeof words);
        printf("0x%08X  %3u  %-12s  %s\n", map[i].address, map[i].size / 1024, map[i].name, words);
    }
}

/* --- flags, registers, sectors --- */

static const char *ota_words(uint16_t value)
{
    return value == FLAGS_OTA_AVAILABLE  ? " (available)"
           : value == FLAGS_OTA_REFLASH  ? " (re-flash)"
           : value == FLAGS_OTA_FINISHED ? " (finished)"
                                         : "";
}

static void print_flags(const struct subject *subject)
{
    const struct system_flags *flags = &subject->view.flags;
    if (!subject->view.settings) {
        printf("\nflags         cannot be read: no bootloader that would\n");
        return;
    }
    printf("\nflags         in %s; bootloader version 0x%04X, OTA update 0x%04X%s, factory reset "
           "0x%04X%s,\n              watchdog 0x%04X%s, startup mode 0x%02X, Wi-Fi erase 0x%04X\n",
           subject->view.store == FLAGS_IN_DCT ? "the DCT" : "the backup registers",
           flags->bootloader_version, flags->ota_update, ota_words(flags->ota_update),
           flags->factory_reset, flags->factory_reset == FLAGS_FACTORY_RESET ? " (wanted)" : "",
           flags->watchdog_enable, flags->watchdog_enable == FLAGS_WATCHDOG ? " (armed)" : "",
           flags->startup_mode, flags->nvmem_reset);
}

static void print_registers(const struct subject *subject)
{
    bool any = false;
    printf("registers    ");
    for (unsigned i = 0; i < BACKUP_REGISTERS; i++) {
        if (subject->state.backup.dr[i] != 0) {
            printf(" DR%u=0x%08X", i, subject->state.backup.dr[i]);
            any = true;
        }
    }
    printf("%s\n", any ? "" : " all 0");
}

static void print_sectors(const struct subject *subject)
{
    bool any = false;
    printf("protected    ");
    for (unsigned i = 0; i < FLASH_SECTORS; i++) {
        if (!(subject->state.nwrp >> i & 1)) {
            printf(" %u", i);
            any = true;
        }
    }
    printf("%s\nerased       ", any ? " (sectors)" : " no sector");
    for (unsigned i = 0; i < FLASH_SECTORS; i++) {
        printf(" %u", subject->state.wear[i]);
    }
    printf(" times (sectors 0 to 11)\n");
}

static void print_rehearsal(const struct rehearsal *rehearsal)
{
    char led[96];
    trace_led_words(&rehearsal->led, led, sizeof led);
    printf("\nat power-on\n");
    for (size_t i = 0; i < rehearsal->count; i++) {
        printf("%10.0f ms  %s\n", rehearsal->lines[i].time_ms, rehearsal->lines[i].text);
    }
    printf("              LED %s; ", led);
    if (rehearsal->product) {
        printf("USB %04x:%04x\n", rehearsal->vendor, rehearsal->product);
    } else {
        printf("%s\n", rehearsal->attached ? "on USB, but it does not answer" : "not on USB");
    }
}

static void print_all(const struct subject *subject)
{
    if (subject->is_board) {
        char id[DEVICE_ID_TEXT], mac[DEVICE_MAC_TEXT];
        device_id_print(subject->identity.id, id);
        device_mac_print(subject->identity.mac, mac);
        printf("%s: a Photon made from %s, id %s, Wi-Fi %s%s\n", subject->path,
               subject->identity.release, id, mac,
               subject->identity.vbat ? ", with backup battery" : "");
    } else {
        printf("%s: the flash of a Photon\n", subject->path);
    }
    printf("release %s, bootloader %s\n", subject->view.release ? subject->view.release : "none",
           subject->view.bootloader ? subject->view.bootloader : "none");
    print_map(subject);
    print_flags(subject);
    print_registers(subject);
    print_sectors(subject);
    print_rehearsal(&subject->rehearsal);
}

/* --- JSON --- */

static json_t *regions_json(const struct subject *subject)
{
    json_t *list = json_array();
    for (size_t i = 0; i < MAP_ROWS; i++) {
        const struct flash_view *view = &subject->view;
        json_t *module =
            map[i].module < 0 ? json_null() : flash_view_module_json(&view->modules[map[i].module]);
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:b, s:o}", "name", map[i].name, "address",
                            (json_int_t)map[i].address, "size", (json_int_t)map[i].size, "erased",
                            flash_is_blank(subject->flash, map[i].address, map[i].size), "module",
                            module));
    }
    return list;
}

static json_t *flags_json(const struct flash_view *view)
{
    const struct system_flags *flags = &view->flags;
    if (!view->settings) {
        return json_null();
    }
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I}", "store",
                     view->store == FLAGS_IN_DCT ? "dct" : "backup", "bootloader_version",
                     flags->bootloader_version, "nvmem_reset", flags->nvmem_reset, "ota_update",
                     flags->ota_update, "ota_flashed", flags->ota_flashed, "factory_reset",
                     flags->factory_reset, "watchdog_enable", flags->watchdog_enable,
                     "factory_reset_done", flags->factory_reset_done, "startup_mode",
                     flags->startup_mode, "features_enabled", flags->features_enabled,
                     "reset_cause", (json_int_t)flags->reset_cause);
}

static json_t *numbers_json(const uint32_t *numbers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer(numbers[i]));
    }
    return list;
}

static json_t *identity_json(const struct subject *subject)
{
    char id[DEVICE_ID_TEXT], mac[DEVICE_MAC_TEXT];
    if (!subject->is_board) {
        return json_null();
    }
    device_id_print(subject->identity.id, id);
    device_mac_print(subject->identity.mac, mac);
    return json_pack("{s:s, s:s, s:s, s:I, s:b}", "id", id, "mac", mac, "made_from",
                     subject->identity.release, "seed", (json_int_t)subject->identity.seed, "vbat",
                     subject->identity.vbat);
}

static bool print_json(const struct subject *subject)
{
    const struct flash_view *view = &subject->view;
    json_t *whole = json_pack(
        "{s:i, s:s, s:o, s:s?, s:s?, s:o, s:i, s:o, s:o, s:i, s:o, s:o}", "format", 1, "path",
        subject->path, "identity", identity_json(subject), "release", view->release, "bootloader",
        view->bootloader, "regions", regions_json(subject), "dct_copy", (int)view->dct_copy,
        "flags", flags_json(view), "backup_registers",
        numbers_json(subject->state.backup.dr, BACKUP_REGISTERS), "nwrp", subject->state.nwrp,
        "erase_cycles", numbers_json(subject->state.wear, FLASH_SECTORS), "at_power_on",
        rehearsal_json(&subject->rehearsal));
    bool good = whole && json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) == 0;
    json_decref(whole);
    putchar('\n');
    return good;
}

/* --- what to look at --- */

static bool load_board(struct subject *subject, struct complaint *complaint)
{
    struct device_dir *dir = device_dir_open(subject->path, DEVICE_DIR_LOOK, complaint);
    if (!dir) {
        return false;
    }
    subject->is_board = true;
    subject->identity = *device_dir_identity(dir);
    subject->state = *device_dir_small_state(dir);
    subject->flash = device_dir_flash(dir);
    device_dir_close(dir);
    return subject->flash || complain(complaint, "%s: memory is short", subject->path);
}

static bool load_image(struct subject *subject, FILE *in, struct complaint *complaint)
{
    uint8_t *image = malloc(FLASH_SIZE + 1);
    size_t length = image ? fread(image, 1, FLASH_SIZE + 1, in) : 0;
    bool good = false;
    if (!image) {
        complain(complaint, "%s: memory is short", subject->path);
    } else if (ferror(in)) {
        complain(complaint, "%s: cannot read: %s", subject->path, strerror(errno));
    } else if (length != FLASH_SIZE) {
        complain(complaint,
                 "%s: %s%zu bytes found, a flash image of %u expected (vphoton module show tells "
                 "of a module)",
                 subject->path, length > FLASH_SIZE ? "more than " : "",
                 length > FLASH_SIZE ? (size_t)FLASH_SIZE : length, FLASH_SIZE);
    } else {
        subject->flash = flash_new(0);
        good = (subject->flash && flash_load(subject->flash, FLASH_BASE, image, FLASH_SIZE)) ||
               complain(complaint, "%s: memory is short", subject->path);
    }
    free(image);
    subject->state.nwrp = FLASH_NWRP_NONE;
    return good;
}

static bool load(struct subject *subject, struct complaint *complaint)
{
    struct stat status;
    if (stat(subject->path, &status) != 0) {
        return complain(complaint, "%s: cannot open: %s", subject->path, strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return load_board(subject, complaint);
    }
    if (!S_ISREG(status.st_mode)) {
        return complain(complaint, "%s: neither a device directory nor a file", subject->path);
    }
    FILE *in = fopen(subject->path, "rbe");
    if (!in) {
        return complain(complaint, "%s: cannot open: %s", subject->path, strerror(errno));
    }
    bool good = load_image(subject, in, complaint);
    fclose(in);
    return good;
}

static int inspect(const char *path, bool json)
{
    struct complaint complaint;
    struct subject subject = {.path = path};
    int code = EXIT_ENVIRONMENT;
    if (!load(&subject, &complaint)) {
        say_complaint(&complaint);
    } else {
        flash_view(subject.flash, &subject.state.backup, &subject.view);
        if (!rehearse(&subject.rehearsal, &subject.identity, subject.flash)) {
            say_error("%s: memory is short", path);
        } else if (json) {
            code = print_json(&subject) ? EXIT_DONE : EXIT_ENVIRONMENT;
        } else {
            print_all(&subject);
            code = EXIT_DONE;
        }
    }
    flash_free(subject.flash);
    return code;
}

int cmd_inspect(int argc, char **argv)
{
    struct options options;
    bool json = false;
    int option;
    options_begin(&options, &help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        }
        json = json || option == OPT_JSON;
    }
    if (argc - options.next != 1) {
        return options_wrong(&help, "%d names found, one device directory or file expected",
                             argc - options.next);
    }
    return inspect(argv[options.next], json);
}
