/*
 * forbid CALL=ERRNO... -- COMMAND: runs a command to which the system refuses calls, as machines
 * and containers do that are careful. A CALL is unshare, userns (unshare that asks for a user
 * namespace), mount, seccomp, process_vm_readv or pidfd_getfd; an ERRNO is EPERM, ENOSPC and so on.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RULES_MAX 8

static const struct {
    const char *name;
    long number;
    uint32_t flag; /* in the first argument; 0: any */
} calls[] = {
    {"unshare", SYS_unshare, 0},
    {"userns", SYS_unshare, CLONE_NEWUSER},
    {"mount", SYS_mount, 0},
    {"seccomp", SYS_seccomp, 0},
    {"pidfd_getfd", SYS_pidfd_getfd, 0},
    {"process_vm_readv", SYS_process_vm_readv, 0},
};

static const struct {
    const char *name;
    int number;
} errors[] = {{"EPERM", EPERM},   {"EACCES", EACCES}, {"ENOSPC", ENOSPC},
              {"EINVAL", EINVAL}, {"EUSERS", EUSERS}, {"ENOSYS", ENOSYS}};

static struct sock_filter code[RULES_MAX * 5 + 1];
static unsigned short length;

static void put(uint16_t operation, uint32_t value, uint8_t yes, uint8_t no)
{
    code[length++] = (struct sock_filter){operation, yes, no, value};
}

static void refuse(const char *name, const char *error)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (size_t j = 0; j < sizeof errors / sizeof errors[0]; j++) {
            if (strcmp(name, calls[i].name) != 0 || strcmp(error, errors[j].name) != 0) {
                continue;
            }
            put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
            put(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, 0, 3);
            put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args), 0, 0);
            put(BPF_JMP | BPF_JSET | BPF_K, calls[i].flag, 0, calls[i].flag != 0);
            put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)errors[j].number, 0, 0);
            return;
        }
    }
    fprintf(stderr, "forbid: %s=%s: not known\n", name, error);
    exit(2);
}

int main(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && strcmp(argv[i], "--") != 0 && i <= RULES_MAX; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals == NULL) {
            break;
        }
        *equals = '\0';
        refuse(argv[i], equals + 1);
    }
    if (i + 1 >= argc) {
        fprintf(stderr, "usage: forbid CALL=ERRNO... -- COMMAND\n");
        return 2;
    }
    put(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    const struct sock_fprog program = {.len = length, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("forbid");
        return 3;
    }
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 3;
}
