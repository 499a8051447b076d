#include "tests/unit/support_board.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_host.h"

const struct test_image test_images[TEST_IMAGES] = {
    [IMAGE_2] = {"2", "0.4.0"},       [IMAGE_3A] = {"3a", "0.4.2"},
    [IMAGE_3B] = {"3b", "0.4.3"},     [IMAGE_4] = {"4", "0.4.5"},
    [IMAGE_7] = {"7", "0.5.2"},       [IMAGE_11] = {"11", "0.6.3"},
    [IMAGE_101] = {"101", "0.7.0"},   [IMAGE_501] = {"501", "1.5.0"},
    [IMAGE_1006] = {"1006", "2.2.0"},
};

static const struct photon_config config = {
    .device_id = {0x1F, 0x00, 0xA2, 0x00, 0x0B, 0x47, 0xAB, 0xCD, 0xEF, 0x32, 0x30, 0x32},
    .mac = {0x6C, 0x0B, 0x84, 0x12, 0x34, 0x56},
    .vbat = true,
};

/* Made before the tests fork; every test works on a copy. */
static struct board *fresh[TEST_IMAGES][2], *waiting[TEST_IMAGES];

struct board *test_board_new(unsigned image, bool factory_image)
{
    const struct release *release = release_find(test_images[image].release);
    struct flash *flash = flash_new(1);
    struct board *board;

    ck_assert_msg(release != NULL, "no release %s", test_images[image].release);
    ck_assert_ptr_nonnull(flash);
    ck_assert(factory_flash(flash, release, support_sha256, factory_image));
    ck_assert_str_eq(release->bootloader->name, test_images[image].name);
    board = photon_new(&config, flash);
    ck_assert_ptr_nonnull(board);
    return board;
}

bool test_board_until_attached(struct board *board, uint64_t limit)
{
    const uint64_t end = board->now + limit;

    while (!board->ops->attached(board)) {
        uint64_t next = board->ops->next_deadline(board);

        if (next > end) {
            return false;
        }
        board_advance_to(board, next > board->now ? next : board->now + 1);
    }
    return true;
}

bool test_board_enter_dfu(struct board *board)
{
    photon_backup(board)->dr[BACKUP_HEALTH] = BACKUP_HEALTH_DFU;
    board->ops->power(board, true);
    return test_board_until_attached(board, 10 * BOARD_NS_PER_S) && host_enumerate(board);
}

void test_boards_make(void)
{
    for (unsigned image = 0; image < TEST_IMAGES; image++) {
        fresh[image][0] = test_board_new(image, false);
        fresh[image][1] = test_board_new(image, true);
        waiting[image] = test_board(image, false);
        ck_assert_msg(test_board_enter_dfu(waiting[image]), "bootloader %s does not enter DFU mode",
                      test_images[image].name);
    }
}

static void drop(struct board **board)
{
    if (*board != NULL) {
        (*board)->ops->destroy(*board);
        *board = NULL;
    }
}

void test_boards_free(void)
{
    for (unsigned image = 0; image < TEST_IMAGES; image++) {
        drop(&fresh[image][0]);
        drop(&fresh[image][1]);
        drop(&waiting[image]);
    }
}

static struct board *copy_of(const struct board *board)
{
    struct board *copy = board->ops->clone(board);

    ck_assert_ptr_nonnull(copy);
    return copy;
}

struct board *test_board(unsigned image, bool factory_image)
{
    return copy_of(fresh[image][factory_image ? 1 : 0]);
}

struct board *test_board_dfu(unsigned image)
{
    return copy_of(waiting[image]);
}

size_t test_module(const char *name, enum factory_module which, uint8_t image[FACTORY_MAX_SIZE])
{
    const struct release *release = release_find(name);

    ck_assert_msg(release != NULL, "no release %s", name);
    return factory_build(release, which, support_sha256, image);
}

/* A copy is current when its header says complete and current, and has the magic. */
static bool current(struct board *board, uint32_t sector)
{
    static const uint8_t good[8] = {0x00, 0x01};
    uint8_t header[8];

    return board->ops->flash_read(board, sector + 8, header, sizeof(header)) &&
           memcmp(header, good, 2) == 0 && memcmp(header + 4, "BRCM", 4) == 0;
}

/* The number in the tail that 0.7.0 and later give each copy; 0 without a tail. */
static unsigned sequence(struct board *board, uint32_t sector)
{
    static const uint8_t tail[4] = {0xCD, 0x00, 0x02, 0xDC};
    uint8_t found[16];

    return board->ops->flash_read(board, sector + 0x3FF0, found, sizeof(found)) &&
                   memcmp(found, tail, sizeof(tail)) == 0
               ? found[13]
               : 0;
}

uint32_t test_dct(struct board *board)
{
    bool second =
        current(board, MAP_DCT2) &&
        (!current(board, MAP_DCT1) || sequence(board, MAP_DCT2) > sequence(board, MAP_DCT1));

    return (second ? MAP_DCT2 : MAP_DCT1) + DCT_APPLICATION;
}

static void observe(void *context, const struct board_event *event)
{
    struct test_record *record = context;

    if (event->kind == BOARD_EVENT_USB_TRANSACTION) {
        return;
    }
    /* No ck_assert: it writes to a file even when all is well, too slow for every event. */
    if (record->count >= TEST_RECORD_MAX) {
        ck_abort_msg("more events than a test can follow");
    }
    record->events[record->count++] = *event;
}

void test_record(struct board *board, struct test_record *record)
{
    record->count = 0;
    board_observe(board, observe, record);
}
