/* What the root port tells who watches its transfers. */
#include <check.h>
#include <string.h>

#include "tests/unit/support_transfer.h"

static char told[32];

static void note(void *context, const struct root_port *watched, const struct transfer *transfer,
                 bool ended)
{
    ck_assert_ptr_eq(context, told);
    ck_assert_ptr_eq(watched, &port);
    ck_assert_uint_eq(transfer->number > 0, true);
    size_t length = strlen(told);
    ck_assert_uint_lt(length + 3, sizeof told);
    told[length] = ended ? 'C' : 'S';
    told[length + 1] = (char)('0' + transfer->number);
    told[length + 2] = (char)('0' + port.address);
}

static void watch_port(void)
{
    memset(told, 0, sizeof told);
    port.on_transfer = note;
    port.on_transfer_context = told;
}

static void completed_after_it_was_told(struct transfer *transfer)
{
    ck_assert_str_eq(told, "S10C10");
    count_completion(transfer);
}

START_TEST(test_an_observer_hears_before_the_first_transaction_and_before_the_completion)
{
    const struct script_row rows[] = {SETUP, IN(0)};
    struct transfer transfer = control(0x21, 0);

    PLAY(rows, false);
    watch_port();
    transfer.complete = completed_after_it_was_told;
    root_port_submit(&port, &transfer);
    expect(&transfer, TRANSFER_OK, 0);
}
END_TEST

START_TEST(test_an_observer_hears_of_every_end_once)
{
    struct transfer cancelled = bulk(0x81, 64), reset = bulk(0x81, 64), unplugged = bulk(0x81, 64),
                    late = bulk(0x81, 64);

    play(NULL, 0, false);
    script.naks = true;
    watch_port();
    root_port_submit(&port, &cancelled);
    (void)root_port_cancel(&port, &cancelled);
    root_port_submit(&port, &reset);
    root_port_bus_reset(&port);
    root_port_submit(&port, &unplugged);
    script_board_attach(&script, false);
    root_port_poll(&port);
    ck_assert_str_eq(told, "S10C10S20C20S30C30");
    /* Linux refuses this one before usbmon. */
    root_port_submit(&port, &late);
    ck_assert_str_eq(told, "S10C10S20C20S30C30");
    ck_assert_uint_eq(completions, 4);
}
END_TEST

/* As Linux counts: the request that gives the address still goes to 0. */
START_TEST(test_the_address_is_what_the_host_gave_until_reset_or_unplugging)
{
    const struct script_row rows[] = {
        SETUP, IN(0), SETUP, IN(0), SETUP, {.token = USB_TOKEN_IN, .handshake = USB_STALL}};
    struct transfer set = {
        .type = TRANSFER_CONTROL, .setup = {0x00, 5, 7}, .complete = count_completion};
    struct transfer other = control(0x21, 0);

    PLAY(rows, false);
    watch_port();
    root_port_submit(&port, &set);
    root_port_submit(&port, &other);
    ck_assert_str_eq(told, "S10C10S27C27");
    ck_assert_uint_eq(port.address, 7);
    root_port_bus_reset(&port);
    ck_assert_uint_eq(port.address, 0);
    root_port_submit(&port, &set);
    ck_assert_int_eq(set.status, TRANSFER_STALL);
    ck_assert_uint_eq(port.address, 0);
    port.address = 7;
    script_board_attach(&script, false);
    root_port_poll(&port);
    ck_assert_uint_eq(port.address, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("root_port_observer");
    TCase *tcase = tcase_create("observer");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, transfer_setup, NULL);
    tcase_add_test(tcase,
                   test_an_observer_hears_before_the_first_transaction_and_before_the_completion);
    tcase_add_test(tcase, test_an_observer_hears_of_every_end_once);
    tcase_add_test(tcase, test_the_address_is_what_the_host_gave_until_reset_or_unplugging);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
