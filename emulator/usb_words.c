#include "emulator/usb_words.h"

#include <stdio.h>
#include <string.h>

/* USB 2.0 §9.4, DFU 1.1 §3, CDC PSTN 1.2 §6.3. The mask chooses the bits of bmRequestType that
 * count. */
static const struct {
    uint8_t mask, type, request;
    const char *name;
} requests[] = {
    {0x60, 0x00, 0, "GET_STATUS"},
    {0x60, 0x00, 1, "CLEAR_FEATURE"},
    {0x60, 0x00, 3, "SET_FEATURE"},
    {0x60, 0x00, 5, "SET_ADDRESS"},
    {0x60, 0x00, 6, "GET_DESCRIPTOR"},
    {0x60, 0x00, 7, "SET_DESCRIPTOR"},
    {0x60, 0x00, 8, "GET_CONFIGURATION"},
    {0x60, 0x00, 9, "SET_CONFIGURATION"},
    {0x60, 0x00, 10, "GET_INTERFACE"},
    {0x60, 0x00, 11, "SET_INTERFACE"},
    {0x60, 0x00, 12, "SYNCH_FRAME"},
    {0x7F, 0x21, DFU_DETACH, "DETACH"},
    {0x7F, 0x21, DFU_DNLOAD, "DNLOAD"},
    {0x7F, 0x21, DFU_UPLOAD, "UPLOAD"},
    {0x7F, 0x21, DFU_GETSTATUS, "GETSTATUS"},
    {0x7F, 0x21, DFU_CLRSTATUS, "CLRSTATUS"},
    {0x7F, 0x21, DFU_GETSTATE, "GETSTATE"},
    {0x7F, 0x21, DFU_ABORT, "ABORT"},
    {0x7F, 0x21, 0x20, "SET_LINE_CODING"},
    {0x7F, 0x21, 0x21, "GET_LINE_CODING"},
    {0x7F, 0x21, 0x22, "SET_CONTROL_LINE_STATE"},
    {0x7F, 0x21, 0x23, "SEND_BREAK"},
};

static const char *const descriptors[] = {
    [1] = "device",
    [2] = "configuration",
    [3] = "string",
    [4] = "interface",
    [5] = "endpoint",
    [6] = "device qualifier",
    [7] = "other speed configuration",
    [15] = "BOS",
    [0x21] = "DFU functional",
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static const char *request_name(const uint8_t setup[8])
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        if ((setup[0] & requests[i].mask) == requests[i].type && setup[1] == requests[i].request) {
            return requests[i].name;
        }
    }
    return NULL;
}

static void describe_descriptor(const uint8_t setup[8], char *text, size_t size)
{
    uint8_t type = setup[3], index = setup[2];
    const char *name = type < sizeof descriptors / sizeof descriptors[0] ? descriptors[type] : NULL;
    if (!name) {
        snprintf(text, size, "GET_DESCRIPTOR type 0x%02X index %u", type, index);
    } else if (type == 3) {
        snprintf(text, size, "GET_DESCRIPTOR string %u", index);
    } else {
        snprintf(text, size, "GET_DESCRIPTOR %s", name);
    }
}

bool usb_words_is_dfu(const uint8_t setup[8], uint8_t request)
{
    return (setup[0] & 0x7F) == 0x21 && setup[1] == request;
}

void usb_words_request(const uint8_t setup[8], char *text, size_t size)
{
    const char *name = request_name(setup);
    uint16_t value = get16(setup + 2), index = get16(setup + 4), length = get16(setup + 6);
    if (!name) {
        snprintf(text, size, "request %02X %02X wValue %04X wIndex %04X wLength %u", setup[0],
                 setup[1], value, index, length);
    } else if ((setup[0] & 0x60) == 0 && setup[1] == 6) {
        describe_descriptor(setup, text, size);
    } else if (usb_words_is_dfu(setup, DFU_DNLOAD) || usb_words_is_dfu(setup, DFU_UPLOAD)) {
        snprintf(text, size, "%s block %u, %u bytes", name, value, length);
    } else if ((setup[0] & 0x60) == 0 && (setup[1] == 5 || setup[1] == 9)) {
        snprintf(text, size, "%s %u", name, value);
    } else if ((setup[0] & 0x60) == 0 && setup[1] == 11) {
        snprintf(text, size, "%s %u alternate %u", name, index, value);
    } else {
        snprintf(text, size, "%s", name);
    }
}

const char *usb_words_dfu_state(uint8_t state)
{
    /* 15 is the Photon's own: UPLOAD of block 1 leads there. */
    static const char *const names[] = {
        "appIDLE",
        "appDETACH",
        "dfuIDLE",
        "dfuDNLOAD-SYNC",
        "dfuDNBUSY",
        "dfuDNLOAD-IDLE",
        "dfuMANIFEST-SYNC",
        "dfuMANIFEST",
        "dfuMANIFEST-WAIT-RESET",
        "dfuUPLOAD-IDLE",
        "dfuERROR",
        NULL,
        NULL,
        NULL,
        NULL,
        "state 15",
    };
    const char *name = state < sizeof names / sizeof names[0] ? names[state] : NULL;
    return name ? name : "an unknown state";
}

void usb_words_dfuse_command(const uint8_t *data, size_t length, char *text, size_t size)
{
    text[0] = '\0';
    if (length == 5 && (data[0] == 0x21 || data[0] == 0x41)) {
        snprintf(text, size, "%s 0x%08X", data[0] == 0x21 ? "set address" : "erase",
                 get16(data + 1) | (uint32_t)get16(data + 3) << 16);
    } else if (length == 1 && data[0] == 0x00) {
        snprintf(text, size, "get commands");
    } else if (length == 1 && data[0] == 0x41) {
        snprintf(text, size, "mass erase");
    } else if (length == 1 && data[0] == 0x92) {
        snprintf(text, size, "read unprotect");
    }
}
