#include "emulator/cmd_module.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/commands.h"
#include "emulator/complaint.h"
#include "emulator/module_file.h"
#include "emulator/module_listing.h"
#include "emulator/options.h"

/* A module file as `show` and `verify` see it. */
struct subject {
    const char *path;
    uint8_t *bytes;
    size_t length;
    struct module module;
};

/* Reads and parses; says what is wrong and gives the exit code. */
static int take_subject(struct subject *subject, const char *path)
{
    struct complaint complaint;

    subject->path = path;
    subject->bytes = module_file_read(path, &subject->length, &complaint);
    if (!subject->bytes) {
        say_complaint(&complaint);
        return EXIT_ENVIRONMENT;
    }
    if (!module_file_parse(&subject->module, subject->bytes, subject->length, &complaint)) {
        free(subject->bytes);
        complain_about(&complaint, path);
        say_complaint(&complaint);
        return EXIT_NO;
    }
    return EXIT_DONE;
}

/* The only argument after the options; NULL with a line said. */
static const char *only_file(const struct options *options)
{
    if (options->argc - options->next == 1) {
        return options->argv[options->next];
    }
    options_wrong(options->help, "%d names found, one module file expected",
                  options->argc - options->next);
    return NULL;
}

/* --- show --- */

enum { SHOW_JSON };

static const struct option_row show_rows[] = {
    [SHOW_JSON] = {'j', "json", NULL, "Field names and values as Particle's parser gives them."},
};

static const struct command_help show_help = {
    .name = "module show",
    .usage = "[--json] FILE",
    .purpose = "Shows what a firmware module says of itself, and whether its checksums hold.",
    .rows = show_rows,
    .count = sizeof(show_rows) / sizeof(show_rows[0]),
    .notes = "Exit code 1: FILE is no module.",
};

static int show_json(const struct subject *subject)
{
    json_t *json = module_json(subject->path, &subject->module);
    int code = EXIT_DONE;

    if (!json || json_dumpf(json, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF) {
        say_error("%s: cannot print as JSON", subject->path);
        code = EXIT_ENVIRONMENT;
    }
    json_decref(json);
    return code;
}

static int show_main(int argc, char **argv)
{
    struct subject subject;
    struct options options;
    const char *path;
    bool json = false;
    int option, code;

    options_begin(&options, &show_help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        }
        json = true;
    }
    path = only_file(&options);
    if (!path) {
        return EXIT_USAGE;
    }
    code = take_subject(&subject, path);
    if (code != EXIT_DONE) {
        return code;
    }
    if (json) {
        code = show_json(&subject);
    } else {
        module_print(path, &subject.module, subject.bytes, subject.length);
    }
    free(subject.bytes);
    return code;
}

/* --- verify --- */

static const struct command_help verify_help = {
    .name = "module verify",
    .usage = "FILE",
    .purpose = "Says whether a Photon would take a firmware module, and why not.",
    .notes = "Exit code 1: it would not. A SHA-256 that does not match is only noted, because no\n"
             "board asks.",
};

static int verify(const struct subject *subject)
{
    const struct module *module = &subject->module;
    char title[MODULE_TITLE], needs[3 * MODULE_TITLE];
    struct complaint complaint;

    if (!module_digest_ok(module, subject->bytes)) {
        say_error("%s: note: the SHA-256 is not that of this file", subject->path);
    }
    if (subject->length > module->size) {
        say_error("%s: note: %zu bytes follow the module", subject->path,
                  subject->length - module->size);
    }
    if (!module_file_check(module, &complaint)) {
        complain_about(&complaint, subject->path);
        say_complaint(&complaint);
        return EXIT_NO;
    }
    module_title(module->info.function, module->info.index, module->info.version, title);
    module_needs(&module->info, needs);
    printf("%s: good: %s, %u bytes, %s\n", subject->path, title, module->size, needs);
    return EXIT_DONE;
}

static int verify_main(int argc, char **argv)
{
    struct subject subject;
    struct options options;
    const char *path;
    int option, code;

    options_begin(&options, &verify_help, argc, argv);
    option = options_next(&options);
    if (option != OPTION_END) {
        return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
    }
    path = only_file(&options);
    if (!path) {
        return EXIT_USAGE;
    }
    code = take_subject(&subject, path);
    if (code == EXIT_DONE) {
        code = verify(&subject);
        free(subject.bytes);
    }
    return code;
}

/* --- module --- */

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} parts[] = {
    {"build", module_build_main},
    {"show", show_main},
    {"verify", verify_main},
};

static const struct command_help module_help = {
    .name = "module",
    .usage = "build [OPTIONS]\nshow [--json] FILE\nverify FILE",
    .purpose = "Makes, shows and judges firmware modules.",
    .notes = "Each part explains itself: vphoton module build --help",
    .command = true,
};

int cmd_module(int argc, char **argv)
{
    struct options options;
    int option;

    options_begin(&options, &module_help, argc, argv);
    option = options_next(&options);
    if (option != OPTION_END) {
        return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
    }
    if (options.next >= argc) {
        return options_wrong(&module_help, "build, show or verify expected");
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(argv[options.next], parts[i].name) == 0) {
            return parts[i].main(argc - options.next, argv + options.next);
        }
    }
    return options_wrong(&module_help, "\"%s\" found; build, show or verify expected",
                         argv[options.next]);
}
