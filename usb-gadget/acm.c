#include "usb-gadget/acm.h"

#include <stdlib.h>
#include <string.h>

#include "usb-gadget/descriptor.h"

#define CDC_UNION              6
#define UNION_SIZE             5
#define CLASS_COMMUNICATION    2
#define SUBCLASS_ABSTRACT      2
#define ENDPOINT_BULK          2
#define ENDPOINT_IN            0x80

#define TO_INTERFACE           0x21
#define SET_LINE_CODING        0x20
#define SET_CONTROL_LINE_STATE 0x22
#define SEND_BREAK             0x23
#define LINE_CODING_SIZE       7

#define WRITE_SIZE             512

struct read {
    struct transfer transfer;
    struct acm *acm;
    bool in_flight;
    size_t taken; /* of `actual`, by the owner */
    uint8_t data[ACM_READ_SIZE];
};

struct request {
    uint8_t setup[8];
    uint8_t data[LINE_CODING_SIZE];
    acm_done *done;
    void *context;
};

struct acm {
    struct root_port *port;
    struct acm_owner owner;
    uint8_t interface, data_interface;
    unsigned lines;
    bool open;

    struct read reads[ACM_READS];
    unsigned next_read; /* the oldest one */

    struct transfer write;
    bool writing;
    uint8_t write_data[WRITE_SIZE];

    struct transfer control;
    struct request requests[ACM_REQUESTS];
    unsigned first_request, request_count;
    bool requesting;
};

/* --- descriptors --- */

/* What a walk over a configuration has found so far. */
struct walk {
    bool control_found;
    uint8_t control, data; /* interface numbers */
    uint8_t in, out;       /* endpoint addresses */
    uint8_t interface, class, subclass;
};

static void walk_descriptor(struct walk *walk, const uint8_t *descriptor)
{
    switch (descriptor[DESCRIPTOR_TYPE]) {
    case DESCRIPTOR_INTERFACE:
        walk->interface = descriptor[INTERFACE_NUMBER];
        walk->class = descriptor[INTERFACE_CLASS];
        walk->subclass = descriptor[INTERFACE_SUBCLASS];
        break;
    case DESCRIPTOR_CS_INTERFACE:
        if (!walk->control_found && walk->class == CLASS_COMMUNICATION &&
            walk->subclass == SUBCLASS_ABSTRACT && descriptor[2] == CDC_UNION) {
            walk->control_found = true;
            walk->control = descriptor[3];
            walk->data = descriptor[4];
        }
        break;
    case DESCRIPTOR_ENDPOINT:
        if (walk->control_found && walk->interface == walk->data &&
            (descriptor[ENDPOINT_ATTRIBUTES] & 3) == ENDPOINT_BULK) {
            uint8_t address = descriptor[ENDPOINT_ADDRESS];
            *(address & ENDPOINT_IN ? &walk->in : &walk->out) = address;
        }
        break;
    default:
        break;
    }
}

static bool find_port(const uint8_t *config, size_t length, struct walk *walk)
{
    for (const uint8_t *at = descriptor_next(config, length, NULL); at != NULL;
         at = descriptor_next(config, length, at)) {
        bool short_union = at[DESCRIPTOR_TYPE] == DESCRIPTOR_CS_INTERFACE && at[2] == CDC_UNION &&
                           at[0] < UNION_SIZE;

        if (!short_union) {
            walk_descriptor(walk, at);
        }
    }
    return walk->control_found && walk->in != 0 && walk->out != 0;
}

/* --- reading --- */

static void submit_read(struct acm *acm, struct read *read)
{
    read->in_flight = true;
    read->taken = 0;
    root_port_submit(acm->port, &read->transfer);
}

/* Hands over what has come, oldest first, and asks for more. */
static void deliver(struct acm *acm)
{
    for (;;) {
        struct read *read = &acm->reads[acm->next_read];
        size_t left = read->transfer.actual - read->taken;

        if (read->in_flight || !acm->open || read->transfer.status != TRANSFER_OK) {
            return;
        }
        read->taken += acm->owner.received(acm->owner.context, read->data + read->taken, left);
        if (read->taken < read->transfer.actual) {
            return;
        }
        acm->next_read = (acm->next_read + 1) % ACM_READS;
        submit_read(acm, read);
    }
}

static void read_ended(struct transfer *transfer)
{
    struct read *read = transfer->context;

    read->in_flight = false;
    deliver(read->acm);
}

void acm_resume(struct acm *acm)
{
    deliver(acm);
}

static void start_reading(struct acm *acm)
{
    acm->next_read = 0;
    for (size_t i = 0; i < ACM_READS; i++) {
        submit_read(acm, &acm->reads[i]);
    }
}

static void stop_reading(struct acm *acm)
{
    for (size_t i = 0; i < ACM_READS; i++) {
        struct read *read = &acm->reads[i];

        if (read->in_flight) {
            (void)root_port_cancel(acm->port, &read->transfer);
        }
    }
}

/* --- writing --- */

static void write_ended(struct transfer *transfer)
{
    struct acm *acm = transfer->context;

    acm->writing = false;
    if (acm->open && transfer->status == TRANSFER_OK) {
        acm->owner.writable(acm->owner.context);
    }
}

size_t acm_write(struct acm *acm, const void *data, size_t length)
{
    size_t taken = length < sizeof(acm->write_data) ? length : sizeof(acm->write_data);

    if (acm->writing || !acm->open || taken == 0) {
        return 0;
    }
    memcpy(acm->write_data, data, taken);
    acm->writing = true;
    acm->write.length = taken;
    root_port_submit(acm->port, &acm->write);
    return taken;
}

/* --- control requests --- */

static void next_request(struct acm *acm)
{
    while (!acm->requesting && acm->request_count > 0) {
        struct request *request = &acm->requests[acm->first_request];

        acm->requesting = true;
        memcpy(acm->control.setup, request->setup, sizeof(request->setup));
        acm->control.data = request->data;
        acm->control.length = request->setup[6];
        root_port_submit(acm->port, &acm->control);
    }
}

static void request_ended(struct transfer *transfer)
{
    struct acm *acm = transfer->context;
    struct request request = acm->requests[acm->first_request];

    acm->first_request = (acm->first_request + 1) % ACM_REQUESTS;
    acm->request_count--;
    acm->requesting = false;
    if (request.done != NULL) {
        request.done(request.context, transfer->status);
    }
    next_request(acm);
}

static void ask(struct acm *acm, uint8_t code, uint16_t value, const uint8_t *data, uint8_t length,
                acm_done *done, void *context)
{
    struct request *request;

    if (acm->request_count == ACM_REQUESTS) {
        if (done != NULL) {
            done(context, TRANSFER_CANCELLED);
        }
        return;
    }
    request = &acm->requests[(acm->first_request + acm->request_count++) % ACM_REQUESTS];
    *request = (struct request){.setup = {TO_INTERFACE, code, (uint8_t)value, (uint8_t)(value >> 8),
                                          acm->interface, 0, length, 0},
                                .done = done,
                                .context = context};
    if (length > 0) {
        memcpy(request->data, data, length);
    }
    next_request(acm);
}

void acm_set_line_coding(struct acm *acm, const struct acm_line_coding *coding, acm_done *done,
                         void *context)
{
    const uint8_t data[LINE_CODING_SIZE] = {(uint8_t)coding->rate,
                                            (uint8_t)(coding->rate >> 8),
                                            (uint8_t)(coding->rate >> 16),
                                            (uint8_t)(coding->rate >> 24),
                                            coding->stop_bits,
                                            coding->parity,
                                            coding->data_bits};

    ask(acm, SET_LINE_CODING, 0, data, sizeof(data), done, context);
}

void acm_set_lines(struct acm *acm, unsigned lines, acm_done *done, void *context)
{
    acm->lines = lines;
    ask(acm, SET_CONTROL_LINE_STATE, (uint16_t)lines, NULL, 0, done, context);
}

unsigned acm_lines(const struct acm *acm)
{
    return acm->lines;
}

void acm_send_break(struct acm *acm, uint16_t duration_ms, acm_done *done, void *context)
{
    ask(acm, SEND_BREAK, duration_ms, NULL, 0, done, context);
}

/* --- life --- */

void acm_open(struct acm *acm, const struct acm_line_coding *coding)
{
    if (!acm->open) {
        acm->open = true;
        acm_set_line_coding(acm, coding, NULL, NULL);
        acm_set_lines(acm, ACM_DTR | ACM_RTS, NULL, NULL);
        start_reading(acm);
    }
}

void acm_close(struct acm *acm)
{
    if (acm->open) {
        acm->open = false;
        stop_reading(acm);
        if (acm->writing) {
            (void)root_port_cancel(acm->port, &acm->write);
        }
        acm_set_lines(acm, 0, NULL, NULL);
    }
}

static void prepare(struct transfer *transfer, enum transfer_type type, uint8_t endpoint,
                    void (*complete)(struct transfer *), void *context)
{
    *transfer = (struct transfer){
        .type = type, .endpoint = endpoint, .complete = complete, .context = context};
}

struct acm *acm_new(struct root_port *port, const uint8_t *config, size_t length,
                    const struct acm_owner *owner)
{
    struct walk walk = {0};
    struct acm *acm;

    if (!find_port(config, length, &walk)) {
        return NULL;
    }
    acm = calloc(1, sizeof(*acm));
    if (acm == NULL) {
        return NULL;
    }
    acm->port = port;
    acm->owner = *owner;
    acm->interface = walk.control;
    acm->data_interface = walk.data;
    for (size_t i = 0; i < ACM_READS; i++) {
        struct read *read = &acm->reads[i];

        prepare(&read->transfer, TRANSFER_BULK, walk.in, read_ended, read);
        read->transfer.data = read->data;
        read->transfer.length = sizeof(read->data);
        read->acm = acm;
    }
    prepare(&acm->write, TRANSFER_BULK, walk.out, write_ended, acm);
    acm->write.data = acm->write_data;
    prepare(&acm->control, TRANSFER_CONTROL, 0, request_ended, acm);
    return acm;
}

void acm_free(struct acm *acm)
{
    acm->open = false;
    stop_reading(acm);
    if (acm->writing) {
        (void)root_port_cancel(acm->port, &acm->write);
    }
    while (acm->requesting) {
        (void)root_port_cancel(acm->port, &acm->control);
    }
    free(acm);
}

uint8_t acm_interface(const struct acm *acm)
{
    return acm->interface;
}

uint8_t acm_data_interface(const struct acm *acm)
{
    return acm->data_interface;
}
