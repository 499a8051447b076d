#include "usb-gadget/preload/translation.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

/* USBDEVFS_CONTROL moves a page at most. */
#define CONTROL_MAX  4096
#define RECIPIENT    0x1F
#define TO_INTERFACE 1
#define TO_ENDPOINT  2
#define TYPE_MASK    0x60
#define TYPE_VENDOR  0x40
#define CAPABILITIES                                                                               \
    (USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_REAP_AFTER_DISCONNECT | USBDEVFS_CAP_CONNINFO_EX)
#define URB_FLAGS                                                                                  \
    (USBDEVFS_URB_SHORT_NOT_OK | USBDEVFS_URB_ISO_ASAP | USBDEVFS_URB_BULK_CONTINUATION |          \
     USBDEVFS_URB_NO_FSBR | USBDEVFS_URB_ZERO_PACKET | USBDEVFS_URB_NO_INTERRUPT)
#define LINES          (TIOCM_DTR | TIOCM_RTS)
#define TCSETS2_NUMBER 0x2B
#define BREAK_UNIT_MS  100 /* of TCSBRKP */
/* How a port closes unless somebody changed that, in 1/100 s (Linux drivers/tty/tty_port.c). */
#define CLOSE_DELAY  50
#define CLOSING_WAIT 3000
/* Majors of pty slaves. */
#define PTS_MAJOR_FIRST 136
#define PTS_MAJOR_LAST  143
#define PTS_PER_MAJOR   256

/* --- transfers --- */

int translate_control(const struct usbdevfs_ctrltransfer *what, struct preload_request *request)
{
    *request = (struct preload_request){.operation = PRELOAD_CALL,
                                        .type = PRELOAD_CONTROL,
                                        .number = what->timeout,
                                        .length = what->wLength};
    memcpy(request->setup, what, SETUP_SIZE);
    return what->wLength > CONTROL_MAX ? -EINVAL : 0;
}

int translate_bulk(const struct usbdevfs_bulktransfer *what, struct preload_request *request)
{
    *request = (struct preload_request){.operation = PRELOAD_CALL,
                                        .type = PRELOAD_BULK,
                                        .endpoint = (uint8_t)what->ep,
                                        .number = what->timeout,
                                        .length = what->len};
    return what->len > PRELOAD_DATA_MAX ? -ENOMEM : 0;
}

size_t translation_offset(const struct usbdevfs_urb *urb)
{
    return urb->type == USBDEVFS_URB_TYPE_CONTROL ? SETUP_SIZE : 0;
}

bool translation_is_in(const struct preload_request *request)
{
    return (request->type == PRELOAD_CONTROL ? request->setup[0] : request->endpoint) &
           DIRECTION_IN;
}

static int translate_control_urb(const struct usbdevfs_urb *urb, const uint8_t setup[SETUP_SIZE],
                                 struct preload_request *request)
{
    if ((urb->endpoint & ~DIRECTION_IN) != 0 || urb->buffer_length < SETUP_SIZE) {
        return -EINVAL;
    }
    request->type = PRELOAD_CONTROL;
    request->length = setup[6] | (uint32_t)setup[7] << 8;
    memcpy(request->setup, setup, SETUP_SIZE);
    return request->length + SETUP_SIZE > (uint32_t)urb->buffer_length ? -EINVAL : 0;
}

int translate_urb(const struct usbdevfs_urb *urb, uint64_t tag, const uint8_t setup[SETUP_SIZE],
                  struct preload_request *request)
{
    int result = 0;

    if ((urb->flags & ~(unsigned)URB_FLAGS) != 0 || urb->buffer_length < 0 ||
        (urb->buffer_length > 0 && urb->buffer == NULL)) {
        return -EINVAL;
    }
    *request = (struct preload_request){.operation = PRELOAD_SUBMIT,
                                        .endpoint = urb->endpoint,
                                        .length = (uint32_t)urb->buffer_length,
                                        .tag = tag};
    request->flags |= urb->flags & USBDEVFS_URB_SHORT_NOT_OK ? PRELOAD_SHORT_NOT_OK : 0;
    request->flags |= urb->flags & USBDEVFS_URB_ZERO_PACKET ? PRELOAD_ZERO_PACKET : 0;
    switch (urb->type) {
    case USBDEVFS_URB_TYPE_CONTROL:
        result = translate_control_urb(urb, setup, request);
        break;
    case USBDEVFS_URB_TYPE_BULK:
        request->type = PRELOAD_BULK;
        break;
    case USBDEVFS_URB_TYPE_INTERRUPT:
        request->type = PRELOAD_INTERRUPT;
        break;
    default:
        return -EINVAL; /* no Photon has isochronous endpoints */
    }
    return result == 0 && request->length > PRELOAD_DATA_MAX ? -ENOMEM : result;
}

/* --- claims --- */

/* The interface of an endpoint, in any of its settings; -1 when there is none. */
static int interface_of_endpoint(const struct preload_handle_info *info, uint8_t address)
{
    const uint8_t *all = info->descriptors;
    size_t length = info->descriptors_length;
    int interface = -1;

    for (size_t at = all[0]; at + 2 <= length && all[at] >= 2 && at + all[at] <= length;
         at += all[at]) {
        if (all[at + 1] == 4 && all[at] >= 9) {
            interface = all[at + 2];
        } else if (all[at + 1] == 5 && all[at] >= 7 && all[at + 2] == address) {
            return interface;
        }
    }
    return -1;
}

/* The interface that a control transfer is about, or -1. */
static int interface_of_setup(const struct preload_handle_info *info, const uint8_t *setup)
{
    int interface = -1;

    if ((setup[0] & TYPE_MASK) == TYPE_VENDOR) {
        return -1;
    }
    if ((setup[0] & RECIPIENT) == TO_INTERFACE) {
        return setup[4];
    }
    if ((setup[0] & RECIPIENT) == TO_ENDPOINT && (setup[4] & ~DIRECTION_IN) != 0) {
        interface = interface_of_endpoint(info, setup[4]);
        if (interface < 0) {
            interface = interface_of_endpoint(info, setup[4] ^ DIRECTION_IN);
        }
    }
    return interface;
}

int translate_claim(const struct preload_handle_info *info, const struct preload_request *request,
                    uint64_t claimed, int *interface)
{
    if (request->type == PRELOAD_CONTROL) {
        *interface = interface_of_setup(info, request->setup);
    } else {
        *interface = interface_of_endpoint(info, request->endpoint);
        if (*interface < 0) {
            return -ENOENT;
        }
    }
    if (*interface >= CLAIMABLE) {
        return -EINVAL;
    }
    if (*interface >= 0 && (claimed >> *interface & 1)) {
        *interface = -1;
    }
    return 0;
}

/* --- requests that are all numbers --- */

static const struct {
    unsigned long ioctl;
    uint16_t operation;
} numbered[] = {
    {USBDEVFS_RESETEP, PRELOAD_RESET_ENDPOINT},
    {USBDEVFS_CLEAR_HALT, PRELOAD_CLEAR_HALT},
    {USBDEVFS_CLAIMINTERFACE, PRELOAD_CLAIM},
    {USBDEVFS_RELEASEINTERFACE, PRELOAD_RELEASE},
    {USBDEVFS_SETINTERFACE, PRELOAD_SET_INTERFACE},
    {USBDEVFS_RESET, PRELOAD_RESET},
    {USBDEVFS_SETCONFIGURATION, PRELOAD_SET_CONFIGURATION},
};

size_t translation_argument(unsigned long ioctl)
{
    return ioctl == USBDEVFS_RESET ? 0 : _IOC_SIZE(ioctl);
}

int translate_numbers(unsigned long ioctl, const void *argument, struct preload_request *request)
{
    const struct usbdevfs_setinterface *setting = argument;
    const unsigned *number = argument;
    size_t row = 0;

    while (row < sizeof numbered / sizeof numbered[0] && numbered[row].ioctl != ioctl) {
        row++;
    }
    if (row == sizeof numbered / sizeof numbered[0]) {
        return -ENOTTY;
    }
    *request = (struct preload_request){.operation = numbered[row].operation};
    switch (request->operation) {
    case PRELOAD_RESET:
        break;
    case PRELOAD_SET_INTERFACE:
        request->number = setting->interface;
        request->length = setting->altsetting;
        break;
    case PRELOAD_SET_CONFIGURATION:
        request->number = *number == ~0U ? 0 : *number;
        break;
    default:
        request->number = *number;
        break;
    }
    bool claims = request->operation == PRELOAD_CLAIM || request->operation == PRELOAD_RELEASE;
    return claims && request->number >= CLAIMABLE ? -EINVAL : 0;
}

uint64_t translation_claims(uint64_t claimed, const struct preload_request *request)
{
    const uint64_t bit = request->number < CLAIMABLE ? UINT64_C(1) << request->number : 0;

    switch (request->operation) {
    case PRELOAD_CLAIM:
    case PRELOAD_DISCONNECT_CLAIM:
    case PRELOAD_SET_INTERFACE:
        return claimed | bit;
    case PRELOAD_RELEASE:
        return claimed & ~bit;
    case PRELOAD_RESET:
        return 0;
    default:
        return claimed;
    }
}

bool translate_driver_ioctl(const struct usbdevfs_ioctl *what, struct preload_request *request,
                            int *result)
{
    if (what->ioctl_code == (int)USBDEVFS_DISCONNECT) {
        *request =
            (struct preload_request){.operation = PRELOAD_DETACH, .number = (uint32_t)what->ifno};
        return true;
    }
    /* There is no driver that would take it. */
    *result = what->ioctl_code == (int)USBDEVFS_CONNECT ? 0 : -ENOTTY;
    return false;
}

void translate_disconnect_claim(const struct usbdevfs_disconnect_claim *what,
                                struct preload_request *request)
{
    *request =
        (struct preload_request){.operation = PRELOAD_DISCONNECT_CLAIM, .number = what->interface};
    request->flags |= what->flags & USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER ? PRELOAD_IF_DRIVER : 0;
    request->flags |=
        what->flags & USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER ? PRELOAD_EXCEPT_DRIVER : 0;
}

/* --- what is known --- */

/* The caller's structure may be shorter or longer than ours. */
static size_t connect_info_ex(const struct preload_handle_info *info, size_t size, uint8_t *out)
{
    const struct usbdevfs_conninfo_ex known = {
        .size = sizeof known,
        .busnum = PRELOAD_BUS,
        .devnum = info->number,
        .speed = info->speed,
        .num_ports = info->position != 0 ? 1 : 0,
        .ports = {(uint8_t)info->position},
    };

    size = size < TRANSLATION_ANSWER ? size : TRANSLATION_ANSWER;
    memset(out, 0, size);
    memcpy(out, &known, size < sizeof known ? size : sizeof known);
    return size;
}

int translation_answer(const struct preload_handle_info *info, unsigned long ioctl,
                       uint8_t out[TRANSLATION_ANSWER], size_t *size)
{
    const struct usbdevfs_connectinfo connect_info = {.devnum = info->number};
    const uint32_t capabilities = CAPABILITIES;

    *size = 0;
    if (_IOC_NR(ioctl) == _IOC_NR(USBDEVFS_CONNINFO_EX(0)) &&
        ioctl == USBDEVFS_CONNINFO_EX(_IOC_SIZE(ioctl))) {
        *size = connect_info_ex(info, _IOC_SIZE(ioctl), out);
        return 0;
    }
    switch (ioctl) {
    case USBDEVFS_CONNECTINFO:
        *size = sizeof connect_info;
        memcpy(out, &connect_info, sizeof connect_info);
        return 0;
    case USBDEVFS_GET_CAPABILITIES:
        *size = sizeof capabilities;
        memcpy(out, &capabilities, sizeof capabilities);
        return 0;
    case USBDEVFS_GET_SPEED:
        return (int)info->speed;
    default:
        return -ENOTTY;
    }
}

/* --- serial ports --- */

int translation_pts(unsigned major_number, unsigned minor_number)
{
    return major_number >= PTS_MAJOR_FIRST && major_number <= PTS_MAJOR_LAST
               ? (int)((major_number - PTS_MAJOR_FIRST) * PTS_PER_MAJOR + minor_number)
               : -1;
}

bool translation_sets_terminal(unsigned long ioctl)
{
    return (ioctl >= TCSETS && ioctl <= TCSETAF && ioctl != TCGETA) ||
           (_IOC_TYPE(ioctl) == 'T' && _IOC_DIR(ioctl) == _IOC_WRITE &&
            _IOC_NR(ioctl) >= TCSETS2_NUMBER && _IOC_NR(ioctl) <= TCSETS2_NUMBER + 2);
}

bool translation_is_modem(unsigned long ioctl)
{
    return ioctl == TIOCMGET || ioctl == TIOCMSET || ioctl == TIOCMBIS || ioctl == TIOCMBIC ||
           ioctl == TIOCSBRK || ioctl == TIOCCBRK;
}

int translation_break_ms(unsigned long ioctl, int number)
{
    if (ioctl == TCSBRKP) {
        return number > 0 && number <= INT_MAX / BREAK_UNIT_MS ? number * BREAK_UNIT_MS
                                                               : TRANSLATION_BREAK_MS;
    }
    return ioctl == TCSBRK && number == 0 ? TRANSLATION_BREAK_MS : -1;
}

static uint32_t to_lines(int bits)
{
    return (bits & TIOCM_DTR ? 1u : 0u) | (bits & TIOCM_RTS ? 2u : 0u);
}

/* "Clear to send" is always set: CDC-ACM cannot tell (Linux drivers/usb/class/cdc-acm.c). */
int translation_modem_bits(uint32_t lines)
{
    return (lines & 1 ? TIOCM_DTR : 0) | (lines & 2 ? TIOCM_RTS : 0) | TIOCM_CTS;
}

void translate_modem(unsigned long ioctl, uint32_t lines, int argument,
                     struct preload_request *request)
{
    int bits = translation_modem_bits(lines);

    request->type = PRELOAD_TTY_SET_LINES;
    switch (ioctl) {
    case TIOCSBRK:
    case TIOCCBRK:
        request->type = PRELOAD_TTY_BREAK;
        request->length = ioctl == TIOCSBRK;
        return;
    case TIOCMBIS:
        bits |= argument & LINES;
        break;
    case TIOCMBIC:
        bits &= ~(argument & LINES);
        break;
    default:
        bits = argument & LINES;
        break;
    }
    request->length = to_lines(bits);
}

bool translation_is_uart(unsigned long ioctl)
{
    return ioctl == TIOCGSERIAL || ioctl == TIOCSSERIAL;
}

/* cdc_acm knows only how its port closes and takes anything else without a word, a divisor for a
 * rate of one's own, too; other closing times are refused as to a user. */
int translation_uart(unsigned long ioctl, int index, struct serial_struct *info)
{
    if (ioctl == TIOCGSERIAL) {
        *info = (struct serial_struct){
            .line = index, .close_delay = CLOSE_DELAY, .closing_wait = CLOSING_WAIT};
        return 0;
    }
    return info->close_delay == CLOSE_DELAY && info->closing_wait == CLOSING_WAIT ? 0 : -EPERM;
}
