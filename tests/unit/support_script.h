/*
 * Tests as text: what a host and a user do to a board, and what the board answers.
 *
 * A script file holds cases. Each case runs on every bootloader image that it names and is a test
 * of its own there. Lines before the first case run at the head of every case.
 *
 *   case: SET_CONFIGURATION while configured has no effect
 *   on: all                          images, "3b..7 1006"; "all" is the default
 *   start: dfu                       in DFU mode and configured (the default), or "off",
 *                                    or "off factory" with a factory image
 *   CLRSTATUS -> ACK
 *   00 09 0001 0000 0000 -> ACK      any control request: type, request, wValue, wIndex, wLength
 *   GETSTATUS -> 0E 000000 0A 00     data stage, status stage ACKed
 *   [7..] GETSTATUS -> 00 04 STALL   only on these images; data stage, then STALL
 *
 * After "->" stand the bytes that come back, "..." for any more, how the transfer ends, and
 * "took A..B" for its time.
 *
 *   bytes:  "FF*16" repeats, "@08020000*16" is what the flash has there, "text" in quotes is a
 *           string descriptor
 *   ends:   ACK (the default), STALL, NAK (for ever), SILENT (no handshake), DEAD (no reply, the
 *           CPU is lost until reset) or BABBLE
 *   times:  "2s", "1.3ms", "500us", "dct" (erasing a 16 KiB sector), "big" (128 KiB) and sums of
 *           these; a bare number is milliseconds
 *
 * "# ..." is a comment, "let NAME WORD" makes $NAME stand for WORD. The commands are listed in
 * support_commands.c and support_bench.c.
 */
#ifndef TESTS_SUPPORT_SCRIPT_H
#define TESTS_SUPPORT_SCRIPT_H

#include "tests/unit/support_board.h"
#include "tests/unit/support_host.h"

#define SCRIPT_WORDS     96
#define SCRIPT_VARIABLES 16

struct script_case {
    char *title;
    char *images;      /* as written after "on:" */
    bool off;          /* starts without power */
    bool factory;      /* has a factory image */
    unsigned line;     /* of the title */
    size_t first, end; /* its lines in the file */
};

struct script_variable {
    char *name, *value;
};

/* One case on one image. */
struct script_run {
    const struct script_case *test;
    unsigned image;
    struct board *board;
    struct board *start; /* the board as it was when the case began */
    struct test_record record;
    size_t cursor;     /* events before this one are behind us */
    size_t mark_event; /* record and board time at the last MARK */
    uint64_t mark;
    uint64_t patience; /* the host's time limit for one transfer */
    struct host_transfer transfer;
    struct script_variable variables[SCRIPT_VARIABLES];
    size_t variable_count;
    const char *text; /* the line under way, for messages */
    unsigned line;
};

/* A line's words; `expect` is the number of words before "->", or `count` when there is none. */
struct script_words {
    size_t count, expect;
    const char *word[SCRIPT_WORDS];
};

struct script_command {
    const char *name;
    size_t least, most; /* words after the name, "->" and what follows not counted */
    void (*run)(struct script_run *run, const struct script_words *words);
};

/* The commands of a host, and of whoever has the board on the bench. */
extern const struct script_command script_host_commands[], script_bench_commands[];
/* Runs a line that begins with a request type in hexadecimal. */
void script_raw_request(struct script_run *run, const struct script_words *words);

/* Fails the test, naming the case, image and line. */
__attribute__((noreturn, format(printf, 2, 3))) void script_fail(struct script_run *run,
                                                                 const char *format, ...);
/* Is the image named by a list such as "3b..7 1006", "..4" or "all"? */
bool script_selects(struct script_run *run, const char *list, unsigned image);
uint32_t script_hex(struct script_run *run, const char *word);
uint32_t script_number(struct script_run *run, const char *word);
uint64_t script_time(struct script_run *run, const char *word);
/* Bytes from words `from` up to `to`. */
size_t script_bytes(struct script_run *run, const struct script_words *words, size_t from,
                    size_t to, uint8_t *bytes, size_t room);

/* The range of a loop test: all `count`, or the one that the program's argument names. */
void script_pick(int argc, char **argv, int count, int *first, int *end);

/* main() of a test program whose tests are a script file beside it. `path` is relative to the
 * source tree. An argument picks one test by its number. */
int script_main(int argc, char **argv, const char *suite, const char *path);

#endif
