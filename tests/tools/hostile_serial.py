#!/usr/bin/python3
"""hostile_serial.py: what no board should get over its serial port, and what it says and costs
afterwards. For a board of 2.2.0."""
import array
import fcntl
import os
import random
import select
import subprocess
import sys
import termios
import time
import tty

import hostile

PORT = "/dev/ttyACM0"
VERSION = b"system firmware version: 2.2.0\n\r\n"
PATIENCE = 120
TCGETS2, TCSETS2, BOTHER = 0x802C542A, 0x402C542B, 0o010000
TO_DFU_MODE = 14400
LISTEN = 28800
# A byte of its own resets the board.
RESETS = b"L"
GARBAGE = 10000000
# Of what is heard, this much is enough.
TAIL = 4096


class Port:
    """The port, opened again whenever the board has reset."""

    def __init__(self):
        self.open()

    def open(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.fd = os.open(PORT, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                tty.setraw(self.fd)
                return
            except (OSError, termios.error):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def reopen(self):
        os.close(self.fd)
        self.open()

    def rate(self, rate, flags=termios.CS8):
        """Any number, which the C library does not let through."""
        settings = array.array("B", bytes(44))
        fcntl.ioctl(self.fd, TCGETS2, settings)
        words = array.array("I", settings.tobytes())
        words[2] = BOTHER | flags | termios.CREAD | termios.CLOCAL | termios.HUPCL
        words[9] = words[10] = rate
        fcntl.ioctl(self.fd, TCSETS2, words)

    def ready(self, to_write, seconds):
        return select.select([self.fd], [self.fd] if to_write else [], [], seconds)

    def drain(self):
        """The end of what has come."""
        heard = b""
        while self.ready(False, 0)[0]:
            some = os.read(self.fd, 65536)
            if not some:
                self.reopen()
            heard = heard[-TAIL:] + some
        return heard

    def hear(self):
        """The end of what is said before a long silence."""
        heard = b""
        while self.ready(False, 7)[0]:
            heard = heard[-TAIL:] + self.drain()
        return heard

    def write(self, data):
        try:
            return os.write(self.fd, data)
        except OSError:
            self.reopen()
            return 0

    def send(self, data):
        """All of it, throwing away what comes meanwhile. A board that takes nothing for a while does
        not listen any more, and is told to."""
        while data:
            readable, writable, _ = self.ready(True, 3)
            if readable:
                self.drain()
            if writable:
                data = data[self.write(data) :]
            elif not readable:
                self.listen()

    def listen(self):
        try:
            self.rate(LISTEN)
            self.rate(9600)
        except OSError:
            self.reopen()

    def expect_answers(self):
        """From whatever the console asks now, or YMODEM waits for, to an answer of the console. `1` and
        empty lines are answers to all of its questions; the rest of a packet is not heard then."""
        heard = b""
        for attempt in range(300):
            self.send((b"\r", b"\r", b"1\r", b"v")[attempt % 4])
            answer = self.hear()
            heard = heard[-TAIL:] + answer
            if VERSION in heard:
                return
            if not answer:
                self.listen()
        sys.exit("the console does not answer, but: %r" % heard[-200:])


def noise(random_bytes, size, without=b""):
    return random_bytes.randbytes(size).translate(None, without)


def garbage(port, source):
    """All that a console may get, but what resets the board."""
    sent = 0
    while sent < GARBAGE:
        data = noise(source, 4096, RESETS)
        port.send(data)
        sent += len(data)


def resets(port, source):
    """And that as well."""
    for _ in range(20):
        port.send(noise(source, 64) + RESETS + noise(source, 64))
        port.expect_answers()


def line_noise(port, source):
    """Terminal settings of all kinds, breaks and modem lines between the bytes."""
    frames = (termios.CS5, termios.CS6 | termios.PARENB, termios.CS7 | termios.PARODD, termios.CS8)
    for _ in range(200):
        rate = source.choice((1, 300, LISTEN, 115200, 0xFFFFFFFF, source.randrange(1, 1 << 32)))
        port.rate(rate if rate != TO_DFU_MODE else 1, source.choice(frames))
        port.send(noise(source, source.randrange(1, 200), RESETS))
        termios.tcsendbreak(port.fd, 0)
        lines = array.array("i", [source.randrange(1 << 16)])
        fcntl.ioctl(port.fd, source.choice((termios.TIOCMSET, termios.TIOCMBIS, termios.TIOCMBIC)), lines)
        if source.random() < 0.2:
            port.reopen()
    port.rate(9600)


def never_read(port, _source):
    """Questions without end, and nobody hears the answers."""
    while port.ready(True, 3)[1]:
        port.write(b"s" * 4096)
    subprocess.check_call(("vphoton", "ctl", "status"), stdout=subprocess.DEVNULL)
    port.reopen()


if __name__ == "__main__":
    hostile.attack(Port(), (line_noise, garbage, resets, never_read))
