#!/usr/bin/python3 -B
"""Runs in the guest: a DFU device with two alternate settings, or a serial port, behind gadgetfs or
FunctionFS, just enough of one to see what these carry. Says what it does on standard output.

usage: gadget_probe.py gadgetfs PATH answer|stall|late|go
       gadget_probe.py serial PATH
       gadget_probe.py functionfs PATH whole|bare|serial

The second word is the file of endpoint 0. With gadgetfs the last is how GETSTATUS ends; with
FunctionFS, whether the DFU functional descriptor is among the descriptors, or those of a serial
port. `serial` is gadgetfs with a serial port that echoes.
"""
import contextlib
import os
import pathlib
import struct
import sys
import threading
import time

DEVICE = bytes.fromhex("1201000200000040042B06D0000201020301")
ALTERNATES = (bytes.fromhex("0904000000FE010206"), bytes.fromhex("0904000100FE010207"))
FUNCTIONAL = bytes.fromhex("09210BFF0000101A01")
STRINGS = {1: "Spark Devices", 2: "Photon DFU Mode", 3: "00000000010C",
           6: "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg",
           7: "@DCT Flash   /0x00000000/01*016Kg"}
SERIAL_DEVICE = bytes.fromhex("1201000202000040042B06C0000200000001")
CONTROL = bytes.fromhex("090400000102020100")
CDC = tuple(map(bytes.fromhex, ("0524001001", "0524010001", "04240202", "0524060001")))
NOTIFICATIONS = bytes.fromhex("07058203080010")
DATA = bytes.fromhex("09040100020A000000")
DATA_OUT, DATA_IN = bytes.fromhex("07050102400000"), bytes.fromhex("07058102400000")
IDLE = bytes((0, 0, 0, 0, 2, 0))

GADGETFS_EVENT, GADGETFS_SETUP = struct.Struct("<8sI"), 3
FUNCTIONFS_EVENT, FUNCTIONFS_SETUP = struct.Struct("<8sB3x"), 4
FUNCTIONFS_DESCRIPTORS, FUNCTIONFS_STRINGS, FULL_SPEED = 3, 2, 1
LATE_SECONDS = 1
ENDPOINT_TAG = struct.pack("<I", 1)
SET_CONFIGURATION = bytes((0, 9))
PACKET = 64


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


def take(endpoint, length):
    """Data from the host, or its status stage."""
    print(f"took {len(os.read(endpoint, length))}", flush=True)


def serve(endpoint, setup, how):
    kind, request, value, _, length = struct.unpack("<BBHHH", setup)
    print(f"SETUP {setup.hex()}", flush=True)
    if (kind, request) == (0x80, 6) and value >> 8 == 3 and value & 255 in (0, *STRINGS):
        os.write(endpoint, string(value & 255, length))
    elif (kind, request) == (0xA1, 3):
        get_status(endpoint, how)
    elif (kind, request) == (0xA1, 2):
        os.write(endpoint, bytes(length))
    elif kind & 0x80:
        stall(endpoint)
    else:
        take(endpoint, length)


def serve_events(endpoint, event, setup_type, how, before=lambda setup: None):
    while True:
        try:
            setup, kind = event.unpack(os.read(endpoint, event.size))
            if kind == setup_type:
                before(setup)
                serve(endpoint, setup, how)
        except OSError as error:
            print(f"lost: {error.strerror}", flush=True)  # the host has given something up


def plug_in(path, interfaces, functions, device):
    """Endpoint 0 of a device of gadgetfs."""
    configuration = struct.pack("<BBHBBBBB", 9, 2, 9 + len(functions), interfaces, 1, 2, 0xC0, 0x32)
    endpoint = os.open(path, os.O_RDWR)
    os.write(endpoint, struct.pack("<I", 0) + configuration + functions + device)
    return endpoint


def gadgetfs(path, how):
    endpoint = plug_in(path, 1, b"".join(ALTERNATES) + FUNCTIONAL, DEVICE)
    serve_events(endpoint, GADGETFS_EVENT, GADGETFS_SETUP, how)


def enable(path, name, descriptor):
    """Another endpoint, when the host has chosen the configuration."""
    endpoint = os.open(pathlib.Path(path).with_name(name), os.O_RDWR)
    os.write(endpoint, ENDPOINT_TAG + descriptor)
    return endpoint


def serial(path):
    endpoints = []

    def echo():
        while True:
            os.write(endpoints[1], os.read(endpoints[0], PACKET))

    def before(setup):
        if setup[:2] == SET_CONFIGURATION and not endpoints:
            endpoints.extend((enable(path, "ep1out-bulk", DATA_OUT),
                              enable(path, "ep1in-bulk", DATA_IN),
                              enable(path, "ep5in-int", NOTIFICATIONS)))
            threading.Thread(target=echo, daemon=True).start()
    functions = CONTROL + b"".join(CDC) + NOTIFICATIONS + DATA + DATA_OUT + DATA_IN
    endpoint = plug_in(path, 2, functions, SERIAL_DEVICE)
    serve_events(endpoint, GADGETFS_EVENT, GADGETFS_SETUP, "answer", before)


def functionfs(path, which):
    # Its interfaces name the strings that are given along, from 1.
    parts = [part[:-1] + bytes((number,)) for number, part in enumerate(ALTERNATES, 1)]
    parts += [FUNCTIONAL] if which == "whole" else []
    parts = [CONTROL, *CDC, NOTIFICATIONS] if which == "serial" else parts
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
    {"gadgetfs": gadgetfs, "serial": serial, "functionfs": functionfs}[sys.argv[1]](*sys.argv[2:])
