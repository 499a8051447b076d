#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emulator/commands.h"
#include "emulator/control.h"
#include "emulator/options.h"

enum { OPT_BOARD, OPT_CONTROL, OPT_JSON };

static const struct option_row rows[] = {
    [OPT_BOARD] = {'b', "board", "B",
                   "The board: its directory as `vphoton run` got it, or its number\n"
                   "from 1. Needed with more than one, except for status and led."},
    [OPT_CONTROL] = {'c', "control", "ADDRESS",
                     "The run's control socket (default: " CONTROL_ENVIRONMENT ",\n"
                     "which `vphoton run` sets for its command)."},
    [OPT_JSON] = {'j', "json", NULL, "status: print what a script wants."},
};

static const struct command_help help = {
    .name = "ctl",
    .usage = "[OPTIONS] press mode [TIME]\n[OPTIONS] release mode\n[OPTIONS] reset\n"
             "[OPTIONS] power on|off|cycle\n[OPTIONS] unplug\n[OPTIONS] plug\n[OPTIONS] status\n"
             "[OPTIONS] led",
    .purpose =
        "Touches a board of a running `vphoton run`: buttons, power, plug; looks at its LED.",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .notes = "TIME is how long the SETUP/MODE button is held: 3s, 500ms. Without it the button\n"
             "stays pressed until `release mode`. The USB cable is a board's supply, so unplug\n"
             "and plug switch its power.",
};

struct wish {
    const char *board, *control;
    bool json;
};

/* --- asking --- */

/* A new reference to a reply that says "ok", or NULL and an exit code. */
static json_t *ask(const struct wish *wish, json_t *request, int *code)
{
    struct complaint complaint;
    if (wish->board) {
        json_object_set_new(request, "board", json_string(wish->board));
    }
    json_t *reply = control_ask(wish->control, request, &complaint);
    json_decref(request);
    if (!reply) {
        say_complaint(&complaint);
        *code = EXIT_ENVIRONMENT;
        return NULL;
    }
    if (!json_is_true(json_object_get(reply, "ok"))) {
        const char *error = json_string_value(json_object_get(reply, "error"));
        say_error("ctl: %s%s%s", wish->board ? wish->board : "", wish->board ? ": " : "",
                  error ? error : "the request was refused");
        json_decref(reply);
        *code = EXIT_NO;
        return NULL;
    }
    *code = EXIT_DONE;
    return reply;
}

static int order(const struct wish *wish, json_t *request)
{
    int code;
    json_decref(ask(wish, request, &code));
    return code;
}

static json_t *request(const char *command)
{
    return json_pack("{s:s}", "command", command);
}

/* --- the verbs --- */

/* "3s", "2.5s", "500ms"; 0 for anything else. */
static long parse_ms(const char *text)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno || !(value > 0)) {
        return 0;
    }
    double ms = strcmp(end, "s") == 0 ? value * 1000 : strcmp(end, "ms") == 0 ? value : 0;
    return ms >= 1 && ms <= 60000 ? (long)ms : 0;
}

static void wait_ms(json_int_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static int hold(const struct wish *wish, long ms)
{
    int code;
    json_t *reply =
        ask(wish, json_pack("{s:s, s:I}", "command", "press", "ms", (json_int_t)ms), &code);
    const json_t *wait = reply ? json_object_get(reply, "wait_ms") : NULL;
    if (json_is_integer(wait)) {
        wait_ms(json_integer_value(wait));
        code = order(wish, request("release"));
    }
    json_decref(reply);
    return code;
}

static int do_press(const struct wish *wish, int argc, char **argv)
{
    if (argc < 2 || argc > 3 || strcmp(argv[1], "mode") != 0) {
        return options_wrong(&help, "\"press mode [TIME]\" expected");
    }
    if (argc == 2) {
        return order(wish, request("press"));
    }
    long ms = parse_ms(argv[2]);
    if (ms == 0) {
        return options_wrong(&help, "time \"%s\" found, 1ms to 60s expected, as 3s or 500ms",
                             argv[2]);
    }
    return hold(wish, ms);
}

static int do_release(const struct wish *wish, int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "mode") != 0) {
        return options_wrong(&help, "\"release mode\" expected");
    }
    return order(wish, request("release"));
}

static int do_reset(const struct wish *wish, int argc, char **argv)
{
    (void)argv;
    return argc == 1 ? order(wish, request("reset")) : options_wrong(&help, "\"reset\" expected");
}

static int set_power(const struct wish *wish, bool on)
{
    return order(wish, json_pack("{s:s, s:b}", "command", "power", "on", on));
}

static int do_power(const struct wish *wish, int argc, char **argv)
{
    const char *how = argc == 2 ? argv[1] : "";
    if (strcmp(how, "on") == 0 || strcmp(how, "off") == 0) {
        return set_power(wish, how[1] == 'n');
    }
    if (strcmp(how, "cycle") == 0) {
        int code = set_power(wish, false);
        return code == EXIT_DONE ? set_power(wish, true) : code;
    }
    return options_wrong(&help, "\"power on\", \"power off\" or \"power cycle\" expected");
}

static int do_plug(const struct wish *wish, int argc, char **argv)
{
    bool in = strcmp(argv[0], "plug") == 0;
    return argc == 1 ? set_power(wish, in) : options_wrong(&help, "\"%s\" expected", argv[0]);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "-";
}

static void print_status(const json_t *board)
{
    const char *hung = json_string_value(json_object_get(board, "hung"));
    printf("%lld  %s  release %s, bootloader %s\n",
           (long long)json_integer_value(json_object_get(board, "number")), text_of(board, "name"),
           text_of(board, "release"), text_of(board, "bootloader"));
    printf("   id %s\n   power %s, USB %s, button %s\n   LED %s\n   %s%s\n", text_of(board, "id"),
           json_is_true(json_object_get(board, "powered")) ? "on" : "off",
           json_is_true(json_object_get(board, "attached")) ? "attached" : "not attached",
           json_is_true(json_object_get(board, "button")) ? "pressed" : "released",
           text_of(json_object_get(board, "led"), "words"), hung ? "dead: " : "",
           hung ? hung : text_of(board, "decision"));
}

static int do_status(const struct wish *wish, int argc, char **argv)
{
    int code;
    size_t i;
    json_t *board;
    if (argc != 1) {
        return options_wrong(&help, "\"%s\" expected", argv[0]);
    }
    json_t *reply = ask(wish, request("status"), &code);
    json_t *boards = reply ? json_object_get(reply, "boards") : NULL;
    if (reply && wish->json) {
        json_object_del(reply, "ok");
        json_dumpf(reply, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
        putchar('\n');
    } else if (reply && strcmp(argv[0], "led") == 0) {
        json_array_foreach(boards, i, board)
        {
            printf("%s\n", text_of(json_object_get(board, "led"), "words"));
        }
    } else if (reply) {
        json_array_foreach(boards, i, board)
        {
            print_status(board);
        }
    }
    json_decref(reply);
    return code;
}

static const struct {
    const char *name;
    int (*act)(const struct wish *wish, int argc, char **argv);
} verbs[] = {
    {"press", do_press}, {"release", do_release}, {"reset", do_reset},   {"power", do_power},
    {"unplug", do_plug}, {"plug", do_plug},       {"status", do_status}, {"led", do_status},
};

int cmd_ctl(int argc, char **argv)
{
    struct wish wish = {.control = getenv(CONTROL_ENVIRONMENT)};
    struct options options;
    int option;
    options_begin(&options, &help, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option < 0) {
            return option == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        }
        wish.board = option == OPT_BOARD ? options.value : wish.board;
        wish.control = option == OPT_CONTROL ? options.value : wish.control;
        wish.json = wish.json || option == OPT_JSON;
    }
    argc -= options.next;
    argv += options.next;
    if (argc == 0) {
        return options_wrong(&help, "no order given");
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, argv[0]) == 0) {
            if (!wish.control || !*wish.control) {
                say_error("ctl: no control socket: " CONTROL_ENVIRONMENT
                          " is not set, as it is under vphoton run");
                return EXIT_ENVIRONMENT;
            }
            return verbs[i].act(&wish, argc, argv);
        }
    }
    return options_wrong(&help, "unknown order \"%s\"", argv[0]);
}
