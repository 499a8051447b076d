/* The serial driver against a running Photon: what goes over the bus when a program opens a port.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_board.h"
#include "usb-gadget/acm.h"
#include "usb-gadget/enumerate.h"

#define REQUESTS_MAX 32

/* The last transactions of a board's endpoint 0 and 1. */
struct seen {
    uint8_t setup[REQUESTS_MAX][8];
    uint8_t data[REQUESTS_MAX][64];
    size_t requests;
    uint8_t out[1024]; /* bulk OUT bytes */
    size_t out_length;
};

static const struct acm_line_coding usual = {.rate = 9600, .data_bits = 8};

static struct board *board;
static struct root_port port;
static struct usb_identity identity;
static struct seen seen;

static void watch(void *context, const struct board_event *event)
{
    struct seen *all = context;

    if (event->kind != BOARD_EVENT_USB_TRANSACTION || event->u.usb.handshake != USB_ACK) {
        return;
    }
    if (event->u.usb.token == USB_TOKEN_SETUP && all->requests < REQUESTS_MAX) {
        memcpy(all->setup[all->requests++], event->u.usb.data, 8);
    } else if (event->u.usb.token == USB_TOKEN_OUT && event->u.usb.length > 0) {
        if (event->u.usb.endpoint == 0) {
            memcpy(all->data[all->requests - 1], event->u.usb.data, event->u.usb.length);
        } else {
            memcpy(all->out + all->out_length, event->u.usb.data, event->u.usb.length);
            all->out_length += event->u.usb.length;
        }
    }
}

static size_t take_nothing(void *context, const uint8_t *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

static void count(void *context)
{
    ++*(unsigned *)context;
}

static void note_end(void *context, enum transfer_status status)
{
    *(enum transfer_status *)context = status;
}

static void plug(unsigned image)
{
    board = test_board_new(image, false);
    board->ops->power(board, true);
    ck_assert(test_board_until_attached(board, 5 * BOARD_NS_PER_S));
    root_port_init(&port, board, true);
    ck_assert(enumerate(&port, 2, &identity));
    memset(&seen, 0, sizeof(seen));
    board_observe(board, watch, &seen);
}

static struct acm *driver(unsigned *writable)
{
    const struct acm_owner owner = {take_nothing, count, writable};
    struct acm *acm = acm_new(&port, identity.config, identity.config_length, &owner);

    ck_assert_ptr_nonnull(acm);
    return acm;
}

static void unplug(void)
{
    board->ops->destroy(board);
}

START_TEST(test_opening_sets_9600_8n1_and_raises_both_lines)
{
    static const uint8_t coding[8] = {0x21, 0x20, 0, 0, 0, 0, 7, 0};
    static const uint8_t lines[8] = {0x21, 0x22, 3, 0, 0, 0, 0, 0};
    static const uint8_t eight_n_one[7] = {0x80, 0x25, 0, 0, 0, 0, 8};
    unsigned writable = 0;
    struct acm *acm;

    plug((unsigned)_i);
    acm = driver(&writable);
    acm_open(acm, &usual);
    ck_assert_uint_eq(seen.requests, 2);
    ck_assert_mem_eq(seen.setup[0], coding, sizeof(coding));
    ck_assert_mem_eq(seen.data[0], eight_n_one, sizeof(eight_n_one));
    ck_assert_mem_eq(seen.setup[1], lines, sizeof(lines));
    ck_assert_uint_eq(acm_lines(acm), ACM_DTR | ACM_RTS);
    acm_free(acm);
    unplug();
}
END_TEST

START_TEST(test_closing_drops_the_lines_and_reopening_raises_them)
{
    static const uint8_t dropped[8] = {0x21, 0x22, 0, 0, 0, 0, 0, 0};
    static const uint8_t raised[8] = {0x21, 0x22, 3, 0, 0, 0, 0, 0};
    const struct acm_line_coding coding = {.rate = 115200, .data_bits = 8};
    enum transfer_status status = TRANSFER_CANCELLED;
    unsigned writable = 0;
    struct acm *acm;

    plug(IMAGE_7);
    acm = driver(&writable);
    acm_open(acm, &usual);
    acm_set_line_coding(acm, &coding, note_end, &status);
    ck_assert_int_eq(status, TRANSFER_OK);
    acm_close(acm);
    ck_assert_uint_eq(seen.requests, 4);
    ck_assert_mem_eq(seen.setup[3], dropped, sizeof(dropped));
    acm_open(acm, &usual);
    ck_assert_mem_eq(seen.setup[5], raised, sizeof(raised));
    acm_free(acm);
    unplug();
}
END_TEST

START_TEST(test_14400_is_not_answered_to_its_end)
{
    const struct acm_line_coding coding = {.rate = 14400, .data_bits = 8};
    enum transfer_status status = TRANSFER_OK;
    unsigned writable = 0;
    struct acm *acm;

    plug((unsigned)_i);
    acm = driver(&writable);
    acm_open(acm, &usual);
    acm_set_line_coding(acm, &coding, note_end, &status);
    ck_assert_int_eq(status, TRANSFER_PROTOCOL_ERROR);
    ck_assert(!root_port_attached(&port));
    acm_free(acm);
    ck_assert(test_board_until_attached(board, BOARD_NS_PER_S));
    root_port_poll(&port);
    ck_assert(enumerate(&port, 3, &identity));
    ck_assert_int_eq(identity.device[10], 0x06);
    ck_assert_int_eq(identity.device[11], 0xD0);
    unplug();
}
END_TEST

START_TEST(test_written_bytes_arrive_in_packets)
{
    uint8_t bytes[200];
    unsigned writable = 0;
    struct acm *acm;

    memset(bytes, '?', sizeof(bytes));
    plug(IMAGE_7);
    acm = driver(&writable);
    ck_assert_uint_eq(acm_write(acm, bytes, sizeof(bytes)), 0);
    acm_open(acm, &usual);
    ck_assert_uint_eq(acm_write(acm, bytes, sizeof(bytes)), sizeof(bytes));
    ck_assert_uint_eq(writable, 1);
    ck_assert_uint_eq(seen.out_length, sizeof(bytes));
    ck_assert_mem_eq(seen.out, bytes, sizeof(bytes));
    acm_free(acm);
    unplug();
}
END_TEST

START_TEST(test_a_configuration_without_both_bulk_endpoints_has_no_port)
{
    unsigned writable = 0;
    const struct acm_owner owner = {take_nothing, count, &writable};

    plug(IMAGE_7);
    board_observe(board, NULL, NULL);
    ck_assert_ptr_null(acm_new(&port, identity.config, 18, &owner));
    for (size_t length = 0; length < identity.config_length; length++) {
        struct acm *acm = acm_new(&port, identity.config, length, &owner);

        /* Cut off before the bulk endpoints there is no port, wherever the cut is. */
        ck_assert_msg(acm == NULL, "a port in the first %zu bytes", length);
    }
    unplug();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acm");
    TCase *tcase = tcase_create("driver");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, test_opening_sets_9600_8n1_and_raises_both_lines, IMAGE_2,
                        TEST_IMAGES);
    tcase_add_test(tcase, test_closing_drops_the_lines_and_reopening_raises_them);
    tcase_add_loop_test(tcase, test_14400_is_not_answered_to_its_end, IMAGE_2, TEST_IMAGES);
    tcase_add_test(tcase, test_written_bytes_arrive_in_packets);
    tcase_add_test(tcase, test_a_configuration_without_both_bulk_endpoints_has_no_port);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
