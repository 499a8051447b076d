/* usbfs's structures as requests to the server, against Linux drivers/usb/core/devio.c. */
#include <asm/ioctls.h>
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "usb-gadget/preload/translation.h"

#define NONE (-1)

/* A device with interface 0, and in its second setting an endpoint 0x81. */
static const struct preload_handle_info info = {
    .number = 5,
    .speed = 2,
    .position = 3,
    .descriptors_length = 18 + 9 + 9 + 9 + 7,
    .descriptors = {18, 1, 0,  2, 0, 0,    0, 64,   0x04, 0x2B, 0x06, 0xD0, 0, 2,  1,    2, 3, 1,
                    9,  2, 34, 0, 1, 1,    0, 0xC0, 50,   9,    4,    0,    0, 0,  0xFE, 1, 2, 0,
                    9,  4, 0,  1, 1, 0xFE, 1, 2,    0,    7,    5,    0x81, 2, 64, 0,    0},
};

START_TEST(test_control_moves_a_page_at_most)
{
    struct usbdevfs_ctrltransfer what = {0x21, 1, 2, 0, 4096, 1000, NULL};
    const uint8_t setup[] = {0x21, 1, 2, 0, 0, 0, 0, 0x10};
    struct preload_request request;

    ck_assert_int_eq(translate_control(&what, &request), 0);
    ck_assert_int_eq(request.operation, PRELOAD_CALL);
    ck_assert_uint_eq(request.number, 1000);
    ck_assert_uint_eq(request.length, 4096);
    ck_assert_mem_eq(request.setup, setup, sizeof setup);
    ck_assert(!translation_is_in(&request));
    what.wLength = 4097;
    ck_assert_int_eq(translate_control(&what, &request), -EINVAL);
}
END_TEST

/* bRequestType, wLength, buffer, and what becomes of it. */
static const struct {
    uint8_t type, endpoint;
    int32_t buffer_length;
    uint32_t flags;
    uint16_t setup_length;
    int result;
    uint32_t length;
} urbs[] = {
    {USBDEVFS_URB_TYPE_CONTROL, 0, 8 + 6, 0, 6, 0, 6},
    {USBDEVFS_URB_TYPE_CONTROL, 0x80, 8 + 64, 0, 6, 0, 6},
    {USBDEVFS_URB_TYPE_CONTROL, 0, 8 + 5, 0, 6, -EINVAL, 0},
    {USBDEVFS_URB_TYPE_CONTROL, 0, 7, 0, 0, -EINVAL, 0},
    {USBDEVFS_URB_TYPE_CONTROL, 1, 8 + 6, 0, 6, -EINVAL, 0},
    {USBDEVFS_URB_TYPE_CONTROL, 0, 8 + 16385, 0, 16385, -ENOMEM, 0},
    {USBDEVFS_URB_TYPE_BULK, 0x81, 64, USBDEVFS_URB_SHORT_NOT_OK, 0, 0, 64},
    {USBDEVFS_URB_TYPE_BULK, 0x81, 16385, 0, 0, -ENOMEM, 0},
    {USBDEVFS_URB_TYPE_BULK, 0x81, -1, 0, 0, -EINVAL, 0},
    {USBDEVFS_URB_TYPE_BULK, 0x81, 64, 0x8000, 0, -EINVAL, 0},
    {USBDEVFS_URB_TYPE_INTERRUPT, 0x81, 8, 0, 0, 0, 8},
    {USBDEVFS_URB_TYPE_ISO, 0x81, 8, 0, 0, -EINVAL, 0},
};

START_TEST(test_urb)
{
    uint8_t buffer[8] = {
        0xA1, 3, 0, 0, 0, 0, (uint8_t)urbs[_i].setup_length, (uint8_t)(urbs[_i].setup_length >> 8)};
    const struct usbdevfs_urb urb = {.type = urbs[_i].type,
                                     .endpoint = urbs[_i].endpoint,
                                     .flags = urbs[_i].flags,
                                     .buffer = buffer,
                                     .buffer_length = urbs[_i].buffer_length};
    struct preload_request request;

    ck_assert_int_eq(translate_urb(&urb, 0x1234, buffer, &request), urbs[_i].result);
    if (urbs[_i].result == 0) {
        ck_assert_uint_eq(request.length, urbs[_i].length);
        ck_assert_uint_eq(request.tag, 0x1234);
        ck_assert(translation_is_in(&request));
        ck_assert(!(request.flags & PRELOAD_SHORT_NOT_OK) ==
                  !(urbs[_i].flags & USBDEVFS_URB_SHORT_NOT_OK));
        ck_assert_uint_eq(translation_offset(&urb),
                          urbs[_i].type == USBDEVFS_URB_TYPE_CONTROL ? 8 : 0);
    }
}
END_TEST

/* The interface that must be claimed first: check_ctrlrecip() and checkintf(). */
static const struct {
    uint8_t request_type, index;
    uint64_t claimed;
    int result, interface;
} claims[] = {
    {0x80, 0, 0, 0, NONE},      {0xA1, 0, 0, 0, 0},       {0xA1, 0, 1, 0, NONE},
    {0xC1, 0, 0, 0, NONE},      {0x21, 7, 1, 0, 7},       {0x02, 0x81, 0, 0, 0},
    {0x02, 0x01, 0, 0, 0},      {0x02, 0x00, 0, 0, NONE}, {0x02, 0x82, 0, 0, NONE},
    {0x21, 64, 0, -EINVAL, 64},
};

START_TEST(test_claim_for_control)
{
    const struct preload_request request = {
        .type = PRELOAD_CONTROL,
        .setup = {claims[_i].request_type, 0, 0, 0, claims[_i].index},
    };
    int interface;

    ck_assert_int_eq(translate_claim(&info, &request, claims[_i].claimed, &interface),
                     claims[_i].result);
    ck_assert_int_eq(interface, claims[_i].interface);
}
END_TEST

START_TEST(test_claim_for_an_endpoint)
{
    struct preload_request request = {.type = PRELOAD_BULK, .endpoint = 0x81};
    int interface;

    ck_assert_int_eq(translate_claim(&info, &request, 0, &interface), 0);
    ck_assert_int_eq(interface, 0);
    request.endpoint = 0x82;
    ck_assert_int_eq(translate_claim(&info, &request, 0, &interface), -ENOENT);
}
END_TEST

START_TEST(test_numbers)
{
    const unsigned interface = 3, far = 64, none = ~0U;
    const struct usbdevfs_setinterface setting = {3, 1};
    struct preload_request request;

    ck_assert_uint_eq(translation_argument(USBDEVFS_CLAIMINTERFACE), sizeof interface);
    ck_assert_int_eq(translate_numbers(USBDEVFS_CLAIMINTERFACE, &interface, &request), 0);
    ck_assert_int_eq(request.operation, PRELOAD_CLAIM);
    ck_assert_uint_eq(translation_claims(1, &request), 1 | 1 << 3);
    ck_assert_int_eq(translate_numbers(USBDEVFS_RELEASEINTERFACE, &interface, &request), 0);
    ck_assert_uint_eq(translation_claims(1 | 1 << 3, &request), 1);
    ck_assert_int_eq(translate_numbers(USBDEVFS_CLAIMINTERFACE, &far, &request), -EINVAL);
    ck_assert_uint_eq(translation_argument(USBDEVFS_SETINTERFACE), sizeof setting);
    ck_assert_int_eq(translate_numbers(USBDEVFS_SETINTERFACE, &setting, &request), 0);
    ck_assert_uint_eq(request.number, 3);
    ck_assert_uint_eq(request.length, 1);
    ck_assert_uint_eq(translation_claims(0, &request), 1 << 3);
    ck_assert_int_eq(translate_numbers(USBDEVFS_SETCONFIGURATION, &none, &request), 0);
    ck_assert_uint_eq(request.number, 0);
    ck_assert_uint_eq(translation_argument(USBDEVFS_RESET), 0);
    ck_assert_int_eq(translate_numbers(USBDEVFS_RESET, NULL, &request), 0);
    ck_assert_uint_eq(translation_claims(~UINT64_C(0), &request), 0);
    ck_assert_int_eq(translate_numbers(_IO('U', 99), NULL, &request), -ENOTTY);
}
END_TEST

START_TEST(test_connection_information_is_as_long_as_is_asked)
{
    uint8_t out[TRANSLATION_ANSWER];
    struct usbdevfs_conninfo_ex known;
    size_t size;

    ck_assert_int_eq(translation_answer(&info, USBDEVFS_CONNINFO_EX(sizeof known), out, &size), 0);
    ck_assert_uint_eq(size, sizeof known);
    memcpy(&known, out, sizeof known);
    ck_assert_uint_eq(known.devnum, 5);
    ck_assert_uint_eq(known.num_ports, 1);
    ck_assert_uint_eq(known.ports[0], 3);
    ck_assert_int_eq(translation_answer(&info, USBDEVFS_CONNINFO_EX(8), out, &size), 0);
    ck_assert_uint_eq(size, 8);
    ck_assert_int_eq(translation_answer(&info, USBDEVFS_CONNINFO_EX(8000), out, &size), 0);
    ck_assert_uint_eq(size, TRANSLATION_ANSWER);
    ck_assert_int_eq(translation_answer(&info, USBDEVFS_GET_SPEED, out, &size), 2);
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(translation_answer(&info, USBDEVFS_CONTROL, out, &size), -ENOTTY);
}
END_TEST

START_TEST(test_modem_lines)
{
    struct preload_request request = {0};

    translate_modem(TIOCMBIS, 1, TIOCM_RTS | TIOCM_CTS, &request);
    ck_assert_int_eq(request.type, PRELOAD_TTY_SET_LINES);
    ck_assert_uint_eq(request.length, 3);
    translate_modem(TIOCMBIC, 3, TIOCM_DTR, &request);
    ck_assert_uint_eq(request.length, 2);
    translate_modem(TIOCMSET, 3, 0, &request);
    ck_assert_uint_eq(request.length, 0);
    translate_modem(TIOCSBRK, 3, 0, &request);
    ck_assert_int_eq(request.type, PRELOAD_TTY_BREAK);
    ck_assert_uint_eq(request.length, 1);
    ck_assert_int_eq(translation_modem_bits(2), TIOCM_RTS | TIOCM_CTS);
    ck_assert_int_eq(translation_break_ms(TCSBRK, 0), 250);
    ck_assert_int_eq(translation_break_ms(TCSBRK, 1), -1);
    ck_assert_int_eq(translation_break_ms(TCSBRKP, 3), 300);
    ck_assert_int_eq(translation_break_ms(TCSBRKP, 0), 250);
    ck_assert_int_eq(translation_break_ms(TCGETS, 0), -1);
    ck_assert(translation_sets_terminal(TCSETSF) && translation_sets_terminal(0x402C542B));
    ck_assert(!translation_sets_terminal(TCGETS) && !translation_sets_terminal(TCGETA));
    ck_assert(translation_is_modem(TIOCMGET) && !translation_is_modem(TIOCGWINSZ));
    ck_assert_int_eq(translation_pts(136, 7), 7);
    ck_assert_int_eq(translation_pts(137, 7), 256 + 7);
    ck_assert_int_eq(translation_pts(5, 0), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_translation");
    TCase *requests = tcase_create("requests");

    tcase_add_test(requests, test_control_moves_a_page_at_most);
    tcase_add_loop_test(requests, test_urb, 0, sizeof urbs / sizeof urbs[0]);
    tcase_add_loop_test(requests, test_claim_for_control, 0, sizeof claims / sizeof claims[0]);
    tcase_add_test(requests, test_claim_for_an_endpoint);
    tcase_add_test(requests, test_numbers);
    tcase_add_test(requests, test_connection_information_is_as_long_as_is_asked);
    tcase_add_test(requests, test_modem_lines);
    suite_add_tcase(suite, requests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
