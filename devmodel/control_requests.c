#include "control_requests.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "control.pb.h"
#include "control_handlers.h"
#include "diagnostics.h"
#include "engine.h"
#include "flash_map.h"
#include "module_list.h"
#include "release.h"

/* From the moment at which the host takes the answer to the restart that it announces. The short
 * one of releases before 1.1 is a choice: as soon as the system's thread turns to it. */
#define RESTART_DELAY_NS     (1000 * BOARD_NS_PER_MS)
#define RESTART_DELAY_0_8_NS BOARD_NS_PER_MS
/* The CRCs of all modules. */
#define MODULE_INFO_MS 8

/* --- messages --- */

bool handler_decode(const struct control_message *request, const pb_msgdesc_t *fields,
                    void *message)
{
    pb_istream_t stream = pb_istream_from_buffer(request->data, request->size);

    return pb_decode(&stream, fields, message);
}

int32_t handler_encode(struct control_message *reply, const pb_msgdesc_t *fields,
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
    return handler_encode(reply, control_Text_fields, &message);
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
    return handler_encode(reply, control_SystemCapabilities_fields, &message);
}

/* The one feature that releases know, though no Photon has it. */
#define ETHERNET_DETECTION 1

static int32_t set_feature(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_Feature message = control_Feature_init_zero;

    (void)photon;
    (void)reply;
    if (!handler_decode(request, control_Feature_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    return message.feature == ETHERNET_DETECTION ? CONTROL_HAL_NO_FEATURE : CONTROL_NOT_SUPPORTED;
}

static int32_t get_feature(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_Feature message = control_Feature_init_zero;

    (void)photon;
    (void)reply;
    if (!handler_decode(request, control_Feature_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    return message.feature == ETHERNET_DETECTION ? CONTROL_OK : CONTROL_NOT_SUPPORTED;
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
    return handler_encode(reply, control_ModuleInfo_fields, &message);
}

/* Before 1.1: the text of the console's `s`. */
static int32_t modules_json(struct photon *photon, const struct control_message *request,
                            struct control_message *reply)
{
    char text[MODULE_JSON_MAX];

    (void)request;
    (void)module_list_json(photon->flash, photon->system.quirks, text);
    reply->size = (uint16_t)snprintf((char *)reply->data, sizeof(reply->data), "{%s}", text);
    return CONTROL_OK;
}

/* --- restarts --- */

int32_t handler_announce_restart(struct photon *photon, enum control_restart restart)
{
    photon->system.session.announced = true;
    photon->system.session.announcement = restart;
    return CONTROL_OK;
}

void control_request_restart_later(struct photon *photon, enum control_restart restart)
{
    bool waits = photon->system.part2.version >= SYSTEM_1_1;

    /* One that is due already comes first, and nothing comes after it. */
    if (photon->timer[TIMER_RESTART] == BOARD_NEVER) {
        photon->system.session.restart = restart;
        engine_set_timer(photon, TIMER_RESTART,
                         cpu_now(photon) + (waits ? RESTART_DELAY_NS : RESTART_DELAY_0_8_NS));
    }
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
        listening_leave_quickly(photon);
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

/* Counts at the next start in safe mode, as the console's `L` does. */
static int32_t set_startup_mode(struct photon *photon, const struct control_message *request,
                                struct control_message *reply)
{
    control_DeviceMode message = control_DeviceMode_init_zero;

    (void)reply;
    if (!handler_decode(request, control_DeviceMode_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    engine_backup(photon, BACKUP_OTA, message.mode == 1 ? BACKUP_OTA_LISTEN : BACKUP_OTA_NONE);
    return CONTROL_OK;
}

static int32_t device_mode(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    control_DeviceMode message = {.mode = photon->system.listening.on ? 1 : 0};

    (void)request;
    return handler_encode(reply, control_DeviceMode_fields, &message);
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
    bool makes_way;        /* ends an attempt to join a network, from 1.3.1 on */
    bool restarts;
    enum control_restart restart;
    control_handler *handle;
    int32_t answer; /* without a handler */
};

/* Every type that is not here is not supported, nor is any in a release that a row leaves out. */
static const struct row rows[] = {
    {.type = 1, .from = SYSTEM_1_5, .handle = echo},
    {.type = 20, .from = SYSTEM_1_1, .handle = device_id},
    /* no Photon has a serial number */
    {.type = 21, .from = SYSTEM_1_1, .answer = CONTROL_HAL_NO_DATA},
    {.type = 30, .from = SYSTEM_1_1, .handle = system_version},
    {.type = 32, .from = SYSTEM_1_1, .before = SYSTEM_2_0, .handle = capabilities},
    {.type = 32, .from = SYSTEM_2_0},
    {.type = 33, .from = SYSTEM_1_1, .handle = set_feature},
    {.type = 34, .from = SYSTEM_1_1, .handle = get_feature},
    {.type = 40, .makes_way = true, .restarts = true, .restart = RESTART_RESET},
    {.type = 41, .makes_way = true, .restarts = true, .restart = RESTART_FACTORY_RESET},
    {.type = 50, .makes_way = true, .restarts = true, .restart = RESTART_DFU},
    {.type = 60, .makes_way = true, .restarts = true, .restart = RESTART_SAFE_MODE},
    {.type = 70, .makes_way = true, .handle = start_listening},
    {.type = 71, .handle = stop_listening},
    {.type = 72, .from = SYSTEM_1_1, .handle = device_mode},
    {.type = 75, .from = SYSTEM_1_1, .handle = set_startup_mode},
    {.type = 90, .before = SYSTEM_1_1, .handle = modules_json, .time_ms = MODULE_INFO_MS},
    {.type = 90, .from = SYSTEM_1_1, .handle = modules, .time_ms = MODULE_INFO_MS},
    {.type = 100, .handle = diagnostics},
    {.type = 110, .before = SYSTEM_2_0, .handle = handle_set_antenna},
    {.type = 111, .before = SYSTEM_2_0, .handle = handle_get_antenna},
    {.type = 112, .before = SYSTEM_2_0, .handle = handle_wifi_scan},
    {.type = 113, .before = SYSTEM_2_0, .handle = handle_wifi_set},
    {.type = 114, .before = SYSTEM_2_0, .handle = handle_wifi_get},
    {.type = 115, .before = SYSTEM_2_0, .handle = handle_wifi_clear},
    {.type = 120, .before = SYSTEM_2_0},
    {.type = 121, .before = SYSTEM_2_0},
    {.type = 122, .before = SYSTEM_2_0},
    {.type = 200, .handle = handle_set_claim_code},
    {.type = 201, .handle = handle_is_claimed},
    {.type = 210, .handle = handle_set_security_key},
    {.type = 211, .handle = handle_get_security_key},
    {.type = 220, .handle = handle_set_server_address},
    {.type = 221, .handle = handle_get_server_address},
    {.type = 222, .handle = handle_set_server_protocol},
    {.type = 223, .handle = handle_get_server_protocol},
    {.type = 230},
    {.type = 231},
    {.type = 240, .handle = handle_set_soft_ap_ssid},
    {.type = 250, .handle = handle_start_update},
    {.type = 251, .handle = handle_finish_update},
    {.type = 252, .handle = handle_cancel_update},
    {.type = 253, .handle = handle_update_data},
    {.type = 260, .before = SYSTEM_2_0, .handle = handle_describe_storage},
    {.type = 261, .before = SYSTEM_2_0, .handle = handle_read_section},
    {.type = 262, .before = SYSTEM_2_0, .handle = handle_write_section},
    {.type = 263, .before = SYSTEM_2_0, .handle = handle_clear_section},
    {.type = 264, .before = SYSTEM_2_0, .handle = handle_section_size},
    {.type = 300, .from = SYSTEM_1_1},
    {.type = 301, .from = SYSTEM_1_1},
    {.type = 302, .from = SYSTEM_1_1},
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
        return handler_announce_restart(photon, row->restart);
    }
    return row->handle != NULL ? row->handle(photon, request, reply) : row->answer;
}

bool control_request_makes_way(struct photon *photon, uint16_t type)
{
    const struct row *row = find(photon, type);

    if (row == NULL || !row->makes_way || photon->system.part2.version < SYSTEM_1_3) {
        return false;
    }
    listening_cancel_attempt(photon);
    if (row->handle == start_listening) {
        listening_enter(photon);
    }
    return true;
}

uint64_t control_request_time(const struct photon *photon, uint16_t type)
{
    const struct row *row = find(photon, type);

    return row != NULL ? row->time_ms * BOARD_NS_PER_MS : 0;
}
