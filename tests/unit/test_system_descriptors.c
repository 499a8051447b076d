/* What the running system says of itself, byte for byte: descriptors, strings, Microsoft's
 * requests, and the class's oddities. Expected: facts 07 §2, §3 and §5, enumerations of real 0.5.2
 * and 2.2.0 systems; other releases by device-os. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_service.h"

static struct board *board;
static struct host_transfer transfer;

static void teardown(void)
{
    board->ops->destroy(board);
}

/* Bytes of hexadecimal text, two digits each. */
static size_t parse(const char *hex, uint8_t *bytes)
{
    size_t count = 0;
    char *end;

    for (unsigned long byte = strtoul(hex, &end, 16); end != hex; byte = strtoul(hex, &end, 16)) {
        bytes[count++] = (uint8_t)byte;
        hex = end;
    }
    return count;
}

/* --- one IN request --- */

static enum host_end ask(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                         uint16_t length)
{
    return vendor_request(board, type, request, value, index, NULL, length, &transfer);
}

/* Exactly these bytes. */
static void expect(uint8_t type, uint8_t request, uint16_t value, uint16_t index, uint16_t length,
                   const char *hex)
{
    uint8_t bytes[256];
    size_t size = parse(hex, bytes);

    ck_assert_msg(ask(type, request, value, index, length) == HOST_ACK, "%02X %02X %04X: %s", type,
                  request, value, host_end_name(transfer.end));
    ck_assert_msg(transfer.length == size, "%02X %02X %04X: %zu bytes, not %zu", type, request,
                  value, transfer.length, size);
    ck_assert_mem_eq(transfer.data, bytes, size);
}

static void expect_end(uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                       uint16_t length, enum host_end end)
{
    enum host_end found = ask(type, request, value, index, length);

    ck_assert_msg(found == end, "%02X %02X %04X %04X: %s, not %s", type, request, value, index,
                  host_end_name(found), host_end_name(end));
}

static void expect_string(uint8_t index, const char *text)
{
    size_t size = 2 + 2 * strlen(text);

    ck_assert_msg(ask(0x80, 6, 0x0300 | index, 0x0409, 255) == HOST_ACK, "string %u: %s", index,
                  host_end_name(transfer.end));
    ck_assert_uint_eq(transfer.length, size);
    ck_assert_uint_eq(transfer.data[0], size);
    ck_assert_uint_eq(transfer.data[1], 3);
    for (size_t i = 0; text[i] != '\0'; i++) {
        ck_assert_msg(transfer.data[2 + 2 * i] == (uint8_t)text[i] && transfer.data[3 + 2 * i] == 0,
                      "string %u is not \"%s\"", index, text);
    }
}

/* --- a serial port alone, up to 0.5 --- */

#define CDC_DEVICE "12 01 00 02 02 00 00 40 04 2B 06 C0 00 02 01 02 03 01"
#define CDC_INTERFACES                                                                             \
    "09 04 00 00 01 02 02 01 00 05 24 00 10 01 05 24 01 00 01 04 24 02 02 05 24 06 00 01 "         \
    "07 05 82 03 08 00 10 09 04 01 00 02 0A 00 00 00 07 05 01 02 40 00 00 07 05 81 02 40 00 00"
#define CDC_CONFIGURATION "09 02 43 00 02 01 00 C0 32 " CDC_INTERFACES

static const struct {
    const char *release, *manufacturer;
} ports[] = {
    {"0.4.0", "Spark Devices"}, {"0.4.4", "Spark Devices"}, {"0.4.5", "Particle"},
    {"0.4.9", "Particle"},      {"0.5.2", "Particle"},      {"0.5.5", "Particle"},
};

START_TEST(test_up_to_0_5_a_board_is_a_serial_port)
{
    board = service_board(ports[_i].release);
    expect(0x80, 6, 0x0100, 0, 18, CDC_DEVICE);
    expect(0x80, 6, 0x0100, 0, 255, CDC_DEVICE);
    expect(0x80, 6, 0x0100, 0, 64, "12 01 00 02 02 00 00 40");
    expect(0x80, 6, 0x0200, 0, 67, CDC_CONFIGURATION);
    expect(0x80, 6, 0x0200, 0, 9, "09 02 43 00 02 01 00 C0 32");
    expect(0x80, 6, 0x0201, 0, 255, CDC_CONFIGURATION);
    expect(0x80, 6, 0x0300, 0, 255, "04 03 09 04");
    expect_string(1, ports[_i].manufacturer);
    expect_string(2, "Photon with WiFi");
    expect_string(3, "00000000050C");
    expect_string(4, "VCP Config");
    expect_string(5, "VCP Interface");
    expect_end(0x80, 6, 0x0600, 0, 10, HOST_STALL); /* device qualifier, other speed */
    expect_end(0x80, 6, 0x0700, 0, 9, HOST_STALL);
    expect(0x80, 0, 0, 0, 2, "01 00");
    expect(0x80, 8, 0, 0, 1, "01");
    expect(0x81, 10, 0, 0, 1, "00");
}
END_TEST

START_TEST(test_interface_requests_of_the_port_have_their_oddities)
{
    static const uint8_t coding[7] = {0x80, 0x70, 0, 0, 0, 0, 8};

    board = service_board("0.5.2");
    expect(0xA1, 0x21, 0, 0, 7, "80 25 00 00 00 00 00");
    ck_assert_int_eq(vendor_request(board, 0x21, 0x20, 0x1234, 0x5601, coding, 7, &transfer),
                     HOST_ACK);
    expect(0xA1, 0x21, 9, 1, 7, "80 70 00 00 00 00 08");
    expect(0xA1, 0x01, 0, 0, 7, "80 70 00 00 00 00 08"); /* any other class request, too */
    ck_assert_int_eq(ask(0xA1, 0x21, 0, 0, 64), HOST_ACK);
    ck_assert_uint_eq(transfer.length, 64);
    ck_assert_int_eq(vendor_request(board, 0x21, 0x23, 0, 0, NULL, 0, &transfer), HOST_ACK);
    ck_assert_int_eq(vendor_request(board, 0x21, 0x77, 0, 0, coding, 7, &transfer), HOST_ACK);
    expect(0x81, 6, 0x2200, 0, 58, CDC_INTERFACES); /* a leftover of HID */
    expect_end(0x81, 0, 0, 0, 2, HOST_NAK);
}
END_TEST

static const uint8_t crashing[] = {6, 7, 100, 0xEE, 255};

START_TEST(test_strings_from_6_on_crash_a_0_5)
{
    static const uint8_t setup[8] = {0x80, 6, 0, 3, 9, 4, 255, 0};
    uint8_t packet[8];
    struct led led;
    uint64_t asked;

    board = service_board(_i % 2 == 0 ? "0.4.4" : "0.5.2");
    memcpy(packet, setup, sizeof(packet));
    packet[2] = crashing[_i / 2];
    asked = board->now;
    host_control(board, packet, NULL, 0, BOARD_NS_PER_S, &transfer);
    ck_assert_int_ne(transfer.end, HOST_ACK);
    led = board->ops->led(board);
    ck_assert_int_eq(led.pattern, LED_SOS);
    ck_assert_uint_eq(led.code, 1);
    ck_assert_uint_eq(led.colour, 0xFF0000);
    board_advance_to(board, asked + 10000 * BOARD_NS_PER_MS);
    ck_assert_int_eq(board->ops->led(board).pattern, LED_SOS); /* twice 5.2 s */
    board_advance_to(board, asked + 10450 * BOARD_NS_PER_MS);
    service_reattach(board);
    expect_string(2, "Photon with WiFi");
}
END_TEST

/* --- serial port and control interface, from 0.6 on --- */

#define COMPOSITE_DEVICE "12 01 00 02 EF 02 01 40 04 2B 06 C0 50 02 01 02 03 01"
#define COMPOSITE_INTERFACES                                                                       \
    "80 32 08 0B 00 02 02 02 01 0A 09 04 00 00 01 02 02 01 0A 05 24 00 10 01 05 24 01 00 01 "      \
    "04 24 02 02 05 24 06 00 01 07 05 83 03 08 00 10 09 04 01 00 02 0A 00 00 0A "                  \
    "07 05 01 02 40 00 10 07 05 81 02 40 00 00 09 04 02 00 00 FF FF FF 09"

static const struct {
    const char *release, *serial;
} composites[] = {
    {"0.6.0", "1F00A2000B47ABCDEF323032"},
    {"0.6.4", "1F00A2000B47ABCDEF323032"},
    {"0.7.0", TEST_DEVICE_ID},
    {"1.0.0", TEST_DEVICE_ID},
    {"1.5.0", TEST_DEVICE_ID},
    {"2.2.0", TEST_DEVICE_ID},
};

START_TEST(test_from_0_6_on_it_has_a_control_interface)
{
    board = service_board(composites[_i].release);
    expect(0x80, 6, 0x0100, 0, 18, COMPOSITE_DEVICE);
    expect(0x80, 6, 0x0100, 0, 64, "12 01 00 02 EF 02 01 40");
    expect(0x80, 6, 0x0200, 0, 84, "09 02 54 00 03 01 04 " COMPOSITE_INTERFACES);
    expect(0x80, 6, 0x0201, 0, 255, "09 02 54 00 03 02 04 " COMPOSITE_INTERFACES);
    expect_string(1, "Particle");
    expect_string(2, "Photon");
    expect_string(3, composites[_i].serial);
    expect_string(4, "Composite");
    expect_string(5, "");
    expect_string(9, "Photon Control Interface");
    expect_string(10, "Photon Serial");
    expect_end(0x80, 6, 0x0600, 0, 10, HOST_STALL);
    expect_end(0x80, 6, 0x0700, 0, 9, HOST_STALL);
}
END_TEST

static const uint8_t undefined[] = {6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};

START_TEST(test_undefined_strings_of_a_composite_are_never_answered)
{
    board = service_board("2.2.0");
    for (size_t i = 0; i < sizeof(undefined); i++) {
        expect_end(0x80, 6, (uint16_t)(0x0300 | undefined[i]), 0x0409, 255, HOST_NAK);
        expect_string(2, "Photon"); /* it lives */
    }
    ck_assert_int_eq(vendor_request(board, 0, 9, 0, 0, NULL, 0, &transfer), HOST_ACK);
    expect_end(0x80, 6, 0x030A, 0x0409, 255, HOST_NAK); /* not configured any more */
}
END_TEST

/* --- Microsoft's descriptors --- */

#define COMPATIBLE_ID                                                                              \
    "28 00 00 00 00 01 04 00 01 00 00 00 00 00 00 00 02 01 57 49 4E 55 53 42 00 00 "               \
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
#define PROPERTIES                                                                                 \
    "92 00 00 00 00 01 05 00 01 00 88 00 00 00 07 00 00 00 2A 00 "                                 \
    "44 00 65 00 76 00 69 00 63 00 65 00 49 00 6E 00 74 00 65 00 72 00 66 00 61 00 63 00 65 00 "   \
    "47 00 55 00 49 00 44 00 73 00 00 00 50 00 00 00 "                                             \
    "7B 00 32 00 30 00 62 00 36 00 63 00 66 00 61 00 34 00 2D 00 36 00 64 00 63 00 37 00 2D 00 "   \
    "34 00 36 00 38 00 61 00 2D 00 61 00 38 00 64 00 62 00 2D 00 66 00 61 00 61 00 37 00 63 00 "   \
    "32 00 33 00 64 00 64 00 65 00 61 00 35 00 7D 00 00 00 00 00"

START_TEST(test_microsoft_s_descriptors_bind_the_control_interface)
{
    board = service_board(composites[_i].release);
    expect(0x80, 6, 0x03EE, 0, 18, "12 03 4D 00 53 00 46 00 54 00 31 00 30 00 30 00 EE 00");
    expect(0xC0, 0xEE, 0, 4, 40, COMPATIBLE_ID);
    expect(0xC0, 0xEE, 0, 4, 16, "28 00 00 00 00 01 04 00 01 00 00 00 00 00 00 00");
    expect(0xC0, 0xEE, 0, 4, 186, COMPATIBLE_ID PROPERTIES); /* as long as asked for */
    expect(0xC1, 0xEE, 2, 5, 146, PROPERTIES);
    expect(0xC1, 0xEE, 0, 5, 10, "00 00 00 00 00 00 00 00 00 00");
    expect_end(0xC0, 0xEE, 0, 5, 146, HOST_STALL);
    expect_end(0xC1, 0xEE, 0, 4, 40, HOST_NAK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("system descriptors");
    TCase *tests = tcase_create("descriptors");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_up_to_0_5_a_board_is_a_serial_port, 0,
                        sizeof(ports) / sizeof(ports[0]));
    tcase_add_test(tests, test_interface_requests_of_the_port_have_their_oddities);
    tcase_add_loop_test(tests, test_strings_from_6_on_crash_a_0_5, 0, 2 * sizeof(crashing));
    tcase_add_loop_test(tests, test_from_0_6_on_it_has_a_control_interface, 0,
                        sizeof(composites) / sizeof(composites[0]));
    tcase_add_test(tests, test_undefined_strings_of_a_composite_are_never_answered);
    tcase_add_loop_test(tests, test_microsoft_s_descriptors_bind_the_control_interface, 0,
                        sizeof(composites) / sizeof(composites[0]));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
