#include "control_service.h"

#include <string.h>

#include "engine.h"
#include "little_endian.h"

/* bRequest */
#define SERVICE_INIT  1
#define SERVICE_CHECK 2
#define SERVICE_SEND  3
#define SERVICE_RECV  4
#define SERVICE_RESET 5

/* wLength of INIT, CHECK and RESET; also what a SEND may have that is judged when it is there. */
#define SERVICE_LENGTH_MIN 64
/* The most that the interrupt has memory for. */
#define POOL_PAYLOAD_MAX 64

/* From an interrupt to the system's thread. A choice: real boards have answered the first CHECK,
 * and found memory within a millisecond. */
#define WAKE_NS (20 * BOARD_NS_PER_US)

/* Fields of a service reply, in their order on the wire. */
#define FIELD_STATUS 1U
#define FIELD_ID     2U
#define FIELD_SIZE   4U
#define FIELD_RESULT 8U
#define REPLY_MAX    16

enum service_status {
    SERVICE_OK = 0,
    SERVICE_PENDING = 2,
    SERVICE_BUSY = 3,
    SERVICE_NO_MEMORY = 4,
    SERVICE_NOT_FOUND = 5
};

static struct control_service *service_of(struct photon *photon)
{
    return &photon->system.control.service;
}

/* --- replies --- */

static void reply(struct photon *photon, enum service_status status, uint32_t fields,
                  const struct control_request *request)
{
    uint8_t bytes[REPLY_MAX];
    uint32_t length = 6;

    le32_put(bytes, FIELD_STATUS | fields);
    le16_put(bytes + 4, (uint16_t)status);
    if ((fields & FIELD_ID) != 0) {
        le16_put(bytes + length, request->id);
        length += 2;
    }
    if ((fields & FIELD_SIZE) != 0) {
        le32_put(bytes + length, request->message.size);
        length += 4;
    }
    if ((fields & FIELD_RESULT) != 0) {
        le32_put(bytes + length, (uint32_t)request->result);
        length += 4;
    }
    ep0_send_small(&photon->usb, bytes, length);
}

static void reply_status(struct photon *photon, enum service_status status)
{
    reply(photon, status, 0, NULL);
}

/* --- the queue of the system's thread --- */

static bool waits(const struct control_request *request)
{
    return request->state == CONTROL_NEEDS_MEMORY || request->state == CONTROL_WAITS;
}

static struct control_request *first_waiting(struct photon *photon)
{
    struct control_request *first = NULL;

    for (size_t i = 0; i < CONTROL_REQUESTS; i++) {
        struct control_request *request = &service_of(photon)->requests[i];

        if (waits(request) && (first == NULL || request->ticket < first->ticket)) {
            first = request;
        }
    }
    return first;
}

static void arm(struct photon *photon)
{
    const struct control_request *next = first_waiting(photon);
    uint64_t wait = WAKE_NS;

    /* Before a restart that was announced the thread only waits for it. */
    if (next == NULL || photon->timer[TIMER_RESTART] != BOARD_NEVER) {
        engine_stop_timer(photon, TIMER_CONTROL);
        return;
    }
    if (next->state == CONTROL_WAITS) {
        wait += control_request_time(photon, next->type);
    }
    engine_set_timer(photon, TIMER_CONTROL, listening_thread_free(photon) + wait);
}

/* The host is done with a request. */
static void finish(struct photon *photon, struct control_request *request)
{
    request->state = CONTROL_FREE;
    if (request->restarts) {
        control_request_restart_later(photon, request->restart);
        arm(photon);
    }
}

static void enqueue(struct photon *photon, struct control_request *request,
                    enum control_state state)
{
    request->state = state;
    request->ticket = ++service_of(photon)->tickets;
    if (first_waiting(photon) == request) {
        arm(photon);
    }
}

static void run(struct photon *photon, struct control_request *request)
{
    struct control_session *session = &photon->system.session;
    struct control_message answer;

    session->announced = false;
    request->result = control_request_run(photon, request->type, &request->message, &answer);
    request->message.size = request->result == CONTROL_OK ? answer.size : 0;
    memcpy(request->message.data, answer.data, request->message.size);
    request->moved = 0;
    request->restarts = session->announced;
    request->restart = session->announcement;
    request->state = CONTROL_DONE;
}

void control_service_work(struct photon *photon)
{
    struct control_request *request = first_waiting(photon);

    if (request != NULL && request->state == CONTROL_NEEDS_MEMORY) {
        request->state =
            request->size <= CONTROL_PAYLOAD_MAX ? CONTROL_RECEIVES : CONTROL_HAS_NO_MEMORY;
    } else if (request != NULL) {
        run(photon, request);
    }
    if (photon->life == LIFE_SYSTEM) {
        arm(photon);
    }
}

/* --- the interrupt's side --- */

static struct control_request *find(struct photon *photon, uint16_t id)
{
    for (size_t i = 0; i < CONTROL_REQUESTS; i++) {
        struct control_request *request = &service_of(photon)->requests[i];

        if (request->state != CONTROL_FREE && request->id == id) {
            return request;
        }
    }
    return NULL;
}

static struct control_request *find_free(struct photon *photon)
{
    for (size_t i = 0; i < CONTROL_REQUESTS; i++) {
        if (service_of(photon)->requests[i].state == CONTROL_FREE) {
            return &service_of(photon)->requests[i];
        }
    }
    return NULL;
}

static bool init(struct photon *photon, const struct usb_setup *setup)
{
    struct control_request *request = find_free(photon);

    if (request == NULL) {
        reply_status(photon, SERVICE_BUSY);
        return true;
    }
    request->id = ++service_of(photon)->last_id;
    request->type = setup->index;
    request->size = setup->value;
    request->moved = 0;
    request->restarts = false;
    request->message.size = 0;
    if (request->size == 0) {
        enqueue(photon, request, CONTROL_WAITS);
        if (control_request_makes_way(photon, request->type)) {
            arm(photon);
        }
    } else if (request->size <= POOL_PAYLOAD_MAX) {
        request->state = CONTROL_RECEIVES;
    } else {
        enqueue(photon, request, CONTROL_NEEDS_MEMORY);
    }
    reply(photon, request->state == CONTROL_NEEDS_MEMORY ? SERVICE_PENDING : SERVICE_OK, FIELD_ID,
          request);
    return true;
}

static void check_done(struct photon *photon, struct control_request *request)
{
    if (request->message.size > 0) {
        reply(photon, SERVICE_OK, FIELD_SIZE | FIELD_RESULT, request);
    } else {
        reply(photon, SERVICE_OK, FIELD_RESULT, request);
        finish(photon, request);
    }
}

static bool check(struct photon *photon, const struct usb_setup *setup)
{
    struct control_request *request = find(photon, setup->index);

    if (request == NULL) {
        reply_status(photon, SERVICE_NOT_FOUND);
        return true;
    }
    switch (request->state) {
    case CONTROL_HAS_NO_MEMORY:
        reply_status(photon, SERVICE_NO_MEMORY);
        request->state = CONTROL_FREE;
        break;
    case CONTROL_RECEIVES:
        reply_status(photon, SERVICE_OK);
        break;
    case CONTROL_DONE:
        check_done(photon, request);
        break;
    default:
        reply_status(photon, SERVICE_PENDING);
        break;
    }
    return true;
}

/* The request that takes this SEND's data. */
static struct control_request *receiver(struct photon *photon, const struct usb_setup *setup)
{
    struct control_request *request = find(photon, setup->index);

    return request != NULL && request->state == CONTROL_RECEIVES &&
                   setup->length <= request->size - request->moved
               ? request
               : NULL;
}

/* Short data are taken before anybody looks where they belong. */
static bool send(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->length > SERVICE_LENGTH_MIN && receiver(photon, setup) == NULL) {
        return false;
    }
    if (setup->length == 0) {
        ep0_status(&photon->usb);
    } else {
        ep0_receive(&photon->usb, setup->length);
    }
    return true;
}

void control_service_data(struct photon *photon, const uint8_t *data, size_t length)
{
    const struct ep0 *ep0 = &photon->usb.ep0;
    struct control_request *request = receiver(photon, &ep0->setup);
    size_t left = ep0->total - ep0->done;

    if (request != NULL) {
        memcpy(request->message.data + request->moved + ep0->done, data,
               length < left ? length : left);
    }
}

void control_service_received(struct photon *photon)
{
    const struct usb_setup *setup = &photon->usb.ep0.setup;
    struct control_request *request = receiver(photon, setup);

    if (request == NULL) {
        return;
    }
    request->moved = (uint16_t)(request->moved + setup->length);
    if (request->moved == request->size) {
        request->message.size = request->size;
        enqueue(photon, request, CONTROL_WAITS);
    }
}

/* The request whose reply this RECV asks for. */
static struct control_request *sender(struct photon *photon, const struct usb_setup *setup)
{
    struct control_request *request = find(photon, setup->index);

    return request != NULL && request->state == CONTROL_DONE &&
                   setup->length <= request->message.size - request->moved
               ? request
               : NULL;
}

static bool recv(struct photon *photon, const struct usb_setup *setup)
{
    const struct control_request *request = sender(photon, setup);

    if (request == NULL || setup->length == 0) {
        return false;
    }
    ep0_send(&photon->usb, request->message.data + request->moved, setup->length);
    return true;
}

void control_service_sent(struct photon *photon)
{
    const struct usb_setup *setup = &photon->usb.ep0.setup;
    struct control_request *request = setup->request == SERVICE_RECV ? sender(photon, setup) : NULL;

    if (request != NULL) {
        request->moved = (uint16_t)(request->moved + setup->length);
        if (request->moved == request->message.size) {
            finish(photon, request);
        }
    }
}

/* What has begun goes on: a restart that was announced happens. */
static bool reset(struct photon *photon, const struct usb_setup *setup)
{
    for (size_t i = 0; i < CONTROL_REQUESTS; i++) {
        struct control_request *request = &service_of(photon)->requests[i];

        if (request->state != CONTROL_FREE && (setup->index == 0 || request->id == setup->index)) {
            finish(photon, request);
        }
    }
    reply_status(photon, SERVICE_OK);
    return true;
}

bool control_service_setup(struct photon *photon, const struct usb_setup *setup)
{
    static const struct {
        uint8_t request, direction;
        uint16_t shortest; /* wLength */
        bool (*handle)(struct photon *photon, const struct usb_setup *setup);
    } services[] = {
        {SERVICE_INIT, USB_DIRECTION_IN, SERVICE_LENGTH_MIN, init},
        {SERVICE_CHECK, USB_DIRECTION_IN, SERVICE_LENGTH_MIN, check},
        {SERVICE_SEND, 0, 0, send},
        {SERVICE_RECV, USB_DIRECTION_IN, 0, recv},
        {SERVICE_RESET, USB_DIRECTION_IN, SERVICE_LENGTH_MIN, reset},
    };

    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (services[i].request == setup->request &&
            services[i].direction == (setup->type & USB_DIRECTION_IN) &&
            setup->length >= services[i].shortest) {
            return services[i].handle(photon, setup);
        }
    }
    return false;
}
