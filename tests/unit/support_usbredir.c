#include "tests/unit/support_usbredir.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Board time of one idle turn, and how many of them nothing may come. */
#define TURN_NS   (5 * BOARD_NS_PER_MS)
#define TURNS_MAX 1200

struct redir redir;
struct script_board redir_script;

/* --- life --- */

static void say(void *context, const char *line)
{
    struct redir *all = context;

    snprintf(all->said, sizeof all->said, "%s", line);
    all->lines++;
}

void redir_begin(struct board *board)
{
    memset(&redir, 0, sizeof redir);
    redir.base = event_base_new();
    redir.board = board;
    root_port_init(&redir.port, board, true);
    ck_assert(outlet_init(&redir.outlet, redir.base, &redir.port, "board", 1));
    redir.server = usbredir_server_new(redir.base, &redir.outlet, -1, say, &redir);
    ck_assert_ptr_nonnull(redir.server);
}

void redir_leave(void)
{
    if (redir.guest.parser != NULL) {
        guest_close(&redir.guest);
        redir.guest.parser = NULL;
    }
}

void redir_end(void)
{
    redir_leave();
    usbredir_server_free(redir.server);
    outlet_free(&redir.outlet);
    event_base_free(redir.base);
    if (redir.board->ops->destroy != NULL) {
        redir.board->ops->destroy(redir.board);
    }
}

int redir_dial(void)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ck_assert_int_ne(fcntl(pair[0], F_SETFL, O_NONBLOCK), -1);
    usbredir_server_accept(redir.server, pair[1]);
    return pair[0];
}

/* --- time --- */

void redir_turn(void)
{
    for (int i = 0; i < 8; i++) {
        ck_assert_int_ge(event_base_loop(redir.base, EVLOOP_NONBLOCK), 0);
    }
}

void redir_pass(uint64_t ns)
{
    board_advance(redir.board, ns);
    root_port_poll(&redir.port);
    (void)root_port_run(&redir.port);
    redir_turn();
}

static bool has_come(const struct guest *guest)
{
    struct pollfd one = {.fd = guest->fd, .events = POLLIN};

    return poll(&one, 1, 0) == 1;
}

static bool work(struct guest *guest)
{
    redir_turn();
    if (!has_come(guest) && redir.idle < TURNS_MAX) {
        redir.idle++;
        redir_pass(TURN_NS);
        return true;
    }
    bool more = has_come(guest) && !guest->gone;
    redir.idle = 0;
    return more;
}

static bool stand_still(struct guest *guest)
{
    redir_turn();
    return has_come(guest) && !guest->gone;
}

/* --- a guest --- */

void redir_guest(const int *caps)
{
    ck_assert(guest_open(&redir.guest, redir_dial(), caps));
    redir.guest.work = work;
    (void)redir_expect(usb_redir_hello);
}

const struct guest_packet *redir_expect(uint32_t type)
{
    const struct guest_packet *packet = guest_next(&redir.guest);

    ck_assert_msg(packet != NULL, "packet of type %u expected, nothing came; %s", type, redir.said);
    ck_assert_msg(packet->type == type, "packet of type %u expected, %u found", type, packet->type);
    return packet;
}

void redir_expect_nothing(void)
{
    redir.guest.work = stand_still;
    const struct guest_packet *packet = guest_next(&redir.guest);
    redir.guest.work = work;
    ck_assert_msg(packet == NULL, "nothing expected, a packet of type %u found", packet->type);
}

struct usb_redir_device_connect_header redir_expect_device(void)
{
    (void)redir_expect(usb_redir_ep_info);
    (void)redir_expect(usb_redir_interface_info);
    return redir_expect(usb_redir_device_connect)->head.device;
}

uint8_t redir_control(const uint8_t setup[8], void *data, size_t *actual)
{
    const uint64_t id = guest_control(&redir.guest, setup, data);
    const struct guest_packet *packet = redir_expect(usb_redir_control_packet);

    ck_assert_uint_eq(packet->id, id);
    ck_assert_uint_eq(packet->head.control.request, setup[1]);
    ck_assert_uint_eq(packet->head.control.requesttype, setup[0]);
    if (packet->data != NULL && data != NULL) {
        memcpy(data, packet->data, packet->length);
    }
    if (actual != NULL) {
        *actual = packet->head.control.length;
    }
    return packet->head.control.status;
}

void redir_enumerate(void)
{
    static const uint8_t get_device[8] = {0x80, 6, 0, 1, 0, 0, 18};
    uint8_t device[18];
    size_t actual;

    guest_reset(&redir.guest);
    ck_assert_uint_eq(redir_control(get_device, device, &actual), usb_redir_success);
    ck_assert_uint_eq(actual, sizeof device);
    (void)guest_set_configuration(&redir.guest, 1);
    (void)redir_expect(usb_redir_ep_info);
    (void)redir_expect(usb_redir_interface_info);
    ck_assert_uint_eq(redir_expect(usb_redir_configuration_status)->head.configuration.status,
                      usb_redir_success);
}

/* --- a scripted board --- */

static const uint8_t script_device[18] = {0x12, 0x01, 0x00, 0x02, 0x02, 0x00, 0x00, 0x40, 0x34,
                                          0x12, 0x78, 0x56, 0x01, 0x01, 0x00, 0x00, 0x00, 0x01};
/* clang-format off */
static const uint8_t script_config[55] = {
    9, 2, 55, 0, 2, 1, 0, 0xC0, 0x32,
    9, 4, 0, 0, 1, 2, 2, 1, 0,
    7, 5, 0x82, 3, 8, 0, 16,
    9, 4, 1, 0, 0, 10, 0, 0, 0,
    7, 5, 0x01, 2, 64, 0, 0,
    7, 5, 0x81, 2, 64, 0, 0,
    7, 5, 0x03, 3, 8, 0, 16,
};
/* clang-format on */

#define SETUP                                                                                      \
    {                                                                                              \
        .token = USB_TOKEN_SETUP                                                                   \
    }
#define IN(bytes, size)                                                                            \
    {                                                                                              \
        .token = USB_TOKEN_IN, .data = (bytes), .length = (size)                                   \
    }
#define OUT                                                                                        \
    {                                                                                              \
        .token = USB_TOKEN_OUT                                                                     \
    }

static const struct script_row script_enumeration[] = {
    SETUP,
    IN(script_device, 8),
    OUT,
    SETUP,
    IN(NULL, 0),
    SETUP,
    IN(script_device, 18),
    OUT,
    SETUP,
    IN(script_config, 9),
    OUT,
    SETUP,
    IN(script_config, sizeof script_config),
    OUT,
    SETUP,
    IN(NULL, 0),
};

void redir_play(const struct script_row *rows, size_t count)
{
    redir_script.rows = rows;
    redir_script.count = count;
    redir_script.at = 0;
    redir_script.repeated = 0;
    redir_script.unexpected = 0;
    redir_script.naks = rows == NULL;
}

void redir_begin_script(void)
{
    script_board_init(&redir_script, script_enumeration,
                      sizeof script_enumeration / sizeof script_enumeration[0]);
    redir_begin(&redir_script.board);
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    ck_assert(script_board_finished(&redir_script));
    redir_play(NULL, 0);
}
