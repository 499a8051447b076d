#!/usr/bin/python3
"""A python3-usb program that talks DFU by itself; run by test_pyusb.sh. Prints what it saw.

usage: pyusb_dfu.py MANUFACTURER SERIAL
"""
import struct
import sys

import usb.core
import usb.util

OUT, IN = 0x21, 0xA1
DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT = 1, 2, 3, 4, 5, 6
ADDRESS = 0x080A0000


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r}, expected {wanted!r}")


def status(device):
    """GETSTATUS as hexadecimal: bStatus, poll timeout (3 bytes), bState, iString."""
    return bytes(device.ctrl_transfer(IN, GETSTATUS, 0, 0, 6)).hex()


def command(device, data):
    """One DfuSe command: it runs inside the first GETSTATUS."""
    device.ctrl_transfer(OUT, DNLOAD, 0, 0, data)
    expect("state after the command", status(device)[8:10], "04")
    expect("state when it is done", status(device)[8:10], "05")


def main():
    manufacturer, serial = sys.argv[1:]
    device = usb.core.find(idVendor=0x2B04, idProduct=0xD006)
    if device is None:
        sys.exit("no 2b04:d006")
    device.set_configuration()
    expect("manufacturer", device.manufacturer, manufacturer)
    expect("product", device.product, "Photon DFU Mode")
    expect("serial", device.serial_number, serial)

    expect("status when idle", status(device), "000000000200")
    # The Photon's bootloaders take CLRSTATUS without an error for an error.
    device.ctrl_transfer(OUT, CLRSTATUS, 0, 0, None)
    expect("status after a needless CLRSTATUS", status(device), "0e0000000a00")
    device.ctrl_transfer(OUT, CLRSTATUS, 0, 0, None)
    expect("status after a second CLRSTATUS", status(device), "000000000200")

    data = bytes(range(256)) * 8
    command(device, struct.pack("<BI", 0x41, ADDRESS))
    command(device, struct.pack("<BI", 0x21, ADDRESS))
    device.ctrl_transfer(OUT, DNLOAD, 2, 0, data)
    expect("state while writing", status(device)[8:10], "04")
    expect("state after writing", status(device)[8:10], "05")
    device.ctrl_transfer(OUT, ABORT, 0, 0, None)
    expect("state after ABORT", bytes(device.ctrl_transfer(IN, GETSTATE, 0, 0, 1)), b"\x02")
    read = bytes(device.ctrl_transfer(IN, UPLOAD, 2, 0, len(data)))
    expect("what was written, read back", read, data)
    device.ctrl_transfer(OUT, ABORT, 0, 0, None)

    # Reading block 1 is an error that every release answers with a STALL.
    try:
        device.ctrl_transfer(IN, UPLOAD, 1, 0, 64)
        sys.exit("UPLOAD of block 1 was not refused")
    except usb.core.USBError as error:
        expect("errno of a STALL", error.errno, 32)
    usb.util.dispose_resources(device)
    print("all as on a board")


main()
