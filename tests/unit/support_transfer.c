#include <check.h>

#include "tests/unit/support_transfer.h"

struct script_board script;
struct root_port port;
unsigned completions;
uint8_t bytes[512];

void transfer_setup(void)
{
    completions = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
}

void play(const struct script_row *rows, size_t count, bool jump)
{
    script_board_init(&script, rows, count);
    root_port_init(&port, &script.board, jump);
}

void count_completion(struct transfer *transfer)
{
    (void)transfer;
    completions++;
}

struct transfer control(uint8_t type, size_t length)
{
    return (struct transfer){
        .type = TRANSFER_CONTROL,
        .setup = {type, 3, 0, 0, 0, 0, (uint8_t)length, (uint8_t)(length >> 8)},
        .data = bytes,
        .length = length,
        .complete = count_completion,
    };
}

struct transfer bulk(uint8_t endpoint, size_t length)
{
    return (struct transfer){
        .type = TRANSFER_BULK,
        .endpoint = endpoint,
        .data = bytes,
        .length = length,
        .complete = count_completion,
    };
}

void expect(const struct transfer *transfer, enum transfer_status status, size_t actual)
{
    ck_assert_int_eq(transfer->status, status);
    ck_assert_uint_eq(transfer->actual, actual);
    ck_assert_uint_eq(completions, 1);
    ck_assert_msg(script_board_finished(&script), "%zu of %zu rows used, %u unexpected", script.at,
                  script.count, script.unexpected);
}
