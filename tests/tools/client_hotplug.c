/*
 * client_hotplug COUNT: prints "added|removed BUS-PORT VID:PID" for the first COUNT hotplug events,
 * those of the devices that are there already included, and holds every device open meanwhile, with
 * a transfer in flight that nothing ends but the unplugging.
 */
#include <libusb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 16
#define PARTICLE    0x2B04

static int events;
static struct {
    libusb_device *device;
    libusb_device_handle *handle;
    struct libusb_transfer *transfer;
    unsigned char buffer[LIBUSB_CONTROL_SETUP_SIZE + 64];
} held[DEVICES_MAX];
static int opened;

static void on_end(struct libusb_transfer *transfer)
{
    printf("transfer %s\n", transfer->status == LIBUSB_TRANSFER_NO_DEVICE   ? "lost its device"
                            : transfer->status == LIBUSB_TRANSFER_COMPLETED ? "completed"
                                                                            : "failed");
    fflush(stdout);
}

/* An interface request with a data stage that the bootloader never serves. */
static void submit(int index)
{
    held[index].transfer = libusb_alloc_transfer(0);
    libusb_fill_control_setup(held[index].buffer, 0xC1, 3, 0, 0, 6);
    libusb_fill_control_transfer(held[index].transfer, held[index].handle, held[index].buffer,
                                 on_end, NULL, 0);
    if (libusb_submit_transfer(held[index].transfer) != 0) {
        printf("cannot submit\n");
    }
}

static int on_hotplug(libusb_context *context, libusb_device *device, libusb_hotplug_event event,
                      void *user)
{
    struct libusb_device_descriptor descriptor;
    bool added = event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED;

    (void)context;
    (void)user;
    if (libusb_get_device_descriptor(device, &descriptor) != 0 || descriptor.idVendor != PARTICLE) {
        return 0;
    }
    printf("%s %u-%u %04x:%04x\n", added ? "added" : "removed", libusb_get_bus_number(device),
           libusb_get_port_number(device), descriptor.idVendor, descriptor.idProduct);
    fflush(stdout);
    events++;
    if (added && opened < DEVICES_MAX) {
        held[opened++].device = libusb_ref_device(device);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 2;
    int started = 0;

    if (libusb_init(NULL) != 0 ||
        libusb_hotplug_register_callback(
            NULL, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
            LIBUSB_HOTPLUG_ENUMERATE, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
            LIBUSB_HOTPLUG_MATCH_ANY, on_hotplug, NULL, NULL) != 0) {
        return 1;
    }
    while (events < count) {
        for (; started < opened; started++) {
            if (libusb_open(held[started].device, &held[started].handle) != 0) {
                printf("cannot open\n");
                continue;
            }
            submit(started);
        }
        if (libusb_handle_events(NULL) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < opened; i++) {
        if (held[i].handle != NULL) {
            libusb_close(held[i].handle);
        }
        libusb_free_transfer(held[i].transfer);
        libusb_unref_device(held[i].device);
    }
    libusb_exit(NULL);
    return 0;
}
