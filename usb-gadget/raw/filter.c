/* Which system calls of a program wait for our answer. */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "usb-gadget/raw/cage.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the raw link knows x86-64 and 64-bit ARM"
#endif

#define CONDITIONS_MAX   2
#define ANY              0xFFFFFFFFu
#define TYPE_AND_NUMBER  0xFFFFu
#define TERMIOS2_NUMBERS 0x2B /* of TCSETS2, TCSETSW2 and TCSETSF2 */

/* Holds when (argument & mask) == value; a mask of 0 stands for no condition. Only the low half of
 * an argument is looked at: what a register holds above an int is noise. */
struct condition {
    unsigned argument;
    uint32_t mask, value;
};

/* A call that waits when all its conditions hold. */
struct rule {
    long number;
    struct condition conditions[CONDITIONS_MAX];
};

#define TTY_IOCTL(request)                                                                         \
    {                                                                                              \
        SYS_ioctl,                                                                                 \
        {                                                                                          \
            {                                                                                      \
                1, ANY, request                                                                    \
            }                                                                                      \
        }                                                                                          \
    }
#define TERMIOS2_IOCTL(number)                                                                     \
    {                                                                                              \
        SYS_ioctl,                                                                                 \
        {                                                                                          \
            {                                                                                      \
                1, TYPE_AND_NUMBER, 'T' << 8 | (number)                                            \
            }                                                                                      \
        }                                                                                          \
    }

static const struct rule rules[] = {
#ifdef SYS_open
    {SYS_open, {{1, O_PATH | O_DIRECTORY, 0}}},
#endif
    {SYS_openat, {{2, O_PATH | O_DIRECTORY, 0}}},
    {SYS_openat2, {{0}}},
    {SYS_lseek, {{1, ANY, 0}, {2, ANY, SEEK_SET}}},
    {SYS_ioctl, {{1, 0xFF00, 'U' << 8}}},
    TTY_IOCTL(TCSETS),
    TTY_IOCTL(TCSETSW),
    TTY_IOCTL(TCSETSF),
    TTY_IOCTL(TCSETA),
    TTY_IOCTL(TCSETAW),
    TTY_IOCTL(TCSETAF),
    TERMIOS2_IOCTL(TERMIOS2_NUMBERS),
    TERMIOS2_IOCTL(TERMIOS2_NUMBERS + 1),
    TERMIOS2_IOCTL(TERMIOS2_NUMBERS + 2),
    TTY_IOCTL(TIOCMGET),
    TTY_IOCTL(TIOCMBIS),
    TTY_IOCTL(TIOCMBIC),
    TTY_IOCTL(TIOCMSET),
    TTY_IOCTL(TIOCSBRK),
    TTY_IOCTL(TIOCCBRK),
    TTY_IOCTL(TCSBRK),
    TTY_IOCTL(TCSBRKP),
    TTY_IOCTL(TIOCGSERIAL),
    TTY_IOCTL(TIOCSSERIAL),
    {SYS_socket, {{0, ANY, AF_NETLINK}, {2, ANY, NETLINK_KOBJECT_UEVENT}}},
    {SYS_bind, {{2, ANY, sizeof(struct sockaddr_nl)}}},
    {SYS_setsockopt, {{1, ANY, SOL_NETLINK}}},
};

#define RULES (sizeof rules / sizeof rules[0])
/* Of one rule: its number, three of each condition, the answer. And at the ends: the architecture,
 * the default. */
#define CODE_MAX (RULES * (3 + 3 * CONDITIONS_MAX) + 8)

struct program {
    struct sock_filter code[CODE_MAX];
    unsigned short length;
};

static void put(struct program *program, struct sock_filter instruction)
{
    program->code[program->length++] = instruction;
}

static void load(struct program *program, size_t offset)
{
    put(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Goes on when the loaded word equals `value`, else jumps over `otherwise` instructions. */
static void need(struct program *program, uint32_t value, unsigned otherwise)
{
    put(program,
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)otherwise));
}

static void answer(struct program *program, uint32_t action)
{
    put(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* The low half of an argument, on a little-endian machine. */
static size_t argument_offset(unsigned argument)
{
    return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
}

static void put_rule(struct program *program, const struct rule *rule)
{
    unsigned count = 0;

    while (count < CONDITIONS_MAX && rule->conditions[count].mask != 0) {
        count++;
    }
    load(program, offsetof(struct seccomp_data, nr));
    need(program, (uint32_t)rule->number, 3 * count + 1);
    for (unsigned i = 0; i < count; i++) {
        const struct condition *condition = &rule->conditions[i];
        load(program, argument_offset(condition->argument));
        put(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, condition->mask));
        need(program, condition->value, 3 * (count - i - 1) + 1);
    }
    answer(program, SECCOMP_RET_USER_NOTIF);
}

int filter_install(void)
{
    struct program program = {.length = 0};

    load(&program, offsetof(struct seccomp_data, arch));
    need(&program, ARCHITECTURE, 1);
    put(&program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
    answer(&program, SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < RULES; i++) {
        put_rule(&program, &rules[i]);
    }
    answer(&program, SECCOMP_RET_ALLOW);
    const struct sock_fprog filter = {.len = program.length, .filter = program.code};
    /* A call that we have taken is not to be begun anew because of a signal: the board has seen
     * it. */
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                        &filter);
}
