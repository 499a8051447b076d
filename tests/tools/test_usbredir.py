#!/usr/bin/python3 -B
"""`vphoton serve --usbredir` with a client that does what QEMU does: flashing, clients killed in the
middle of it, clients that send anything, two boards, sockets that come and go.

VPHOTON_LONG=1 kills many more times."""
import contextlib
import os
import signal
import socket
import subprocess
import time

import served as program
from served import PATIENCE, Served, check, content, equal, vphoton, wait_until

CLIENT = os.path.join(os.environ["CLIENTS"], "client_usbredir")
LONG = os.environ.get("VPHOTON_LONG")
KILLS = 100 if LONG else 8
CONNECTS = 10000
# What they may cost: a peer's own limits, and the sanitizers' share of a debug build.
MORE_KIB = 60 * 1024
# A debug build would keep what was freed.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
PART1, SIZE = 0x20000, 200_000
DFU = "2b04:d006 version 0200, full speed\n"
RUNNING = "2b04:c006 version 0200, full speed\n"


def client(where, *command):
    result = subprocess.run([CLIENT, where, *command], stdin=subprocess.DEVNULL, text=True,
                            check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=PATIENCE)
    check(result.returncode == 0, f"{command}: {result.stderr}")
    return result.stdout


def test_a_board_is_flashed_and_keeps_it(chance):
    part = chance.randbytes(SIZE)
    with open("part", "wb") as file:
        file.write(part)
    vphoton("new", "board", "--release", "0.5.2")
    with Served("-d", "board", "--dfu", "--usbredir", "board.sock") as served:
        equal(served.told[0], "usbredir for board 1 at board.sock\n", "where it listens")
        equal(client("board.sock", "list"), DFU, "the device")
        client("board.sock", "download", "0x08020000", "part")
        client("board.sock", "upload", "0x08020000", str(SIZE), "back")
        check(content("back") == part, "what was uploaded is not what was downloaded")
        served.stop()
        equal(served.said(), "", "errors")
    check(not os.path.exists("board.sock"), "the socket file is left")
    equal(content("board/flash.bin")[PART1:PART1 + SIZE] == part, True, "the part in the flash")


def test_leaving_ends_in_the_running_system(_):
    for release, status in (("0.4.3", 3), ("0.5.2", 0)):  # an I/O error, and none
        with Served("--release", release, "--dfu", "--usbredir", "board.sock"):
            equal(client("board.sock", "leave"), f"status of GETSTATUS: {status}\n{RUNNING}",
                  f"leaving the DFU mode of {release}")
            check("Your device id is" in client("board.sock", "serial", "i", "\r\n"),
                  "the console does not answer")


def test_a_client_killed_in_the_middle_costs_nothing_but_its_work(chance):
    vphoton("new", "killed", "--release", "0.5.2")
    before = content("killed/flash.bin")
    with open("part", "wb") as file:
        file.write(chance.randbytes(SIZE))
    with Served("-d", "killed", "--dfu", "--usbredir", "board.sock") as served:
        descriptors = served.descriptors()
        start = time.monotonic()
        client("board.sock", "download", "0x08020000", "part")
        duration = time.monotonic() - start
        for _ in range(KILLS):
            victim = subprocess.Popen([CLIENT, "board.sock", "download", "0x08020000", "part"],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, duration))
            victim.kill()
            victim.wait()
            equal(client("board.sock", "list"), DFU, "the device after the kill")
        wait_until(lambda: served.descriptors() <= descriptors, "the dead's connections are closed")
        client("board.sock", "download", "0x08020000", "part")
        served.stop()
        equal(served.said(), "", "errors")
    after = content("killed/flash.bin")
    check(after[PART1:PART1 + SIZE] == content("part"), "the last download is not in the flash")
    # Two sectors were erased; the settings' own are the bootloader's; nothing else has changed.
    for start, end in ((0, 0x4000), (0xC000, PART1), (0x60000, 0x100000)):
        check(after[start:end] == before[start:end], f"{start:#x} was never written, but changed")


def test_clients_that_send_anything_are_sent_away(chance):
    with Served("--release", "0.5.2", "--dfu", "--usbredir", "board.sock") as served:
        descriptors = served.descriptors()
        before = served.resident()
        for turn in range(CONNECTS):
            with socket.socket(socket.AF_UNIX) as enemy:
                enemy.connect("board.sock")
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    enemy.sendall(chance.randbytes(chance.randrange(200)))
                    if turn % 50 == 0:  # and waits to be sent away
                        enemy.sendall(bytes(100))
                        enemy.settimeout(PATIENCE)
                        while enemy.recv(4096):
                            pass
        equal(client("board.sock", "list"), DFU, "the device after all that")
        wait_until(lambda: served.descriptors() <= descriptors, "all connections are closed")
        more = served.resident() - before
        check(more < MORE_KIB, f"{more} KiB more than before")
        lines = served.said().splitlines()
        check(lines, "nobody was sent away")
        for line in lines:
            check(line.startswith("vphoton: usbredir at board.sock: client sent away: "), line)
        served.stop()


def hello():
    """What a client says first: type, length, id, a version, and no capabilities."""
    head = (0).to_bytes(4, "little") + (68).to_bytes(4, "little") + bytes(4)
    return head + b"holder".ljust(64, b"\0") + bytes(4)


def test_one_client_at_a_time_has_a_board(_):
    with Served("--release", "0.5.2", "--dfu", "--usbredir", "board.sock") as served:
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect("board.sock")
            holder.sendall(hello())
            holder.settimeout(PATIENCE)
            # Its own hello is 80 bytes; behind it comes the device, so that it has the board.
            while len(holder.recv(1000)) == 80:
                pass
            late = subprocess.run([CLIENT, "board.sock", "list"], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)
            equal(late.returncode, 1, "exit code of the second client")
            equal(served.said(), "vphoton: usbredir at board.sock: client sent away: another one "
                                 "has the board\n", "errors")
        equal(client("board.sock", "list"), DFU, "the device once the first has gone")


def test_two_boards_have_two_sockets(_):
    vphoton("new", "one", "--release", "0.4.3", "--id", "1" * 24)
    vphoton("new", "two", "--release", "2.2.0", "--id", "2" * 24)
    with Served("-d", "one", "-d", "two", "--usbredir", "board-%.sock") as served:
        equal(served.told[:2], ["usbredir for board 1 at board-1.sock\n",
                                "usbredir for board 2 at board-2.sock\n"], "where it listens")
        for number in (1, 2):
            check(str(number) * 24 in client(f"board-{number}.sock", "serial", "i", "\r\n"),
                  f"board {number} does not tell its id")


def test_a_port_of_the_loopback_interface_will_do(_):
    with Served("--release", "0.5.2", "--dfu", "--usbredir", "127.0.0.1:0") as served:
        address = served.told[0].split()[-1]
        check(address.startswith("127.0.0.1:") and address != "127.0.0.1:0", served.told[0])
        equal(client(address, "list"), DFU, "the device")


def test_the_socket_of_a_killed_program_is_taken_over(_):
    with Served("--release", "0.5.2", "--dfu", "--usbredir", "board.sock") as served:
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
    check(os.path.exists("board.sock"), "a killed program cannot have removed it")
    with Served("--release", "0.5.2", "--dfu", "--usbredir", "board.sock"):
        equal(client("board.sock", "list"), DFU, "the device")


program.main(globals())
