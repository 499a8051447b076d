/*
 * line-rate DEVICE RATE: opens a serial port at a rate for which termios has no constant, as 14400,
 * and closes it. Static, for the guest: busybox' stty knows only rates that have one.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct termios2 settings;
    char *end = "?";
    unsigned long rate = argc == 3 ? strtoul(argv[2], &end, 10) : 0;
    if (rate == 0 || rate > 10000000 || *end != '\0') {
        fprintf(stderr, "usage: line-rate DEVICE RATE\n");
        return 2;
    }
    int fd = open(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TCGETS2, &settings) != 0) {
        fprintf(stderr, "line-rate: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    settings.c_cflag &= ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT);
    settings.c_cflag |= (tcflag_t)BOTHER;
    settings.c_ospeed = (speed_t)rate;
    settings.c_ispeed = (speed_t)rate;
    if (ioctl(fd, TCSETS2, &settings) != 0) {
        fprintf(stderr, "line-rate: %s: rate %lu: %s\n", argv[1], rate, strerror(errno));
        return 1;
    }
    close(fd);
    return 0;
}
