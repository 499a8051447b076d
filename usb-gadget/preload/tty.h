/*
 * Serial ports: a CDC-ACM function of a device becomes /dev/ttyACMn, a pty whose other side is
 * driven over the device's root port as the kernel's cdc_acm would.
 *
 * The preload library tells of opens, of new terminal settings and of modem lines; the last close
 * shows as a hang-up of the pty's master.
 */
#ifndef GADGET_PRELOAD_TTY_H
#define GADGET_PRELOAD_TTY_H

#include "usb-gadget/acm.h"
#include "usb-gadget/preload/link.h"

/* Makes the port of a device that has one, before the device is shown. False when it has none, or
 * no pty could be made. */
bool tty_add(struct preload_server *server, struct usb_device *device);
/* Hangs up and forgets the port, if there is one. */
void tty_remove(struct usb_device *device);
/* Programs that have the port open find it hung up from now on. Before its files go: a terminal of
 * which nothing says that it is a serial port would refuse what only those understand, and not say
 * that it is gone. */
void tty_hang_up(struct usb_device *device);
/* Takes what programs have written so far. */
void tty_catch_up(struct preload_server *server);
/* A connection's request about a port. */
void tty_request(struct connection *connection, const struct preload_request *request);
/* The connection closes before its answer came. */
void tty_forget(struct connection *connection);

/* Path of a device's port behind /sys. */
void tty_devpath(const struct usb_device *device, char *out, size_t size);
/* The interface that carries the port's name. */
const struct usb_interface *tty_interface(const struct usb_device *device);
/* The interface is taken away from its driver: no port any more, if it was the port's. */
void tty_evict(struct preload_server *server, struct usb_device *device,
               const struct usb_interface *interface);

/* What the tree and uevents show of it. */
struct tty {
    struct preload_server *server;
    struct usb_device *device;
    struct acm *acm;
    unsigned index; /* the n of ttyACMn */
    unsigned pts;   /* number of the pty's slave */
    int master;
    struct event *readable, *writable_again, *look;
    bool opened;
    struct acm_line_coding coding; /* last sent */
};

#endif
