/*
 * The control socket: who is heard, and what is kept of those who talk too much.
 */
#define _GNU_SOURCE /* memmem() */
#include "emulator/control.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char address[96];
static struct event_base *base;
static struct control *control;
static struct complaint complaint;
static unsigned answered;

static json_t *answer(void *context, const json_t *request)
{
    const json_t *value = json_object_get(request, "echo");
    ck_assert_ptr_eq(context, &answered);
    answered++;
    return value ? json_pack("{s:b, s:O}", "ok", 1, "echo", value) : control_error("no echo");
}

static void begin(void)
{
    strcpy(folder, "/tmp/vphoton-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(address, sizeof address, "%s/socket", folder);
    base = event_base_new();
    answered = 0;
}

static void finish(void)
{
    control_free(control);
    control = NULL;
    event_base_free(base);
    unlink(address);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void listen_at(const char *where)
{
    control = control_new(base, where, answer, &answered, &complaint);
    ck_assert_msg(control != NULL, "%s", complaint.text);
}

/* Serves until the child that plays the client is over; gives its exit code. */
static int serve(pid_t client)
{
    int status;
    while (waitpid(client, &status, WNOHANG) == 0) {
        const struct timeval moment = {.tv_usec = 2000};
        event_base_loopexit(base, &moment);
        event_base_dispatch(base);
    }
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int dial(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&name, sizeof name) == 0 ? fd : -1;
}

START_TEST(test_a_request_gets_its_reply)
{
    listen_at(_i ? address : NULL);
    pid_t client = fork();
    if (client == 0) {
        json_t *request = json_pack("{s:s}", "echo", "hello");
        json_t *reply = control_ask(control_address(control), request, &complaint);
        const char *echo = json_string_value(json_object_get(reply, "echo"));
        _exit(echo && strcmp(echo, "hello") == 0 ? 0 : 1);
    }
    ck_assert_int_eq(serve(client), 0);
    ck_assert_uint_eq(answered, 1);
}
END_TEST

START_TEST(test_an_address_of_its_own_leaves_no_file)
{
    listen_at(NULL);
    ck_assert_int_eq(control_address(control)[0], '@');
}
END_TEST

START_TEST(test_a_socket_file_goes_with_its_server)
{
    listen_at(address);
    ck_assert_int_eq(access(address, F_OK), 0);
    control_free(control);
    control = NULL;
    ck_assert_int_ne(access(address, F_OK), 0);
}
END_TEST

START_TEST(test_a_living_server_keeps_its_address)
{
    listen_at(address);
    ck_assert_ptr_null(control_new(base, address, answer, NULL, &complaint));
    ck_assert_ptr_nonnull(strstr(complaint.text, "Address already in use"));
    ck_assert_int_eq(access(address, F_OK), 0);
}
END_TEST

START_TEST(test_a_dead_servers_address_is_taken_over)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    listen_at(address);
}
END_TEST

START_TEST(test_a_file_that_is_no_socket_is_never_replaced)
{
    FILE *file = fopen(address, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_ptr_null(control_new(base, address, answer, NULL, &complaint));
    struct stat status;
    ck_assert_int_eq(stat(address, &status), 0);
    ck_assert(S_ISREG(status.st_mode));
}
END_TEST

START_TEST(test_an_address_that_does_not_fit_is_refused)
{
    static char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    ck_assert_ptr_null(control_new(base, longest, answer, NULL, &complaint));
    ck_assert_ptr_nonnull(strstr(complaint.text, "199 characters found, 1 to 107 expected"));
    ck_assert_ptr_null(control_new(base, "", answer, NULL, &complaint));
}
END_TEST

static const char *const nonsense[] = {
    "\n", "{\n", "[]\n", "\"x\"\n", "\xFF\n", "{\"a\":1,\"a\":2}\n", "{}\n"};

START_TEST(test_nonsense_gets_an_error_and_the_next_request_its_reply)
{
    listen_at(address);
    pid_t client = fork();
    if (client == 0) {
        char reply[256];
        int fd = dial();
        ssize_t n = send(fd, nonsense[_i], strlen(nonsense[_i]), 0);
        n = n > 0 ? recv(fd, reply, sizeof reply, 0) : 0;
        bool refused = n > 0 && memmem(reply, (size_t)n, "\"ok\":false", 10);
        n = send(fd, "{\"echo\":7}\n", 11, 0);
        n = n > 0 ? recv(fd, reply, sizeof reply, 0) : 0;
        _exit(refused && n > 0 && memmem(reply, (size_t)n, "\"echo\":7", 8) ? 0 : 1);
    }
    ck_assert_int_eq(serve(client), 0);
}
END_TEST

START_TEST(test_a_line_without_end_is_not_kept)
{
    listen_at(address);
    pid_t client = fork();
    if (client == 0) {
        static char endless[65536];
        char reply;
        int fd = dial();
        memset(endless, ' ', sizeof endless);
        while (send(fd, endless, sizeof endless, MSG_NOSIGNAL) > 0) {
        }
        _exit(errno == EPIPE || recv(fd, &reply, 1, 0) <= 0 ? 0 : 1);
    }
    ck_assert_int_eq(serve(client), 0);
    ck_assert_uint_eq(answered, 0);
}
END_TEST

/* Asks on and on, and never reads: the server ends it instead of keeping the replies. */
START_TEST(test_one_who_never_listens_is_dropped)
{
    listen_at(address);
    pid_t client = fork();
    if (client == 0) {
        static const char request[] = "{\"echo\":\""
                                      "0123456789012345678901234567890123456789"
                                      "\"}\n";
        int fd = dial();
        while (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
        }
        _exit(errno == EPIPE || errno == ECONNRESET ? 0 : 1);
    }
    ck_assert_int_eq(serve(client), 0);
}
END_TEST

START_TEST(test_more_peers_than_there_is_room_for_do_no_harm)
{
    listen_at(address);
    pid_t client = fork();
    if (client == 0) {
        int peers[2 * CONTROL_PEERS_MAX];
        for (int i = 0; i < 2 * CONTROL_PEERS_MAX; i++) {
            peers[i] = dial();
        }
        for (int i = 0; i < 2 * CONTROL_PEERS_MAX; i++) {
            close(peers[i]);
        }
        json_t *reply = NULL;
        json_t *request = json_pack("{s:i}", "echo", 1);
        for (int tries = 0; !reply && tries < 1000; tries++) {
            reply = control_ask(address, request, &complaint);
        }
        _exit(reply ? 0 : 1);
    }
    ck_assert_int_eq(serve(client), 0);
}
END_TEST

START_TEST(test_nobody_there_is_said)
{
    json_t *request = json_object();
    ck_assert_ptr_null(control_ask(address, request, &complaint));
    ck_assert_ptr_nonnull(strstr(complaint.text, "cannot connect: No such file or directory"));
    json_decref(request);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tests = tcase_create("socket");
    tcase_add_checked_fixture(tests, begin, finish);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_a_request_gets_its_reply, 0, 2);
    tcase_add_test(tests, test_an_address_of_its_own_leaves_no_file);
    tcase_add_test(tests, test_a_socket_file_goes_with_its_server);
    tcase_add_test(tests, test_a_living_server_keeps_its_address);
    tcase_add_test(tests, test_a_dead_servers_address_is_taken_over);
    tcase_add_test(tests, test_a_file_that_is_no_socket_is_never_replaced);
    tcase_add_test(tests, test_an_address_that_does_not_fit_is_refused);
    tcase_add_loop_test(tests, test_nonsense_gets_an_error_and_the_next_request_its_reply, 0,
                        (int)(sizeof nonsense / sizeof nonsense[0]));
    tcase_add_test(tests, test_a_line_without_end_is_not_kept);
    tcase_add_test(tests, test_one_who_never_listens_is_dropped);
    tcase_add_test(tests, test_more_peers_than_there_is_room_for_do_no_harm);
    tcase_add_test(tests, test_nobody_there_is_said);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
