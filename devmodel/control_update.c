/*
 * Firmware updates by control requests 250 to 253. Source: device-os v1.5.0, v2.2.0
 * system/src/firmware_update.cpp, control/storage.cpp; 1.5.0 and 2.2.0 tried.
 */
#include "control.pb.h"
#include "control_handlers.h"
#include "engine.h"
#include "update.h"

/* Bytes of an update in one request. */
#define CHUNK_SIZE 1024

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

int32_t handle_start_update(struct photon *photon, const struct control_message *request,
                            struct control_message *reply)
{
    control_StartFirmwareUpdate message = control_StartFirmwareUpdate_init_zero;
    control_StartedFirmwareUpdate started = {.chunk_size = CHUNK_SIZE};
    struct control_session *session = &photon->system.session;

    if (!handler_decode(request, control_StartFirmwareUpdate_fields, &message)) {
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
    return handler_encode(reply, control_StartedFirmwareUpdate_fields, &started);
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

int32_t handle_update_data(struct photon *photon, const struct control_message *request,
                           struct control_message *reply)
{
    struct control_session *session = &photon->system.session;
    control_FirmwareUpdateData message = control_FirmwareUpdateData_init_zero;

    (void)reply;
    if (!session->update.active) {
        return CONTROL_INVALID_STATE;
    }
    if (!handler_decode(request, control_FirmwareUpdateData_fields, &message)) {
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

int32_t handle_finish_update(struct photon *photon, const struct control_message *request,
                             struct control_message *reply)
{
    const struct control_session *session = &photon->system.session;
    control_FinishFirmwareUpdate message = control_FinishFirmwareUpdate_init_zero;
    enum update_verdict verdict;

    (void)reply;
    if (!session->update.active || session->update.received != session->update.size) {
        return drop_update(photon, CONTROL_INVALID_STATE);
    }
    if (!handler_decode(request, control_FinishFirmwareUpdate_fields, &message)) {
        return drop_update(photon, CONTROL_BAD_DATA);
    }
    verdict = message.validate_only ? update_judge(photon) : update_finish(photon);
    if (verdict == UPDATE_OK && !message.validate_only) {
        (void)handler_announce_restart(photon, RESTART_UPDATED);
    }
    return drop_update(photon, update_result(photon, verdict));
}

int32_t handle_cancel_update(struct photon *photon, const struct control_message *request,
                             struct control_message *reply)
{
    (void)request;
    (void)reply;
    return drop_update(photon, CONTROL_OK);
}
