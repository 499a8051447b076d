#!/usr/bin/python3
"""hostile_usb.py RELEASE ID: control requests that no tool sends, and what a board says and costs
afterwards. Before 0.8.0 there is no service to ask, and some requests are never answered at all."""
import sys

import usb.core

import hostile

TO_HOST, TO_DEVICE = 0xC0, 0x40
INIT, CHECK, SEND, RECV, RESET, RAW = 1, 2, 3, 4, 5, 0x50
SERVICE_REPLY = 64
DEVICE_ID = 20
# They end the board's life, as they should: reset, factory reset, DFU mode, safe mode; in 0.6.x listening.
RESTARTS = (40, 41, 50, 60, 70)
STALL = 32
STRING = 0x0300
PENDING = "0200"
BUSY, NOT_FOUND, NO_MEMORY = "010000000300", "010000000500", "010000000400"


def expect(what, found, wanted):
    if found != wanted:
        sys.exit("%s: expected %s, found %s" % (what, wanted, found))


class Board:
    TIMEOUT = 5000

    def __init__(self):
        self.device = usb.core.find(idVendor=0x2B04, idProduct=0xC006)

    def ask(self, request, value, index, length=SERVICE_REPLY):
        """The reply in hexadecimal, or the number of the error."""
        try:
            return bytes(self.device.ctrl_transfer(TO_HOST, request, value, index, length, self.TIMEOUT)).hex()
        except usb.core.USBError as error:
            return error.errno

    def send(self, request, value, index, data):
        """0, or the number of the error."""
        try:
            return self.device.ctrl_transfer(TO_DEVICE, request, value, index, data, self.TIMEOUT) - len(data)
        except usb.core.USBError as error:
            return error.errno

    def begin(self, size, kind=DEVICE_ID):
        """Announces so many bytes: the request's number."""
        begun = self.ask(INIT, size, kind)
        expect("INIT of %d bytes" % size, begun[:8], "03000000")
        return int.from_bytes(bytes.fromhex(begun[12:]), "little")

    def outcome(self, number):
        """What it says of a request that is not pending any more."""
        while (state := self.ask(CHECK, 0, number))[8:12] == PENDING:
            pass
        return state

    def expect_answers(self):
        """It forgets what was begun, and does what it is asked as if nothing had been."""
        expect("RESET of all", self.ask(RESET, 0, 0), "010000000000")
        number = self.begin(0)
        expect("a request", self.outcome(number), "0d00000000001a00000000000000")
        reply = self.ask(RECV, 0, number, 26)
        expect("device id", bytes.fromhex(reply)[2:].decode(), sys.argv[2])


class BoardWithoutService(Board):
    TIMEOUT = 20

    def expect_answers(self):
        found = bytes(self.device.ctrl_transfer(0x80, 6, STRING | 2, 0x409, 255))[2:].decode("utf-16-le")
        expect("product", found, "Photon with WiFi" if sys.argv[1] < "0.6.0" else "Photon")


def five_at_once(board, _source):
    for _ in range(4):
        board.begin(10)
    expect("the fifth", board.ask(INIT, 10, DEVICE_ID), BUSY)


def wrong_lengths(board, _source):
    for request in (INIT, CHECK, RESET):
        for length in (1, 6, 63):
            expect("%d asked for %d bytes" % (request, length), board.ask(request, 0, DEVICE_ID, length), STALL)
    expect("65535 bytes", board.outcome(board.begin(65535)), NO_MEMORY)
    number = board.begin(10)
    expect("SEND of too much", board.send(SEND, 0, number, bytes(1000)), STALL)
    expect("RECV before there is a reply", board.ask(RECV, 0, number, 4000), STALL)


def wrong_numbers(board, _source):
    for number in (0, 9999, 65535):
        expect("CHECK of %d" % number, board.ask(CHECK, 0, number), NOT_FOUND)
        expect("RECV of %d" % number, board.ask(RECV, 0, number), STALL)
        expect("SEND of little to %d" % number, board.send(SEND, 0, number, bytes(64)), 0)
        expect("SEND of much to %d" % number, board.send(SEND, 0, number, bytes(80)), STALL)
    for request in (6, 7, 0x4F, 0x51, 0xFF):
        expect("request %d" % request, board.ask(request, 0, 0), STALL)


def anything(board, source):
    for _ in range(5000 if board.TIMEOUT > 1000 else 500):
        request = source.choice((INIT, CHECK, SEND, RECV, RESET, RAW, source.randrange(256)))
        value = source.choice((0, 1, 10, 2048, 2049, 65535, source.randrange(65536)))
        index = source.choice((0, 1, 2, 4, source.randrange(300), source.randrange(65536)))
        if request in (INIT, RAW) and index in RESTARTS:
            continue
        length = source.choice((0, 1, 63, 64, 65, 512, 4096))
        if source.random() < 0.6:
            board.ask(request, value, index, length)
        else:
            board.send(request, value, index, source.randbytes(length))


if __name__ == "__main__":
    if sys.argv[1] < "0.8.0":
        hostile.attack(BoardWithoutService(), (anything,))
    else:
        hostile.attack(Board(), (five_at_once, wrong_lengths, wrong_numbers, anything))
