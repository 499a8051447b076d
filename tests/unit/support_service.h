/*
 * Boards whose system runs, and a host that speaks the control requests' service protocol with
 * them, transfer by transfer.
 */
#ifndef TESTS_SUPPORT_SERVICE_H
#define TESTS_SUPPORT_SERVICE_H

#include "tests/unit/support_board.h"
#include "tests/unit/support_host.h"

/* A board of the release whose system is attached and configured. The caller destroys it. */
struct board *service_board(const char *release);
/* The same, with its flash changed before it gets power. */
struct board *service_board_changed(const char *release, void (*change)(struct flash *flash));
/* Waits until a board that has left the bus is there again, and configures it. */
void service_reattach(struct board *board);
/* A file of build/firmware, where the fetched real modules lie; 0 when it is not there. */
size_t service_firmware(const char *name, uint8_t image[FACTORY_MAX_SIZE]);

/* One vendor request to the device; `out` holds wLength bytes of an OUT data stage. */
enum host_end vendor_request(struct board *board, uint8_t type, uint8_t request, uint16_t value,
                             uint16_t index, const void *out, uint16_t length,
                             struct host_transfer *transfer);

/* What a service request was answered. Absent fields are 0. */
struct service_reply {
    enum host_end end;
    size_t length;
    uint32_t flags;
    uint16_t status, id;
    uint32_t size;
    int32_t result;
};

struct service_reply service_init(struct board *board, uint16_t type, uint16_t size);
struct service_reply service_check(struct board *board, uint16_t id);
struct service_reply service_reset(struct board *board, uint16_t id);
enum host_end service_send(struct board *board, uint16_t id, const void *data, uint16_t length);
/* The bytes of the transfer are the reply's. */
enum host_end service_recv(struct board *board, uint16_t id, uint16_t length,
                           struct host_transfer *transfer);
/* CHECK every 0.1 ms for as long as the answer is "pending". */
struct service_reply service_wait(struct board *board, uint16_t id);

/* A whole request, as particle-usb does it. */
struct service_answer {
    int32_t result;
    size_t size;
    uint8_t data[2048];
    uint64_t started, ended; /* INIT's SETUP; the CHECK that gave the result */
};
struct service_answer service_ask(struct board *board, uint16_t type, const void *payload,
                                  uint16_t size);

/* What the answer to `type` without a payload is, byte for byte. */
void service_expect(struct board *board, uint16_t type, const void *payload, uint16_t size,
                    int32_t result, const void *reply, size_t reply_size);

/* Firmware updates, requests 250 to 253. `size` of data is at most 2000 bytes. */
struct service_answer service_update_start(struct board *board, uint32_t size);
struct service_answer service_update_data(struct board *board, const uint8_t *data, uint16_t size);
int32_t service_update_finish(struct board *board, bool validate_only);
/* A whole one in pieces of 1 KiB; the result of its end. */
int32_t service_update(struct board *board, const uint8_t *image, size_t size);

#endif
