#!/usr/bin/python3 -B
"""`vphoton serve --vhci-local` inside the guest: boards of that machine's own kernel, no network."""
import vm_test
from boards import USER, dfu_util, wait_for_product
from vm_test import equal, guest, holds

RELEASE = "0.5.2"
CONTROL = "/tmp/control"  # in the guest's view of this machine's files
VHCI = "/sys/devices/platform/vhci_hcd.0"


def serve(machine, *options):
    """Starts the daemon in the guest, with the libraries of this machine."""
    machine.mount_host()
    script = f"""chroot /host "$@" >/tmp/served 2>&1 &
        echo $! >/tmp/pid
        until grep -q "control socket" /tmp/served; do
            kill -0 "$(cat /tmp/pid)" || {{ cat /tmp/served; exit 1; }}
            usleep 10000
        done"""
    result = machine.run("sh", "-c", script, "sh", vm_test.VPHOTON, "serve", "--vhci-local",
                         "--control", CONTROL, "-r", RELEASE, *options)
    equal(result.code, 0, f"exit code of the start: {result.text()}")


def ctl(machine, *words):
    result = machine.run("chroot", "/host", vm_test.VPHOTON, "ctl", "--control", CONTROL, *words)
    equal(result.code, 0, f"exit code of ctl {words}: {result.text()}")
    return result.text()


def test_flash_leave_and_come_back():
    vm_test.vphoton("module", "build", "--release", RELEASE, "--part", "user", "-o", "user.bin")
    with open("user.bin", "rb") as file:
        content = file.read()
    with guest().machine() as machine:
        machine.put("/tmp/user", content)
        serve(machine, "--dfu")
        wait_for_product(machine, "d006")
        holds(dfu_util(machine, "-l"), "Found DFU: [2b04:d006]")
        dfu_util(machine, "-a", "0", "-s", f"{USER:#x}:leave", "-D", "/tmp/user")
        wait_for_product(machine, "c006")
        equal(machine.sh("ls /dev/ttyACM0").code, 0, "the console's device node")
        equal(machine.sh("kill $(cat /tmp/pid); while kill -0 $(cat /tmp/pid); do usleep 10000; done"
                         " 2>/dev/null; cat /tmp/served").text(), f"control socket at {CONTROL}\n",
              "what the daemon said")
        equal(machine.sh("while grep -qs c006 /sys/bus/usb/devices/*/idProduct; do usleep 10000; "
                         "done").code, 0, "the device goes with the daemon")


def test_what_is_detached_by_hand_stays_out_until_the_board_comes_anew():
    with guest().machine() as machine:
        serve(machine)
        wait_for_product(machine, "c006")
        script = f"""port=$(grep -h ' 006 ' {VHCI}/status | cut -d ' ' -f 3)
            echo "${{port#000}}" >{VHCI}/detach
            while grep -qs c006 /sys/bus/usb/devices/*/idProduct; do usleep 10000; done"""
        equal(machine.sh(script).code, 0, "detaching by hand")
        holds(ctl(machine, "status"), "USB attached")
        equal(machine.sh(f"grep -h ' 00[56] ' {VHCI}/status").text(), "", "ports in use")
        ctl(machine, "reset")
        wait_for_product(machine, "c006")


def test_two_boards_at_once():
    with guest().machine() as machine:
        serve(machine, "--dfu", "-n", "2")
        machine.wait_for_devices(2)
        equal(dfu_util(machine, "-l").count("alt=0"), 2, "boards that dfu-util finds")


vm_test.main(globals())
