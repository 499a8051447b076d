#!/usr/bin/python3 -B
"""What Linux' ways to be a USB device can carry of a board, as docs/gadgets.md has it. The kernel is
both ends: dummy_hcd is a controller whose only port is its own device side."""
import contextlib
import os
from errno import EPIPE, EPROTO, ESHUTDOWN

import vm_test
from boards import wait_for_product
from vm_test import equal, holds

PROBE = os.path.abspath(os.path.join(os.path.dirname(vm_test.__file__), "gadget_probe.py"))
GET_STATUS = "a1 03 0000 0000 0006"
SET_ALTERNATE = "01 0b 0001 0000 0000"


@contextlib.contextmanager
def gadgetfs(how):
    """A guest with the probe's device, and usbmon running."""
    with vm_test.guest().machine() as guest:
        equal(guest.sh("""modprobe dummy_hcd is_high_speed=0 && modprobe gadgetfs &&
            mkdir /dev/gadget && mount -t gadgetfs gadgetfs /dev/gadget""").text(), "")
        guest.mount_host()
        begin_probe(guest, "gadgetfs", "/dev/gadget/dummy_udc", how)
        wait_for_product(guest, "d006")
        begin_usbmon(guest)
        yield guest


def begin_probe(guest, *words):
    guest.run("sh", "-c", 'chroot /host /usr/bin/python3 -B "$@" >/tmp/probe 2>&1 &', "sh", PROBE,
              *words)


def begin_usbmon(guest):
    guest.sh("cat /sys/kernel/debug/usb/usbmon/0u >/tmp/monitor 2>/dev/null &")


def status_of(guest, setup):
    """How the last control transfer of that setup ended, by usbmon."""
    tag = status = None
    for line in guest.run("cat", "/tmp/monitor").text().splitlines():
        words = line.split()
        if f" s {setup}" in line:
            tag, status = words[0], None
        elif words[0] == tag and words[2] == "C" and status is None:
            status = int(words[4])
    return status


def test_gadgetfs_carries_two_alternates_and_no_endpoints():
    with gadgetfs("answer") as guest:
        said = guest.run("dfu-util", "-l").text()
        for alternate, name in ((0, "@Internal Flash"), (1, "@DCT Flash")):
            holds(said, f'alt={alternate}, name="{name}')
        guest.run("dfu-util", "-a", "1", "-s", "0:8", "-U", "/tmp/x")
        equal((status_of(guest, SET_ALTERNATE), status_of(guest, GET_STATUS)), (0, 0))


def test_gadgetfs_can_stall_and_can_let_a_host_wait():
    for how, expected in (("stall", -EPIPE), ("late", 0)):
        with gadgetfs(how) as guest:
            guest.run("dfu-util", "-a", "0", "-s", "0x08000000:8", "-U", "/tmp/x")
            equal(status_of(guest, GET_STATUS), expected, how)


def test_a_gadget_that_goes_instead_of_answering_leaves_no_answer():
    with gadgetfs("go") as guest:
        said = guest.run("dfu-util", "-a", "0", "-s", "0x08000000:8", "-U", "/tmp/x").text()
        holds(said, "error get_status")
        # The first from the device's side, the second when the hub was quicker.
        status = status_of(guest, GET_STATUS)
        equal(status in (-EPROTO, -ESHUTDOWN), True, f"{status} is one of them")


def functionfs(guest, which):
    """The probe's function in a gadget of configfs, not yet on the bus; what the probe says."""
    guest.mount_host()
    made = guest.sh("""set -e
        modprobe dummy_hcd is_high_speed=0
        modprobe usb_f_fs
        mount -t configfs configfs /sys/kernel/config
        mkdir /sys/kernel/config/usb_gadget/photon
        cd /sys/kernel/config/usb_gadget/photon
        echo 0x2b04 >idVendor
        echo 0xd006 >idProduct
        mkdir functions/ffs.dfu configs/c.1 /host/dev/ffs
        ln -s functions/ffs.dfu configs/c.1
        mount -t functionfs dfu /host/dev/ffs""")
    equal((made.code, made.text()), (0, ""))
    begin_probe(guest, "functionfs", "/dev/ffs/ep0", which)
    guest.sh("tries=1500; until [ -s /tmp/probe ] || [ $tries = 0 ]; do "
             "tries=$((tries - 1)); usleep 20000; done")
    return guest.run("cat", "/tmp/probe").text()


def test_functionfs_refuses_the_dfu_functional_descriptor():
    with vm_test.guest().machine() as guest:
        equal(functionfs(guest, "whole"), "descriptors refused: Invalid argument\n")


def test_functionfs_shows_a_second_alternate_and_does_not_let_it_be_chosen():
    with vm_test.guest().machine() as guest:
        equal(functionfs(guest, "bare"), "ready\n")
        guest.sh("echo dummy_udc.0 >/sys/kernel/config/usb_gadget/photon/UDC")
        wait_for_product(guest, "d006")
        begin_usbmon(guest)
        said = guest.run("dfu-util", "-a", "1", "-s", "0:8", "-U", "/tmp/x").text()
        holds(said, "Setting Alternate Interface #1")
        equal(status_of(guest, SET_ALTERNATE), -EPIPE)


vm_test.main(globals())
