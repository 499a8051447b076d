#!/usr/bin/python3 -B
"""The guest itself: commands in it, and that nothing of it is left."""
import os
import signal
import subprocess
import sys

import vm_test
from vm_test import equal, holds, wait_until

import machine


def test_output_error_output_and_exit_code_are_apart():
    with vm_test.guest().machine() as guest:
        result = guest.sh("echo out; echo err >&2; exit 5")
        equal((result.out, result.err, result.code), (b"out\n", b"err\n", 5))
        equal(guest.run("false").code, 1)
        equal(guest.run("no-such-program").code, 127)
        equal(guest.sh("kill -9 $$").code, 128 + 9)


def test_input_of_any_size_arrives_and_ends():
    data = bytes(range(256)) * 4096
    with vm_test.guest().machine() as guest:
        result = guest.run("cat", stdin=data)
        equal((result.code, bytes(result.out) == data), (0, True), "what cat printed")
        guest.put("/tmp/file", data)
        equal(guest.sh("wc -c </tmp/file").text().strip(), str(len(data)))


def test_a_command_that_does_not_end_is_an_error_and_can_be_ended():
    with vm_test.guest().machine() as guest:
        command = guest.begin("sleep", "1000")
        try:
            command.wait(timeout=0.5)
            raise AssertionError("the command ended")
        except machine.GuestError as error:
            holds(str(error), "'sleep 1000': nothing after 0.5 s")
        command.kill(signal.SIGTERM)
        equal(command.wait().code, 128 + signal.SIGTERM)
        equal(guest.run("true").code, 0)


def test_what_a_command_leaves_behind_holds_nothing_up():
    with vm_test.guest().machine() as guest:
        equal(guest.sh("sleep 1000 & echo started").text(), "started\n")


def test_every_machine_starts_from_the_same_state_and_the_present_time():
    with vm_test.guest().machine() as guest:
        equal(guest.sh("[ ! -e /tmp/mark ] && touch /tmp/mark").code, 0)
    with vm_test.guest().machine() as guest:
        equal(guest.sh("[ ! -e /tmp/mark ]").code, 0)
        before = int(subprocess.check_output(["date", "+%s"]))
        difference = int(guest.run("date", "+%s").text()) - before
        if abs(difference) > 60:
            raise AssertionError(f"the guest's clock is {difference} s off")


def test_a_device_of_qemu_comes_and_goes():
    with vm_test.guest().machine() as guest:
        guest.plug("keyboard", "usb-kbd", port="3")
        guest.wait_for_devices(1)
        equal(guest.sh("cat /sys/bus/usb/devices/1-3/idVendor").text(), "0627\n")
        guest.unplug("keyboard")
        guest.sh("while [ -e /sys/bus/usb/devices/1-3 ]; do usleep 10000; done")


def test_a_device_that_does_not_come_is_an_error():
    with vm_test.guest().machine() as guest:
        try:
            guest.wait_for_devices(1, timeout=1)
            raise AssertionError("a device is there")
        except machine.GuestError as error:
            holds(str(error), "1 USB devices are not there after 1 s")


def test_files_of_this_machine_are_there_and_only_one_folder_is_changed():
    os.mkdir("here")
    with open("here/question", "w", encoding="utf-8") as file:
        file.write("asked\n")
    here = os.path.abspath("here")
    with vm_test.guest().machine(here=here) as guest:
        guest.mount_host()
        found = guest.run("chroot", "/host", "/bin/sh", "-c", f"""
            cat {here}/question
            echo answered >{here}/answer
            echo lost >{here}/../lost && cat {here}/../lost""")
        equal(found.text(), "asked\nlost\n")
    with open("here/answer", encoding="utf-8") as file:
        equal(file.read(), "answered\n")
    equal(os.path.exists("lost"), False)


def is_gone(process):
    try:
        os.kill(process, 0)
        return False
    except ProcessLookupError:
        return True


def test_qemu_ends_with_who_started_it():
    starter = """if True:
        import sys, time
        import vm_test
        guest = vm_test.guest().machine()
        print("QEMU", guest.qemu.process.pid, flush=True)
        time.sleep(1000)"""
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(vm_test.__file__))
    with subprocess.Popen([sys.executable, "-B", "-c", starter], env=environment,
                          stdout=subprocess.PIPE, text=True) as process:
        words = next(line.split() for line in process.stdout if line.startswith("QEMU"))
        process.kill()
    wait_until(lambda: is_gone(int(words[1])), "QEMU's end")


def test_a_missing_qemu_is_named_with_its_package():
    result = subprocess.run([sys.executable, "-B", vm_test.GUEST / "vm.py", "--", "true"],
                            env=dict(os.environ, PATH="/nowhere"), capture_output=True, text=True,
                            check=False)
    equal((result.returncode, result.stderr),
          (3, "vphoton: vm: qemu-system-x86_64 is missing: apt-get install qemu-system-x86\n"))


vm_test.main(globals())
