/* The USB/IP server, asked over sockets as vhci_hcd and its tools ask. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/support_usbip.h"

#define RETURN_SUBMIT 3
#define RETURN_UNLINK 4

/* --- operations --- */

static const uint8_t ask_devlist[8] = {0x01, 0x11, 0x80, 0x05};

static uint32_t listed(void)
{
    uint8_t head[12];
    int client = usbip_dial();

    usbip_say(client, ask_devlist, sizeof ask_devlist);
    usbip_expect(client, head, sizeof head);
    ck_assert_uint_eq(usbip_word(head), 0x01110005);
    ck_assert_uint_eq(usbip_word(head + 4), 0);
    ck_assert(usbip_is_closed(client));
    close(client);
    return usbip_word(head + 8);
}

START_TEST(test_devlist_describes_every_board)
{
    /* Descriptors of bootloaders 3 and 1006: bcdDevice, one configuration, one interface. */
    static const struct {
        const char *name, *busid;
        uint32_t devnum;
        uint8_t tail[16];
    } expected[] = {
        {"one", "1-1", 2, {0x2B, 0x04, 0xD0, 0x06, 2, 0, 0, 0, 0, 1, 1, 1, 0xFE, 1, 2, 0}},
        {"two", "1-2", 3, {0x2B, 0x04, 0xD0, 0x06, 2, 0x50, 0, 0, 0, 1, 1, 1, 0xFE, 1, 2, 0}},
    };
    uint8_t head[12], device[0x138 + 4];
    int client = usbip_dial();

    usbip_say(client, ask_devlist, sizeof ask_devlist);
    usbip_expect(client, head, sizeof head);
    ck_assert_uint_eq(usbip_word(head + 8), 2);
    for (size_t i = 0; i < 2; i++) {
        usbip_expect(client, device, sizeof device);
        ck_assert_str_eq((char *)device, expected[i].name);
        ck_assert_str_eq((char *)device + 0x100, expected[i].busid);
        ck_assert_uint_eq(usbip_word(device + 0x120), 1);
        ck_assert_uint_eq(usbip_word(device + 0x124), expected[i].devnum);
        ck_assert_uint_eq(usbip_word(device + 0x128), 2); /* full speed */
        ck_assert_mem_eq(device + 0x12C, expected[i].tail, 16);
    }
    ck_assert(usbip_is_closed(client));
    close(client);
}
END_TEST

START_TEST(test_what_cannot_be_imported_is_not_listed)
{
    int client = usbip_imported();

    ck_assert_uint_eq(listed(), 1);
    usbip_unplug(1);
    ck_assert_uint_eq(listed(), 0);
    close(client);
    usbip_turn();
    ck_assert_uint_eq(listed(), 1);
}
END_TEST

START_TEST(test_a_list_does_not_disturb_whoever_has_the_board)
{
    int client = usbip_imported();

    usbip_say_control(client, 1, usbip_unanswered, NULL);
    ck_assert_uint_eq(listed(), 1);
    usbip_say_unlink(client, 2, 1);
    usbip_expect_return(client, RETURN_UNLINK, 2, -ECONNRESET);
    close(client);
}
END_TEST

/* Status words as usbipd gives them: 2 busy, 4 no such device. */
START_TEST(test_import_is_for_one_host_of_an_attached_board)
{
    int first = usbip_imported(), other = usbip_dial(), wrong = usbip_dial();

    ck_assert_uint_eq(usbip_ask_import(other, "1-1"), 2);
    ck_assert(usbip_is_closed(other));
    ck_assert_uint_eq(usbip_ask_import(wrong, "1-3"), 4);
    ck_assert(usbip_is_closed(wrong));
    close(other);
    close(wrong);

    other = usbip_dial();
    ck_assert_uint_eq(usbip_ask_import(other, "1-2"), 0);
    close(first);
    usbip_turn();
    first = usbip_imported();
    usbip_unplug(0);
    close(first);
    first = usbip_dial();
    ck_assert_uint_eq(usbip_ask_import(first, "1-1"), 4);
    close(first);
    close(other);
}
END_TEST

START_TEST(test_messages_may_come_byte_by_byte)
{
    static const uint8_t submit[] = {0, 0, 0, 1, 0, 0, 0, 7, 0,    1, 0, 2, 0, 0, 0, 1,
                                     0, 0, 0, 0, 0, 0, 2, 0, 0,    0, 0, 6, 0, 0, 0, 0,
                                     0, 0, 0, 0, 0, 0, 0, 0, 0xA1, 3, 0, 0, 0, 0, 6, 0};
    int client = usbip_imported();
    uint8_t status[6];

    for (size_t i = 0; i < sizeof submit; i++) {
        usbip_say(client, submit + i, 1);
    }
    ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, 7, 0), 6);
    usbip_expect(client, status, sizeof status);
    close(client);
}
END_TEST

/* --- transfers --- */

START_TEST(test_control_transfers_end_as_the_board_ends_them)
{
    static const uint8_t idle[6] = {0, 0, 0, 0, 2, 0};
    static const uint8_t long_ask[8] = {0x80, 6, 0, 1, 0, 0, 0x12, 2}; /* 530 bytes of 18 */
    static const uint8_t device[18] = {18,   1,    0,    2, 0, 0, 0, 64, 0x04,
                                       0x2B, 0x06, 0xD0, 0, 2, 1, 2, 3,  1};
    int client = usbip_imported();
    uint8_t data[18];

    usbip_say_control(client, 1, usbip_get_status, NULL);
    ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, 1, 0), 6);
    usbip_expect(client, data, 6);
    ck_assert_mem_eq(data, idle, 6);
    usbip_say_control(client, 2, usbip_stalled, NULL);
    ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, 2, -EPIPE), 0);
    usbip_say_control(client, 3, long_ask, NULL);
    ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, 3, 0), 18);
    usbip_expect(client, data, 18);
    ck_assert_mem_eq(data, device, 18);
    close(client);
}
END_TEST

START_TEST(test_a_short_transfer_is_an_error_on_request)
{
    const uint32_t words[12] = {1,  9, USBIP_DEVID, 1, 0,          0x201,
                                64, 0, 0,           0, 0x80060001, 0x00004000};
    int client = usbip_imported();
    uint8_t data[8];

    /* 64 bytes of the device descriptor bring 8, on every Photon. */
    usbip_say_words(client, words, 12);
    ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, 9, -EREMOTEIO), 8);
    usbip_expect(client, data, 8);
    close(client);
}
END_TEST

/* SET_FEATURE(PORT_RESET), a request to a hub, is how a client resets what it imported: Linux'
 * usbip_host takes it for the device that it exports. A reset device has an address but no
 * configuration. */
START_TEST(test_a_port_reset_resets_the_board)
{
    static const uint8_t port_reset[8] = {0x23, 3, 4, 0, 1, 0, 0, 0};
    static const uint8_t get_configuration[8] = {0x80, 8, 0, 0, 0, 0, 1, 0};
    static const uint8_t set_configuration[8] = {0x00, 9, 1, 0, 0, 0, 0, 0};
    int client = usbip_imported();
    uint8_t configuration, status[6];

    usbip_say_control(client, 1, get_configuration, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 1, 0);
    usbip_expect(client, &configuration, 1);
    ck_assert_uint_eq(configuration, 1);
    usbip_say_control(client, 2, port_reset, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 2, 0);
    usbip_say_control(client, 3, get_configuration, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 3, 0);
    usbip_expect(client, &configuration, 1);
    ck_assert_uint_eq(configuration, 0);
    usbip_say_control(client, 4, usbip_get_status, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 4, -EPIPE);
    usbip_say_control(client, 5, set_configuration, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 5, 0);
    usbip_say_control(client, 6, usbip_get_status, NULL);
    usbip_expect_return(client, RETURN_SUBMIT, 6, 0);
    usbip_expect(client, status, sizeof status);
    close(client);
}
END_TEST

/* DfuSe: SET_ADDRESS_POINTER to the application, then one block. */
START_TEST(test_a_download_reaches_the_flash)
{
    static const uint8_t download[8] = {0x21, 1, 0, 0, 0, 0, 5, 0};
    static const uint8_t block[8] = {0x21, 1, 2, 0, 0, 0, 0, 4};
    static const uint8_t pointer[5] = {0x21, 0x00, 0x00, 0x0A, 0x08};
    static const uint8_t erase[5] = {0x41, 0x00, 0x00, 0x0A, 0x08};
    const uint8_t *commands[] = {erase, pointer};
    uint8_t data[1024], there[1024], status[6];
    int client = usbip_imported();
    uint32_t seqnum = 1;

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 13);
    }
    for (unsigned i = 0; i < 3; i++) {
        usbip_say_control(client, seqnum, i < 2 ? download : block, i < 2 ? commands[i] : data);
        usbip_expect_return(client, RETURN_SUBMIT, seqnum++, 0);
        do {
            usbip_say_control(client, seqnum, usbip_get_status, NULL);
            ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, seqnum++, 0), 6);
            usbip_expect(client, status, sizeof status);
            ck_assert_uint_eq(status[0], 0);
        } while (status[4] != 5);
    }
    ck_assert(usbip_boards[0]->ops->flash_read(usbip_boards[0], 0x080A0000, there, sizeof there));
    ck_assert_mem_eq(there, data, sizeof data);
    close(client);
}
END_TEST

static void note_type(void *context, const struct root_port *port, const struct transfer *transfer,
                      bool ended)
{
    (void)port;
    (void)ended;
    ck_assert_uint_eq(transfer->interval, transfer->type == TRANSFER_INTERRUPT ? 16 : 0);
    *(enum transfer_type *)context = transfer->type;
}

/* For whoever watches: on the wire both are the same. */
START_TEST(test_transfers_with_an_interval_are_interrupt_transfers)
{
    enum transfer_type type = TRANSFER_CONTROL;
    int client = usbip_imported();
    struct root_port *port = usbip_outlets[0].port;

    port->on_transfer = note_type;
    port->on_transfer_context = &type;
    usbip_say_words(client, (uint32_t[12]){1, 4, USBIP_DEVID, 1, 2, 0, 8, 0, 0, 16}, 12);
    usbip_say_unlink(client, 6, 4);
    usbip_expect_return(client, RETURN_UNLINK, 6, -ECONNRESET);
    ck_assert_int_eq(type, TRANSFER_INTERRUPT);
    usbip_say_words(client, (uint32_t[12]){1, 5, USBIP_DEVID, 1, 2, 0, 8}, 12);
    usbip_say_unlink(client, 7, 5);
    usbip_expect_return(client, RETURN_UNLINK, 7, -ECONNRESET);
    ck_assert_int_eq(type, TRANSFER_BULK);
    port->on_transfer = NULL;
    close(client);
}
END_TEST

START_TEST(test_isochronous_transfers_are_refused_with_all_they_bring)
{
    uint32_t words[12] = {1, 4, USBIP_DEVID, 0, 1, 0, 100, 0, 3, 1};
    int client = usbip_imported();
    uint8_t payload[100 + 3 * 16], status[6];

    usbip_say_words(client, words, 12);
    usbip_expect_return(client, RETURN_SUBMIT, 4, -EINVAL);
    memset(payload, 0xFF, sizeof payload);
    usbip_say(client, payload, sizeof payload);
    usbip_say_control(client, 5, usbip_get_status, NULL);
    ck_assert_uint_eq(usbip_expect_return(client, RETURN_SUBMIT, 5, 0), 6);
    usbip_expect(client, status, sizeof status);
    close(client);
}
END_TEST

/* --- unlinking --- */

START_TEST(test_unlinking_what_waits_answers_once)
{
    int client = usbip_imported();
    uint8_t byte;

    usbip_say_control(client, 1, usbip_unanswered, NULL);
    ck_assert_int_eq(usbip_hear(client, &byte, 1), -1);
    usbip_say_unlink(client, 2, 1);
    usbip_expect_return(client, RETURN_UNLINK, 2, -ECONNRESET);
    ck_assert_int_eq(usbip_hear(client, &byte, 1), -1);
    ck_assert_uint_eq(usbip_server_memory(usbip), 0);
    close(client);
}
END_TEST

START_TEST(test_unlinking_what_is_over_or_never_was_says_0)
{
    int client = usbip_imported();
    uint8_t status[6];

    usbip_say_control(client, 1, usbip_get_status, NULL);
    usbip_say_unlink(client, 2, 1);
    usbip_expect_return(client, RETURN_SUBMIT, 1, 0);
    usbip_expect(client, status, sizeof status);
    usbip_expect_return(client, RETURN_UNLINK, 2, 0);
    usbip_say_unlink(client, 3, 77);
    usbip_expect_return(client, RETURN_UNLINK, 3, 0);
    usbip_say_control(client, 4, usbip_unanswered, NULL);
    usbip_say_unlink(client, 5, 4);
    usbip_say_unlink(client, 6, 4);
    usbip_expect_return(client, RETURN_UNLINK, 5, -ECONNRESET);
    usbip_expect_return(client, RETURN_UNLINK, 6, 0);
    close(client);
}
END_TEST

/* What waits behind an unlinked transfer gets its turn. */
START_TEST(test_others_go_on_after_an_unlink)
{
    int client = usbip_imported();
    uint8_t status[6];

    usbip_say_control(client, 1, usbip_unanswered, NULL);
    usbip_say_control(client, 2, usbip_get_status, NULL);
    usbip_say_unlink(client, 3, 1);
    usbip_expect_return(client, RETURN_SUBMIT, 2, 0);
    usbip_expect(client, status, sizeof status);
    usbip_expect_return(client, RETURN_UNLINK, 3, -ECONNRESET);
    close(client);
}
END_TEST

/* --- coming and going --- */

START_TEST(test_unplugging_ends_the_connection_after_what_was_said)
{
    int client = usbip_imported();
    uint8_t status[6];

    usbip_say_control(client, 1, usbip_get_status, NULL);
    usbip_say_control(client, 2, usbip_unanswered, NULL);
    usbip_unplug(0);
    usbip_expect_return(client, RETURN_SUBMIT, 1, 0);
    usbip_expect(client, status, sizeof status);
    ck_assert_int_eq(usbip_hear(client, status, 1), 0);
    ck_assert_uint_eq(usbip_server_memory(usbip), 0);
    ck_assert(!outlet_taken(&usbip_outlets[0]));
    close(client);
}
END_TEST

START_TEST(test_a_reset_ends_the_connection_and_the_next_import_works)
{
    int client = usbip_imported();

    usbip_boards[0]->ops->reset(usbip_boards[0]);
    root_port_poll(usbip_outlets[0].port);
    ck_assert(usbip_is_closed(client));
    close(client);
    board_advance(usbip_boards[0], 20 * BOARD_NS_PER_S);
    root_port_poll(usbip_outlets[0].port);
    client = usbip_imported();
    close(client);
}
END_TEST

START_TEST(test_a_client_that_dies_in_a_download_leaves_the_board_to_the_next)
{
    static const uint8_t block[8] = {0x21, 1, 2, 0, 0, 0, 0, 4};
    static const uint8_t part[100];
    const uint32_t words[10] = {1, 1, USBIP_DEVID, 0, 0, 0, 1024};
    int client = usbip_imported();

    usbip_say_words(client, words, 10);
    usbip_say(client, block, sizeof block);
    usbip_say(client, part, sizeof part);
    ck_assert_uint_eq(usbip_server_memory(usbip), 1024);
    close(client);
    usbip_turn();
    ck_assert_uint_eq(usbip_server_memory(usbip), 0);
    client = usbip_imported();
    close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbip_server");
    TCase *tcase = tcase_create("server");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(tcase, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(tcase, usbip_set_up, usbip_tear_down);
    tcase_add_test(tcase, test_devlist_describes_every_board);
    tcase_add_test(tcase, test_what_cannot_be_imported_is_not_listed);
    tcase_add_test(tcase, test_a_list_does_not_disturb_whoever_has_the_board);
    tcase_add_test(tcase, test_import_is_for_one_host_of_an_attached_board);
    tcase_add_test(tcase, test_messages_may_come_byte_by_byte);
    tcase_add_test(tcase, test_control_transfers_end_as_the_board_ends_them);
    tcase_add_test(tcase, test_a_short_transfer_is_an_error_on_request);
    tcase_add_test(tcase, test_a_port_reset_resets_the_board);
    tcase_add_test(tcase, test_a_download_reaches_the_flash);
    tcase_add_test(tcase, test_isochronous_transfers_are_refused_with_all_they_bring);
    tcase_add_test(tcase, test_transfers_with_an_interval_are_interrupt_transfers);
    tcase_add_test(tcase, test_unlinking_what_waits_answers_once);
    tcase_add_test(tcase, test_unlinking_what_is_over_or_never_was_says_0);
    tcase_add_test(tcase, test_others_go_on_after_an_unlink);
    tcase_add_test(tcase, test_unplugging_ends_the_connection_after_what_was_said);
    tcase_add_test(tcase, test_a_reset_ends_the_connection_and_the_next_import_works);
    tcase_add_test(tcase, test_a_client_that_dies_in_a_download_leaves_the_board_to_the_next);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
