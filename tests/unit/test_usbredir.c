/* A Photon as a guest sees it over usbredir. */
#include <check.h>
#include <string.h>

#include "tests/unit/support_client.h"
#include "tests/unit/support_dfu_board.h"
#include "tests/unit/support_usbredir.h"

#define VENDOR      0x2B04
#define PRODUCT_DFU 0xD006
#define PRODUCT_CDC 0xC006

#define ERASE_USER  0x41, 0x00, 0x00, 0x0A, 0x08
#define AT_USER     0x21, 0x00, 0x00, 0x0A, 0x08

static uint8_t bytes[4096];

static void begin_dfu(const char *release)
{
    struct board *board = dfu_board_fresh(release, false);

    ck_assert_ptr_nonnull(board);
    ck_assert(dfu_board_enter(board));
    redir_begin(board);
    redir_guest(guest_caps_qemu);
}

/* A board in listening mode, which greets nobody and waits for letters. */
static void begin_running(const char *release)
{
    struct client client;

    ck_assert(client_open(&client, client_board(release)));
    redir_begin(client.board);
    redir_guest(guest_caps_qemu);
}

/* --- what the guest is told --- */

START_TEST(test_a_board_in_dfu_mode_is_told_as_full_speed_device_without_endpoints)
{
    begin_dfu("0.4.3");
    const struct usb_redir_ep_info_header endpoints =
        redir_expect(usb_redir_ep_info)->head.endpoints;
    const struct usb_redir_interface_info_header interfaces =
        redir_expect(usb_redir_interface_info)->head.interfaces;
    const struct usb_redir_device_connect_header device =
        redir_expect(usb_redir_device_connect)->head.device;

    for (unsigned i = 0; i < 32; i++) {
        ck_assert_uint_eq(endpoints.type[i],
                          i % 16 == 0 ? usb_redir_type_control : usb_redir_type_invalid);
    }
    ck_assert_uint_eq(endpoints.max_packet_size[0], 64);
    ck_assert_uint_eq(endpoints.max_packet_size[16], 64);
    /* Two settings of one interface are one interface. */
    ck_assert_uint_eq(interfaces.interface_count, 1);
    ck_assert_uint_eq(interfaces.interface[0], 0);
    ck_assert_uint_eq(interfaces.interface_class[0], 0xFE);
    ck_assert_uint_eq(interfaces.interface_subclass[0], 1);
    ck_assert_uint_eq(interfaces.interface_protocol[0], 2);
    ck_assert_uint_eq(device.speed, usb_redir_speed_full);
    ck_assert_uint_eq(device.device_class, 0);
    ck_assert_uint_eq(device.vendor_id, VENDOR);
    ck_assert_uint_eq(device.product_id, PRODUCT_DFU);
    ck_assert_uint_eq(device.device_version_bcd, 0x0200);
}
END_TEST

START_TEST(test_the_serial_ports_endpoints_are_told)
{
    begin_running("0.5.2");
    const struct usb_redir_ep_info_header endpoints =
        redir_expect(usb_redir_ep_info)->head.endpoints;
    const struct usb_redir_interface_info_header interfaces =
        redir_expect(usb_redir_interface_info)->head.interfaces;
    const struct usb_redir_device_connect_header device =
        redir_expect(usb_redir_device_connect)->head.device;

    ck_assert_uint_eq(endpoints.type[16 + 2], usb_redir_type_interrupt);
    ck_assert_uint_eq(endpoints.interval[16 + 2], 0x10);
    ck_assert_uint_eq(endpoints.max_packet_size[16 + 2], 8);
    ck_assert_uint_eq(endpoints.interface[16 + 2], 0);
    ck_assert_uint_eq(endpoints.type[1], usb_redir_type_bulk);
    ck_assert_uint_eq(endpoints.type[16 + 1], usb_redir_type_bulk);
    ck_assert_uint_eq(endpoints.max_packet_size[16 + 1], 64);
    ck_assert_uint_eq(endpoints.interface[16 + 1], 1);
    ck_assert_uint_eq(endpoints.type[2], usb_redir_type_invalid);
    ck_assert_uint_eq(interfaces.interface_count, 2);
    ck_assert_uint_eq(interfaces.interface_class[1], 0x0A);
    ck_assert_uint_eq(device.device_class, 2);
    ck_assert_uint_eq(device.product_id, PRODUCT_CDC);
}
END_TEST

START_TEST(test_a_guest_of_the_first_protocol_is_served)
{
    static const uint8_t get_status[8] = {0xA1, 3, 0, 0, 0, 0, 6};
    size_t actual;
    struct board *board = dfu_board_fresh("0.5.2", false);

    ck_assert(dfu_board_enter(board));
    redir_begin(board);
    redir_guest(guest_caps_none);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_DFU);
    redir_enumerate();
    ck_assert_uint_eq(redir_control(get_status, bytes, &actual), usb_redir_success);
    ck_assert_uint_eq(actual, 6);
    ck_assert_uint_eq(bytes[4], 2);
}
END_TEST

/* --- configurations and settings --- */

static unsigned configured, settings;

static void watch_setups(void *context, const struct board_event *event)
{
    (void)context;
    if (event->kind == BOARD_EVENT_USB_TRANSACTION && event->u.usb.token == USB_TOKEN_SETUP) {
        configured += event->u.usb.data[0] == 0x00 && event->u.usb.data[1] == 9;
        settings += event->u.usb.data[0] == 0x01 && event->u.usb.data[1] == 11;
    }
}

START_TEST(test_a_reset_leaves_an_addressed_device_that_the_guest_configures)
{
    static const uint8_t get_configuration[8] = {0x80, 8, 0, 0, 0, 0, 1};
    size_t actual;

    begin_dfu("0.4.3");
    (void)redir_expect_device();
    configured = 0;
    board_observe(redir.board, watch_setups, NULL);
    guest_reset(&redir.guest);
    /* Unaddressed it would STALL, configured it would say 1. */
    ck_assert_uint_eq(redir_control(get_configuration, bytes, &actual), usb_redir_success);
    ck_assert_uint_eq(bytes[0], 0);
    ck_assert_uint_eq(configured, 0);
    redir_enumerate();
    ck_assert_uint_eq(configured, 1);
    usbredirparser_send_get_configuration(redir.guest.parser, 77);
    const struct guest_packet *packet = redir_expect(usb_redir_configuration_status);
    ck_assert_uint_eq(packet->id, 77);
    ck_assert_uint_eq(packet->head.configuration.status, usb_redir_success);
    ck_assert_uint_eq(packet->head.configuration.configuration, 1);
}
END_TEST

START_TEST(test_a_configuration_that_there_is_not_stalls)
{
    begin_dfu("0.4.3");
    (void)redir_expect_device();
    redir_enumerate();
    const uint64_t id = guest_set_configuration(&redir.guest, 2);
    const struct guest_packet *packet = redir_expect(usb_redir_configuration_status);
    ck_assert_uint_eq(packet->id, id);
    ck_assert_uint_eq(packet->head.configuration.status, usb_redir_stall);
}
END_TEST

START_TEST(test_no_configuration_is_no_endpoints)
{
    begin_running("0.5.2");
    (void)redir_expect_device();
    redir_enumerate();
    (void)guest_set_configuration(&redir.guest, 0);
    ck_assert_uint_eq(redir_expect(usb_redir_ep_info)->head.endpoints.type[16 + 2],
                      usb_redir_type_invalid);
    ck_assert_uint_eq(redir_expect(usb_redir_interface_info)->head.interfaces.interface_count, 0);
    ck_assert_uint_eq(redir_expect(usb_redir_configuration_status)->head.configuration.status,
                      usb_redir_success);
}
END_TEST

START_TEST(test_alternate_settings_go_to_the_board)
{
    struct usb_redir_get_alt_setting_header which = {.interface = 0};

    begin_dfu("0.4.3");
    (void)redir_expect_device();
    redir_enumerate();
    settings = 0;
    board_observe(redir.board, watch_setups, NULL);
    (void)guest_set_alternate(&redir.guest, 0, 1);
    (void)redir_expect(usb_redir_ep_info);
    ck_assert_uint_eq(redir_expect(usb_redir_interface_info)->head.interfaces.interface_count, 1);
    const struct usb_redir_alt_setting_status_header set =
        redir_expect(usb_redir_alt_setting_status)->head.alternate;
    ck_assert_uint_eq(set.status, usb_redir_success);
    ck_assert_uint_eq(set.alt, 1);
    ck_assert_uint_eq(settings, 1);
    usbredirparser_send_get_alt_setting(redir.guest.parser, 9, &which);
    ck_assert_uint_eq(redir_expect(usb_redir_alt_setting_status)->head.alternate.alt, 1);
    (void)guest_set_alternate(&redir.guest, 0, 2);
    ck_assert_uint_eq(redir_expect(usb_redir_alt_setting_status)->head.alternate.status,
                      usb_redir_stall);
}
END_TEST

/* --- DFU --- */

static uint8_t download(uint16_t block, const void *data, size_t length)
{
    const uint8_t setup[8] = {0x21, 1, (uint8_t)block,  (uint8_t)(block >> 8),
                              0,    0, (uint8_t)length, (uint8_t)(length >> 8)};

    memcpy(bytes, data, length);
    return redir_control(setup, bytes, NULL);
}

/* bState after GETSTATUS. */
static uint8_t state(void)
{
    static const uint8_t setup[8] = {0xA1, 3, 0, 0, 0, 0, 6};
    size_t actual;

    ck_assert_uint_eq(redir_control(setup, bytes, &actual), usb_redir_success);
    ck_assert_uint_eq(actual, 6);
    return bytes[4];
}

static void command(uint16_t block, const void *data, size_t length)
{
    ck_assert_uint_eq(download(block, data, length), usb_redir_success);
    ck_assert_uint_eq(state(), 4);
    ck_assert_uint_eq(state(), 5);
}

START_TEST(test_a_block_of_4096_bytes_is_written_and_read_back)
{
    static const uint8_t erase[] = {ERASE_USER};
    static const uint8_t at[] = {AT_USER};
    static const uint8_t abort_all[8] = {0x21, 6};
    static const uint8_t upload[8] = {0xA1, 2, 2, 0, 0, 0, 0, 16};
    static uint8_t block[4096], back[4096];
    size_t actual;

    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (uint8_t)(i * 7 + i / 256);
    }
    begin_dfu("0.5.2");
    (void)redir_expect_device();
    redir_enumerate();
    command(0, erase, sizeof erase);
    command(0, at, sizeof at);
    command(2, block, sizeof block);
    ck_assert(redir.board->ops->flash_read(redir.board, 0x080A0000, back, sizeof back));
    ck_assert_mem_eq(back, block, sizeof block);
    ck_assert_uint_eq(redir_control(abort_all, NULL, NULL), usb_redir_success);
    memset(back, 0, sizeof back);
    ck_assert_uint_eq(redir_control(upload, back, &actual), usb_redir_success);
    ck_assert_uint_eq(actual, sizeof back);
    ck_assert_mem_eq(back, block, sizeof block);
}
END_TEST

START_TEST(test_a_refused_request_stalls)
{
    static const uint8_t upload_block_1[8] = {0xA1, 2, 1, 0, 0, 0, 64};
    size_t actual;

    begin_dfu("0.5.2");
    (void)redir_expect_device();
    redir_enumerate();
    ck_assert_uint_eq(redir_control(upload_block_1, bytes, &actual), usb_redir_stall);
    ck_assert_uint_eq(actual, 0);
}
END_TEST

/* Up to 0.4.4 the board is gone before the status stage; from 0.4.5 on it leaves half a second
 * later. Either way the guest sees a loss, and the running system afterwards on the same
 * connection. */
START_TEST(test_leaving_dfu_mode_ends_in_the_running_system_on_the_same_connection)
{
    static const struct {
        const char *release;
        uint8_t status;
    } rows[] = {
        {"0.4.3", usb_redir_ioerror}, {"0.5.2", usb_redir_success}, {"2.2.0", usb_redir_success}};
    static const uint8_t setup[8] = {0xA1, 3, 0, 0, 0, 0, 6};

    begin_dfu(rows[_i].release);
    (void)redir_expect_device();
    redir_enumerate();
    ck_assert_uint_eq(download(0, "", 0), usb_redir_success);
    ck_assert_uint_eq(redir_control(setup, bytes, NULL), rows[_i].status);
    (void)redir_expect(usb_redir_device_disconnect);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_CDC);
    redir_enumerate();
    ck_assert_str_eq(redir.said, "");
}
END_TEST

/* --- the serial port --- */

static void expect_text(const char *expected)
{
    char text[256] = "";
    size_t length = 0;

    while (length < strlen(expected)) {
        const uint64_t id = guest_bulk(&redir.guest, 0x81, NULL, 512);
        const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);

        ck_assert_uint_eq(packet->id, id);
        ck_assert_uint_eq(packet->head.bulk.status, usb_redir_success);
        ck_assert_uint_eq(packet->head.bulk.length, packet->length);
        ck_assert_uint_lt(length + packet->length, sizeof text);
        if (packet->length > 0) {
            memcpy(text + length, packet->data, packet->length);
        }
        length += packet->length;
        text[length] = '\0';
    }
    ck_assert_str_eq(text, expected);
}

static void write_serial(const char *text)
{
    const uint64_t id = guest_bulk(&redir.guest, 0x01, text, (uint32_t)strlen(text));
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);

    ck_assert_uint_eq(packet->id, id);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_success);
    ck_assert_uint_eq(packet->head.bulk.length, strlen(text));
    ck_assert_uint_eq(packet->length, 0);
}

START_TEST(test_the_console_answers_over_bulk_transfers)
{
    static const char *const releases[] = {"0.4.3", "2.2.0"};

    begin_running(releases[_i]);
    (void)redir_expect_device();
    redir_enumerate();
    write_serial("i");
    expect_text("Your device id is 1f00a2000b47abcdef323032\r\n");
}
END_TEST

START_TEST(test_14400_baud_brings_dfu_mode_on_the_same_connection)
{
    static const uint8_t line_coding[8] = {0x21, 0x20, 0, 0, 0, 0, 7};
    uint8_t coding[7] = {0x40, 0x38, 0, 0, 0, 0, 8};

    begin_running("0.5.2");
    (void)redir_expect_device();
    redir_enumerate();
    /* The system resets in the middle of the transfer. */
    ck_assert_uint_eq(redir_control(line_coding, coding, NULL), usb_redir_ioerror);
    (void)redir_expect(usb_redir_device_disconnect);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_DFU);
}
END_TEST

START_TEST(test_a_waiting_read_can_be_cancelled_and_asked_for_again)
{
    begin_running("2.2.0");
    (void)redir_expect_device();
    redir_enumerate();
    const uint64_t first = guest_bulk(&redir.guest, 0x81, NULL, 512);
    const uint64_t second = guest_bulk(&redir.guest, 0x81, NULL, 512);
    redir_expect_nothing();
    guest_cancel(&redir.guest, second);
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);
    ck_assert_uint_eq(packet->id, second);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_cancelled);
    ck_assert_uint_eq(packet->head.bulk.length, 0);
    guest_cancel(&redir.guest, second); /* too late, which is no error */
    redir_expect_nothing();
    write_serial("i");
    packet = redir_expect(usb_redir_bulk_packet);
    ck_assert_uint_eq(packet->id, first);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_success);
}
END_TEST

/* --- unplugging --- */

START_TEST(test_an_unplugging_in_mid_transfer_is_told_and_nothing_else)
{
    begin_running("2.2.0");
    (void)redir_expect_device();
    redir_enumerate();
    (void)guest_bulk(&redir.guest, 0x81, NULL, 512);
    redir_expect_nothing();
    redir.board->ops->power(redir.board, false);
    root_port_poll(&redir.port);
    (void)redir_expect(usb_redir_device_disconnect);
    redir_expect_nothing();
    /* What comes for a device that is gone fails. */
    const uint64_t late = guest_bulk(&redir.guest, 0x81, NULL, 512);
    const struct guest_packet *packet = redir_expect(usb_redir_bulk_packet);
    ck_assert_uint_eq(packet->id, late);
    ck_assert_uint_eq(packet->head.bulk.status, usb_redir_ioerror);
    redir.board->ops->power(redir.board, true);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_CDC);
    redir_enumerate();
}
END_TEST

START_TEST(test_a_device_is_told_only_after_the_loss_of_the_last_was_acknowledged)
{
    begin_running("2.2.0");
    (void)redir_expect_device();
    redir.guest.deaf = true;
    redir.board->ops->power(redir.board, false);
    root_port_poll(&redir.port);
    redir.board->ops->power(redir.board, true);
    redir_pass(5 * BOARD_NS_PER_S);
    ck_assert(root_port_attached(&redir.port));
    redir.guest.deaf = false;
    guest_read(&redir.guest);
    ck_assert_uint_eq(redir.guest.count, 1); /* and no device behind it */
    (void)redir_expect(usb_redir_device_disconnect);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_CDC);
    redir_expect_nothing();
}
END_TEST

START_TEST(test_attaches_that_nobody_saw_are_one_loss_and_one_device)
{
    begin_running("2.2.0");
    (void)redir_expect_device();
    for (int i = 0; i < 2; i++) {
        redir.board->ops->power(redir.board, false);
        root_port_poll(&redir.port);
        redir.board->ops->power(redir.board, true);
        board_advance(redir.board, 5 * BOARD_NS_PER_S);
        root_port_poll(&redir.port);
    }
    (void)redir_expect(usb_redir_device_disconnect);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_CDC);
    redir_expect_nothing();
}
END_TEST

static unsigned cleared;

static void watch_clear_status(void *context, const struct board_event *event)
{
    (void)context;
    if (event->kind == BOARD_EVENT_USB_TRANSACTION && event->u.usb.token == USB_TOKEN_SETUP) {
        cleared += event->u.usb.data[0] == 0x21 && event->u.usb.data[1] == 4;
    }
}

/* The owner of time, when it finds that the board has been off and on since it last looked. */
static void catch_up(void *context, struct root_port *port)
{
    port->on_use = NULL;
    (void)context;
    redir.board->ops->power(redir.board, false);
    root_port_poll(port);
    redir.board->ops->power(redir.board, true);
    board_advance(redir.board, 5 * BOARD_NS_PER_S);
}

START_TEST(test_a_request_for_a_lost_device_does_not_reach_the_next)
{
    static const uint8_t clear_status[8] = {0x21, 4};

    begin_running("2.2.0");
    (void)redir_expect_device();
    redir_enumerate();
    cleared = 0;
    board_observe(redir.board, watch_clear_status, NULL);
    (void)guest_control(&redir.guest, clear_status, NULL);
    redir.port.on_use = catch_up;
    (void)redir_expect(usb_redir_device_disconnect);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_CDC);
    redir_expect_nothing();
    ck_assert_uint_eq(cleared, 0);
}
END_TEST

START_TEST(test_a_guest_may_come_before_the_board)
{
    struct board *board = dfu_board_fresh("0.5.2", false);

    redir_begin(board);
    redir_guest(guest_caps_qemu);
    redir_expect_nothing();
    const uint64_t early = guest_set_configuration(&redir.guest, 1);
    const struct guest_packet *packet = redir_expect(usb_redir_configuration_status);
    ck_assert_uint_eq(packet->id, early);
    ck_assert_uint_eq(packet->head.configuration.status, usb_redir_ioerror);
    board->ops->power(board, true);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_CDC);
}
END_TEST

START_TEST(test_the_next_guest_finds_the_board)
{
    static const uint8_t get_status[8] = {0xA1, 3, 0, 0, 0, 0, 6};

    begin_dfu("0.5.2");
    (void)redir_expect_device();
    redir_enumerate();
    ck_assert_uint_eq(download(0, "\x41", 1), usb_redir_success); /* half a command */
    redir_leave();
    /* The first one's end and the second one's beginning are seen together. */
    redir_guest(guest_caps_qemu);
    ck_assert_uint_eq(redir_expect_device().product_id, PRODUCT_DFU);
    redir_enumerate();
    ck_assert_uint_eq(redir_control(get_status, bytes, NULL), usb_redir_success);
    ck_assert_str_eq(redir.said, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbredir");
    TCase *tcase = tcase_create("a guest's view");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, NULL, redir_end);
    tcase_add_test(tcase, test_a_board_in_dfu_mode_is_told_as_full_speed_device_without_endpoints);
    tcase_add_test(tcase, test_the_serial_ports_endpoints_are_told);
    tcase_add_test(tcase, test_a_guest_of_the_first_protocol_is_served);
    tcase_add_test(tcase, test_a_reset_leaves_an_addressed_device_that_the_guest_configures);
    tcase_add_test(tcase, test_a_configuration_that_there_is_not_stalls);
    tcase_add_test(tcase, test_no_configuration_is_no_endpoints);
    tcase_add_test(tcase, test_alternate_settings_go_to_the_board);
    tcase_add_test(tcase, test_a_block_of_4096_bytes_is_written_and_read_back);
    tcase_add_test(tcase, test_a_refused_request_stalls);
    tcase_add_loop_test(
        tcase, test_leaving_dfu_mode_ends_in_the_running_system_on_the_same_connection, 0, 3);
    tcase_add_loop_test(tcase, test_the_console_answers_over_bulk_transfers, 0, 2);
    tcase_add_test(tcase, test_14400_baud_brings_dfu_mode_on_the_same_connection);
    tcase_add_test(tcase, test_a_waiting_read_can_be_cancelled_and_asked_for_again);
    tcase_add_test(tcase, test_an_unplugging_in_mid_transfer_is_told_and_nothing_else);
    tcase_add_test(tcase, test_a_device_is_told_only_after_the_loss_of_the_last_was_acknowledged);
    tcase_add_test(tcase, test_attaches_that_nobody_saw_are_one_loss_and_one_device);
    tcase_add_test(tcase, test_a_request_for_a_lost_device_does_not_reach_the_next);
    tcase_add_test(tcase, test_a_guest_may_come_before_the_board);
    tcase_add_test(tcase, test_the_next_guest_finds_the_board);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
