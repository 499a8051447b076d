/* A libusb client that asks the first Photon in DFU mode for its state, over and over, and prints
 * the microseconds that one control transfer takes. */
#include <libusb-1.0/libusb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VENDOR    0x2B04
#define PRODUCT   0xD006
#define WARM_UP   200
#define TRANSFERS 4000
#define TIMEOUT   5000

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void get_state(libusb_device_handle *device)
{
    unsigned char state;

    if (libusb_control_transfer(device, 0xA1, 5, 0, 0, &state, 1, TIMEOUT) != 1) {
        fprintf(stderr, "usb_round_trip: the device does not answer\n");
        exit(1);
    }
}

int main(void)
{
    if (libusb_init(NULL) != 0) {
        fprintf(stderr, "usb_round_trip: no libusb\n");
        return 1;
    }
    libusb_device_handle *device = libusb_open_device_with_vid_pid(NULL, VENDOR, PRODUCT);
    if (device == NULL || libusb_claim_interface(device, 0) != 0) {
        fprintf(stderr, "usb_round_trip: no device\n");
        return 1;
    }
    for (int i = 0; i < WARM_UP; i++) {
        get_state(device);
    }
    double start = now();
    for (int i = 0; i < TRANSFERS; i++) {
        get_state(device);
    }
    printf("%.3f\n", (now() - start) / TRANSFERS);
    libusb_close(device);
    libusb_exit(NULL);
    return 0;
}
