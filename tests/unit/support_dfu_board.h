/*
 * Boards for benchmarks and fuzzers, where no test framework stands behind a failure: factory-fresh
 * ones, and such that wait in DFU mode.
 */
#ifndef TESTS_SUPPORT_DFU_BOARD_H
#define TESTS_SUPPORT_DFU_BOARD_H

#include "devmodel/board.h"

/* One release for each bootloader generation. */
extern const char *const dfu_board_releases[];
extern const unsigned dfu_board_release_count;

/* A factory-fresh board of the release without power; NULL when there is no such release, or memory
 * is short. */
struct board *dfu_board_fresh(const char *release, bool factory_image);
/* Powers an unpowered board with DFU asked for in DR1 and waits until it attaches. */
bool dfu_board_enter(struct board *board);

#endif
