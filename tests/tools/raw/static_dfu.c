/*
 * static_dfu PORT download ADDRESS FILE | upload ADDRESS SIZE FILE | hang
 *
 * A statically linked flashing tool that knows nothing but the kernel's interface: it finds the
 * board at a port ("1-1") in sysfs and speaks DfuSe through the device node, blocks as URBs that it
 * polls for, all else by USBDEVFS_CONTROL. `hang` waits in a transfer that never ends. A file is at
 * most one sector.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BLOCK        4096
#define SECTOR       0x20000
#define TIMEOUT_MS   5000
#define DNLOAD       1
#define UPLOAD       2
#define GETSTATUS    3
#define ABORT        6
#define SET_ADDRESS  0x21
#define ERASE        0x41
#define STATE_DONE   5
#define TO_INTERFACE 0x21
#define TO_HOST      0xA1

static int node;

static void fail(const char *what)
{
    fprintf(stderr, "static_dfu: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned read_number(const char *port, const char *name)
{
    char path[128], text[16];

    snprintf(path, sizeof path, "/sys/bus/usb/devices/%s/%s", port, name);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) {
        fail(path);
    }
    fclose(file);
    return (unsigned)strtoul(text, NULL, 10);
}

static void open_board(const char *port)
{
    char path[64];
    struct usbdevfs_setinterface setting = {0, 0};
    unsigned interface = 0;

    snprintf(path, sizeof path, "/dev/bus/usb/%03u/%03u", read_number(port, "busnum"),
             read_number(port, "devnum"));
    node = open(path, O_RDWR | O_CLOEXEC);
    if (node < 0) {
        fail(path);
    }
    if (ioctl(node, USBDEVFS_CLAIMINTERFACE, &interface) != 0 ||
        ioctl(node, USBDEVFS_SETINTERFACE, &setting) != 0) {
        fail("claim");
    }
}

static void control(uint8_t type, uint8_t request, uint16_t value, void *data, uint16_t length)
{
    struct usbdevfs_ctrltransfer transfer = {type, request, value, 0, length, TIMEOUT_MS, data};

    if (ioctl(node, USBDEVFS_CONTROL, &transfer) != length) {
        fail("control transfer");
    }
}

static void await_done(void)
{
    uint8_t status[6];

    do {
        control(TO_HOST, GETSTATUS, 0, status, sizeof status);
        if (status[0] != 0) {
            fail("status");
        }
        poll(NULL, 0, status[1] | status[2] << 8);
    } while (status[4] != STATE_DONE);
}

/* A block as an URB, until poll() says that it has ended. */
static void download_block(uint16_t value, const uint8_t *data, size_t length)
{
    static uint8_t buffer[8 + BLOCK];
    const uint8_t setup[8] = {
        TO_INTERFACE,          DNLOAD, (uint8_t)value, (uint8_t)(value >> 8), 0, 0, (uint8_t)length,
        (uint8_t)(length >> 8)};
    struct usbdevfs_urb urb = {.type = USBDEVFS_URB_TYPE_CONTROL,
                               .buffer = buffer,
                               .buffer_length = (int)(sizeof setup + length)};
    struct usbdevfs_urb *ended = NULL;
    struct pollfd ready = {.fd = node, .events = POLLOUT};

    memcpy(buffer, setup, sizeof setup);
    memcpy(buffer + sizeof setup, data, length);
    if (ioctl(node, USBDEVFS_SUBMITURB, &urb) != 0) {
        fail("submit");
    }
    while (ioctl(node, USBDEVFS_REAPURBNDELAY, &ended) != 0) {
        if (errno != EAGAIN || poll(&ready, 1, TIMEOUT_MS) != 1) {
            fail("reap");
        }
    }
    if (ended != &urb || urb.status != 0 || urb.actual_length != (int)length) {
        errno = urb.status != 0 ? -urb.status : EPROTO;
        fail("block");
    }
    await_done();
}

static void command(uint8_t number, uint32_t address)
{
    const uint8_t data[5] = {number, (uint8_t)address, (uint8_t)(address >> 8),
                             (uint8_t)(address >> 16), (uint8_t)(address >> 24)};

    download_block(0, data, sizeof data);
}

static void download(uint32_t address, const char *path)
{
    static uint8_t data[SECTOR];
    FILE *file = fopen(path, "rb");
    size_t size = file != NULL ? fread(data, 1, sizeof data, file) : 0;

    if (size == 0) {
        fail(path);
    }
    fclose(file);
    command(ERASE, address);
    command(SET_ADDRESS, address);
    for (size_t at = 0; at < size; at += BLOCK) {
        download_block((uint16_t)(2 + at / BLOCK), data + at,
                       size - at < BLOCK ? size - at : BLOCK);
    }
}

static void upload(uint32_t address, size_t size, const char *path)
{
    uint8_t block[BLOCK];
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        fail(path);
    }
    command(SET_ADDRESS, address);
    control(TO_INTERFACE, ABORT, 0, NULL, 0);
    for (size_t at = 0; at < size; at += BLOCK) {
        uint16_t length = (uint16_t)(size - at < BLOCK ? size - at : BLOCK);
        control(TO_HOST, UPLOAD, (uint16_t)(2 + at / BLOCK), block, length);
        if (fwrite(block, 1, length, file) != length) {
            fail(path);
        }
    }
    if (fclose(file) != 0) {
        fail(path);
    }
}

/* A request that the bootloader never answers, without a timeout. */
static void hang(void)
{
    uint8_t data[6];
    struct usbdevfs_ctrltransfer transfer = {0xC1, GETSTATUS, 0, 0, sizeof data, 0, data};

    puts("hanging");
    fflush(stdout);
    if (ioctl(node, USBDEVFS_CONTROL, &transfer) < 0) {
        fail("hang");
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: static_dfu PORT download|upload|hang ...\n");
        return 2;
    }
    open_board(argv[1]);
    if (argc == 5 && strcmp(argv[2], "download") == 0) {
        download((uint32_t)strtoul(argv[3], NULL, 16), argv[4]);
    } else if (argc == 6 && strcmp(argv[2], "upload") == 0) {
        upload((uint32_t)strtoul(argv[3], NULL, 16), strtoul(argv[4], NULL, 10), argv[5]);
    } else {
        hang();
    }
    return 0;
}
