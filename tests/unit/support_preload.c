#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/support_preload.h"

struct event_base *base;
struct preload_server *server;
struct board *boards[PRELOAD_BOARDS_MAX];
struct root_port ports[PRELOAD_BOARDS_MAX];
struct preload_answer got;
int got_visible;

const struct preload_request opening = {
    .operation = PRELOAD_OPEN, .version = PRELOAD_PROTOCOL_VERSION, .number = 2};

/* --- a client --- */

void turn(void)
{
    for (int i = 0; i < 4; i++) {
        ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    }
}

int dial(void)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    ck_assert(connection_accept(server, pair[0]));
    return pair[1];
}

void say(int client, struct preload_request request, const void *data, size_t length)
{
    struct iovec parts[2] = {{&request, sizeof request}, {(void *)data, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    ck_assert_int_eq(sendmsg(client, &message, MSG_NOSIGNAL | MSG_DONTWAIT),
                     (ssize_t)(sizeof request + length));
    turn();
}

ssize_t hear(int client)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&got, sizeof got};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t length = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *passed = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    got_visible = -1;
    if (passed != NULL) {
        memcpy(&got_visible, CMSG_DATA(passed), sizeof got_visible);
    }
    return length;
}

int ask(int client, struct preload_request request, const void *data, size_t length)
{
    say(client, request, data, length);
    ck_assert_int_ge(hear(client), (ssize_t)sizeof got.reply);
    ck_assert_uint_eq(got.reply.tag, request.tag);
    return got.reply.result;
}

int open_device(unsigned number, int *visible)
{
    int client = dial();
    const struct preload_request request = {.operation = PRELOAD_OPEN,
                                            .version = PRELOAD_PROTOCOL_VERSION,
                                            .number = number,
                                            .flags = PRELOAD_WRITABLE};

    ck_assert_int_eq(ask(client, request, NULL, 0), 0);
    *visible = got_visible;
    return client;
}

bool is_closed(int client)
{
    ssize_t length;

    turn();
    do {
        length = hear(client);
    } while (length > 0 || (length < 0 && errno == ECONNRESET));
    return length == 0;
}

bool is_ready(int visible)
{
    struct pollfd one = {.fd = visible, .events = POLLOUT};

    return poll(&one, 1, 0) == 1;
}

struct preload_request get_status(enum preload_operation operation, bool answered)
{
    return (struct preload_request){.operation = (uint16_t)operation,
                                    .setup = {answered ? 0xA1 : 0xC1, 3, 0, 0, 0, 0, 6, 0},
                                    .length = 6,
                                    .tag = answered ? 1 : 2};
}

/* --- fixtures --- */

void plug(unsigned index, struct board *board)
{
    boards[index] = board;
    root_port_init(&ports[index], board, true);
    ck_assert(preload_server_add(server, &ports[index], index + 1));
}

static uint64_t advance_boards(void *context, uint64_t ns, bool until_event)
{
    (void)context;
    (void)until_event;
    for (size_t i = 0; i < PRELOAD_BOARDS_MAX && boards[i] != NULL; i++) {
        board_advance(boards[i], ns);
        root_port_poll(&ports[i]);
        (void)root_port_run(&ports[i]);
    }
    return ns;
}

static void start(bool warp)
{
    const struct preload_options options = {
        .library = "/proc/self/exe", .warp = warp, .advance = advance_boards};

    memset(boards, 0, sizeof boards);
    base = event_base_new();
    server = preload_server_new(base, &options);
    ck_assert_ptr_nonnull(server);
    plug(0, test_board_dfu(IMAGE_3B));
}

void preload_set_up(void)
{
    start(false);
}

void preload_set_up_warp(void)
{
    start(true);
}

void preload_tear_down(void)
{
    preload_server_free(server);
    event_base_free(base);
    for (size_t i = 0; i < PRELOAD_BOARDS_MAX && boards[i] != NULL; i++) {
        boards[i]->ops->destroy(boards[i]);
    }
}

void unplug(unsigned index)
{
    boards[index]->ops->power(boards[index], false);
    root_port_poll(&ports[index]);
    turn();
}

bool file_is(const char *path, const char *expected)
{
    char whole[512], text[256] = "";

    snprintf(whole, sizeof whole, "%s/" PRELOAD_ROOT_NAME "%s", server->tree.folder, path);
    FILE *file = fopen(whole, "r");
    if (file == NULL) {
        return expected == NULL;
    }
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    fclose(file);
    return expected != NULL && strcmp(text, expected) == 0;
}
