/* What a capture shows of a transfer, byte for byte as Documentation/usb/usbmon.rst lays the
 * records out and drivers/usb/mon/mon_bin.c fills them in. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/support_transfer.h"
#include "usb-gadget/capture.h"

#define BUS    3
#define ID     UINT64_C(0x1122334455667788)
#define RECORD 64

/* The fields in usbmon.rst's order, with its names. */
struct packet {
    char type;
    uint8_t xfer_type, epnum, devnum;
    char flag_setup, flag_data;
    int32_t status;
    uint32_t length, len_cap;
    uint8_t setup[8];
    int32_t interval;
    uint32_t xfer_flags;
};

enum { ISO, INTR, CONTROL, BULK };
#define DIR_IN 0x200

static const uint64_t now = 12 * BOARD_NS_PER_S + 345678 * BOARD_NS_PER_US + 999;
static struct capture_record record;

static void put(uint8_t bytes_out[RECORD], size_t offset, const void *value, size_t size)
{
    memcpy(bytes_out + offset, value, size);
}

#define PUT(offset, type, value) put(expected, offset, &(type){value}, sizeof(type))

static void expect_packet(const struct packet *packet)
{
    uint8_t expected[RECORD] = {0};

    PUT(0, uint64_t, ID);
    PUT(8, char, packet->type);
    PUT(9, uint8_t, packet->xfer_type);
    PUT(10, uint8_t, packet->epnum);
    PUT(11, uint8_t, packet->devnum);
    PUT(12, uint16_t, BUS);
    PUT(14, char, packet->flag_setup);
    PUT(15, char, packet->flag_data);
    PUT(16, int64_t, 12);
    PUT(24, int32_t, 345678);
    PUT(28, int32_t, packet->status);
    PUT(32, uint32_t, packet->length);
    PUT(36, uint32_t, packet->len_cap);
    put(expected, 40, packet->setup, 8);
    PUT(48, int32_t, packet->interval);
    PUT(56, uint32_t, packet->xfer_flags);
    for (size_t i = 0; i < RECORD; i++) {
        ck_assert_msg(((const uint8_t *)&record.head)[i] == expected[i],
                      "byte %zu is 0x%02X, 0x%02X expected", i, ((const uint8_t *)&record.head)[i],
                      expected[i]);
    }
}

static void record_of(const struct transfer *transfer, bool ended)
{
    capture_record(&port, transfer, ended, BUS, ID, &record);
}

static void setup(void)
{
    transfer_setup();
    play(NULL, 0, false);
    script.board.now = now;
    port.address = 5;
}

START_TEST(test_control_in_has_its_setup_first_and_its_data_last)
{
    struct transfer transfer = control(0xA1, 6);

    record_of(&transfer, false);
    expect_packet(&(struct packet){.type = 'S',
                                   .xfer_type = CONTROL,
                                   .epnum = 0x80,
                                   .devnum = 5,
                                   .flag_data = '<',
                                   .status = -EINPROGRESS,
                                   .length = 6,
                                   .setup = {0xA1, 3, 0, 0, 0, 0, 6, 0},
                                   .xfer_flags = DIR_IN});
    ck_assert_ptr_null(record.data);

    transfer.actual = 4;
    record_of(&transfer, true);
    expect_packet(&(struct packet){.type = 'C',
                                   .xfer_type = CONTROL,
                                   .epnum = 0x80,
                                   .devnum = 5,
                                   .flag_setup = '-',
                                   .length = 4,
                                   .len_cap = 4,
                                   .xfer_flags = DIR_IN});
    ck_assert_ptr_eq(record.data, bytes);
}
END_TEST

START_TEST(test_control_out_has_setup_and_data_first)
{
    struct transfer transfer = control(0x21, 130);

    record_of(&transfer, false);
    expect_packet(&(struct packet){.type = 'S',
                                   .xfer_type = CONTROL,
                                   .devnum = 5,
                                   .status = -EINPROGRESS,
                                   .length = 130,
                                   .len_cap = 130,
                                   .setup = {0x21, 3, 0, 0, 0, 0, 130, 0}});
    ck_assert_ptr_eq(record.data, bytes);

    transfer.actual = 64;
    transfer.status = TRANSFER_STALL;
    record_of(&transfer, true);
    expect_packet(&(struct packet){.type = 'C',
                                   .xfer_type = CONTROL,
                                   .devnum = 5,
                                   .flag_setup = '-',
                                   .flag_data = '>',
                                   .status = -EPIPE,
                                   .length = 64});
    ck_assert_ptr_null(record.data);
}
END_TEST

/* usb_submit_urb() takes a control transfer without data for OUT, whatever its first byte says. */
START_TEST(test_control_without_data_is_out)
{
    struct transfer transfer = control(0xA1, 0);

    record_of(&transfer, false);
    expect_packet(&(struct packet){.type = 'S',
                                   .xfer_type = CONTROL,
                                   .devnum = 5,
                                   .status = -EINPROGRESS,
                                   .setup = {0xA1, 3}});
    ck_assert_ptr_null(record.data);
    record_of(&transfer, true);
    expect_packet(&(struct packet){
        .type = 'C', .xfer_type = CONTROL, .devnum = 5, .flag_setup = '-', .flag_data = '>'});
}
END_TEST

START_TEST(test_bulk_has_no_setup)
{
    struct transfer in = bulk(0x81, 512), out = bulk(0x02, 100);

    record_of(&in, false);
    expect_packet(&(struct packet){.type = 'S',
                                   .xfer_type = BULK,
                                   .epnum = 0x81,
                                   .devnum = 5,
                                   .flag_setup = '-',
                                   .flag_data = '<',
                                   .status = -EINPROGRESS,
                                   .length = 512,
                                   .xfer_flags = DIR_IN});
    record_of(&in, true);
    expect_packet(&(struct packet){.type = 'C',
                                   .xfer_type = BULK,
                                   .epnum = 0x81,
                                   .devnum = 5,
                                   .flag_setup = '-',
                                   .xfer_flags = DIR_IN});
    ck_assert_ptr_null(record.data);
    record_of(&out, false);
    expect_packet(&(struct packet){.type = 'S',
                                   .xfer_type = BULK,
                                   .epnum = 0x02,
                                   .devnum = 5,
                                   .flag_setup = '-',
                                   .status = -EINPROGRESS,
                                   .length = 100,
                                   .len_cap = 100});
}
END_TEST

/* What usb_submit_urb() makes of bInterval at full speed. */
START_TEST(test_interrupt_has_an_interval_that_is_a_power_of_two)
{
    static const struct {
        uint8_t asked;
        int32_t shown;
    } intervals[] = {{0, 0}, {1, 1}, {2, 2}, {3, 2}, {10, 8}, {16, 16}, {127, 64}, {255, 128}};
    struct transfer transfer = bulk(0x83, 8);

    transfer.type = TRANSFER_INTERRUPT;
    for (size_t i = 0; i < sizeof intervals / sizeof intervals[0]; i++) {
        transfer.interval = intervals[i].asked;
        record_of(&transfer, false);
        expect_packet(&(struct packet){.type = 'S',
                                       .xfer_type = INTR,
                                       .epnum = 0x83,
                                       .devnum = 5,
                                       .flag_setup = '-',
                                       .flag_data = '<',
                                       .status = -EINPROGRESS,
                                       .length = 8,
                                       .interval = intervals[i].shown,
                                       .xfer_flags = DIR_IN});
    }
}
END_TEST

START_TEST(test_an_empty_packet_at_the_end_is_a_flag)
{
    struct transfer out = bulk(0x02, 64);

    out.zero_packet = true;
    record_of(&out, false);
    ck_assert_uint_eq(record.head.xfer_flags, 0x40); /* URB_ZERO_PACKET */
}
END_TEST

START_TEST(test_statuses_are_those_of_a_kernel)
{
    static const struct {
        enum transfer_status status;
        int32_t shown;
    } ends[] = {{TRANSFER_OK, 0},
                {TRANSFER_STALL, -EPIPE},
                {TRANSFER_PROTOCOL_ERROR, -EPROTO},
                {TRANSFER_CANCELLED, -ENOENT},
                {TRANSFER_NO_DEVICE, -ESHUTDOWN},
                {TRANSFER_BABBLE, -EOVERFLOW}};
    struct transfer transfer = bulk(0x81, 64);

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        transfer.status = ends[i].status;
        record_of(&transfer, true);
        expect_packet(&(struct packet){.type = 'C',
                                       .xfer_type = BULK,
                                       .epnum = 0x81,
                                       .devnum = 5,
                                       .flag_setup = '-',
                                       .status = ends[i].shown,
                                       .xfer_flags = DIR_IN});
    }
}
END_TEST

START_TEST(test_wlength_beyond_the_buffer_is_shown_as_what_can_move)
{
    struct transfer transfer = control(0x80, 4096);

    transfer.length = 100;
    record_of(&transfer, false);
    ck_assert_uint_eq(record.head.urb_len, 100);
}
END_TEST

START_TEST(test_more_data_than_a_record_holds_are_cut_and_counted)
{
    struct transfer transfer = bulk(0x02, CAPTURE_DATA_MAX + 1);

    record_of(&transfer, false);
    ck_assert_uint_eq(record.head.urb_len, CAPTURE_DATA_MAX + 1);
    ck_assert_uint_eq(record.head.data_len, CAPTURE_DATA_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("capture");
    TCase *records = tcase_create("records");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, records);
    tcase_add_checked_fixture(records, setup, NULL);
    tcase_add_test(records, test_control_in_has_its_setup_first_and_its_data_last);
    tcase_add_test(records, test_control_out_has_setup_and_data_first);
    tcase_add_test(records, test_control_without_data_is_out);
    tcase_add_test(records, test_bulk_has_no_setup);
    tcase_add_test(records, test_interrupt_has_an_interval_that_is_a_power_of_two);
    tcase_add_test(records, test_an_empty_packet_at_the_end_is_a_flag);
    tcase_add_test(records, test_statuses_are_those_of_a_kernel);
    tcase_add_test(records, test_wlength_beyond_the_buffer_is_shown_as_what_can_move);
    tcase_add_test(records, test_more_data_than_a_record_holds_are_cut_and_counted);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
