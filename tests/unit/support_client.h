/*
 * A host with the board's serial port open: sends bytes, collects what comes, lets board time pass.
 */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include "devmodel/photon.h"
#include "usb-gadget/root_port.h"

#define CLIENT_TEXT_MAX 65536

struct client {
    struct board *board;
    struct root_port port;
    bool reads; /* polls the IN endpoint */
    bool gone;  /* the board left the bus */
    struct transfer in;
    uint8_t packet[BOARD_USB_PACKET];
    size_t length; /* of the text, NUL not counted; what does not fit pushes out the rest */
    char text[CLIENT_TEXT_MAX + 1];
    uint64_t heard; /* board time of the last byte */
};

/* A factory-fresh board without power, with device id 1f00a2000b47abcdef323032 and MAC
 * 6c:0b:84:01:02:03; NULL when there is no such release. The caller destroys it. */
struct board *client_board(const char *release);
/* The same in reach of a WPA2 network "VPHOTON" with AES and an open one "OPEN". */
struct board *client_board_near_networks(const char *release);

/* All but the last two work without a test framework, too. */

/* Powers the board if need be, waits until it attaches, enumerates it and begins to read. False
 * when there is no board, or it does not attach within a minute. */
bool client_open(struct client *client, struct board *board);
/* Goes on after the board has left the bus and come back. */
bool client_reopen(struct client *client);
/* The control transfer SET_LINE_CODING. */
enum transfer_status client_set_rate(struct client *client, uint32_t rate);

/* Sends bytes; returns how many the board took before it was idle and took no more. */
size_t client_send(struct client *client, const void *data, size_t length);
/* Lets board time pass. */
void client_wait(struct client *client, uint64_t ms);
/* Waits until `length` bytes have come, and takes them. False when they are others, when the board
 * leaves the bus, or after `ms`. */
bool client_hears(struct client *client, const void *expected, size_t length, uint64_t ms);
/* Waits until the board leaves the bus; false when it is still there after `ms`. */
bool client_leaves(struct client *client, uint64_t ms);
/* Lets the board come to rest, powers and resets it, holds SETUP for three seconds and asks for its
 * id: does it still live? */
bool client_revives(struct client *client);
/* Forgets what has come. */
void client_forget(struct client *client);

/* Sends text, and asserts that exactly this comes within ten seconds and nothing more in the next
 * 50 ms; forgets it. */
void client_expect(struct client *client, const char *send, const char *expected);
/* The same with bytes that are no text. */
void client_expect_bytes(struct client *client, const void *send, size_t sent, const void *expected,
                         size_t length);

#endif
