#include "control_requests.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "control.pb.h"
#include "diagnostics.h"
#include "engine.h"
#include "flash_map.h"
#include "module_list.h"
#include "release.h"
#include "update.h"

/* From the answer to the restart that it announces. */
#define RESTART_DELAY_NS (1000 * BOARD_NS_PER_MS)
/* The CRCs of all modules. */
#define MODULE_INFO_MS 8

/* Module versions of system-part2 at which requests change. */
#define SYSTEM_1_5 1500
#define SYSTEM_2_0 2000

/* Bytes of an update in one request. */
#define CHUNK_SIZE   1024

#define PROTOCOL_TCP 1
#define PROTOCOL_UDP 2
/* The transport setting; anything but UDP's value is TCP. */
#define TRANSPORT_TCP 0
#define TRANSPORT_UDP 1
/* A server address in the settings: type, length, text, port (most significant byte first). */
#define SERVER_DOMAIN 1
#define SERVER_PORT   66

/* --- messages --- */

static bool decode(const struct control_message *request, const pb_msgdesc_t *fields, void *message)
{
    pb_istream_t stream = pb_istream_from_buffer(request->data, request->size);

    return pb_decode(&stream, fields, message);
}

static int32_t encode(struct control_message *reply, const pb_msgdesc_t *fields,
                      const void *message)
{
    pb_ostream_t stream = pb_ostream_from_buffer(reply->data, sizeof(reply->data));

    if (!pb_encode(&stream, fields, message)) {
        return CONTROL_NO_MEMORY;
    }
    reply->size = (uint16_t)stream.bytes_written;
    return CONTROL_OK;
}

static int32_t echo(struct photon *photon, const struct control_message *request,
                    struct control_message *reply)
{
    (void)photon;
    reply->size = request->size;
    memcpy(reply->data, request->data, request->size);
    return CONTROL_OK;
}

static int32_t reply_text(struct control_message *reply, const char *text)
{
    control_Text message = control_Text_init_zero;

    strncpy(message.text, text, sizeof(message.text) - 1);
    return encode(reply, control_Text_fields, &message);
}

/* --- who it is --- */

static int32_t device_id(struct photon *photon, const struct control_message *request,
                         struct control_message *reply)
{
    char text[2 * PHOTON_ID_SIZE + 1];

    (void)request;
    for (size_t i = 0; i < PHOTON_ID_SIZE; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)photon->config.device_id[i]);
    }
    return reply_text(reply, text);
}

static int32_t system_version(struct photon *photon, const struct control_message *request,
                              struct control_message *reply)
{
    (void)request;
    return reply_text(reply, release_of_system(photon->system.part2.version)->name);
}

static int32_t capabilities(struct photon *photon, const struct control_message *request,
                            struct control_message *reply)
{
    control_SystemCapabilities message = {.flags = 1}; /* compressed updates */

    (void)photon;
    (void)request;
    return encode(reply, control_SystemCapabilities_fields, &message);
}

/* Ethernet detection is known, and off; nothing else is. */
static int32_t get_feature(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_Feature message = control_Feature_init_zero;

    (void)photon;
    (void)reply;
    if (!decode(request, control_Feature_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    return message.feature == 1 ? CONTROL_OK : CONTROL_NOT_SUPPORTED;
}

/* --- modules --- */

static uint32_t module_type(uint8_t function)
{
    switch (function) {
    case MODULE_BOOTLOADER:
        return 1;
    case MODULE_SYSTEM_PART:
        return 2;
    case MODULE_USER_PART:
        return 3;
    default:
        return 0;
    }
}

static void add_dependencies(control_Module *module, const struct system_quirks *quirks,
                             const struct module_info *info)
{
    for (size_t i = 0; i < quirks->dependencies; i++) {
        const struct module_dependency *needs = &info->dependency[i];

        if (needs->function != MODULE_NONE) {
            module->dependencies[module->dependencies_count++] =
                (control_ModuleDependency){.type = module_type(needs->function),
                                           .index = needs->index,
                                           .version = needs->version};
        }
    }
}

static control_Module describe(const struct system_quirks *quirks, const struct module_entry *entry)
{
    control_Module module = {
        .type = module_type(entry->info.function),
        .index = entry->info.index,
        .version = entry->info.version,
        .size = entry->info.end - entry->info.start,
        .validity = ((entry->passed & MODULE_CHECK_INTEGRITY) != 0 ? 0U : 1U) |
                    ((entry->passed & MODULE_CHECK_DEPENDENCIES) != 0 ? 0U : 2U),
    };

    add_dependencies(&module, quirks, &entry->info);
    return module;
}

static int32_t modules(struct photon *photon, const struct control_message *request,
                       struct control_message *reply)
{
    const struct system_quirks *quirks = photon->system.quirks;
    struct module_entry entries[MODULE_LIST_SIZE];
    control_ModuleInfo message = control_ModuleInfo_init_zero;

    (void)request;
    module_list(photon->flash, quirks, entries);
    for (size_t i = 0; i < MODULE_LIST_SIZE; i++) {
        if (entries[i].known && entries[i].store == MODULE_STORE_MAIN) {
            message.modules[message.modules_count++] = describe(quirks, &entries[i]);
        }
    }
    return encode(reply, control_ModuleInfo_fields, &message);
}

/* --- restarts --- */

static int32_t restart_later(struct photon *photon, enum control_restart restart)
{
    /* One that is due already comes first, and nothing comes after it. */
    if (photon->timer[TIMER_RESTART] == BOARD_NEVER) {
        photon->system.session.restart = restart;
        engine_set_timer(photon, TIMER_RESTART, cpu_now(photon) + RESTART_DELAY_NS);
    }
    return CONTROL_OK;
}

static void safe_mode(struct photon *photon)
{
    engine_backup(photon, BACKUP_HEALTH, BACKUP_HEALTH_SAFE_MODE);
    engine_reset(photon, CAUSE_SOFTWARE, "safe mode requested");
}

void control_request_restart(struct photon *photon, enum control_restart restart)
{
    switch (restart) {
    case RESTART_RESET:
        engine_reset(photon, CAUSE_SOFTWARE, "reset requested over USB");
        break;
    case RESTART_FACTORY_RESET:
        photon->system.flags.factory_reset = FLAGS_FACTORY_RESET;
        if (system_save_flags(photon)) {
            engine_reset(photon, CAUSE_SOFTWARE, "factory reset requested");
        }
        break;
    case RESTART_DFU:
        system_enter_dfu(photon);
        break;
    case RESTART_SAFE_LISTENING:
        engine_backup(photon, BACKUP_OTA, BACKUP_OTA_LISTEN);
        safe_mode(photon);
        break;
    case RESTART_SAFE_MODE:
        safe_mode(photon);
        break;
    case RESTART_UPDATED:
        engine_reset(photon, CAUSE_SOFTWARE, "update finished");
        break;
    }
}

void control_request_restart_due(struct photon *photon)
{
    control_request_restart(photon, photon->system.session.restart);
}

/* --- listening --- */

void control_request_listen(struct photon *photon, bool on)
{
    if (on) {
        listening_enter(photon);
    } else {
        listening_leave(photon, 0);
    }
}

static int32_t start_listening(struct photon *photon, const struct control_message *request,
                               struct control_message *reply)
{
    (void)request;
    (void)reply;
    control_request_listen(photon, true);
    return CONTROL_OK;
}

static int32_t stop_listening(struct photon *photon, const struct control_message *request,
                              struct control_message *reply)
{
    (void)request;
    (void)reply;
    control_request_listen(photon, false);
    return CONTROL_OK;
}

static int32_t device_mode(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_DeviceMode message = {.mode = photon->system.listening.on ? 1 : 0};

    (void)request;
    return encode(reply, control_DeviceMode_fields, &message);
}

/* --- settings --- */

static int32_t write_setting(struct photon *photon, uint32_t offset, const void *data,
                             size_t length)
{
    return system_write_dct(photon, offset, data, length) ? CONTROL_OK : CONTROL_IO;
}

static int32_t set_claim_code(struct photon *photon, const struct control_message *request,
                              struct control_message *reply)
{
    control_ClaimCode message = control_ClaimCode_init_zero;

    (void)reply;
    if (!decode(request, control_ClaimCode_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    return write_setting(photon, DCT_CLAIM_CODE, message.code, DCT_CLAIMED - DCT_CLAIM_CODE);
}

static int32_t is_claimed(struct photon *photon, const struct control_message *request,
                          struct control_message *reply)
{
    control_Claimed message;
    uint8_t flag;

    (void)request;
    system_read_dct(photon, DCT_CLAIMED, &flag, 1);
    message.claimed = flag == '1';
    return encode(reply, control_Claimed_fields, &message);
}

static int32_t set_security_key(struct photon *photon, const struct control_message *request,
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
    if (!decode(request, control_SecurityKey_fields, &message)) {
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

static int32_t set_server_address(struct photon *photon, const struct control_message *request,
                                  struct control_message *reply)
{
    static const uint32_t places[] = {
        [PROTOCOL_TCP] = DCT_SERVER_ADDRESS, [PROTOCOL_UDP] = DCT_UDP_SERVER};
    control_ServerAddress message = control_ServerAddress_init_zero;
    uint8_t record[SERVER_PORT + 2] = {SERVER_DOMAIN};

    (void)reply;
    if (!decode(request, control_ServerAddress_fields, &message)) {
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

static int32_t set_server_protocol(struct photon *photon, const struct control_message *request,
                                   struct control_message *reply)
{
    control_ServerProtocol message = control_ServerProtocol_init_zero;
    uint8_t transport;

    (void)reply;
    if (!decode(request, control_ServerProtocol_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.protocol != PROTOCOL_TCP && message.protocol != PROTOCOL_UDP) {
        return CONTROL_INVALID_ARGUMENT;
    }
    transport = message.protocol == PROTOCOL_UDP ? TRANSPORT_UDP : TRANSPORT_TCP;
    return write_setting(photon, DCT_TRANSPORT, &transport, 1);
}

static int32_t get_server_protocol(struct photon *photon, const struct control_message *request,
                                   struct control_message *reply)
{
    control_ServerProtocol message = control_ServerProtocol_init_zero;
    uint8_t transport;

    (void)request;
    system_read_dct(photon, DCT_TRANSPORT, &transport, 1);
    message.protocol = transport == TRANSPORT_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
    return encode(reply, control_ServerProtocol_fields, &message);
}

/* Antennas by their number in requests, as the settings have them. */
static const uint8_t antennas[] = {0xFF, 0, 1, 3};
#define ANTENNAS (sizeof(antennas) / sizeof(antennas[0]))

static int32_t set_antenna(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_Antenna message = control_Antenna_init_zero;

    (void)reply;
    if (!decode(request, control_Antenna_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.antenna == 0 || message.antenna >= ANTENNAS) {
        return CONTROL_INVALID_ARGUMENT;
    }
    return write_setting(photon, DCT_ANTENNA, &antennas[message.antenna], 1);
}

static int32_t get_antenna(struct photon *photon, const struct control_message *request,
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
    return encode(reply, control_Antenna_fields, &message);
}

/* --- firmware update --- */

static void update_led(struct photon *photon, bool lit)
{
    photon->system.session.update.lit = lit;
    engine_led(photon, lit ? LED_SOLID : LED_OFF, lit ? LED_MAGENTA : 0, 0);
}

static int32_t drop_update(struct photon *photon, int32_t result)
{
    if (photon->system.session.update.active) {
        photon->system.session.update.active = false;
        listening_led(photon);
    }
    return result;
}

static int32_t start_update(struct photon *photon, const struct control_message *request,
                            struct control_message *reply)
{
    control_StartFirmwareUpdate message = control_StartFirmwareUpdate_init_zero;
    control_StartedFirmwareUpdate started = {.chunk_size = CHUNK_SIZE};
    struct control_session *session = &photon->system.session;

    if (!decode(request, control_StartFirmwareUpdate_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    if (message.format != 0) {
        return CONTROL_NOT_SUPPORTED;
    }
    session->update.active = true;
    session->update.size = message.size;
    session->update.received = 0;
    update_led(photon, true);
    update_begin(photon, message.size);
    return encode(reply, control_StartedFirmwareUpdate_fields, &started);
}

static bool store(struct photon *photon, const uint8_t *data, size_t length)
{
    uint32_t offset = photon->system.session.update.received;

    for (size_t done = 0; done < length; done += CHUNK_SIZE) {
        size_t part = length - done < CHUNK_SIZE ? length - done : CHUNK_SIZE;

        if (!update_store(photon, offset + (uint32_t)done, data + done, part)) {
            return false;
        }
    }
    return true;
}

static int32_t update_data(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    struct control_session *session = &photon->system.session;
    control_FirmwareUpdateData message = control_FirmwareUpdateData_init_zero;

    (void)reply;
    if (!session->update.active) {
        return CONTROL_INVALID_STATE;
    }
    if (!decode(request, control_FirmwareUpdateData_fields, &message)) {
        return drop_update(photon, CONTROL_BAD_DATA);
    }
    if (message.data.size == 0 ||
        message.data.size > session->update.size - session->update.received) {
        return drop_update(photon, CONTROL_OUT_OF_RANGE);
    }
    if (!store(photon, message.data.bytes, message.data.size)) {
        return drop_update(photon, CONTROL_IO);
    }
    session->update.received += message.data.size;
    update_led(photon, !session->update.lit);
    return CONTROL_OK;
}

static int32_t update_result(const struct photon *photon, enum update_verdict verdict)
{
    static const int32_t results[] = {
        [UPDATE_OK] = CONTROL_OK,
        [UPDATE_NO_MODULE] = CONTROL_MODULE_NOT_FOUND,
        [UPDATE_BAD_CRC] = CONTROL_MODULE_INTEGRITY,
        [UPDATE_BAD_DEPENDENCY] = CONTROL_MODULE_DEPENDENCY,
        [UPDATE_BAD_ADDRESS] = CONTROL_MODULE_ADDRESS,
        [UPDATE_BAD_PLATFORM] = CONTROL_MODULE_PLATFORM,
        [UPDATE_NOT_STORED] = CONTROL_MODULE_NOT_STORED,
    };

    if (verdict != UPDATE_OK && photon->system.part2.version < SYSTEM_2_0) {
        return CONTROL_INVALID_MODULE;
    }
    return results[verdict];
}

static int32_t finish_update(struct photon *photon, const struct control_message *request,
                             struct control_message *reply)
{
    const struct control_session *session = &photon->system.session;
    control_FinishFirmwareUpdate message = control_FinishFirmwareUpdate_init_zero;
    enum update_verdict verdict;

    (void)reply;
    if (!session->update.active || session->update.received != session->update.size) {
        return drop_update(photon, CONTROL_INVALID_STATE);
    }
    if (!decode(request, control_FinishFirmwareUpdate_fields, &message)) {
        return drop_update(photon, CONTROL_BAD_DATA);
    }
    verdict = message.validate_only ? update_judge(photon) : update_finish(photon);
    if (verdict == UPDATE_OK && !message.validate_only) {
        (void)restart_later(photon, RESTART_UPDATED);
    }
    return drop_update(photon, update_result(photon, verdict));
}

static int32_t cancel_update(struct photon *photon, const struct control_message *request,
                             struct control_message *reply)
{
    (void)request;
    (void)reply;
    return drop_update(photon, CONTROL_OK);
}

/* --- diagnostics --- */

static int32_t diagnostics(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    if (request->size > 0) {
        return CONTROL_NOT_SUPPORTED;
    }
    reply->size = (uint16_t)diagnostics_json(photon, (char *)reply->data);
    return CONTROL_OK;
}

/* --- the table --- */

struct row {
    uint16_t type;
    uint16_t from, before; /* versions of system-part2; before 0: none */
    uint16_t time_ms;      /* beside flash operations */
    bool restarts;
    enum control_restart restart;
    int32_t (*handle)(struct photon *photon, const struct control_message *request,
                      struct control_message *reply);
    int32_t answer; /* without a handler */
};

/* Every type that is not here is not supported, nor is any in a release that a row leaves out. */
static const struct row rows[] = {
    {.type = 1, .handle = echo},
    {.type = 20, .handle = device_id},
    {.type = 21, .answer = CONTROL_HAL_NO_DATA}, /* no Photon has a serial number */
    {.type = 30, .handle = system_version},
    {.type = 32, .from = SYSTEM_1_5, .before = SYSTEM_2_0, .handle = capabilities},
    {.type = 32, .from = SYSTEM_2_0},
    {.type = 34, .from = SYSTEM_1_5, .handle = get_feature},
    {.type = 40, .restarts = true, .restart = RESTART_RESET},
    {.type = 41, .restarts = true, .restart = RESTART_FACTORY_RESET},
    {.type = 50, .restarts = true, .restart = RESTART_DFU},
    {.type = 60, .restarts = true, .restart = RESTART_SAFE_MODE},
    {.type = 70, .handle = start_listening},
    {.type = 71, .handle = stop_listening},
    {.type = 72, .handle = device_mode},
    {.type = 90, .handle = modules, .time_ms = MODULE_INFO_MS},
    {.type = 100, .handle = diagnostics},
    {.type = 110, .before = SYSTEM_2_0, .handle = set_antenna},
    {.type = 111, .before = SYSTEM_2_0, .handle = get_antenna},
    {.type = 112, .before = SYSTEM_2_0},
    {.type = 114, .before = SYSTEM_2_0},
    {.type = 120, .before = SYSTEM_2_0},
    {.type = 121, .before = SYSTEM_2_0},
    {.type = 122, .before = SYSTEM_2_0},
    {.type = 200, .handle = set_claim_code},
    {.type = 201, .handle = is_claimed},
    {.type = 210, .handle = set_security_key},
    {.type = 220, .handle = set_server_address},
    {.type = 222, .handle = set_server_protocol},
    {.type = 223, .handle = get_server_protocol},
    {.type = 230},
    {.type = 231},
    {.type = 250, .handle = start_update},
    {.type = 251, .handle = finish_update},
    {.type = 252, .handle = cancel_update},
    {.type = 253, .handle = update_data},
    {.type = 260, .before = SYSTEM_2_0},
    {.type = 300, .from = SYSTEM_1_5},
    {.type = 301, .from = SYSTEM_1_5},
    {.type = 302, .from = SYSTEM_1_5},
};

static const struct row *find(const struct photon *photon, uint16_t type)
{
    uint16_t version = photon->system.part2.version;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].type == type && version >= rows[i].from &&
            (rows[i].before == 0 || version < rows[i].before)) {
            return &rows[i];
        }
    }
    return NULL;
}

int32_t control_request_run(struct photon *photon, uint16_t type,
                            const struct control_message *request, struct control_message *reply)
{
    const struct row *row = find(photon, type);

    reply->size = 0;
    if (row == NULL) {
        return CONTROL_NOT_SUPPORTED;
    }
    if (row->restarts) {
        return restart_later(photon, row->restart);
    }
    return row->handle != NULL ? row->handle(photon, request, reply) : row->answer;
}

uint64_t control_request_time(const struct photon *photon, uint16_t type)
{
    const struct row *row = find(photon, type);

    return row != NULL ? row->time_ms * BOARD_NS_PER_MS : 0;
}
