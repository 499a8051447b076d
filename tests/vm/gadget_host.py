#!/usr/bin/python3 -B
"""Runs in the guest: a host that makes control requests of the device with a product id, by usbfs, one
after another. Prints for each "ok", with how many bytes moved, or the name of the error.

usage: gadget_host.py PRODUCT TYPE:REQUEST:VALUE:LENGTH...      all in hex
"""
import ctypes
import errno
import fcntl
import os
import pathlib
import struct
import sys

# linux/usbdevice_fs.h
CONTROL, CLAIM_INTERFACE = 0xC0185500, 0x8004550F
TIMEOUT_MS = 300


def node_of(product):
    for path in pathlib.Path("/sys/bus/usb/devices").glob("*/idProduct"):
        if path.read_text(encoding="ascii").strip() == product:
            bus, device = (int((path.parent / name).read_text(encoding="ascii"))
                           for name in ("busnum", "devnum"))
            return f"/dev/bus/usb/{bus:03}/{device:03}"
    return sys.exit(f"no device {product}")


def ask(node, request):
    kind, number, value, length = (int(word, 16) for word in request.split(":"))
    data = ctypes.create_string_buffer(max(length, 1))
    wish = struct.pack("<BBHHHI4xQ", kind, number, value, 0, length, TIMEOUT_MS,
                       ctypes.addressof(data))
    # fcntl.ioctl() keeps the result to itself.
    moved = ctypes.CDLL(None, use_errno=True).ioctl(node, ctypes.c_ulong(CONTROL), wish)
    return f"ok {moved}" if moved >= 0 else errno.errorcode[ctypes.get_errno()]


def main(product, *requests):
    node = os.open(node_of(product), os.O_RDWR)
    fcntl.ioctl(node, CLAIM_INTERFACE, struct.pack("<I", 0))
    for request in requests:
        print(ask(node, request), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
