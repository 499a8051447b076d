#include "tests/unit/support_service.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "devmodel/little_endian.h"
#include "tests/unit/support_digest.h"

#define PATIENCE (10 * BOARD_NS_PER_S)

static const struct photon_config config = {
    .device_id = {0x1F, 0x00, 0xA2, 0x00, 0x0B, 0x47, 0xAB, 0xCD, 0xEF, 0x32, 0x30, 0x32},
    .mac = {0x6C, 0x0B, 0x84, 0x12, 0x34, 0x56},
    .air = {.count = 1,
            .networks = {{.ssid = "VPHOTON",
                          .security = WIFI_WPA2,
                          .cipher = WIFI_AES,
                          .channel = 6,
                          .rssi = -50}}},
    .vbat = true,
};

void service_reattach(struct board *board)
{
    ck_assert(test_board_until_attached(board, PATIENCE));
    /* The system listens 13 ms after it attached. */
    board_advance(board, 20 * BOARD_NS_PER_MS);
    ck_assert(host_enumerate(board));
}

struct board *service_board_changed(const char *name, void (*change)(struct flash *flash))
{
    const struct release *release = release_find(name);
    struct flash *flash = flash_new(1);
    struct board *board;

    ck_assert_msg(release != NULL, "no release %s", name);
    ck_assert(factory_flash(flash, release, support_sha256, false));
    change(flash);
    board = photon_new(&config, flash);
    ck_assert_ptr_nonnull(board);
    board->ops->power(board, true);
    service_reattach(board);
    return board;
}

static void no_change(struct flash *flash)
{
    (void)flash;
}

struct board *service_board(const char *name)
{
    return service_board_changed(name, no_change);
}

size_t service_firmware(const char *name, uint8_t image[FACTORY_MAX_SIZE])
{
    char path[512];
    size_t size = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/build/firmware/%s", UNIT_SOURCE_TREE, name);
    file = fopen(path, "rb");
    if (file != NULL) {
        size = fread(image, 1, FACTORY_MAX_SIZE, file);
        (void)fclose(file);
    }
    return size;
}

enum host_end vendor_request(struct board *board, uint8_t type, uint8_t request, uint16_t value,
                             uint16_t index, const void *out, uint16_t length,
                             struct host_transfer *transfer)
{
    uint8_t packet[8];

    host_setup_packet(packet, type, request, value, index, length);
    host_control(board, packet, out, out != NULL ? length : 0, BOARD_NEVER, transfer);
    return transfer->end;
}

static struct service_reply service(struct board *board, uint8_t request, uint16_t value,
                                    uint16_t index)
{
    struct host_transfer transfer;
    struct service_reply reply = {
        .end = vendor_request(board, 0xC0, request, value, index, NULL, 64, &transfer)};
    const uint8_t *at = transfer.data + 6;

    if (reply.end != HOST_ACK) {
        return reply;
    }
    ck_assert_uint_ge(transfer.length, 6);
    reply.length = transfer.length;
    reply.flags = le32_get(transfer.data);
    ck_assert_uint_eq(reply.flags & ~0xFU, 0);
    ck_assert_uint_eq(reply.flags & 1, 1);
    reply.status = le16_get(transfer.data + 4);
    if ((reply.flags & 2) != 0) {
        reply.id = le16_get(at);
        at += 2;
    }
    if ((reply.flags & 4) != 0) {
        reply.size = le32_get(at);
        at += 4;
    }
    if ((reply.flags & 8) != 0) {
        reply.result = (int32_t)le32_get(at);
        at += 4;
    }
    ck_assert_int_eq(at - transfer.data, (ptrdiff_t)transfer.length);
    return reply;
}

struct service_reply service_init(struct board *board, uint16_t type, uint16_t size)
{
    return service(board, 1, size, type);
}

struct service_reply service_check(struct board *board, uint16_t id)
{
    return service(board, 2, 0, id);
}

struct service_reply service_reset(struct board *board, uint16_t id)
{
    return service(board, 5, 0, id);
}

enum host_end service_send(struct board *board, uint16_t id, const void *data, uint16_t length)
{
    struct host_transfer transfer;

    return vendor_request(board, 0x40, 3, 0, id, data, length, &transfer);
}

enum host_end service_recv(struct board *board, uint16_t id, uint16_t length,
                           struct host_transfer *transfer)
{
    return vendor_request(board, 0xC0, 4, 0, id, NULL, length, transfer);
}

struct service_reply service_wait(struct board *board, uint16_t id)
{
    const uint64_t deadline = board->now + PATIENCE;
    struct service_reply reply;

    do {
        ck_assert_uint_lt(board->now, deadline);
        board_advance(board, 100 * BOARD_NS_PER_US);
        reply = service_check(board, id);
        ck_assert_int_eq(reply.end, HOST_ACK);
    } while (reply.status == 2);
    return reply;
}

struct service_answer service_ask(struct board *board, uint16_t type, const void *payload,
                                  uint16_t size)
{
    static struct host_transfer transfer;
    struct service_answer answer = {.started = board->now};
    struct service_reply reply = service_init(board, type, size);
    uint16_t id = reply.id;

    ck_assert_int_eq(reply.end, HOST_ACK);
    if (reply.status == 2) {
        reply = service_wait(board, id);
    }
    ck_assert_uint_eq(reply.status, 0);
    if (size > 0) {
        ck_assert_int_eq(service_send(board, id, payload, size), HOST_ACK);
    }
    reply = service_wait(board, id);
    answer.ended = board->now;
    ck_assert_uint_eq(reply.status, 0);
    ck_assert_uint_eq(reply.flags & 8, 8);
    answer.result = reply.result;
    answer.size = reply.size;
    if (reply.size > 0) {
        ck_assert_uint_le(reply.size, sizeof(answer.data));
        ck_assert_int_eq(service_recv(board, id, (uint16_t)reply.size, &transfer), HOST_ACK);
        ck_assert_uint_eq(transfer.length, reply.size);
        memcpy(answer.data, transfer.data, reply.size);
    }
    return answer;
}

void service_expect(struct board *board, uint16_t type, const void *payload, uint16_t size,
                    int32_t result, const void *reply, size_t reply_size)
{
    struct service_answer answer = service_ask(board, type, payload, size);

    ck_assert_msg(answer.result == result, "request %u: result %d, not %d", (unsigned)type,
                  (int)answer.result, (int)result);
    ck_assert_msg(answer.size == reply_size, "request %u: %zu bytes, not %zu", (unsigned)type,
                  answer.size, reply_size);
    if (reply_size > 0) {
        ck_assert_mem_eq(answer.data, reply, reply_size);
    }
}

/* --- updates --- */

enum { UPDATE_START = 250, UPDATE_FINISH = 251, UPDATE_DATA = 253 };
#define UPDATE_CHUNK 1024

static uint16_t varint(uint8_t *bytes, uint32_t value)
{
    uint16_t length = 0;

    do {
        bytes[length++] = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value != 0);
    return length;
}

struct service_answer service_update_start(struct board *board, uint32_t size)
{
    uint8_t message[8] = {0x08};

    return service_ask(board, UPDATE_START, message, (uint16_t)(1 + varint(message + 1, size)));
}

struct service_answer service_update_data(struct board *board, const uint8_t *data, uint16_t size)
{
    uint8_t message[2048] = {0x0A};
    uint16_t head = (uint16_t)(1 + varint(message + 1, size));

    memcpy(message + head, data, size);
    return service_ask(board, UPDATE_DATA, message, (uint16_t)(head + size));
}

int32_t service_update_finish(struct board *board, bool validate_only)
{
    return service_ask(board, UPDATE_FINISH, "\x08\x01", validate_only ? 2 : 0).result;
}

int32_t service_update(struct board *board, const uint8_t *image, size_t size)
{
    ck_assert_int_eq(service_update_start(board, (uint32_t)size).result, 0);
    for (size_t done = 0; done < size; done += UPDATE_CHUNK) {
        size_t part = size - done < UPDATE_CHUNK ? size - done : UPDATE_CHUNK;

        ck_assert_int_eq(service_update_data(board, image + done, (uint16_t)part).result, 0);
    }
    return service_update_finish(board, false);
}
