#include "usb-gadget/outlet.h"

/* Device addresses are 1 to 127; each board is alone on its bus. */
#define ADDRESS 2

static void on_event(evutil_socket_t fd, short what, void *context)
{
    struct outlet *outlet = context;

    (void)fd;
    (void)what;
    if (outlet->changed != NULL && outlet->told != outlet->port->generation) {
        outlet->told = outlet->port->generation;
        outlet->changed(outlet->holder, outlet);
    }
    if (outlet->offered != NULL && !outlet_taken(outlet) && root_port_attached(outlet->port)) {
        outlet->offered(outlet->suitor, outlet);
    }
}

/* Called from deep inside a transfer, so the news waits for the event loop. */
static void on_attach(void *context, struct root_port *port, bool attached)
{
    struct outlet *outlet = context;

    (void)port;
    (void)attached;
    event_active(outlet->event, EV_TIMEOUT, 0);
}

bool outlet_init(struct outlet *outlet, struct event_base *base, struct root_port *port,
                 const char *name, unsigned number)
{
    *outlet = (struct outlet){.port = port, .name = name, .number = number};
    outlet->event = event_new(base, -1, EV_PERSIST, on_event, outlet);
    if (outlet->event == NULL) {
        return false;
    }
    root_port_watch(port, on_attach, outlet);
    return true;
}

void outlet_free(struct outlet *outlet)
{
    if (outlet->event != NULL) {
        root_port_watch(outlet->port, NULL, NULL);
        event_free(outlet->event);
        outlet->event = NULL;
    }
}

bool outlet_take(struct outlet *outlet, outlet_changed *changed, void *holder)
{
    if (outlet_taken(outlet)) {
        return false;
    }
    outlet->changed = changed;
    outlet->holder = holder;
    outlet->told = outlet->port->generation;
    return true;
}

void outlet_give_back(struct outlet *outlet)
{
    outlet->changed = NULL;
    outlet->holder = NULL;
    root_port_bus_reset(outlet->port);
    event_active(outlet->event, EV_TIMEOUT, 0);
}

void outlet_offer(struct outlet *outlet, outlet_changed *offered, void *suitor)
{
    outlet->offered = offered;
    outlet->suitor = suitor;
    event_active(outlet->event, EV_TIMEOUT, 0);
}

bool outlet_taken(const struct outlet *outlet)
{
    return outlet->changed != NULL;
}

const struct usb_identity *outlet_identity(struct outlet *outlet)
{
    if (root_port_attached(outlet->port) && outlet->asked != outlet->port->generation &&
        !outlet_taken(outlet)) {
        return outlet_enumerate(outlet);
    }
    return outlet->answered && outlet->asked == outlet->port->generation ? &outlet->identity : NULL;
}

const struct usb_identity *outlet_enumerate(struct outlet *outlet)
{
    struct root_port *port = outlet->port;
    const uint64_t generation = port->generation;

    outlet->asked = generation;
    outlet->answered = root_port_attached(port) && enumerate(port, ADDRESS, &outlet->identity) &&
                       port->generation == generation;
    return outlet->answered ? &outlet->identity : NULL;
}

bool outlet_reset(struct outlet *outlet)
{
    return enumerate_address(outlet->port, ADDRESS);
}
