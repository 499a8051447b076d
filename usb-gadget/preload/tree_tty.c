/* Where a serial port is seen: its node, its folder in sysfs, udev's links and udev's database. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "usb-gadget/acm.h"
#include "usb-gadget/preload/properties.h"
#include "usb-gadget/preload/tty.h"

#define FOLDER_MODE   0755
#define LINK_NAME_MAX 512

/* Folders that the ports of all devices share; they stay. */
static const char *const shared[] = {
    "sys/class",  "sys/class/tty",    "sys/bus/usb/drivers/cdc_acm",
    "dev/serial", "dev/serial/by-id", "dev/serial/by-path"};

/* The entries of one port outside its device's folder in sysfs; links have a target. */
struct entries {
    char class[64], class_target[192];
    char number[64];
    char by_id[LINK_NAME_MAX], by_path[LINK_NAME_MAX], node_target[32];
    char node[32], data[64];
    char to_pts[32], pts[32];
    char from_pts[32], index[16];
};

static void fill(struct entries *entries, const struct usb_device *device)
{
    const struct tty *tty = device->tty;
    char path[160], by_id[LINK_NAME_MAX - 8], by_path[LINK_NAME_MAX - 8];

    tty_devpath(device, path, sizeof path);
    properties_tty_links(device, tty_interface(device), by_id, by_path, sizeof by_id);
    snprintf(entries->class, sizeof entries->class, "sys/class/tty/ttyACM%u", tty->index);
    snprintf(entries->class_target, sizeof entries->class_target, "../..%s", path);
    snprintf(entries->number, sizeof entries->number, "sys/dev/char/%d:%u", PRELOAD_TTY_MAJOR,
             tty->index);
    snprintf(entries->by_id, sizeof entries->by_id, "dev/%s", by_id);
    snprintf(entries->by_path, sizeof entries->by_path, "dev/%s", by_path);
    snprintf(entries->node_target, sizeof entries->node_target, "../../ttyACM%u", tty->index);
    snprintf(entries->node, sizeof entries->node, "dev/ttyACM%u", tty->index);
    snprintf(entries->data, sizeof entries->data, "run/udev/data/c%d:%u", PRELOAD_TTY_MAJOR,
             tty->index);
    snprintf(entries->to_pts, sizeof entries->to_pts, "../" PRELOAD_TTY_LINK "%u", tty->index);
    snprintf(entries->pts, sizeof entries->pts, "/dev/pts/%u", tty->pts);
    snprintf(entries->from_pts, sizeof entries->from_pts, "../" PRELOAD_PTS_LINK "%u", tty->pts);
    snprintf(entries->index, sizeof entries->index, "%u", tty->index);
}

static bool make_folder(const struct tree *tree, const char *path)
{
    return mkdirat(tree->root, path, FOLDER_MODE) == 0 || errno == EEXIST;
}

/* The port's own folder below its interface's. */
static bool add_sysfs(const struct tree *tree, const struct usb_device *device)
{
    static const char class_target[] = "../../../../../../../../class/tty";
    struct properties properties = {0};
    char path[160], folder[176], name[256], text[32];

    tty_devpath(device, path, sizeof path);
    snprintf(folder, sizeof folder, "sys%s", path);
    *strrchr(folder, '/') = '\0';
    if (!make_folder(tree, folder)) {
        return false;
    }
    snprintf(folder, sizeof folder, "sys%s", path);
    snprintf(text, sizeof text, "%d:%u\n", PRELOAD_TTY_MAJOR, device->tty->index);
    properties_of_tty(&properties, device->tty->index, "");
    bool done = make_folder(tree, folder);
    snprintf(name, sizeof name, "%s/dev", folder);
    done = done && tree_put(tree, name, text);
    snprintf(name, sizeof name, "%s/uevent", folder);
    done = done && tree_put_properties(tree, name, &properties, "", "");
    snprintf(name, sizeof name, "%s/subsystem", folder);
    done = done && symlinkat(class_target, tree->root, name) == 0;
    snprintf(name, sizeof name, "%s/device", folder);
    snprintf(path, sizeof path, "../../../%s:%u.%u", device->name,
             device->identity.config[CONFIG_VALUE], acm_interface(device->tty->acm));
    return done && symlinkat(path, tree->root, name) == 0;
}

/* Says of a pty's number which port it is now; never says nothing in between. */
static bool put_pts_link(const struct tree *tree, const struct entries *entries, const char *target)
{
    char fresh[sizeof entries->from_pts + 4];

    snprintf(fresh, sizeof fresh, "%s.new", entries->from_pts);
    return symlinkat(target, tree->root, fresh) == 0 &&
           renameat(tree->root, fresh, tree->root, entries->from_pts) == 0;
}

bool tree_add_tty(const struct tree *tree, const struct usb_device *device)
{
    struct properties properties = {0};
    struct entries entries;
    char head[LINK_NAME_MAX * 2];

    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        if (!make_folder(tree, shared[i])) {
            return false;
        }
    }
    fill(&entries, device);
    /* udev's database lists a node's links below /dev. */
    int length =
        snprintf(head, sizeof head, "S:%s\nS:%s\nI:1\n", entries.by_id + 4, entries.by_path + 4);
    if (length < 0 || (size_t)length >= sizeof head) {
        return false;
    }
    properties_of_udev_tty(&properties, device, tty_interface(device));
    return add_sysfs(tree, device) &&
           symlinkat(entries.class_target, tree->root, entries.class) == 0 &&
           symlinkat(entries.class_target, tree->root, entries.number) == 0 &&
           tree_put_properties(tree, entries.data, &properties, head, "E:") &&
           symlinkat(entries.pts, tree->root, entries.to_pts) == 0 &&
           put_pts_link(tree, &entries, entries.index) &&
           symlinkat(entries.node_target, tree->root, entries.by_path) == 0 &&
           (symlinkat(entries.node_target, tree->root, entries.by_id) == 0 || errno == EEXIST) &&
           (tree->linked_ttys ? symlinkat(entries.pts, tree->root, entries.node) == 0
                              : tree_put(tree, entries.node, ""));
}

void tree_hang_up_tty(const struct tree *tree, const struct usb_device *device)
{
    struct entries entries;

    fill(&entries, device);
    (void)put_pts_link(tree, &entries, PRELOAD_PTS_GONE);
}

void tree_remove_tty(const struct tree *tree, const struct usb_device *device)
{
    struct entries entries;
    char target[32] = "";

    if (device->tty == NULL) {
        return;
    }
    fill(&entries, device);
    const char *const names[] = {entries.node, entries.class,   entries.number,
                                 entries.data, entries.by_path, entries.to_pts};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlinkat(tree->root, names[i], 0);
    }
    /* Boards without a serial number of their own share a name: the link is the first one's. */
    if (readlinkat(tree->root, entries.by_id, target, sizeof target - 1) > 0 &&
        strcmp(target, entries.node_target) == 0) {
        (void)unlinkat(tree->root, entries.by_id, 0);
    }
}
