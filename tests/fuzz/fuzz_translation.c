/*
 * Any structure that a program may hand to usbfs, and any path that it may open.
 *
 * The first byte says which; the rest is the structure, or the path. Promised: no crash, no request
 * that moves more than the server takes, no answer longer than its buffer, and a cleaned path is
 * absolute and not longer than what it was made from.
 */
#include <stdbool.h>
#include <string.h>

#include "tests/fuzz/input.h"
#include "usb-gadget/preload/translation.h"
#include "usb-gadget/preload/zones.h"

static void take(struct input *input, void *out, size_t size)
{
    size_t part = input->left < size ? input->left : size;

    memset(out, 0, size);
    memcpy(out, input->bytes, part);
    input->bytes += part;
    input->left -= part;
}

/* The request as it goes to the server, after its interface was claimed. */
static void check_transfer(struct input *input, int result, const struct preload_request *request)
{
    struct preload_handle_info info;
    int interface;

    if (result != 0) {
        return;
    }
    MUST(request->length <= PRELOAD_DATA_MAX);
    take(input, &info, sizeof info);
    info.descriptors_length %= sizeof info.descriptors + 1;
    if (translate_claim(&info, request, 0, &interface) == 0) {
        MUST(interface < CLAIMABLE);
    }
}

static void transfer(struct input *input)
{
    struct usbdevfs_ctrltransfer control;
    struct usbdevfs_bulktransfer bulk;
    struct preload_request request;

    take(input, &control, sizeof control);
    check_transfer(input, translate_control(&control, &request), &request);
    take(input, &bulk, sizeof bulk);
    check_transfer(input, translate_bulk(&bulk, &request), &request);
}

static void urb(struct input *input)
{
    struct usbdevfs_urb what;
    struct preload_request request;
    uint8_t setup[SETUP_SIZE];

    take(input, &what, sizeof what);
    take(input, setup, sizeof setup);
    int result = translate_urb(&what, 1, setup, &request);
    if (result == 0) {
        MUST(request.length + translation_offset(&what) <= (size_t)what.buffer_length);
    }
    check_transfer(input, result, &request);
}

static void other(struct input *input)
{
    const unsigned long ioctl = input_u32(input);
    struct preload_handle_info info;
    struct preload_request request;
    uint8_t out[TRANSLATION_ANSWER];
    uint32_t argument[4];
    size_t size;

    take(input, argument, sizeof argument);
    take(input, &info, sizeof info);
    (void)translation_answer(&info, ioctl, out, &size);
    MUST(size <= sizeof out);
    if (translate_numbers(ioctl, argument, &request) == 0) {
        MUST(translation_argument(ioctl) <= sizeof argument);
        (void)translation_claims(1, &request);
    }
    if (translation_is_modem(ioctl)) {
        translate_modem(ioctl, argument[0], (int)argument[1], &request);
        MUST(request.length <= 3);
    }
}

static void path(struct input *input)
{
    static char text[2 * PATH_MAX], clean[ZONES_PATH_MAX];
    size_t length = input->left < sizeof text - 2 ? input->left : sizeof text - 2;

    text[0] = '/';
    memcpy(text + 1, input->bytes, length);
    text[1 + length] = '\0';
    (void)zones_may_be_ours(text);
    if (zones_clean(text, clean)) {
        MUST(clean[0] == '/' && strlen(clean) <= strlen(text) && strlen(clean) < PATH_MAX);
        if (zones_of(clean) == ZONE_OURS) {
            MUST(zones_node(clean) < 1000 && zones_tty(clean) < 100000);
            (void)zones_is_tty_link(clean);
            (void)zones_tty_target(clean);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const kinds[])(struct input *) = {transfer, urb, other, path};
    struct input input = {bytes, size};

    kinds[input_u8(&input) % (sizeof kinds / sizeof kinds[0])](&input);
    return 0;
}
