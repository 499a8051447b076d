#!/usr/bin/python3 -B
"""Two boards at once, plugs that are pulled, and hosts that are gone in the middle of it all."""
import json

import vm_test
from boards import (USER, Attach, Boards, Usbip, Usbredir, dfu_util, flash, machine, on_links,
                    wait_for_product)
from vm_test import equal, holds

# The bootloader of 0.4.3 asks for 50 ms before each block: time to do something in between.
RELEASE = "0.4.3"
BLOCK = 4096
BLOCKS = 12
CONTENT = bytes((block * 7 + at) % 251 for block in range(BLOCKS) for at in range(BLOCK))
DOWNLOAD = ("dfu-util", "-a", "0", "-s", f"{USER:#x}", "-D", "/tmp/file")


def begin_download(guest, boards):
    """A download that has programmed a block or more, and has more to come."""
    guest.put("/tmp/file", CONTENT)
    command = guest.begin(*DOWNLOAD)
    boards.wait_for_event(f"flash: program 0x{USER + BLOCK:08X}")
    return command


def blocks_in_flash(folder):
    """How many of the blocks the flash holds, in order; the rest is erased."""
    found = flash(folder, USER, len(CONTENT))
    count = 0
    while count < len(CONTENT) and found[count] == CONTENT[count]:
        count += 1
    equal(found[count:], b"\xff" * (len(CONTENT) - count), "what follows the downloaded blocks")
    return count / BLOCK


def check_that_it_works(guest, folder):
    guest.put("/tmp/file", CONTENT)
    dfu_util(guest, *DOWNLOAD[1:])
    equal(flash(folder, USER, len(CONTENT)) == CONTENT, True, "the flash after a new download")


@on_links(Usbip, Usbredir)
def test_two_boards_in_one_guest_are_two_devices(link):
    files = {"first": b"1" * BLOCK, "second": b"2" * BLOCK}
    with Boards("first", "second", release="1.5.0") as boards, machine() as guest:
        for number in (1, 2):
            link.plug(guest, boards, number)
        guest.wait_for_devices(2)
        for folder, content in files.items():
            serial = serial_of(folder)
            guest.put("/tmp/file", content)
            dfu_util(guest, "-S", serial, *DOWNLOAD[1:])
        boards.ctl("--board", "first", "unplug")
        said = dfu_util(guest, "-l")
        equal((serial_of("first") in said, serial_of("second") in said), (False, True))
    for folder, content in files.items():
        equal(flash(folder, USER, BLOCK), content, f"the flash of {folder}")


def serial_of(folder):
    """As the bootloaders from 0.7.0 have it."""
    with open(f"{folder}/device.json", encoding="utf-8") as file:
        return json.load(file)["id"]


@on_links(Usbip, Usbredir, Attach)
def test_a_board_unplugged_in_mid_transfer_fails_the_client_and_comes_back(link):
    with Boards("photon", release=RELEASE) as boards, machine() as guest:
        link.plug(guest, boards)
        guest.wait_for_devices(1)
        command = begin_download(guest, boards)
        boards.ctl("unplug")
        command.wait()
        # Whichever of its requests it was.
        holds(command.text(), "dfu-util: Error during ")
        equal(command.code, 74)
        guest.sh("while grep -qs d006 /sys/bus/usb/devices/*/idProduct; do usleep 10000; done")
        if not 0 < blocks_in_flash("photon") < BLOCKS:
            raise AssertionError(f"{blocks_in_flash('photon')} of {BLOCKS} blocks were programmed")

        boards.ctl("press", "mode")
        boards.ctl("plug")
        boards.wait_for_event("LED: yellow", times=2)
        boards.ctl("release", "mode")
        boards.wait_for_event("USB: on the bus", times=2)
        link.replug(guest, boards)
        wait_for_product(guest, "d006")
        check_that_it_works(guest, "photon")


@on_links(Usbip, Usbredir)
def test_a_machine_killed_in_mid_transfer_leaves_daemon_and_flash_sound(link):
    with Boards("photon", release=RELEASE) as boards:
        with machine() as guest:
            link.plug(guest, boards)
            guest.wait_for_devices(1)
            begin_download(guest, boards)
        if not 0 < blocks_in_flash("photon") < BLOCKS:
            raise AssertionError(f"{blocks_in_flash('photon')} of {BLOCKS} blocks were programmed")
        equal(boards.process.poll(), None, "the daemon's exit code")
        with machine() as guest:
            link.plug(guest, boards)
            guest.wait_for_devices(1)
            check_that_it_works(guest, "photon")


vm_test.main(globals())
