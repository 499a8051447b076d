#include "emulator/report.h"

#include "emulator/trace.h"
#include "emulator/usb_words.h"

static void add_moment(struct report_moments *moments, const struct board_event *event)
{
    /* The last place always holds the latest. */
    size_t at =
        moments->count < REPORT_MOMENTS_MAX ? (size_t)moments->count : REPORT_MOMENTS_MAX - 1;
    moments->first[at] = (struct report_moment){event->time, event->text ? event->text : ""};
    moments->count++;
}

static void count_transaction(struct report *report, const struct board_event *event)
{
    report->control_transfers += event->u.usb.token == USB_TOKEN_SETUP;
    report->stalls += event->u.usb.handshake == USB_STALL;
    report->unanswered += event->u.usb.handshake == USB_SILENT;
}

void report_event(struct report *report, const struct board_event *event)
{
    switch (event->kind) {
    case BOARD_EVENT_USB_TRANSACTION:
        count_transaction(report, event);
        break;
    case BOARD_EVENT_FLASH_ERASE:
        report->erases++;
        break;
    case BOARD_EVENT_FLASH_PROGRAM:
        report->program_bytes += event->u.flash.length;
        break;
    case BOARD_EVENT_FLASH_REFUSED:
        report->refused++;
        break;
    case BOARD_EVENT_FLASH_PROTECT:
        report->protections++;
        break;
    case BOARD_EVENT_DFU:
        report->dfu_errors += event->u.dfu.to == DFU_STATE_ERROR;
        break;
    case BOARD_EVENT_USB_ATTACH:
        report->attaches++;
        report->attached = true;
        break;
    case BOARD_EVENT_USB_DETACH:
        report->detaches++;
        report->attached = false;
        break;
    case BOARD_EVENT_USB_BUS_RESET:
        report->bus_resets++;
        break;
    case BOARD_EVENT_POWER:
        report->powered = event->u.value != 0;
        break;
    case BOARD_EVENT_RESET:
        add_moment(&report->resets, event);
        break;
    case BOARD_EVENT_HANG:
        add_moment(&report->hangs, event);
        break;
    case BOARD_EVENT_BOOT:
        add_moment(&report->boots, event);
        break;
    case BOARD_EVENT_LED:
        report->led = event->u.led;
        break;
    case BOARD_EVENT_BACKUP:
        break;
    }
}

const char *report_last_boot(const struct report *report)
{
    uint64_t count = report->boots.count;
    if (count == 0) {
        return NULL;
    }
    return report->boots.first[count < REPORT_MOMENTS_MAX ? count - 1 : REPORT_MOMENTS_MAX - 1]
        .text;
}

static json_t *moments_json(const struct report_moments *moments)
{
    json_t *list = json_array();
    uint64_t kept = moments->count < REPORT_MOMENTS_MAX ? moments->count : REPORT_MOMENTS_MAX;
    for (uint64_t i = 0; i < kept; i++) {
        const struct report_moment *moment = &moments->first[i];
        json_array_append_new(list, json_pack("{s:f, s:s}", "time_ms",
                                              (double)moment->time / (double)BOARD_NS_PER_MS,
                                              "text", moment->text));
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)moments->count, "list", list);
}

json_t *report_modules_json(const struct flash_view *view)
{
    json_t *modules = json_object();
    for (int i = 0; i < VIEW_REGIONS; i++) {
        json_object_set_new(modules, view_region_name((enum view_region)i),
                            flash_view_module_json(&view->modules[i]));
    }
    return json_pack("{s:s?, s:s?, s:o}", "release", view->release, "bootloader", view->bootloader,
                     "modules", modules);
}

static json_t *usb_json(const struct report *report)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "attaches", (json_int_t)report->attaches,
                     "detaches", (json_int_t)report->detaches, "bus_resets",
                     (json_int_t)report->bus_resets, "control_transfers",
                     (json_int_t)report->control_transfers, "stalls", (json_int_t)report->stalls,
                     "unanswered", (json_int_t)report->unanswered);
}

static json_t *flash_json(const struct report *report)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "erases", (json_int_t)report->erases, "program_bytes",
                     (json_int_t)report->program_bytes, "refused", (json_int_t)report->refused,
                     "option_byte_writes", (json_int_t)report->protections);
}

json_t *report_json(const struct report *report)
{
    char led[96];
    trace_led_words(&report->led, led, sizeof led);
    return json_pack("{s:o, s:o, s:{s:I}, s:o, s:o, s:o, s:s?, s:s, s:b, s:b}", "flash",
                     flash_json(report), "usb", usb_json(report), "dfu", "errors",
                     (json_int_t)report->dfu_errors, "resets", moments_json(&report->resets),
                     "hangs", moments_json(&report->hangs), "boots", moments_json(&report->boots),
                     "last_boot", report_last_boot(report), "led", led, "powered", report->powered,
                     "attached", report->attached);
}
