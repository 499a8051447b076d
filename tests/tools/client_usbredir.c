/*
 * A usb-guest without a guest: finds a board over usbredir as QEMU does and uses it.
 *
 *   client_usbredir SOCKET list                        the device that is there
 *   client_usbredir SOCKET download ADDRESS FILE       DfuSe, as dfu-util does it
 *   client_usbredir SOCKET upload ADDRESS LENGTH FILE
 *   client_usbredir SOCKET leave                       and what is there afterwards
 *   client_usbredir SOCKET serial TEXT ANSWER          waits for ANSWER on the serial port
 *
 * SOCKET is a path, or 127.0.0.1:PORT. Exit code 0, or 1 with a line that says what went wrong.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/support_guest.h"

#define BLOCK         4096
#define FIRST_BLOCK   2
#define STATE_BUSY    4
#define LONGEST_ERASE 100 /* polls */

static struct guest guest;

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "client_usbredir: %s\n", what);
    exit(1);
}

static const struct guest_packet *expect(uint32_t type, const char *what)
{
    const struct guest_packet *packet = guest_next(&guest);

    if (packet == NULL) {
        fail(guest.gone ? "the other side hung up" : what);
    }
    if (packet->type != type) {
        fprintf(stderr, "client_usbredir: packet of type %u, not %u: ", packet->type, type);
        fail(what);
    }
    return packet;
}

/* --- connecting --- */

static int dial(const char *name)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *port = strchr(name, '/') == NULL ? strchr(name, ':') : NULL;
    int fd = socket(port != NULL ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
    int result = -1;

    if (port != NULL) {
        in.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
        result = connect(fd, (const struct sockaddr *)&in, sizeof in);
    } else {
        snprintf(un.sun_path, sizeof un.sun_path, "%s", name);
        result = connect(fd, (const struct sockaddr *)&un, sizeof un);
    }
    if (result != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        fail("cannot connect");
    }
    return fd;
}

static struct usb_redir_device_connect_header expect_device(void)
{
    (void)expect(usb_redir_ep_info, "endpoints");
    (void)expect(usb_redir_interface_info, "interfaces");
    return expect(usb_redir_device_connect, "a device")->head.device;
}

static void list(const struct usb_redir_device_connect_header *device)
{
    printf("%04x:%04x version %04x, %s speed\n", device->vendor_id, device->product_id,
           device->device_version_bcd, device->speed == usb_redir_speed_full ? "full" : "another");
}

static void configure(void)
{
    guest_reset(&guest);
    (void)guest_set_configuration(&guest, 1);
    (void)expect(usb_redir_ep_info, "endpoints");
    (void)expect(usb_redir_interface_info, "interfaces");
    if (expect(usb_redir_configuration_status, "a configuration")->head.configuration.status !=
        usb_redir_success) {
        fail("it cannot be configured");
    }
}

/* --- DFU --- */

static uint8_t control(uint8_t type, uint8_t request, uint16_t value, void *data, uint16_t length,
                       const char *what)
{
    const uint8_t setup[8] = {type, request, (uint8_t)value,  (uint8_t)(value >> 8),
                              0,    0,       (uint8_t)length, (uint8_t)(length >> 8)};

    (void)guest_control(&guest, setup, data);
    const struct guest_packet *packet = expect(usb_redir_control_packet, what);
    if (packet->data != NULL && data != NULL) {
        memcpy(data, packet->data, packet->length < length ? packet->length : length);
    }
    return packet->head.control.status;
}

static uint8_t state(void)
{
    uint8_t status[6] = {0};

    if (control(0xA1, 3, 0, status, sizeof status, "GETSTATUS") != usb_redir_success) {
        fail("GETSTATUS failed");
    }
    return status[4];
}

static void write_block(uint16_t number, void *data, uint16_t length)
{
    unsigned polls = 0;

    if (control(0x21, 1, number, data, length, "DNLOAD") != usb_redir_success) {
        fail("DNLOAD failed");
    }
    while (state() == STATE_BUSY) {
        if (++polls == LONGEST_ERASE) {
            fail("busy for ever");
        }
    }
}

static void command(uint8_t number, uint32_t address)
{
    uint8_t bytes[5] = {number, (uint8_t)address, (uint8_t)(address >> 8), (uint8_t)(address >> 16),
                        (uint8_t)(address >> 24)};

    write_block(0, bytes, sizeof bytes);
}

static void idle(void)
{
    (void)control(0x21, 6, 0, NULL, 0, "ABORT");
    if (state() != 2) {
        (void)control(0x21, 4, 0, NULL, 0, "CLRSTATUS");
        (void)state();
    }
}

static void download(uint32_t address, const char *path)
{
    uint8_t block[BLOCK];
    FILE *file = fopen(path, "rb");
    size_t length;
    uint32_t erased = 0;

    if (file == NULL) {
        fail("cannot read the file");
    }
    idle();
    while ((length = fread(block, 1, sizeof block, file)) > 0) {
        /* Sectors of 128 KiB, which is what there is from 0x08020000 on. */
        if (address >> 17 != erased) {
            erased = address >> 17;
            command(0x41, address);
        }
        command(0x21, address);
        write_block(FIRST_BLOCK, block, (uint16_t)length);
        address += (uint32_t)length;
    }
    fclose(file);
}

static void upload(uint32_t address, size_t length, const char *path)
{
    uint8_t block[BLOCK];
    FILE *file = fopen(path, "wb");
    uint16_t number = FIRST_BLOCK;

    if (file == NULL) {
        fail("cannot write the file");
    }
    command(0x21, address);
    (void)control(0x21, 6, 0, NULL, 0, "ABORT");
    while (length > 0) {
        size_t count = length < BLOCK ? length : BLOCK;
        if (control(0xA1, 2, number++, block, (uint16_t)count, "UPLOAD") != usb_redir_success) {
            fail("UPLOAD failed");
        }
        fwrite(block, 1, count, file);
        length -= count;
    }
    fclose(file);
}

static void leave(void)
{
    uint8_t status[6] = {0};

    (void)control(0x21, 1, 0, NULL, 0, "an empty DNLOAD");
    printf("status of GETSTATUS: %u\n", control(0xA1, 3, 0, status, sizeof status, "GETSTATUS"));
    (void)expect(usb_redir_device_disconnect, "the device to leave");
    const struct usb_redir_device_connect_header device = expect_device();
    list(&device);
}

/* --- the serial port --- */

static void serial(const char *text, const char *answer)
{
    char heard[4096] = "";
    size_t length = 0;

    (void)guest_bulk(&guest, 0x01, text, (uint32_t)strlen(text));
    if (expect(usb_redir_bulk_packet, "the text to go out")->head.bulk.status !=
        usb_redir_success) {
        fail("the text did not go out");
    }
    while (strstr(heard, answer) == NULL) {
        (void)guest_bulk(&guest, 0x81, NULL, 512);
        const struct guest_packet *packet = expect(usb_redir_bulk_packet, heard);
        if (packet->length >= sizeof heard - length) {
            fail("it says too much");
        }
        if (packet->length > 0) {
            memcpy(heard + length, packet->data, packet->length);
        }
        length += packet->length;
    }
    printf("%s", heard);
}

/* --- the command line --- */

static bool is(const char *given, const char *name, int count, int expected)
{
    return strcmp(given, name) == 0 && count == expected;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fail("a socket and a command expected");
    }
    const char *what = argv[2];
    const int count = argc - 3;

    if (!guest_open(&guest, dial(argv[1]), guest_caps_qemu)) {
        fail("memory is short");
    }
    guest.patience_ms = 60000;
    (void)expect(usb_redir_hello, "a hello");
    const struct usb_redir_device_connect_header device = expect_device();
    if (is(what, "list", count, 0)) {
        list(&device);
        guest_close(&guest);
        return 0;
    }
    configure();
    if (is(what, "download", count, 2)) {
        download((uint32_t)strtoul(argv[3], NULL, 0), argv[4]);
    } else if (is(what, "upload", count, 3)) {
        upload((uint32_t)strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0), argv[5]);
    } else if (is(what, "leave", count, 0)) {
        leave();
    } else if (is(what, "serial", count, 2)) {
        serial(argv[3], argv[4]);
    } else {
        fail("list, download ADDRESS FILE, upload ADDRESS LENGTH FILE, leave or serial TEXT ANSWER "
             "expected");
    }
    guest_close(&guest);
    return 0;
}
