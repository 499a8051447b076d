#include "emulator/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "devmodel/flash.h"
#include "emulator/usb_words.h"

/* --- lines --- */

__attribute__((format(printf, 3, 4))) static void line(struct trace *trace, uint64_t time,
                                                       const char *format, ...)
{
    char text[640], name[128] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (trace->name) {
        snprintf(name, sizeof name, "%s: ", trace->name);
    }
    /* One call, so that the line stays whole beside the command's own output. */
    fprintf(trace->out, "%10" PRIu64 ".%03" PRIu64 " ms  %s%s\n", time / BOARD_NS_PER_MS,
            time / BOARD_NS_PER_US % 1000, name, text);
}

struct text {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length < text->left ? (size_t)length : text->left - 1;
    text->at += used;
    text->left -= used;
}

/* --- control transfers --- */

static bool data_is_in(const struct trace *trace)
{
    return (trace->setup[0] & 0x80) && (trace->setup[6] || trace->setup[7]);
}

static bool has_data(const struct trace *trace)
{
    return trace->setup[6] || trace->setup[7];
}

static void add_bytes(struct text *text, const struct trace_stage *stage)
{
    size_t shown = stage->bytes < sizeof stage->head ? stage->bytes : sizeof stage->head;
    if (stage->bytes > sizeof stage->head) {
        add(text, " %zu bytes", stage->bytes);
    }
    for (size_t i = 0; i < shown; i++) {
        add(text, " %02X", stage->head[i]);
    }
    if (stage->bytes > shown) {
        add(text, " ...");
    }
}

static void add_answer(struct text *text, const struct trace *trace,
                       const struct trace_stage *stage)
{
    if (stage->naks) {
        add(text, " NAK");
        if (stage->answered) {
            add(text, ", after %.1f ms",
                (double)(stage->answered_at - stage->first_nak) / (double)BOARD_NS_PER_MS);
        }
    }
    if (!stage->answered) {
        return;
    }
    switch (stage->handshake) {
    case USB_ACK:
        add(text, " ACK");
        break;
    case USB_STALL:
        add(text, " STALL");
        break;
    case USB_SILENT:
        add(text, "%s no answer%s", stage->naks ? "" : ":",
            trace->detached ? " (soft-disconnect)" : "");
        break;
    case USB_NAK:
        break;
    }
}

/* Whether the host has anything to expect of a status stage. */
static bool data_went_wrong(const struct trace *trace)
{
    return trace->data.answered && trace->data.handshake != USB_ACK;
}

static void write_control(struct trace *trace)
{
    char words[640], name[96], command[48];
    struct text text = {words, sizeof words};
    bool in = data_is_in(trace);
    usb_words_request(trace->setup, name, sizeof name);
    add(&text, "%s", name);
    if (usb_words_is_dfu(trace->setup, DFU_DNLOAD) && !trace->setup[2] && !trace->setup[3]) {
        usb_words_dfuse_command(trace->data.head, trace->data.bytes, command, sizeof command);
        add(&text, command[0] ? " (%s)" : "%s", command);
    }
    add(&text, ": SETUP%s", trace->setup_handshake == USB_ACK ? " ACK" : ": no answer");
    if (trace->data.begun) {
        add(&text, ", %s DATA", in ? "IN" : "OUT");
        add_bytes(&text, &trace->data);
        add_answer(&text, trace, &trace->data);
    }
    if (trace->status.begun) {
        add(&text, ", %s status stage", in ? "OUT" : "IN");
        add_answer(&text, trace, &trace->status);
    } else if (trace->setup_handshake == USB_ACK && !data_went_wrong(trace)) {
        add(&text, ", no %s%s",
            has_data(trace) && !trace->data.begun ? "data stage" : "status stage",
            trace->detached ? " (soft-disconnect)" : "");
    }
    line(trace, trace->time, "%s", words);
    trace->open = false;
}

static void write_program(struct trace *trace)
{
    if (trace->program_length) {
        line(trace, trace->program_time, "flash: program 0x%08X, %u bytes", trace->program_address,
             trace->program_length);
        trace->program_length = 0;
    }
}

void trace_flush(struct trace *trace)
{
    if (!trace->out) {
        return;
    }
    write_program(trace);
    if (trace->open) {
        write_control(trace);
    }
    fflush(trace->out);
}

static void begin_control(struct trace *trace, const struct board_event *event)
{
    FILE *out = trace->out;
    const char *name = trace->name;
    *trace = (struct trace){.out = out, .name = name, .open = true, .time = event->time};
    memcpy(trace->setup, event->u.usb.data, sizeof trace->setup);
    trace->setup_handshake = event->u.usb.handshake;
}

static void add_token(struct trace *trace, struct trace_stage *stage,
                      const struct board_event *event)
{
    enum usb_handshake handshake = event->u.usb.handshake;
    stage->begun = true;
    if (handshake == USB_NAK) {
        stage->first_nak = stage->naks++ ? stage->first_nak : event->time;
        return;
    }
    stage->answered = true;
    stage->answered_at = event->time;
    stage->handshake = handshake;
    stage->silences += handshake == USB_SILENT;
    if (handshake == USB_ACK) {
        for (size_t i = 0; i < event->u.usb.length; i++) {
            if (stage->bytes + i < sizeof stage->head) {
                stage->head[stage->bytes + i] = event->u.usb.data[i];
            }
        }
        stage->bytes += event->u.usb.length;
        stage->packets++;
    }
    trace->time = event->time;
}

static void control_token(struct trace *trace, const struct board_event *event)
{
    bool in = event->u.usb.token == USB_TOKEN_IN;
    if (event->u.usb.token == USB_TOKEN_SETUP) {
        trace_flush(trace);
        begin_control(trace, event);
        return;
    }
    if (!trace->open) {
        return;
    }
    bool status = !has_data(trace) || in != data_is_in(trace);
    add_token(trace, status ? &trace->status : &trace->data, event);
    enum usb_handshake handshake = event->u.usb.handshake;
    /* Silence is tried again; the line waits for the last try. */
    if (handshake == USB_STALL || (status && handshake == USB_ACK)) {
        write_control(trace);
    }
}

static void other_token(struct trace *trace, const struct board_event *event)
{
    bool in = event->u.usb.token == USB_TOKEN_IN;
    static const char *const answers[] = {"ACK", "NAK", "STALL", "no answer"};
    struct trace_stage stage = {.bytes = event->u.usb.length};
    char words[160];
    struct text text = {words, sizeof words};
    if (event->u.usb.handshake == USB_NAK) {
        return; /* the host asks all the time */
    }
    for (size_t i = 0; i < sizeof stage.head && i < event->u.usb.length; i++) {
        stage.head[i] = event->u.usb.data[i];
    }
    add_bytes(&text, &stage);
    line(trace, event->time, "endpoint %u %s:%s %s", event->u.usb.endpoint, in ? "IN" : "OUT",
         event->u.usb.length ? words : " no bytes", answers[event->u.usb.handshake]);
}

/* --- the other events --- */

void trace_led_words(const struct led *led, char *text, size_t size)
{
    static const struct {
        uint32_t colour;
        const char *name;
    } colours[] = {
        {0xFF0000, "red"},  {0x00FF00, "green"},   {0x0000FF, "blue"},  {0xFFFF00, "yellow"},
        {0x00FFFF, "cyan"}, {0xFF00FF, "magenta"}, {0xFFFFFF, "white"}, {0xFF6000, "orange"},
    };
    char number[16];
    snprintf(number, sizeof number, "#%06X", led->colour);
    const char *colour = number;
    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++) {
        colour = colours[i].colour == led->colour ? colours[i].name : colour;
    }
    switch (led->pattern) {
    case LED_OFF:
        snprintf(text, size, "off");
        break;
    case LED_SOLID:
        snprintf(text, size, "%s", colour);
        break;
    case LED_TOGGLE:
        snprintf(text, size, "%s, toggles every %u ms", colour, led->period_ms);
        break;
    case LED_BREATHE:
        snprintf(text, size, "%s, breathes in %u ms", colour, led->period_ms);
        break;
    case LED_SOS:
        snprintf(text, size, "%s, SOS and %u blinks", colour, led->code);
        break;
    }
}

static void program(struct trace *trace, const struct board_event *event)
{
    if (trace->program_length &&
        event->u.flash.address == trace->program_address + trace->program_length) {
        trace->program_length += event->u.flash.length;
        return;
    }
    write_program(trace);
    trace->program_time = event->time;
    trace->program_address = event->u.flash.address;
    trace->program_length = event->u.flash.length;
}

static void flash_line(struct trace *trace, const struct board_event *event)
{
    int sector = flash_sector_of(event->u.flash.address);
    if (event->kind == BOARD_EVENT_FLASH_ERASE) {
        line(trace, event->time, "flash: erase sector %d, 0x%08X, %u KiB", sector,
             event->u.flash.address, event->u.flash.length / 1024);
    } else {
        line(trace, event->time, "flash: refused at 0x%08X, %u bytes: %s", event->u.flash.address,
             event->u.flash.length, event->text ? event->text : "no reason given");
    }
}

static void simple_line(struct trace *trace, const struct board_event *event)
{
    char words[96];
    const char *text = event->text ? event->text : "";
    switch (event->kind) {
    case BOARD_EVENT_POWER:
        line(trace, event->time, "power %s", event->u.value ? "on" : "off");
        break;
    case BOARD_EVENT_RESET:
        line(trace, event->time, "reset: %s", text);
        break;
    case BOARD_EVENT_BOOT:
        line(trace, event->time, "boot: %s", text);
        break;
    case BOARD_EVENT_LED:
        trace_led_words(&event->u.led, words, sizeof words);
        line(trace, event->time, "LED: %s", words);
        break;
    case BOARD_EVENT_FLASH_PROTECT:
        line(trace, event->time, "option bytes: nWRP 0x%03" PRIX64, event->u.value);
        break;
    case BOARD_EVENT_BACKUP:
        line(trace, event->time, "backup register DR%u = 0x%08X", (unsigned)(event->u.value >> 32),
             (uint32_t)event->u.value);
        break;
    case BOARD_EVENT_DFU:
        line(trace, event->time, "DFU: %s -> %s%s", usb_words_dfu_state(event->u.dfu.from),
             usb_words_dfu_state(event->u.dfu.to), event->u.dfu.status ? ", status not OK" : "");
        break;
    case BOARD_EVENT_USB_ATTACH:
        line(trace, event->time, "USB: on the bus (pull-up on)");
        break;
    case BOARD_EVENT_USB_DETACH:
        line(trace, event->time, "USB: off the bus (soft-disconnect, pull-up off)");
        break;
    case BOARD_EVENT_USB_BUS_RESET:
        line(trace, event->time, "USB: bus reset");
        break;
    case BOARD_EVENT_HANG:
        line(trace, event->time, "dead until reset: %s", text);
        break;
    default:
        flash_line(trace, event);
    }
}

/* A transfer that the board left cannot go on once anything but its own tokens happens. */
static bool ends_control(const struct trace *trace, const struct board_event *event)
{
    switch (event->kind) {
    case BOARD_EVENT_POWER:
    case BOARD_EVENT_RESET:
    case BOARD_EVENT_USB_ATTACH:
    case BOARD_EVENT_USB_BUS_RESET:
        return true;
    default:
        return trace->status.silences > 0 || trace->data.silences > 0;
    }
}

void trace_event(struct trace *trace, const struct board_event *event)
{
    if (!trace->out) {
        return;
    }
    if (event->kind != BOARD_EVENT_FLASH_PROGRAM) {
        write_program(trace);
    }
    if (event->kind == BOARD_EVENT_USB_TRANSACTION) {
        if (event->u.usb.endpoint == 0) {
            control_token(trace, event);
        } else {
            other_token(trace, event);
        }
        return;
    }
    if (trace->open && ends_control(trace, event)) {
        write_control(trace);
    }
    trace->detached = trace->detached || (trace->open && event->kind == BOARD_EVENT_USB_DETACH);
    if (event->kind == BOARD_EVENT_FLASH_PROGRAM) {
        program(trace, event);
    } else {
        simple_line(trace, event);
    }
}
