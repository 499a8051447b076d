/* The preload server, asked over its sockets as the library asks. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/support_preload.h"

/* --- handles --- */

START_TEST(test_open_gives_the_descriptors_and_an_unready_socket)
{
    struct preload_handle_info info;
    struct stat status;
    int visible, client = open_device(2, &visible);

    ck_assert_uint_eq(got.reply.actual, sizeof info);
    memcpy(&info, got.data, sizeof info);
    ck_assert_int_eq(fstat(visible, &status), 0);
    ck_assert_uint_eq(info.inode, status.st_ino);
    ck_assert_uint_eq(info.number, 2);
    ck_assert_uint_eq(info.position, 1);
    ck_assert_uint_eq(info.descriptors_length, 18 + 36);
    ck_assert_uint_eq(info.descriptors[0], 18);
    ck_assert_uint_eq(info.descriptors[18 + 2], 36);
    ck_assert(!is_ready(visible));
    close(client);
}
END_TEST

START_TEST(test_a_node_that_nobody_read_ends_with_its_last_descriptor)
{
    struct preload_request readable = opening;

    readable.flags = PRELOAD_READABLE;
    for (int reads = 0; reads < 2; reads++) {
        int client = dial();
        uint8_t byte;
        ck_assert_int_eq(ask(client, readable, NULL, 0), 0);
        ck_assert_uint_eq(server->handle_count, 1);
        ck_assert(reads == 0 || read(got_visible, &byte, 1) == 1);
        turn();
        ck_assert_uint_eq(server->handle_count, 1);
        close(got_visible);
        close(client);
        turn();
        ck_assert_uint_eq(server->handle_count, 0);
    }
}
END_TEST

START_TEST(test_unknown_devices_do_not_exist)
{
    int client = dial();
    struct preload_request request = opening;

    request.number = 3;
    ck_assert_int_eq(ask(client, request, NULL, 0), -ENOENT);
    request = REQUEST(.operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION, .tag = 99);
    ck_assert_int_eq(ask(client, request, NULL, 0), -ENODEV);
}
END_TEST

START_TEST(test_ended_transfers_make_the_handle_ready)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    int visible, client = open_device(2, &visible);

    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    ck_assert(is_ready(visible));
    ck_assert_int_eq(hear(client), sizeof got.reply + 6);
    ck_assert_int_eq(send(visible, token, sizeof token, MSG_DONTWAIT), sizeof token);
    ck_assert(!is_ready(visible));
    ck_assert_int_eq(ask(client, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    ck_assert(!is_ready(visible)); /* nobody polls for the end of a call */
}
END_TEST

START_TEST(test_calls_do_not_overtake_transfers)
{
    int visible, client = open_device(2, &visible), other = dial();
    struct stat status;
    const struct preload_request discard = {.operation = PRELOAD_DISCARD, .tag = 2};
    const struct preload_request submit = get_status(PRELOAD_SUBMIT, false);

    ck_assert_int_eq(fstat(visible, &status), 0);
    ck_assert_int_eq(ask(other,
                         REQUEST(.operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION,
                                 .tag = status.st_ino),
                         NULL, 0),
                     0);
    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    /* Both are there when the server looks, the call first. */
    ck_assert_int_eq(send(other, &discard, sizeof discard, 0), sizeof discard);
    ck_assert_int_eq(send(client, &submit, sizeof submit, 0), sizeof submit);
    turn();
    ck_assert_int_gt(hear(other), 0);
    ck_assert_int_eq(got.reply.result, 0);
    ck_assert_int_gt(hear(client), 0);
    ck_assert_int_gt(hear(client), 0);
    ck_assert_int_eq(got.reply.result, -ENOENT);
}
END_TEST

START_TEST(test_claims_exclude_and_end_with_the_last_descriptor)
{
    int visible, client = open_device(2, &visible), its, other = open_device(2, &its);
    int copy = dup(visible);
    const struct preload_request claim = {.operation = PRELOAD_CLAIM};

    ck_assert_int_eq(ask(client, claim, NULL, 0), 0);
    ck_assert_int_eq(ask(other, claim, NULL, 0), -EBUSY);
    ck_assert_int_eq(ask(other, get_status(PRELOAD_CALL, true), NULL, 0), -EBUSY);
    close(visible);
    ck_assert_int_eq(ask(other, claim, NULL, 0), -EBUSY);
    close(copy);
    ck_assert_int_eq(ask(other, claim, NULL, 0), 0);
    ck_assert(is_closed(client));
}
END_TEST

START_TEST(test_a_released_interface_goes_back_to_its_first_setting)
{
    static const char path[] = "/sys/devices/platform/vphoton.0/usb1/1-1/1-1:1.0/bAlternateSetting";
    static const char hubs[] = "/sys/devices/platform/vphoton.0/usb1/1-0:1.0/bAlternateSetting";
    int visible, client = open_device(2, &visible);
    const struct preload_request get_interface = {
        .operation = PRELOAD_CALL, .setup = {0x81, 10, 0, 0, 0, 0, 1, 0}, .length = 1};

    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_SET_INTERFACE, .length = 2), NULL, 0),
                     -EINVAL);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_SET_INTERFACE, .length = 1), NULL, 0),
                     0);
    ck_assert(file_is(path, " 1\n"));
    ck_assert(file_is(hubs, " 0\n"));
    ck_assert_int_eq(ask(client, get_interface, NULL, 0), 0);
    ck_assert_uint_eq(got.data[0], 1);
    close(visible);
    turn();
    ck_assert(file_is(path, " 0\n"));
    client = open_device(2, &visible);
    ck_assert_int_eq(ask(client, get_interface, NULL, 0), 0);
    ck_assert_uint_eq(got.data[0], 0);
}
END_TEST

START_TEST(test_configurations_are_set_only_when_nothing_is_claimed)
{
    static const char path[] = "/sys/bus/usb/devices/1-1/bConfigurationValue";
    static const char settings[] = "/sys/bus/usb/devices/1-1/bNumInterfaces";
    static const char hubs[] = "/sys/bus/usb/devices/usb1/bNumInterfaces";
    int visible, client = open_device(2, &visible);
    struct preload_request set = {.operation = PRELOAD_SET_CONFIGURATION, .number = 1};

    ck_assert_int_eq(ask(client, set, NULL, 0), 0);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_CLAIM), NULL, 0), 0);
    ck_assert_int_eq(ask(client, set, NULL, 0), -EBUSY);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_RELEASE), NULL, 0), 0);
    set.number = 2;
    ck_assert_int_eq(ask(client, set, NULL, 0), -EINVAL);
    set.number = 0;
    ck_assert_int_eq(ask(client, set, NULL, 0), 0);
    ck_assert(file_is(path, "\n"));
    ck_assert(file_is(settings, ""));
    ck_assert(file_is(hubs, " 1\n"));
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_CLAIM), NULL, 0), -EHOSTUNREACH);
    set.number = 1;
    ck_assert_int_eq(ask(client, set, NULL, 0), 0);
    ck_assert(file_is(path, "1\n"));
    ck_assert(file_is(settings, " 1\n"));
}
END_TEST

START_TEST(test_reset_keeps_the_device_and_drops_its_claims)
{
    int visible, client = open_device(2, &visible), its, other = open_device(2, &its);

    ck_assert_int_eq(ask(other, REQUEST(.operation = PRELOAD_CLAIM), NULL, 0), 0);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_RESET), NULL, 0), 0);
    ck_assert_int_eq(ask(client, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_CLAIM), NULL, 0), 0);
    ck_assert_uint_eq(server->ports[1].device->number, 2);
}
END_TEST

START_TEST(test_failures_have_usbfs_names)
{
    int visible, client = open_device(2, &visible);
    struct preload_request slow = get_status(PRELOAD_CALL, false);
    const struct preload_request rows[] = {
        {.operation = PRELOAD_CALL, .setup = {0x80, 6, 0, 6, 0, 0, 10, 0}, .length = 10},
        {.operation = PRELOAD_CALL, .setup = {0xA1, 3, 0, 0, 0, 0, 1, 0}, .length = 1},
        {.operation = PRELOAD_CALL, .type = PRELOAD_BULK, .endpoint = 0x81, .length = 64},
    };
    const int expected[] = {-EPIPE, -EOVERFLOW, -ENOENT};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(ask(client, rows[i], NULL, 0), expected[i]);
    }
    slow.number = 1;
    say(client, slow, NULL, 0);
    while (hear(client) < 0) {
        ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    ck_assert_int_eq(got.reply.result, -ETIMEDOUT);
}
END_TEST

/* --- waiting awake --- */

/* Asks the server until it stops expecting more; whether it had expected any. */
static bool expects_in_vain(void)
{
    bool expected = preload_server_expects(server);

    while (preload_server_expects(server)) {
    }
    return expected;
}

START_TEST(test_server_expects_more_after_an_answer_and_only_then)
{
    int visible, client = open_device(2, &visible);

    ck_assert(expects_in_vain());
    ck_assert(!preload_server_expects(server));
    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    turn();
    ck_assert(expects_in_vain());
    ck_assert(!preload_server_expects(server));
    close(client);
}
END_TEST

/* In vain again and again it expects after every 2nd, 4th, 8th ... transfer only; a transfer that
 * came while it was expected makes it hope as at first. */
START_TEST(test_server_that_expects_in_vain_does_it_more_seldom)
{
    static const bool hopes[] = {true, false, true, false, false, false, true};
    int visible, client = open_device(2, &visible);

    /* That calls came alone says nothing of transfers. */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_CLAIM), NULL, 0), 0);
        ck_assert_int_eq(expects_in_vain(), i != 1);
    }
    for (size_t i = 0; i < sizeof hopes / sizeof hopes[0]; i++) {
        say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
        turn();
        ck_assert_int_eq(expects_in_vain(), hopes[i]);
    }
    for (unsigned tries = 0; !preload_server_expects(server); tries++) {
        ck_assert_uint_lt(tries, 8);
        say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
        turn();
    }
    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    turn();
    ck_assert(expects_in_vain()); /* that it came paid; that nothing more came is the first miss */
    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    turn();
    ck_assert(!expects_in_vain());
    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    turn();
    ck_assert(expects_in_vain());
    close(client);
}
END_TEST

/* --- unplugging --- */

START_TEST(test_unplugging_ends_what_is_in_flight_and_the_handles)
{
    int visible, client = open_device(2, &visible), its, idle = open_device(2, &its);
    struct pollfd poll_idle = {.fd = its, .events = POLLOUT};

    say(client, get_status(PRELOAD_SUBMIT, false), NULL, 0);
    unplug(0);
    ck_assert_int_gt(hear(client), 0);
    ck_assert_int_eq(got.reply.result, -ESHUTDOWN);
    ck_assert(is_closed(client));
    ck_assert(is_closed(idle));
    ck_assert_int_eq(poll(&poll_idle, 1, 0), 1);
    ck_assert_int_eq(poll_idle.revents & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    ck_assert(file_is("/sys/bus/usb/devices/1-1/devnum", NULL));
    ck_assert(file_is("/run/udev/data/c189:1", NULL));
    ck_assert_ptr_null(server->ports[1].device);
}
END_TEST

START_TEST(test_a_client_that_reaps_late_still_sees_the_error_condition)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    int visible, client = open_device(2, &visible);
    struct pollfd one = {.fd = visible, .events = POLLOUT};

    say(client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    unplug(0);
    ck_assert_int_eq(poll(&one, 1, 0), 1);
    ck_assert_int_eq(one.revents & POLLOUT, POLLOUT);
    ck_assert_int_eq(hear(client), sizeof got.reply + 6);
    ck_assert(is_closed(client));
    ck_assert_int_eq(send(visible, token, sizeof token, MSG_DONTWAIT), sizeof token);
    turn();
    ck_assert_int_eq(poll(&one, 1, 0), 1);
    ck_assert_int_eq(one.revents & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    ck_assert(TAILQ_EMPTY(&server->handles));
}
END_TEST

START_TEST(test_device_numbers_count_up_and_come_round)
{
    plug(1, test_board_dfu(IMAGE_1006));
    ck_assert_uint_eq(server->ports[2].device->number, 3);
    for (unsigned number = 4; number <= 127; number++) {
        unplug(0);
        ck_assert(test_board_enter_dfu(boards[0]));
        root_port_poll(&ports[0]);
        turn();
        ck_assert_uint_eq(server->ports[1].device->number, number);
    }
    unplug(0);
    ck_assert(test_board_enter_dfu(boards[0]));
    root_port_poll(&ports[0]);
    turn();
    ck_assert_uint_eq(server->ports[1].device->number, 2);
    ck_assert(file_is("/sys/bus/usb/devices/1-1/devnum", "2\n"));
    ck_assert(file_is("/sys/bus/usb/devices/1-2/serial", TEST_DEVICE_ID "\n"));
}
END_TEST

START_TEST(test_positions_are_taken_once)
{
    static struct root_port port;

    ck_assert(!preload_server_add(server, &port, 0));
    ck_assert(!preload_server_add(server, &port, 1));
    ck_assert(!preload_server_add(server, &port, PRELOAD_PORTS_MAX + 1));
}
END_TEST

/* --- the rest --- */

START_TEST(test_monitors_hear_of_their_groups_only)
{
    int kernel = dial(), udev = dial(), none = dial();
    struct preload_request monitor = {.operation = PRELOAD_MONITOR,
                                      .version = PRELOAD_PROTOCOL_VERSION};

    say(none, monitor, NULL, 0);
    monitor.number = 1;
    say(kernel, monitor, NULL, 0);
    monitor.number = 2;
    say(udev, monitor, NULL, 0);
    unplug(0);
    ck_assert_int_gt(hear(kernel), 0);
    ck_assert_int_eq(memcmp(&got, "remove@", 7), 0);
    ck_assert_int_gt(hear(udev), 0);
    ck_assert_int_eq(memcmp(&got, "libudev", 8), 0);
    ck_assert_int_eq(hear(none), -1);
}
END_TEST

/* A program that binds its netlink socket and then lists the devices misses nothing, however late
 * the server reads. */
START_TEST(test_a_monitor_hears_of_all_that_came_after_it_asked)
{
    const struct preload_request monitor = {
        .operation = PRELOAD_MONITOR, .version = PRELOAD_PROTOCOL_VERSION, .number = 1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/" PRELOAD_SOCKET_NAME,
             server->tree.folder);
    boards[0]->ops->power(boards[0], false);
    root_port_poll(&ports[0]); /* the server's next turn shows it */
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(client, &monitor, sizeof monitor, MSG_NOSIGNAL), sizeof monitor);
    ck_assert(file_is("/sys/bus/usb/devices/1-1/bDeviceClass", "00\n"));
    turn();
    ck_assert(file_is("/sys/bus/usb/devices/1-1/bDeviceClass", NULL));
    ck_assert_int_gt(hear(client), 0);
    ck_assert_int_eq(memcmp(&got, "remove@", 7), 0);
}
END_TEST

START_TEST(test_the_root_hub_answers)
{
    int visible, client = open_device(1, &visible);
    struct preload_request request = {
        .operation = PRELOAD_CALL, .setup = {0xA3, 0, 0, 0, 1, 0, 4, 0}, .length = 4};

    ck_assert_int_eq(ask(client, request, NULL, 0), 0);
    ck_assert_uint_eq(got.data[0] & 1, 1); /* port 1 is connected */
    request.setup[4] = 2;
    ck_assert_int_eq(ask(client, request, NULL, 0), 0);
    ck_assert_uint_eq(got.data[0] & 1, 0);
    request.setup[4] = 255;
    ck_assert_int_eq(ask(client, request, NULL, 0), -EPIPE);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_CLAIM), NULL, 0), -EBUSY);
    ck_assert_int_eq(ask(client, REQUEST(.operation = PRELOAD_RESET), NULL, 0), -EISDIR);
}
END_TEST

START_TEST(test_nothing_is_left_behind)
{
    const struct preload_options options = {.library = "/proc/self/exe"};
    struct event_base *own = event_base_new();
    struct preload_server *short_lived = preload_server_new(own, &options);
    char folder[TREE_PATH_MAX];
    struct stat status;

    ck_assert_ptr_nonnull(short_lived);
    strcpy(folder, short_lived->tree.folder);
    ck_assert_int_eq(stat(folder, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    preload_server_free(short_lived);
    event_base_free(own);
    ck_assert_int_eq(stat(folder, &status), -1);
}
END_TEST

/* A folder as a server leaves it that is killed at some point of its life. */
static void leave_folder(const char *place, const char *name, bool lock, bool old)
{
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[128];

    snprintf(path, sizeof path, "%s/%s", place, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%s/" PRELOAD_ROOT_NAME, place, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%s/lock", place, name);
    ck_assert(!lock || close(creat(path, 0600)) == 0);
    snprintf(path, sizeof path, "%s/%s", place, name);
    ck_assert(!old || utimensat(AT_FDCWD, path, long_ago, 0) == 0);
}

START_TEST(test_what_killed_servers_left_is_removed)
{
    static const struct {
        const char *name;
        bool lock, old, stays;
    } left[] = {{"vphoton-aaaaaa", true, false, false},
                {"vphoton-bbbbbb", true, true, false},
                {"vphoton-cccccc", false, true, false},
                {"vphoton-dddddd", false, false, true}, /* somebody is making it */
                {"another-eeeeee", true, true, true}};
    const struct preload_options options = {.library = "/proc/self/exe"};
    struct event_base *own = event_base_new();
    char place[] = "/tmp/test-preload-XXXXXX", command[64];

    ck_assert_ptr_nonnull(mkdtemp(place));
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        leave_folder(place, left[i].name, left[i].lock, left[i].old);
    }
    setenv("XDG_RUNTIME_DIR", place, 1);
    preload_server_free(preload_server_new(own, &options));
    event_base_free(own);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", place, left[i].name);
        ck_assert_msg((access(path, F_OK) == 0) == left[i].stays, "%s", left[i].name);
    }
    snprintf(command, sizeof command, "rm -r %s", place);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(test_a_missing_library_is_an_error)
{
    const struct preload_options options = {.library = "/nowhere/lib.so"};

    ck_assert_ptr_null(preload_server_new(base, &options));
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

/* --- warp --- */

START_TEST(test_sleeping_moves_time_and_early_polls_are_counted)
{
    static const uint8_t address[5] = {0x21, 0x00, 0x00, 0x0A, 0x08};
    const struct preload_request dnload = {
        .operation = PRELOAD_CALL, .setup = {0x21, 1, 0, 0, 0, 0, 5, 0}, .length = 5};
    int visible, client = open_device(2, &visible), sleeper = dial();
    const struct preload_request hello = {.operation = PRELOAD_CLOCK,
                                          .version = PRELOAD_PROTOCOL_VERSION};

    ck_assert_int_eq(ask(sleeper, hello, NULL, 0), 0);
    ck_assert_int_eq(ask(client, dnload, address, sizeof address), 0);
    ck_assert_int_eq(ask(client, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    uint64_t poll_ns = got.data[1] * BOARD_NS_PER_MS, before = boards[0]->now;
    ck_assert_uint_gt(poll_ns, 0);
    say(sleeper, REQUEST(.operation = PRELOAD_ADVANCE, .tag = poll_ns), NULL, 0);
    ck_assert_int_eq(hear(sleeper), sizeof got.reply + 8);
    ck_assert_uint_eq(boards[0]->now, before + poll_ns);
    ck_assert_uint_eq(*server->clock_offset, poll_ns);
    ck_assert_int_eq(ask(client, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    ck_assert_uint_eq(preload_server_early_polls(server), 0);

    ck_assert_int_eq(ask(client, dnload, address, sizeof address), 0);
    ck_assert_int_eq(ask(client, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    say(sleeper, REQUEST(.operation = PRELOAD_ADVANCE, .tag = poll_ns - 1), NULL, 0);
    ck_assert_int_eq(ask(client, get_status(PRELOAD_CALL, true), NULL, 0), 0);
    ck_assert_uint_eq(preload_server_early_polls(server), 1);
}
END_TEST

START_TEST(test_a_sleep_shows_what_came_and_went_before_it_ends)
{
    int sleeper = dial();
    const struct preload_request hello = {.operation = PRELOAD_CLOCK,
                                          .version = PRELOAD_PROTOCOL_VERSION};
    const struct preload_request sleep = {.operation = PRELOAD_ADVANCE, .tag = 10 * BOARD_NS_PER_S};

    ck_assert_int_eq(ask(sleeper, hello, NULL, 0), 0);
    boards[0]->ops->reset(boards[0]);
    ck_assert_int_eq(send(sleeper, &sleep, sizeof sleep, 0), sizeof sleep);
    while (hear(sleeper) < 0) {
        ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
    }
    ck_assert(file_is("/sys/bus/usb/devices/1-1/idProduct", "c006\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_server");
    TCase *handles = tcase_create("handles"), *hub = tcase_create("hub"),
          *warp = tcase_create("warp");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(handles, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(handles, preload_set_up, preload_tear_down);
    tcase_add_test(handles, test_open_gives_the_descriptors_and_an_unready_socket);
    tcase_add_test(handles, test_a_node_that_nobody_read_ends_with_its_last_descriptor);
    tcase_add_test(handles, test_unknown_devices_do_not_exist);
    tcase_add_test(handles, test_ended_transfers_make_the_handle_ready);
    tcase_add_test(handles, test_calls_do_not_overtake_transfers);
    tcase_add_test(handles, test_claims_exclude_and_end_with_the_last_descriptor);
    tcase_add_test(handles, test_a_released_interface_goes_back_to_its_first_setting);
    tcase_add_test(handles, test_configurations_are_set_only_when_nothing_is_claimed);
    tcase_add_test(handles, test_reset_keeps_the_device_and_drops_its_claims);
    tcase_add_test(handles, test_failures_have_usbfs_names);
    tcase_add_test(handles, test_server_expects_more_after_an_answer_and_only_then);
    tcase_add_test(handles, test_server_that_expects_in_vain_does_it_more_seldom);
    tcase_add_unchecked_fixture(hub, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(hub, preload_set_up, preload_tear_down);
    tcase_add_test(hub, test_unplugging_ends_what_is_in_flight_and_the_handles);
    tcase_add_test(hub, test_a_client_that_reaps_late_still_sees_the_error_condition);
    tcase_add_test(hub, test_device_numbers_count_up_and_come_round);
    tcase_add_test(hub, test_positions_are_taken_once);
    tcase_add_test(hub, test_monitors_hear_of_their_groups_only);
    tcase_add_test(hub, test_a_monitor_hears_of_all_that_came_after_it_asked);
    tcase_add_test(hub, test_the_root_hub_answers);
    tcase_add_test(hub, test_nothing_is_left_behind);
    tcase_add_test(hub, test_what_killed_servers_left_is_removed);
    tcase_add_test(hub, test_a_missing_library_is_an_error);
    tcase_add_unchecked_fixture(warp, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(warp, preload_set_up_warp, preload_tear_down);
    tcase_add_test(warp, test_sleeping_moves_time_and_early_polls_are_counted);
    tcase_add_test(warp, test_a_sleep_shows_what_came_and_went_before_it_ends);
    suite_add_tcase(suite, handles);
    suite_add_tcase(suite, hub);
    suite_add_tcase(suite, warp);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
