/*
 * A preload server in the test's own process, and a client that speaks its messages: politely, or
 * not.
 */
#ifndef TESTS_SUPPORT_PRELOAD_H
#define TESTS_SUPPORT_PRELOAD_H

#include <sys/types.h>

#include "tests/unit/support_board.h"
#include "usb-gadget/preload/link.h"

#define PRELOAD_BOARDS_MAX 3

extern struct event_base *base;
extern struct preload_server *server;
extern struct board *boards[PRELOAD_BOARDS_MAX];
extern struct root_port ports[PRELOAD_BOARDS_MAX];

/* The last reply, and the descriptor that came with it or -1. */
extern struct preload_answer {
    struct preload_reply reply;
    uint8_t data[PRELOAD_DATA_MAX];
} got;
extern int got_visible;

#define REQUEST(...) ((struct preload_request){__VA_ARGS__})

/* OPEN of the first board. */
extern const struct preload_request opening;

/* Check fixtures: a server with a board in DFU mode at port 1, without and with warp. They need
 * test_boards_make(). */
void preload_set_up(void);
void preload_set_up_warp(void);
void preload_tear_down(void);

void plug(unsigned index, struct board *board);
void unplug(unsigned index);

/* Lets the server do what is to be done. */
void turn(void);
/* A new connection. */
int dial(void);
void say(int client, struct preload_request request, const void *data, size_t length);
/* One reply; its length, 0 when the server closed the connection, -1 when there is none. */
ssize_t hear(int client);
/* A request with its reply: the result. */
int ask(int client, struct preload_request request, const void *data, size_t length);
int open_device(unsigned number, int *visible);
/* Whether the server closed the connection, after the replies that it still had. */
bool is_closed(int client);
/* Whether a program that polls its node would wake up. */
bool is_ready(int visible);
/* GETSTATUS, or the same with a type that no bootloader answers. */
struct preload_request get_status(enum preload_operation operation, bool answered);
/* Whether one of the server's files holds the text; NULL: whether there is none. */
bool file_is(const char *path, const char *expected);

#endif
