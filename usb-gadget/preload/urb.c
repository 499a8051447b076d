#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "usb-gadget/preload/hub.h"
#include "usb-gadget/preload/link.h"
#include "usb-gadget/urb_status.h"

/* The DFU request whose answer says how long to wait for the next one (DFU 1.1 §6.1.2). */
#define DFU_GETSTATUS      3
#define DFU_FROM_INTERFACE 0xA1
#define DFU_STATUS_SIZE    6

/* --- life --- */

static void on_complete(struct transfer *transfer);

struct urb *urb_new(struct preload_server *server, struct connection *connection,
                    struct usb_device *device, size_t size)
{
    struct urb *urb = NULL;

    if (server->memory + size <= LINK_MEMORY_MAX) {
        urb = malloc(sizeof *urb + size);
    }
    if (urb == NULL) {
        return NULL;
    }
    *urb = (struct urb){.server = server, .device = device, .connection = connection, .size = size};
    urb->transfer.data = urb->data;
    urb->transfer.length = size;
    urb->transfer.complete = on_complete;
    urb->transfer.context = urb;
    server->memory += size;
    if (connection != NULL) {
        connection->urb_count++;
    }
    TAILQ_INSERT_TAIL(connection != NULL ? &connection->urbs : &server->own, urb, entry);
    return urb;
}

struct urb *urb_request(struct preload_server *server, struct connection *connection,
                        struct usb_device *device, const uint8_t setup[8])
{
    struct urb *urb = urb_new(server, connection, device, 0);

    if (urb != NULL) {
        urb->transfer.type = TRANSFER_CONTROL;
        memcpy(urb->transfer.setup, setup, sizeof urb->transfer.setup);
    }
    return urb;
}

void urb_free(struct urb *urb)
{
    urb->server->memory -= urb->size;
    free(urb);
}

/* --- the end --- */

static int result_of(const struct urb *urb)
{
    const struct transfer *transfer = &urb->transfer;

    if (transfer->status == TRANSFER_CANCELLED && urb->timed_out) {
        return -ETIMEDOUT;
    }
    if (transfer->status == TRANSFER_CANCELLED && urb->discarded) {
        return -ENOENT;
    }
    return urb_status(transfer, urb->is_in && (urb->flags & PRELOAD_SHORT_NOT_OK));
}

static void end(struct urb *urb, int result)
{
    struct connection *connection = urb->connection;

    for (struct submission *own = urb->server->submissions; own != NULL; own = own->outer) {
        if (own->urb == urb) {
            own->urb = NULL;
        }
    }
    if (urb->timer != NULL) {
        event_free(urb->timer);
    }
    urb->reply.result = result;
    urb->reply.actual = (uint32_t)urb->transfer.actual;
    TAILQ_REMOVE(connection != NULL ? &connection->urbs : &urb->server->own, urb, entry);
    if (urb->ended != NULL) {
        urb->ended(urb);
    }
    if (connection != NULL) {
        connection_send_urb(connection, urb);
    } else {
        urb_free(urb);
    }
}

void urb_fail(struct urb *urb, int result)
{
    urb->transfer.actual = 0;
    end(urb, result);
}

static bool is_getstatus(const struct urb *urb)
{
    return urb->transfer.type == TRANSFER_CONTROL && urb->transfer.setup[0] == DFU_FROM_INTERFACE &&
           urb->transfer.setup[1] == DFU_GETSTATUS && device_is_dfu(urb->device);
}

static void note_poll_timeout(const struct urb *urb)
{
    const uint8_t *status = urb->data;
    uint32_t ms = status[1] | (uint32_t)status[2] << 8 | (uint32_t)status[3] << 16;

    urb->device->poll_due = urb->device->port->board->now + ms * BOARD_NS_PER_MS;
}

static void on_complete(struct transfer *transfer)
{
    struct urb *urb = transfer->context;

    if (transfer->status == TRANSFER_OK && transfer->actual >= DFU_STATUS_SIZE &&
        is_getstatus(urb)) {
        note_poll_timeout(urb);
    }
    end(urb, result_of(urb));
}

/* --- on its way --- */

/* The root hub answers at once; its status endpoint never has anything to say. */
static void submit_to_hub(struct urb *urb)
{
    struct transfer *transfer = &urb->transfer;

    if (transfer->type != TRANSFER_CONTROL) {
        return;
    }
    int result =
        hub_control(urb->device, transfer->setup, urb->data, server_connected, urb->server);
    transfer->actual = result > 0 ? (size_t)result : 0;
    end(urb, result < 0 ? result : 0);
}

static void on_timeout(evutil_socket_t fd, short what, void *context)
{
    struct urb *urb = context;

    (void)fd;
    (void)what;
    urb->timed_out = true;
    (void)urb_cancel(urb);
}

static void start_timer(struct urb *urb, unsigned timeout_ms)
{
    const struct timeval after = {.tv_sec = timeout_ms / 1000,
                                  .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};

    urb->timer = evtimer_new(urb->server->base, on_timeout, urb);
    if (urb->timer == NULL || evtimer_add(urb->timer, &after) != 0) {
        on_timeout(-1, 0, urb);
    }
}

/* Warp: the client that waits for the end sleeps meanwhile. */
static void pass_time(struct preload_server *server, const struct submission *own,
                      unsigned timeout_ms)
{
    uint64_t left = timeout_ms * BOARD_NS_PER_MS;
    uint64_t moved = 1;

    while (own->urb != NULL && left > 0 && moved > 0) {
        moved = warp_advance(server, left, true);
        left -= moved < left ? moved : left;
    }
}

void urb_submit(struct urb *urb, unsigned timeout_ms)
{
    struct preload_server *server = urb->server;
    struct usb_device *device = urb->device;
    struct submission own = {.urb = urb, .outer = server->submissions};

    server->submissions = &own;
    if (device->port == NULL) {
        submit_to_hub(urb);
    } else if (!root_port_still(device->port, device->generation)) {
        urb_fail(urb, -ENODEV);
    } else {
        if (is_getstatus(urb) && device->port->board->now < device->poll_due) {
            server->early_polls++;
        }
        root_port_submit(device->port, &urb->transfer);
    }
    if (timeout_ms != 0) {
        pass_time(server, &own, timeout_ms);
    }
    if (own.urb != NULL && timeout_ms != 0) {
        start_timer(urb, server->clock_offset != NULL ? 0 : timeout_ms);
    }
    server->submissions = own.outer;
}

bool urb_cancel(struct urb *urb)
{
    if (urb->device->port == NULL) {
        urb->transfer.status = TRANSFER_CANCELLED;
        end(urb, result_of(urb));
        return true;
    }
    return root_port_cancel(urb->device->port, &urb->transfer);
}

void urb_cancel_own(struct preload_server *server, const struct usb_device *device)
{
    struct urb *urb, *next;

    for (urb = TAILQ_FIRST(&server->own); urb != NULL; urb = next) {
        next = TAILQ_NEXT(urb, entry);
        if (urb->device == device) {
            (void)urb_cancel(urb);
        }
    }
}
