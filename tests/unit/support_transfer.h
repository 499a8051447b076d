/*
 * Transfers of a test: a buffer, a completion that counts, and a scripted board on a root port.
 */
#ifndef TESTS_SUPPORT_TRANSFER_H
#define TESTS_SUPPORT_TRANSFER_H

#include "tests/unit/support_script_board.h"
#include "usb-gadget/root_port.h"

/* Rows of a script: the usual transactions on EP0, acknowledged. */
/* clang-format off */
#define SETUP  {.token = USB_TOKEN_SETUP}
#define IN(n)  {.token = USB_TOKEN_IN, .length = (n)}
#define OUT(n) {.token = USB_TOKEN_OUT, .length = (n)}
/* clang-format on */

extern struct script_board script;
extern struct root_port port;
extern unsigned completions;
extern uint8_t bytes[512];

/* Check fixture: nothing completed, a pattern in `bytes`. */
void transfer_setup(void);
/* A new scripted board on `port`. */
void play(const struct script_row *rows, size_t count, bool jump);

#define PLAY(rows, jump) play(rows, sizeof(rows) / sizeof((rows)[0]), jump)

void count_completion(struct transfer *transfer);
/* A control transfer with this bmRequestType and wLength, into or out of `bytes`. */
struct transfer control(uint8_t type, size_t length);
struct transfer bulk(uint8_t endpoint, size_t length);
/* The one transfer of the test ended so, and the script was played to its end. */
void expect(const struct transfer *transfer, enum transfer_status status, size_t actual);

#endif
