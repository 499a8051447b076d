/*
 * Answers to GET_DESCRIPTOR that bootloader and running system share. Not for users of the library.
 */
#ifndef PHOTON_DESCRIPTOR_H
#define PHOTON_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct photon;
struct usb_setup;

#define DESCRIPTOR_DEVICE        1
#define DESCRIPTOR_CONFIGURATION 2
#define DESCRIPTOR_STRING        3

#define DESCRIPTOR_DEVICE_SIZE   18
#define DESCRIPTOR_BCD_DEVICE    12 /* offset in the device descriptor */

/* String index of the Microsoft OS descriptor, and its vendor request code. */
#define MICROSOFT_OS 0xEE

/* Sends at most wLength bytes of a part that stays where it is; asking for nothing gets nothing
 * prepared. */
void descriptor_send(struct photon *photon, const struct usb_setup *setup, const void *data,
                     size_t length);
/* The device descriptor, with the firmware's habit of giving 8 bytes to a host's first look.
 * Copies. */
void descriptor_send_device(struct photon *photon, const struct usb_setup *setup,
                            const uint8_t descriptor[DESCRIPTOR_DEVICE_SIZE]);
void descriptor_send_languages(struct photon *photon, const struct usb_setup *setup);
/* An ASCII text of up to 126 characters as a string descriptor. */
void descriptor_send_text(struct photon *photon, const struct usb_setup *setup, const char *text);
/* The device id as a string descriptor. */
void descriptor_send_id(struct photon *photon, const struct usb_setup *setup, bool upper_case);

/* --- Microsoft OS 1.0 descriptors --- */

void microsoft_os_send_string(struct photon *photon, const struct usb_setup *setup);
/* Compatible id (device) or extended properties (interface) of `interface`, with the device
 * interface `guid`. False when the request is neither. */
bool microsoft_os_request(struct photon *photon, const struct usb_setup *setup, uint8_t interface,
                          const char *guid);

#endif
