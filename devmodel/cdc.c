#include "cdc.h"

#include <string.h>

#include "engine.h"
#include "little_endian.h"

/* CDC PSTN 1.2 table 13. */
#define SET_LINE_CODING        0x20
#define SET_CONTROL_LINE_STATE 0x22
#define LINE_STATE_DTR         1

static const uint8_t initial_line_coding[CDC_LINE_CODING] = {0x80, 0x25, 0, 0, 0, 0, 0};

void cdc_reset(struct cdc *cdc)
{
    memset(cdc, 0, sizeof(*cdc));
}

void cdc_begin(struct cdc *cdc)
{
    memcpy(cdc->control, initial_line_coding, sizeof(initial_line_coding));
}

/* --- rings --- */

static size_t ring_put(struct cdc_ring *ring, const uint8_t *data, size_t length)
{
    size_t count = 0;

    while (count < length && ring->used < CDC_RING) {
        ring->bytes[(ring->head + ring->used) % CDC_RING] = data[count++];
        ring->used++;
    }
    return count;
}

static int ring_peek(const struct cdc_ring *ring)
{
    return ring->used > 0 ? ring->bytes[ring->head] : -1;
}

static int ring_get(struct cdc_ring *ring)
{
    int byte = ring_peek(ring);

    if (byte >= 0) {
        ring->head = (uint16_t)((ring->head + 1) % CDC_RING);
        ring->used--;
    }
    return byte;
}

int cdc_read(struct cdc *cdc)
{
    return ring_get(&cdc->from_host);
}

int cdc_peek(const struct cdc *cdc)
{
    return ring_peek(&cdc->from_host);
}

void cdc_flush_input(struct cdc *cdc)
{
    cdc->from_host.used = 0;
}

size_t cdc_room(const struct cdc *cdc)
{
    return CDC_RING - cdc->to_host.used;
}

size_t cdc_write(struct cdc *cdc, const void *data, size_t length)
{
    return ring_put(&cdc->to_host, data, length);
}

/* --- class requests: any IN request reads the control buffer, any OUT request is taken --- */

void cdc_class_request(struct photon *photon, const struct usb_setup *setup)
{
    struct cdc *cdc = &photon->system.cdc;

    if ((setup->type & USB_DIRECTION_IN) != 0) {
        if (setup->length > 0) {
            ep0_send_padded(&photon->usb, cdc->control, sizeof(cdc->control), setup->length);
        }
        return;
    }
    if (setup->request == SET_CONTROL_LINE_STATE) {
        cdc->opened = (setup->value & LINE_STATE_DTR) != 0;
    }
    if (setup->length > 0) {
        cdc->control_request = setup->request;
        cdc->control_received = 0;
        ep0_receive(&photon->usb, setup->length);
    }
}

bool cdc_control_data(struct photon *photon, const uint8_t *data, size_t length)
{
    struct cdc *cdc = &photon->system.cdc;
    size_t room = sizeof(cdc->control) - cdc->control_received;
    size_t taken = length < room ? length : room;

    memcpy(cdc->control + cdc->control_received, data, taken);
    cdc->control_received = (uint16_t)(cdc->control_received + taken);
    return true;
}

uint32_t cdc_control_received(struct photon *photon)
{
    const struct cdc *cdc = &photon->system.cdc;

    return cdc->control_request == SET_LINE_CODING ? le32_get(cdc->control) : 0;
}

/* --- data --- */

enum usb_handshake cdc_out(struct photon *photon, const void *data, size_t length)
{
    struct cdc *cdc = &photon->system.cdc;

    /* A packet is taken whole or not at all. */
    if (length > (size_t)(CDC_RING - cdc->from_host.used)) {
        return USB_NAK;
    }
    ring_put(&cdc->from_host, data, length);
    return USB_ACK;
}

enum usb_handshake cdc_in(struct photon *photon, void *data, size_t *length)
{
    struct cdc *cdc = &photon->system.cdc;
    uint8_t *bytes = data;
    size_t count = 0;

    if (cdc->to_host.used == 0 && !cdc->owes_empty_packet) {
        return USB_NAK;
    }
    while (count < BOARD_USB_PACKET && cdc->to_host.used > 0) {
        bytes[count++] = (uint8_t)ring_get(&cdc->to_host);
    }
    cdc->owes_empty_packet = count == BOARD_USB_PACKET;
    *length = count;
    return USB_ACK;
}
