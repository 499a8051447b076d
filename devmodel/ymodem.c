#include "ymodem.h"

#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "update.h"

#define SOH           0x01
#define STX           0x02
#define EOT           0x04
#define ACK           0x06
#define NAK           0x15
#define CAN           0x18
#define CRC16         'C'

#define PACKET_CRC    2
#define ERRORS_MAX    5
#define SIZE_TEXT_MAX 16
/* Sent where the receiver itself gives up. */
#define CANCELS    2

#define FAILED     "Failed to receive the file!"
#define ABORTED    "Aborted by user."

#define SETTLE_NS  (1000 * BOARD_NS_PER_MS)
#define RESTART_NS (100 * BOARD_NS_PER_MS)

static struct ymodem *receiver(struct photon *photon)
{
    return &photon->system.ymodem;
}

static void say(struct photon *photon, uint8_t byte)
{
    if (!receiver(photon)->deaf) {
        terminal_write(photon, &byte, 1);
    }
}

static void say_text(struct photon *photon, const char *text)
{
    if (!receiver(photon)->deaf) {
        terminal_write_text(photon, text);
    }
}

static void say_cancel(struct photon *photon, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        say(photon, CAN);
    }
}

static void wait_for_byte(struct photon *photon)
{
    uint64_t timeout = photon->system.quirks->ymodem_timeout_ms * BOARD_NS_PER_MS;

    engine_set_timer(photon, TIMER_YMODEM, cpu_now(photon) + timeout);
}

static void light(struct photon *photon, bool on)
{
    receiver(photon)->lit = on;
    engine_led(photon, on ? LED_SOLID : LED_OFF, on ? LED_MAGENTA : 0, 0);
}

void ymodem_begin(struct photon *photon, bool deaf)
{
    memset(receiver(photon), 0, sizeof(struct ymodem));
    receiver(photon)->active = true;
    receiver(photon)->deaf = deaf;
    engine_boot_event(photon, "YMODEM receiver runs");
    if (!photon->system.listening.on) {
        light(photon, true);
    }
    wait_for_byte(photon);
}

/* --- ends --- */

static void end(struct photon *photon)
{
    receiver(photon)->active = false;
    engine_stop_timer(photon, TIMER_YMODEM);
    listening_led(photon);
}

static void fail(struct photon *photon, const char *text)
{
    say_cancel(photon, photon->system.quirks->ymodem_end_cancels);
    say_text(photon, text);
    say_text(photon, "\r\n");
    end(photon);
}

static void cancel(struct photon *photon, const char *text)
{
    say_cancel(photon, CANCELS);
    fail(photon, text);
}

static const char *store_failure(const struct photon *photon)
{
    return photon->system.quirks->update_check == UPDATE_CHECKED_LATER ? "Verification failed!"
                                                                       : "Failed to save chunk!";
}

/* The receiver returns the announced size, or why it gave up, in one signed number: sizes from 2
 * GiB on mean failures. */
static const char *size_failure(const struct photon *photon)
{
    switch (photon->system.ymodem.size) {
    case (uint32_t)-1:
        return "The file size is higher than the allowed space memory!";
    case (uint32_t)-2:
        return store_failure(photon);
    case (uint32_t)-3:
        return ABORTED;
    default:
        return FAILED;
    }
}

static void succeed(struct photon *photon)
{
    struct ymodem *ymodem = receiver(photon);
    char text[YMODEM_NAME_MAX + 96];

    snprintf(text, sizeof(text),
             "\r\nDownloaded file successfully!\r\nName: %s\r\nSize: %lu bytes\r\n", ymodem->name,
             (unsigned long)ymodem->size);
    say_text(photon, text);
    ymodem->stage = YMODEM_SETTLES;
    engine_set_timer(photon, TIMER_YMODEM, cpu_now(photon) + SETTLE_NS);
}

/* From 0.7.0 on the module is checked and stored before the sender gets its last ACK. */
static void finish_checked(struct photon *photon)
{
    enum update_verdict verdict = update_finish(photon);

    if (photon->life != LIFE_SYSTEM) {
        return;
    }
    if (verdict == UPDATE_OK) {
        say(photon, ACK);
        succeed(photon);
    } else if (photon->system.quirks->update_check == UPDATE_CHECKED_AND_RESET) {
        engine_reset(photon, CAUSE_SOFTWARE, "update refused");
    } else {
        char text[32];

        snprintf(text, sizeof(text), "Validation failed: 0x%x", update_failures(photon));
        fail(photon, text);
    }
}

static void end_session(struct photon *photon)
{
    bool checked_later = photon->system.quirks->update_check == UPDATE_CHECKED_LATER;
    uint32_t size = receiver(photon)->size;

    if (checked_later) {
        say(photon, ACK);
    }
    if (size == 0 || size > INT32_MAX) {
        fail(photon, size_failure(photon));
    } else if (checked_later) {
        succeed(photon);
    } else {
        finish_checked(photon);
    }
}

/* A second after success. */
static void settled(struct photon *photon)
{
    const struct system_quirks *quirks = photon->system.quirks;

    if (quirks->update_check == UPDATE_CHECKED_LATER) {
        (void)update_finish(photon);
    }
    if (photon->life != LIFE_SYSTEM) {
        return;
    }
    listening_led(photon);
    if (!quirks->restart_text) {
        engine_reset(photon, CAUSE_SOFTWARE, "update finished");
        return;
    }
    say_text(photon, "Restarting system to apply firmware update...\r\n");
    receiver(photon)->stage = YMODEM_RESTARTS;
    engine_set_timer(photon, TIMER_YMODEM, cpu_now(photon) + RESTART_NS);
}

/* --- packets --- */

static void count_error(struct photon *photon)
{
    struct ymodem *ymodem = receiver(photon);

    ymodem->received = 0;
    ymodem->expected = 0;
    ymodem->cancelling = false;
    if (!ymodem->begun && !photon->system.quirks->ymodem_asks) {
        return;
    }
    ymodem->errors++;
    say(photon, CRC16);
    if (ymodem->errors > ERRORS_MAX) {
        cancel(photon, FAILED);
    }
}

/* The size follows the name's NUL. It is read as C's strtoul() reads its 16 characters, or those up
 * to a blank or NUL: with a sign, and no further than the largest number. */
static uint32_t parse_size(const uint8_t *text, size_t length)
{
    size_t end = length < SIZE_TEXT_MAX ? length : SIZE_TEXT_MAX;
    uint64_t size = 0;
    bool negative = false;
    size_t i = 0;

    while (i < end && text[i] >= '\t' && text[i] <= '\r') {
        i++;
    }
    if (i < end && (text[i] == '+' || text[i] == '-')) {
        negative = text[i++] == '-';
    }
    for (; i < end && text[i] >= '0' && text[i] <= '9'; i++) {
        size = size * 10 + (uint64_t)(text[i] - '0');
    }
    if (size > UINT32_MAX) {
        return UINT32_MAX;
    }
    return negative ? 0U - (uint32_t)size : (uint32_t)size;
}

static void open_file(struct photon *photon, const uint8_t *data, size_t length)
{
    struct ymodem *ymodem = receiver(photon);
    size_t name = strnlen((const char *)data, length < YMODEM_NAME_MAX ? length : YMODEM_NAME_MAX);

    memcpy(ymodem->name, data, name);
    ymodem->name[name] = '\0';
    ymodem->size = name < length ? parse_size(data + name + 1, length - name - 1) : 0;
    ymodem->offset = 0;
    ymodem->in_file = true;
    ymodem->sequence = 1;
    light(photon, true);
    update_begin(photon, ymodem->size);
    say(photon, ACK);
    say(photon, CRC16);
}

static void store(struct photon *photon, const uint8_t *data, size_t length)
{
    struct ymodem *ymodem = receiver(photon);
    bool stored = update_store(photon, ymodem->offset, data, length);

    if (photon->life != LIFE_SYSTEM) {
        return;
    }
    if (!stored) {
        cancel(photon, store_failure(photon));
        return;
    }
    ymodem->offset += (uint32_t)length;
    ymodem->sequence++;
    light(photon, !ymodem->lit);
    say(photon, ACK);
}

static void take_packet(struct photon *photon)
{
    struct ymodem *ymodem = receiver(photon);
    const uint8_t *data = ymodem->packet + YMODEM_HEADER;
    size_t length = (size_t)ymodem->expected - YMODEM_HEADER - PACKET_CRC;

    if ((ymodem->packet[1] ^ ymodem->packet[2]) != 0xFF) {
        count_error(photon);
        return;
    }
    ymodem->received = 0;
    ymodem->expected = 0;
    ymodem->errors = 0;
    if (ymodem->packet[1] != ymodem->sequence) {
        say(photon, NAK);
        return;
    }
    ymodem->begun = true;
    if (ymodem->in_file) {
        store(photon, data, length);
    } else if (data[0] != 0) {
        open_file(photon, data, length);
    } else {
        end_session(photon);
    }
}

static void begin_packet(struct photon *photon, uint8_t byte, size_t data)
{
    struct ymodem *ymodem = receiver(photon);

    ymodem->packet[0] = byte;
    ymodem->received = 1;
    ymodem->expected = (uint16_t)(YMODEM_HEADER + data + PACKET_CRC);
}

static void end_of_file(struct photon *photon)
{
    struct ymodem *ymodem = receiver(photon);

    ymodem->in_file = false;
    ymodem->sequence = 0;
    ymodem->errors = 0;
    say(photon, ACK);
}

/* The first byte of what the sender has to say. */
static void first_byte(struct photon *photon, uint8_t byte)
{
    switch (byte) {
    case SOH:
        begin_packet(photon, byte, 128);
        break;
    case STX:
        begin_packet(photon, byte, YMODEM_DATA_MAX);
        break;
    case EOT:
        end_of_file(photon);
        break;
    case CAN:
        receiver(photon)->cancelling = true;
        break;
    case 'a':
    case 'A':
        cancel(photon, ABORTED);
        break;
    case ' ':
        if (photon->system.quirks->ymodem_asks) {
            say(photon, ACK);
            break;
        }
        count_error(photon);
        break;
    default:
        count_error(photon);
        break;
    }
}

static void take_byte(struct photon *photon, uint8_t byte)
{
    struct ymodem *ymodem = receiver(photon);

    if (ymodem->expected > 0) {
        ymodem->packet[ymodem->received++] = byte;
        if (ymodem->received == ymodem->expected) {
            take_packet(photon);
        }
    } else if (ymodem->cancelling && byte == CAN) {
        say(photon, ACK);
        fail(photon, FAILED);
    } else if (ymodem->cancelling) {
        count_error(photon);
    } else {
        first_byte(photon, byte);
    }
}

bool ymodem_step(struct photon *photon)
{
    struct ymodem *ymodem = receiver(photon);
    int byte = ymodem->deaf || ymodem->stage != YMODEM_PACKETS ? -1 : cdc_read(&photon->system.cdc);

    if (byte < 0) {
        return false;
    }
    take_byte(photon, (uint8_t)byte);
    if (photon->life == LIFE_SYSTEM && ymodem->active && ymodem->stage == YMODEM_PACKETS) {
        wait_for_byte(photon);
    }
    return true;
}

void ymodem_timer(struct photon *photon)
{
    switch (receiver(photon)->stage) {
    case YMODEM_PACKETS:
        wait_for_byte(photon);
        count_error(photon);
        break;
    case YMODEM_SETTLES:
        settled(photon);
        break;
    case YMODEM_RESTARTS:
        engine_reset(photon, CAUSE_SOFTWARE, "update finished");
        break;
    }
}
