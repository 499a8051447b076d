#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "usb-gadget/preload/properties.h"
#include "usb-gadget/preload/tree_files.h"

#define FOLDER_PREFIX "vphoton-"
#define LOCK_NAME     "lock"
/* A folder without a lock is being made, or was left half-made. */
#define UNLOCKED_MAX_S 60
#define DEVICES_PATH   "sys" PRELOAD_DEVPATH
#define CONSTANTS_PATH "constants"

/* What is there before the first device, parents first. */
static const char *const folders[] = {
    "sys",
    "sys/bus",
    "sys/bus/usb",
    "sys/bus/usb/devices",
    "sys/bus/usb/drivers",
    "sys/bus/usb/drivers/usb",
    "sys/bus/usb/drivers/hub",
    "sys/bus/usb/drivers/usbfs",
    "sys/devices",
    "sys/devices/platform",
    "sys/devices/platform/vphoton.0",
    "sys/dev",
    "sys/dev/char",
    "dev",
    "dev/bus",
    "dev/bus/usb",
    "dev/bus/usb/001",
    "run",
    "run/udev",
    "run/udev/data",
    CONSTANTS_PATH, /* nothing that programs are led to */
};

/* A number in a descriptor that is a file in sysfs. */
struct attribute {
    const char *name, *format;
    uint8_t offset, size;
};

static const struct attribute device_attributes[] = {
    {"bDeviceClass", "%02x\n", 4, 1},    {"bDeviceSubClass", "%02x\n", 5, 1},
    {"bDeviceProtocol", "%02x\n", 6, 1}, {"bMaxPacketSize0", "%u\n", 7, 1},
    {"idVendor", "%04x\n", 8, 2},        {"idProduct", "%04x\n", 10, 2},
    {"bcdDevice", "%04x\n", 12, 2},      {"bNumConfigurations", "%u\n", 17, 1},
};
static const struct attribute config_attributes[] = {
    {"bNumInterfaces", "%2u\n", 4, 1},
    {"bmAttributes", "%02x\n", 7, 1},
};
static const struct attribute interface_attributes[] = {
    {"bInterfaceNumber", "%02x\n", 2, 1},   {"bAlternateSetting", "%2u\n", 3, 1},
    {"bNumEndpoints", "%02x\n", 4, 1},      {"bInterfaceClass", "%02x\n", 5, 1},
    {"bInterfaceSubClass", "%02x\n", 6, 1}, {"bInterfaceProtocol", "%02x\n", 7, 1},
};
/* What is the same for all our devices; programs may write to switches. */
static const struct {
    const char *name, *content;
    bool is_switch;
} device_constants[] = {
    {"authorized", "1\n", true}, {"avoid_reset_quirk", "0\n", true}, {"ltm_capable", "no\n", false},
    {"quirks", "0x0\n", false},  {"removable", "unknown\n", false},  {"rx_lanes", "1\n", false},
    {"tx_lanes", "1\n", false},  {"urbnum", "0\n", false},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* --- files --- */

static bool putf(const struct tree *tree, int folder, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool putf(const struct tree *tree, int folder, const char *name, const char *format, ...)
{
    char text[USB_NAME_MAX + 16];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return length >= 0 && tree_put_constant(tree, folder, name, text);
}

/* A string descriptor's file; there is none when the device has no string. */
static bool put_string(const struct tree *tree, int folder, const char *name, const char *text)
{
    return text[0] == '\0' || putf(tree, folder, name, "%s\n", text);
}

static bool put_attributes(const struct tree *tree, int folder, const uint8_t *descriptor,
                           const struct attribute *table, size_t count)
{
    bool done = true;

    for (size_t i = 0; done && i < count; i++) {
        char text[24];
        const uint8_t *at = descriptor + table[i].offset;
        unsigned value = table[i].size == 2 ? device_u16(at) : at[0];
        snprintf(text, sizeof text, table[i].format, value);
        done = tree_put_constant(tree, folder, table[i].name, text);
    }
    return done;
}

/* Writes properties as lines, each behind `mark`. */
static bool put_properties(int folder, const char *name, struct properties *properties,
                           const char *head, const char *mark)
{
    char text[PROPERTIES_MAX * 2];
    size_t length = (size_t)snprintf(text, sizeof text, "%s", head);

    for (size_t at = 0; at < properties->length; at += strlen(properties->text + at) + 1) {
        int added =
            snprintf(text + length, sizeof text - length, "%s%s\n", mark, properties->text + at);
        if (added < 0 || (size_t)added >= sizeof text - length) {
            errno = ENOSPC;
            return false;
        }
        length += (size_t)added;
    }
    return tree_put_file(folder, name, text, length);
}

bool tree_put(const struct tree *tree, const char *path, const char *text)
{
    return tree_put_file(tree->root, path, text, strlen(text));
}

bool tree_put_properties(const struct tree *tree, const char *path, struct properties *properties,
                         const char *head, const char *mark)
{
    return put_properties(tree->root, path, properties, head, mark);
}

/* --- devices --- */

static bool put_uevent(int folder, const struct usb_device *device,
                       const struct usb_interface *interface)
{
    struct properties properties = {0};

    if (interface != NULL) {
        properties_of_interface(&properties, device, interface);
    } else {
        properties_of_device(&properties, device, "", true);
    }
    return put_properties(folder, "uevent", &properties, "", "");
}

static bool put_setting(const struct tree *tree, int folder, const struct usb_device *device,
                        const struct usb_interface *interface)
{
    const struct usb_setting *setting = interface->setting;

    (void)unlinkat(folder, "interface", 0);
    return put_attributes(tree, folder, setting->descriptor, interface_attributes,
                          COUNT(interface_attributes)) &&
           put_string(tree, folder, "interface", setting->name) &&
           put_uevent(folder, device, interface);
}

/* "1-1:1.0" */
static void interface_name(const struct usb_device *device, const struct usb_interface *interface,
                           char *out, size_t size)
{
    snprintf(out, size, "%s:%u.%u", device->position != 0 ? device->name : "1-0",
             device->identity.config[CONFIG_VALUE], interface->number);
}

/* A link to the device, seen from two folders below the top of sysfs. */
static bool link_device(const struct usb_device *device, const char *part, int folder,
                        const char *up, const char *name)
{
    char target[128];

    snprintf(target, sizeof target, "%s%s%s%s", up, device->devpath, part[0] != '\0' ? "/" : "",
             part);
    return symlinkat(target, folder, name) == 0;
}

/* A link from a folder `depth` levels below /sys into /sys/bus/usb. */
static bool link_bus(int folder, const char *name, unsigned depth, const char *target,
                     const char *last)
{
    static const char up[] = "../../../../../../../../";
    char text[96];

    snprintf(text, sizeof text, "%.*sbus/usb%s%s", (int)(depth * 3), up, target, last);
    return symlinkat(text, folder, name) == 0;
}

/* Levels below /sys of a device's folder. */
static unsigned depth_of(const struct usb_device *device)
{
    return device->position != 0 ? 5 : 4;
}

static bool add_interface(struct tree *tree, int parent, const struct usb_device *device,
                          const struct usb_interface *interface)
{
    char name[32], data[40];
    struct properties properties = {0};

    interface_name(device, interface, name, sizeof name);
    int folder = tree_make_folder(parent, name);
    if (folder < 0) {
        return false;
    }
    unsigned depth = depth_of(device) + 1;
    bool done = put_setting(tree, folder, device, interface) &&
                tree_put_file(folder, "authorized", "1\n", 2) &&
                putf(tree, folder, "supports_autosuspend", "%d\n", interface->driver != NULL) &&
                link_bus(folder, "subsystem", depth, "", "") &&
                (interface->driver == NULL ||
                 link_bus(folder, "driver", depth, "/drivers/", interface->driver)) &&
                link_device(device, name, tree->links, "../../..", name);
    close(folder);
    snprintf(data, sizeof data, "+usb:%s", name);
    properties_of_udev_interface(&properties, device, interface);
    return done && put_properties(tree->data, data, &properties, "I:1\n", "E:");
}

static bool put_constants(const struct tree *tree, int folder)
{
    bool done = true;

    for (size_t i = 0; done && i < COUNT(device_constants); i++) {
        const char *name = device_constants[i].name, *text = device_constants[i].content;
        done = device_constants[i].is_switch ? tree_put_file(folder, name, text, strlen(text))
                                             : tree_put_constant(tree, folder, name, text);
    }
    return done;
}

static bool put_configuration(const struct tree *tree, int folder, const struct usb_device *device)
{
    const uint8_t *config = device->identity.config;
    char value[8];

    if (device->configuration == 0) {
        return tree_put_file(folder, "bConfigurationValue", "\n", 1);
    }
    int length = snprintf(value, sizeof value, "%u\n", device->configuration);
    return tree_put_file(folder, "bConfigurationValue", value, (size_t)length) &&
           putf(tree, folder, "bMaxPower", "%umA\n", config[8] * 2u) &&
           put_attributes(tree, folder, config, config_attributes, COUNT(config_attributes)) &&
           putf(tree, folder, "configuration", "%s\n", device->configuration_name);
}

static bool put_device(const struct tree *tree, int folder, const struct usb_device *device)
{
    const struct usb_identity *identity = &device->identity;
    uint8_t descriptors[PRELOAD_DESCRIPTORS_MAX];
    size_t length = device_descriptors(device, descriptors);
    unsigned release = device_u16(identity->device + 2);

    return put_constants(tree, folder) &&
           put_attributes(tree, folder, identity->device, device_attributes,
                          COUNT(device_attributes)) &&
           put_configuration(tree, folder, device) &&
           tree_put_file(folder, "descriptors", descriptors, length) &&
           putf(tree, folder, "busnum", "%d\n", PRELOAD_BUS) &&
           putf(tree, folder, "devnum", "%u\n", device->number) &&
           putf(tree, folder, "dev", "%d:%u\n", PRELOAD_USB_MAJOR, device->number - 1) &&
           putf(tree, folder, "devpath", "%u\n", device->position) &&
           putf(tree, folder, "speed", "%u\n", device->speed) &&
           putf(tree, folder, "maxchild", "%d\n", device->position == 0 ? PRELOAD_PORTS : 0) &&
           putf(tree, folder, "version", "%2x.%02x\n", release >> 8, release & 0xFF) &&
           put_string(tree, folder, "manufacturer", identity->manufacturer) &&
           put_string(tree, folder, "product", identity->product) &&
           put_string(tree, folder, "serial", identity->serial) &&
           put_uevent(folder, device, NULL) &&
           link_bus(folder, "subsystem", depth_of(device), "", "") &&
           link_bus(folder, "driver", depth_of(device), "/drivers/", "usb");
}

/* The device node, its number in sysfs and its entry in udev's database. */
static bool add_node(struct tree *tree, const struct usb_device *device)
{
    struct properties properties = {0};
    uint8_t descriptors[PRELOAD_DESCRIPTORS_MAX];
    size_t length = device_descriptors(device, descriptors);
    char node[16], number[32], data[40];

    snprintf(node, sizeof node, "%03u", device->number);
    snprintf(number, sizeof number, "%d:%u", PRELOAD_USB_MAJOR, device->number - 1);
    snprintf(data, sizeof data, "c%s", number);
    properties_of_udev_device(&properties, device);
    return link_device(device, "", tree->numbers, "../..", number) &&
           put_properties(tree->data, data, &properties, "I:1\n", "E:") &&
           tree_put_file(tree->nodes, node, descriptors, length);
}

/* The folder of a device's parent. */
static int parent_of(const struct tree *tree, const struct usb_device *device)
{
    return device->position == 0 ? openat(tree->root, DEVICES_PATH, O_RDONLY | O_CLOEXEC)
                                 : fcntl(tree->devices, F_DUPFD_CLOEXEC, 0);
}

static bool add_files(struct tree *tree, int folder, struct usb_device *device)
{
    bool done = put_device(tree, folder, device);

    for (unsigned i = 0; done && i < device->interface_count; i++) {
        done = add_interface(tree, folder, device, &device->interfaces[i]);
    }
    return done && add_node(tree, device) &&
           link_device(device, "", tree->links, "../../..", device->name);
}

bool tree_add(struct tree *tree, struct usb_device *device)
{
    int parent = parent_of(tree, device);
    int folder = parent >= 0 ? tree_make_folder(parent, device->name) : -1;
    bool done = folder >= 0 && add_files(tree, folder, device);
    int error = errno;

    if (done && device->position == 0) {
        tree->devices = fcntl(folder, F_DUPFD_CLOEXEC, 0);
        done = tree->devices >= 0;
    }
    if (folder >= 0) {
        close(folder);
    }
    if (parent >= 0) {
        close(parent);
    }
    if (!done) {
        tree_remove(tree, device);
        errno = error;
    }
    return done;
}

void tree_remove(struct tree *tree, const struct usb_device *device)
{
    char name[40];
    int parent = parent_of(tree, device);

    snprintf(name, sizeof name, "%03u", device->number);
    (void)unlinkat(tree->nodes, name, 0);
    (void)unlinkat(tree->links, device->name, 0);
    snprintf(name, sizeof name, "c%d:%u", PRELOAD_USB_MAJOR, device->number - 1);
    (void)unlinkat(tree->data, name, 0);
    (void)unlinkat(tree->numbers, name + 1, 0);
    for (unsigned i = 0; i < device->interface_count; i++) {
        char data[40] = "+usb:";
        interface_name(device, &device->interfaces[i], data + 5, sizeof data - 5);
        (void)unlinkat(tree->links, data + 5, 0);
        (void)unlinkat(tree->data, data, 0);
    }
    if (parent >= 0) {
        tree_remove_folder(parent, device->name);
        close(parent);
    }
}

void tree_update_configuration(struct tree *tree, const struct usb_device *device)
{
    static const char *const names[] = {"bMaxPower", "bNumInterfaces", "bmAttributes",
                                        "configuration"};
    int folder = tree_open_folder(tree->devices, device->name);

    if (folder < 0) {
        return;
    }
    for (size_t i = 0; device->configuration == 0 && i < COUNT(names); i++) {
        (void)tree_put_file(folder, names[i], "", 0);
    }
    (void)put_configuration(tree, folder, device);
    close(folder);
}

void tree_update_interface(struct tree *tree, const struct usb_device *device,
                           const struct usb_interface *interface)
{
    char path[64];
    char name[32];

    interface_name(device, interface, name, sizeof name);
    snprintf(path, sizeof path, "%s/%s", device->name, name);
    int folder = openat(tree->devices, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)put_setting(tree, folder, device, interface);
        close(folder);
    }
}

/* --- the folder --- */

/* A server's private folder; the lock goes last, so that who is killed meanwhile leaves a folder
 * that the next one takes for stale. */
static void remove_private(int place, const char *name)
{
    int folder = tree_open_folder(place, name);

    if (folder >= 0) {
        tree_remove_folder(folder, PRELOAD_ROOT_NAME);
        close(folder);
    }
    tree_remove_folder(place, name);
}

/* Whether a server that was killed left it: the lock is free, or there has been none for longer
 * than it takes to make one. */
static bool is_stale(int place, const char *name, const struct stat *status)
{
    char path[NAME_MAX + 16];

    snprintf(path, sizeof path, "%s/%s", name, LOCK_NAME);
    int lock = openat(place, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) {
        return errno == ENOENT && time(NULL) - status->st_mtime > UNLOCKED_MAX_S;
    }
    bool is_free = flock(lock, LOCK_EX | LOCK_NB) == 0;
    close(lock);
    return is_free;
}

/* Removes what servers of this user left that were killed. */
static void remove_stale(const char *place)
{
    int at = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = at >= 0 ? fdopendir(at) : NULL;

    if (list == NULL) {
        if (at >= 0) {
            close(at);
        }
        return;
    }
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        struct stat status;
        if (strncmp(entry->d_name, FOLDER_PREFIX, strlen(FOLDER_PREFIX)) != 0 ||
            strlen(entry->d_name) >= sizeof FOLDER_PREFIX + 6 ||
            fstatat(at, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
            continue;
        }
        if (is_stale(at, entry->d_name, &status)) {
            remove_private(at, entry->d_name);
        }
    }
    closedir(list);
}

static bool make_private(struct tree *tree, const char *place)
{
    int length = snprintf(tree->folder, sizeof tree->folder, "%s/%sXXXXXX", place, FOLDER_PREFIX);

    if (place[0] != '/' || length < 0 || (size_t)length >= sizeof tree->folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    return mkdtemp(tree->folder) != NULL;
}

/* The first place where a folder can be made; tmpfs first. */
static bool find_place(struct tree *tree)
{
    const char *const places[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm", getenv("TMPDIR"), "/tmp"};

    for (size_t i = 0; i < COUNT(places); i++) {
        if (places[i] != NULL && make_private(tree, places[i])) {
            remove_stale(places[i]);
            return true;
        }
    }
    return false;
}

static int make_root(const char *folder, int *lock)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int root = at >= 0 ? tree_make_folder(at, PRELOAD_ROOT_NAME) : -1;

    if (root >= 0) {
        /* It gets its name when it is locked, so that nobody takes the folder for a stale one. */
        *lock = openat(at, LOCK_NAME ".new", O_RDWR | O_CREAT | O_CLOEXEC, TREE_FILE_MODE);
        if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) != 0 ||
            renameat(at, LOCK_NAME ".new", at, LOCK_NAME) != 0) {
            close(root);
            root = -1;
        }
    }
    if (at >= 0) {
        close(at);
    }
    return root;
}

static bool make_folders(struct tree *tree)
{
    bool done = true;

    for (size_t i = 0; done && i < COUNT(folders); i++) {
        done = mkdirat(tree->root, folders[i], TREE_FOLDER_MODE) == 0;
    }
    /* Its presence tells libudev that udev runs and will send its own messages. */
    done = done && tree_put_file(tree->root, "run/udev/control", "", 0);
    tree->nodes = tree_open_folder(tree->root, "dev/bus/usb/001");
    tree->links = tree_open_folder(tree->root, "sys/bus/usb/devices");
    tree->numbers = tree_open_folder(tree->root, "sys/dev/char");
    tree->data = tree_open_folder(tree->root, "run/udev/data");
    tree->constants = tree_open_folder(tree->root, CONSTANTS_PATH);
    return done && tree->nodes >= 0 && tree->links >= 0 && tree->numbers >= 0 && tree->data >= 0 &&
           tree_put_numbers(tree);
}

bool tree_create(struct tree *tree)
{
    *tree = (struct tree){.lock = -1,
                          .root = -1,
                          .devices = -1,
                          .nodes = -1,
                          .links = -1,
                          .numbers = -1,
                          .data = -1,
                          .constants = -1};
    if (!find_place(tree)) {
        return false;
    }
    tree->root = make_root(tree->folder, &tree->lock);
    if (tree->root < 0 || !make_folders(tree)) {
        int error = errno;
        tree_destroy(tree);
        errno = error;
        return false;
    }
    return true;
}

void tree_remove_files(const struct tree *tree)
{
    remove_private(AT_FDCWD, tree->folder);
}

void tree_destroy(struct tree *tree)
{
    const int open_ones[] = {tree->root,    tree->devices, tree->nodes,    tree->links,
                             tree->numbers, tree->data,    tree->constants};

    for (size_t i = 0; i < COUNT(open_ones); i++) {
        if (open_ones[i] >= 0) {
            close(open_ones[i]);
        }
    }
    if (!tree->kept) {
        tree_remove_files(tree);
    }
    if (tree->lock >= 0) {
        close(tree->lock);
    }
}
