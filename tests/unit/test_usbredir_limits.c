/* What a usbredir client cannot do: nonsense, greed, deafness, and another's board. */
#include <check.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <usbredirfilter.h>

#include "tests/unit/support_dfu_board.h"
#include "tests/unit/support_usbredir.h"
#include "usb-gadget/usbredir/peer.h"

static uint8_t bytes[USBREDIR_TRANSFER_MAX + 64];

static void begin(void)
{
    struct board *board = dfu_board_fresh("0.5.2", false);

    ck_assert_ptr_nonnull(board);
    ck_assert(dfu_board_enter(board));
    redir_begin(board);
}

/* --- nonsense --- */

/* The packets of a client as bytes. All numbers are little-endian; a header of 12 bytes before the
 * capabilities are known or without 64-bit ids. */
struct stream {
    uint8_t bytes[512];
    size_t length;
};

static void put_u32(struct stream *stream, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        stream->bytes[stream->length++] = (uint8_t)(value >> 8 * i);
    }
}

static void put_head(struct stream *stream, uint32_t type, uint32_t length)
{
    put_u32(stream, type);
    put_u32(stream, length);
    put_u32(stream, 0);
}

static void put_hello(struct stream *stream)
{
    put_head(stream, usb_redir_hello, 68);
    memset(stream->bytes + stream->length, 'x', 64); /* no NUL at the end */
    stream->length += 64;
    put_u32(stream, 0);
}

static void put_bytes(struct stream *stream, const void *data, size_t length)
{
    memcpy(stream->bytes + stream->length, data, length);
    stream->length += length;
}

static void no_hello(struct stream *stream)
{
    put_head(stream, usb_redir_reset, 0);
}

static void two_hellos(struct stream *stream)
{
    put_hello(stream);
    put_hello(stream);
}

static void unknown_type(struct stream *stream)
{
    put_hello(stream);
    put_head(stream, 77, 0);
}

static void host_packet(struct stream *stream)
{
    put_hello(stream);
    put_head(stream, usb_redir_device_connect, 10);
}

static void too_long(struct stream *stream)
{
    put_hello(stream);
    put_head(stream, usb_redir_bulk_packet, 0x7FFFFFFF);
}

static void longest(struct stream *stream)
{
    put_hello(stream);
    put_head(stream, usb_redir_bulk_packet, 0xFFFFFFFF);
}

static void long_hello(struct stream *stream)
{
    put_head(stream, usb_redir_hello, 0x10000000);
}

static void header_cut_short(struct stream *stream)
{
    put_hello(stream);
    put_head(stream, usb_redir_control_packet, 3);
    put_bytes(stream, "abc", 3);
}

static void data_where_none_belongs(struct stream *stream)
{
    static const uint8_t head[10] = {0x80, 6, 0x80, 0, 0, 1, 0, 0, 18, 0};

    put_hello(stream);
    put_head(stream, usb_redir_control_packet, sizeof head + 18);
    put_bytes(stream, head, sizeof head);
    put_bytes(stream, bytes, 18);
}

static void less_data_than_announced(struct stream *stream)
{
    static const uint8_t head[10] = {0x00, 1, 0x21, 0, 0, 0, 0, 0, 64, 0};

    put_hello(stream);
    put_head(stream, usb_redir_control_packet, sizeof head + 8);
    put_bytes(stream, head, sizeof head);
    put_bytes(stream, bytes, 8);
}

static void bulk_receiving(struct stream *stream)
{
    put_hello(stream);
    put_head(stream, usb_redir_start_bulk_receiving, 10);
    put_bytes(stream, "\0\0\0\0\0\2\0\0\x81\5", 10);
}

static const struct {
    void (*make)(struct stream *stream);
    const char *fault;
} nonsense[] = {
    {no_hello, "a packet of type 3 found, a hello expected"},
    {two_hellos, "a second hello"},
    {unknown_type, "invalid usb-redir packet type: 77"},
    {host_packet, "invalid usb-redir packet type: 1"},
    {too_long, "a packet of type 101 with 2147483647 bytes found, at most 1048640 expected"},
    {longest, "a packet of type 101 with 4294967295 bytes found, at most 1048640 expected"},
    {long_hello, "a packet of type 0 with 268435456 bytes found, at most 1048640 expected"},
    {header_cut_short, "invalid packet type 100 length: 3"},
    {data_where_none_belongs, "unexpected extra data ep 80"},
    {less_data_than_announced, "data len 8 != header len 64 ep 00"},
    {bulk_receiving, "bulk_receiving without cap_bulk_receiving"},
};
#define NONSENSE (int)(sizeof nonsense / sizeof nonsense[0])

static bool is_closed(int fd)
{
    uint8_t buffer[4096];
    ssize_t length;

    redir_turn();
    do {
        length = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    } while (length > 0);
    return length == 0;
}

START_TEST(test_nonsense_ends_the_client_with_one_line_and_the_next_is_served)
{
    struct stream stream = {.length = 0};

    begin();
    nonsense[_i].make(&stream);
    int fd = redir_dial();
    ck_assert_int_eq(send(fd, stream.bytes, stream.length, MSG_NOSIGNAL), (ssize_t)stream.length);
    ck_assert(is_closed(fd));
    ck_assert_uint_eq(redir.lines, 1);
    ck_assert_ptr_nonnull(strstr(redir.said, "client sent away: "));
    ck_assert_msg(strstr(redir.said, nonsense[_i].fault), "\"%s\" in \"%s\"", nonsense[_i].fault,
                  redir.said);
    close(fd);
    ck_assert(!outlet_taken(&redir.outlet));
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    redir_enumerate();
}
END_TEST

/* The same bytes one at a time are the same nonsense. */
START_TEST(test_nonsense_in_single_bytes_is_no_less)
{
    struct stream stream = {.length = 0};

    begin();
    nonsense[_i].make(&stream);
    int fd = redir_dial();
    for (size_t i = 0; i < stream.length && redir.lines == 0; i++) {
        ck_assert_int_eq(send(fd, stream.bytes + i, 1, MSG_NOSIGNAL), 1);
        redir_turn();
    }
    ck_assert(is_closed(fd));
    ck_assert_msg(strstr(redir.said, nonsense[_i].fault), "\"%s\" in \"%s\"", nonsense[_i].fault,
                  redir.said);
    close(fd);
}
END_TEST

START_TEST(test_a_client_that_leaves_in_the_middle_of_a_packet_is_no_nonsense)
{
    struct stream stream = {.length = 0};

    begin();
    put_hello(&stream);
    put_head(&stream, usb_redir_bulk_packet, 1000);
    int fd = redir_dial();
    ck_assert_int_gt(send(fd, stream.bytes, stream.length, MSG_NOSIGNAL), 0);
    redir_turn();
    ck_assert(outlet_taken(&redir.outlet));
    close(fd);
    redir_turn();
    ck_assert(!outlet_taken(&redir.outlet));
    ck_assert_str_eq(redir.said, "");
}
END_TEST

/* --- requests that a well-formed packet can make --- */

static uint8_t bulk_status(uint8_t endpoint, uint32_t length)
{
    const uint64_t id = guest_bulk(&redir.guest, endpoint, bytes, length);
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);

    ck_assert_uint_eq(packet->id, id);
    ck_assert_uint_eq(packet->head.bulk.length, 0);
    return packet->head.bulk.status;
}

START_TEST(test_transfers_that_no_endpoint_can_carry_are_invalid)
{
    redir_begin_script();
    ck_assert_uint_eq(bulk_status(0x85, 64), usb_redir_inval);
    ck_assert_uint_eq(bulk_status(0x82, 64), usb_redir_inval); /* an interrupt endpoint */
    ck_assert_uint_eq(bulk_status(0x80, 64), usb_redir_inval);
    ck_assert_uint_eq(bulk_status(0xF1, 64), usb_redir_inval);
    ck_assert_uint_eq(bulk_status(0x81, USBREDIR_TRANSFER_MAX + 1), usb_redir_inval);
    ck_assert_uint_eq(bulk_status(0x81, 100 << 20), usb_redir_inval);
    (void)guest_bulk(&redir.guest, 0x81, NULL, USBREDIR_TRANSFER_MAX);
    redir_expect_nothing();
    ck_assert_uint_eq(redir_script.unexpected, 0);
}
END_TEST

/* The endpoint in the packet says which way the data go, the request says it to the board. */
START_TEST(test_a_control_request_that_contradicts_itself_is_invalid)
{
    struct usb_redir_control_packet_header head = {
        .endpoint = 0x80, .requesttype = 0x21, .request = 1, .length = 64};

    begin();
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    usbredirparser_send_control_packet(redir.guest.parser, 5, &head, NULL, 0);
    const struct guest_packet *packet = redir_expect(usb_redir_control_packet);
    ck_assert_uint_eq(packet->id, 5);
    ck_assert_uint_eq(packet->head.control.status, usb_redir_inval);
    head = (struct usb_redir_control_packet_header){
        .endpoint = 0x00, .requesttype = 0x80, .request = 6, .length = 8};
    usbredirparser_send_control_packet(redir.guest.parser, 6, &head, bytes, 8);
    ck_assert_uint_eq(redir_expect(usb_redir_control_packet)->head.control.status, usb_redir_inval);
    head = (struct usb_redir_control_packet_header){
        .endpoint = 0x81, .requesttype = 0x80, .request = 6, .length = 8};
    usbredirparser_send_control_packet(redir.guest.parser, 7, &head, NULL, 0);
    ck_assert_uint_eq(redir_expect(usb_redir_control_packet)->head.control.status, usb_redir_inval);
}
END_TEST

START_TEST(test_isochronous_transfers_and_streams_are_refused)
{
    struct usb_redir_start_iso_stream_header start = {.endpoint = 0x83};
    struct usb_redir_stop_iso_stream_header stop = {.endpoint = 0x83};
    struct usb_redir_iso_packet_header packet = {.endpoint = 0x03, .length = 8};
    struct usb_redir_alloc_bulk_streams_header streams = {.endpoints = 2, .no_streams = 4};
    struct usb_redir_free_bulk_streams_header no_streams = {.endpoints = 2};
    struct usb_redir_bulk_packet_header bulk = {.endpoint = 0x81, .length = 8, .stream_id = 1};

    redir_begin_script();
    struct usbredirparser *parser = redir.guest.parser;
    usbredirparser_send_start_iso_stream(parser, 1, &start);
    ck_assert_uint_eq(redir_expect(usb_redir_iso_stream_status)->head.iso.status, usb_redir_inval);
    usbredirparser_send_iso_packet(parser, 2, &packet, bytes, 8);
    ck_assert_uint_eq(redir_expect(usb_redir_iso_stream_status)->head.iso.status, usb_redir_inval);
    usbredirparser_send_stop_iso_stream(parser, 3, &stop);
    ck_assert_uint_eq(redir_expect(usb_redir_iso_stream_status)->head.iso.status,
                      usb_redir_success);
    usbredirparser_send_alloc_bulk_streams(parser, 4, &streams);
    const struct guest_packet *answer = redir_expect(usb_redir_bulk_streams_status);
    ck_assert_uint_eq(answer->head.streams.status, usb_redir_inval);
    ck_assert_uint_eq(answer->head.streams.no_streams, 4);
    ck_assert_uint_eq(answer->id, 4);
    usbredirparser_send_free_bulk_streams(parser, 5, &no_streams);
    ck_assert_uint_eq(redir_expect(usb_redir_bulk_streams_status)->head.streams.status,
                      usb_redir_inval);
    usbredirparser_send_bulk_packet(parser, 6, &bulk, NULL, 0);
    ck_assert_uint_eq(redir_expect(usb_redir_bulk_packet)->head.bulk.status, usb_redir_inval);
    ck_assert_uint_eq(redir_script.unexpected, 0);
}
END_TEST

START_TEST(test_a_guests_filter_changes_nothing)
{
    static const struct usbredirfilter_rule none = {-1, -1, -1, -1, 0};

    begin();
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    usbredirparser_send_filter_filter(redir.guest.parser, &none, 1);
    usbredirparser_send_filter_reject(redir.guest.parser);
    redir_enumerate();
    ck_assert_str_eq(redir.said, "");
}
END_TEST

/* --- greed --- */

static unsigned setups;

static void count_setups(void *context, const struct board_event *event)
{
    (void)context;
    setups += event->kind == BOARD_EVENT_USB_TRANSACTION && event->u.usb.token == USB_TOKEN_SETUP;
}

START_TEST(test_transfers_in_flight_are_counted_and_a_cancelled_one_makes_room)
{
    uint64_t first = 0;

    redir_begin_script();
    for (int i = 0; i < PEER_FLIGHTS_MAX; i++) {
        const uint64_t id = guest_bulk(&redir.guest, 0x81, NULL, 64);
        first = i == 0 ? id : first;
    }
    redir_expect_nothing();
    ck_assert_uint_eq(bulk_status(0x81, 64), usb_redir_ioerror);
    guest_cancel(&redir.guest, first);
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);
    ck_assert_uint_eq(packet->id, first);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_cancelled);
    (void)guest_bulk(&redir.guest, 0x81, NULL, 64);
    redir_expect_nothing();
}
END_TEST

START_TEST(test_the_bytes_of_all_transfers_in_flight_are_counted)
{
    redir_begin_script();
    for (size_t bytes_left = PEER_MEMORY_MAX; bytes_left > 0; bytes_left -= USBREDIR_TRANSFER_MAX) {
        (void)guest_bulk(&redir.guest, 0x81, NULL, USBREDIR_TRANSFER_MAX);
    }
    redir_expect_nothing();
    ck_assert_uint_eq(bulk_status(0x81, 1), usb_redir_ioerror);
}
END_TEST

/* Half of what it asked for had come: that is lost, as the protocol's other hosts lose it. */
START_TEST(test_a_cancelled_read_brings_nothing)
{
    static const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 1, .length = 64},
        {.token = USB_TOKEN_IN, .endpoint = 1, .handshake = USB_NAK, .repeat = 1000},
    };

    redir_begin_script();
    redir_play(rows, 2);
    const uint64_t id = guest_bulk(&redir.guest, 0x81, NULL, 512);
    redir_expect_nothing();
    ck_assert_uint_eq(redir_script.at, 1);
    guest_cancel(&redir.guest, id);
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_cancelled);
    ck_assert_uint_eq(packet->head.bulk.length, 0);
    ck_assert_uint_eq(packet->length, 0);
}
END_TEST

/* Asks until nothing more is taken, while the guest does not read; how often it asked. */
static size_t ask_deafly(const uint8_t setup[8])
{
    size_t sent = 0;

    redir.guest.deaf = true;
    for (int stuck = 0; stuck < 4; sent++) {
        (void)guest_control(&redir.guest, setup, NULL);
        guest_flush(&redir.guest);
        redir_turn();
        stuck = usbredirparser_has_data_to_write(redir.guest.parser) > 0 ? stuck + 1 : 0;
        ck_assert_uint_lt(sent, 100000);
    }
    redir.guest.deaf = false;
    return sent;
}

/* A guest that asks and never listens is not asked what else it wants. */
START_TEST(test_a_deaf_guest_is_not_listened_to)
{
    static const uint8_t get_device[8] = {0x80, 6, 0, 1, 0, 0, 18};

    begin();
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    redir_enumerate();
    size_t sent = ask_deafly(get_device);
    /* It was served as long as its socket and ours had room, and it lives. */
    ck_assert_uint_gt(sent, PEER_BACKLOG_PACKETS_MAX);
    ck_assert(outlet_taken(&redir.outlet));
    for (size_t i = 0; i < sent; i++) {
        ck_assert_uint_eq(redir_expect(usb_redir_control_packet)->head.control.length, 18);
    }
    redir_expect_nothing();
    ck_assert_str_eq(redir.said, "");
}
END_TEST

#define LONG_ANSWER 0x8000

/* Long answers fill what is kept for it sooner. Its requests all fit into its socket, so that what
 * was answered is counted on the board. */
START_TEST(test_a_deaf_guest_is_owed_no_more_than_a_megabyte)
{
    static const uint8_t upload[8] = {0xA1, 2, 2, 0, 0, 0, LONG_ANSWER & 0xFF, LONG_ANSWER >> 8};
    enum { ASKED = 200 };

    begin();
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    redir_enumerate();
    setups = 0;
    board_observe(redir.board, count_setups, NULL);
    redir.guest.deaf = true;
    for (unsigned i = 0; i < ASKED; i++) {
        (void)guest_control(&redir.guest, upload, NULL);
        guest_flush(&redir.guest);
        redir_turn();
    }
    /* The socket takes some as well. */
    ck_assert_uint_ge(setups, PEER_BACKLOG_MAX / LONG_ANSWER);
    ck_assert_uint_lt(setups, 2 * PEER_BACKLOG_MAX / LONG_ANSWER);
    redir.guest.deaf = false;
    for (unsigned i = 0; i < ASKED; i++) {
        ck_assert_uint_eq(redir_expect(usb_redir_control_packet)->length, LONG_ANSWER);
    }
    ck_assert_uint_eq(setups, ASKED);
}
END_TEST

/* --- others --- */

START_TEST(test_a_second_client_is_sent_away_and_told_of_once)
{
    begin();
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    for (int i = 0; i < 3; i++) {
        int fd = redir_dial();
        ck_assert(is_closed(fd));
        close(fd);
    }
    ck_assert_uint_eq(redir.lines, 1);
    ck_assert_str_eq(redir.said, "client sent away: another one has the board");
    redir_enumerate();
}
END_TEST

START_TEST(test_a_client_that_says_nothing_is_not_in_the_way)
{
    begin();
    int fd = redir_dial();
    redir_turn();
    ck_assert(!outlet_taken(&redir.outlet));
    redir_guest(guest_caps_qemu);
    ck_assert(is_closed(fd));
    close(fd);
    (void)redir_expect_device();
}
END_TEST

static void ignore_change(void *holder, struct outlet *outlet)
{
    (void)holder;
    (void)outlet;
}

START_TEST(test_a_board_that_has_another_host_is_refused)
{
    begin();
    ck_assert(outlet_take(&redir.outlet, ignore_change, &redir));
    const uint64_t generation = redir.port.generation;
    ck_assert(guest_open(&redir.guest, redir_dial(), guest_caps_qemu));
    guest_flush(&redir.guest);
    ck_assert(is_closed(redir.guest.fd));
    ck_assert_str_eq(redir.said, "client sent away: the board has another host");
    ck_assert(outlet_taken(&redir.outlet));
    ck_assert_uint_eq(redir.port.generation, generation);
    redir_leave();
    outlet_give_back(&redir.outlet);
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
}
END_TEST

START_TEST(test_a_thousand_connects_leave_nothing_behind)
{
    begin();
    for (int i = 0; i < 1000; i++) {
        close(redir_dial());
    }
    redir_guest(guest_caps_qemu);
    (void)redir_expect_device();
    ck_assert_str_eq(redir.said, "");
}
END_TEST

START_TEST(test_a_client_killed_in_mid_transfer_leaves_a_board_without_transfers)
{
    redir_begin_script();
    for (int i = 0; i < 20; i++) {
        (void)guest_bulk(&redir.guest, 0x81, NULL, 4096);
    }
    redir_expect_nothing();
    ck_assert(root_port_run(&redir.port));
    const unsigned resets = redir_script.bus_resets;
    redir_leave();
    redir_turn();
    ck_assert(!root_port_run(&redir.port));
    ck_assert(!outlet_taken(&redir.outlet));
    ck_assert_uint_eq(redir_script.bus_resets, resets + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbredir_limits");
    TCase *tcase = tcase_create("limits");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, NULL, redir_end);
    tcase_add_loop_test(tcase, test_nonsense_ends_the_client_with_one_line_and_the_next_is_served,
                        0, NONSENSE);
    tcase_add_loop_test(tcase, test_nonsense_in_single_bytes_is_no_less, 0, NONSENSE);
    tcase_add_test(tcase, test_a_client_that_leaves_in_the_middle_of_a_packet_is_no_nonsense);
    tcase_add_test(tcase, test_transfers_that_no_endpoint_can_carry_are_invalid);
    tcase_add_test(tcase, test_a_control_request_that_contradicts_itself_is_invalid);
    tcase_add_test(tcase, test_isochronous_transfers_and_streams_are_refused);
    tcase_add_test(tcase, test_a_guests_filter_changes_nothing);
    tcase_add_test(tcase, test_transfers_in_flight_are_counted_and_a_cancelled_one_makes_room);
    tcase_add_test(tcase, test_the_bytes_of_all_transfers_in_flight_are_counted);
    tcase_add_test(tcase, test_a_cancelled_read_brings_nothing);
    tcase_add_test(tcase, test_a_deaf_guest_is_not_listened_to);
    tcase_add_test(tcase, test_a_deaf_guest_is_owed_no_more_than_a_megabyte);
    tcase_add_test(tcase, test_a_second_client_is_sent_away_and_told_of_once);
    tcase_add_test(tcase, test_a_client_that_says_nothing_is_not_in_the_way);
    tcase_add_test(tcase, test_a_board_that_has_another_host_is_refused);
    tcase_add_test(tcase, test_a_thousand_connects_leave_nothing_behind);
    tcase_add_test(tcase, test_a_client_killed_in_mid_transfer_leaves_a_board_without_transfers);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
