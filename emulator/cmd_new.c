#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "emulator/commands.h"
#include "emulator/complaint.h"
#include "emulator/device_dir.h"
#include "emulator/options.h"
#include "emulator/recipe.h"

enum { OPT_RELEASE, OPT_MODULE, OPT_FACTORY, OPT_ID, OPT_MAC, OPT_SEED, OPT_VBAT };

static const struct option_row rows[] = {
    [OPT_RELEASE] = {'r', "release", "R",
                     "Device OS release that the board leaves the factory "
                     "with\n(default " RECIPE_DEFAULT_RELEASE "); \"list\" prints the known ones."},
    [OPT_MODULE] = {'m', "module", "FILE",
                    "Put this firmware module where its prefix says, in place of\n"
                    "the release's own. May be given several times."},
    [OPT_FACTORY] = {'f', "factory", "FILE",
                     "Application for the factory slot (default: the slot is empty)."},
    [OPT_ID] = {'\0', "id", "HEX24", "Device id, 24 hexadecimal digits (default: random)."},
    [OPT_MAC] = {'\0', "mac", "MAC", "Wi-Fi address, as 6c:0b:84:00:11:22 (default: random)."},
    [OPT_SEED] = {'\0', "seed", "N",
                  "The device key, and what half-done flash operations leave,\n"
                  "depend on this number (default: random)."},
    [OPT_VBAT] = {'\0', "vbat", NULL, "A backup battery keeps the RTC registers without power."},
};

static const struct command_help help = {
    .name = "new",
    .usage = "[OPTIONS] DIR\n--release list",
    .purpose = "Makes a Photon in the device directory DIR, which must be new or empty.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};

struct wish {
    struct recipe recipe;
    const char *release, *id, *mac, *seed;
    bool vbat;
};

static int take_option(struct wish *wish, int option, const char *value)
{
    switch (option) {
    case OPT_RELEASE:
        wish->release = value;
        break;
    case OPT_MODULE:
        if (wish->recipe.module_count == RECIPE_MODULES_MAX) {
            return options_wrong(&help, "more than %d modules", RECIPE_MODULES_MAX);
        }
        wish->recipe.modules[wish->recipe.module_count++] = value;
        break;
    case OPT_FACTORY:
        wish->recipe.factory = value;
        break;
    case OPT_ID:
        wish->id = value;
        break;
    case OPT_MAC:
        wish->mac = value;
        break;
    case OPT_SEED:
        wish->seed = value;
        break;
    case OPT_VBAT:
        wish->vbat = true;
        break;
    }
    return EXIT_DONE;
}

static int identify(const struct wish *wish, struct device_identity *identity)
{
    recipe_identity(identity, wish->recipe.release, 0);
    identity->vbat = wish->vbat;
    if (wish->id && !device_id_parse(wish->id, identity->id)) {
        return options_wrong(&help, "id \"%s\" found, 24 hexadecimal digits expected", wish->id);
    }
    if (wish->mac && !device_mac_parse(wish->mac, identity->mac)) {
        return options_wrong(&help,
                             "Wi-Fi address \"%s\" found, six bytes as 6c:0b:84:00:11:22 "
                             "expected",
                             wish->mac);
    }
    if (wish->seed && !options_number(wish->seed, UINT32_MAX, &identity->seed)) {
        return options_wrong(&help, "seed \"%s\" found, a number from 0 to 4294967295 expected",
                             wish->seed);
    }
    return EXIT_DONE;
}

static int make(const struct wish *wish, const char *path)
{
    struct complaint complaint;
    struct device_identity identity;
    int code = identify(wish, &identity);
    if (code != EXIT_DONE) {
        return code;
    }
    struct flash *flash = recipe_flash(&wish->recipe, identity.seed, &complaint);
    bool made = flash && device_dir_create(path, &identity, flash, &complaint);
    flash_free(flash);
    if (!made) {
        say_complaint(&complaint);
        return EXIT_ENVIRONMENT;
    }
    char id[DEVICE_ID_TEXT];
    device_id_print(identity.id, id);
    printf("%s: a Photon with %s, id %s\n", path, wish->recipe.release->name, id);
    return EXIT_DONE;
}

int cmd_new(int argc, char **argv)
{
    struct wish wish = {.release = RECIPE_DEFAULT_RELEASE};
    struct complaint complaint;
    struct options options;
    int option, code = EXIT_DONE;
    /* A file beyond the limit shall fail like one on a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    options_begin(&options, &help, argc, argv);
    while (code == EXIT_DONE && (option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        }
        code = take_option(&wish, option, options.value);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (strcmp(wish.release, "list") == 0) {
        recipe_print_releases();
        return EXIT_DONE;
    }
    if (argc - options.next != 1) {
        return options_wrong(&help, "%d names found, one device directory expected",
                             argc - options.next);
    }
    wish.recipe.release = recipe_release(wish.release, &complaint);
    if (!wish.recipe.release) {
        say_complaint(&complaint);
        return EXIT_USAGE;
    }
    return make(&wish, argv[options.next]);
}
