/* Interrupt endpoints over usbredir: the IN ones are polled on the guest's behalf. */
#include <check.h>
#include <string.h>

#include "tests/unit/support_usbredir.h"
#include "usb-gadget/usbredir/peer.h"

#define NOTIFICATION 0x82

static const uint8_t first[8] = {0xA1, 0x20, 0, 0, 0, 0, 2, 0};
static const uint8_t second[3] = {3, 0, 7};

#define IN_NAK(times)                                                                              \
    {                                                                                              \
        .token = USB_TOKEN_IN, .endpoint = 2, .handshake = USB_NAK, .repeat = (times)-1u           \
    }
#define IN(bytes)                                                                                  \
    {                                                                                              \
        .token = USB_TOKEN_IN, .endpoint = 2, .data = (bytes), .length = sizeof(bytes)             \
    }
#define PLAY(rows) redir_play(rows, sizeof(rows) / sizeof((rows)[0]))

static uint8_t start(uint8_t endpoint)
{
    struct usb_redir_start_interrupt_receiving_header head = {.endpoint = endpoint};

    usbredirparser_send_start_interrupt_receiving(redir.guest.parser, 11, &head);
    const struct guest_packet *packet = redir_expect(usb_redir_interrupt_receiving_status);
    ck_assert_uint_eq(packet->id, 11);
    ck_assert_uint_eq(packet->head.receiving.endpoint, endpoint);
    return packet->head.receiving.status;
}

static void stop(void)
{
    struct usb_redir_stop_interrupt_receiving_header head = {.endpoint = NOTIFICATION};

    usbredirparser_send_stop_interrupt_receiving(redir.guest.parser, 12, &head);
    const struct guest_packet *packet = redir_expect(usb_redir_interrupt_receiving_status);
    ck_assert_uint_eq(packet->id, 12);
    ck_assert_uint_eq(packet->head.receiving.status, usb_redir_success);
}

static void expect_data(uint64_t id, const void *data, size_t length)
{
    const struct guest_packet *packet = redir_expect(usb_redir_interrupt_packet);

    ck_assert_uint_eq(packet->id, id);
    ck_assert_uint_eq(packet->head.interrupt.endpoint, NOTIFICATION);
    ck_assert_uint_eq(packet->head.interrupt.status, usb_redir_success);
    ck_assert_uint_eq(packet->length, length);
    ck_assert_mem_eq(packet->data, data, length);
}

static void expect_stopped(void)
{
    const struct guest_packet *packet = redir_expect(usb_redir_interrupt_receiving_status);

    ck_assert_uint_eq(packet->head.receiving.endpoint, NOTIFICATION);
    ck_assert_uint_eq(packet->head.receiving.status, usb_redir_stall);
}

static void note_interval(void *context, const struct root_port *port,
                          const struct transfer *transfer, bool ended)
{
    (void)port;
    (void)ended;
    if (transfer->type == TRANSFER_INTERRUPT) {
        *(uint8_t *)context = transfer->interval;
    }
}

/* 16 ms in a Photon's descriptor. */
START_TEST(test_observers_see_the_interval_of_the_endpoint)
{
    static const struct script_row rows[] = {IN_NAK(1000)};
    uint8_t interval = 0;

    redir_begin_script();
    PLAY(rows);
    redir.port.on_transfer = note_interval;
    redir.port.on_transfer_context = &interval;
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    ck_assert_uint_eq(interval, 16);
    redir.port.on_transfer = NULL;
}
END_TEST

START_TEST(test_what_comes_is_told_with_ids_that_count_up)
{
    static const struct script_row rows[] = {IN_NAK(3), IN(first), IN(second), IN_NAK(1000)};

    redir_begin_script();
    PLAY(rows);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    expect_data(0, first, sizeof first);
    expect_data(1, second, sizeof second);
    redir_expect_nothing();
    ck_assert_uint_eq(redir_script.unexpected, 0);
}
END_TEST

START_TEST(test_nothing_is_polled_before_the_start_and_after_the_stop)
{
    static const struct script_row rows[] = {IN(first), IN_NAK(1000)};

    redir_begin_script();
    PLAY(rows);
    redir_pass(BOARD_NS_PER_S);
    ck_assert_uint_eq(redir_script.at, 0);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    expect_data(0, first, sizeof first);
    redir_expect_nothing();
    stop();
    const unsigned polls = redir_script.repeated;
    redir_pass(BOARD_NS_PER_S);
    ck_assert_uint_eq(redir_script.repeated, polls);
    ck_assert(!root_port_run(&redir.port));
    /* Again, from 0. */
    PLAY(rows);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    expect_data(0, first, sizeof first);
}
END_TEST

START_TEST(test_a_stalled_endpoint_stops_until_it_is_started_again)
{
    static const struct script_row rows[] = {
        IN(first),
        {.token = USB_TOKEN_IN, .endpoint = 2, .handshake = USB_STALL},
        IN(second),
        IN_NAK(1000)};

    redir_begin_script();
    PLAY(rows);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    expect_data(0, first, sizeof first);
    expect_stopped();
    redir_expect_nothing();
    ck_assert_uint_eq(redir_script.at, 2);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    expect_data(0, second, sizeof second);
}
END_TEST

START_TEST(test_only_an_interrupt_endpoint_that_is_not_started_can_be)
{
    redir_begin_script();
    ck_assert_uint_eq(start(0x81), usb_redir_inval);
    ck_assert_uint_eq(start(0x87), usb_redir_inval);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_inval);
    stop();
    stop(); /* which it was already */
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
}
END_TEST

START_TEST(test_a_reset_stops_it)
{
    static const struct script_row rows[] = {
        {.token = USB_TOKEN_SETUP}, {.token = USB_TOKEN_IN}, IN(first), IN_NAK(1000)};

    redir_begin_script();
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    redir_expect_nothing();
    PLAY(rows);
    guest_reset(&redir.guest);
    expect_stopped();
    redir_expect_nothing();
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    expect_data(0, first, sizeof first);
}
END_TEST

START_TEST(test_setting_an_interface_ends_what_is_in_flight_on_it)
{
    redir_begin_script();
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    const uint64_t read = guest_bulk(&redir.guest, 0x81, NULL, 64);
    redir_expect_nothing();
    (void)guest_set_alternate(&redir.guest, 0, 0);
    expect_stopped();
    redir_expect_nothing(); /* the board does not answer */
    (void)guest_set_alternate(&redir.guest, 1, 0);
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);
    ck_assert_uint_eq(packet->id, read);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_cancelled);
    redir_expect_nothing();
}
END_TEST

START_TEST(test_a_deaf_guest_is_not_polled_for)
{
    static const struct script_row rows[] = {
        {.token = USB_TOKEN_IN, .endpoint = 2, .data = first, .length = 8, .repeat = 1000000}};
    unsigned polls = 0;

    redir_begin_script();
    PLAY(rows);
    ck_assert_uint_eq(start(NOTIFICATION), usb_redir_success);
    redir.guest.deaf = true;
    do {
        polls = redir_script.repeated;
        redir_pass(BOARD_NS_PER_MS);
    } while (redir_script.repeated != polls);
    ck_assert_uint_lt(polls, 100000);
    redir.guest.deaf = false;
    for (unsigned i = 0; i < polls; i++) {
        expect_data(i, first, sizeof first);
    }
    ck_assert_uint_gt(redir_script.repeated, polls);
}
END_TEST

START_TEST(test_an_out_endpoint_takes_data_as_others_do)
{
    static const struct script_row rows[] = {
        {.token = USB_TOKEN_OUT, .endpoint = 3, .data = first, .length = 8}};
    struct usb_redir_interrupt_packet_header head = {.endpoint = 0x03, .length = 8};

    redir_begin_script();
    PLAY(rows);
    usbredirparser_send_interrupt_packet(redir.guest.parser, 21, &head, (uint8_t *)first, 8);
    const struct guest_packet *packet = redir_expect(usb_redir_interrupt_packet);
    ck_assert_uint_eq(packet->id, 21);
    ck_assert_uint_eq(packet->head.interrupt.status, usb_redir_success);
    ck_assert_uint_eq(packet->head.interrupt.length, 8);
    ck_assert(script_board_finished(&redir_script));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbredir_interrupt");
    TCase *tcase = tcase_create("interrupts");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, NULL, redir_end);
    tcase_add_test(tcase, test_what_comes_is_told_with_ids_that_count_up);
    tcase_add_test(tcase, test_observers_see_the_interval_of_the_endpoint);
    tcase_add_test(tcase, test_nothing_is_polled_before_the_start_and_after_the_stop);
    tcase_add_test(tcase, test_a_stalled_endpoint_stops_until_it_is_started_again);
    tcase_add_test(tcase, test_only_an_interrupt_endpoint_that_is_not_started_can_be);
    tcase_add_test(tcase, test_a_reset_stops_it);
    tcase_add_test(tcase, test_setting_an_interface_ends_what_is_in_flight_on_it);
    tcase_add_test(tcase, test_a_deaf_guest_is_not_polled_for);
    tcase_add_test(tcase, test_an_out_endpoint_takes_data_as_others_do);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
