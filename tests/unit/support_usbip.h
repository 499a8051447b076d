/*
 * A USB/IP server with two boards in the test's own process, and a client that writes its messages
 * word by word, politely or not, without the project's codec.
 */
#ifndef TESTS_SUPPORT_USBIP_H
#define TESTS_SUPPORT_USBIP_H

#include <sys/types.h>

#include "tests/unit/support_board.h"
#include "usb-gadget/usbip/server.h"

#define USBIP_BOARDS 2
/* Device id on the wire of the first board: bus 1, device 2. */
#define USBIP_DEVID UINT32_C(0x00010002)

extern struct usbip_server *usbip;
extern struct outlet usbip_outlets[USBIP_BOARDS];
extern struct board *usbip_boards[USBIP_BOARDS];

/* Check fixtures: two boards in DFU mode. They need test_boards_make(). */
void usbip_set_up(void);
void usbip_tear_down(void);
/* Takes a board's power and lets the server notice. */
void usbip_unplug(unsigned index);

/* Lets the server do what is to be done. */
void usbip_turn(void);
int usbip_dial(void);
void usbip_say(int client, const void *bytes, size_t length);
/* Words in network order. */
void usbip_say_words(int client, const uint32_t *words, size_t count);
/* What has come, up to `size` bytes; 0 at the end of the stream, -1 when there is nothing. */
ssize_t usbip_hear(int client, void *bytes, size_t size);
/* Exactly so many bytes have come. */
void usbip_expect(int client, void *bytes, size_t size);
uint32_t usbip_word(const uint8_t *bytes);
/* The server hung up, after whatever it still said. */
bool usbip_is_closed(int client);

/* Asks for an import; the status of the reply. A granted one brings the device, read over here. */
uint32_t usbip_ask_import(int client, const char *busid);
/* A client that has imported the first board. */
int usbip_imported(void);

/* CMD_SUBMIT on endpoint 0 with this setup packet (its wLength is the transfer's length), and the
 * data of an OUT transfer. */
void usbip_say_control(int client, uint32_t seqnum, const uint8_t setup[8], const void *data);
void usbip_say_unlink(int client, uint32_t seqnum, uint32_t victim);
/* The next return is this one; its actual_length. */
uint32_t usbip_expect_return(int client, uint32_t code, uint32_t seqnum, int32_t status);

/* Setup packets for a board in DFU mode. */
extern const uint8_t usbip_get_status[8]; /* 6 bytes of status */
extern const uint8_t usbip_stalled[8];    /* the board refuses it */
extern const uint8_t usbip_unanswered[8]; /* the board NAKs it for ever (SET_FEATURE 2) */

#endif
