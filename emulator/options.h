/*
 * Options of a subcommand as a table: the same rows read the command line and print the help.
 */
#ifndef VPHOTON_OPTIONS_H
#define VPHOTON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option_row {
    char letter;          /* '\0': long form only */
    const char *name;     /* long form, without the dashes */
    const char *argument; /* what the help calls it; "[X]": may be left out; NULL: takes none */
    const char *help;
};

struct command_help {
    const char *name;  /* "run" */
    const char *usage; /* what follows the name, one line per form, '\n' between */
    const char *purpose;
    const struct option_row *rows;
    size_t count;
    const char *notes; /* after the options; may be NULL */
    bool command;      /* a command line follows: options end at its first word */
};

enum {
    OPTION_END = -1,  /* no more options: the rest begins at `next` */
    OPTION_HELP = -2, /* the help was printed: exit with EXIT_DONE */
    OPTION_WRONG = -3 /* one line was said: exit with EXIT_USAGE */
};

struct options {
    const struct command_help *help;
    int argc;
    char **argv;
    int next;          /* index of the first word that is no option */
    const char *value; /* of the option just given; NULL when it takes none */
};

void options_begin(struct options *options, const struct command_help *help, int argc, char **argv);
/* Index of the next option's row, or OPTION_*. Options may stand behind other words, up to "--",
 * unless a command line follows. */
int options_next(struct options *options);
void options_print_help(const struct command_help *help);
/* Says "NAME: <text>; see vphoton NAME --help" and gives EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int options_wrong(const struct command_help *help,
                                                        const char *format, ...);

/* Appends to the `count` values of an option that may be given several times; the array is the
 * caller's to free. EXIT_DONE, or an exit code after a line was said. */
int options_collect(const struct command_help *help, const char ***values, size_t *count,
                    const char *value);

/* A whole decimal number from 0 to `most`; false for anything else. */
bool options_number(const char *text, uint32_t most, uint32_t *number);

#endif
