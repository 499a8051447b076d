/* A minimal YMODEM sender, as strict as the protocol allows and not a byte cleverer. */
#ifndef TESTS_SUPPORT_YMODEM_H
#define TESTS_SUPPORT_YMODEM_H

#include "tests/unit/support_client.h"

#define YMODEM_SOH        0x01
#define YMODEM_STX        0x02
#define YMODEM_PACKET_MAX (3 + 1024 + 2)

/* Makes a packet of 128 (SOH) or 1024 (STX) data bytes, zeros behind `length`, CRC 00 00. Returns
 * its size. */
size_t ymodem_packet(uint8_t packet[YMODEM_PACKET_MAX], uint8_t type, uint8_t sequence,
                     const void *data, size_t length);
/* Sends such a packet. */
void ymodem_send(struct client *client, uint8_t type, uint8_t sequence, const void *data,
                 size_t length);
/* Sends the header and waits for its answer. */
bool ymodem_send_header(struct client *client, const char *name, unsigned long size);
/* Sends the packets of a file and EOT, each after the answer to the one before. */
bool ymodem_send_data(struct client *client, const uint8_t *image, size_t size);
/* All of it up to the empty header, whose answer is the caller's to judge. False when an answer was
 * wrong or missing. */
bool ymodem_send_file(struct client *client, const char *name, const uint8_t *image, size_t size);

#endif
