#include <string.h>

#include "usb-gadget/enumerate.h"

#define DESCRIPTOR_DEVICE 1
#define DESCRIPTOR_CONFIG 2
#define DESCRIPTOR_STRING 3

/* Fields of descriptors (USB 2.0 §9.6). */
#define LENGTH                0
#define TYPE                  1
#define DEVICE_MAX_PACKET     7
#define DEVICE_I_MANUFACTURER 14
#define DEVICE_I_PRODUCT      15
#define DEVICE_I_SERIAL       16
#define DEVICE_SIZE           18
#define CONFIG_TOTAL_LENGTH   2
#define CONFIG_VALUE          5
#define CONFIG_SIZE           9

#define LANGUAGE_US_ENGLISH   0x0409
#define STRING_DESCRIPTOR_MAX 255
#define REPLACEMENT           '?'

/* What Linux asks for first: more than a device descriptor, content with its first 8 bytes. */
#define FIRST_READ        64
#define FIRST_READ_ENOUGH 8
/* Linux repeats a descriptor request that fails or answers something else. */
#define DESCRIPTOR_TRIES 3

struct wait {
    bool done;
};

static void note_done(struct transfer *transfer)
{
    struct wait *wait = transfer->context;

    wait->done = true;
}

enum transfer_status control_transfer(struct root_port *port, const uint8_t setup[8], void *data,
                                      size_t *actual)
{
    struct wait wait = {false};
    struct transfer transfer = {
        .type = TRANSFER_CONTROL,
        .data = data,
        .length = (size_t)setup[6] | (size_t)setup[7] << 8,
        .complete = note_done,
        .context = &wait,
    };
    bool jump = port->jump;

    memcpy(transfer.setup, setup, sizeof transfer.setup);
    port->jump = true;
    root_port_submit(port, &transfer);
    if (!wait.done && port->running) {
        root_port_run(port); /* inside a callback, where a submission only queues */
    }
    if (!wait.done && root_port_cancel(port, &transfer)) {
        transfer.status = TRANSFER_TIMEOUT; /* NAK for ever: the host gives up */
    }
    port->jump = jump;
    if (actual != NULL) {
        *actual = transfer.actual;
    }
    return transfer.status;
}

/* Reads a descriptor; 0 when there is none of this type. */
static size_t get_descriptor(struct root_port *port, uint8_t type, uint8_t index, uint16_t language,
                             uint8_t *data, uint16_t length)
{
    const uint8_t setup[8] = {0x80,
                              6,
                              index,
                              type,
                              (uint8_t)language,
                              (uint8_t)(language >> 8),
                              (uint8_t)length,
                              (uint8_t)(length >> 8)};

    for (unsigned try = 0; try < DESCRIPTOR_TRIES; try++) {
        size_t actual = 0;
        enum transfer_status status = control_transfer(port, setup, data, &actual);

        if (status == TRANSFER_OK && actual > TYPE && data[TYPE] == type) {
            return actual;
        }
        if (status == TRANSFER_TIMEOUT || status == TRANSFER_NO_DEVICE) {
            return 0;
        }
    }
    return 0;
}

static bool set(struct root_port *port, uint8_t request, uint8_t value)
{
    const uint8_t setup[8] = {0x00, request, value};

    return control_transfer(port, setup, NULL, NULL) == TRANSFER_OK;
}

/* --- strings --- */

static size_t put_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static uint32_t unit(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

/* One code point from `length` bytes (2 at least); `*used` bytes were its own. */
static uint32_t get_utf16(const uint8_t *bytes, size_t length, size_t *used)
{
    uint32_t c = unit(bytes);

    *used = 2;
    if (c < 0xD800 || c > 0xDFFF) {
        return c;
    }
    if (c <= 0xDBFF && length >= 4) {
        uint32_t low = unit(bytes + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *used = 4;
            return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return REPLACEMENT;
}

/* Ends at a NUL, at the last whole unit, or where the next character does not fit any more. */
static void utf16_to_utf8(const uint8_t *bytes, size_t length, char *text, size_t size)
{
    size_t filled = 0;
    size_t used;

    for (size_t at = 0; at + 1 < length; at += used) {
        char out[4];
        uint32_t c = get_utf16(bytes + at, length - at, &used);
        size_t count = put_utf8(c, out);
        if (c == 0 || filled + count >= size) {
            break;
        }
        memcpy(text + filled, out, count);
        filled += count;
    }
    text[filled] = '\0';
}

/* Length of the descriptor in a reply of `actual` bytes, whatever its first byte claims. */
static size_t descriptor_length(const uint8_t *data, size_t actual)
{
    return data[LENGTH] < actual ? data[LENGTH] : actual;
}

/* The device's first language; false when it knows no strings at all. A list that is there but
 * makes no sense stands for English. */
static bool get_language(struct root_port *port, uint16_t *language)
{
    uint8_t list[STRING_DESCRIPTOR_MAX];
    size_t actual = get_descriptor(port, DESCRIPTOR_STRING, 0, 0, list, sizeof list);

    if (actual == 0) {
        return false;
    }
    *language = LANGUAGE_US_ENGLISH;
    if (descriptor_length(list, actual) >= 4) {
        *language = (uint16_t)unit(list + 2);
    }
    return true;
}

static bool get_string(struct root_port *port, uint8_t index, uint16_t language, char *text,
                       size_t size)
{
    uint8_t data[STRING_DESCRIPTOR_MAX];
    size_t actual = get_descriptor(port, DESCRIPTOR_STRING, index, language, data, sizeof data);

    text[0] = '\0';
    if (actual == 0) {
        return false;
    }
    size_t length = descriptor_length(data, actual);
    if (length < 2) {
        return false;
    }
    utf16_to_utf8(data + 2, length - 2, text, size);
    return true;
}

bool enumerate_string(struct root_port *port, uint8_t index, char *text, size_t size)
{
    uint16_t language;

    text[0] = '\0';
    return index != 0 && get_language(port, &language) &&
           get_string(port, index, language, text, size);
}

static void read_strings(struct root_port *port, struct usb_identity *identity)
{
    const struct {
        uint8_t index;
        char *text;
        size_t size;
    } strings[] = {
        {identity->device[DEVICE_I_PRODUCT], identity->product, sizeof identity->product},
        {identity->device[DEVICE_I_MANUFACTURER], identity->manufacturer,
         sizeof identity->manufacturer},
        {identity->device[DEVICE_I_SERIAL], identity->serial, sizeof identity->serial},
    };
    bool asked = false;
    bool any = false;
    uint16_t language = 0;

    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        if (strings[i].index == 0) {
            continue;
        }
        if (!asked) {
            asked = true;
            any = get_language(port, &language);
        }
        if (any) {
            (void)get_string(port, strings[i].index, language, strings[i].text, strings[i].size);
        }
    }
}

/* --- the device --- */

static bool read_config(struct root_port *port, struct usb_identity *identity)
{
    uint8_t *config = identity->config;

    if (get_descriptor(port, DESCRIPTOR_CONFIG, 0, 0, config, CONFIG_SIZE) < CONFIG_SIZE) {
        return false;
    }
    uint32_t total = unit(config + CONFIG_TOTAL_LENGTH);
    if (total < CONFIG_SIZE || total > ENUMERATE_CONFIG_MAX) {
        return false;
    }
    identity->config_length =
        get_descriptor(port, DESCRIPTOR_CONFIG, 0, 0, config, (uint16_t)total);
    return identity->config_length >= CONFIG_SIZE;
}

bool enumerate_address(struct root_port *port, uint8_t address)
{
    root_port_bus_reset(port);
    return set(port, 5, address);
}

bool enumerate(struct root_port *port, uint8_t address, struct usb_identity *identity)
{
    uint8_t first[FIRST_READ];

    memset(identity, 0, sizeof *identity);
    root_port_bus_reset(port);
    if (get_descriptor(port, DESCRIPTOR_DEVICE, 0, 0, first, sizeof first) < FIRST_READ_ENOUGH ||
        first[DEVICE_MAX_PACKET] != BOARD_USB_PACKET) {
        return false;
    }
    if (!enumerate_address(port, address) ||
        get_descriptor(port, DESCRIPTOR_DEVICE, 0, 0, identity->device, DEVICE_SIZE) <
            DEVICE_SIZE ||
        !read_config(port, identity)) {
        return false;
    }
    read_strings(port, identity);
    return set(port, 9, identity->config[CONFIG_VALUE]);
}
