/*
 * Boards to test: one for each bootloader image, fresh from the factory or waiting in DFU mode, and
 * a record of what a board did.
 */
#ifndef TESTS_SUPPORT_BOARD_H
#define TESTS_SUPPORT_BOARD_H

#include "devmodel/board.h"
#include "devmodel/factory.h"
#include "devmodel/photon.h"

/* The bootloader images, oldest first. */
enum { IMAGE_2, IMAGE_3A, IMAGE_3B, IMAGE_4, IMAGE_7, IMAGE_11, IMAGE_101, IMAGE_501, IMAGE_1006 };
#define TEST_IMAGES 9

struct test_image {
    const char *name;
    const char *release; /* a release whose boards carry it */
};

extern const struct test_image test_images[TEST_IMAGES];

/* The device id of every test board, as text. */
#define TEST_DEVICE_ID "1f00a2000b47abcdef323032"

/* A factory-fresh board of the image's release, without power. The caller destroys it. */
struct board *test_board_new(unsigned image, bool factory_image);
/* Makes the boards of test_board() and test_board_dfu(), as an unchecked fixture before tests fork.
 */
void test_boards_make(void);
void test_boards_free(void);
/* Copies of boards made once: factory-fresh without power, or in DFU mode and configured, asked for
 * by DR1. The caller destroys them. */
struct board *test_board(unsigned image, bool factory_image);
struct board *test_board_dfu(unsigned image);

/* Powers an unpowered board with DFU asked for in DR1 and waits until it attaches. */
bool test_board_enter_dfu(struct board *board);
/* Advances until the pull-up is on; false when that takes more than `limit`. */
bool test_board_until_attached(struct board *board, uint64_t limit);

/* One module of a release as a file; its size. */
size_t test_module(const char *release, enum factory_module which, uint8_t image[FACTORY_MAX_SIZE]);
/* Address of the application section in the current DCT copy. */
uint32_t test_dct(struct board *board);

/* Everything that happened but USB transactions. */
#define TEST_RECORD_MAX 8192
struct test_record {
    size_t count;
    struct board_event events[TEST_RECORD_MAX];
};

/* Starts an empty record of what happens on the board. */
void test_record(struct board *board, struct test_record *record);

#endif
