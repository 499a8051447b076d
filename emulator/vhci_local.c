#include "emulator/vhci_local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usb-gadget/usbip/codec.h"
#include "usb-gadget/usbip/vhci.h"

struct cable {
    struct vhci_local *local;
    uint64_t tried; /* generation of the board's attach that was plugged in last */
    int port;       /* of vhci */
};

struct vhci_local {
    struct usbip_server *server;
    const char *folder;
    struct outlet *outlets;
    size_t count;
    struct cable cables[];
};

static void plug(struct cable *cable, struct outlet *outlet)
{
    struct vhci_local *local = cable->local;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        say_error("%s: cannot plug in: %s", outlet->name, strerror(errno));
        return;
    }
    if (usbip_server_plug(local->server, outlet, pair[0])) {
        int port = vhci_attach(local->folder, cable->port, pair[1], usbip_device_id(outlet),
                               USBIP_FULL_SPEED);
        if (port < 0) {
            say_error("%s: cannot plug in: %s/attach: %s", outlet->name, local->folder,
                      port == -EBUSY ? "no port is free" : strerror(-port));
        } else {
            cable->port = port;
        }
    }
    /* The kernel keeps its own; without it this hangs up. */
    close(pair[1]);
}

static void on_offer(void *suitor, struct outlet *outlet)
{
    struct cable *cable = suitor;
    if (cable->tried != outlet->port->generation) {
        cable->tried = outlet->port->generation;
        plug(cable, outlet);
    }
}

struct vhci_local *vhci_local_new(struct usbip_server *server, struct outlet *outlets, size_t count,
                                  struct complaint *complaint)
{
    char path[128];
    const char *folder = vhci_folder(NULL);
    if (!folder) {
        complain(complaint,
                 "this kernel has no virtual USB controller; as root: modprobe vhci_hcd");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/attach", folder);
    if (access(path, W_OK) != 0) {
        complain(complaint, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct vhci_local *local = malloc(sizeof *local + count * sizeof local->cables[0]);
    if (!local) {
        complain(complaint, "memory is short");
        return NULL;
    }
    *local =
        (struct vhci_local){.server = server, .folder = folder, .outlets = outlets, .count = count};
    for (size_t i = 0; i < count; i++) {
        local->cables[i] = (struct cable){.local = local, .port = VHCI_NO_PORT};
        outlet_offer(&outlets[i], on_offer, &local->cables[i]);
    }
    return local;
}

void vhci_local_free(struct vhci_local *local)
{
    for (size_t i = 0; local && i < local->count; i++) {
        outlet_offer(&local->outlets[i], NULL, NULL);
    }
    free(local);
}
