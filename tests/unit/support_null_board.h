/*
 * A board without a model: a DFU device that has no flash, takes no time and never fails.
 *
 * What a benchmark measures beyond it is the model's own cost; what a test of the plug sees on it
 * is the plug's own work.
 */
#ifndef TESTS_SUPPORT_NULL_BOARD_H
#define TESTS_SUPPORT_NULL_BOARD_H

#include "devmodel/board.h"

/* Identity as of a Photon in DFU mode with bootloader 3; one alternate setting. */
#define NULL_BOARD_MANUFACTURER "Null Devices"
#define NULL_BOARD_PRODUCT      "Null DFU"
#define NULL_BOARD_SERIAL       "000000000000"
#define NULL_BOARD_MEMORY       "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg"

/* A board without power; it attaches with power. NULL when memory is short. */
struct board *null_board_new(void);
/* Bytes of download blocks and of uploads that went through since it was made. */
uint64_t null_board_downloaded(const struct board *board);
uint64_t null_board_uploaded(const struct board *board);

#endif
