/* The box of a connection: transfers by shared memory, from clients that keep to the rules or not.
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support_preload.h"
#include "usb-gadget/preload/passing.h"

/* GETSTATUS of a bootloader in dfuIDLE. */
static const uint8_t idle_status[6] = {0, 0, 0, 0, 2, 0};

/* A handle with a boxed connection, as the library has them. */
struct boxed {
    int visible, client;
    struct preload_box *box;
    uint32_t number;
};

/* A further connection of a handle, with the memory of its box. */
static int join_boxed(int visible, struct preload_box **box)
{
    struct stat status;
    int client = dial();

    ck_assert_int_eq(fstat(visible, &status), 0);
    ck_assert_int_eq(ask(client,
                         REQUEST(.operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION,
                                 .flags = PRELOAD_BOXED, .tag = status.st_ino),
                         NULL, 0),
                     0);
    ck_assert_int_ge(got_visible, 0);
    *box = mmap(NULL, sizeof **box, PROT_READ | PROT_WRITE, MAP_SHARED, got_visible, 0);
    ck_assert_ptr_ne(*box, MAP_FAILED);
    return client;
}

static struct boxed open_boxed(void)
{
    struct boxed boxed = {0};

    (void)open_device(2, &boxed.visible);
    boxed.client = join_boxed(boxed.visible, &boxed.box);
    return boxed;
}

/* The server looks for what comes next once it has seen a transfer. */
static void make_attended(const struct boxed *boxed)
{
    say(boxed->client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    ck_assert_int_gt(hear(boxed->client), 0);
}

static void put(struct boxed *boxed, struct preload_request request)
{
    boxed->box->request = request;
    boxed->number++;
    atomic_store(&boxed->box->turn, box_turn(boxed->number, BOX_ASKED));
}

static uint32_t state(const struct boxed *boxed)
{
    ck_assert_uint_eq(box_number(atomic_load(&boxed->box->turn)), boxed->number);
    return box_state(atomic_load(&boxed->box->turn));
}

static void expect_answer(struct boxed *boxed)
{
    ck_assert(preload_server_expects(server));
    ck_assert_uint_eq(state(boxed), BOX_ANSWERED);
    ck_assert_uint_eq(boxed->box->reply.tag, 1);
    ck_assert_int_eq(boxed->box->reply.result, 0);
    ck_assert_uint_eq(boxed->box->reply.actual, sizeof idle_status);
    ck_assert_mem_eq(boxed->box->data, idle_status, sizeof idle_status);
    turn();
    ck_assert_int_eq(hear(boxed->client), -1);
}

START_TEST(test_a_transfer_in_the_box_is_answered_there)
{
    struct boxed boxed = open_boxed();

    make_attended(&boxed);
    for (int i = 0; i < 3; i++) {
        put(&boxed, get_status(PRELOAD_SUBMIT, true));
        expect_answer(&boxed);
        ck_assert_uint_eq(atomic_load(&boxed.box->attended), 1);
    }
}
END_TEST

/* DNLOAD of a command, whose bytes go with the request. */
START_TEST(test_data_go_out_through_the_box)
{
    static const uint8_t set_address[5] = {0x21, 0x00, 0x00, 0x02, 0x08};
    struct boxed boxed = open_boxed();

    make_attended(&boxed);
    memcpy(boxed.box->data, set_address, sizeof set_address);
    put(&boxed, REQUEST(.operation = PRELOAD_SUBMIT, .setup = {0x21, 1, 0, 0, 0, 0, 5, 0},
                        .length = sizeof set_address, .tag = 1));
    ck_assert(preload_server_expects(server));
    ck_assert_uint_eq(state(&boxed), BOX_ANSWERED);
    ck_assert_uint_eq(boxed.box->reply.actual, sizeof set_address);
    put(&boxed, get_status(PRELOAD_SUBMIT, true));
    ck_assert(preload_server_expects(server));
    ck_assert_uint_eq(state(&boxed), BOX_ANSWERED);
    ck_assert_uint_eq(boxed.box->data[4], 4); /* dfuDNBUSY */
}
END_TEST

START_TEST(test_the_box_is_not_looked_at_for_ever)
{
    struct boxed boxed = open_boxed();

    ck_assert_uint_eq(atomic_load(&boxed.box->attended), 0);
    make_attended(&boxed);
    while (preload_server_expects(server)) {
    }
    ck_assert_uint_eq(atomic_load(&boxed.box->attended), 0);
    /* Too late: nobody comes, until it knocks. */
    put(&boxed, get_status(PRELOAD_SUBMIT, true));
    ck_assert(!preload_server_expects(server));
    turn();
    ck_assert_uint_eq(state(&boxed), BOX_ASKED);
    say(boxed.client, REQUEST(.operation = PRELOAD_KNOCK), NULL, 0);
    ck_assert_uint_eq(state(&boxed), BOX_ANSWERED);
    ck_assert_int_eq(hear(boxed.client), -1);
}
END_TEST

/* Two programs in turns: each finds that the server looks away when the other one asks. */
START_TEST(test_only_the_last_asker_is_attended)
{
    struct boxed first = open_boxed(), second = open_boxed();

    make_attended(&first);
    put(&first, get_status(PRELOAD_SUBMIT, true));
    expect_answer(&first);
    put(&first, get_status(PRELOAD_SUBMIT, true)); /* while the server hears of the second */
    say(second.client, get_status(PRELOAD_SUBMIT, true), NULL, 0);
    ck_assert_uint_eq(atomic_load(&first.box->attended), 0);
    turn();
    ck_assert_uint_eq(state(&first), BOX_ANSWERED);
}
END_TEST

START_TEST(test_who_stops_looking_gets_the_reply_by_the_socket)
{
    struct boxed boxed = open_boxed();
    static const uint8_t token[PRELOAD_TOKEN_SIZE];

    make_attended(&boxed);
    for (int taken = 0; taken < 2; taken++) {
        ck_assert_int_eq(send(boxed.visible, token, sizeof token, MSG_DONTWAIT), sizeof token);
        ck_assert(!is_ready(boxed.visible));
        put(&boxed, get_status(PRELOAD_SUBMIT, taken == 0));
        if (taken == 0) { /* before the server saw it */
            ck_assert(box_settle(boxed.box, boxed.number, BOX_LATE));
        }
        ck_assert(preload_server_expects(server));
        if (taken == 1) { /* while the board takes its time, in this case for ever */
            ck_assert(box_settle(boxed.box, boxed.number, BOX_LATE));
            const struct preload_request discard = {.operation = PRELOAD_DISCARD, .tag = 2};
            say(boxed.client, discard, NULL, 0);
        }
        ck_assert_int_gt(hear(boxed.client), 0);
        ck_assert_int_eq(got.reply.result, taken == 0 ? 0 : -ENOENT);
        ck_assert(is_ready(boxed.visible));
        ck_assert_uint_eq(state(&boxed), BOX_LATE);
        make_attended(&boxed);
    }
}
END_TEST

START_TEST(test_the_token_is_taken_when_the_client_says_that_it_is_there)
{
    struct boxed boxed = open_boxed();
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    struct preload_request request = get_status(PRELOAD_SUBMIT, true);

    make_attended(&boxed);
    ck_assert_int_eq(send(boxed.visible, token, sizeof token, MSG_DONTWAIT), sizeof token);
    put(&boxed, request);
    expect_answer(&boxed);
    ck_assert(!is_ready(boxed.visible));
    request.flags = PRELOAD_TOKEN;
    put(&boxed, request);
    expect_answer(&boxed);
    ck_assert(is_ready(boxed.visible));
}
END_TEST

/* Two processes do not know of each other's tokens. */
START_TEST(test_a_shared_handle_always_has_its_token_taken)
{
    struct boxed boxed = open_boxed();
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    struct stat status;
    int pair[2], code;

    /* The peer of a pair is whoever made it. */
    ck_assert_int_eq(fstat(boxed.visible, &status), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid_t child = fork();
    if (child == 0) {
        int its[2];
        bool made = socketpair(AF_UNIX, SOCK_SEQPACKET, 0, its) == 0;
        struct preload_request adopt = {
            .operation = PRELOAD_ADOPT, .version = PRELOAD_PROTOCOL_VERSION, .tag = status.st_ino};
        union passing passing;
        struct iovec part = {"", 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        passing_give(&message, &passing, its[0]);
        made = made && send(its[1], &adopt, sizeof adopt, 0) == sizeof adopt &&
               sendmsg(pair[1], &message, 0) == 1;
        _exit(made && recv(its[1], &adopt, sizeof adopt, 0) > 0 ? 0 : 1);
    }
    char byte;
    union passing passing;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    passing_expect(&message, &passing);
    ck_assert_int_eq(recvmsg(pair[0], &message, 0), 1);
    ck_assert(connection_accept(server, passing_take(&message)));
    turn();
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert_int_eq(code, 0);

    make_attended(&boxed);
    ck_assert_int_eq(send(boxed.visible, token, sizeof token, MSG_DONTWAIT), sizeof token);
    put(&boxed, get_status(PRELOAD_SUBMIT, true));
    expect_answer(&boxed);
    ck_assert(is_ready(boxed.visible));
}
END_TEST

/* A call on another connection finds the transfer submitted. */
START_TEST(test_calls_do_not_overtake_the_box)
{
    struct boxed boxed = open_boxed();
    struct preload_box *unused;
    int other = join_boxed(boxed.visible, &unused);

    make_attended(&boxed);
    put(&boxed, get_status(PRELOAD_SUBMIT, false));
    ck_assert_int_eq(ask(other, REQUEST(.operation = PRELOAD_DISCARD, .tag = 2), NULL, 0), 0);
    ck_assert_uint_eq(state(&boxed), BOX_ANSWERED);
    ck_assert_int_eq(boxed.box->reply.result, -ENOENT);
}
END_TEST

START_TEST(test_unplugging_ends_what_came_by_the_box)
{
    struct boxed looks = open_boxed(), sleeps = open_boxed();

    make_attended(&looks);
    put(&looks, get_status(PRELOAD_SUBMIT, false));
    ck_assert(preload_server_expects(server));
    ck_assert_uint_eq(state(&looks), BOX_ASKED);
    make_attended(&sleeps);
    put(&sleeps, get_status(PRELOAD_SUBMIT, false));
    ck_assert(preload_server_expects(server));
    ck_assert(box_settle(sleeps.box, sleeps.number, BOX_LATE));
    unplug(0);
    ck_assert_uint_eq(state(&looks), BOX_ANSWERED);
    ck_assert_int_eq(looks.box->reply.result, -ESHUTDOWN);
    ck_assert_int_gt(hear(sleeps.client), 0);
    ck_assert_int_eq(got.reply.result, -ESHUTDOWN);
    ck_assert(is_closed(looks.client));
    ck_assert(is_closed(sleeps.client));
    ck_assert_uint_eq(atomic_load(&sleeps.box->attended), 0);
}
END_TEST

START_TEST(test_nonsense_in_the_box_closes_the_connection)
{
    const struct preload_request rows[] = {
        {.operation = PRELOAD_CALL, .setup = {0xA1, 3, 0, 0, 0, 0, 6, 0}, .length = 6},
        {.operation = PRELOAD_CLAIM},
        {.operation = 0xFFFF},
        {.operation = PRELOAD_SUBMIT, .setup = {0x21, 1, 0, 0, 0, 0, 1, 64}, .length = 16385},
        {.operation = PRELOAD_SUBMIT, .setup = {0x21, 1, 0, 0, 0, 0, 0, 0}, .length = UINT32_MAX},
        {.operation = PRELOAD_SUBMIT, .setup = {0xA1, 3, 0, 0, 0, 0, 6, 0}, .length = 7},
        {.operation = PRELOAD_SUBMIT, .type = 3, .length = 6},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct boxed boxed = open_boxed();
        make_attended(&boxed);
        put(&boxed, rows[i]);
        ck_assert(preload_server_expects(server));
        ck_assert_msg(is_closed(boxed.client), "row %zu", i);
        ck_assert_uint_eq(server->memory, 0);
    }
}
END_TEST

/* --- processors --- */

static uint32_t here(void)
{
    return (uint32_t)(sched_getcpu() + 1);
}

/* A transfer by the socket, from a client on a processor. */
static void ask_from(struct boxed *boxed, uint32_t cpu)
{
    atomic_store(&boxed->box->client_cpu, cpu);
    make_attended(boxed);
}

START_TEST(test_two_on_one_processor_do_not_wait_for_each_other)
{
    struct boxed boxed = open_boxed();

    while (preload_server_expects(server)) {
    }
    for (int i = 0; i < 2; i++) {
        ask_from(&boxed, here());
        ck_assert(!preload_server_expects(server));
        ck_assert_uint_eq(atomic_load(&boxed.box->attended), 0);
    }
    /* That was no wait in vain. */
    ask_from(&boxed, here() + 1);
    ck_assert(preload_server_expects(server));
    ck_assert_uint_eq(atomic_load(&boxed.box->attended), 1);
    ck_assert_uint_eq(atomic_load(&boxed.box->server_cpu), here());
}
END_TEST

/* The scheduler may bring it back at once, but not always. */
START_TEST(test_server_leaves_the_processor_of_its_client)
{
    struct boxed boxed = open_boxed();
    cpu_set_t before, after;
    unsigned left = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    for (int tries = 0; tries < 50 && left == 0; tries++) {
        uint32_t cpu = here();
        server->attention.left = 0;
        for (int i = 0; i < 3; i++) {
            ask_from(&boxed, cpu);
            (void)preload_server_expects(server);
        }
        left += server->attention.left != 0 && here() != cpu;
    }
    ck_assert_uint_eq(left, CPU_COUNT(&before) > 1);
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
}
END_TEST

START_TEST(test_nobody_takes_the_memory_away)
{
    struct boxed boxed = open_boxed();

    ck_assert_int_eq(ftruncate(got_visible, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(munmap(boxed.box, sizeof *boxed.box), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_box");
    TCase *cases = tcase_create("box");

    tcase_add_unchecked_fixture(cases, test_boards_make, test_boards_free);
    tcase_add_checked_fixture(cases, preload_set_up, preload_tear_down);
    tcase_add_test(cases, test_a_transfer_in_the_box_is_answered_there);
    tcase_add_test(cases, test_data_go_out_through_the_box);
    tcase_add_test(cases, test_the_box_is_not_looked_at_for_ever);
    tcase_add_test(cases, test_only_the_last_asker_is_attended);
    tcase_add_test(cases, test_who_stops_looking_gets_the_reply_by_the_socket);
    tcase_add_test(cases, test_the_token_is_taken_when_the_client_says_that_it_is_there);
    tcase_add_test(cases, test_a_shared_handle_always_has_its_token_taken);
    tcase_add_test(cases, test_calls_do_not_overtake_the_box);
    tcase_add_test(cases, test_unplugging_ends_what_came_by_the_box);
    tcase_add_test(cases, test_nonsense_in_the_box_closes_the_connection);
    tcase_add_test(cases, test_two_on_one_processor_do_not_wait_for_each_other);
    tcase_add_test(cases, test_server_leaves_the_processor_of_its_client);
    tcase_add_test(cases, test_nobody_takes_the_memory_away);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
