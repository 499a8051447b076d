#include "emulator/rehearsal.h"

#include <string.h>

#include "emulator/key_maker.h"
#include "usb-gadget/enumerate.h"

/* Long enough for a start with every erase that it may need and for two watchdogs. */
#define REHEARSAL_NS (20 * BOARD_NS_PER_S)
/* Nothing planned for so long: at rest. */
#define REST_NS (6 * BOARD_NS_PER_S)

static void note(void *context, const struct board_event *event)
{
    struct rehearsal *rehearsal = context;
    bool tells = event->kind == BOARD_EVENT_BOOT || event->kind == BOARD_EVENT_HANG ||
                 (event->kind == BOARD_EVENT_RESET && event->time > 0);
    rehearsal->hung =
        event->kind == BOARD_EVENT_HANG || (rehearsal->hung && event->kind != BOARD_EVENT_RESET);
    if (tells && rehearsal->count < REHEARSAL_LINES_MAX) {
        rehearsal->lines[rehearsal->count].time_ms = (double)event->time / (double)BOARD_NS_PER_MS;
        rehearsal->lines[rehearsal->count].text = event->text ? event->text : "";
        rehearsal->count++;
    }
}

static void let_it_run(struct board *board)
{
    while (board->now < REHEARSAL_NS) {
        uint64_t due = board->ops->next_deadline(board);
        uint64_t ready = board->ops->ready_at(board);
        uint64_t next = ready > board->now && ready < due ? ready : due;
        if (next == BOARD_NEVER || next > board->now + REST_NS) {
            break;
        }
        board_advance_to(board, next > board->now ? next : board->now + 1);
    }
}

static void ask_who(struct rehearsal *rehearsal, struct board *board)
{
    static const uint8_t get_device_descriptor[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    struct root_port port;
    uint8_t device[18];
    size_t length = sizeof device;
    root_port_init(&port, board, true);
    root_port_bus_reset(&port);
    /* An unaddressed Photon gives 8 bytes only. */
    static const uint8_t set_address[8] = {0, 5, 2, 0, 0, 0, 0, 0};
    if (control_transfer(&port, set_address, NULL, NULL) == TRANSFER_OK &&
        control_transfer(&port, get_device_descriptor, device, &length) == TRANSFER_OK &&
        length == sizeof device) {
        rehearsal->vendor = (uint16_t)(device[8] | device[9] << 8);
        rehearsal->product = (uint16_t)(device[10] | device[11] << 8);
    }
}

bool rehearse(struct rehearsal *rehearsal, const struct device_identity *identity,
              const struct flash *flash)
{
    struct photon_config config = {.keygen = key_maker};
    *rehearsal = (struct rehearsal){0};
    memcpy(config.device_id, identity->id, sizeof config.device_id);
    memcpy(config.mac, identity->mac, sizeof config.mac);
    struct flash *copy = flash_clone(flash);
    struct board *board = copy ? photon_new(&config, copy) : NULL;
    if (!board) {
        flash_free(copy);
        return false;
    }
    board_observe(board, note, rehearsal);
    board->ops->power(board, true);
    let_it_run(board);
    board_observe(board, NULL, NULL);
    rehearsal->led = board->ops->led(board);
    rehearsal->attached = board->ops->attached(board);
    if (rehearsal->attached) {
        ask_who(rehearsal, board);
    }
    board->ops->destroy(board);
    return true;
}

json_t *rehearsal_json(const struct rehearsal *rehearsal)
{
    char led[96];
    json_t *lines = json_array();
    for (size_t i = 0; i < rehearsal->count; i++) {
        json_array_append_new(lines, json_pack("{s:f, s:s}", "time_ms", rehearsal->lines[i].time_ms,
                                               "text", rehearsal->lines[i].text));
    }
    trace_led_words(&rehearsal->led, led, sizeof led);
    return json_pack("{s:o, s:s, s:b, s:b, s:i, s:i}", "events", lines, "led", led, "attached",
                     rehearsal->attached, "hung", rehearsal->hung, "vendor", rehearsal->vendor,
                     "product", rehearsal->product);
}
