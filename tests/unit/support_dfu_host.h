/*
 * A DFU host on a board's pins: downloads as dfu-util makes them, over support_host.h. For boards
 * in DFU mode that are configured. All are false when a transfer fails or the board reports an
 * error.
 */
#ifndef TESTS_SUPPORT_DFU_HOST_H
#define TESTS_SUPPORT_DFU_HOST_H

#include "devmodel/board.h"

#define DFU_BLOCK 4096

/* DNLOAD, and GETSTATUS until it has been done. */
bool dfu_host_dnload(struct board *board, uint16_t block, const void *data, uint16_t length);
/* A special command, 0x21 (set address) or 0x41 (erase). */
bool dfu_host_special(struct board *board, uint8_t letter, uint32_t address);
bool dfu_host_select(struct board *board, uint16_t alternate);
/* One block to `address`. */
bool dfu_host_write(struct board *board, uint32_t address, const void *data, uint16_t length);
/* Erases the sectors of a range of large sectors and writes it, block by block. */
bool dfu_host_download(struct board *board, uint32_t address, const uint8_t *data, size_t length);
/* Asks the board to leave, and gives it a second. */
bool dfu_host_leave(struct board *board);

#endif
