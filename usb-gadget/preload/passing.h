/*
 * One descriptor that goes along with a message on a unix socket.
 */
#ifndef GADGET_PRELOAD_PASSING_H
#define GADGET_PRELOAD_PASSING_H

#include <string.h>
#include <sys/socket.h>

union passing {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
};

/* The message takes `fd` along; nothing when it is negative. */
static inline void passing_give(struct msghdr *message, union passing *passing, int fd)
{
    if (fd >= 0) {
        memset(passing, 0, sizeof *passing);
        passing->head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&passing->head), &fd, sizeof fd);
        message->msg_control = passing;
        message->msg_controllen = sizeof *passing;
    }
}

/* Before recvmsg(): there is room for one. */
static inline void passing_expect(struct msghdr *message, union passing *passing)
{
    message->msg_control = passing;
    message->msg_controllen = sizeof *passing;
}

/* After it: what came along, or -1. */
static inline int passing_take(const struct msghdr *message)
{
    const struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    }
    return fd;
}

#endif
