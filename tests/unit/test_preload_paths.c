/* Which paths the preload library leads to the server. The library hides its functions, so its
 * source is built in. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usb-gadget/preload/shim.h"
#include "usb-gadget/preload/zones.h"

char shim_folder[PATH_MAX] = "/run/server";
char shim_root[PATH_MAX] = "/run/server/root";
size_t shim_root_length = sizeof "/run/server/root" - 1;

static bool active = true;

bool shim_active(void)
{
    return active;
}

#define ROOT "/run/server/root"

/* What the program says, and where it goes; NULL: where it was meant. */
static const struct {
    const char *path, *expected;
} rows[] = {
    {"/dev/bus/usb", ROOT "/dev/bus/usb"},
    {"/dev/bus/usb/", ROOT "/dev/bus/usb/"},
    {"/dev/bus/usb/001/002", ROOT "/dev/bus/usb/001/002"},
    {"//dev//bus/./usb/001/002", ROOT "/dev/bus/usb/001/002"},
    {"/dev/pts/../bus/usb/001", ROOT "/dev/bus/usb/001"},
    {"/../dev/bus/usb", ROOT "/dev/bus/usb"},
    {"/home/../dev/bus/usb", ROOT "/dev/bus/usb"},
    {"/sys/bus/usb/devices/1-1/idVendor", ROOT "/sys/bus/usb/devices/1-1/idVendor"},
    /* below a link of ours ".." is the kernel's business */
    {"/sys/bus/usb/devices/1-1/../uevent", ROOT "/sys/bus/usb/devices/1-1/../uevent"},
    {"/sys/devices/platform/vphoton.0/usb1", ROOT "/sys/devices/platform/vphoton.0/usb1"},
    {"/sys/dev/char/189:1", ROOT "/sys/dev/char/189:1"},
    {"/sys/dev/char/189:1/uevent", ROOT "/sys/dev/char/189:1/uevent"},
    {"/run/udev/control", ROOT "/run/udev/control"},
    {"/run/udev/data/c189:1", ROOT "/run/udev/data/c189:1"},
    {"/run/udev/data/+usb:1-1:1.0", ROOT "/run/udev/data/+usb:1-1:1.0"},
    /* the host's own */
    {"/dev/bus/usbmon", NULL},
    {"/dev/null", NULL},
    {"/sys/bus/usb-serial", NULL},
    {"/sys/dev/char/18:1", NULL},
    {"/sys/dev/char/1890:1", NULL},
    {"/sys/devices/platform/vphoton.00", NULL},
    {"/run/udev/controls", NULL},
    {"/run/udev/data/c4:1", NULL},
    {"/home/dev/bus/usb/001/002", NULL},
    {"/dev/bus/../null", NULL},
    {"/dev/bus/usb-tools/../usb", ROOT "/dev/bus/usb"},
    {"", NULL},
};

START_TEST(test_paths_lead_where_they_should)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, rows[_i].path);
    if (rows[_i].expected == NULL) {
        ck_assert_ptr_eq(where.path, rows[_i].path);
        ck_assert_ptr_null(where.ours);
        return;
    }
    ck_assert_str_eq(where.path, rows[_i].expected);
    ck_assert_str_eq(where.ours, rows[_i].expected + strlen(ROOT));
    ck_assert_int_eq(where.folder, AT_FDCWD);
}
END_TEST

START_TEST(test_nothing_is_led_away_without_a_server)
{
    struct shim_path where;
    const char *path = "/dev/bus/usb/001/002";

    active = false;
    shim_resolve(&where, AT_FDCWD, path);
    ck_assert_ptr_eq(where.path, path);
    ck_assert_ptr_null(where.ours);
    ck_assert_ptr_null(where.merged);
}
END_TEST

START_TEST(test_null_is_left_to_the_system)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, NULL);
    ck_assert_ptr_null(where.path);
}
END_TEST

START_TEST(test_folders_of_both_are_merged)
{
    struct shim_path where;

    shim_resolve(&where, AT_FDCWD, "/dev");
    ck_assert_str_eq(where.path, "/dev");
    ck_assert_str_eq(where.merged, "/dev");
    ck_assert_ptr_null(where.ours);
}
END_TEST

START_TEST(test_relative_paths_follow_an_open_folder)
{
    struct shim_path where;
    int dev = open("/dev", O_PATH | O_DIRECTORY), home = open("/usr", O_PATH | O_DIRECTORY);

    shim_resolve(&where, dev, "bus/usb/001/002");
    ck_assert_str_eq(where.path, ROOT "/dev/bus/usb/001/002");
    ck_assert_int_eq(where.folder, AT_FDCWD);
    shim_resolve(&where, home, "bus/usb/001/002");
    ck_assert_str_eq(where.path, "bus/usb/001/002");
    ck_assert_int_eq(where.folder, home);
    close(dev);
    close(home);
}
END_TEST

static void expect_ours(int folder, const char *path, const char *expected)
{
    struct shim_path where;

    shim_resolve(&where, folder, path);
    ck_assert_ptr_nonnull(where.ours);
    ck_assert_str_eq(where.ours, expected);
}

/* A folder that went with its device leads nowhere, also when one of its name has come since. */
START_TEST(test_an_open_folder_is_known_until_it_is_removed)
{
    char root[] = "/tmp/test_preload_paths-XXXXXX", path[PATH_MAX];
    static const char there[] = "/sys/bus/usb/1-1/uevent";
    static const char gone[] = "/sys/bus/usb/1-1 (deleted)/uevent"; /* the system's words */
    static const char *const folders[] = {"/sys", "/sys/bus", "/sys/bus/usb", "/sys/bus/usb/1-1"};
    const size_t count = sizeof folders / sizeof folders[0];
    int opened[2] = {-1, -1};

    ck_assert_ptr_nonnull(mkdtemp(root));
    strcpy(shim_root, root);
    shim_root_length = strlen(root);
    for (size_t life = 0; life < 2; life++) {
        for (size_t i = 0; i < count; i++) {
            snprintf(path, sizeof path, "%s%s", root, folders[i]);
            ck_assert_int_eq(mkdir(path, 0755), 0);
        }
        opened[life] = open(path, O_PATH | O_DIRECTORY);
        for (int again = 0; again < 3; again++) {
            expect_ours(opened[life], "uevent", there);
            expect_ours(opened[life], "../2-1", "/sys/bus/usb/1-1/../2-1");
            expect_ours(opened[0], "uevent", life == 0 ? there : gone);
        }
        for (size_t i = count; i-- > 0;) {
            snprintf(path, sizeof path, "%s%s", root, folders[i]);
            ck_assert_int_eq(rmdir(path), 0);
        }
        expect_ours(opened[life], "uevent", gone);
    }
    ck_assert_int_eq(rmdir(root), 0);
    close(opened[0]);
    close(opened[1]);
}
END_TEST

START_TEST(test_relative_paths_follow_the_present_folder)
{
    struct shim_path where;

    ck_assert_int_eq(chdir("/usr"), 0);
    shim_folder_changed();
    shim_resolve(&where, AT_FDCWD, "dev/bus/usb");
    ck_assert_ptr_null(where.ours);
    shim_resolve(&where, AT_FDCWD, "../dev/bus/usb");
    ck_assert_str_eq(where.path, ROOT "/dev/bus/usb");
    ck_assert_int_eq(chdir("/"), 0);
    shim_folder_changed();
    shim_resolve(&where, AT_FDCWD, "dev/bus/usb");
    ck_assert_str_eq(where.path, ROOT "/dev/bus/usb");
}
END_TEST

START_TEST(test_overlong_paths_are_left_to_the_system)
{
    char path[2 * PATH_MAX];
    struct shim_path where;

    memset(path, 'x', sizeof path);
    memcpy(path, "/dev/bus/usb/", 13);
    path[sizeof path - 1] = '\0';
    shim_resolve(&where, AT_FDCWD, path);
    ck_assert_ptr_eq(where.path, path);
    for (size_t i = 12; i + 2 < sizeof path; i += 2) {
        memcpy(path + i, "/.", 2);
    }
    shim_resolve(&where, AT_FDCWD, path);
    ck_assert_ptr_eq(where.path, path);
}
END_TEST

START_TEST(test_nodes_are_told_from_other_files)
{
    static struct {
        const char *path;
        unsigned number;
        bool folder;
    } nodes[] = {
        {"/dev/bus/usb/001/002", 2, false},
        {"/dev/bus/usb/001//127", 127, false},
        {"/dev/bus/usb/001/2", 0, false},
        {"/dev/bus/usb/001/0021", 0, false},
        {"/dev/bus/usb/001/0a2", 0, false},
        {"/dev/bus/usb/001", 0, true},
        {"/dev/bus/usb/001/", 0, true},
        {"/dev/bus/usb", 0, false},
        {"/dev/bus/usb/002/002", 0, false},
        {"/dev/bus/usb/001002", 0, false},
        {NULL, 0, false},
    };

    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        ck_assert_uint_eq(zones_node(nodes[i].path), nodes[i].number);
        ck_assert(zones_is_node_folder(nodes[i].path) == nodes[i].folder);
    }
}
END_TEST

START_TEST(test_roots_are_taken_off_answers)
{
    char ours[] = ROOT "/sys/bus/usb", other[] = ROOT "ed/sys", exact[] = ROOT;

    ck_assert_uint_eq(shim_strip_root(ours, strlen(ours)), strlen("/sys/bus/usb"));
    ck_assert_mem_eq(ours, "/sys/bus/usb", strlen("/sys/bus/usb"));
    ck_assert_uint_eq(shim_strip_root(other, strlen(other)), strlen(other));
    ck_assert_uint_eq(shim_strip_root(exact, strlen(exact)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_paths");
    TCase *paths = tcase_create("paths");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(paths, test_paths_lead_where_they_should, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(paths, test_nothing_is_led_away_without_a_server);
    tcase_add_test(paths, test_null_is_left_to_the_system);
    tcase_add_test(paths, test_folders_of_both_are_merged);
    tcase_add_test(paths, test_relative_paths_follow_an_open_folder);
    tcase_add_test(paths, test_an_open_folder_is_known_until_it_is_removed);
    tcase_add_test(paths, test_relative_paths_follow_the_present_folder);
    tcase_add_test(paths, test_overlong_paths_are_left_to_the_system);
    tcase_add_test(paths, test_nodes_are_told_from_other_files);
    tcase_add_test(paths, test_roots_are_taken_off_answers);
    suite_add_tcase(suite, paths);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
