#include "control_raw.h"

#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "module_list.h"
#include "release.h"

#define TYPE_DEVICE_ID      20
#define TYPE_SYSTEM_VERSION 30

/* wValue of a device id as bytes, not as text. */
#define ID_BINARY         1

#define QUEUED_DATA_MAX   512
#define DIRECT_LENGTH_MAX BOARD_USB_PACKET

/* From the interrupt to the system's thread; the host has its status stage by then. A choice. */
#define WAKE_NS BOARD_NS_PER_MS

static struct control_raw *raw_of(struct photon *photon)
{
    return &photon->system.control.raw;
}

/* --- what OUT requests do --- */

static bool act_nothing(struct photon *photon)
{
    (void)photon;
    return true;
}

/* Nobody handles it: the application has no handler, no log is configured. */
static bool act_unhandled(struct photon *photon)
{
    (void)photon;
    return false;
}

static bool act_reset(struct photon *photon)
{
    control_request_restart(photon, RESTART_RESET);
    return true;
}

static bool act_dfu(struct photon *photon)
{
    control_request_restart(photon, RESTART_DFU);
    return true;
}

static bool act_safe_mode(struct photon *photon)
{
    control_request_restart(photon, RESTART_SAFE_MODE);
    return true;
}

static bool act_listening(struct photon *photon)
{
    if (photon->system.quirks->control != USB_CONTROL_RAW_0_7) {
        control_request_restart(photon, RESTART_SAFE_LISTENING);
    } else {
        control_request_listen(photon, raw_of(photon)->value == 0);
    }
    return true;
}

static bool act_module_info(struct photon *photon)
{
    struct control_message *reply = &raw_of(photon)->reply;

    reply->size =
        (uint16_t)module_list_json(photon->flash, photon->system.quirks, (char *)reply->data);
    return true;
}

/* --- the table --- */

/* How a release takes an OUT request. */
enum way {
    REFUSED,
    AT_ONCE, /* inside the interrupt: after a restart nobody answers the status stage */
    QUEUED   /* for the system's thread */
};

struct row {
    uint16_t type;
    enum way ways[USB_CONTROL_SERVICE + 1];
    bool replies; /* has something to fetch */
    bool (*act)(struct photon *photon);
};

#define WAYS(at_0_6_0, at_0_6_1, at_0_7, from_0_8)                                                 \
    {                                                                                              \
        [USB_CONTROL_RAW] = (at_0_6_0), [USB_CONTROL_QUEUED] = (at_0_6_1),                         \
        [USB_CONTROL_RAW_0_7] = (at_0_7), [USB_CONTROL_SERVICE] = (from_0_8)                       \
    }

static const struct row rows[] = {
    {10, WAYS(REFUSED, QUEUED, QUEUED, REFUSED), true, act_unhandled}, /* the application's own */
    {40, WAYS(AT_ONCE, AT_ONCE, QUEUED, AT_ONCE), false, act_reset},
    {50, WAYS(AT_ONCE, AT_ONCE, QUEUED, REFUSED), false, act_dfu},
    {60, WAYS(REFUSED, REFUSED, QUEUED, REFUSED), false, act_safe_mode},
    {70, WAYS(AT_ONCE, AT_ONCE, QUEUED, REFUSED), false, act_listening},
    {80, WAYS(REFUSED, QUEUED, QUEUED, REFUSED), true, act_unhandled}, /* log configuration */
    {90, WAYS(REFUSED, REFUSED, QUEUED, REFUSED), true, act_module_info},
    {302, WAYS(REFUSED, REFUSED, REFUSED, AT_ONCE), false, act_nothing}, /* cloud disconnect */
};

static const struct row *find(uint16_t type)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].type == type) {
            return &rows[i];
        }
    }
    return NULL;
}

/* --- OUT --- */

static void enqueue(struct photon *photon)
{
    raw_of(photon)->state = RAW_WAITS;
    engine_set_timer(photon, TIMER_CONTROL, cpu_now(photon) + WAKE_NS);
}

/* Prepares what comes after the SETUP packet. */
static void take(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->length > 0) {
        ep0_receive(&photon->usb, setup->length);
    } else {
        ep0_status(&photon->usb);
    }
}

/* The next one may come when the system's thread is done with the last. */
static bool queue(struct photon *photon, const struct usb_setup *setup)
{
    struct control_raw *raw = raw_of(photon);

    if (raw->state == RAW_WAITS || setup->length > QUEUED_DATA_MAX) {
        return false;
    }
    raw->type = setup->index;
    raw->value = setup->value;
    raw->reply.size = 0;
    raw->state = RAW_RECEIVES;
    take(photon, setup);
    if (setup->length == 0) {
        enqueue(photon);
    }
    return true;
}

static bool out(struct photon *photon, const struct usb_setup *setup)
{
    const struct row *row = find(setup->index);

    switch (row != NULL ? row->ways[photon->system.quirks->control] : REFUSED) {
    case AT_ONCE:
        (void)row->act(photon);
        if (photon->life == LIFE_SYSTEM) {
            take(photon, setup);
        }
        return true;
    case QUEUED:
        return queue(photon, setup);
    default:
        return false;
    }
}

void control_raw_received(struct photon *photon)
{
    if (photon->system.quirks->control != USB_CONTROL_SERVICE &&
        raw_of(photon)->state == RAW_RECEIVES) {
        enqueue(photon);
    }
}

void control_raw_work(struct photon *photon)
{
    struct control_raw *raw = raw_of(photon);
    const struct row *row = find(raw->type);

    if (raw->state == RAW_WAITS && row != NULL) {
        raw->state = row->act(photon) && row->replies ? RAW_DONE : RAW_NOTHING;
    }
}

/* --- IN --- */

static bool binary_id(struct photon *photon, const struct usb_setup *setup)
{
    if (setup->length < PHOTON_ID_SIZE) {
        return false;
    }
    ep0_send_small(&photon->usb, photon->config.device_id, PHOTON_ID_SIZE);
    return true;
}

/* Only before 0.8. */
static bool wants_bytes(const struct photon *photon, const struct usb_setup *setup)
{
    return setup->value == ID_BINARY && photon->system.quirks->control != USB_CONTROL_SERVICE;
}

/* 0.6 sends lower case and the NUL, 0.7 upper case and the NUL, later releases upper case alone. */
static bool text_id(struct photon *photon, const struct usb_setup *setup)
{
    enum usb_control control = photon->system.quirks->control;
    size_t length = 2 * PHOTON_ID_SIZE + (control != USB_CONTROL_SERVICE ? 1 : 0);
    bool upper = control == USB_CONTROL_RAW_0_7 || control == USB_CONTROL_SERVICE;
    char text[2 * PHOTON_ID_SIZE + 1];

    if (setup->length < length) {
        return false;
    }
    for (size_t i = 0; i < PHOTON_ID_SIZE; i++) {
        (void)snprintf(text + 2 * i, 3, upper ? "%02X" : "%02x",
                       (unsigned)photon->config.device_id[i]);
    }
    ep0_send_small(&photon->usb, text, (uint32_t)length);
    return true;
}

/* Before 0.8 two bytes of zeros follow the text, and a host gets as much of it as it asks for. */
static bool system_version(struct photon *photon, const struct usb_setup *setup)
{
    const char *name = release_of_system(photon->system.part2.version)->name;
    bool service = photon->system.quirks->control == USB_CONTROL_SERVICE;
    size_t length = strlen(name) + (service ? 0 : 2);
    char text[BOARD_USB_PACKET] = "";

    if (service && setup->length < length) {
        return false;
    }
    (void)snprintf(text, sizeof(text), "%s", name);
    ep0_send_small(&photon->usb, text, (uint32_t)(setup->length < length ? setup->length : length));
    return true;
}

static bool fetch(struct photon *photon, const struct usb_setup *setup)
{
    const struct control_raw *raw = raw_of(photon);

    if (photon->system.quirks->control == USB_CONTROL_SERVICE || raw->state != RAW_DONE ||
        raw->type != setup->index || setup->length < raw->reply.size) {
        return false;
    }
    ep0_send(&photon->usb, raw->reply.data, raw->reply.size);
    return true;
}

static bool in(struct photon *photon, const struct usb_setup *setup)
{
    bool direct = setup->index == TYPE_DEVICE_ID || setup->index == TYPE_SYSTEM_VERSION;

    if (setup->length == 0 || (direct && setup->length > DIRECT_LENGTH_MAX)) {
        return false;
    }
    if (setup->index == TYPE_DEVICE_ID) {
        return wants_bytes(photon, setup) ? binary_id(photon, setup) : text_id(photon, setup);
    }
    return direct ? system_version(photon, setup) : fetch(photon, setup);
}

bool control_raw_setup(struct photon *photon, const struct usb_setup *setup)
{
    return (setup->type & USB_DIRECTION_IN) != 0 ? in(photon, setup) : out(photon, setup);
}
