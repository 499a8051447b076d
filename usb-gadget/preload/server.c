#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "usb-gadget/preload/link.h"
#include "usb-gadget/preload/tty.h"
#include "usb-gadget/preload/uevent.h"
#include "usb-gadget/program_folder.h"

#define LISTEN_BACKLOG 64
#define NUMBER_FIRST   2
#define NUMBER_LAST    127
#define LIBRARY_NAME   "libvphoton-preload.so"

/* --- telling the clients --- */

static void accept_all(struct preload_server *server)
{
    int client;

    while ((client = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        (void)connection_accept(server, client);
    }
}

/* Before news that the files show already: a program that asked for news and then looked at the
 * files may have seen the old ones, so what it asked is heard first. */
static void hear_monitors(struct preload_server *server)
{
    accept_all(server);
    connection_hear_monitors(server);
}

static void tell_monitors(struct preload_server *server, struct uevent event)
{
    static const uint32_t groups[] = {UEVENT_KERNEL, UEVENT_UDEV};

    event.sequence = ++server->uevent_sequence;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        uint8_t message[UEVENT_MAX];
        size_t length = 0;
        struct connection *connection;
        TAILQ_FOREACH(connection, &server->connections, entry)
        {
            if (connection->role != ROLE_MONITOR || !(connection->groups & groups[i])) {
                continue;
            }
            if (length == 0) {
                length = uevent_format(&event, groups[i], message);
            }
            /* One that does not read loses messages, as on netlink. */
            (void)send(connection->fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
}

static void tell(struct preload_server *server, const char *action, const struct usb_device *device,
                 const struct usb_interface *interface)
{
    tell_monitors(server,
                  (struct uevent){.action = action, .device = device, .interface = interface});
}

static void tell_of_tty(struct preload_server *server, const char *action,
                        const struct usb_device *device)
{
    if (device->tty != NULL) {
        tell_monitors(server, (struct uevent){.action = action, .device = device, .tty = true});
    }
}

void server_hide_tty(struct preload_server *server, const struct usb_device *device)
{
    hear_monitors(server);
    tell_of_tty(server, "remove", device);
}

static void show(struct preload_server *server, struct usb_device *device)
{
    hear_monitors(server);
    tell(server, "add", device, NULL);
    for (unsigned i = 0; i < device->interface_count; i++) {
        tell(server, "add", device, &device->interfaces[i]);
    }
    tell_of_tty(server, "add", device);
    tell(server, "bind", device, NULL);
}

static void hide(struct preload_server *server, struct usb_device *device)
{
    hear_monitors(server);
    tell_of_tty(server, "remove", device);
    for (unsigned i = 0; i < device->interface_count; i++) {
        tell(server, "remove", device, &device->interfaces[i]);
    }
    tell(server, "unbind", device, NULL);
    tell(server, "remove", device, NULL);
}

/* --- the hub --- */

struct usb_device *server_device(struct preload_server *server, unsigned number)
{
    if (number == server->root_hub->number) {
        return server->root_hub;
    }
    for (size_t i = 1; i <= PRELOAD_PORTS_MAX; i++) {
        struct usb_device *device = server->ports[i].device;
        if (device != NULL && device->number == number) {
            return device;
        }
    }
    return NULL;
}

bool server_connected(const void *context, unsigned position)
{
    const struct preload_server *server = context;

    return server->ports[position].device != NULL;
}

/* Device numbers count up and come round, as Linux gives them. */
static unsigned next_number(struct preload_server *server)
{
    unsigned number = server->last_number;

    do {
        number = number < NUMBER_LAST ? number + 1 : NUMBER_FIRST;
    } while (server_device(server, number) != NULL);
    server->last_number = number;
    return number;
}

static void disconnect(struct preload_server *server, struct hub_port *port)
{
    struct usb_device *device = port->device;

    port->device = NULL;
    handle_unplug(server, device);
    urb_cancel_own(server, device);
    tty_hang_up(device);
    tree_remove_tty(&server->tree, device);
    tree_remove(&server->tree, device);
    hide(server, device);
    tty_remove(device);
    free(device);
}

static bool is_current(const struct hub_port *port)
{
    uint64_t generation = port->port->generation;

    return port->device != NULL ? port->device->generation == generation
                                : !root_port_attached(port->port) || port->refused == generation;
}

/* A device whose serial port cannot be shown is shown without it. */
static bool show_files(struct preload_server *server, struct usb_device *device)
{
    (void)tty_add(server, device);
    if (!tree_add(&server->tree, device)) {
        return false;
    }
    if (device->tty != NULL && !tree_add_tty(&server->tree, device)) {
        tty_hang_up(device);
        tree_remove_tty(&server->tree, device);
        tty_remove(device);
    }
    return true;
}

/* Brings what the clients see up to what is attached. */
static void refresh(struct preload_server *server, unsigned position)
{
    struct hub_port *port = &server->ports[position];

    if (port->port == NULL || is_current(port)) {
        return;
    }
    if (port->device != NULL) {
        disconnect(server, port);
    }
    if (!root_port_attached(port->port)) {
        return;
    }
    port->refused = port->port->generation;
    struct usb_device *device = device_enumerate(port->port, position, next_number(server));
    if (device != NULL && !show_files(server, device)) {
        tty_remove(device);
        free(device);
        device = NULL;
    }
    port->device = device;
    if (device != NULL) {
        show(server, device);
    }
}

void server_refresh(struct preload_server *server)
{
    for (unsigned i = 1; i <= PRELOAD_PORTS_MAX; i++) {
        refresh(server, i);
    }
}

static void on_hub_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    server_refresh(context);
}

/* Called from deep inside a transfer, so the work waits for the event loop. */
static void on_attach(void *context, struct root_port *port, bool attached)
{
    struct preload_server *server = context;

    (void)port;
    (void)attached;
    event_active(server->hub_event, EV_TIMEOUT, 0);
}

void server_replug(struct preload_server *server, struct usb_device *device)
{
    device->generation = 0;
    event_active(server->hub_event, EV_TIMEOUT, 0);
}

bool preload_server_add(struct preload_server *server, struct root_port *port, unsigned position)
{
    if (position < 1 || position > PRELOAD_PORTS_MAX || server->ports[position].port != NULL) {
        errno = EINVAL;
        return false;
    }
    server->ports[position].port = port;
    root_port_watch(port, on_attach, server);
    refresh(server, position); /* a child that starts now finds it */
    return true;
}

/* --- sockets --- */

static void on_connect(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    accept_all(context);
}

static bool listen_in(struct preload_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/" PRELOAD_SOCKET_NAME,
                          server->tree.folder);

    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, LISTEN_BACKLOG) != 0) {
        return false;
    }
    server->listener_event =
        event_new(server->base, server->listener, EV_READ | EV_PERSIST, on_connect, server);
    server->hub_event = event_new(server->base, -1, EV_PERSIST, on_hub_event, server);
    errno = ENOMEM;
    return server->listener_event != NULL && server->hub_event != NULL &&
           event_add(server->listener_event, NULL) == 0;
}

bool preload_server_take(struct preload_server *server, int fd)
{
    return connection_accept(server, fd);
}

int preload_server_dial(struct preload_server *server)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return -1;
    }
    if (!preload_server_take(server, pair[0])) {
        close(pair[1]);
        errno = EMFILE;
        return -1;
    }
    return pair[1];
}

void preload_server_keep_files(struct preload_server *server)
{
    server->tree.kept = true;
}

int preload_server_files_lock(const struct preload_server *server)
{
    return server->tree.lock;
}

void preload_server_remove_files(const struct preload_server *server)
{
    tree_remove_files(&server->tree);
}

const char *preload_server_folder(const struct preload_server *server)
{
    return server->tree.folder;
}

/* --- the children's environment --- */

/* Where the library may lie, seen from the program's folder; the last is absolute. */
static const char *const library_places[] = {
    "/",
    "/../usb-gadget/preload/",
    "/../" PRELOAD_LIBDIR "/vphoton/",
    PRELOAD_FULL_LIBDIR "/vphoton/",
};

static bool use_library(struct preload_server *server, const char *path)
{
    char *resolved = realpath(path, NULL);

    if (resolved == NULL) {
        return false;
    }
    /* LD_PRELOAD has no way to quote these. */
    bool usable = strpbrk(resolved, " :") == NULL && strlen(resolved) < sizeof server->library;
    if (usable) {
        strcpy(server->library, resolved);
    } else {
        errno = EINVAL;
    }
    free(resolved);
    return usable;
}

static bool find_library(struct preload_server *server)
{
    char program[PATH_MAX], path[PATH_MAX + 128];
    const size_t count = sizeof library_places / sizeof library_places[0];

    if (server->options.library != NULL) {
        return use_library(server, server->options.library);
    }
    program_folder(program);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s%s" LIBRARY_NAME, i + 1 < count ? program : "",
                 library_places[i]);
        if (use_library(server, path)) {
            return true;
        }
    }
    return false;
}

/* "NAME=a" or "NAME=a:b" */
static char *variable(const char *name, const char *a, const char *b)
{
    bool two = b != NULL && b[0] != '\0';
    size_t size = strlen(name) + strlen(a) + (two ? strlen(b) : 0) + 3;
    char *text = malloc(size);

    if (text != NULL) {
        snprintf(text, size, "%s=%s%s%s", name, a, two ? ":" : "", two ? b : "");
    }
    return text;
}

static bool make_environment(struct preload_server *server)
{
    char **out = server->environment;

    out[0] = variable("LD_PRELOAD", server->library, getenv("LD_PRELOAD"));
    out[1] = variable(PRELOAD_ENVIRONMENT, server->tree.folder, NULL);
    out[2] = server->options.warp ? variable(PRELOAD_WARP_ENVIRONMENT, "1", NULL) : NULL;
    return out[0] != NULL && out[1] != NULL && (!server->options.warp || out[2] != NULL);
}

const char *const *preload_server_environment(struct preload_server *server)
{
    return (const char *const *)server->environment;
}

unsigned preload_server_early_polls(const struct preload_server *server)
{
    return server->early_polls;
}

/* --- life --- */

static bool start(struct preload_server *server)
{
    const bool library = !server->options.front_end;

    if ((library && !find_library(server)) || !tree_create(&server->tree)) {
        return false;
    }
    server->tree.linked_ttys = !library;
    server->root_hub = device_root_hub();
    return server->root_hub != NULL && tree_add(&server->tree, server->root_hub) &&
           listen_in(server) && (!library || make_environment(server)) &&
           (!server->options.warp || warp_open(server));
}

struct preload_server *preload_server_new(struct event_base *base,
                                          const struct preload_options *options)
{
    struct preload_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        return NULL;
    }
    server->base = base;
    server->options = *options;
    server->listener = -1;
    server->tree.root = -1;
    server->last_number = NUMBER_FIRST - 1;
    TAILQ_INIT(&server->connections);
    TAILQ_INIT(&server->handles);
    TAILQ_INIT(&server->own);
    if (!start(server)) {
        int error = errno;
        preload_server_free(server);
        errno = error;
        return NULL;
    }
    return server;
}

void preload_server_free(struct preload_server *server)
{
    struct usb_handle *handle;
    struct connection *connection;

    while ((handle = TAILQ_FIRST(&server->handles)) != NULL) {
        handle_close(handle);
    }
    while ((connection = TAILQ_FIRST(&server->connections)) != NULL) {
        connection_close(connection);
    }
    for (size_t i = 1; i <= PRELOAD_PORTS_MAX; i++) {
        struct hub_port *port = &server->ports[i];
        if (port->port != NULL) {
            root_port_watch(port->port, NULL, NULL);
        }
        if (port->device != NULL) {
            urb_cancel_own(server, port->device);
            tty_remove(port->device);
            free(port->device);
        }
    }
    if (server->listener_event != NULL) {
        event_free(server->listener_event);
    }
    if (server->hub_event != NULL) {
        event_free(server->hub_event);
    }
    if (server->listener >= 0) {
        close(server->listener);
    }
    warp_close(server);
    if (server->tree.root >= 0) {
        tree_destroy(&server->tree);
    }
    free(server->root_hub);
    for (size_t i = 0; i < 3; i++) {
        free(server->environment[i]);
    }
    free(server);
}
