/* Hotplug messages against what libudev filters for and what the kernel's documentation shows. */
#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "usb-gadget/preload/uevent.h"

static struct usb_device board = {
    .position = 3,
    .number = 7,
    .name = "1-3",
    .devpath = "/devices/platform/vphoton.0/usb1/1-3",
    .identity = {.device = {18, 1, 0, 2, 0, 0, 0, 64, 0x04, 0x2B, 0x06, 0xD0, 0x50, 0x02, 1, 2, 3,
                            1},
                 .config = {9, 2, 18, 0, 1, 1, 2, 0xC0, 50, 9, 4, 0, 0, 0, 0xFE, 1, 2, 6},
                 .config_length = 18,
                 .manufacturer = "Particle",
                 .product = "Photon  DFU Mode",
                 .serial = "0123456789abcdef01234567"},
};

static void set_up(void)
{
    board.settings[0] = (struct usb_setting){.descriptor = board.identity.config + 9};
    board.setting_count = 1;
    board.interfaces[0] = (struct usb_interface){.setting = &board.settings[0]};
    board.interface_count = 1;
}

/* The filter that libudev 252 attaches for "usb/usb_device" compares with these. */
START_TEST(test_hash_is_the_one_of_libudevs_filter)
{
    ck_assert_uint_eq(uevent_hash("usb"), 0x0577C5E5);
    ck_assert_uint_eq(uevent_hash("usb_device"), 0x27F8F50C);
}
END_TEST

START_TEST(test_kernel_message_of_a_new_device)
{
    static const char expected[] = "add@/devices/platform/vphoton.0/usb1/1-3\0"
                                   "ACTION=add\0"
                                   "DEVPATH=/devices/platform/vphoton.0/usb1/1-3\0"
                                   "SUBSYSTEM=usb\0"
                                   "MAJOR=189\0"
                                   "MINOR=6\0"
                                   "DEVNAME=bus/usb/001/007\0"
                                   "DEVTYPE=usb_device\0"
                                   "PRODUCT=2b04/d006/250\0"
                                   "TYPE=0/0/0\0"
                                   "BUSNUM=001\0"
                                   "DEVNUM=007\0"
                                   "SEQNUM=42";
    const struct uevent event = {
        .action = "add", .device = &board, .interface = NULL, .sequence = 42};
    uint8_t message[UEVENT_MAX];

    ck_assert_uint_eq(uevent_format(&event, UEVENT_KERNEL, message), sizeof expected);
    ck_assert_mem_eq(message, expected, sizeof expected);
}
END_TEST

START_TEST(test_kernel_message_of_an_interface)
{
    static const char expected[] = "remove@/devices/platform/vphoton.0/usb1/1-3/1-3:1.0\0"
                                   "ACTION=remove\0"
                                   "DEVPATH=/devices/platform/vphoton.0/usb1/1-3/1-3:1.0\0"
                                   "SUBSYSTEM=usb\0"
                                   "DEVTYPE=usb_interface\0"
                                   "PRODUCT=2b04/d006/250\0"
                                   "TYPE=0/0/0\0"
                                   "INTERFACE=254/1/2\0"
                                   "MODALIAS=usb:v2B04pD006d0250dc00dsc00dp00icFEisc01ip02in00\0"
                                   "SEQNUM=1";
    const struct uevent event = {
        .action = "remove", .device = &board, .interface = &board.interfaces[0], .sequence = 1};
    uint8_t message[UEVENT_MAX];

    ck_assert_uint_eq(uevent_format(&event, UEVENT_KERNEL, message), sizeof expected);
    ck_assert_mem_eq(message, expected, sizeof expected);
}
END_TEST

static uint32_t word(const uint8_t *message, size_t offset)
{
    uint32_t value;

    memcpy(&value, message + offset, sizeof value);
    return value;
}

static bool has(const uint8_t *message, size_t from, size_t to, const char *property)
{
    for (size_t at = from; at < to; at += strlen((const char *)message + at) + 1) {
        if (strcmp((const char *)message + at, property) == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(test_udev_message_has_libudevs_head_and_the_rules_properties)
{
    const struct uevent event = {
        .action = "add", .device = &board, .interface = NULL, .sequence = 42};
    uint8_t message[UEVENT_MAX];
    size_t length = uevent_format(&event, UEVENT_UDEV, message);

    ck_assert_mem_eq(message, "libudev", 8);
    ck_assert_uint_eq(ntohl(word(message, 8)), 0xFEEDCAFE);
    ck_assert_uint_eq(word(message, 12), 40); /* size of the head */
    ck_assert_uint_eq(word(message, 16), 40); /* where the properties are */
    ck_assert_uint_eq(word(message, 20), length - 40);
    ck_assert_uint_eq(ntohl(word(message, 24)), 0x0577C5E5);
    ck_assert_uint_eq(ntohl(word(message, 28)), 0x27F8F50C);
    ck_assert(has(message, 40, length, "ACTION=add"));
    ck_assert(has(message, 40, length, "DEVNAME=/dev/bus/usb/001/007"));
    ck_assert(has(message, 40, length, "ID_BUS=usb"));
    ck_assert(has(message, 40, length, "ID_VENDOR_ID=2b04"));
    ck_assert(has(message, 40, length, "ID_MODEL=Photon_DFU_Mode"));
    ck_assert(has(message, 40, length, "ID_MODEL_ENC=Photon\\x20\\x20DFU\\x20Mode"));
    ck_assert(has(message, 40, length, "ID_SERIAL_SHORT=0123456789abcdef01234567"));
    ck_assert(
        has(message, 40, length, "ID_SERIAL=Particle_Photon_DFU_Mode_0123456789abcdef01234567"));
    ck_assert(has(message, 40, length, "ID_USB_INTERFACES=:fe0102:"));
}
END_TEST

START_TEST(test_longest_strings_fit)
{
    const struct uevent event = {
        .action = "unbind", .device = &board, .interface = NULL, .sequence = UINT64_MAX};
    struct usb_identity before = board.identity;
    uint8_t message[UEVENT_MAX];

    memset(board.identity.manufacturer, ' ', sizeof before.manufacturer - 1);
    memset(board.identity.product, '\\', sizeof before.product - 1);
    memset(board.identity.serial, 0x80, sizeof before.serial - 1);
    ck_assert_uint_le(uevent_format(&event, UEVENT_UDEV, message), UEVENT_MAX);
    board.identity = before;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_uevent");
    TCase *messages = tcase_create("messages");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(messages, set_up, NULL);
    tcase_add_test(messages, test_hash_is_the_one_of_libudevs_filter);
    tcase_add_test(messages, test_kernel_message_of_a_new_device);
    tcase_add_test(messages, test_kernel_message_of_an_interface);
    tcase_add_test(messages, test_udev_message_has_libudevs_head_and_the_rules_properties);
    tcase_add_test(messages, test_longest_strings_fit);
    suite_add_tcase(suite, messages);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
