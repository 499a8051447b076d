/*
 * The messages of USB/IP between bytes and structs; nothing here knows of sockets or boards.
 *
 * A connection begins with one operation (list the devices, or import one). After an import it
 * carries commands and their returns, whose headers are all of one size. All fields are big-endian.
 *
 * Source: Linux, Documentation/usb/usbip_protocol.rst, version 1.1.1; transfer flags and device
 * states: include/uapi/linux/usbip.h; status words of operations: tools/usb/usbip.
 */
#ifndef GADGET_USBIP_CODEC_H
#define GADGET_USBIP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USBIP_VERSION         0x0111
#define USBIP_DEFAULT_PORT    3240

#define USBIP_OPERATION_SIZE  8
#define USBIP_BUSID_SIZE      32
#define USBIP_PATH_SIZE       256
#define USBIP_COUNT_SIZE      4
#define USBIP_DEVICE_SIZE     0x138
#define USBIP_INTERFACE_SIZE  4
#define USBIP_HEADER_SIZE     48
#define USBIP_ISO_PACKET_SIZE 16

/* usb_device_speed of Linux. */
#define USBIP_FULL_SPEED 2

enum usbip_code {
    USBIP_REQUEST_DEVLIST = 0x8005,
    USBIP_REPLY_DEVLIST = 0x0005,
    USBIP_REQUEST_IMPORT = 0x8003,
    USBIP_REPLY_IMPORT = 0x0003
};

enum usbip_status {
    USBIP_OK = 0,
    USBIP_NOT_AVAILABLE = 1,
    USBIP_BUSY = 2,
    USBIP_DEVICE_ERROR = 3,
    USBIP_NO_DEVICE = 4,
    USBIP_ERROR = 5
};

/* What every operation begins with. An import's busid, or a reply's content, follows. */
struct usbip_operation {
    uint16_t version, code;
    uint32_t status;
};

struct usbip_device {
    char path[USBIP_PATH_SIZE];
    char busid[USBIP_BUSID_SIZE];
    uint32_t busnum, devnum, speed;
    uint16_t vendor, product, release;
    uint8_t class, subclass, protocol;
    uint8_t configuration, configurations, interfaces;
};

enum usbip_command_code {
    USBIP_SUBMIT = 1,
    USBIP_UNLINK = 2,
    USBIP_RETURN_SUBMIT = 3,
    USBIP_RETURN_UNLINK = 4
};

#define USBIP_SHORT_NOT_OK 0x0001
#define USBIP_ZERO_PACKET  0x0040
/* number_of_packets of a transfer that is not isochronous; Linux itself sends 0. */
#define USBIP_NO_PACKETS 0xFFFFFFFF

/* The header of a command or a return; what its code does not use is 0. */
struct usbip_header {
    uint32_t code, seqnum, devid, direction /* 1: IN */, endpoint;
    /* submit */
    uint32_t flags, length, start_frame, packets, interval;
    uint8_t setup[8];
    /* unlink: the seqnum of what is to be unlinked */
    uint32_t victim;
    /* returns */
    int32_t status; /* 0, or a negative errno of Linux */
    uint32_t actual, errors;
};

void usbip_operation_put(uint8_t bytes[USBIP_OPERATION_SIZE],
                         const struct usbip_operation *operation);
void usbip_operation_get(const uint8_t bytes[USBIP_OPERATION_SIZE],
                         struct usbip_operation *operation);
/* A 32-bit word by itself: the number of devices in a list. */
void usbip_count_put(uint8_t bytes[USBIP_COUNT_SIZE], uint32_t count);
uint32_t usbip_count_get(const uint8_t bytes[USBIP_COUNT_SIZE]);
void usbip_device_put(uint8_t bytes[USBIP_DEVICE_SIZE], const struct usbip_device *device);
/* Texts end within their fields, whatever was sent. */
void usbip_device_get(const uint8_t bytes[USBIP_DEVICE_SIZE], struct usbip_device *device);
void usbip_header_put(uint8_t bytes[USBIP_HEADER_SIZE], const struct usbip_header *header);
/* False when the code is none of the four. */
bool usbip_header_get(const uint8_t bytes[USBIP_HEADER_SIZE], struct usbip_header *header);

/* Is the submitted transfer isochronous? */
bool usbip_is_iso(const struct usbip_header *header);
/* Bytes that follow a header of a command: the data of an OUT transfer, the packets of an
 * isochronous one. */
uint64_t usbip_payload(const struct usbip_header *header);

#endif
