/*
 * The control socket: requests and replies as lines of JSON, one of each at a time.
 *
 * An address is the path of a socket file, or a name in Linux's abstract namespace written with a
 * leading '@', which leaves no file behind however the program ends. Only the same user (and root)
 * is heard.
 */
#ifndef VPHOTON_CONTROL_H
#define VPHOTON_CONTROL_H

#include <event2/event.h>
#include <jansson.h>

#include "emulator/complaint.h"

/* Name of the environment variable that tells a child where the socket is. */
#define CONTROL_ENVIRONMENT "VPHOTON_CONTROL"
/* Longest request, and longest reply. */
#define CONTROL_LINE_MAX  4096
#define CONTROL_REPLY_MAX 262144
#define CONTROL_PEERS_MAX 16

struct control;

/* Answers one request (always an object) with a new reference. */
typedef json_t *control_answer(void *context, const json_t *request);

/* Listens at `address`, or at a name of its own when that is NULL. NULL with a complaint. */
struct control *control_new(struct event_base *base, const char *address, control_answer *answer,
                            void *context, struct complaint *complaint);
void control_free(struct control *control);
const char *control_address(const struct control *control);

/* {"ok": false, "error": text}: what an answer is when it cannot be given. */
json_t *control_error(const char *text);

/* The client's side: asks once; a new reference, or NULL with a complaint. */
json_t *control_ask(const char *address, const json_t *request, struct complaint *complaint);

#endif
