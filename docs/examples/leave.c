/*
 * A harness of one page: takes a board of a release into DFU mode, asks it to leave, and prints how
 * it answers each transaction of the GETSTATUS that follows.
 */
#include <factory.h>
#include <photon.h>
#include <release.h>
#include <stdio.h>

static const char *const answers[] = {"ACK", "NAK", "STALL", "no answer"};

static struct board *new_board(const char *release_name)
{
    const struct release *release = release_find(release_name);
    const struct photon_config config = {.device_id = {0x2c, 0x00, 0x39}};
    struct flash *flash = flash_new(1);

    if (release == NULL || flash == NULL || !factory_flash(flash, release, NULL, false)) {
        flash_free(flash);
        return NULL;
    }
    return photon_new(&config, flash);
}

/* A control request without data: SETUP, then the status stage. */
static enum usb_handshake request(struct board *board, const uint8_t setup[8])
{
    uint8_t nothing[BOARD_USB_PACKET];
    size_t length;

    if (board->ops->setup(board, setup) != USB_ACK) {
        return USB_SILENT;
    }
    return board->ops->in(board, 0, nothing, &length);
}

int main(int argc, char **argv)
{
    static const uint8_t set_address[8] = {0x00, 5, 2, 0, 0, 0, 0, 0};
    static const uint8_t set_configuration[8] = {0x00, 9, 1, 0, 0, 0, 0, 0};
    static const uint8_t dnload_nothing[8] = {0x21, 1, 2, 0, 0, 0, 0, 0};
    static const uint8_t getstatus[8] = {0xA1, 3, 0, 0, 0, 0, 6, 0};
    struct board *board = new_board(argc > 1 ? argv[1] : "0.4.3");
    uint8_t status[BOARD_USB_PACKET];
    size_t length = 0;

    if (board == NULL) {
        fputs("no such release\n", stderr);
        return 1;
    }
    /* SETUP is held for four seconds over power-on. */
    board->ops->button(board, true);
    board->ops->power(board, true);
    board_advance(board, 4 * BOARD_NS_PER_S);
    board->ops->button(board, false);
    board_advance(board, BOARD_NS_PER_S);

    board->ops->bus_reset(board);
    request(board, set_address);
    request(board, set_configuration);
    printf("DNLOAD of nothing: %s\n", answers[request(board, dnload_nothing)]);
    printf("GETSTATUS, SETUP:  %s\n", answers[board->ops->setup(board, getstatus)]);
    printf("GETSTATUS, data:   %s, ", answers[board->ops->in(board, 0, status, &length)]);
    printf("bState %d of %zu bytes\n", length > 4 ? status[4] : -1, length);
    printf("GETSTATUS, status: %s\n", answers[board->ops->out(board, 0, NULL, 0)]);
    board->ops->destroy(board);
    return 0;
}
