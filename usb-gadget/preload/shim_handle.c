/* Open nodes in the program: their connections to the server, and what is read from them. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "usb-gadget/preload/shim_usb.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

/* --- connections --- */

/* A further connection to the server for the handle of a socket; -1 with errno. With the memory of
 * its box, or -1, when there is a place for that. */
static int adopt(uint64_t inode, struct preload_handle_info *info, int *box)
{
    struct preload_request request = {.operation = PRELOAD_ADOPT,
                                      .version = PRELOAD_PROTOCOL_VERSION,
                                      .flags = box != NULL ? PRELOAD_BOXED : 0,
                                      .tag = inode};
    size_t size = sizeof *info;
    int connection = shim_dial();

    if (connection < 0) {
        return -1;
    }
    int result = shim_exchange(connection, &request, NULL, 0, info, &size, box);
    if (result < 0 || size != sizeof *info) {
        (void)raw(SYS_close, connection);
        return fail(ENODEV);
    }
    return shim_hide(connection);
}

static int connect_to(struct shim_slot *slot, int *box)
{
    struct preload_handle_info info;
    int connection = adopt(slot->inode, &info, box);

    /* Anything else, like too many open files, may pass. */
    if (connection < 0 && errno == ENODEV) {
        slot->gone = true;
    }
    return connection;
}

bool shim_usb_connect_urbs(struct shim_slot *slot)
{
    int memory = -1;

    if (slot->urbs < 0 && !slot->gone) {
        slot->urbs = connect_to(slot, &memory);
    }
    if (memory >= 0) {
        void *box = mmap(NULL, sizeof *slot->box, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        slot->box = box != MAP_FAILED ? box : NULL;
        (void)raw(SYS_close, memory);
    }
    return slot->urbs >= 0;
}

/* A connection that nobody else uses, so that calls of several threads do not mix. */
static int take_connection(struct shim_slot *slot)
{
    int connection = -1;

    pthread_mutex_lock(&slot->lock);
    for (size_t i = 0; i < SHIM_CALLS && connection < 0; i++) {
        connection = slot->calls[i];
        slot->calls[i] = -1;
    }
    pthread_mutex_unlock(&slot->lock);
    return connection >= 0 ? connection : connect_to(slot, NULL);
}

static void give_connection(struct shim_slot *slot, int connection)
{
    pthread_mutex_lock(&slot->lock);
    for (size_t i = 0; i < SHIM_CALLS; i++) {
        if (slot->calls[i] < 0) {
            slot->calls[i] = connection;
            connection = -1;
            break;
        }
    }
    pthread_mutex_unlock(&slot->lock);
    shim_close_hidden(connection);
}

int shim_usb_call(struct shim_slot *slot, struct preload_request *request, const void *out,
                  size_t out_size, void *in, size_t *in_size)
{
    int connection = slot->gone ? -1 : take_connection(slot);

    if (connection < 0) {
        return -ENODEV;
    }
    int result = shim_exchange(connection, request, out, out_size, in, in_size, NULL);
    if (result == -ENODEV) {
        shim_close_hidden(connection);
        slot->gone = true;
    } else {
        give_connection(slot, connection);
    }
    return result;
}

/* --- open --- */

int shim_usb_open(unsigned number, int flags)
{
    bool writable = (flags & O_ACCMODE) != O_RDONLY;
    struct preload_request request = {.operation = PRELOAD_OPEN,
                                      .version = PRELOAD_PROTOCOL_VERSION,
                                      .number = number,
                                      .flags = writable ? PRELOAD_WRITABLE : 0};
    int visible = -1;
    struct shim_slot *slot = shim_slot_new(SHIM_USB);

    if (slot == NULL) {
        return fail(EMFILE);
    }
    int connection = shim_dial();
    int result = -ENODEV;
    if (connection >= 0) {
        size_t size = sizeof slot->info;
        result = shim_exchange(connection, &request, NULL, 0, &slot->info, &size, &visible);
    }
    if (result < 0 || visible < 0) {
        if (connection >= 0) {
            (void)raw(SYS_close, connection);
        }
        shim_slot_free(slot);
        return fail(result < 0 ? -result : EMFILE);
    }
    slot->calls[0] = shim_hide(connection);
    slot->token = true;
    slot->inode = slot->info.inode;
    if (!(flags & O_CLOEXEC)) {
        (void)raw(SYS_fcntl, visible, F_SETFD, 0);
    }
    shim_slot_attach(slot, visible);
    return visible;
}

struct shim_slot *shim_usb_adopt(uint64_t inode)
{
    struct preload_handle_info info;
    int connection = adopt(inode, &info, NULL);

    if (connection < 0) {
        return NULL;
    }
    struct shim_slot *slot = shim_slot_new(SHIM_USB);
    if (slot == NULL) {
        shim_close_hidden(connection);
        return NULL;
    }
    slot->info = info;
    slot->calls[0] = connection;
    slot->inode = inode;
    return slot;
}

ssize_t shim_usb_read(struct shim_slot *slot, void *data, size_t size, off_t *position)
{
    const struct preload_handle_info *info = &slot->info;

    if (slot->gone) {
        return fail(ENODEV);
    }
    if (*position < 0 || *position >= (off_t)info->descriptors_length) {
        return 0;
    }
    size_t left = info->descriptors_length - (size_t)*position;
    size = size < left ? size : left;
    memcpy(data, info->descriptors + *position, size);
    *position += (off_t)size;
    return (ssize_t)size;
}
