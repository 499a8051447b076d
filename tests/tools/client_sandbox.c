/*
 * What Chromium's sandbox does on its way into an empty root: chdir("/") in a child that shares the
 * parent's memory, on a small stack, with a thread pointer that points at zeros. Of the C library
 * only what asks nothing of a thread works there. Exit code 0: it did.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE 16384
#define TLS_SIZE   16384

static char stack[STACK_SIZE] __attribute__((aligned(16)));
static char tls[TLS_SIZE] __attribute__((aligned(64)));

static int enter(void *unused)
{
    (void)unused;
    _exit(chdir("/") == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int main(void)
{
    int status = 0;
    pid_t child =
        clone(enter, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_SETTLS | SIGCHLD, NULL,
              NULL, tls + sizeof tls / 2, NULL);

    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("clone");
        return EXIT_FAILURE;
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "signal %d in the child\n", WTERMSIG(status));
        return EXIT_FAILURE;
    }
    return WEXITSTATUS(status);
}
