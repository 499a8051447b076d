/*
 * Hostile clients of the preload server: any message on any connection, in any order, with replies
 * unread, sockets closed in the middle, while the board behind it works, hangs and is unplugged.
 *
 * Each action is an opcode and its operands. Promised: no crash, and when the last client has gone
 * and the board too, no connection, handle, transfer or memory is left.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devmodel/photon.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support_dfu_board.h"
#include "usb-gadget/preload/link.h"

#define ACTIONS_MAX 200
#define CLIENTS_MAX 6
#define LOOPS_MAX   1000

/* Made once: a server's files cost more than the input that tries it. */
static struct {
    struct event_base *base;
    struct preload_server *server;
    struct board *board, *fresh;
    struct root_port port;
} world;

struct client {
    int socket;  /* -1: none */
    int visible; /* the node's descriptor, or -1 */
    uint64_t inode;
    struct preload_box *box; /* or NULL */
    uint32_t turn;
};

static struct client clients[CLIENTS_MAX];

static void make_world(void)
{
    struct preload_options options = {.library = "/proc/self/exe"};

    world.base = event_base_new();
    world.fresh = dfu_board_fresh("0.4.3", false);
    MUST(world.base != NULL && world.fresh != NULL && dfu_board_enter(world.fresh));
    world.board = world.fresh->ops->clone(world.fresh);
    world.server = preload_server_new(world.base, &options);
    MUST(world.board != NULL && world.server != NULL);
    root_port_init(&world.port, world.board, true);
    MUST(preload_server_add(world.server, &world.port, 1));
}

static void turn(void)
{
    MUST(event_base_loop(world.base, EVLOOP_NONBLOCK) >= 0);
}

/* --- clients --- */

static void join(struct client *client)
{
    int pair[2];

    if (client->socket >= 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return;
    }
    if (!connection_accept(world.server, pair[0])) {
        close(pair[1]);
        return;
    }
    client->socket = pair[1];
}

static void leave(struct client *client)
{
    if (client->socket >= 0) {
        close(client->socket);
    }
    client->socket = -1;
}

static void close_node(struct client *client)
{
    if (client->visible >= 0) {
        close(client->visible);
    }
    client->visible = -1;
}

static void drop_box(struct client *client)
{
    if (client->box != NULL) {
        MUST(munmap(client->box, sizeof *client->box) == 0);
        client->box = NULL;
    }
}

/* What came with a reply: a node, or the memory of a box. */
static void keep(struct client *client, int passed, uint64_t inode)
{
    struct stat status;

    MUST(fstat(passed, &status) == 0);
    if (S_ISSOCK(status.st_mode)) {
        close_node(client);
        client->visible = passed;
        client->inode = inode;
        return;
    }
    drop_box(client);
    MUST((size_t)status.st_size == sizeof *client->box);
    void *memory = mmap(NULL, sizeof *client->box, PROT_READ | PROT_WRITE, MAP_SHARED, passed, 0);
    MUST(memory != MAP_FAILED);
    client->box = memory;
    close(passed);
}

/* Reads one reply and keeps what may come with it. */
static void receive(struct client *client)
{
    struct {
        struct preload_reply reply;
        uint8_t data[PRELOAD_DATA_MAX];
    } message;
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&message, sizeof message};
    struct msghdr head = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control};
    ssize_t length =
        client->socket >= 0 ? recvmsg(client->socket, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) : -1;

    if (length <= 0) {
        return;
    }
    MUST((head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0);
    const struct cmsghdr *passed = CMSG_FIRSTHDR(&head);
    if (passed != NULL) {
        int fd;
        memcpy(&fd, CMSG_DATA(passed), sizeof fd);
        keep(client, fd, ((const struct preload_handle_info *)message.data)->inode);
    }
}

static void send_raw(const struct client *client, struct input *input)
{
    size_t length = input_u8(input);

    length = length < input->left ? length : input->left;
    if (client->socket >= 0) {
        (void)send(client->socket, input->bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    input->bytes += length;
    input->left -= length;
}

/* A request whose lengths agree unless the input says otherwise. */
static void send_request(const struct client *client, struct input *input)
{
    struct {
        struct preload_request request;
        uint8_t data[PRELOAD_DATA_MAX + 1];
    } message = {.request = {.version = PRELOAD_PROTOCOL_VERSION}};
    struct preload_request *request = &message.request;

    request->operation = input_u8(input) % (PRELOAD_ADVANCE_POLL + 2);
    uint8_t wrong = input_u8(input);
    request->type = input_u8(input) % 4;
    request->endpoint = input_u8(input);
    request->flags = input_u8(input);
    request->number = wrong & 1 ? input_u32(input) : input_u8(input) % 8;
    request->tag = wrong & 2 ? clients[input_u8(input) % CLIENTS_MAX].inode : input_u8(input) % 8;
    for (size_t i = 0; i < 6; i++) {
        request->setup[i] = input_u8(input);
    }
    request->length = input_u16(input) % (PRELOAD_DATA_MAX + 8);
    request->setup[6] = (uint8_t)request->length;
    request->setup[7] = (uint8_t)(request->length >> 8);

    bool control = request->type == PRELOAD_CONTROL;
    bool in = (control ? request->setup[0] : request->endpoint) & 0x80;
    bool moves = request->operation == PRELOAD_SUBMIT || request->operation == PRELOAD_CALL;
    size_t length = moves && !in ? request->length : 0;
    if (wrong & 4) {
        length = input_u16(input);
        request->length = input_u32(input);
    }
    length = length < sizeof message.data ? length : sizeof message.data;
    memset(message.data, input_u8(input), length);
    if (client->socket >= 0) {
        (void)send(client->socket, &message, sizeof *request + length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* A handle of the board or of the hub, or a further connection of one. */
static void open_node(struct client *client, struct input *input)
{
    const struct usb_device *device = world.server->ports[1].device;
    uint8_t how = input_u8(input);
    struct preload_request request = {
        .operation = how & 1 ? PRELOAD_ADOPT : PRELOAD_OPEN,
        .version = PRELOAD_PROTOCOL_VERSION,
        .flags = (how & 4 ? PRELOAD_READABLE : 0) | (how & 8 ? PRELOAD_BOXED : 0),
        .number = how & 2 || device == NULL ? 1 : device->number,
        .tag = clients[(how >> 4) % CLIENTS_MAX].inode,
    };

    join(client);
    if (client->socket >= 0) {
        (void)send(client->socket, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL);
        turn();
        receive(client);
    }
}

/* What real clients send: the ways into the server that chance hardly finds. */
static const struct preload_request usual[] = {
    {.operation = PRELOAD_CLAIM},
    {.operation = PRELOAD_RELEASE},
    {.operation = PRELOAD_SET_INTERFACE, .length = 1},
    {.operation = PRELOAD_SET_INTERFACE, .length = 0},
    {.operation = PRELOAD_SET_CONFIGURATION, .number = 0},
    {.operation = PRELOAD_SET_CONFIGURATION, .number = 1},
    {.operation = PRELOAD_RESET},
    {.operation = PRELOAD_DETACH},
    {.operation = PRELOAD_DISCONNECT_CLAIM},
    {.operation = PRELOAD_GET_DRIVER},
    /* GETSTATUS; the same with a type that the bootloader never answers; its end */
    {.operation = PRELOAD_SUBMIT, .setup = {0xA1, 3, 0, 0, 0, 0, 6, 0}, .length = 6, .tag = 1},
    {.operation = PRELOAD_SUBMIT, .setup = {0xC1, 3, 0, 0, 0, 0, 6, 0}, .length = 6, .tag = 2},
    {.operation = PRELOAD_DISCARD, .tag = 2},
    {.operation = PRELOAD_CALL, .setup = {0xC1, 3, 0, 0, 0, 0, 6, 0}, .length = 6, .number = 1},
    /* UPLOAD of block 2 */
    {.operation = PRELOAD_SUBMIT, .setup = {0xA1, 2, 2, 0, 0, 0, 0, 16}, .length = 4096},
    /* the hub's status, its name, and a port's status */
    {.operation = PRELOAD_SUBMIT, .type = PRELOAD_INTERRUPT, .endpoint = 0x81, .length = 4},
    {.operation = PRELOAD_CALL, .setup = {0x80, 6, 2, 3, 0, 0, 255, 0}, .length = 255},
    {.operation = PRELOAD_CALL, .setup = {0xA3, 0, 0, 0, 1, 0, 4, 0}, .length = 4},
};

static void send_usual(const struct client *client, struct input *input)
{
    const struct preload_request *request =
        &usual[input_u8(input) % (sizeof usual / sizeof *usual)];

    if (client->socket >= 0) {
        (void)send(client->socket, request, sizeof *request, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* Something in the box, asked for or given up by chance, and perhaps a look by the server. */
static void use_box(struct client *client, struct input *input)
{
    uint8_t how = input_u8(input);
    struct preload_box *box = client->box;

    if (box != NULL && (how & 1)) {
        box->request = usual[input_u8(input) % (sizeof usual / sizeof *usual)];
        client->turn++;
        atomic_store(&box->turn, box_turn(client->turn, how & 2 ? BOX_LATE : BOX_ASKED));
    } else if (box != NULL) {
        size_t length = how >> 2 < input->left ? how >> 2 : input->left;
        memcpy(box, input->bytes, length);
        input->bytes += length;
        input->left -= length;
    }
    if (how & 128) {
        (void)preload_server_expects(world.server);
    }
    if (box != NULL && (how & 64)) {
        (void)box_settle(box, client->turn, BOX_LATE);
    }
}

static void put_token(const struct client *client)
{
    static const uint8_t token[PRELOAD_TOKEN_SIZE];

    if (client->visible >= 0) {
        (void)send(client->visible, token, sizeof token, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* --- the board --- */

static void touch_board(struct input *input)
{
    uint8_t how = input_u8(input);

    switch (how % 4) {
    case 0:
        world.board->ops->power(world.board, how & 0x80);
        break;
    case 1:
        world.board->ops->reset(world.board);
        break;
    default:
        board_advance(world.board, (uint64_t)input_u16(input) * BOARD_NS_PER_MS);
        break;
    }
    root_port_poll(&world.port);
    (void)root_port_run(&world.port);
}

static void act(struct input *input)
{
    uint8_t opcode = input_u8(input);
    struct client *client = &clients[(opcode >> 4) % CLIENTS_MAX];

    switch (opcode & 0x0F) {
    case 0:
        join(client);
        break;
    case 1:
        open_node(client, input);
        break;
    case 2:
        leave(client);
        break;
    case 3:
        close_node(client);
        break;
    case 4:
    case 5:
        receive(client);
        break;
    case 6:
        send_raw(client, input);
        break;
    case 7:
        put_token(client);
        break;
    case 8:
        touch_board(input);
        break;
    case 9:
        if (client->socket >= 0) {
            (void)shutdown(client->socket, SHUT_WR);
        }
        break;
    case 10:
        turn();
        break;
    case 11:
        send_usual(client, input);
        break;
    case 12:
        use_box(client, input);
        break;
    default:
        send_request(client, input);
        if (opcode & 1) {
            turn();
            receive(client);
        }
        break;
    }
}

/* Everybody leaves; then nothing may be left, and the next input finds a fresh board. */
static void clean_up(void)
{
    const struct preload_server *server = world.server;
    unsigned loops = 0;

    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        leave(&clients[i]);
        close_node(&clients[i]);
        drop_box(&clients[i]);
    }
    world.board->ops->power(world.board, false);
    root_port_poll(&world.port);
    do {
        turn();
        MUST(++loops < LOOPS_MAX);
    } while (server->connection_count > 0 || !TAILQ_EMPTY(&server->handles));
    MUST(server->memory == 0);
    MUST(TAILQ_EMPTY(&server->own));
    MUST(server->ports[1].device == NULL);
    world.board->ops->restore(world.board, world.fresh);
    root_port_poll(&world.port);
    turn();
    MUST(server->ports[1].device != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    if (world.server == NULL) {
        make_world();
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        clients[i] = (struct client){.socket = -1, .visible = -1};
    }
    for (unsigned i = 0; i < ACTIONS_MAX && input.left > 0; i++) {
        act(&input);
    }
    clean_up();
    return 0;
}
