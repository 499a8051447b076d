/*
 * A session: the boards on a desk from before they get power until they are saved, and all that
 * stands around them whatever way hosts reach them: the event loop that moves their time, the
 * control socket, the events for people, the capture, the report.
 *
 * Order of calls: session_begin, session_fill, (the links), session_listen, session_loop,
 * session_finish; session_end at any time, once the links are gone.
 */
#ifndef VPHOTON_SESSION_H
#define VPHOTON_SESSION_H

#include <event2/event.h>

#include "emulator/control.h"
#include "emulator/desk.h"
#include "emulator/options.h"

/* What the user asked for. */
struct session_wish {
    const char **directories; /* `count` of them; none: fresh boards */
    size_t count;
    size_t fresh; /* how many fresh boards when there is no directory */
    const char *release, *events, *trace, *report, *control;
    bool dfu, wants_events;
    enum time_mode mode;
};

/* Rows that a command's options begin with, so that session_take_option() knows them. */
enum {
    SESSION_BOARD,
    SESSION_RELEASE,
    SESSION_DFU,
    SESSION_TIME,
    SESSION_EVENTS,
    SESSION_TRACE,
    SESSION_REPORT,
    SESSION_CONTROL,
    SESSION_OPTIONS
};

/* Those of them that say the same in every command, for its table. */
#define SESSION_ROWS                                                                               \
    [SESSION_BOARD] = {'d', "device", "DIR",                                                       \
                       "The board in this device directory; may be given several times.\n"         \
                       "Without it: a fresh board that is forgotten afterwards."},                 \
    [SESSION_RELEASE] =                                                                            \
        {'r', "release", "R",                                                                      \
         "What the fresh board leaves the factory with (default\n" RECIPE_DEFAULT_RELEASE          \
         "); not together with -d."},                                                              \
    [SESSION_DFU] = {'\0', "dfu", NULL,                                                            \
                     "Hold SETUP over the start until the board is in DFU mode."},                 \
    [SESSION_EVENTS] = {'e', "events", "[FILE]",                                                   \
                        "Tell what happens on the boards, one line an event (default:\n"           \
                        "on stderr)."},                                                            \
    [SESSION_TRACE] = {'\0', "trace", "FILE",                                                      \
                       "Capture the transfers, for Wireshark; times are board times."}

#define SESSION_WISH                                                                               \
    {                                                                                              \
        .fresh = 1, .mode = TIME_FAST                                                              \
    }

/* Takes one of the rows above; EXIT_DONE, or an exit code after a line was said. */
int session_take_option(struct session_wish *wish, const struct command_help *help, int option,
                        const char *value);
/* What the options say together, with `most` boards at once; EXIT_DONE or an exit code. */
int session_check_options(const struct session_wish *wish, const struct command_help *help,
                          size_t most);
void session_wish_free(struct session_wish *wish);

struct session {
    struct desk desk;
    struct event_base *base;
    struct control *control;
    bool over; /* set: session_loop() ends */
    int code;  /* the program's exit code; set before session_finish(), which may change it */

    /* The session's own. */
    const struct session_wish *wish;
    struct event *timer;
    FILE *events;
    struct capture_file *trace;
    struct flash_view *before; /* one a board, for the report */
};

/* Makes the event loop. */
bool session_begin(struct session *session, const struct session_wish *wish,
                   struct complaint *complaint);
/* Puts the boards on the desk and gives them power; EXIT_DONE, or an exit code with a complaint. */
int session_fill(struct session *session, struct complaint *complaint);
/* Opens the control socket. */
bool session_listen(struct session *session, struct complaint *complaint);
/* Serves until `over` is set. While `awake` (NULL for never) is true it does not sleep. */
void session_loop(struct session *session, bool (*awake)(void *context), void *context);
/* Lets the boards finish what they are doing, writes the report with what `link` tells (an object,
 * taken over; NULL for nothing), takes the boards' power and saves them. */
void session_finish(struct session *session, json_t *link);
void session_end(struct session *session);

#endif
