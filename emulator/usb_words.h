/*
 * What goes over the bus, in the field's words: requests, descriptors, DFU states.
 */
#ifndef VPHOTON_USB_WORDS_H
#define VPHOTON_USB_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "GETSTATUS", "DNLOAD block 2, 4096 bytes", "GET_DESCRIPTOR device", or the eight bytes. */
void usb_words_request(const uint8_t setup[8], char *text, size_t size);
/* "dfuDNLOAD-IDLE", or "state 15". */
const char *usb_words_dfu_state(uint8_t state);
/* Is it a DFU class request (and which)? */
bool usb_words_is_dfu(const uint8_t setup[8], uint8_t request);
/* What a DfuSe command in a DNLOAD of block 0 says: "erase 0x08020000"; empty when it is none. */
void usb_words_dfuse_command(const uint8_t *data, size_t length, char *text, size_t size);

enum { DFU_DETACH, DFU_DNLOAD, DFU_UPLOAD, DFU_GETSTATUS, DFU_CLRSTATUS, DFU_GETSTATE, DFU_ABORT };
enum { DFU_STATE_ERROR = 10 };

#endif
