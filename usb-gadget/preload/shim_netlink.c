/* Hotplug: a netlink socket for uevents is a connection to the server, which sends what the kernel
 * and udev would. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"

#define GROUP_KERNEL 1u
#define GROUP_UDEV   2u
#define UDEV_PREFIX  "libudev"

static bool say_groups(int fd, uint32_t groups)
{
    const struct preload_request request = {
        .operation = PRELOAD_MONITOR, .version = PRELOAD_PROTOCOL_VERSION, .number = groups};

    return raw(SYS_sendto, fd, &request, sizeof request, MSG_NOSIGNAL, NULL, 0) > 0;
}

/* A socket of the kind that is asked for; -1 when the server is gone. */
static int open_monitor(int type)
{
    const int yes = 1;
    struct stat status;
    int fd = shim_dial();
    struct shim_slot *slot = fd >= 0 ? shim_slot_new(SHIM_MONITOR) : NULL;

    if (slot == NULL || !say_groups(fd, 0) || raw(SYS_fstat, fd, &status) != 0) {
        if (slot != NULL) {
            shim_slot_free(slot);
        }
        if (fd >= 0) {
            (void)raw(SYS_close, fd);
        }
        return -1;
    }
    /* libudev wants to know the sender of each message. */
    (void)raw(SYS_setsockopt, fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    if (!(type & SOCK_CLOEXEC)) {
        (void)raw(SYS_fcntl, fd, F_SETFD, 0);
    }
    if (type & SOCK_NONBLOCK) {
        (void)raw(SYS_fcntl, fd, F_SETFL, O_RDWR | O_NONBLOCK);
    }
    slot->inode = status.st_ino;
    shim_slot_attach(slot, fd);
    return fd;
}

SHIM_EXPORT int socket(int domain, int type, int protocol)
{
    if (domain == AF_NETLINK && protocol == NETLINK_KOBJECT_UEVENT && shim_active()) {
        int error = errno;
        int fd = open_monitor(type);
        if (fd >= 0) {
            errno = error;
            return fd;
        }
    }
    return (int)raw_errno(SYS_socket, domain, type, protocol);
}

SHIM_EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct shim_slot *slot = shim_slot(fd, SHIM_MONITOR);
    struct sockaddr_nl netlink = {0};

    if (slot == NULL) {
        return (int)raw_errno(SYS_bind, fd, address, length);
    }
    memcpy(&netlink, address, length < sizeof netlink ? length : sizeof netlink);
    slot->groups = netlink.nl_groups;
    (void)say_groups(fd, slot->groups);
    return 0;
}

static void put_address(struct sockaddr *out, socklen_t *length, uint32_t pid, uint32_t groups)
{
    const struct sockaddr_nl netlink = {
        .nl_family = AF_NETLINK, .nl_pid = pid, .nl_groups = groups};

    memcpy(out, &netlink, *length < sizeof netlink ? *length : sizeof netlink);
    *length = sizeof netlink;
}

SHIM_EXPORT int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
    const struct shim_slot *slot = shim_slot(fd, SHIM_MONITOR);

    if (slot == NULL) {
        return (int)raw_errno(SYS_getsockname, fd, address, length);
    }
    put_address(address, length, (uint32_t)raw(SYS_getpid), slot->groups);
    return 0;
}

SHIM_EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    struct shim_slot *slot = level == SOL_NETLINK ? shim_slot(fd, SHIM_MONITOR) : NULL;
    unsigned group;

    if (slot == NULL) {
        return (int)raw_errno(SYS_setsockopt, fd, level, option, value, length);
    }
    if ((option == NETLINK_ADD_MEMBERSHIP || option == NETLINK_DROP_MEMBERSHIP) &&
        length >= sizeof group) {
        memcpy(&group, value, sizeof group);
        uint32_t bit = group >= 1 && group <= 32 ? UINT32_C(1) << (group - 1) : 0;
        slot->groups = option == NETLINK_ADD_MEMBERSHIP ? slot->groups | bit : slot->groups & ~bit;
        (void)say_groups(fd, slot->groups);
    }
    return 0;
}

/* --- receiving --- */

/* The group that a message was sent to. */
static uint32_t group_of(const void *data, size_t length)
{
    return length >= sizeof UDEV_PREFIX && memcmp(data, UDEV_PREFIX, sizeof UDEV_PREFIX) == 0
               ? GROUP_UDEV
               : GROUP_KERNEL;
}

/* Uevents come from the kernel, or from udev, which runs as root. */
static void fix_credentials(struct msghdr *message, uint32_t group)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_CREDENTIALS) {
            continue;
        }
        struct ucred *credentials = (struct ucred *)(void *)CMSG_DATA(head);
        credentials->uid = 0;
        credentials->gid = 0;
        credentials->pid = group == GROUP_KERNEL ? 0 : credentials->pid;
    }
}

/* The server is gone: from now on there is no news, as on a machine where nothing is plugged. */
static long fall_silent(int fd)
{
    struct shim_slot *slot = shim_slot(fd, SHIM_MONITOR);
    int silent = (int)raw(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    long flags = raw(SYS_fcntl, fd, F_GETFD);
    struct stat status;

    if (silent >= 0 && slot != NULL && raw(SYS_fstat, silent, &status) == 0) {
        (void)raw(SYS_dup3, silent, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
        slot->inode = status.st_ino;
    }
    if (silent >= 0) {
        (void)raw(SYS_close, silent);
    }
    return -EAGAIN;
}

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    const struct shim_slot *slot = shim_slot(fd, SHIM_MONITOR);

    if (slot == NULL) {
        return SHIM_REAL(recvmsg)(fd, message, flags);
    }
    socklen_t room = message->msg_namelen;
    long length = raw(SYS_recvmsg, fd, message, flags);
    if (length == 0) {
        length = fall_silent(fd);
    }
    if (length > 0 && message->msg_iovlen > 0) {
        size_t first = message->msg_iov[0].iov_len;
        uint32_t group =
            group_of(message->msg_iov[0].iov_base, (size_t)length < first ? (size_t)length : first);
        fix_credentials(message, group);
        if (message->msg_name != NULL) {
            message->msg_namelen = room;
            put_address(message->msg_name, &message->msg_namelen, 0, group);
        }
    }
    return raw_result(length);
}

SHIM_EXPORT ssize_t recvfrom(int fd, void *restrict data, size_t size, int flags,
                             struct sockaddr *restrict address, socklen_t *restrict address_length)
{
    const struct shim_slot *slot = shim_slot(fd, SHIM_MONITOR);

    if (slot == NULL) {
        return SHIM_REAL(recvfrom)(fd, data, size, flags, address, address_length);
    }
    long length = raw(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
    if (length == 0) {
        length = fall_silent(fd);
    }
    if (length > 0 && address != NULL && address_length != NULL) {
        put_address(address, address_length, 0, group_of(data, (size_t)length));
    }
    return raw_result(length);
}

SHIM_EXPORT ssize_t recv(int fd, void *data, size_t size, int flags)
{
    return shim_slot(fd, SHIM_MONITOR) != NULL ? recvfrom(fd, data, size, flags, NULL, NULL)
                                               : SHIM_REAL(recv)(fd, data, size, flags);
}
