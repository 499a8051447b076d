/*
 * The listening-mode console: one letter a command, some of which ask questions.
 *
 * Everything that waits (for a line, for the port to take text, for a pause to end) is a state; the
 * system's loop calls console_step() when the terminal is idle. Source: device-os v0.4.4
 * system/src/wifi_credentials_reader.cpp; v0.5.2, v0.6.0, v1.5.0, v2.2.0
 * system/src/system_setup.cpp; 0.5.2 and 2.2.0 recorded byte for byte.
 */
#ifndef PHOTON_CONSOLE_H
#define PHOTON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wifi.h"

struct photon;

/* The longest line: a Wi-Fi password. */
#define CONSOLE_LINE WIFI_KEY_MAX

/* A prompt and what becomes of the answer. */
struct question {
    const char *prompt;
    uint8_t limit; /* characters; one more ends the line */
    /* Called when the line has ended; asks the next question or none. */
    void (*answered)(struct photon *photon);
};

enum console_task {
    CONSOLE_COMMANDS, /* waits for a letter */
    CONSOLE_READS,    /* a line */
    CONSOLE_READ,     /* the line's end has been echoed */
    CONSOLE_SAVES,    /* the user has been asked to wait while credentials are saved */
    CONSOLE_SAYS_BYE  /* they are; listening ends */
};

struct console {
    enum console_task task;
    const struct question *question;
    uint8_t length;
    char line[CONSOLE_LINE + 1];
    struct wifi_profile profile; /* what `w` has gathered */
    bool cipher_known;           /* from a scan */
    uint8_t eap_type;
};

/* Back to the commands, whatever was asked. */
void console_reset(struct photon *photon);
/* Does the next thing. False when it must wait: for the host, or for listening mode. */
bool console_step(struct photon *photon);

/* For dialogues: prints the prompt and reads a line, or waits for the next command. */
void console_ask(struct photon *photon, const struct question *question);
void console_done(struct photon *photon);

/* --- console_wifi.c --- */

/* The `w` dialogue. */
void console_wifi(struct photon *photon);
/* CONSOLE_SAVES and CONSOLE_SAYS_BYE, once the text is out. */
void console_wifi_save(struct photon *photon);
void console_wifi_bye(struct photon *photon);

#endif
