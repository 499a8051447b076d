#include "usb-gadget/usbip/codec.h"

#include <string.h>

static void put16(uint8_t **at, uint16_t value)
{
    *(*at)++ = (uint8_t)(value >> 8);
    *(*at)++ = (uint8_t)value;
}

static void put32(uint8_t **at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at, (uint16_t)value);
}

static void put_bytes(uint8_t **at, const void *bytes, size_t length)
{
    memcpy(*at, bytes, length);
    *at += length;
}

static uint16_t get16(const uint8_t **at)
{
    uint16_t value = (uint16_t)((*at)[0] << 8 | (*at)[1]);

    *at += 2;
    return value;
}

static uint32_t get32(const uint8_t **at)
{
    uint32_t high = get16(at);

    return high << 16 | get16(at);
}

static void get_text(const uint8_t **at, char *text, size_t size)
{
    memcpy(text, *at, size);
    text[size - 1] = '\0';
    *at += size;
}

/* --- operations --- */

void usbip_operation_put(uint8_t bytes[USBIP_OPERATION_SIZE],
                         const struct usbip_operation *operation)
{
    put16(&bytes, operation->version);
    put16(&bytes, operation->code);
    put32(&bytes, operation->status);
}

void usbip_operation_get(const uint8_t bytes[USBIP_OPERATION_SIZE],
                         struct usbip_operation *operation)
{
    operation->version = get16(&bytes);
    operation->code = get16(&bytes);
    operation->status = get32(&bytes);
}

void usbip_count_put(uint8_t bytes[USBIP_COUNT_SIZE], uint32_t count)
{
    put32(&bytes, count);
}

uint32_t usbip_count_get(const uint8_t bytes[USBIP_COUNT_SIZE])
{
    return get32(&bytes);
}

void usbip_device_put(uint8_t bytes[USBIP_DEVICE_SIZE], const struct usbip_device *device)
{
    const uint8_t small[] = {device->class,         device->subclass,       device->protocol,
                             device->configuration, device->configurations, device->interfaces};

    put_bytes(&bytes, device->path, sizeof device->path);
    put_bytes(&bytes, device->busid, sizeof device->busid);
    put32(&bytes, device->busnum);
    put32(&bytes, device->devnum);
    put32(&bytes, device->speed);
    put16(&bytes, device->vendor);
    put16(&bytes, device->product);
    put16(&bytes, device->release);
    put_bytes(&bytes, small, sizeof small);
}

void usbip_device_get(const uint8_t bytes[USBIP_DEVICE_SIZE], struct usbip_device *device)
{
    get_text(&bytes, device->path, sizeof device->path);
    get_text(&bytes, device->busid, sizeof device->busid);
    device->busnum = get32(&bytes);
    device->devnum = get32(&bytes);
    device->speed = get32(&bytes);
    device->vendor = get16(&bytes);
    device->product = get16(&bytes);
    device->release = get16(&bytes);
    device->class = bytes[0];
    device->subclass = bytes[1];
    device->protocol = bytes[2];
    device->configuration = bytes[3];
    device->configurations = bytes[4];
    device->interfaces = bytes[5];
}

/* --- commands and returns --- */

void usbip_header_put(uint8_t bytes[USBIP_HEADER_SIZE], const struct usbip_header *header)
{
    memset(bytes, 0, USBIP_HEADER_SIZE);
    put32(&bytes, header->code);
    put32(&bytes, header->seqnum);
    put32(&bytes, header->devid);
    put32(&bytes, header->direction);
    put32(&bytes, header->endpoint);
    switch (header->code) {
    case USBIP_SUBMIT:
        put32(&bytes, header->flags);
        put32(&bytes, header->length);
        put32(&bytes, header->start_frame);
        put32(&bytes, header->packets);
        put32(&bytes, header->interval);
        put_bytes(&bytes, header->setup, sizeof header->setup);
        break;
    case USBIP_UNLINK:
        put32(&bytes, header->victim);
        break;
    case USBIP_RETURN_SUBMIT:
        put32(&bytes, (uint32_t)header->status);
        put32(&bytes, header->actual);
        put32(&bytes, header->start_frame);
        put32(&bytes, header->packets);
        put32(&bytes, header->errors);
        break;
    default:
        put32(&bytes, (uint32_t)header->status);
        break;
    }
}

bool usbip_header_get(const uint8_t bytes[USBIP_HEADER_SIZE], struct usbip_header *header)
{
    *header = (struct usbip_header){0};
    header->code = get32(&bytes);
    header->seqnum = get32(&bytes);
    header->devid = get32(&bytes);
    header->direction = get32(&bytes);
    header->endpoint = get32(&bytes);
    switch (header->code) {
    case USBIP_SUBMIT:
        header->flags = get32(&bytes);
        header->length = get32(&bytes);
        header->start_frame = get32(&bytes);
        header->packets = get32(&bytes);
        header->interval = get32(&bytes);
        memcpy(header->setup, bytes, sizeof header->setup);
        return true;
    case USBIP_UNLINK:
        header->victim = get32(&bytes);
        return true;
    case USBIP_RETURN_SUBMIT:
        header->status = (int32_t)get32(&bytes);
        header->actual = get32(&bytes);
        header->start_frame = get32(&bytes);
        header->packets = get32(&bytes);
        header->errors = get32(&bytes);
        return true;
    case USBIP_RETURN_UNLINK:
        header->status = (int32_t)get32(&bytes);
        return true;
    default:
        return false;
    }
}

bool usbip_is_iso(const struct usbip_header *header)
{
    return header->packets != 0 && header->packets != USBIP_NO_PACKETS;
}

uint64_t usbip_payload(const struct usbip_header *header)
{
    uint64_t length = 0;

    if (header->code == USBIP_SUBMIT) {
        length += header->direction == 0 ? header->length : 0;
        length += usbip_is_iso(header) ? (uint64_t)header->packets * USBIP_ISO_PACKET_SIZE : 0;
    }
    return length;
}
