/*
 * A capture file of the transfers of some boards, for Wireshark and its like: libpcap's format with
 * link type DLT_USB_LINUX_MMAPPED, written by libpcap.
 */
#ifndef VPHOTON_CAPTURE_FILE_H
#define VPHOTON_CAPTURE_FILE_H

#include "emulator/complaint.h"
#include "usb-gadget/root_port.h"

struct capture_file;

/* An empty capture in a new file. NULL with a complaint. */
struct capture_file *capture_file_open(const char *path, struct complaint *complaint);
/* Takes down what happens on this port from now on, until the file is closed; `bus` is the number
 * of the bus that the host has it on. False when memory is short. */
bool capture_file_watch(struct capture_file *file, struct root_port *port, uint16_t bus);
/* Brings everything so far into the file. Call before waiting for anything. */
void capture_file_flush(struct capture_file *file);
/* False with a complaint when something could not be written: the file then ends before that. The
 * ports must not be used any more. NULL is allowed. */
bool capture_file_close(struct capture_file *file, struct complaint *complaint);

#endif
