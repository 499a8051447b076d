#include "wifi.h"

#include <string.h>

#include "engine.h"
#include "little_endian.h"

/* The section: a word that says "configured", then the entries. Ours, except for the word, which is
 * where WICED has it (platform_dct_wifi_config_t). */
#define CONFIGURED     1
#define ENTRY_SSID     0 /* NUL-terminated unless full */
#define ENTRY_SECURITY 32
#define ENTRY_CIPHER   33
#define ENTRY_KEY      34 /* as the SSID */
#define ENTRY_SIZE     (ENTRY_KEY + WIFI_KEY_MAX)
#define SECTION_SIZE   (4 + WIFI_PROFILES * ENTRY_SIZE)

const struct wifi_network *wifi_scan(const struct photon *photon, const char *ssid)
{
    const struct wifi_air *air = &photon->config.air;

    for (unsigned i = 0; i < air->count && i < WIFI_AIR_MAX; i++) {
        if (strcmp(air->networks[i].ssid, ssid) == 0) {
            return &air->networks[i];
        }
    }
    return NULL;
}

bool wifi_key_fits(const struct wifi_profile *profile)
{
    static const struct {
        size_t min, max;
    } limits[] = {
        [WIFI_UNSECURED] = {0, WIFI_KEY_MAX},
        [WIFI_WEP] = {5, 58},
        [WIFI_WPA] = {8, WIFI_KEY_MAX},
        [WIFI_WPA2] = {8, WIFI_KEY_MAX},
        [WIFI_WPA_ENTERPRISE] = {0, WIFI_KEY_MAX},
        [WIFI_WPA2_ENTERPRISE] = {0, WIFI_KEY_MAX},
    };
    size_t length = strnlen(profile->key, WIFI_KEY_MAX);

    return length >= limits[profile->security].min && length <= limits[profile->security].max;
}

/* --- stored profiles --- */

static void decode(struct wifi_profile *profile, const uint8_t *entry)
{
    *profile = (struct wifi_profile){
        .security = entry[ENTRY_SECURITY],
        .cipher = entry[ENTRY_CIPHER],
    };
    memcpy(profile->ssid, entry + ENTRY_SSID, WIFI_SSID_MAX);
    memcpy(profile->key, entry + ENTRY_KEY, WIFI_KEY_MAX);
}

static void encode(uint8_t *entry, const struct wifi_profile *profile)
{
    memset(entry, 0, ENTRY_SIZE);
    memcpy(entry + ENTRY_SSID, profile->ssid, strnlen(profile->ssid, WIFI_SSID_MAX));
    entry[ENTRY_SECURITY] = profile->security;
    entry[ENTRY_CIPHER] = profile->cipher;
    memcpy(entry + ENTRY_KEY, profile->key, strnlen(profile->key, WIFI_KEY_MAX));
}

unsigned wifi_profiles(const struct photon *photon, struct wifi_profile profiles[WIFI_PROFILES])
{
    uint8_t section[SECTION_SIZE];
    unsigned count = 0;

    system_read_dct_section(photon, DCT_WIFI, section, sizeof(section));
    if (le32_get(section) != CONFIGURED) {
        return 0;
    }
    for (unsigned i = 0; i < WIFI_PROFILES; i++) {
        const uint8_t *entry = section + 4 + (size_t)i * ENTRY_SIZE;

        if (entry[ENTRY_SSID] != 0 && entry[ENTRY_SSID] != 0xFF) {
            decode(&profiles[count++], entry);
        }
    }
    return count;
}

bool wifi_has_credentials(const struct photon *photon)
{
    struct wifi_profile profiles[WIFI_PROFILES];

    return wifi_profiles(photon, profiles) > 0;
}

static bool save(struct photon *photon, const struct wifi_profile *profiles, unsigned count)
{
    uint8_t section[SECTION_SIZE] = {0};

    le32_put(section, count > 0 ? CONFIGURED : 0);
    for (unsigned i = 0; i < count; i++) {
        encode(section + 4 + (size_t)i * ENTRY_SIZE, &profiles[i]);
    }
    return system_write_dct_section(photon, DCT_WIFI, section, sizeof(section));
}

bool wifi_store(struct photon *photon, const struct wifi_profile *profile)
{
    struct wifi_profile old[WIFI_PROFILES], profiles[WIFI_PROFILES];
    unsigned stored = wifi_profiles(photon, old);
    unsigned count = 0;

    profiles[count++] = *profile;
    for (unsigned i = 0; i < stored && count < WIFI_PROFILES; i++) {
        if (strcmp(old[i].ssid, profile->ssid) != 0) {
            profiles[count++] = old[i];
        }
    }
    return save(photon, profiles, count);
}

bool wifi_erase(struct photon *photon)
{
    return save(photon, NULL, 0);
}
