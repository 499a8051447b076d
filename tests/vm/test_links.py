#!/usr/bin/python3 -B
"""One session of dfu-util over each link: the board sees the same tokens, whatever host stack is at
the other end, and a capture holds what that host's own usbmon shows."""
import re
import struct
from errno import EPROTO

import vm_test
from boards import USER, Attach, Boards, Usbip, Usbredir, machine
from vm_test import equal

RELEASE = "0.4.4"
SESSION = f"""
    dfu-util -l
    dfu-util -a 0 -s {USER:#x} -D "$1"
    dfu-util -a 0 -s {USER:#x}:3952 -U "$2"
    dfu-util -a 0 -s {USER:#x}:leave -D "$1" """
LEAVE_ERROR = 74
# A host asks these when a device comes, each stack in its own way: see docs/architecture.md.
ENUMERATION = re.compile(r"USB: bus reset|SET_ADDRESS|SET_CONFIGURATION|GET_DESCRIPTOR")

PCAP_HEAD, RECORD_HEAD = 24, struct.Struct("<IIII")
USBMON = struct.Struct("<QBBBBHccqiiII8s")
USBMON_HEAD = 64
SET_INTERFACE = "010b000000000000"


def make_file():
    vm_test.vphoton("module", "build", "--release", RELEASE, "--part", "user", "-o", "user.bin")
    with open("user.bin", "rb") as file:
        return file.read()


def in_the_guest(link, content, options=()):
    """The session over a link; the kernel's own view of it as usbmon's text."""
    name = link.__name__
    with Boards(f"photon-{name}", release=RELEASE, options=options) as boards, machine() as guest:
        guest.put("/tmp/file", content)
        link.plug(guest, boards)
        guest.wait_for_devices(1)
        guest.sh("cat /sys/kernel/debug/usb/usbmon/0u >/tmp/monitor 2>/dev/null &")
        equal(guest.run("sh", "-c", SESSION, "sh", "/tmp/file", "/tmp/back").code, LEAVE_ERROR)
        boards.wait_for_event("boot: system runs")
        return boards.events(), guest.run("cat", "/tmp/monitor").text()


def here(_, content):
    """The same through the preload link."""
    vm_test.vphoton("run", "--release", RELEASE, "--dfu", "--events=events", "--",
                    "sh", "-c", SESSION, "sh", "user.bin", "back.bin", code=LEAVE_ERROR)
    with open("events", encoding="utf-8") as file:
        return file.read()


def without_times(events):
    return [re.sub(r"^ *[0-9.]+ ms  ", "", line) for line in events.splitlines()]


def session_of(lines):
    """From the first request of dfu-util's to the board's leaving, and what was before."""
    start = next(at for at, line in enumerate(lines) if line.startswith("SET_INTERFACE"))
    end = next(at for at, line in enumerate(lines) if line.startswith("GETSTATUS") and
               "no answer" in line)
    plugged = next(at for at, line in enumerate(lines) if line.startswith("USB: on the bus"))
    return lines[plugged + 1:start], lines[start:end + 1]


def test_the_board_sees_the_same_tokens_over_every_link():
    content = make_file()
    _, expected = session_of(without_times(here(None, content)))
    # Enough of it that it is the whole session.
    equal(sum("GETSTATUS" in line for line in expected) > 10, True)
    equal(sum(line.startswith("flash: program") for line in expected) >= 2, True)
    for link in (Usbip, Usbredir, Attach):
        before, found = session_of(without_times(in_the_guest(link, content)[0]))
        for at, (line, wanted) in enumerate(zip(found, expected)):
            equal(line, wanted, f"{link.__name__}: line {at} of the session")
        equal(len(found), len(expected), f"{link.__name__}: lines of the session")
        equal([line for line in before if not ENUMERATION.match(line)], [],
              f"{link.__name__}: what is no enumeration")


def control_transfers_of_capture(path):
    """[(setup, status, length)] of the control transfers that ended."""
    with open(path, "rb") as file:
        data = file.read()
    at, setups, found = PCAP_HEAD, {}, []
    while at < len(data):
        size = RECORD_HEAD.unpack_from(data, at)[2]
        at += RECORD_HEAD.size
        (number, kind, transfer, _, _, _, _, _, _, _, status, length, _, setup) = \
            USBMON.unpack_from(data, at)
        at += size
        if transfer == 2 and kind == ord("S"):
            setups[number] = setup.hex()
        elif transfer == 2:
            found.append((setups.pop(number), status, length))
    return found


def control_transfers_of_usbmon(text):
    """The same of usbmon's text, see Documentation/usb/usbmon.rst."""
    setups, found = {}, []
    for line in text.splitlines():
        tag, _, kind, address, *rest = line.split()
        if address[0] != "C":
            continue
        if kind == "S":
            request, value, index = int(rest[1] + rest[2], 16), int(rest[3], 16), int(rest[4], 16)
            setups[tag] = struct.pack(">H", request).hex() + \
                struct.pack("<HHH", value, index, int(rest[5], 16)).hex()
        elif tag in setups:
            found.append((setups.pop(tag), int(rest[0]), int(rest[1])))
    return found


def test_a_capture_holds_what_usbmon_in_the_guest_shows():
    content = make_file()
    for link in (Usbip, Usbredir):
        capture = f"{link.__name__}.pcap"
        _, text = in_the_guest(link, content, ("--trace", capture))
        ours, theirs = control_transfers_of_capture(capture), control_transfers_of_usbmon(text)
        ours, theirs = (transfers[[setup for setup, _, _ in transfers].index(SET_INTERFACE):]
                        for transfers in (ours, theirs))
        end = [status for _, status, _ in theirs].index(-EPROTO)
        equal(end > 20, True, f"{link.__name__}: transfers before the leave")
        for at, (mine, kernels) in enumerate(zip(ours[:end], theirs[:end])):
            equal(mine, kernels, f"{link.__name__}: transfer {at} (setup, status, length)")
        # usbredir and the controller lose the data of a transfer that failed.
        equal(ours[end][:2], theirs[end][:2], f"{link.__name__}: the leave (setup, status)")


vm_test.main(globals())
