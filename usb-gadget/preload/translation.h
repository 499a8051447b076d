/*
 * What programs ask of a device node and of a serial port, put into requests to the server, and
 * what needs no server to be answered. Pure functions of usbfs's structures
 * (linux/usbdevice_fs.h), for all front ends of the server: the preload library, which is asked in
 * the program itself, and the raw link, which reads the structures out of the program.
 *
 * Results are 0 or more, or -errno.
 */
#ifndef GADGET_PRELOAD_TRANSLATION_H
#define GADGET_PRELOAD_TRANSLATION_H

#include <linux/serial.h>
#include <linux/usbdevice_fs.h>
#include <stdbool.h>
#include <stddef.h>

#include "usb-gadget/preload/protocol.h"

#define SETUP_SIZE         8
#define DIRECTION_IN       0x80
#define CLAIMABLE          64  /* interfaces whose claim is remembered in 64 bits */
#define TRANSLATION_ANSWER 256 /* most that translation_answer() fills */

/* --- transfers --- */

int translate_control(const struct usbdevfs_ctrltransfer *what, struct preload_request *request);
int translate_bulk(const struct usbdevfs_bulktransfer *what, struct preload_request *request);
/* `urb` as the program holds it at address `tag`; `setup` is the beginning of a control URB's
 * buffer, when that has SETUP_SIZE bytes. What is moved stands translation_offset() bytes behind
 * the beginning of the buffer. */
int translate_urb(const struct usbdevfs_urb *urb, uint64_t tag, const uint8_t setup[SETUP_SIZE],
                  struct preload_request *request);
size_t translation_offset(const struct usbdevfs_urb *urb);
bool translation_is_in(const struct preload_request *request);

/* The kernel claims what a transfer needs, and a program wants to hear at once when it cannot.
 * The interface to claim first, in `*interface`; -1 when none is, or `claimed` has it. -ENOENT
 * when the transfer's endpoint is unknown. */
int translate_claim(const struct preload_handle_info *info, const struct preload_request *request,
                    uint64_t claimed, int *interface);

/* --- other requests --- */

/* One that is all numbers; `argument` is what the ioctl's argument points to, of
 * translation_argument() bytes. -ENOTTY when it is none of these. */
int translate_numbers(unsigned long ioctl, const void *argument, struct preload_request *request);
/* The bytes of such a request's argument. */
size_t translation_argument(unsigned long ioctl);
/* The interfaces that are claimed after a request succeeded; `claimed` were so before. */
uint64_t translation_claims(uint64_t claimed, const struct preload_request *request);
/* USBDEVFS_IOCTL: false, with the result, when there is nothing to be asked. */
bool translate_driver_ioctl(const struct usbdevfs_ioctl *what, struct preload_request *request,
                            int *result);
/* Whose data is the name of a driver. */
void translate_disconnect_claim(const struct usbdevfs_disconnect_claim *what,
                                struct preload_request *request);

/* Answers what is known from the node's description: `*size` bytes of the program's argument are
 * to be set to `out`. -ENOTTY when the server has to be asked. */
int translation_answer(const struct preload_handle_info *info, unsigned long ioctl,
                       uint8_t out[TRANSLATION_ANSWER], size_t *size);

/* --- serial ports --- */

/* The number of the pty whose slave has this device number, or -1. */
int translation_pts(unsigned major_number, unsigned minor_number);
/* Whether an ioctl sets a terminal: TCSETS to TCSETAF, and TCSETS2 to TCSETSF2, whose structure the
 * C library does not show. */
bool translation_sets_terminal(unsigned long ioctl);
/* Whether it is about modem lines, or begins or ends a break, which a pty does not have. */
bool translation_is_modem(unsigned long ioctl);
/* Milliseconds of the break that an ioctl asks for, with the number that is its argument; -1 when
 * it asks for none. With a number, TCSBRK only waits for what was written. */
#define TRANSLATION_BREAK_MS 250 /* the usual one */
int translation_break_ms(unsigned long ioctl, int number);
/* The request for a modem ioctl: `lines` (as PRELOAD_TTY_LINES gives them) are now up, `argument`
 * is what the program's argument points to. */
void translate_modem(unsigned long ioctl, uint32_t lines, int argument,
                     struct preload_request *request);
/* Whether it is what setserial asks of a UART; the answer for ttyACMn with `index`, into `info` or
 * about it. */
bool translation_is_uart(unsigned long ioctl);
int translation_uart(unsigned long ioctl, int index, struct serial_struct *info);
/* TIOCMGET's bits for the lines. */
int translation_modem_bits(uint32_t lines);

#endif
