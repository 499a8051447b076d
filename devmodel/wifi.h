/*
 * Wi-Fi as far as flashing tools see it: the networks in the air, and the stored profiles.
 *
 * The air is part of the board's configuration; nothing is ever joined. Profiles live in the Wi-Fi
 * section of the DCT, where they survive system updates and DFU. The layout in there is a choice:
 * hosts cannot read that section.
 */
#ifndef PHOTON_WIFI_H
#define PHOTON_WIFI_H

#include <stdbool.h>
#include <stdint.h>

struct photon;

#define WIFI_SSID_MAX 32
#define WIFI_KEY_MAX  64
/* Profiles that a board keeps, and networks that it can see. */
#define WIFI_PROFILES 5
#define WIFI_AIR_MAX  8

/* Numbers as typed at the security prompt. */
enum wifi_security {
    WIFI_UNSECURED,
    WIFI_WEP,
    WIFI_WPA,
    WIFI_WPA2,
    WIFI_WPA_ENTERPRISE,
    WIFI_WPA2_ENTERPRISE
};

/* Numbers as typed at the cipher prompt. */
enum wifi_cipher { WIFI_CIPHER_UNKNOWN, WIFI_AES, WIFI_TKIP, WIFI_AES_TKIP };

struct wifi_network {
    char ssid[WIFI_SSID_MAX + 1];
    uint8_t security; /* enum wifi_security */
    uint8_t cipher;   /* enum wifi_cipher */
    uint8_t channel;
    int8_t rssi; /* dBm */
};

struct wifi_air {
    uint8_t count;
    struct wifi_network networks[WIFI_AIR_MAX];
};

struct wifi_profile {
    char ssid[WIFI_SSID_MAX + 1];
    uint8_t security, cipher;
    char key[WIFI_KEY_MAX + 1];
};

/* The network that a scan finds under this name, or NULL. */
const struct wifi_network *wifi_scan(const struct photon *photon, const char *ssid);

/* Whether 0.7 and later take the key for such a network: 5 to 58 characters for WEP, 8 to 64 for
 * WPA and WPA2. Older ones take any. Source: device-os v0.7.0, v1.5.0 hal/src/photon/wlan_hal.cpp.
 */
bool wifi_key_fits(const struct wifi_profile *profile);

/* Reads the stored profiles, newest first; returns their number. */
unsigned wifi_profiles(const struct photon *photon, struct wifi_profile profiles[WIFI_PROFILES]);
bool wifi_has_credentials(const struct photon *photon);
/* Stores a profile as the newest; one of the same name goes, or the oldest when all are used. False
 * when the DCT write failed or the CPU was lost in it. */
bool wifi_store(struct photon *photon, const struct wifi_profile *profile);
/* Erases all profiles; a DCT write also when there is none. False as for wifi_store(). */
bool wifi_erase(struct photon *photon);

#endif
