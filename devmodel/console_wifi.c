/*
 * `w`: asks for a network and its password, and saves them. Three generations of the dialogue:
 * 0.4.5 and older ask for no cipher, 0.4.6 does for the one of a network that it does not see, 0.7
 * leaves out the security of those it sees, too.
 */
#include <string.h>

#include "console.h"
#include "engine.h"

#define MS BOARD_NS_PER_MS

/* From the last character to the end of listening mode. */
#define BYE_NS             (150 * MS)
#define PASSWORD_TOGGLE_MS 100
#define USERNAME_MAX       64

#define EAP_TLS            1

static enum wifi_dialogue generation(const struct photon *photon)
{
    return photon->system.quirks->wifi;
}

static bool scans(const struct photon *photon)
{
    return generation(photon) >= WIFI_SCANNING;
}

static bool enterprise(const struct wifi_profile *profile)
{
    return profile->security >= WIFI_WPA_ENTERPRISE;
}

static void thank(struct photon *photon)
{
    photon->system.console.task = CONSOLE_SAVES;
    terminal_print(photon, "Thanks! Wait while I save those credentials...\r\n\r\n");
}

/* --- the LED --- */

static void freeze_led(struct photon *photon)
{
    if (photon->system.quirks->wifi_freezes_led) {
        engine_led(photon, LED_SOLID, LED_BLUE, 0);
    }
}

static void hurry_led(struct photon *photon)
{
    if (photon->system.quirks->wifi_freezes_led) {
        engine_led(photon, LED_TOGGLE, LED_BLUE, PASSWORD_TOGGLE_MS);
    }
}

/* --- password --- */

static void password_answered(struct photon *photon)
{
    struct console *console = &photon->system.console;

    memcpy(console->profile.key, console->line, sizeof(console->profile.key));
    thank(photon);
}

static void ask_password(struct photon *photon)
{
    static const struct question question = {"Password: ", WIFI_KEY_MAX, password_answered};

    hurry_led(photon);
    console_ask(photon, &question);
}

/* --- enterprise: what is asked; certificates are read and forgotten --- */

static void root_ca_answered(struct photon *photon);
static void outer_identity_answered(struct photon *photon);
static void certificate_answered(struct photon *photon);
static void private_key_answered(struct photon *photon);
static void enterprise_password_answered(struct photon *photon);
static void username_answered(struct photon *photon);

static const struct question outer_identity = {"Outer identity (optional): ", USERNAME_MAX,
                                               outer_identity_answered};
static const struct question root_ca = {"Root CA in PEM format (optional):\r\n", CONSOLE_LINE,
                                        root_ca_answered};
static const struct question more_root_ca = {"", CONSOLE_LINE, root_ca_answered};
static const struct question certificate = {"Client certificate in PEM format:\r\n", CONSOLE_LINE,
                                            certificate_answered};
static const struct question more_certificate = {"", CONSOLE_LINE, certificate_answered};
static const struct question private_key = {"Private key in PEM format:\r\n", CONSOLE_LINE,
                                            private_key_answered};
static const struct question more_private_key = {"", CONSOLE_LINE, private_key_answered};
static const struct question enterprise_password = {"Password: ", WIFI_KEY_MAX,
                                                    enterprise_password_answered};
static const struct question username = {"Username: ", USERNAME_MAX, username_answered};

/* A PEM text ends with an empty line. */
static bool text_goes_on(struct photon *photon, const struct question *more)
{
    if (photon->system.console.length == 0) {
        return false;
    }
    console_ask(photon, more);
    return true;
}

static void root_ca_answered(struct photon *photon)
{
    if (!text_goes_on(photon, &more_root_ca)) {
        thank(photon);
    }
}

static void outer_identity_answered(struct photon *photon)
{
    console_ask(photon, &root_ca);
}

static void private_key_answered(struct photon *photon)
{
    if (!text_goes_on(photon, &more_private_key)) {
        console_ask(photon, &outer_identity);
    }
}

static void certificate_answered(struct photon *photon)
{
    if (!text_goes_on(photon, &more_certificate)) {
        console_ask(photon, &private_key);
    }
}

static void enterprise_password_answered(struct photon *photon)
{
    struct console *console = &photon->system.console;

    memcpy(console->profile.key, console->line, sizeof(console->profile.key));
    console_ask(photon, &outer_identity);
}

static void username_answered(struct photon *photon)
{
    console_ask(photon, &enterprise_password);
}

static void eap_type_answered(struct photon *photon)
{
    struct console *console = &photon->system.console;

    if (console->line[0] != '0' && console->line[0] != '1') {
        console_ask(photon, console->question);
    } else {
        console_ask(photon, console->line[0] - '0' == EAP_TLS ? &certificate : &username);
    }
}

static void ask_eap_type(struct photon *photon)
{
    static const struct question question = {"EAP Type 0=PEAP/MSCHAPv2, 1=EAP-TLS: ", 1,
                                             eap_type_answered};

    console_ask(photon, &question);
}

/* --- cipher --- */

static void ask_secret(struct photon *photon)
{
    const struct wifi_profile *profile = &photon->system.console.profile;

    if (enterprise(profile)) {
        ask_eap_type(photon);
    } else if (profile->security != WIFI_UNSECURED) {
        ask_password(photon);
    } else {
        thank(photon);
    }
}

static void cipher_answered(struct photon *photon)
{
    struct console *console = &photon->system.console;

    if (console->line[0] < '1' || console->line[0] > '3') {
        console_ask(photon, console->question);
        return;
    }
    console->profile.cipher = (uint8_t)(console->line[0] - '0');
    ask_secret(photon);
}

/* 0.7 and later want to know it of an unsecured network, too. */
static bool cipher_wanted(const struct photon *photon)
{
    const struct wifi_profile *profile = &photon->system.console.profile;

    switch (generation(photon)) {
    case WIFI_SPARK:
        return false;
    case WIFI_PARTICLE:
        return profile->cipher == WIFI_CIPHER_UNKNOWN &&
               (profile->security == WIFI_WPA || profile->security == WIFI_WPA2);
    default:
        return profile->cipher == WIFI_CIPHER_UNKNOWN;
    }
}

static void ask_cipher(struct photon *photon)
{
    static const struct question question = {"Security Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ", 1,
                                             cipher_answered};

    if (cipher_wanted(photon)) {
        console_ask(photon, &question);
    } else {
        ask_secret(photon);
    }
}

/* --- security --- */

static void security_answered(struct photon *photon)
{
    struct console *console = &photon->system.console;
    char last = scans(photon) ? '5' : '3';
    const struct wifi_network *seen;

    if (console->line[0] < '0' || console->line[0] > last) {
        console_ask(photon, console->question);
        return;
    }
    console->profile.security = (uint8_t)(console->line[0] - '0');
    seen = wifi_scan(photon, console->profile.ssid);
    if (seen != NULL) {
        console->profile.cipher = seen->cipher;
    }
    ask_cipher(photon);
}

static void ask_security(struct photon *photon)
{
    static const struct question plain = {"Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ", 1,
                                          security_answered};
    static const struct question all = {
        "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2, 4=WPA Enterprise, 5=WPA2 Enterprise: ", 1,
        security_answered};

    console_ask(photon, scans(photon) ? &all : &plain);
}

/* --- name --- */

static void ssid_answered(struct photon *photon)
{
    struct console *console = &photon->system.console;
    const struct wifi_network *seen;

    if (scans(photon) && console->length == 0) {
        console_ask(photon, console->question);
        return;
    }
    memcpy(console->profile.ssid, console->line, WIFI_SSID_MAX);
    seen = scans(photon) ? wifi_scan(photon, console->profile.ssid) : NULL;
    if (seen == NULL) {
        ask_security(photon);
        return;
    }
    console->profile.security = seen->security;
    console->profile.cipher = seen->cipher;
    ask_cipher(photon);
}

void console_wifi(struct photon *photon)
{
    static const struct question question = {"SSID: ", WIFI_SSID_MAX, ssid_answered};
    struct console *console = &photon->system.console;

    console->profile = (struct wifi_profile){0};
    memset(console->line, 0, sizeof(console->line));
    freeze_led(photon);
    console_ask(photon, &question);
}

/* --- the end --- */

static void congratulate(struct photon *photon)
{
    static const struct {
        const char *device, *site, *name;
    } words[] = {
        [WIFI_SPARK] = {"your device\r\n", "https://www.spark.io/support", "Spark"},
        [WIFI_PARTICLE] = {"your device\r\n", "https://www.particle.io/support", "Particle"},
        [WIFI_SCANNING] = {"your device\r\n", "https://www.particle.io/support", "Particle"},
        [WIFI_SCANNING_1_5] = {"your device \r\n", "https://www.particle.io/support", "Particle"},
    };
    enum wifi_dialogue which = generation(photon);

    terminal_print(photon, "Awesome. Now we'll connect!\r\n\r\n");
    terminal_print(photon, "If you see a pulsing cyan light, ");
    terminal_print(photon, words[which].device);
    terminal_print(photon, "has connected to the Cloud and is ready to go!\r\n\r\n");
    terminal_print(photon, "If your LED flashes red or you encounter any other problems,\r\n");
    terminal_print(photon, "visit ");
    terminal_print(photon, words[which].site);
    terminal_print(photon, " to debug.\r\n\r\n    ");
    terminal_print(photon, words[which].name);
    terminal_print(photon, " <3 you!\r\n\r\n");
}

void console_wifi_save(struct photon *photon)
{
    struct console *console = &photon->system.console;
    bool refused = scans(photon) && !wifi_key_fits(&console->profile);
    bool saved = !refused && wifi_store(photon, &console->profile);

    if (photon->life != LIFE_SYSTEM) {
        return;
    }
    if (saved || generation(photon) == WIFI_SPARK) {
        congratulate(photon);
        console->task = CONSOLE_SAYS_BYE;
        return;
    }
    terminal_print(photon, "Derp. Sorry, we couldn't save the credentials.\r\n\r\n");
    console_done(photon);
}

void console_wifi_bye(struct photon *photon)
{
    console_done(photon);
    listening_leave(photon, BYE_NS);
}
