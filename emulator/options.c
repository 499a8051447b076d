#include "emulator/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/complaint.h"

#define ROWS_MAX 24

/* getopt's values for rows start above all letters. */
enum { VALUE_HELP = 256, VALUE_ROW };

void options_begin(struct options *options, const struct command_help *help, int argc, char **argv)
{
    *options = (struct options){.help = help, .argc = argc, .argv = argv};
    /* 0 makes glibc's getopt start anew. */
    optind = 0;
    opterr = 0;
}

int options_wrong(const struct command_help *help, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say_error("%s: %s; see vphoton %s --help", help->name, text, help->name);
    return EXIT_USAGE;
}

static int wrong_option(struct options *options, int found)
{
    const char *word = options->argv[optind - 1];
    if (found == ':') {
        options_wrong(options->help, "option '%s' needs a value", word);
    } else if (optopt && optopt < VALUE_HELP) {
        options_wrong(options->help, "unknown option '-%c'", optopt);
    } else if (optopt) {
        options_wrong(options->help, "option '%s' takes no value", word);
    } else {
        options_wrong(options->help, "unknown option '%s'", word);
    }
    return OPTION_WRONG;
}

static int row_of(const struct command_help *help, int found)
{
    if (found >= VALUE_ROW) {
        return found - VALUE_ROW;
    }
    for (size_t i = 0; i < help->count; i++) {
        if (help->rows[i].letter == found) {
            return (int)i;
        }
    }
    return OPTION_WRONG;
}

/* getopt's constants are the number of colons too. */
static int argument_of(const struct option_row *row)
{
    if (!row->argument) {
        return no_argument;
    }
    return row->argument[0] == '[' ? optional_argument : required_argument;
}

int options_next(struct options *options)
{
    const struct command_help *help = options->help;
    struct option longs[ROWS_MAX + 2] = {{"help", no_argument, NULL, VALUE_HELP}};
    /* '+': stop at the first word that is no option; ':': say which value is missing. */
    char shorts[3 * ROWS_MAX + 4] = "+:h";
    size_t used = strlen(shorts);
    const char *first = help->command ? shorts : shorts + 1;
    for (size_t i = 0; i < help->count && i < ROWS_MAX; i++) {
        const struct option_row *row = &help->rows[i];
        int takes = argument_of(row);
        longs[i + 1] = (struct option){row->name, takes, NULL, VALUE_ROW + (int)i};
        if (row->letter) {
            shorts[used++] = row->letter;
            for (int colon = 0; colon < takes; colon++) {
                shorts[used++] = ':';
            }
        }
    }
    int found = getopt_long(options->argc, options->argv, first, longs, NULL);
    options->next = optind;
    options->value = optarg;
    if (found == -1) {
        return OPTION_END;
    }
    if (found == VALUE_HELP || found == 'h') {
        options_print_help(help);
        return OPTION_HELP;
    }
    return found == '?' || found == ':' ? wrong_option(options, found) : row_of(help, found);
}

static void print_usage(const struct command_help *help)
{
    const char *before = "usage: ";
    for (const char *line = help->usage; line;) {
        const char *end = strchr(line, '\n');
        int length = end ? (int)(end - line) : (int)strlen(line);
        printf("%svphoton %s %.*s\n", before, help->name, length, line);
        before = "       ";
        line = end ? end + 1 : NULL;
    }
}

/* Help texts are wrapped by hand: '\n' starts a new line in the same column. */
static void print_row(const char *left, const char *help)
{
    printf("  %-24s", left);
    for (const char *line = help;;) {
        const char *end = strchr(line, '\n');
        printf(" %.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
        if (!end) {
            break;
        }
        line = end + 1;
        printf("  %-24s", "");
    }
}

void options_print_help(const struct command_help *help)
{
    print_usage(help);
    printf("%s\n\n", help->purpose);
    for (size_t i = 0; i < help->count; i++) {
        const struct option_row *row = &help->rows[i];
        char left[64], letter[8] = "    ";
        if (row->letter) {
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        }
        if (argument_of(row) == optional_argument) {
            snprintf(left, sizeof left, "%s--%s[=%s", letter, row->name, row->argument + 1);
        } else {
            snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
                     row->argument ? row->argument : "");
        }
        print_row(left, row->help);
    }
    print_row("-h, --help", "Show this help.");
    if (help->notes) {
        printf("\n%s\n", help->notes);
    }
}

int options_collect(const struct command_help *help, const char ***values, size_t *count,
                    const char *value)
{
    const char **more = realloc(*values, (*count + 1) * sizeof *more);
    if (!more) {
        return options_wrong(help, "memory is short");
    }
    *values = more;
    more[(*count)++] = value;
    return EXIT_DONE;
}

bool options_number(const char *text, uint32_t most, uint32_t *number)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        value = 10 * value + (uint64_t)(*text - '0');
        if (value > most) {
            return false;
        }
    }
    *number = (uint32_t)value;
    return true;
}
