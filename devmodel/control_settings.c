/*
 * Control requests about settings: claim, keys, server, antenna, Wi-Fi. Source: device-os v1.5.0,
 * v2.2.0 system/src/control/config.cpp, wifi.cpp.
 */
#include <string.h>

#include "control.pb.h"
#include "control_handlers.h"
#include "engine.h"
#include "wifi.h"

#define PROTOCOL_TCP 1
#define PROTOCOL_UDP 2
/* The transport setting; anything but UDP's value is TCP. */
#define TRANSPORT_TCP 0
#define TRANSPORT_UDP 1
/* A server address in the settings: type, length, text, port (most significant byte first). */
#define SERVER_DOMAIN 1
#define SERVER_PORT   66

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

int32_t handle_set_security_key(struct photon *photon, const struct control_message *request,
                                struct control_message *reply)
{
    static const struct {
        uint32_t offset, size;
    } places[] = {
        [1] = {DCT_PRIVATE_KEY, DCT_PUBLIC_KEY - DCT_PRIVATE_KEY},
        [2] = {DCT_PUBLIC_KEY, 384},
        [3] = {DCT_SERVER_KEY, DCT_SERVER_ADDRESS - DCT_SERVER_KEY},
        [4] = {DCT_UDP_KEY, 192},
        [5] = {DCT_UDP_PUBLIC_KEY, 128},
        [6] = {DCT_UDP_SERVER_KEY, 192},
    };
    control_SecurityKey message = control_SecurityKey_init_zero;

    (void)reply;
    if (!handler_decode(request, control_SecurityKey_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.type == 0 || message.type >= sizeof(places) / sizeof(places[0])) {
        return CONTROL_INVALID_ARGUMENT;
    }
    if (message.data.size > places[message.type].size) {
        return CONTROL_TOO_LARGE;
    }
    return write_setting(photon, places[message.type].offset, message.data.bytes,
                         message.data.size);
}

int32_t handle_set_server_address(struct photon *photon, const struct control_message *request,
                                  struct control_message *reply)
{
    static const uint32_t places[] = {
        [PROTOCOL_TCP] = DCT_SERVER_ADDRESS, [PROTOCOL_UDP] = DCT_UDP_SERVER};
    control_ServerAddress message = control_ServerAddress_init_zero;
    uint8_t record[SERVER_PORT + 2] = {SERVER_DOMAIN};

    (void)reply;
    if (!handler_decode(request, control_ServerAddress_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.protocol != PROTOCOL_TCP && message.protocol != PROTOCOL_UDP) {
        return CONTROL_INVALID_ARGUMENT;
    }
    record[1] = (uint8_t)strlen(message.address);
    memcpy(record + 2, message.address, record[1]);
    record[SERVER_PORT] = (uint8_t)(message.port >> 8);
    record[SERVER_PORT + 1] = (uint8_t)message.port;
    return write_setting(photon, places[message.protocol], record, sizeof(record));
}

int32_t handle_set_server_protocol(struct photon *photon, const struct control_message *request,
                                   struct control_message *reply)
{
    control_ServerProtocol message = control_ServerProtocol_init_zero;
    uint8_t transport;

    (void)reply;
    if (!handler_decode(request, control_ServerProtocol_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.protocol != PROTOCOL_TCP && message.protocol != PROTOCOL_UDP) {
        return CONTROL_INVALID_ARGUMENT;
    }
    transport = message.protocol == PROTOCOL_UDP ? TRANSPORT_UDP : TRANSPORT_TCP;
    return write_setting(photon, DCT_TRANSPORT, &transport, 1);
}

int32_t handle_get_server_protocol(struct photon *photon, const struct control_message *request,
                                   struct control_message *reply)
{
    control_ServerProtocol message = control_ServerProtocol_init_zero;
    uint8_t transport;

    (void)request;
    system_read_dct(photon, DCT_TRANSPORT, &transport, 1);
    message.protocol = transport == TRANSPORT_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
    return handler_encode(reply, control_ServerProtocol_fields, &message);
}

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
