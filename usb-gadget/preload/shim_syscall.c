/* syscall(): some programs come around the C library's wrappers (libuv's statx does). */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

static long pass_on(long number, const long a[6])
{
    return raw_result(raw6(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

SHIM_EXPORT long syscall(long number, ...)
{
    va_list arguments;
    long a[6];

    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++) {
        a[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (!shim_active()) {
        return pass_on(number, a);
    }
    switch (number) {
    case SYS_statx:
        return statx((int)a[0], (const char *)a[1], (int)a[2], (unsigned)a[3],
                     (struct statx *)a[4]);
    case SYS_openat:
        return openat((int)a[0], (const char *)a[1], (int)a[2], (mode_t)a[3]);
    case SYS_newfstatat:
        return fstatat((int)a[0], (const char *)a[1], (struct stat *)a[2], (int)a[3]);
    case SYS_readlinkat:
        return readlinkat((int)a[0], (const char *)a[1], (char *)a[2], (size_t)a[3]);
    case SYS_ioctl:
        return ioctl((int)a[0], (unsigned long)a[1], (void *)a[2]);
    default:
        return pass_on(number, a);
    }
}
