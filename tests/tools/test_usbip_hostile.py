#!/usr/bin/python3 -B
"""Clients of `vphoton serve --usbip` that mean no good: the program's memory stays bounded, and an
honest host is served afterwards."""
import contextlib
import os
import select
import socket
import struct

import served as program
import usbip_host
from served import PATIENCE, Served, check, equal, wait_until
from usbip_host import Gone, Host, Refused

CONNECTS = 10000

# What the enemies may cost: the server's own limits, and the sanitizers' share of a debug build.
MORE_KIB = 60 * 1024
# A debug build would keep what was freed.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"


def port_of(served):
    return int(served.told[0].rsplit(":", 1)[1])


def expect_service(served):
    """The board is free, sooner or later, and answers."""
    def try_it():
        with Host(port_of(served)) as host, contextlib.suppress(Gone, Refused):
            host.attach("1-1")
            equal(host.get_status()[0], 0, "GETSTATUS")
            return True
        return False
    wait_until(try_it, "an honest host is served")


class Siege:
    """A server that must have come through it when the block ends."""

    def __enter__(self):
        self.served = Served("--release", "0.5.2", "--dfu", "--usbip", "0")
        expect_service(self.served)
        self.before = self.served.resident()
        self.descriptors = self.served.descriptors()
        return self.served

    def __exit__(self, kind, *rest):
        with self.served:
            if kind is None:
                more = self.served.resident() - self.before
                check(more < MORE_KIB, f"{more} KiB more than before")
                expect_service(self.served)
                wait_until(lambda: self.served.descriptors() <= self.descriptors,
                           "all connections end")
                self.served.stop()
                equal(self.served.said(), "", "errors")


def connect(served):
    return socket.create_connection(("127.0.0.1", port_of(served)), PATIENCE)


def test_many_connects(chance):
    with Siege() as served:
        for _ in range(CONNECTS):
            with connect(served) as enemy, \
                    contextlib.suppress(ConnectionResetError, BrokenPipeError):
                enemy.sendall(chance.randbytes(chance.choice((0, 1, 8, 40))))


def test_connections_that_say_nothing(_):
    with Siege() as served:
        enemies = [connect(served) for _ in range(300)]
        expect_service(served)
        for enemy in enemies:
            enemy.close()


def test_headers_of_any_bytes(chance):
    with Siege() as served:
        for _ in range(300):
            with Host(port_of(served)) as host, \
                    contextlib.suppress(Refused, Gone, ConnectionResetError, BrokenPipeError):
                host.attach("1-1")
                words = [chance.choice((0, 1, 2, 3, 0x10002, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000,
                                        4096, chance.getrandbits(32))) for _ in range(12)]
                words[0] = chance.choice((1, 2, words[0]))
                words[2] = chance.choice((0x10002, words[2]))
                host.socket.sendall(struct.pack(">12I", *words) + chance.randbytes(5000))


def test_lengths_up_to_the_largest(_):
    with Siege() as served:
        for length in (1 << 20, (1 << 20) + 1, 1 << 24, 1 << 30, (1 << 31) - 1, 1 << 31,
                       (1 << 32) - 1):
            for direction in (usbip_host.OUT, usbip_host.IN):
                with contextlib.suppress(Refused), Host(port_of(served)) as host:
                    host.attach("1-1")
                    rest = struct.pack(">IIIII", 0, length, 0, 0, 0) + bytes(8)
                    with contextlib.suppress(Gone, ConnectionResetError, BrokenPipeError):
                        for _ in range(64):
                            host.command(usbip_host.SUBMIT, direction, 1, rest)


def test_a_storm_of_unlinks(_):
    with Siege() as served, Host(port_of(served)) as host:
        host.attach("1-1")
        waits = bytes([0, 3, 2, 0, 0, 0, 0, 0])
        for _ in range(50):
            victims = [host.submit(usbip_host.OUT, 0, 0, waits) for _ in range(50)]
            unlinks = [host.unlink(victim) for victim in victims + victims]
            for number, unlink in enumerate(unlinks):
                expected = -104 if number < len(victims) else 0
                equal(host.next(), (usbip_host.RETURN_UNLINK, unlink, expected, b""), "an unlink")


def test_a_reader_that_does_not_read(_):
    with Siege() as served, Host(port_of(served)) as host:
        host.attach("1-1")
        ask = struct.pack(">IIIIIIIIII", 1, 1, host.devid, 1, 0, 0x200, 4096, 0, 0, 0)
        ask += bytes([0xA1, 2, 2, 0, 0, 0, 0, 16])
        host.socket.setblocking(False)
        sent = 0
        # Uploads 4 KiB each, until nothing more is taken for a while.
        while select.select([], [host.socket], [], 1)[1] and sent < 1 << 28:
            with contextlib.suppress(BlockingIOError):
                sent += host.socket.send(ask * 100)
        check(sent < 1 << 28, "a quarter of a gigabyte of requests was taken")


program.main(globals())
