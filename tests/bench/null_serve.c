/*
 * null_serve SOCKET: a null board behind the links of `vphoton serve`, the least that a host can
 * pay for one there: USB/IP at a free port, which is printed, and usbredir at a socket file. Until
 * it is ended.
 */
#include <stdio.h>

#include "emulator/listener.h"
#include "emulator/socket_file.h"
#include "tests/unit/support_null_board.h"
#include "usb-gadget/usbip/server.h"
#include "usb-gadget/usbredir/server.h"

static void say(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "null_serve: %s\n", line);
}

static bool serve(struct event_base *base, struct outlet *outlet, const char *path,
                  struct complaint *complaint)
{
    char name[LISTENER_NAME_MAX];
    int network = listener_open("127.0.0.1:0", false, complaint);
    int file = network >= 0 ? socket_file_listen(path, 4, complaint) : -1;
    struct usbip_server *usbip = file >= 0 ? usbip_server_new(base, outlet, 1) : NULL;
    if (!usbip || !usbip_server_listen(usbip, network) ||
        !usbredir_server_new(base, outlet, file, say, NULL)) {
        return false;
    }
    listener_name(network, name);
    printf("USB/IP at %s\n", name);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    static struct root_port port;
    static struct outlet outlet;
    struct complaint complaint = {"memory is short"};
    struct event_base *base = event_base_new();
    struct board *board = null_board_new();
    if (argc != 2) {
        fprintf(stderr, "usage: null_serve SOCKET\n");
        return EXIT_USAGE;
    }
    if (board) {
        root_port_init(&port, board, true);
        board->ops->power(board, true);
        root_port_poll(&port);
    }
    if (!base || !board || !outlet_init(&outlet, base, &port, "null", 1) ||
        !serve(base, &outlet, argv[1], &complaint)) {
        say_complaint(&complaint);
        return EXIT_ENVIRONMENT;
    }
    return event_base_dispatch(base) == 0 ? EXIT_DONE : EXIT_ENVIRONMENT;
}
