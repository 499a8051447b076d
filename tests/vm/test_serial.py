#!/usr/bin/python3 -B
"""The serial port of a running board under a real cdc_acm, and the way from there to DFU and back."""
import vm_test
from boards import (USER, Attach, Boards, Usbip, Usbredir, dfu_util, flash, machine, on_links,
                    wait_for_product)
from vm_test import equal, holds

ASK = """stty -F /dev/ttyACM0 raw -echo 9600
    exec 3<>/dev/ttyACM0
    printf v >&3
    head -n 1 <&3 | tr -d '\\r'"""
VERSION = "system firmware version: 0.4.4\n"


def console(guest):
    """What the console says to the key v."""
    guest.wait_for_devices(1)
    return guest.sh(ASK).text()


@on_links(Usbip, Usbredir, Attach)
def test_the_console_answers_on_ttyACM0(link):
    with Boards("photon", release="0.4.4", dfu=False) as boards, machine() as guest:
        link.plug(guest, boards)
        equal(console(guest), VERSION)
        # A port that was closed opens again.
        equal(console(guest), VERSION)


@on_links(Usbip, Usbredir, Attach)
def test_14400_baud_leads_to_dfu_and_a_leave_back_to_the_console(link):
    vm_test.vphoton("module", "build", "--release", "0.4.4", "--part", "user", "-o", "user.bin")
    with open("user.bin", "rb") as file:
        content = file.read()
    with Boards("photon", release="0.4.4", dfu=False) as boards, machine() as guest:
        guest.put("/tmp/user", content)
        link.plug(guest, boards)
        equal(console(guest), VERSION)

        guest.run("line-rate", "/dev/ttyACM0", "14400")
        boards.wait_for_event("boot: DFU mode")
        link.replug(guest, boards)
        wait_for_product(guest, "d006")
        said = dfu_util(guest, "-d", "2b04:d006", "-a", "0", "-s", f"{USER:#x}:leave",
                        "-D", "/tmp/user", code=74)
        holds(said, "File downloaded successfully")

        boards.wait_for_event("boot: system runs", times=2)
        link.replug(guest, boards)
        wait_for_product(guest, "c006")
        equal(console(guest), VERSION)
    equal(flash("photon", USER, len(content)) == content, True, "the application in the flash")


vm_test.main(globals())
