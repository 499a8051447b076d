/*
 * The files that stand for /sys, /dev and /run/udev, in the server's private folder. The preload
 * library leads the programs to them.
 */
#ifndef GADGET_PRELOAD_TREE_H
#define GADGET_PRELOAD_TREE_H

#include "usb-gadget/preload/device.h"

#define TREE_PATH_MAX 80

struct tree {
    char folder[TREE_PATH_MAX];               /* the server's private folder */
    int lock;                                 /* held while the folder is in use */
    int root;                                 /* directory descriptors: of the folder's root */
    int devices, nodes, links, numbers, data; /* and of where devices appear */
    int constants;                            /* and of files that are seen under several names */
    bool kept;        /* tree_destroy() leaves the folder to another process */
    bool linked_ttys; /* a serial port's node is a link to its pty */
};

/* Makes the folder (0700, on tmpfs where there is one) with what is there before the first device,
 * and removes folders of servers that died. False with errno. */
bool tree_create(struct tree *tree);
void tree_destroy(struct tree *tree);
/* Removes the folder, unless tree_destroy() did. */
void tree_remove_files(const struct tree *tree);

/* Shows a device with its interfaces. False with errno: then nothing is shown. */
bool tree_add(struct tree *tree, struct usb_device *device);
void tree_remove(struct tree *tree, const struct usb_device *device);
/* Writes anew what SET_CONFIGURATION and SET_INTERFACE change. */
void tree_update_configuration(struct tree *tree, const struct usb_device *device);
void tree_update_interface(struct tree *tree, const struct usb_device *device,
                           const struct usb_interface *interface);

/* The same for the device's serial port, once the device is shown (tree_tty.c). */
bool tree_add_tty(const struct tree *tree, const struct usb_device *device);
/* Before the port hangs up: says so to who has it open. */
void tree_hang_up_tty(const struct tree *tree, const struct usb_device *device);
void tree_remove_tty(const struct tree *tree, const struct usb_device *device);

/* A file with a text, or with properties as lines, each behind `mark`. Paths are below the root. */
struct properties;
bool tree_put(const struct tree *tree, const char *path, const char *text);
bool tree_put_properties(const struct tree *tree, const char *path, struct properties *properties,
                         const char *head, const char *mark);

#endif
