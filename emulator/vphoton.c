#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "emulator/commands.h"
#include "emulator/complaint.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *description;
} commands[] = {
    {"new", cmd_new, "Make a board in a device directory"},
    {"run", cmd_run, "Run a command that finds boards on its USB"},
    {"serve", cmd_serve, "Serve boards to hosts that plug them in over a network"},
    {"attach", cmd_attach, "Plug a served board into this Linux kernel"},
    {"vm", cmd_vm, "Run a command in a virtual machine that has the boards"},
    {"inspect", cmd_inspect, "Show what a board holds and would do"},
    {"ctl", cmd_ctl, "Press, reset, unplug, look at a board of a run"},
    {"module", cmd_module, "Make, show and judge firmware modules"},
};

static void print_help(void)
{
    printf("usage: vphoton COMMAND [OPTIONS] ...\n"
           "A virtual Particle Photon for flashing tools.\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        printf("  %-10s %s\n", commands[i].name, commands[i].description);
    }
    printf("\nEach command explains itself: vphoton COMMAND --help\n"
           "Exit codes: 0 done, 1 the answer is no, 2 usage, 3 environment; `run` gives its "
           "command's.\n");
}

/* A caller may have closed the standard files. A device directory's file in the place of standard
 * error would get our messages; the command shall find them closed again. */
static void keep_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            /* The lowest free number is this one. */
            (void)open("/dev/null", O_RDWR | O_CLOEXEC);
        }
    }
}

static int dispatch(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        say_error("no command given; see vphoton --help");
        return EXIT_USAGE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("vphoton %s\n", VPHOTON_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help();
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(word, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    say_error("unknown %s \"%s\"; see vphoton --help", word[0] == '-' ? "option" : "command", word);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    keep_standard_files();
    int code = dispatch(argc, argv);
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        say_error("cannot write the output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
        code = EXIT_ENVIRONMENT;
    }
    return code;
}
