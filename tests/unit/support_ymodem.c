#include "tests/unit/support_ymodem.h"

#include <stdio.h>
#include <string.h>

#define EOT 0x04
#define ACK "\x06"
/* Longer than two big sectors take to erase. */
#define PATIENCE_MS 10000

size_t ymodem_packet(uint8_t packet[YMODEM_PACKET_MAX], uint8_t type, uint8_t sequence,
                     const void *data, size_t length)
{
    size_t room = type == YMODEM_SOH ? 128 : 1024;

    memset(packet, 0, YMODEM_PACKET_MAX);
    packet[0] = type;
    packet[1] = sequence;
    packet[2] = (uint8_t)(255 - sequence);
    if (length > 0) {
        memcpy(packet + 3, data, length < room ? length : room);
    }
    return 3 + room + 2;
}

void ymodem_send(struct client *client, uint8_t type, uint8_t sequence, const void *data,
                 size_t length)
{
    uint8_t packet[YMODEM_PACKET_MAX];
    size_t size = ymodem_packet(packet, type, sequence, data, length);

    (void)client_send(client, packet, size);
}

bool ymodem_send_header(struct client *client, const char *name, unsigned long size)
{
    char header[128];
    size_t length = (size_t)snprintf(header, sizeof(header), "%s%c%lu ", name, 0, size);

    ymodem_send(client, YMODEM_SOH, 0, header, length);
    return client_hears(client, "\x06\x43", 2, PATIENCE_MS);
}

bool ymodem_send_data(struct client *client, const uint8_t *image, size_t size)
{
    uint8_t sequence = 1;

    for (size_t at = 0; at < size; at += 1024) {
        size_t length = size - at < 1024 ? size - at : 1024;

        ymodem_send(client, YMODEM_STX, sequence++, image + at, length);
        if (!client_hears(client, ACK, 1, PATIENCE_MS)) {
            return false;
        }
    }
    (void)client_send(client, &(uint8_t){EOT}, 1);
    return client_hears(client, ACK, 1, PATIENCE_MS);
}

bool ymodem_send_file(struct client *client, const char *name, const uint8_t *image, size_t size)
{
    if (!ymodem_send_header(client, name, size) || !ymodem_send_data(client, image, size)) {
        return false;
    }
    ymodem_send(client, YMODEM_SOH, 0, NULL, 0);
    return true;
}
