#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support_usbip.h"

struct usbip_server *usbip;
struct outlet usbip_outlets[USBIP_BOARDS];
struct board *usbip_boards[USBIP_BOARDS];

static struct event_base *base;
static struct root_port ports[USBIP_BOARDS];

const uint8_t usbip_get_status[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};
const uint8_t usbip_stalled[8] = {0x80, 6, 0, 0x0F, 0, 0, 5, 0};
const uint8_t usbip_unanswered[8] = {0x00, 3, 2, 0, 0, 0, 0, 0};

void usbip_turn(void)
{
    for (int i = 0; i < 6; i++) {
        ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    }
}

int usbip_dial(void)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert(usbip_server_accept(usbip, pair[0]));
    return pair[1];
}

void usbip_say(int client, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    while (length > 0) {
        ssize_t sent = send(client, at, length, MSG_NOSIGNAL);
        ck_assert_msg(sent > 0, "%zu bytes not taken: %s", length, strerror(errno));
        at += sent;
        length -= (size_t)sent;
        usbip_turn();
    }
}

void usbip_say_words(int client, const uint32_t *words, size_t count)
{
    uint32_t bytes[64];

    ck_assert_uint_le(count, 64);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = htonl(words[i]);
    }
    usbip_say(client, bytes, 4 * count);
}

ssize_t usbip_hear(int client, void *bytes, size_t size)
{
    usbip_turn();
    return recv(client, bytes, size, MSG_DONTWAIT);
}

void usbip_expect(int client, void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size > 0) {
        ssize_t count = usbip_hear(client, at, size);
        ck_assert_msg(count > 0, "%zu bytes missing", size);
        at += count;
        size -= (size_t)count;
    }
}

uint32_t usbip_word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

bool usbip_is_closed(int client)
{
    uint8_t bytes[4096];
    ssize_t count;

    do {
        count = usbip_hear(client, bytes, sizeof bytes);
    } while (count > 0);
    return count == 0 || errno == ECONNRESET;
}

uint32_t usbip_ask_import(int client, const char *busid)
{
    uint8_t request[40] = {0x01, 0x11, 0x80, 0x03}, reply[8], device[0x138];

    ck_assert_int_lt(snprintf((char *)request + 8, 32, "%s", busid), 32);
    usbip_say(client, request, sizeof request);
    usbip_expect(client, reply, sizeof reply);
    ck_assert_uint_eq(usbip_word(reply), 0x01110003);
    if (usbip_word(reply + 4) == 0) {
        usbip_expect(client, device, sizeof device);
        ck_assert_str_eq((char *)device + 0x100, busid);
    }
    return usbip_word(reply + 4);
}

int usbip_imported(void)
{
    int client = usbip_dial();

    ck_assert_uint_eq(usbip_ask_import(client, "1-1"), 0);
    return client;
}

void usbip_say_control(int client, uint32_t seqnum, const uint8_t setup[8], const void *data)
{
    const bool in = setup[0] & 0x80;
    const uint32_t length = setup[6] | (uint32_t)setup[7] << 8;
    const uint32_t words[] = {1, seqnum, USBIP_DEVID, in, 0, in ? 0x200 : 0, length, 0, 0, 0};

    usbip_say_words(client, words, sizeof words / sizeof words[0]);
    usbip_say(client, setup, 8);
    if (!in) {
        usbip_say(client, data, length);
    }
}

void usbip_say_unlink(int client, uint32_t seqnum, uint32_t victim)
{
    const uint32_t words[12] = {2, seqnum, USBIP_DEVID, 0, 0, victim};

    usbip_say_words(client, words, 12);
}

uint32_t usbip_expect_return(int client, uint32_t code, uint32_t seqnum, int32_t status)
{
    uint8_t bytes[48];

    usbip_expect(client, bytes, sizeof bytes);
    ck_assert_uint_eq(usbip_word(bytes), code);
    ck_assert_uint_eq(usbip_word(bytes + 4), seqnum);
    ck_assert_int_eq((int32_t)usbip_word(bytes + 0x14), status);
    return usbip_word(bytes + 0x18);
}

/* --- fixtures --- */

void usbip_set_up(void)
{
    static const char *const names[USBIP_BOARDS] = {"one", "two"};

    base = event_base_new();
    for (unsigned i = 0; i < USBIP_BOARDS; i++) {
        usbip_boards[i] = test_board_dfu(i == 0 ? IMAGE_3B : IMAGE_1006);
        root_port_init(&ports[i], usbip_boards[i], true);
        ck_assert(outlet_init(&usbip_outlets[i], base, &ports[i], names[i], i + 1));
    }
    usbip = usbip_server_new(base, usbip_outlets, USBIP_BOARDS);
    ck_assert_ptr_nonnull(usbip);
}

void usbip_tear_down(void)
{
    usbip_server_free(usbip);
    for (unsigned i = 0; i < USBIP_BOARDS; i++) {
        outlet_free(&usbip_outlets[i]);
        usbip_boards[i]->ops->destroy(usbip_boards[i]);
    }
    event_base_free(base);
}

void usbip_unplug(unsigned index)
{
    usbip_boards[index]->ops->power(usbip_boards[index], false);
    root_port_poll(&ports[index]);
    usbip_turn();
}
