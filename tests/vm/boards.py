"""Boards behind `vphoton serve`, and the ways in which a guest plugs them in."""
import os
import signal
import subprocess

import vm_test

PART1, PART2, USER = 0x08020000, 0x08060000, 0x080A0000
FLASH = 0x08000000
ANSWER_SECONDS = 60


class Boards:
    """A running daemon. `folders` are made when they are not there, with `release`."""

    def __init__(self, *folders, release="1.5.0", dfu=True, options=()):
        self.folders = folders
        for folder in folders:
            if not os.path.exists(folder):
                vm_test.vphoton("new", folder, "--release", release)
        self.control = os.path.abspath("control")
        self.events_file = "events"
        ready, told = os.pipe()
        words = [vm_test.VPHOTON, "serve", *(["--dfu"] if dfu else []),
                 *(word for folder in folders for word in ("-d", folder)),
                 "--usbip", "127.0.0.1:0", "--control", self.control,
                 "--usbredir", "redir%",
                 f"--events={self.events_file}", "--ready-fd", str(told), *options]
        self.output = open("serve.out", "w+", encoding="utf-8")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, pass_fds=[told])
        os.close(told)
        with open(ready, "rb") as pipe:
            is_ready = pipe.read() == b"\n"
        said = self.said()
        if not is_ready:
            raise AssertionError(f"vphoton serve ended with {self.process.wait()}: {said}")
        address = next(line for line in said.splitlines() if line.startswith("USB/IP at "))
        self.usbip_port = address.rsplit(":", 1)[1]

    def said(self):
        with open("serve.out", encoding="utf-8") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(ANSWER_SECONDS)
        self.output.close()
        if kind is None and code != 0:
            raise AssertionError(f"vphoton serve ended with {code}: {self.said()}")

    def ctl(self, *words):
        return vm_test.vphoton("ctl", "--control", self.control, *words)

    def events(self):
        with open(self.events_file, encoding="utf-8") as file:
            return file.read()

    def wait_for_event(self, text, times=1):
        vm_test.wait_until(lambda: self.events().count(text) >= times,
                           f"the event {text!r}", ANSWER_SECONDS)


def flash(folder, address, size):
    """Bytes of a board's flash."""
    with open(f"{folder}/flash.bin", "rb") as file:
        file.seek(address - FLASH)
        return file.read(size)


class Usbip:
    """The stock usbip program and the kernel's vhci_hcd, over the network."""

    @staticmethod
    def plug(guest, boards, number=1):
        # The daemon may be about to learn that the host before is gone.
        script = """tries=500
            until said=$(usbip --tcp-port "$1" attach -r 10.0.2.2 -b "1-$2" 2>&1); do
                tries=$((tries - 1))
                [ $tries -gt 0 ] || { echo "$said"; exit 1; }
                usleep 10000
            done"""
        result = guest.run("sh", "-c", script, "sh", boards.usbip_port, number)
        if result.code != 0:
            raise AssertionError(f"usbip attach: {result.text()}")

    # Each detach of the board ends what usbip has attached.
    replug = plug


class Usbredir:
    """QEMU's usb-redir behind its emulated controller, and the kernel's xhci_hcd."""

    @staticmethod
    def plug(guest, boards, number=1):
        guest.plug_redir(f"board{number}", os.path.abspath(f"redir{number}"), port=str(number))

    @staticmethod
    def replug(guest, boards, number=1):
        """QEMU hears of each attach by itself."""


class Attach:
    """`vphoton attach` in the guest, and the kernel's vhci_hcd."""

    @staticmethod
    def plug(guest, boards, number=1):
        guest.mount_host()
        script = """chroot /host "$@" >"/tmp/attach$number" 2>&1 &"""
        guest.run("env", f"number={number}", "sh", "-c", script, "sh", vm_test.VPHOTON, "attach",
                  f"10.0.2.2:{boards.usbip_port}", f"1-{number}")

    @staticmethod
    def replug(guest, boards, number=1):
        """It does so by itself."""


def on_links(*links):
    """A test that gets each link in turn, in a folder of its own."""
    def decorate(test):
        def run():
            top = os.getcwd()
            for link in links:
                os.mkdir(f"{top}/{link.__name__}")
                os.chdir(f"{top}/{link.__name__}")
                try:
                    test(link)
                except Exception as error:
                    error.add_note(f"with the link {link.__name__}")
                    raise
        run.__name__ = test.__name__
        return run
    return decorate


def machine():
    """A guest that reaches the daemon's sockets."""
    return vm_test.guest().machine(network=True)


def dfu_util(guest, *words, code=0, timeout=120):
    """Runs dfu-util in the guest; what it printed."""
    result = guest.run("dfu-util", *words, timeout=timeout)
    if result.code != code:
        log = guest.sh("dmesg | tail -n 8").text()
        raise AssertionError(f"dfu-util {words} ended with {result.code}, not {code}: "
                             f"{result.text()}\nthe kernel: {log}")
    return result.text()


def wait_for_product(guest, product):
    """Until a configured device of the guest has this product id."""
    script = """tries=1500
        found() {
            for id in $(grep -ls "$1" /sys/bus/usb/devices/*/idProduct); do
                [ -n "$(cat "${id%/*}/bConfigurationValue")" ] && return
            done
            return 1
        }
        until found "$1"; do
            tries=$((tries - 1))
            [ $tries -gt 0 ] || exit 1
            usleep 20000
        done"""
    if guest.run("sh", "-c", script, "sh", product).code != 0:
        log = guest.sh("dmesg | tail -n 8").text()
        raise AssertionError(f"no device {product} came; the kernel: {log}")
