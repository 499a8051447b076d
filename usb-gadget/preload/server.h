/*
 * The preload link's server: boards on root ports appear as USB devices to every dynamic program
 * that runs with the preload library. It keeps a private tree of /sys, /dev and /run/udev files, a
 * socket that usbfs file descriptors and uevent monitors of the clients hang on, and it plays the
 * kernel's hub driver: a board that attaches is enumerated and shown, one that detaches vanishes
 * and fails what is in flight with ESHUTDOWN.
 */
#ifndef GADGET_PRELOAD_SERVER_H
#define GADGET_PRELOAD_SERVER_H

#include <event2/event.h>

#include "usb-gadget/root_port.h"

#define PRELOAD_PORTS_MAX 64

struct preload_server;

/* What the owner of time does for the clients in warp mode: move every board by `ns`, stopping
 * early, when `until_event` is set, as soon as a transfer completed or a board attached or
 * detached. Returns the time moved. */
typedef uint64_t preload_advance(void *context, uint64_t ns, bool until_event);

struct preload_options {
    /* The clients are not programs with the library but a front end in this process, which mounts
     * the files where the programs look and calls preload_server_dial(). So neither library nor
     * environment is needed, and a serial port's node is a link to its pty. */
    bool front_end;
    const char
        *library; /* path of the preload library; NULL finds it beside the program or in libdir */
    bool warp;    /* clients' sleeps go through `advance` instead of passing */
    preload_advance *advance; /* warp only */
    void *advance_context;
};

/* Makes the tree in a private folder (0700, on tmpfs where there is one) and listens. NULL with
 * errno. */
struct preload_server *preload_server_new(struct event_base *base,
                                          const struct preload_options *options);
void preload_server_free(struct preload_server *server); /* removes the tree */

/* Plugs a port into the virtual hub; position 1 to PRELOAD_PORTS_MAX is the port number in the bus
 * path ("1-N"). The server watches the port from now on (root_port_watch). */
bool preload_server_add(struct preload_server *server, struct root_port *port, unsigned position);

/* NULL-terminated "NAME=value" strings that a child needs (LD_PRELOAD keeps what the caller's had).
 * Owned by the server. */
const char *const *preload_server_environment(struct preload_server *server);

/* For a front end: a new connection, or -1 with errno; the server's end of one that the front end
 * made, a SEQPACKET pair, which is closed when there is no room; and the server's folder. */
int preload_server_dial(struct preload_server *server);
bool preload_server_take(struct preload_server *server, int fd);
const char *preload_server_folder(const struct preload_server *server);
/* The files outlive the server, because programs have them mounted. Another process, forked before,
 * removes them; until then it holds the lock that makes them somebody's. */
void preload_server_keep_files(struct preload_server *server);
int preload_server_files_lock(const struct preload_server *server);
void preload_server_remove_files(const struct preload_server *server);

/* Whether a client has just been answered and may ask for the next thing at once. While this is
 * true, the owner of the event loop better looks for events without sleeping. */
bool preload_server_expects(struct preload_server *server);

/* Number of client polls that came before the time a device had asked for (bwPollTimeout); warp
 * must keep it zero. */
unsigned preload_server_early_polls(const struct preload_server *server);

#endif
