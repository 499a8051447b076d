#include "tests/unit/support_dfu_board.h"

#include "devmodel/factory.h"
#include "devmodel/photon.h"
#include "tests/unit/support_digest.h"

const char *const dfu_board_releases[] = {"0.4.0", "0.4.3", "0.4.5", "0.5.2",
                                          "0.6.3", "0.7.0", "1.5.0", "2.2.0"};
const unsigned dfu_board_release_count = sizeof dfu_board_releases / sizeof dfu_board_releases[0];

/* Longer than any boot. */
#define PATIENCE (10 * BOARD_NS_PER_S)

struct board *dfu_board_fresh(const char *name, bool factory_image)
{
    static const struct photon_config config = {
        .device_id = {0x1F, 0x00, 0xA2, 0x00, 0x0B, 0x47, 0xAB, 0xCD, 0xEF, 0x32, 0x30, 0x32},
        .mac = {0x6C, 0x0B, 0x84, 0x12, 0x34, 0x56},
        .vbat = true,
    };
    const struct release *release = release_find(name);
    struct flash *flash = release != NULL ? flash_new(1) : NULL;
    struct board *board = NULL;

    if (flash != NULL && factory_flash(flash, release, support_sha256, factory_image)) {
        board = photon_new(&config, flash);
    }
    if (board == NULL) {
        flash_free(flash);
    }
    return board;
}

bool dfu_board_enter(struct board *board)
{
    uint64_t limit = board->now + PATIENCE;

    photon_backup(board)->dr[BACKUP_HEALTH] = BACKUP_HEALTH_DFU;
    board->ops->power(board, true);
    while (!board->ops->attached(board)) {
        uint64_t next = board->ops->next_deadline(board);
        if (next > limit) {
            return false;
        }
        board_advance_to(board, next);
    }
    return true;
}
