#!/usr/bin/python3
"""ymodem.py PORT RELEASE SCENARIO FILE: a minimal YMODEM sender, and what it makes a Photon of that
release say. Exit code 1, with the difference, when the board says anything else."""
import random
import sys
import time

import serial

SOH, STX, EOT, ACK, NAK, CAN = b"\x01", b"\x02", b"\x04", b"\x06", b"\x15", b"\x18"
PROMPT = b"Waiting for the binary file to be sent ... (press 'a' to abort)\r\n"
FAILED = b"Failed to receive the file!\r\n"
ABORTED = b"Aborted by user.\r\n"
RESTARTING = b"Restarting system to apply firmware update...\r\n"
# More than the most patient release waits for a byte.
PATIENCE = 600


class Sender:
    """A port, a file and what the board's release is known for."""

    def __init__(self, port, release, path):
        self.port = serial.Serial(port, 9600, timeout=PATIENCE)
        self.release = tuple(int(part) for part in release.split("."))
        self.name = path.rsplit("/", 1)[-1].encode()
        with open(path, "rb") as file:
            self.data = file.read()
        self.crcs = random.Random(1)
        # With these every failed transfer ends.
        self.farewell = CAN + CAN if self.release >= (0, 6, 1) else b""

    def expect(self, sent, answer):
        """Sends bytes; just these come back."""
        self.port.write(sent)
        heard = self.port.read(len(answer))
        if heard != answer:
            sys.exit("after %r expected %r, heard %r" % (sent[:16], answer, heard))

    def packet(self, kind, number, data):
        """With a CRC that is none: the board does not look at it."""
        room = 128 if kind == SOH else 1024
        crc = self.crcs.randbytes(2)
        return kind + bytes((number & 255, 255 - (number & 255))) + data.ljust(room, b"\0") + crc

    def block(self, number):
        return self.packet(STX, number, self.data[(number - 1) * 1024 : number * 1024])

    def begin(self, size=None):
        """From the console's key to the first data."""
        self.expect(b"f", PROMPT)
        size = len(self.data) if size is None else size
        header = self.packet(SOH, 0, self.name + b"\0%d " % size)
        start = time.monotonic()
        self.expect(header, ACK + b"C")
        return time.monotonic() - start

    def send_blocks(self):
        for number in range(1, (len(self.data) + 1023) // 1024 + 1):
            self.expect(self.block(number), ACK)
        self.expect(EOT, ACK)

    def success(self):
        """What a board says of a file that it takes."""
        text = b"\x06\r\nDownloaded file successfully!\r\nName: %s\r\nSize: %d bytes\r\n"
        return text % (self.name, len(self.data)) + (RESTARTING if self.release >= (0, 4, 9) else b"")

    def finish(self, answer):
        self.expect(self.packet(SOH, 0, b""), answer)

    def expect_hang_up(self):
        """It resets, and says nothing more before."""
        try:
            rest = self.port.read(1)
        except serial.SerialException:
            rest = b""
        if rest:
            sys.exit("before the reset heard %r" % rest)

    def expect_console(self):
        """It listens again, and has said nothing more before."""
        self.expect(b"v", b"system firmware version: %d.%d.%d\n\r\n" % self.release)


def send(sender):
    sender.begin()
    sender.send_blocks()
    sender.finish(sender.success())
    sender.expect_hang_up()


def send_damaged(sender):
    """The module's own checksum is wrong."""
    sender.begin()
    sender.send_blocks()
    if sender.release < (0, 6, 1):
        sender.finish(sender.success())
        sender.expect_hang_up()
    elif sender.release < (2, 0, 0):
        sender.finish(sender.farewell + b"Validation failed: 0x2\r\n")
        sender.expect_console()
    else:
        sender.finish(b"")
        sender.expect_hang_up()


def cancel(sender):
    """The sender gives up in the middle."""
    sender.begin()
    sender.expect(sender.block(1), ACK)
    sender.expect(CAN + CAN, ACK + sender.farewell + FAILED)
    sender.expect_console()


def abort(sender):
    """The user does."""
    sender.begin()
    sender.expect(sender.block(1), ACK)
    sender.expect(b"a", CAN + CAN + sender.farewell + ABORTED)
    sender.expect_console()


def missequence(sender):
    """A packet out of order is refused; the right one goes on."""
    sender.begin()
    sender.expect(sender.block(1), ACK)
    sender.expect(sender.block(3), NAK)
    sender.expect(sender.packet(STX, 1, b"again"), NAK)
    for number in range(2, (len(sender.data) + 1023) // 1024 + 1):
        sender.expect(sender.block(number), ACK)
    sender.expect(EOT, ACK)
    sender.finish(sender.success())
    sender.expect_hang_up()


def oversize(sender):
    """More than there is room for is promised: taken as it is, and nothing erased for it."""
    if sender.begin(300000) > 0.5:
        sys.exit("it erased for a file that does not fit")
    sender.expect(CAN + CAN, ACK + sender.farewell + FAILED)
    sender.expect_console()


def overrun(sender):
    """All that was promised comes: the first packet behind the flash is too much."""
    sender.begin(300000)
    for number in range(1, 257):
        sender.expect(sender.packet(STX, number, b"too much"), ACK)
    sender.port.write(sender.packet(STX, 257, b"too much"))
    sender.expect_hang_up()


def silence(sender):
    """The sender says nothing: it is asked six times, or never."""
    start = time.monotonic()
    sender.expect(b"f", PROMPT)
    if sender.release < (0, 4, 8):
        if sender.port.read(1):
            sys.exit("it did not wait")
        sender.expect(b"a", CAN + CAN + ABORTED)
        sender.expect_console()
        return
    for count in range(1, 7):
        sender.expect(b"", b"C")
        waited = time.monotonic() - start
        # What a busy board makes the host wait for passes on the board's clock alone.
        if not 5 * count - 0.01 <= waited < 5 * count + 2:
            sys.exit("C number %d after %.1f s" % (count, waited))
    sender.expect(b"", CAN + CAN + sender.farewell + FAILED)
    sender.expect_console()


SCENARIOS = (send, send_damaged, cancel, abort, missequence, oversize, overrun, silence)

if __name__ == "__main__":
    scenarios = {scenario.__name__: scenario for scenario in SCENARIOS}
    scenarios[sys.argv[3]](Sender(sys.argv[1], sys.argv[2], sys.argv[4]))
