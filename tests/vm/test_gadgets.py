#!/usr/bin/python3 -B
"""What Linux' ways to be a USB device can carry of a board, as docs/gadgets.md has it. The kernel is
both ends: dummy_hcd is a controller whose only port is its own device side."""
import contextlib
import os
from errno import EPIPE, EPROTO, ESHUTDOWN

import vm_test
from boards import wait_for_product
from vm_test import equal, holds

HERE = os.path.dirname(os.path.abspath(vm_test.__file__))
PROBE, HOST = (os.path.join(HERE, name) for name in ("gadget_probe.py", "gadget_host.py"))
CONTROLLER = "/dev/gadget/dummy_udc"
GET_STATUS = "a1 03 0000 0000 0006"
# The same, and two downloads, for the host of ours.
ASK_STATUS, DOWNLOAD, DOWNLOAD_NEXT = "a1:3:0:6", "21:1:0:5", "21:1:1:5"
SET_ALTERNATE = "01 0b 0001 0000 0000"
TRIES = 5


def mount_gadgetfs(guest):
    equal(guest.sh("""modprobe dummy_hcd is_high_speed=0 && modprobe gadgetfs &&
        mkdir /dev/gadget && mount -t gadgetfs gadgetfs /dev/gadget""").text(), "")
    guest.mount_host()


@contextlib.contextmanager
def gadgetfs(how):
    """A guest with the probe's device, and usbmon running."""
    with vm_test.guest().machine() as guest:
        mount_gadgetfs(guest)
        begin_probe(guest, "gadgetfs", CONTROLLER, how)
        wait_for_product(guest, "d006")
        begin_usbmon(guest)
        yield guest


def begin_probe(guest, *words):
    guest.run("sh", "-c", 'chroot /host /usr/bin/python3 -B "$@" >/tmp/probe 2>&1 & '
              "echo $! >/tmp/pid", "sh", PROBE, *words)


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


def ask(guest, *requests):
    """What becomes of requests of gadget_host.py."""
    result = guest.run("chroot", "/host", "/usr/bin/python3", "-B", HOST, "d006", *requests)
    equal(result.code, 0, f"exit code of the host: {result.text()}")
    return result.text().splitlines()


def heard(guest, setup):
    """What the probe said of requests that start like that, and what it said next."""
    lines = guest.run("cat", "/tmp/probe").text().splitlines()
    return [lines[number:number + 2] for number, line in enumerate(lines)
            if line.startswith(f"SETUP {setup}")]


@contextlib.contextmanager
def stopped(guest):
    """The probe does nothing meanwhile."""
    equal(guest.sh("kill -STOP $(cat /tmp/pid); until grep -q '^State:.T' /proc/$(cat /tmp/pid)/status;"
                   " do usleep 10000; done").code, 0, "stopping the probe")
    yield
    guest.sh("kill -CONT $(cat /tmp/pid)")


def test_gadgetfs_carries_two_alternates_and_no_endpoints():
    with gadgetfs("answer") as guest:
        said = guest.run("dfu-util", "-l").text()
        for alternate, name in ((0, "@Internal Flash"), (1, "@DCT Flash")):
            holds(said, f'alt={alternate}, name="{name}')
        # What the probe reads late is lost, on a busy machine now and then.
        found = None
        for _ in range(TRIES):
            guest.run("dfu-util", "-a", "1", "-s", "0:8", "-U", "/tmp/x")
            found = status_of(guest, SET_ALTERNATE), status_of(guest, GET_STATUS)
            if found == (0, 0):
                break
        equal(found, (0, 0))


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


def test_gadgetfs_carries_256_bytes_and_no_more():
    with gadgetfs("answer") as guest:
        equal(ask(guest, "21:1:2:100", "21:1:2:101", "21:1:2:1000", "a1:2:2:100", "a1:2:2:1000"),
              ["ok 256", "EPIPE", "EPIPE", "ok 256", "ETIMEDOUT"])
        equal(heard(guest, "2101"), [["SETUP 2101020000000001", "took 256"]])
        # Of one that wants more it is told as of one that does not.
        equal([said[0] for said in heard(guest, "a102")], ["SETUP a102020000000001"] * 2)


def test_gadgetfs_forgets_what_is_read_late_and_tells_nobody():
    with gadgetfs("answer") as guest:
        with stopped(guest):
            equal(ask(guest, DOWNLOAD, DOWNLOAD_NEXT), ["ok 5", "ok 5"])
        equal(ask(guest, ASK_STATUS), ["ok 6"])
        equal(heard(guest, "2101"), [["SETUP 2101010000000500", "took 5"]])


def test_gadgetfs_carries_a_serial_port():
    with vm_test.guest().machine() as guest:
        mount_gadgetfs(guest)
        begin_probe(guest, "serial", CONTROLLER)
        guest.wait_for_devices(1)
        equal(guest.sh("""stty -F /dev/ttyACM0 raw -echo
            exec 3<>/dev/ttyACM0
            echo hello >&3
            head -n 1 <&3""").text(), "hello\n", "what comes back through the bulk endpoints")
        guest.run("line-rate", "/dev/ttyACM0", "14400")
        equal(heard(guest, "2120")[-1], ["SETUP 2120000000000700", "took 7"])


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


def test_functionfs_refuses_functional_descriptors():
    for which in ("whole", "serial"):
        with vm_test.guest().machine() as guest:
            equal(functionfs(guest, which), "descriptors refused: Invalid argument\n", which)


def plug_in_functionfs(guest):
    guest.sh("echo dummy_udc.0 >/sys/kernel/config/usb_gadget/photon/UDC")
    wait_for_product(guest, "d006")


def test_functionfs_carries_4096_bytes_and_takes_none_before_they_are_read():
    with vm_test.guest().machine() as guest:
        equal(functionfs(guest, "bare"), "ready\n")
        plug_in_functionfs(guest)
        equal(ask(guest, "21:1:2:1000", "a1:2:2:1000"), ["ok 4096", "ok 4096"])
        with stopped(guest):
            equal(ask(guest, DOWNLOAD), ["ETIMEDOUT"])


def test_functionfs_shows_a_second_alternate_and_does_not_let_it_be_chosen():
    with vm_test.guest().machine() as guest:
        equal(functionfs(guest, "bare"), "ready\n")
        plug_in_functionfs(guest)
        begin_usbmon(guest)
        said = guest.run("dfu-util", "-a", "1", "-s", "0:8", "-U", "/tmp/x").text()
        holds(said, "Setting Alternate Interface #1")
        equal(status_of(guest, SET_ALTERNATE), -EPIPE)


vm_test.main(globals())
