#include <string.h>

#include "usb-gadget/root_port.h"

/* Transactions without any handshake until the host gives up (USB 2.0 §8.6). */
#define ERRORS_MAX 3
/* Jumps to a board's ready time without a single ACK in between, until the transfer is left waiting
 * as if the board were idle. Only a board that is busy again whenever it was ready comes near. */
#define JUMPS_MAX       256

#define SETUP_DIRECTION 0
#define SETUP_REQUEST   1
#define SETUP_VALUE     2
#define SETUP_LENGTH    6
#define DIRECTION_IN    0x80
#define SET_ADDRESS     5

/* The next transaction of a transfer. */
enum stage {
    STAGE_SETUP,
    STAGE_DATA_OUT,
    STAGE_DATA_IN,
    STAGE_STATUS_OUT,
    STAGE_STATUS_IN,
    STAGE_DONE
};

enum step { STEP_WAITS, STEP_DONE };

static bool still_attached(const struct root_port *port)
{
    return port->board->attaches == port->attaches && port->board->ops->attached(port->board);
}

static unsigned queue_of(const struct transfer *transfer)
{
    if (transfer->type == TRANSFER_CONTROL) {
        return 0;
    }
    return (transfer->endpoint & 0x0Fu) + (transfer->endpoint & DIRECTION_IN ? 16u : 0u);
}

static uint32_t queues_in_use(const struct root_port *port)
{
    uint32_t in_use = 0;

    for (unsigned i = 0; i < ROOT_PORT_QUEUES; i++) {
        if (port->queue[i] != NULL) {
            in_use |= UINT32_C(1) << i;
        }
    }
    return in_use;
}

size_t transfer_length(const struct transfer *transfer)
{
    size_t length = transfer->length;

    if (transfer->type == TRANSFER_CONTROL) {
        size_t asked = transfer->setup[SETUP_LENGTH] | (size_t)transfer->setup[SETUP_LENGTH + 1]
                                                           << 8;
        length = asked < length ? asked : length;
    }
    return length;
}

bool transfer_is_in(const struct transfer *transfer)
{
    if (transfer->type == TRANSFER_CONTROL) {
        return (transfer->setup[SETUP_DIRECTION] & DIRECTION_IN) && transfer_length(transfer) > 0;
    }
    return transfer->endpoint & DIRECTION_IN;
}

static void tell(const struct root_port *port, const struct transfer *transfer, bool ended)
{
    if (port->on_transfer != NULL) {
        port->on_transfer(port->on_transfer_context, port, transfer, ended);
    }
}

static bool sets_address(const struct transfer *transfer)
{
    return transfer->type == TRANSFER_CONTROL && transfer->setup[SETUP_DIRECTION] == 0 &&
           transfer->setup[SETUP_REQUEST] == SET_ADDRESS;
}

static void finish(struct root_port *port, struct transfer *transfer, enum transfer_status status)
{
    port->ended++;
    transfer->status = status;
    transfer->actual = transfer->done;
    transfer->next = NULL;
    if (transfer->number != 0) {
        tell(port, transfer, true);
    }
    if (status == TRANSFER_OK && sets_address(transfer)) {
        port->address = transfer->setup[SETUP_VALUE];
    }
    transfer->complete(transfer);
}

/* --- one transaction --- */

/* Bytes that the present stage still has to move. */
static size_t remaining(const struct transfer *transfer)
{
    if (transfer->stage == STAGE_STATUS_OUT || transfer->stage == STAGE_STATUS_IN) {
        return 0;
    }
    return transfer_length(transfer) - transfer->done;
}

static enum stage next_stage(const struct transfer *transfer)
{
    if (transfer->type == TRANSFER_CONTROL && transfer->stage == STAGE_DATA_IN) {
        return STAGE_STATUS_OUT;
    }
    if (transfer->type == TRANSFER_CONTROL && transfer->stage == STAGE_DATA_OUT) {
        return STAGE_STATUS_IN;
    }
    return STAGE_DONE;
}

static enum usb_handshake transact_setup(struct board *board, struct transfer *transfer)
{
    if (board->ops->setup(board, transfer->setup) != USB_ACK) {
        return USB_SILENT; /* a device may answer a SETUP with nothing but ACK */
    }
    if (remaining(transfer) == 0) {
        transfer->stage = STAGE_STATUS_IN;
    } else if (transfer->setup[SETUP_DIRECTION] & DIRECTION_IN) {
        transfer->stage = STAGE_DATA_IN;
    } else {
        transfer->stage = STAGE_DATA_OUT;
    }
    return USB_ACK;
}

static enum usb_handshake transact_out(struct board *board, struct transfer *transfer)
{
    size_t left = remaining(transfer);
    size_t length = left < BOARD_USB_PACKET ? left : BOARD_USB_PACKET;
    const uint8_t *data = length > 0 ? transfer->data + transfer->done : NULL;
    enum usb_handshake handshake = board->ops->out(board, transfer->endpoint & 0x0Fu, data, length);

    if (handshake == USB_ACK) {
        transfer->done += length;
        if (length == left && !(transfer->zero_packet && length == BOARD_USB_PACKET)) {
            transfer->stage = next_stage(transfer);
        }
    }
    return handshake;
}

static enum usb_handshake transact_in(struct board *board, struct transfer *transfer)
{
    uint8_t packet[BOARD_USB_PACKET];
    size_t left = remaining(transfer);
    bool direct = left >= BOARD_USB_PACKET;
    uint8_t *data = direct ? transfer->data + transfer->done : packet;
    size_t length = 0;
    enum usb_handshake handshake = board->ops->in(board, transfer->endpoint & 0x0Fu, data, &length);

    if (handshake != USB_ACK) {
        return handshake;
    }
    if (length > left) {
        transfer->status = TRANSFER_BABBLE;
        transfer->stage = STAGE_DONE;
        return USB_ACK;
    }
    if (!direct && length > 0) {
        memcpy(transfer->data + transfer->done, packet, length);
    }
    transfer->done += length;
    if (length == left || length < BOARD_USB_PACKET) {
        transfer->stage = next_stage(transfer);
    }
    return USB_ACK;
}

static enum usb_handshake transact(struct board *board, struct transfer *transfer)
{
    switch ((enum stage)transfer->stage) {
    case STAGE_SETUP:
        return transact_setup(board, transfer);
    case STAGE_DATA_OUT:
    case STAGE_STATUS_OUT:
        return transact_out(board, transfer);
    case STAGE_DATA_IN:
    case STAGE_STATUS_IN:
        return transact_in(board, transfer);
    case STAGE_DONE:
        break;
    }
    return USB_ACK;
}

/* --- one transfer, as far as it goes --- */

/* What one root_port_run() has seen. */
struct run {
    bool moved;     /* something was acknowledged or time jumped: others may go on now */
    unsigned jumps; /* since the last ACK */
};

/* Moves board time to when the board is ready; false when that does not help. */
static bool jump_to_ready(struct root_port *port, struct run *run)
{
    struct board *board = port->board;

    if (!port->jump || run->jumps == JUMPS_MAX) {
        return false;
    }
    uint64_t ready = board->ops->ready_at(board);
    if (ready == BOARD_NEVER || ready <= board->now) {
        return false;
    }
    run->jumps++;
    run->moved = true;
    board_advance_to(board, ready);
    return true;
}

static enum step step(struct root_port *port, struct transfer *transfer, struct run *run)
{
    while (transfer->stage != STAGE_DONE) {
        if (!still_attached(port)) {
            /* A host controller tries on within microseconds and hears nothing; the hub notices the
             * unplugging later. */
            transfer->status = TRANSFER_PROTOCOL_ERROR;
            return STEP_DONE;
        }
        switch (transact(port->board, transfer)) {
        case USB_ACK:
            transfer->errors = 0;
            run->jumps = 0;
            run->moved = true;
            break;
        case USB_NAK:
            transfer->errors = 0;
            if (!jump_to_ready(port, run)) {
                return STEP_WAITS;
            }
            break;
        case USB_STALL:
            transfer->status = TRANSFER_STALL;
            return STEP_DONE;
        case USB_SILENT:
            if (++transfer->errors == ERRORS_MAX) {
                transfer->status = TRANSFER_PROTOCOL_ERROR;
                return STEP_DONE;
            }
            break;
        }
    }
    return STEP_DONE;
}

/* --- the port --- */

/* Completes everything in flight. Transfers that are submitted meanwhile stay. */
static void fail_all(struct root_port *port, enum transfer_status status)
{
    struct transfer **end = &port->failing;

    for (unsigned i = 0; i < ROOT_PORT_QUEUES; i++) {
        while (*end != NULL) {
            end = &(*end)->next;
        }
        *end = port->queue[i];
        port->queue[i] = NULL;
    }
    for (struct transfer *transfer = port->failing; transfer != NULL; transfer = transfer->next) {
        if (transfer->status == TRANSFER_OK) {
            transfer->status = status;
        }
    }
    while (port->failing != NULL) {
        struct transfer *transfer = port->failing;
        port->failing = transfer->next;
        finish(port, transfer, transfer->status);
    }
}

static void notice_detach(struct root_port *port)
{
    if (root_port_attached(port) && !still_attached(port)) {
        port->generation++;
        port->address = 0;
        fail_all(port, TRANSFER_NO_DEVICE);
    }
}

void root_port_poll(struct root_port *port)
{
    if (port->telling) {
        notice_detach(port); /* the outer call tells it, and sees the next attach */
        return;
    }
    port->telling = true;
    for (;;) {
        notice_detach(port);
        if (port->told != port->generation) {
            port->told = port->generation;
            if (port->on_attach != NULL) {
                port->on_attach(port->on_attach_context, port, root_port_attached(port));
            }
        } else if (!root_port_attached(port) && port->board->ops->attached(port->board)) {
            port->attaches = port->board->attaches;
            port->generation++;
        } else {
            break;
        }
    }
    port->telling = false;
}

void root_port_init(struct root_port *port, struct board *board, bool jump)
{
    *port = (struct root_port){.board = board, .jump = jump};
    root_port_poll(port);
}

void root_port_watch(struct root_port *port, root_port_attach *on_attach, void *context)
{
    root_port_poll(port);
    port->on_attach = on_attach;
    port->on_attach_context = context;
    if (on_attach != NULL && root_port_attached(port)) {
        port->told = port->generation - 1;
    }
    root_port_poll(port);
}

bool root_port_attached(const struct root_port *port)
{
    return port->generation & 1;
}

/* Brings the board to the host's present. */
static void use(struct root_port *port)
{
    if (port->on_use != NULL) {
        port->on_use(port->on_use_context, port);
    }
    root_port_poll(port);
}

bool root_port_still(struct root_port *port, uint64_t generation)
{
    use(port);
    return port->generation == generation;
}

void root_port_bus_reset(struct root_port *port)
{
    use(port);
    if (root_port_attached(port)) {
        port->board->ops->bus_reset(port->board);
        fail_all(port, TRANSFER_CANCELLED);
        port->address = 0;
    }
    root_port_poll(port);
}

static enum stage first_stage(const struct transfer *transfer)
{
    if (transfer->type == TRANSFER_CONTROL) {
        return STAGE_SETUP;
    }
    return transfer->endpoint & DIRECTION_IN ? STAGE_DATA_IN : STAGE_DATA_OUT;
}

void root_port_submit(struct root_port *port, struct transfer *transfer)
{
    use(port);
    transfer->status = TRANSFER_OK;
    transfer->generation = port->generation;
    transfer->stage = first_stage(transfer);
    transfer->errors = 0;
    transfer->done = 0;
    transfer->next = NULL;
    transfer->number = 0;
    if (!root_port_attached(port)) {
        finish(port, transfer, TRANSFER_NO_DEVICE);
        return;
    }
    transfer->number = ++port->submitted;
    tell(port, transfer, false);

    struct transfer **end = &port->queue[queue_of(transfer)];
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = transfer;
    if (!port->running) {
        root_port_run(port);
    }
}

/* Takes `transfer` out of a list; false when it was not in it. */
static bool take(struct transfer **list, const struct transfer *transfer)
{
    while (*list != NULL && *list != transfer) {
        list = &(*list)->next;
    }
    if (*list == NULL) {
        return false;
    }
    *list = transfer->next;
    return true;
}

bool root_port_cancel(struct root_port *port, struct transfer *transfer)
{
    if (!take(&port->queue[queue_of(transfer)], transfer) && !take(&port->failing, transfer)) {
        return false;
    }
    finish(port, transfer, TRANSFER_CANCELLED);
    if (!port->running) {
        root_port_run(port);
    }
    return true;
}

bool root_port_run(struct root_port *port)
{
    bool nested = port->running;
    struct run run = {0};

    port->running = true;
    root_port_poll(port);
    /* Callbacks may do anything to the queues, so nothing but the set of queues still to try is
     * kept over a call; it is full again after everything that may let others go on. */
    uint32_t untried = queues_in_use(port);
    while (untried != 0) {
        unsigned index = (unsigned)__builtin_ctz(untried);
        struct transfer *transfer = port->queue[index];

        run.moved = false;
        enum step end = transfer != NULL ? step(port, transfer, &run) : STEP_WAITS;
        if (end == STEP_DONE) {
            port->queue[index] = transfer->next;
            finish(port, transfer, transfer->status);
        }
        root_port_poll(port);
        if (end != STEP_WAITS || run.moved) {
            untried = queues_in_use(port);
        }
        if (end == STEP_WAITS) {
            untried &= ~(UINT32_C(1) << index);
        }
    }
    port->running = nested;
    return queues_in_use(port) != 0;
}
