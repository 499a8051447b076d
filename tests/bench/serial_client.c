/* serial_client [FILE]: a program at a Photon's serial port. Prints the microseconds that the
 * console's reply to `s` takes, or with a file those of sending it by YMODEM, up to what the board
 * says of it. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/support_ymodem.h"

#define PORT       "/dev/ttyACM0"
#define PATIENCE   20000 /* ms */
#define WARM_UP    20
#define QUESTIONS  500
#define EOT        "\x04"
#define ACK        "\x06"
#define ACK_AND_C  "\x06\x43"
#define FILE_MAX   (256 * 1024)
#define BLOCK_SIZE 1024

static int port;

static void give_up(const char *why)
{
    fprintf(stderr, "serial_client: %s\n", why);
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void open_port(void)
{
    struct termios settings;

    port = open(PORT, O_RDWR | O_NOCTTY);
    if (port < 0 || tcgetattr(port, &settings) != 0) {
        give_up("no " PORT);
    }
    settings.c_iflag = 0;
    settings.c_oflag = 0;
    settings.c_lflag = 0;
    if (tcsetattr(port, TCSANOW, &settings) != 0) {
        give_up(PORT " does not take its settings");
    }
}

static void say(const void *data, size_t length)
{
    if (write(port, data, length) != (ssize_t)length) {
        give_up("the port takes less than a packet");
    }
}

/* Reads until the answer ends so. */
static void hear(const char *end)
{
    struct pollfd waiting = {.fd = port, .events = POLLIN};
    char heard[4096];
    size_t length = 0, wanted = strlen(end);

    while (length < wanted || memcmp(heard + length - wanted, end, wanted) != 0) {
        if (length == sizeof heard || poll(&waiting, 1, PATIENCE) != 1) {
            give_up("the board says something else");
        }
        ssize_t got = read(port, heard + length, sizeof heard - length);
        if (got <= 0) {
            give_up("the board is gone");
        }
        length += (size_t)got;
    }
}

static void say_packet(uint8_t type, uint8_t number, const void *data, size_t length)
{
    uint8_t packet[YMODEM_PACKET_MAX];

    say(packet, ymodem_packet(packet, type, number, data, length));
}

static void send_file(const uint8_t *data, size_t size)
{
    char header[32] = "part1.bin";
    size_t name = strlen(header) + 1;
    int digits = snprintf(header + name, sizeof header - name, "%zu ", size);
    uint8_t number = 1;

    say("f", 1);
    hear("abort)\r\n");
    say_packet(YMODEM_SOH, 0, header, name + (size_t)digits);
    hear(ACK_AND_C);
    for (size_t at = 0; at < size; at += BLOCK_SIZE) {
        size_t left = size - at;

        say_packet(YMODEM_STX, number++, data + at, left < BLOCK_SIZE ? left : BLOCK_SIZE);
        hear(ACK);
    }
    say(EOT, 1);
    hear(ACK);
    say_packet(YMODEM_SOH, 0, NULL, 0);
    hear(" bytes\r\n");
}

static void ask(unsigned questions)
{
    for (unsigned i = 0; i < questions; i++) {
        say("s", 1);
        hear("]}\r\n");
    }
}

int main(int argc, char *argv[])
{
    static uint8_t data[FILE_MAX];
    double start;
    size_t size = 0;

    if (argc > 1) {
        FILE *file = fopen(argv[1], "rb");

        if (file == NULL || (size = fread(data, 1, sizeof data, file)) == 0) {
            give_up("no file to send");
        }
        fclose(file);
    }
    open_port();
    if (size > 0) {
        start = now();
        send_file(data, size);
        printf("%.3f\n", now() - start);
    } else {
        ask(WARM_UP);
        start = now();
        ask(QUESTIONS);
        printf("%.3f\n", (now() - start) / QUESTIONS);
    }
    close(port);
    return 0;
}
