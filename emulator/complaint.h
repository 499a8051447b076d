/*
 * What went wrong, as one clear line: the thing, the place, what was found, what was expected.
 *
 * A function that can fail for many reasons fills a complaint; the edge of the program prints it
 * once.
 */
#ifndef VPHOTON_COMPLAINT_H
#define VPHOTON_COMPLAINT_H

#include <stdarg.h>
#include <stdbool.h>

/* Exit codes of every subcommand; `run` gives its child's. */
enum { EXIT_DONE = 0, EXIT_NO = 1, EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

struct complaint {
    char text[1024];
};

/* Formats into the complaint (NULL is allowed) and returns false, so that a check can
 * `return complain(...)`. Bytes that would break the line or the terminal become '?'. */
__attribute__((format(printf, 2, 3))) bool complain(struct complaint *complaint, const char *format,
                                                    ...);
/* Puts "<before>: " in front. Returns false. */
bool complain_about(struct complaint *complaint, const char *before);

/* One line on stderr, with the program's prefix. */
__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);
void say_complaint(const struct complaint *complaint);

#endif
