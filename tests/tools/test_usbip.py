#!/usr/bin/python3 -B
"""`vphoton serve --usbip` with a USB/IP host of our own, and with Debian's usbip."""
import os
import subprocess
import threading
import time

import served as program
import usbip_host
from served import PATIENCE, Served, check, content, equal, vphoton, wait_until
from usbip_host import Gone, Host, Refused

APP = 0x080A0000


def port_of(served):
    line = next(line for line in served.told if line.startswith("USB/IP at 127.0.0.1:"))
    return int(line.rsplit(":", 1)[1])


def control_of(served):
    return served.told[-1].split()[-1]


def when_there(port, busid, product):
    """A host that has imported the board, once that is there as this product."""
    hosts = []

    def try_it():
        host = Host(port)
        try:
            if host.attach(busid).product == product:
                hosts.append(host)
                return True
        except (Refused, Gone):
            pass
        host.close()
        return False
    wait_until(try_it, f"{busid} as {product:04x}")
    return hosts[0]


def test_debians_usbip_lists_the_boards(_):
    vphoton("new", "one", "--release", "0.4.3")
    vphoton("new", "two", "--release", "1.5.0")
    with Served("-d", "one", "-d", "two", "--usbip", "127.0.0.1:0") as served:
        result = subprocess.run(["usbip", "--tcp-port", str(port_of(served)), "list", "-r",
                                 "127.0.0.1"], capture_output=True, text=True, check=False,
                                env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"))
        equal(result.returncode, 0, f"exit code of usbip: {result.stderr}")
        lines = [line.strip() for line in result.stdout.splitlines()]
        for busid, name in (("1-1", "one"), ("1-2", "two")):
            at = next(i for i, line in enumerate(lines) if line.startswith(f"{busid}: "))
            check(lines[at].endswith("(2b04:c006)"), lines[at])
            equal(lines[at + 1], f": {name}", f"path of {busid}")


def test_an_application_is_flashed_and_started(chance):
    app = chance.randbytes(20000)
    # What a host sees at :leave: up to 0.4.4 dfuMANIFEST and no status stage, then a mask.
    for release, expected, state in (("0.4.3", "EPROTO", 7), ("1.5.0", "0", 5)):
        vphoton("new", release, "--release", release)
        with Served("-d", release, "--dfu", "--usbip", "0") as served:
            with Host(port_of(served)) as host:
                device = host.attach("1-1")
                equal((device.vendor, device.product), (0x2B04, 0xD006), "what was imported")
                status, data = host.control([0x80, 6, 0, 2, 0, 0, 255, 0])
                equal((status, data[:4]), (0, bytes([9, 2, 36, 0])), "configuration descriptor")
                equal(host.control([0x00, 9, 1, 0, 0, 0, 0, 0])[0], 0, "SET_CONFIGURATION")
                host.download(APP, app)
                status, data = host.leave(APP)
                equal(usbip_host.errno_name(status), expected, f"leaving {release}: status")
                equal((data[0], data[4]), (0, state), f"leaving {release}: bStatus and bState")
                check(host.is_gone(), "the connection outlives the board's reset")
            when_there(port_of(served), "1-1", 0xC006).close()
            served.stop()
            equal(served.said(), "", "errors")
        equal(content(f"{release}/flash.bin")[0xA0000:0xA0000 + len(app)], app, "the flash")


def test_urb_statuses(_):
    with Served("--release", "0.5.2", "--dfu", "--usbip", "0") as served, \
            Host(port_of(served)) as host:
        host.attach("1-1")
        equal(host.control([0x80, 6, 0, 0x0F, 0, 0, 5, 0])[0], -32, "what is stalled: EPIPE")
        waiting = host.submit(usbip_host.OUT, 0, 0, bytes([0, 3, 2, 0, 0, 0, 0, 0]))
        unlink = host.unlink(waiting)
        equal(host.next(), (usbip_host.RETURN_UNLINK, unlink, -104, b""), "what is unlinked")
        unlink = host.unlink(waiting)
        equal(host.next(), (usbip_host.RETURN_UNLINK, unlink, 0, b""), "what was over")


def test_two_boards_have_two_hosts(_):
    vphoton("new", "one", "--release", "0.5.2")
    vphoton("new", "two", "--release", "0.5.2")
    with Served("-d", "one", "-d", "two", "--dfu", "--usbip", "0") as served:
        with Host(port_of(served)) as first, Host(port_of(served)) as second:
            first.attach("1-1")
            second.attach("1-2")
            first.dfuse(0x41, APP)
            second.dfuse(0x41, APP + 0x20000)
            first.dfuse(0x21, APP)
            second.dfuse(0x21, APP + 0x20000)
            for block in (2, 3):
                equal(first.download_block(block, bytes([1]) * 4096), 0, "block for the first")
                equal(second.download_block(block, bytes([2]) * 4096), 0, "block for the second")
                first.until_idle()
                second.until_idle()
            with Host(port_of(served)) as late:
                try:
                    late.attach("1-1")
                    check(False, "a second host got the board")
                except Refused as error:
                    equal(str(error), "busy", "why the second host is refused")
        served.stop()
    equal(content("one/flash.bin")[0xA0000:0xA2000], bytes([1]) * 8192, "the first's flash")
    equal(content("two/flash.bin")[0xC0000:0xC2000], bytes([2]) * 8192, "the second's flash")


def test_a_board_unplugged_in_mid_transfer_hangs_up(_):
    with Served("--release", "0.5.2", "--usbip", "0") as served, Host(port_of(served)) as host:
        host.attach("1-1")
        host.submit(usbip_host.IN, 1, 64)  # nothing comes: the transfer waits
        vphoton("ctl", "--control", control_of(served), "power", "off")
        check(host.is_gone(), "the connection outlives the board's power")
        with Host(port_of(served)) as other:
            equal(other.devices(), [], "the list without power")
        with Host(port_of(served)) as other:
            try:
                other.attach("1-1")
                check(False, "a board without power was imported")
            except Refused as error:
                equal(str(error), "no device", "why it is refused")
        vphoton("ctl", "--control", control_of(served), "power", "on")
        when_there(port_of(served), "1-1", 0xC006).close()


def test_hosts_killed_in_mid_transfer_leave_the_board_to_the_next(chance):
    vphoton("new", "board", "--release", "0.5.2")
    before = content("board/flash.bin")
    with Served("-d", "board", "--dfu", "--usbip", "0") as served:
        for _ in range(10):
            host = when_there(port_of(served), "1-1", 0xD006)
            host.dfuse(0x41, APP)
            host.dfuse(0x21, APP)
            rest = usbip_host.struct.pack(">IIIII", 0, 4096, 0, 0, 0)
            host.command(usbip_host.SUBMIT, usbip_host.OUT, 0,
                         rest + bytes([0x21, 1, 2, 0, 0, 0, 0, 16]), bytes(chance.randrange(4096)))
            host.close()
        with when_there(port_of(served), "1-1", 0xD006) as host:
            host.download(APP, b"next" * 2000)
        served.stop()
        equal(served.said(), "", "errors")
    after = content("board/flash.bin")
    equal(after[0xA0000:0xA0000 + 8000], b"next" * 2000, "the next host's data")
    check(after[:0x4000] == before[:0x4000] and after[0x20000:0xA0000] == before[0x20000:0xA0000],
          "what nobody wrote has changed")


def test_the_console_answers_and_14400_baud_is_the_way_to_dfu_mode(_):
    with Served("--release", "0.5.2", "--usbip", "0") as served, Host(port_of(served)) as host:
        host.attach("1-1")
        host.control([0x00, 9, 1, 0, 0, 0, 0, 0])
        reading = host.submit(usbip_host.IN, 1, 64)
        host.submit(usbip_host.OUT, 1, 1, data=b"v")
        text = b""
        while b"0.5.2" not in text:
            answer = host.next()
            equal(answer.status, 0, "status of a transfer")
            if answer.seqnum == reading:
                text += answer.data
                reading = host.submit(usbip_host.IN, 1, 64)
        check(b"system firmware version" in text, text)
        host.unlink(reading)
        equal(host.next().status, -104, "unlinking what still reads")
        coding = (14400).to_bytes(4, "little") + bytes([0, 0, 8])
        equal(host.control([0x21, 0x20, 0, 0, 0, 0, 7, 0], coding)[0], -71, "status of 14400 baud")
        check(host.is_gone(), "the connection outlives the running system")
        when_there(port_of(served), "1-1", 0xD006).close()


def test_in_real_time_an_erase_takes_its_second(_):
    with Served("--release", "0.5.2", "--dfu", "-t", "real", "--usbip", "0") as served, \
            Host(port_of(served)) as host:
        host.attach("1-1")
        start = time.monotonic()
        host.dfuse(0x41, APP)
        # 128 KiB; meanwhile the status stage is NAKed, and the transfer waits in the server.
        check(time.monotonic() - start > 0.9, f"{time.monotonic() - start} s for an erase")
        host.download(APP, b"slow" * 10)


def vhci_folder():
    """What a kernel with one port would show."""
    os.mkdir("vhci")
    for name, text in (("attach", ""), ("detach", ""), ("status", "hub port sta\nhs 0003 004 000\n")):
        with open(f"vhci/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def lines_of(process):
    lines = []
    threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")),
                     daemon=True).start()
    return lines


def test_attach_hands_the_connection_over_and_comes_back(_):
    vphoton("new", "board", "--release", "0.5.2")
    vhci_folder()
    with Served("-d", "board", "--dfu", "--usbip", "0") as served:
        process = subprocess.Popen([program.VPHOTON, "attach", "--vhci", "vhci",
                                    f"127.0.0.1:{port_of(served)}", "board"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        lines = lines_of(process)
        try:
            wait_until(lambda: "board is plugged in: 2b04:d006 at port 3\n" in lines, "first attach")
            words = content("vhci/attach").split()
            equal((words[0], words[2:]), (b"3", [b"65538", b"2"]), "port, device, speed")
            link = os.readlink(f"/proc/{process.pid}/fd/{int(words[1])}")
            check(link.startswith("socket:"), link)
            vphoton("ctl", "--control", control_of(served), "reset")
            wait_until(lambda: "board is plugged in: 2b04:c006 at port 3\n" in lines, "second attach")
            process.terminate()
            equal(process.wait(PATIENCE), 0, "exit code after SIGTERM")
            equal(content("vhci/detach"), b"3\n", "the port that was freed")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_attach_says_what_is_wrong(_):
    def attach(*words):
        result = subprocess.run([program.VPHOTON, "attach", *words], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False, timeout=PATIENCE)
        return result.returncode, result.stderr
    vhci_folder()
    equal(attach("--vhci", "/nonexistent", "localhost", "1-1"),
          (3, "vphoton: attach: this kernel has no virtual USB controller at /nonexistent; as root: "
              "modprobe vhci_hcd\n"), "no vhci")
    for words in (["localhost"], ["localhost:99999", "1-1"], ["localhost:", "1-1"], [":1", "1-1"]):
        equal(attach(*words)[0], 2, f"exit code of {words}")
    equal(attach("--once", "--vhci", "vhci", "127.0.0.1:1", "1-1"),
          (3, "vphoton: attach: 127.0.0.1:1: cannot connect: Connection refused\n"), "no server")
    with Served("--usbip", "0") as served:
        where = f"127.0.0.1:{port_of(served)}"
        for board in ("1-2", "other"):
            equal(attach("--once", "--vhci", "vhci", where, board),
                  (3, f"vphoton: attach: board {board} at {where}: it is not there, or not attached "
                      "now\n"), "a board that is not there")
        with open("vhci/status", "w", encoding="utf-8") as file:
            file.write("hub port sta\nhs 0003 006 002\n")
        equal(attach("--once", "--vhci", "vhci", where, "1-1"),
              (3, "vphoton: attach: vhci/attach: no port is free\n"), "all ports in use")


program.main(globals())
