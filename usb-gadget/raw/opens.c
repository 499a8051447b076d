/* What a program opens: nodes and serial ports are handed to it, all else is the system's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "usb-gadget/preload/zones.h"
#include "usb-gadget/raw/link.h"

struct opening {
    int folder;
    uint64_t path; /* address */
    int flags;
};

/* False when the program's memory is not there. */
static bool read_opening(const struct call *call, struct opening *opening)
{
    const struct seccomp_data *data = &call->notice.data;
    struct open_how how;

#ifdef SYS_open
    if (data->nr == SYS_open) {
        *opening = (struct opening){AT_FDCWD, data->args[0], (int)data->args[1]};
        return true;
    }
#endif
    *opening = (struct opening){(int)data->args[0], data->args[1], (int)data->args[2]};
    if (data->nr == SYS_openat2) {
        if (!call_read(call, data->args[2], &how, sizeof how)) {
            return false;
        }
        opening->flags = (int)how.flags;
    }
    return true;
}

/* The path as it begins at the root; false when it cannot lead to us. */
static bool absolute_path(const struct call *call, const struct opening *opening,
                          char out[ZONES_PATH_MAX])
{
    char path[PATH_MAX];

    if (!call_read_text(call, opening->path, path, sizeof path)) {
        return false;
    }
    if (path[0] == '/') {
        return zones_may_be_ours(path) && zones_clean(path, out);
    }
    char whole[2 * PATH_MAX];
    if (!call_path(call, opening->folder, whole, PATH_MAX) || !zones_may_be_ours(whole)) {
        return false;
    }
    size_t length = strlen(whole);
    whole[length] = '/';
    strcpy(whole + length + 1, path);
    return zones_clean(whole, out);
}

/* The n of the ttyACMn that a path leads to, or -1. */
static int tty_of(const struct raw *raw, const char *ours)
{
    char target[64];

    if (!zones_is_tty_link(ours)) {
        return zones_tty(ours);
    }
    ssize_t length = readlinkat(raw->root, ours + 1, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    return zones_tty_target(target);
}

void opens_handle(struct call *call)
{
    char path[ZONES_PATH_MAX];
    struct opening opening;

    if (!read_opening(call, &opening) || (opening.flags & (O_PATH | O_DIRECTORY)) != 0 ||
        !absolute_path(call, &opening, path) || zones_of(path) != ZONE_OURS) {
        call_continue(call);
        return;
    }
    unsigned number = zones_node(path);
    int tty = tty_of(call->raw, path);
    /* For a program that only reads, the file with the descriptors is as good as the node. */
    if (number != 0 && (opening.flags & O_ACCMODE) != O_RDONLY) {
        nodes_open(call, number, opening.flags);
    } else if (tty >= 0) {
        ttys_open(call, (unsigned)tty, opening.flags);
    } else {
        call_continue(call);
    }
}
