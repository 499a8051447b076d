/* vhci_hcd's status files, as kernels print them and as none would. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usb-gadget/usbip/vhci.h"

/* Linux 4.13 and later: the format strings of status_show_vhci() and port_show_vhci(). */
static const char modern[] = "hub port sta spd dev      sockfd local_busid\n"
                             "hs  0000 006 002 00010002 000003 1-1\n"
                             "hs  0001 005 000 00000000 000000 0-0\n"
                             "hs  0002 004 000 00000000 000000 0-0\n"
                             "hs  0003 004 000 00000000 000000 0-0\n"
                             "ss  0008 004 000 00000000 000000 0-0\n"
                             "ss  0009 004 000 00000000 000000 0-0\n";
/* Before. */
static const char old[] = "port sta spd dev      socket           local_busid\n"
                          "0000 006 002 00010002         c5a7bb80 1-2.3\n"
                          "0001 004 000 00000000 0000000000000000 0-0\n";

START_TEST(test_the_first_free_port_is_found)
{
    ck_assert_int_eq(vhci_free_port(modern, 0), 2);
    ck_assert_int_eq(vhci_free_port(modern, 3), 3);
    ck_assert_int_eq(vhci_free_port(old, 0), 1);
}
END_TEST

START_TEST(test_superspeed_ports_are_not_for_us)
{
    ck_assert_int_eq(vhci_free_port(modern, 4), VHCI_NO_PORT);
}
END_TEST

START_TEST(test_what_is_no_status_has_no_ports)
{
    static const char *const texts[] = {
        "",
        "\n\n\n",
        "hub port sta spd dev      sockfd local_busid\n",
        "hs",
        "hs  0000",
        "hs  0000 ",
        "hs  -1 004 000\n",
        "hs  99999999999999999999 004 000\n",
        "0000 00x\n",
        "usb 0001 004 000\n",
        "\xFF\xFE 4 4 4",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int found = vhci_free_port(texts[i], 0);
        ck_assert_msg(found == VHCI_NO_PORT, "text %zu: port %d", i, found);
    }
}
END_TEST

/* --- a folder like the kernel's --- */

static char folder[] = "/tmp/vhci-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const char *name, const char *expected)
{
    char path[128], text[128] = "";

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    ck_assert_str_eq(text, expected);
}

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    put("attach", "");
    put("detach", "");
}

static void remove_folder(void)
{
    static const char *const names[] = {"attach", "detach", "status", "status.1"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(test_the_folder_must_have_an_attach_file)
{
    ck_assert_str_eq(vhci_folder(folder), folder);
    ck_assert_ptr_null(vhci_folder("/nonexistent"));
}
END_TEST

/* "%u %u %u %u": port, descriptor, device id, speed */
START_TEST(test_a_socket_goes_to_a_free_port)
{
    put("status", modern);
    ck_assert_int_eq(vhci_attach(folder, VHCI_NO_PORT, 7, 0x10002, 2), 2);
    expect_file("attach", "2 7 65538 2\n");
}
END_TEST

START_TEST(test_the_same_port_again_if_it_is_free)
{
    put("status", modern);
    ck_assert_int_eq(vhci_attach(folder, 3, 7, 0x10002, 2), 3);
    ck_assert_int_eq(vhci_attach(folder, 1, 7, 0x10002, 2), 2);
    ck_assert_int_eq(vhci_attach(folder, 9, 7, 0x10002, 2), 2);
}
END_TEST

START_TEST(test_a_second_controllers_ports_come_after_the_firsts)
{
    put("status", "hub port sta\nhs  0000 006 002\n");
    ck_assert_int_eq(vhci_attach(folder, VHCI_NO_PORT, 7, 0x10002, 2), -EBUSY);
    put("status.1", "hub port sta\nhs  0016 006 002\nhs  0017 004 000\n");
    ck_assert_int_eq(vhci_attach(folder, VHCI_NO_PORT, 7, 0x10002, 2), 17);
}
END_TEST

START_TEST(test_detaching_names_the_port)
{
    ck_assert_int_eq(vhci_detach(folder, 17), 0);
    expect_file("detach", "17\n");
    ck_assert_int_eq(vhci_detach("/nonexistent", 1), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usbip_vhci");
    TCase *text = tcase_create("text"), *files = tcase_create("files");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(text, test_the_first_free_port_is_found);
    tcase_add_test(text, test_superspeed_ports_are_not_for_us);
    tcase_add_test(text, test_what_is_no_status_has_no_ports);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, test_the_folder_must_have_an_attach_file);
    tcase_add_test(files, test_a_socket_goes_to_a_free_port);
    tcase_add_test(files, test_the_same_port_again_if_it_is_free);
    tcase_add_test(files, test_a_second_controllers_ports_come_after_the_firsts);
    tcase_add_test(files, test_detaching_names_the_port);
    suite_add_tcase(suite, text);
    suite_add_tcase(suite, files);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
