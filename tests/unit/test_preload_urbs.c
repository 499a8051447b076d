/*
 * What the preload library does with transfers, in a single thread: the server's moves are made
 * here, between two of the library's system calls where it matters. The library hides its
 * functions, so its sources are built in.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "usb-gadget/preload/shim_usb.h"

/* GETSTATUS of a bootloader in dfuIDLE. */
static const uint8_t idle_status[6] = {0, 0, 0, 0, 2, 0};

static struct shim_slot slot;
static struct preload_box box;
static int visible, behind; /* the node's socket, and the server's end of it */
static int server;          /* of the slot's connection */

/* --- the rest of the library --- */

_Atomic unsigned shim_debts;

uint64_t shim_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void shim_slots_owing(void (*pay)(struct shim_slot *slot))
{
    if (slot.owes) {
        pay(&slot);
    }
}

struct shim_slot *shim_slot(int fd, enum shim_kind kind)
{
    return fd == visible && kind == SHIM_USB ? &slot : NULL;
}

bool shim_usb_connect_urbs(struct shim_slot *it)
{
    return it->urbs >= 0;
}

int shim_usb_claim_for(struct shim_slot *it, const struct preload_request *transfer)
{
    (void)it;
    (void)transfer;
    return 0;
}

int shim_usb_call(struct shim_slot *it, struct preload_request *request, const void *out,
                  size_t out_size, void *in, size_t *in_size)
{
    (void)it;
    (void)request;
    (void)out;
    (void)out_size;
    (void)in;
    (void)in_size;
    return -ENODEV;
}

bool shim_hung_up(int fd)
{
    (void)fd;
    return false;
}

/* --- the server --- */

static bool has_token(void)
{
    uint8_t byte;

    return recv(behind, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void take_token(void)
{
    uint8_t token[4 * PRELOAD_TOKEN_SIZE];

    (void)recv(behind, token, sizeof token, MSG_DONTWAIT);
}

static void answer(const struct usbdevfs_urb *urb)
{
    struct {
        struct preload_reply reply;
        uint8_t data[sizeof idle_status];
    } message = {.reply = {.tag = (uintptr_t)urb, .actual = sizeof idle_status}};

    memcpy(message.data, idle_status, sizeof idle_status);
    ck_assert_int_eq(send(server, &message, sizeof message, 0), sizeof message);
    take_token();
}

/* The operation of the next message, or 0. */
static int heard(void)
{
    struct preload_request request;

    return recv(server, &request, sizeof request, MSG_DONTWAIT) == sizeof request
               ? request.operation
               : 0;
}

/* What happens just before the library puts the token back. */
static const struct usbdevfs_urb *ends_meanwhile;

long raw6(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_sendto && a == visible && ends_meanwhile != NULL) {
        const struct usbdevfs_urb *urb = ends_meanwhile;
        ends_meanwhile = NULL;
        answer(urb);
    }
    long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}

/* --- a program --- */

struct urb {
    struct usbdevfs_urb urb;
    uint8_t buffer[8 + sizeof idle_status];
};

static void submit(struct urb *urb)
{
    static const uint8_t get_status[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};

    *urb = (struct urb){.urb = {.type = USBDEVFS_URB_TYPE_CONTROL,
                                .buffer = urb->buffer,
                                .buffer_length = sizeof urb->buffer}};
    memcpy(urb->buffer, get_status, sizeof get_status);
    ck_assert_int_eq(shim_urb_submit(&slot, visible, &urb->urb), 0);
}

static void *reap(void)
{
    void *out = NULL;
    int result = shim_urb_reap(&slot, visible, false, &out);

    ck_assert_int_eq(result, out != NULL ? 0 : -EAGAIN);
    return out;
}

/* As poll() finds the node. */
static bool is_ready(void)
{
    struct pollfd one = {.fd = visible, .events = POLLOUT};

    shim_before_poll();
    return poll(&one, 1, 0) == 1;
}

static void set_up(void)
{
    const int least = 1;
    static const uint8_t token[PRELOAD_TOKEN_SIZE];
    int nodes[2], connections[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, nodes), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, connections), 0);
    visible = nodes[0];
    behind = nodes[1];
    server = connections[1];
    ck_assert_int_eq(setsockopt(visible, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    ck_assert_int_eq(send(visible, token, sizeof token, 0), sizeof token);
    slot = (struct shim_slot){.kind = SHIM_USB, .urbs = connections[0], .box = &box, .token = true};
    pthread_mutex_init(&slot.lock, NULL);
    memset(&box, 0, sizeof box);
    shim_debts = 0;
}

START_TEST(test_a_reply_by_the_socket_is_reaped)
{
    struct urb urb;

    submit(&urb);
    ck_assert_int_eq(heard(), PRELOAD_SUBMIT);
    ck_assert(!is_ready());
    ck_assert_ptr_null(reap());
    answer(&urb.urb);
    ck_assert(is_ready());
    ck_assert_ptr_eq(reap(), &urb);
    ck_assert_int_eq(urb.urb.status, 0);
    ck_assert_int_eq(urb.urb.actual_length, sizeof idle_status);
    ck_assert_mem_eq(urb.buffer + 8, idle_status, sizeof idle_status);
}
END_TEST

START_TEST(test_the_token_comes_back_when_the_program_polls)
{
    struct urb urb;

    submit(&urb);
    answer(&urb.urb);
    ck_assert_ptr_eq(reap(), &urb);
    ck_assert_ptr_null(reap());
    ck_assert(!has_token());
    ck_assert(!is_ready());
    ck_assert(has_token());
    ck_assert_uint_eq(shim_debts, 0);
}
END_TEST

/* A program that polls by means that the library does not see wakes up once for nothing. */
START_TEST(test_who_reaps_in_vain_twice_gets_the_token)
{
    struct urb urb;

    submit(&urb);
    answer(&urb.urb);
    ck_assert_ptr_eq(reap(), &urb);
    ck_assert_ptr_null(reap());
    ck_assert_ptr_null(reap());
    ck_assert(has_token());
    ck_assert_uint_eq(shim_debts, 0);
}
END_TEST

/* The server had no token to take when it answered; the library puts one there afterwards. */
START_TEST(test_a_token_put_behind_a_reply_is_told_to_the_server)
{
    struct urb first, second;

    take_token();
    slot.token = false;
    submit(&first);
    ends_meanwhile = &first.urb;
    ck_assert_ptr_eq(reap(), &first);
    ck_assert(has_token());
    box.attended = 1;
    submit(&second); /* the server is slow: this one's reply comes by the socket */
    ck_assert_uint_eq(box.turn, box_turn(1, BOX_LATE));
    ck_assert(box.request.flags & PRELOAD_TOKEN);
}
END_TEST

/* Of several, one ends while the token goes back: whoever polls for the others must wake up. */
START_TEST(test_a_token_put_behind_one_reply_of_several_is_drained)
{
    struct urb first, second;

    take_token();
    slot.token = false;
    submit(&first);
    submit(&second);
    ck_assert_int_eq(heard(), PRELOAD_SUBMIT);
    ck_assert_int_eq(heard(), PRELOAD_SUBMIT);
    ends_meanwhile = &first.urb;
    ck_assert_ptr_eq(reap(), &first);
    ck_assert_int_eq(heard(), PRELOAD_DRAIN);
}
END_TEST

START_TEST(test_a_token_paid_behind_a_reply_is_drained)
{
    struct urb first, second;

    submit(&first);
    answer(&first.urb);
    ck_assert_ptr_eq(reap(), &first);
    ck_assert_ptr_null(reap());
    submit(&second);
    while (heard() != 0) {
    }
    ends_meanwhile = &second.urb;
    (void)is_ready();
    ck_assert_int_eq(heard(), PRELOAD_DRAIN);
    ck_assert_ptr_eq(reap(), &second);
}
END_TEST

/* With a reply in the box the node is ready, and nothing is owed for it. */
START_TEST(test_a_reply_in_the_box_is_reaped)
{
    struct urb first, second;

    submit(&first);
    answer(&first.urb);
    ck_assert_ptr_eq(reap(), &first);
    ck_assert_ptr_null(reap());
    box.attended = 1;
    submit(&second);
    ck_assert_int_eq(box.request.flags & PRELOAD_TOKEN, 0);
    /* What the server would have done in time. */
    box.reply = (struct preload_reply){.tag = (uintptr_t)&second.urb, .actual = sizeof idle_status};
    memcpy(box.data, idle_status, sizeof idle_status);
    box.turn = box_turn(1, BOX_ANSWERED);
    slot.boxed = true;
    ck_assert(is_ready());
    ck_assert_ptr_eq(reap(), &second);
    ck_assert_mem_eq(second.buffer + 8, idle_status, sizeof idle_status);
    ck_assert_ptr_null(reap());
    ck_assert(!is_ready());
}
END_TEST

START_TEST(test_what_is_not_in_the_box_in_time_comes_by_the_socket)
{
    struct urb urb;

    box.attended = 1;
    submit(&urb);
    ck_assert_int_eq(heard(), 0);
    ck_assert_uint_eq(box.turn, box_turn(1, BOX_LATE));
    ck_assert_ptr_null(reap());
    ck_assert(!is_ready());
    answer(&urb.urb);
    ck_assert(is_ready());
    ck_assert_ptr_eq(reap(), &urb);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preload_urbs");
    TCase *cases = tcase_create("urbs");

    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, test_a_reply_by_the_socket_is_reaped);
    tcase_add_test(cases, test_the_token_comes_back_when_the_program_polls);
    tcase_add_test(cases, test_who_reaps_in_vain_twice_gets_the_token);
    tcase_add_test(cases, test_a_token_put_behind_a_reply_is_told_to_the_server);
    tcase_add_test(cases, test_a_token_put_behind_one_reply_of_several_is_drained);
    tcase_add_test(cases, test_a_token_paid_behind_a_reply_is_drained);
    tcase_add_test(cases, test_a_reply_in_the_box_is_reaped);
    tcase_add_test(cases, test_what_is_not_in_the_box_in_time_comes_by_the_socket);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
