/*
 * The descriptors of a configuration, as a device sent them: their lengths may be wrong.
 */
#ifndef GADGET_DESCRIPTOR_H
#define GADGET_DESCRIPTOR_H

#include <stddef.h>
#include <stdint.h>

/* bDescriptorType */
#define DESCRIPTOR_INTERFACE    4
#define DESCRIPTOR_ENDPOINT     5
#define DESCRIPTOR_CS_INTERFACE 0x24

/* Offsets (USB 2.0 §9.6). */
#define DESCRIPTOR_TYPE     1
#define DEVICE_CLASS        4
#define DEVICE_SUBCLASS     5
#define DEVICE_PROTOCOL     6
#define DEVICE_VENDOR       8
#define DEVICE_PRODUCT      10
#define DEVICE_RELEASE      12
#define CONFIG_VALUE        5
#define INTERFACE_NUMBER    2
#define INTERFACE_ALTERNATE 3
#define INTERFACE_ENDPOINTS 4
#define INTERFACE_CLASS     5
#define INTERFACE_SUBCLASS  6
#define INTERFACE_PROTOCOL  7
#define INTERFACE_STRING    8
#define ENDPOINT_ADDRESS    2
#define ENDPOINT_ATTRIBUTES 3
#define ENDPOINT_MAX_PACKET 4
#define ENDPOINT_INTERVAL   6

static inline uint16_t descriptor_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* The descriptor after the one at `at` (NULL: the first) in `config`. One that is shorter than its
 * type must be is left out; NULL at the end, or where the lengths make no sense. */
const uint8_t *descriptor_next(const uint8_t *config, size_t length, const uint8_t *at);

#endif
