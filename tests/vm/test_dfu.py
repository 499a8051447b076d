#!/usr/bin/python3 -B
"""dfu-util under a real kernel: its usbfs, its hub driver, its host controller."""
from errno import EPROTO

import vm_test
from boards import (PART1, PART2, USER, Boards, Usbip, Usbredir, dfu_util, flash, machine,
                    on_links)
from vm_test import equal, holds


@on_links(Usbip, Usbredir)
def test_a_board_is_listed_as_on_the_desk(link):
    with Boards("photon", release="0.4.3") as boards, machine() as guest:
        link.plug(guest, boards)
        guest.wait_for_devices(1)
        said = dfu_util(guest, "-l")
    for alternate in ('alt=1, name="@DCT Flash   /0x00000000/01*016Kg"',
                      'alt=0, name="@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,'
                      '07*128Kg"'):
        holds(said, f'{alternate}, serial="00000000010C"')


@on_links(Usbip, Usbredir)
def test_the_system_of_a_release_is_downloaded_and_read_back(link):
    parts = {PART1: vm_test.firmware("system-part1-1.5.0.bin").read_bytes(),
             PART2: vm_test.firmware("system-part2-1.5.0.bin").read_bytes()}
    with Boards("photon", release="1.5.0") as boards, machine() as guest:
        link.plug(guest, boards)
        guest.wait_for_devices(1)
        for address, content in parts.items():
            guest.put("/tmp/part", content)
            dfu_util(guest, "-a", "0", "-s", f"{address:#x}", "-D", "/tmp/part")
            dfu_util(guest, "-a", "0", "-s", f"{address:#x}:{len(content)}", "-U", "/tmp/back")
            equal(guest.run("cmp", "/tmp/part", "/tmp/back").text(), "")
            guest.run("rm", "/tmp/back")
        said = dfu_util(guest, "-a", "0", "-s", f"{PART2:#x}:leave", "-D", "/tmp/part")
        holds(said, "File downloaded successfully\nSubmitting leave request...")
        boards.wait_for_event("boot: system runs")
    for address, content in parts.items():
        equal(flash("photon", address, len(content)) == content, True, f"flash at {address:#x}")


def urb_statuses(monitor, setup):
    """Statuses of the control transfers of usbmon's text that begin with these bytes."""
    submitted, found = set(), []
    for line in monitor.splitlines():
        words = line.split()
        if words[2] == "S" and " ".join(words[4:]).startswith(f"s {setup}"):
            submitted.add(words[0])
        elif words[2] in "CE" and words[0] in submitted:
            submitted.remove(words[0])
            found.append(int(words[4]))
    return found


def leave(link, release, code):
    """What dfu-util says, and the statuses of all its GETSTATUS."""
    vm_test.vphoton("module", "build", "--release", release, "--part", "user", "-o", "user.bin")
    with Boards("photon", release=release) as boards, machine() as guest:
        link.plug(guest, boards)
        guest.wait_for_devices(1)
        with open("user.bin", "rb") as file:
            guest.put("/tmp/user", file.read())
        guest.sh("cat /sys/kernel/debug/usb/usbmon/0u >/tmp/monitor 2>/dev/null &")
        said = dfu_util(guest, "-a", "0", "-s", f"{USER:#x}:leave", "-D", "/tmp/user", code=code)
        boards.wait_for_event("boot: system runs")
        monitor = guest.run("cat", "/tmp/monitor").text()
    return said, urb_statuses(monitor, "a1 03 0000 0000 0006")


@on_links(Usbip, Usbredir)
def test_the_leave_error_of_0_4_3_is_a_transfer_without_an_answer(link):
    said, statuses = leave(link, "0.4.3", code=74)
    holds(said, "Error during download get_status")
    equal((set(statuses[:-1]), statuses[-1]), ({0}, -EPROTO), "statuses of the GETSTATUS transfers")


@on_links(Usbip, Usbredir)
def test_there_is_no_such_error_after_0_4_5(link):
    said, statuses = leave(link, "0.4.5", code=0)
    equal("Error" in said, False)
    equal(set(statuses), {0}, "statuses of the GETSTATUS transfers")


vm_test.main(globals())
