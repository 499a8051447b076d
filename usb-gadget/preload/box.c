/* The server's end of a connection's box. */
#include "usb-gadget/preload/box.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "usb-gadget/preload/link.h"

#define DIRECTION_IN 0x80

/* Memory of a fixed size; -1 where there is no such thing. */
static int make_memory(void)
{
    int fd = memfd_create("vphoton-box", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, sizeof(struct preload_box)) != 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int box_open(struct connection *connection)
{
    int fd = connection->box == NULL ? make_memory() : -1;

    if (fd >= 0) {
        void *memory =
            mmap(NULL, sizeof *connection->box, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED) {
            close(fd);
            return -1;
        }
        connection->box = memory;
    }
    return fd;
}

void box_close(struct connection *connection)
{
    if (connection->box != NULL) {
        atomic_store(&connection->box->attended, 0);
        (void)munmap(connection->box, sizeof *connection->box);
        connection->box = NULL;
    }
}

/* The number of a request that was not taken yet, or 0. */
static uint32_t waiting_number(const struct connection *connection)
{
    uint32_t turn = atomic_load(&connection->box->turn);
    uint32_t state = box_state(turn);
    uint32_t number = box_number(turn);

    return number != connection->taken && (state == BOX_ASKED || state == BOX_LATE) ? number : 0;
}

bool box_waits(const struct connection *connection)
{
    return connection->box != NULL && waiting_number(connection) != 0;
}

void box_attend(struct connection *connection)
{
    atomic_store(&connection->box->attended, 1);
}

bool box_ignore(struct connection *connection)
{
    atomic_store(&connection->box->attended, 0);
    return !box_waits(connection);
}

uint32_t box_take(struct connection *connection, size_t *length)
{
    struct preload_request *request = &connection->server->message.request;
    const struct preload_box *box = connection->box;
    uint32_t number = box != NULL ? waiting_number(connection) : 0;

    if (number == 0) {
        return 0;
    }
    connection->taken = number;
    *request = box->request;
    bool is_in = request->type == PRELOAD_CONTROL ? request->setup[0] & DIRECTION_IN
                                                  : request->endpoint & DIRECTION_IN;
    size_t data = is_in ? 0 : request->length;
    bool makes_sense = request->operation == PRELOAD_SUBMIT && data <= PRELOAD_DATA_MAX;
    if (makes_sense) {
        memcpy(connection->server->message.data, box->data, data);
    }
    *length = makes_sense ? sizeof *request + data : 0;
    return number;
}

bool box_answer(struct connection *connection, const struct urb *urb)
{
    struct preload_box *box = connection->box;

    if (urb->turn == 0 || atomic_load(&box->turn) != box_turn(urb->turn, BOX_ASKED)) {
        return false;
    }
    box->reply = urb->reply;
    if (urb->is_in) {
        memcpy(box->data, urb->data, urb->reply.actual);
    }
    /* Before the answer: later it would be one that the client has put back. Whoever wakes up too
     * early for that makes the reply come by the socket. */
    if (connection->handle->shared || (urb->flags & PRELOAD_TOKEN)) {
        connection_take_token(connection->handle);
    }
    return box_settle(box, urb->turn, BOX_ANSWERED);
}
