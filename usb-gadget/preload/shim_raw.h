/*
 * System calls without the C library's wrappers, which the preload library may itself replace.
 */
#ifndef GADGET_PRELOAD_SHIM_RAW_H
#define GADGET_PRELOAD_SHIM_RAW_H

#include <errno.h>

/* The kernel's own result: -errno when it failed. The analyzer cannot read assembly, and a test
 * has one of its own. */
#if defined(__clang_analyzer__) || defined(SHIM_RAW_OF_TEST)
long raw6(long number, long a, long b, long c, long d, long e, long f);
#else
static inline long raw6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
#else
#error "the preload library knows x86-64 and 64-bit ARM"
#endif
}
#endif

/* As the C library gives it: -1 with errno. */
static inline long raw_result(long result)
{
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

#define RAW_ARGUMENTS(n, a, b, c, d, e, f, ...)                                                    \
    (n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)
/* raw(SYS_name, up to six arguments): 0 or more, or -errno. raw_errno(): -1 with errno. */
#define raw(...)       raw6(RAW_ARGUMENTS(__VA_ARGS__, 0, 0, 0, 0, 0, 0))
#define raw_errno(...) raw_result(raw(__VA_ARGS__))

#endif
