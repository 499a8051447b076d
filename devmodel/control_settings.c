/*
 * Control requests about settings: claim, keys, server, soft AP, antenna, Wi-Fi. Source: device-os
 * v1.5.0, v2.2.0 system/src/control/config.cpp, wifi.cpp, hal/src/stm32f2xx/core_hal_stm32f2xx.c,
 * ota_flash_hal_stm32f2xx.cpp, hal/inc/hal_platform_compat.h (a Photon has TCP only).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb.h"
#include "control_handlers.h"
#include "engine.h"
#include "wifi.h"

#define PROTOCOL_TCP 1
#define PROTOCOL_UDP 2
/* A server address in the settings: type, length, text or four bytes, port (most significant byte
 * first). */
#define SERVER_IP         0
#define SERVER_DOMAIN     1
#define SERVER_DOMAIN_MAX 63
#define SERVER_PORT       66
#define SERVER_RECORD     128

#define SSID_PREFIX_MAX   25

static int32_t write_setting(struct photon *photon, uint32_t offset, const void *data,
                             size_t length)
{
    return system_write_dct(photon, offset, data, length) ? CONTROL_OK : CONTROL_IO;
}

int32_t handle_set_claim_code(struct photon *photon, const struct control_message *request,
                              struct control_message *reply)
{
    control_ClaimCode message = control_ClaimCode_init_zero;

    (void)reply;
    if (!handler_decode(request, control_ClaimCode_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    return write_setting(photon, DCT_CLAIM_CODE, message.code, DCT_CLAIMED - DCT_CLAIM_CODE);
}

int32_t handle_is_claimed(struct photon *photon, const struct control_message *request,
                          struct control_message *reply)
{
    control_Claimed message;
    uint8_t flag;

    (void)request;
    system_read_dct(photon, DCT_CLAIMED, &flag, 1);
    message.claimed = flag == '1';
    return handler_encode(reply, control_Claimed_fields, &message);
}

/* --- keys --- */

struct key_place {
    uint32_t offset, size;
};

/* The keys of the TCP protocol; a Photon does not speak the other one. The server's address lies in
 * the room of its key. */
static const struct key_place *key_place(uint32_t type)
{
    static const struct key_place places[] = {
        {DCT_PRIVATE_KEY, DCT_PUBLIC_KEY - DCT_PRIVATE_KEY},
        {DCT_PUBLIC_KEY, DCT_PUBLIC_KEY_SIZE},
        {DCT_SERVER_KEY, DCT_SERVER_KEY_SIZE},
    };

    return type >= 1 && type <= sizeof(places) / sizeof(places[0]) ? &places[type - 1] : NULL;
}

/* What the key leaves of its room is filled up. */
int32_t handle_set_security_key(struct photon *photon, const struct control_message *request,
                                struct control_message *reply)
{
    control_SecurityKey message = control_SecurityKey_init_zero;
    const struct key_place *place;

    (void)reply;
    if (!handler_decode(request, control_SecurityKey_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    place = key_place(message.type);
    if (place == NULL) {
        return CONTROL_NOT_SUPPORTED;
    }
    if (message.data.size > place->size) {
        return CONTROL_TOO_LARGE;
    }
    memset(message.data.bytes + message.data.size, 0xFF, place->size - message.data.size);
    return write_setting(photon, place->offset, message.data.bytes, place->size);
}

/* All of the key's room, whatever the key needs of it. */
int32_t handle_get_security_key(struct photon *photon, const struct control_message *request,
                                struct control_message *reply)
{
    control_SecurityKey message = control_SecurityKey_init_zero;
    control_SecurityKeyData answer = control_SecurityKeyData_init_zero;
    const struct key_place *place;

    if (!handler_decode(request, control_SecurityKey_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    place = key_place(message.type);
    if (place == NULL) {
        return CONTROL_NOT_SUPPORTED;
    }
    answer.data.size = (pb_size_t)place->size;
    system_read_dct(photon, place->offset, answer.data.bytes, place->size);
    return handler_encode(reply, control_SecurityKeyData_fields, &answer);
}

/* --- the server --- */

/* What follows the fourth number, and bits above the eighth, nobody looks at. */
static bool is_four_numbers(const char *text, uint8_t numbers[4])
{
    for (size_t i = 0; i < 4; i++) {
        char *end;

        if (i > 0 && *text++ != '.') {
            return false;
        }
        numbers[i] = (uint8_t)strtoul(text, &end, 10);
        if (end == text) {
            return false;
        }
        text = end;
    }
    return true;
}

int32_t handle_set_server_address(struct photon *photon, const struct control_message *request,
                                  struct control_message *reply)
{
    control_ServerAddress message = control_ServerAddress_init_zero;
    uint8_t record[SERVER_RECORD] = {SERVER_IP};
    uint8_t numbers[4];

    (void)reply;
    if (!handler_decode(request, control_ServerAddress_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (strlen(message.address) > SERVER_DOMAIN_MAX) {
        return CONTROL_TOO_LARGE;
    }
    if (message.protocol != PROTOCOL_TCP) {
        return CONTROL_NOT_SUPPORTED;
    }
    if (is_four_numbers(message.address, numbers)) {
        memcpy(record + 2, numbers, sizeof(numbers));
    } else {
        record[0] = SERVER_DOMAIN;
        record[1] = (uint8_t)strlen(message.address);
        memcpy(record + 2, message.address, record[1]);
    }
    record[SERVER_PORT] = (uint8_t)(message.port >> 8);
    record[SERVER_PORT + 1] = (uint8_t)message.port;
    memset(record + SERVER_PORT + 2, 0xFF, sizeof(record) - SERVER_PORT - 2);
    return write_setting(photon, DCT_SERVER_ADDRESS, record, sizeof(record));
}

int32_t handle_get_server_address(struct photon *photon, const struct control_message *request,
                                  struct control_message *reply)
{
    control_ServerProtocol message = control_ServerProtocol_init_zero;
    control_StoredServerAddress answer = control_StoredServerAddress_init_zero;
    uint8_t record[SERVER_RECORD];

    if (!handler_decode(request, control_ServerProtocol_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.protocol != PROTOCOL_TCP) {
        return CONTROL_NOT_SUPPORTED;
    }
    system_read_dct(photon, DCT_SERVER_ADDRESS, record, sizeof(record));
    if (record[0] == SERVER_DOMAIN && record[1] <= SERVER_DOMAIN_MAX) {
        memcpy(answer.address, record + 2, record[1]);
    } else if (record[0] == SERVER_IP) {
        (void)snprintf(answer.address, sizeof(answer.address), "%u.%u.%u.%u", (unsigned)record[2],
                       (unsigned)record[3], (unsigned)record[4], (unsigned)record[5]);
    } else {
        return CONTROL_NOT_FOUND;
    }
    answer.port = (uint32_t)record[SERVER_PORT] << 8 | record[SERVER_PORT + 1];
    return handler_encode(reply, control_StoredServerAddress_fields, &answer);
}

/* There is but one protocol, and its choice is not among the features of a Photon. */
int32_t handle_set_server_protocol(struct photon *photon, const struct control_message *request,
                                   struct control_message *reply)
{
    control_ServerProtocol message = control_ServerProtocol_init_zero;

    (void)photon;
    (void)reply;
    if (!handler_decode(request, control_ServerProtocol_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    return message.protocol == PROTOCOL_TCP || message.protocol == PROTOCOL_UDP
               ? CONTROL_HAL_NO_FEATURE
               : CONTROL_NOT_SUPPORTED;
}

int32_t handle_get_server_protocol(struct photon *photon, const struct control_message *request,
                                   struct control_message *reply)
{
    control_ServerProtocol message = {.protocol = PROTOCOL_TCP};

    (void)photon;
    (void)request;
    return handler_encode(reply, control_ServerProtocol_fields, &message);
}

/* --- the name of the soft AP --- */

/* The prefix has its length before it, the suffix a NUL behind it where there is room. */
int32_t handle_set_soft_ap_ssid(struct photon *photon, const struct control_message *request,
                                struct control_message *reply)
{
    control_SoftApSsid message = control_SoftApSsid_init_zero;
    uint8_t prefix[SSID_PREFIX_MAX + 1];
    size_t length, suffix_length;

    (void)reply;
    if (!handler_decode(request, control_SoftApSsid_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    length = strnlen(message.prefix, SSID_PREFIX_MAX);
    prefix[0] = (uint8_t)length;
    memcpy(prefix + 1, message.prefix, length);
    suffix_length = strnlen(message.suffix, DCT_DEVICE_CODE_SIZE - 1) + 1;
    return system_write_dct(photon, DCT_SSID_PREFIX, prefix, length + 1) &&
                   system_write_dct(photon, DCT_DEVICE_CODE, message.suffix, suffix_length)
               ? CONTROL_OK
               : CONTROL_IO;
}

/* --- the antenna --- */

/* Antennas by their number in requests, as the settings have them. */
static const uint8_t antennas[] = {0xFF, 0, 1, 3};
#define ANTENNAS (sizeof(antennas) / sizeof(antennas[0]))

int32_t handle_set_antenna(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_Antenna message = control_Antenna_init_zero;

    (void)reply;
    if (!handler_decode(request, control_Antenna_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.antenna == 0 || message.antenna >= ANTENNAS) {
        return CONTROL_INVALID_ARGUMENT;
    }
    return write_setting(photon, DCT_ANTENNA, &antennas[message.antenna], 1);
}

int32_t handle_get_antenna(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_Antenna message = control_Antenna_init_zero;
    uint8_t antenna;

    (void)request;
    system_read_dct(photon, DCT_ANTENNA, &antenna, 1);
    for (uint32_t i = 1; i < ANTENNAS; i++) {
        if (antennas[i] == antenna) {
            message.antenna = i;
        }
    }
    return handler_encode(reply, control_Antenna_fields, &message);
}

/* --- Wi-Fi --- */

static int32_t reply_list(struct control_message *reply, control_WifiList *list)
{
    list->has_list = list->list.aps_count > 0;
    return handler_encode(reply, control_WifiList_fields, list);
}

int32_t handle_wifi_scan(struct photon *photon, const struct control_message *request,
                         struct control_message *reply)
{
    const struct wifi_air *air = &photon->config.air;
    control_WifiList message = control_WifiList_init_zero;

    (void)request;
    for (unsigned i = 0; i < air->count && i < WIFI_AIR_MAX; i++) {
        const struct wifi_network *network = &air->networks[i];
        control_AccessPoint *ap = &message.list.aps[message.list.aps_count++];

        memcpy(ap->ssid, network->ssid, strnlen(network->ssid, WIFI_SSID_MAX));
        ap->security = network->security;
        ap->cipher = network->cipher;
        ap->channel = network->channel;
        ap->rssi = (int32_t)network->rssi;
    }
    return reply_list(reply, &message);
}

/* Of WPA networks the system wants to know it, and looks for it in the air when it is not told. */
static bool cipher_known(const struct photon *photon, const struct wifi_profile *profile)
{
    return profile->security < WIFI_WPA || profile->cipher != WIFI_CIPHER_UNKNOWN ||
           wifi_scan(photon, profile->ssid) != NULL;
}

int32_t handle_wifi_set(struct photon *photon, const struct control_message *request,
                        struct control_message *reply)
{
    control_SetCredentials message = control_SetCredentials_init_zero;
    struct wifi_profile profile = {.ssid = ""};

    (void)reply;
    if (!handler_decode(request, control_SetCredentials_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.ap.ssid[0] == '\0' || message.ap.security > WIFI_WPA2_ENTERPRISE ||
        message.ap.cipher > WIFI_AES_TKIP) {
        return CONTROL_UNKNOWN;
    }
    memcpy(profile.ssid, message.ap.ssid, strlen(message.ap.ssid));
    memcpy(profile.key, message.ap.password, strlen(message.ap.password));
    profile.security = (uint8_t)message.ap.security;
    profile.cipher = (uint8_t)message.ap.cipher;
    if (!wifi_key_fits(&profile) || !cipher_known(photon, &profile)) {
        return CONTROL_UNKNOWN;
    }
    return wifi_store(photon, &profile) ? CONTROL_OK : CONTROL_IO;
}

/* Passwords stay where they are. */
int32_t handle_wifi_get(struct photon *photon, const struct control_message *request,
                        struct control_message *reply)
{
    struct wifi_profile profiles[WIFI_PROFILES];
    unsigned count = wifi_profiles(photon, profiles);
    control_WifiList message = control_WifiList_init_zero;

    (void)request;
    for (unsigned i = 0; i < count; i++) {
        control_AccessPoint *ap = &message.list.aps[message.list.aps_count++];

        memcpy(ap->ssid, profiles[i].ssid, strlen(profiles[i].ssid));
        ap->security = profiles[i].security;
        ap->cipher = profiles[i].cipher;
    }
    return reply_list(reply, &message);
}

int32_t handle_wifi_clear(struct photon *photon, const struct control_message *request,
                          struct control_message *reply)
{
    (void)request;
    (void)reply;
    return wifi_erase(photon) ? CONTROL_OK : CONTROL_IO;
}
