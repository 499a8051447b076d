/* The messages of USB/IP, byte for byte as Linux' Documentation/usb/usbip_protocol.rst has them. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "usb-gadget/usbip/codec.h"

/* Bytes from the hexadecimal words of the document. */
static size_t words(const char *text, uint8_t *bytes)
{
    size_t length = 0;

    while (*(text += strspn(text, " ")) != '\0') {
        const char digits[3] = {text[0], text[1], '\0'};
        bytes[length++] = (uint8_t)strtoul(digits, NULL, 16);
        text += 2;
    }
    return length;
}

static void expect_header(const struct usbip_header *header, const char *text)
{
    uint8_t expected[USBIP_HEADER_SIZE], bytes[USBIP_HEADER_SIZE];

    ck_assert_uint_eq(words(text, expected), sizeof expected);
    memset(bytes, 0xAA, sizeof bytes);
    usbip_header_put(bytes, header);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
}

static struct usbip_header parse(const char *text, bool known)
{
    uint8_t bytes[USBIP_HEADER_SIZE];
    struct usbip_header header;

    ck_assert_uint_eq(words(text, bytes), sizeof bytes);
    ck_assert_int_eq(usbip_header_get(bytes, &header), known);
    return header;
}

/* The four of the document's "EXAMPLE". */
#define INTERRUPT_IN                                                                               \
    "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004 "   \
    "00000000 00000000"
#define INTERRUPT_OUT                                                                              \
    "00000001 00000d06 0001000f 00000000 00000001 00000000 00000040 ffffffff 00000000 00000004 "   \
    "00000000 00000000"
#define RETURN_OUT                                                                                 \
    "00000003 00000d06 00000000 00000000 00000000 00000000 00000040 ffffffff 00000000 00000000 "   \
    "00000000 00000000"

START_TEST(test_the_examples_are_understood)
{
    struct usbip_header in = parse(INTERRUPT_IN, true), out = parse(INTERRUPT_OUT, true),
                        answer = parse(RETURN_OUT, true);

    ck_assert_uint_eq(in.code, USBIP_SUBMIT);
    ck_assert_uint_eq(in.seqnum, 0xd05);
    ck_assert_uint_eq(in.devid, 0x1000f);
    ck_assert_uint_eq(in.direction, 1);
    ck_assert_uint_eq(in.endpoint, 1);
    ck_assert_uint_eq(in.flags, 0x200);
    ck_assert_uint_eq(in.length, 64);
    ck_assert_uint_eq(in.start_frame, 0xffffffff);
    ck_assert_uint_eq(in.packets, 0);
    ck_assert_uint_eq(in.interval, 4);
    ck_assert_uint_eq(usbip_payload(&in), 0);
    ck_assert(!usbip_is_iso(&in));
    ck_assert_uint_eq(out.direction, 0);
    ck_assert_uint_eq(usbip_payload(&out), 64);
    ck_assert_uint_eq(answer.code, USBIP_RETURN_SUBMIT);
    ck_assert_uint_eq(answer.seqnum, 0xd06);
    ck_assert_int_eq(answer.status, 0);
    ck_assert_uint_eq(answer.actual, 64);
}
END_TEST

START_TEST(test_the_examples_are_written)
{
    expect_header(&(struct usbip_header){.code = USBIP_SUBMIT,
                                         .seqnum = 0xd05,
                                         .devid = 0x1000f,
                                         .direction = 1,
                                         .endpoint = 1,
                                         .flags = 0x200,
                                         .length = 64,
                                         .start_frame = 0xffffffff,
                                         .interval = 4},
                  INTERRUPT_IN);
    expect_header(
        &(struct usbip_header){
            .code = USBIP_RETURN_SUBMIT, .seqnum = 0xd06, .actual = 64, .start_frame = 0xffffffff},
        RETURN_OUT);
}
END_TEST

/* Offsets from the document's tables. */
START_TEST(test_a_setup_packet_stands_at_byte_0x28)
{
    const struct usbip_header header = {.code = USBIP_SUBMIT, .setup = {1, 2, 3, 4, 5, 6, 7, 8}};
    uint8_t bytes[USBIP_HEADER_SIZE];
    struct usbip_header again;

    usbip_header_put(bytes, &header);
    ck_assert_mem_eq(bytes + 0x28, header.setup, 8);
    ck_assert(usbip_header_get(bytes, &again));
    ck_assert_mem_eq(again.setup, header.setup, 8);
}
END_TEST

START_TEST(test_unlinking_and_its_return)
{
    struct usbip_header header =
        parse("00000002 00000d07 00010002 00000000 00000000 00000d05 00000000 00000000 00000000 "
              "00000000 00000000 00000000",
              true);

    ck_assert_uint_eq(header.code, USBIP_UNLINK);
    ck_assert_uint_eq(header.victim, 0xd05);
    ck_assert_uint_eq(usbip_payload(&header), 0);
    /* -104, ECONNRESET, in two's complement */
    expect_header(
        &(struct usbip_header){.code = USBIP_RETURN_UNLINK, .seqnum = 0xd07, .status = -ECONNRESET},
        "00000004 00000d07 00000000 00000000 00000000 ffffff98 00000000 00000000 "
        "00000000 00000000 00000000 00000000");
}
END_TEST

START_TEST(test_other_commands_are_none)
{
    (void)parse("00000000 00000001 00010002 00000000 00000000 00000000 00000000 00000000 00000000 "
                "00000000 00000000 00000000",
                false);
    (void)parse("00000005 00000001 00010002 00000000 00000000 00000000 00000000 00000000 00000000 "
                "00000000 00000000 00000000",
                false);
}
END_TEST

START_TEST(test_isochronous_packets_count_as_payload)
{
    struct usbip_header header = {
        .code = USBIP_SUBMIT, .length = 0xFFFFFFFF, .packets = 0xFFFFFFFE};

    ck_assert(usbip_is_iso(&header));
    ck_assert_uint_eq(usbip_payload(&header), UINT64_C(0xFFFFFFFF) + UINT64_C(0xFFFFFFFE) * 16);
    header.direction = 1;
    header.packets = 3;
    ck_assert_uint_eq(usbip_payload(&header), 48);
    header.packets = 0xFFFFFFFF; /* "shall be set to 0xffffffff if not ISO transfer" */
    ck_assert(!usbip_is_iso(&header));
    ck_assert_uint_eq(usbip_payload(&header), 0);
}
END_TEST

START_TEST(test_operations)
{
    static const uint8_t expected[8] = {0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0};
    const struct usbip_operation request = {USBIP_VERSION, USBIP_REQUEST_DEVLIST, 0};
    struct usbip_operation operation;
    uint8_t bytes[8];

    usbip_operation_put(bytes, &request);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
    words("01110003 00000002", bytes);
    usbip_operation_get(bytes, &operation);
    ck_assert_uint_eq(operation.version, 0x0111);
    ck_assert_uint_eq(operation.code, USBIP_REPLY_IMPORT);
    ck_assert_uint_eq(operation.status, USBIP_BUSY);
}
END_TEST

/* Offsets in OP_REP_IMPORT, less the 8 bytes of the operation. */
START_TEST(test_a_device)
{
    const struct usbip_device device = {.path = "/boards/one",
                                        .busid = "1-2",
                                        .busnum = 1,
                                        .devnum = 3,
                                        .speed = USBIP_FULL_SPEED,
                                        .vendor = 0x2B04,
                                        .product = 0xD006,
                                        .release = 0x0250,
                                        .class = 0xEF,
                                        .subclass = 2,
                                        .protocol = 1,
                                        .configuration = 4,
                                        .configurations = 5,
                                        .interfaces = 6};
    uint8_t bytes[USBIP_DEVICE_SIZE], tail[24];
    struct usbip_device again;

    usbip_device_put(bytes, &device);
    ck_assert_str_eq((char *)bytes, "/boards/one");
    ck_assert_str_eq((char *)bytes + 0x108 - 8, "1-2");
    ck_assert_uint_eq(words("00000001 00000003 00000002 2B04 D006 0250 EF 02 01 04 05 06", tail),
                      sizeof tail);
    ck_assert_mem_eq(bytes + 0x128 - 8, tail, sizeof tail);
    usbip_device_get(bytes, &again);
    ck_assert_mem_eq(&again, &device, sizeof device);
}
END_TEST

START_TEST(test_texts_without_an_end_are_cut)
{
    uint8_t bytes[USBIP_DEVICE_SIZE];
    struct usbip_device device;

    memset(bytes, 'x', sizeof bytes);
    usbip_device_get(bytes, &device);
    ck_assert_uint_eq(strlen(device.path), USBIP_PATH_SIZE - 1);
    ck_assert_uint_eq(strlen(device.busid), USBIP_BUSID_SIZE - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbip_codec");
    TCase *tcase = tcase_create("codec");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, test_the_examples_are_understood);
    tcase_add_test(tcase, test_the_examples_are_written);
    tcase_add_test(tcase, test_a_setup_packet_stands_at_byte_0x28);
    tcase_add_test(tcase, test_unlinking_and_its_return);
    tcase_add_test(tcase, test_other_commands_are_none);
    tcase_add_test(tcase, test_isochronous_packets_count_as_payload);
    tcase_add_test(tcase, test_operations);
    tcase_add_test(tcase, test_a_device);
    tcase_add_test(tcase, test_texts_without_an_end_are_cut);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
