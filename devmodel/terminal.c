#include "terminal.h"

#include <string.h>

#include "engine.h"

#define PAUSE_NS BOARD_NS_PER_MS

static bool paced(const struct terminal *terminal, uint16_t at)
{
    return (terminal->paced[at / 8] >> (at % 8) & 1) != 0;
}

static void set_paced(struct terminal *terminal, uint16_t at, bool on)
{
    uint8_t bit = (uint8_t)(1U << (at % 8));

    if (on) {
        terminal->paced[at / 8] |= bit;
    } else {
        terminal->paced[at / 8] &= (uint8_t)~bit;
    }
}

static void queue(struct photon *photon, const void *data, size_t length, bool with_pauses)
{
    struct terminal *terminal = &photon->system.terminal;
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length && terminal->tail < TERMINAL_QUEUE; i++) {
        set_paced(terminal, terminal->tail, with_pauses);
        terminal->bytes[terminal->tail++] = bytes[i];
    }
    (void)terminal_idle(photon);
}

void terminal_print(struct photon *photon, const char *text)
{
    queue(photon, text, strlen(text), photon->system.quirks->slow_output);
}

void terminal_write(struct photon *photon, const void *data, size_t length)
{
    queue(photon, data, length, false);
}

void terminal_write_text(struct photon *photon, const char *text)
{
    terminal_write(photon, text, strlen(text));
}

bool terminal_idle(struct photon *photon)
{
    struct terminal *terminal = &photon->system.terminal;

    while (cpu_now(photon) >= terminal->pause_ends && terminal->head < terminal->tail) {
        if (cdc_write(&photon->system.cdc, &terminal->bytes[terminal->head], 1) == 0) {
            return false;
        }
        if (paced(terminal, terminal->head)) {
            terminal->pause_ends = cpu_now(photon) + PAUSE_NS;
        }
        terminal->head++;
    }
    if (cpu_now(photon) < terminal->pause_ends) {
        engine_set_timer(photon, TIMER_TERMINAL, terminal->pause_ends);
        return false;
    }
    terminal->head = 0;
    terminal->tail = 0;
    return true;
}
