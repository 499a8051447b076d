#!/usr/bin/python3 -B
"""Runs in the guest: a DFU device with two alternate settings behind gadgetfs or FunctionFS, just
enough of one to see what these carry. Says what it does on standard output.

usage: gadget_probe.py gadgetfs PATH answer|stall|late|go
       gadget_probe.py functionfs PATH whole|bare

The second word is the file of endpoint 0. With gadgetfs the last is how GETSTATUS ends; with
FunctionFS, whether the DFU functional descriptor is among the descriptors.
"""
import contextlib
import os
import struct
import sys
import time

DEVICE = bytes.fromhex("1201000200000040042B06D0000201020301")
ALTERNATES = (bytes.fromhex("0904000000FE010206"), bytes.fromhex("0904000100FE010207"))
FUNCTIONAL = bytes.fromhex("09210BFF0000101A01")
STRINGS = {1: "Spark Devices", 2: "Photon DFU Mode", 3: "00000000010C",
           6: "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg",
           7: "@DCT Flash   /0x00000000/01*016Kg"}
IDLE = bytes((0, 0, 0, 0, 2, 0))

GADGETFS_EVENT, GADGETFS_SETUP = struct.Struct("<8sI"), 3
FUNCTIONFS_EVENT, FUNCTIONFS_SETUP = struct.Struct("<8sB3x"), 4
FUNCTIONFS_DESCRIPTORS, FUNCTIONFS_STRINGS, FULL_SPEED = 3, 2, 1
LATE_SECONDS = 1


def stall(endpoint):
    """What the kernel makes of reading when the host wants to read."""
    with contextlib.suppress(OSError):
        os.read(endpoint, 0)


def string(index, length):
    if index == 0:
        return bytes((4, 3, 9, 4))
    text = STRINGS[index].encode("utf-16-le")
    return (bytes((2 + len(text), 3)) + text)[:length]


def get_status(endpoint, how):
    if how == "stall":
        stall(endpoint)
    elif how == "go":
        os.close(endpoint)
        sys.exit("gone")
    else:
        time.sleep(LATE_SECONDS if how == "late" else 0)
        os.write(endpoint, IDLE)


def serve(endpoint, setup, how):
    kind, request, value, _, length = struct.unpack("<BBHHH", setup)
    print(f"SETUP {setup.hex()}", flush=True)
    if (kind, request) == (0x80, 6) and value >> 8 == 3 and value & 255 in (0, *STRINGS):
        os.write(endpoint, string(value & 255, length))
    elif (kind, request) == (0xA1, 3):
        get_status(endpoint, how)
    elif kind & 0x80:
        stall(endpoint)
    else:
        os.read(endpoint, length)


def serve_events(endpoint, event, setup_type, how):
    while True:
        data = os.read(endpoint, event.size)
        setup, kind = event.unpack(data)
        if kind == setup_type:
            serve(endpoint, setup, how)


def gadgetfs(path, how):
    functions = b"".join(ALTERNATES) + FUNCTIONAL
    configuration = struct.pack("<BBHBBBBB", 9, 2, 9 + len(functions), 1, 1, 2, 0xC0, 0x32)
    endpoint = os.open(path, os.O_RDWR)
    os.write(endpoint, struct.pack("<I", 0) + configuration + functions + DEVICE)
    serve_events(endpoint, GADGETFS_EVENT, GADGETFS_SETUP, how)


def functionfs(path, which):
    # Its interfaces name the strings that are given along, from 1.
    parts = [part[:-1] + bytes((number,)) for number, part in enumerate(ALTERNATES, 1)]
    parts += [FUNCTIONAL] if which == "whole" else []
    body = struct.pack("<I", len(parts)) + b"".join(parts)
    texts = struct.pack("<H", 0x409) + b"".join(STRINGS[n].encode() + b"\0" for n in (6, 7))
    endpoint = os.open(path, os.O_RDWR)
    try:
        os.write(endpoint,
                 struct.pack("<III", FUNCTIONFS_DESCRIPTORS, 12 + len(body), FULL_SPEED) + body)
    except OSError as error:
        sys.exit(f"descriptors refused: {error.strerror}")
    os.write(endpoint,
             struct.pack("<IIII", FUNCTIONFS_STRINGS, 16 + len(texts), 2, 1) + texts)
    print("ready", flush=True)
    serve_events(endpoint, FUNCTIONFS_EVENT, FUNCTIONFS_SETUP, "answer")


if __name__ == "__main__":
    {"gadgetfs": gadgetfs, "functionfs": functionfs}[sys.argv[1]](*sys.argv[2:])
