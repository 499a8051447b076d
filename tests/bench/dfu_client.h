/*
 * A DfuSe host with no cost of its own: the transfers of dfu-util 0.11's download, on a root port.
 */
#ifndef TESTS_BENCH_DFU_CLIENT_H
#define TESTS_BENCH_DFU_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usb-gadget/root_port.h"

#define DFU_CLIENT_BLOCK 4096

/* Erases the sector that contains `address`, or sets the pointer; waits as a host does. */
bool dfu_client_erase(struct root_port *port, uint32_t address);
bool dfu_client_set_address(struct root_port *port, uint32_t address);
/* One download block at the pointer, DFU_CLIENT_BLOCK bytes or less. */
bool dfu_client_block(struct root_port *port, const uint8_t *data, size_t length);
/* Erases sectors of 128 KiB from `address` on, then downloads. */
bool dfu_client_download(struct root_port *port, uint32_t address, const uint8_t *data,
                         size_t length);

#endif
