#include "console.h"

#include <stdio.h>
#include <string.h>

#include "diagnostics.h"
#include "engine.h"
#include "module_list.h"
#include "release.h"

#define SOH             0x01
#define STX             0x02
#define BACKSPACE       0x08
#define DELETE          0x7F

#define CLAIM_CODE_SIZE 63
#define CLAIMED         '1'

void console_reset(struct photon *photon)
{
    photon->system.console.task = CONSOLE_COMMANDS;
}

void console_done(struct photon *photon)
{
    console_reset(photon);
    if (photon->system.listening.on) {
        listening_led(photon);
    }
}

/* --- lines --- */

void console_ask(struct photon *photon, const struct question *question)
{
    struct console *console = &photon->system.console;

    console->question = question;
    console->length = 0;
    console->task = CONSOLE_READS;
    terminal_print(photon, question->prompt);
}

static void end_line(struct photon *photon)
{
    struct console *console = &photon->system.console;

    console->line[console->length] = '\0';
    console->task = CONSOLE_READ;
    terminal_print(photon, "\r\n");
}

/* Takes one character of a line. False when there is none. */
static bool read_character(struct photon *photon)
{
    struct console *console = &photon->system.console;
    int byte = cdc_read(&photon->system.cdc);
    char character = (char)byte;

    if (byte < 0) {
        return false;
    }
    if (byte == '\r' || byte == '\n' || console->length == console->question->limit) {
        end_line(photon);
        return true;
    }
    if (byte == BACKSPACE || byte == DELETE) {
        if (console->length == 0) {
            return true;
        }
        console->length--;
    } else {
        console->line[console->length++] = character;
    }
    terminal_write(photon, &character, 1);
    return true;
}

/* What was typed ahead of the next prompt is lost. */
static void answer(struct photon *photon)
{
    struct console *console = &photon->system.console;

    cdc_flush_input(&photon->system.cdc);
    console->question->answered(photon);
}

/* --- commands --- */

static void print_id(struct photon *photon)
{
    char digits[2 * PHOTON_ID_SIZE + 1];

    for (size_t i = 0; i < PHOTON_ID_SIZE; i++) {
        snprintf(digits + 2 * i, 3, "%02x", photon->config.device_id[i]);
    }
    terminal_print(photon, "Your device id is ");
    terminal_print(photon, digits);
    terminal_print(photon, "\r\n");
}

static void print_mac(struct photon *photon)
{
    const uint8_t *mac = photon->config.mac;
    char text[64];

    snprintf(text, sizeof(text), "Your %s MAC address is\r\n%02x:%02x:%02x:%02x:%02x:%02x\r\n",
             photon->system.quirks->mac_says_core ? "core" : "device", mac[0], mac[1], mac[2],
             mac[3], mac[4], mac[5]);
    terminal_print(photon, text);
}

static void print_modules(struct photon *photon)
{
    const struct system_quirks *quirks = photon->system.quirks;
    char text[MODULE_JSON_MAX];
    size_t length = module_list_json(photon->flash, quirks, text);

    terminal_print(photon, quirks->json_braces ? "{" : "");
    terminal_write(photon, text, length);
    terminal_print(photon, quirks->json_braces ? "}\r\n" : "\r\n");
}

static void print_version(struct photon *photon)
{
    const struct release *release = release_of_system(photon->system.part2.version);
    char text[64];

    snprintf(text, sizeof(text), "system firmware version: %s\n\r\n",
             release != NULL ? release->name : releases[0].name);
    terminal_write_text(photon, text);
}

static void print_diagnostics(struct photon *photon)
{
    char text[DIAGNOSTICS_MAX];

    diagnostics_json(photon, text);
    terminal_print(photon, text);
    terminal_print(photon, "\r\n");
}

static void print_claimed(struct photon *photon)
{
    char claimed = 0;

    system_read_dct(photon, DCT_CLAIMED, &claimed, 1);
    terminal_print(photon,
                   claimed == CLAIMED ? "Device claimed: yes\r\n" : "Device claimed: no\r\n");
}

static void set_claim_code(struct photon *photon)
{
    struct console *console = &photon->system.console;
    char text[CLAIM_CODE_SIZE + 64];

    console_done(photon);
    if (console->length != CLAIM_CODE_SIZE) {
        terminal_print(photon,
                       "Sorry, claim code is not 63 characters long. Claim code unchanged.\r\n");
        return;
    }
    if (system_write_dct(photon, DCT_CLAIM_CODE, console->line, CLAIM_CODE_SIZE)) {
        snprintf(text, sizeof(text), "Claim code set to: %s\r\n", console->line);
        terminal_print(photon, text);
    }
}

static void ask_claim_code(struct photon *photon)
{
    static const struct question question = {"Enter 63-digit claim code: ", CLAIM_CODE_SIZE,
                                             set_claim_code};

    console_ask(photon, &question);
}

static void receive_file(struct photon *photon)
{
    const struct system_quirks *quirks = photon->system.quirks;

    if (quirks->ymodem_prompt) {
        terminal_write_text(photon,
                            "Waiting for the binary file to be sent ... (press 'a' to abort)\r\n");
    }
    ymodem_begin(photon, quirks->ymodem_broken);
}

static void leave(struct photon *photon)
{
    listening_leave(photon, 0);
}

static void listen_after_reset(struct photon *photon)
{
    engine_backup(photon, BACKUP_OTA, BACKUP_OTA_LISTEN);
    engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_SAFE_MODE);
    engine_reset(photon, CAUSE_SOFTWARE, "safe mode and listening requested");
}

struct command {
    char letter;
    bool (*known)(const struct system_quirks *quirks); /* NULL: to all releases */
    void (*run)(struct photon *photon);
};

static bool has_version(const struct system_quirks *quirks)
{
    return quirks->has_version;
}

static bool has_listen_reset(const struct system_quirks *quirks)
{
    return quirks->has_listen_reset;
}

static bool has_claim(const struct system_quirks *quirks)
{
    return quirks->has_claim;
}

static bool has_diagnostics(const struct system_quirks *quirks)
{
    return quirks->has_diagnostics;
}

static const struct command commands[] = {
    {'i', NULL, print_id},
    {'m', NULL, print_mac},
    {'s', NULL, print_modules},
    {'v', has_version, print_version},
    {'w', NULL, console_wifi},
    {'f', NULL, receive_file},
    {'x', NULL, leave},
    {'L', has_listen_reset, listen_after_reset},
    {'c', has_claim, print_claimed},
    {'C', has_claim, ask_claim_code},
    {'d', has_diagnostics, print_diagnostics},
};

/* Takes one letter; what is no command is swallowed. False when there is none. */
static bool obey(struct photon *photon)
{
    const struct system_quirks *quirks = photon->system.quirks;
    int byte = cdc_peek(&photon->system.cdc);

    if (byte < 0) {
        return false;
    }
    if ((byte == SOH || byte == STX) && quirks->starts_on_header) {
        ymodem_begin(photon, false);
        return true;
    }
    (void)cdc_read(&photon->system.cdc);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].letter == byte &&
            (commands[i].known == NULL || commands[i].known(quirks))) {
            commands[i].run(photon);
            break;
        }
    }
    return true;
}

bool console_step(struct photon *photon)
{
    if (!photon->system.listening.on || photon->system.listening.clearing) {
        return false;
    }
    switch (photon->system.console.task) {
    case CONSOLE_COMMANDS:
        return obey(photon);
    case CONSOLE_READS:
        return read_character(photon);
    case CONSOLE_READ:
        answer(photon);
        return true;
    case CONSOLE_SAVES:
        console_wifi_save(photon);
        return true;
    case CONSOLE_SAYS_BYE:
        console_wifi_bye(photon);
        return true;
    }
    return false;
}
