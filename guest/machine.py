"""A guest: Debian's kernel in QEMU, without KVM, without root.

It boots once; the machine is saved and every later one is that machine restored, in a third of a
second. What a saved machine depends on (packages, programs, QEMU, its command line) is in its key.
QEMU ends with the process that started it, however that ends.
"""
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import image
import packages

HERE = pathlib.Path(__file__).resolve().parent
QEMU = "qemu-system-x86_64"
QEMU_PACKAGE = "qemu-system-x86"
INGREDIENTS = ("agent", "line_rate", "init.sh", "image.py", "packages.py", "machine.py")

# The clock of an emulated processor is not to be calibrated against, and there is nobody to attack.
KERNEL_LINE = ("console=ttyS0 panic=-1 quiet mitigations=off audit=0 "
               "tsc=reliable no_timer_check random.trust_cpu=on")
# Emulation on a machine that does other things as well.
BOOT_SECONDS = 120
RESTORE_SECONDS = 60
QMP_SECONDS = 30
PR_SET_PDEATHSIG = 1
EXIT_SKIPPED = 77

RUN, INPUT, KILL, PING = b"RIKP"
OUT, ERR, EXIT, PONG = b"oexp"
HEADER = struct.Struct("<B3xI")
PAYLOAD_MAX = 256 * 1024
INPUT_CHUNK = 32 * 1024


class GuestError(Exception):
    """The guest did not do what it should; the text says what is known."""


def default_cache():
    """Where guests are kept."""
    chosen = os.environ.get("VPHOTON_CACHE")
    if chosen:
        return pathlib.Path(chosen).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "vphoton"


def quoted(path):
    """As a value in QEMU's lists of options."""
    return str(path).replace(",", ",,")


def received_from(channel):
    """What has come; nothing when the other end is gone."""
    try:
        return channel.recv(65536)
    except ConnectionResetError:
        return b""


class Deadline:
    def __init__(self, seconds, what):
        self.at = time.monotonic() + seconds
        self.seconds = seconds
        self.what = what

    def left(self):
        """Seconds from now, or GuestError when it is over."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise GuestError(f"{self.what}: nothing after {self.seconds:g} s")
        return left

    def wait_for(self, channel):
        """Waits a while until a socket has something to be read; does it?"""
        return bool(select.select([channel], [], [], min(self.left(), 1))[0])


class Monitor:
    """QEMU's own control channel, QMP."""

    def __init__(self, channel, qemu):
        self.channel = channel
        self.qemu = qemu
        self.pending = b""
        self.events = []

    def receive(self, deadline):
        while b"\n" not in self.pending:
            if not deadline.wait_for(self.channel):
                continue
            received = received_from(self.channel)
            if not received:
                raise GuestError(self.qemu.why_it_ended())
            self.pending += received
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def greet(self):
        self.receive(Deadline(QMP_SECONDS, "the start of QEMU"))
        self.do("qmp_capabilities")

    def do(self, name, files=(), arguments=None, **more):
        """The result of a command; `files` go to QEMU with it."""
        words = {**(arguments or {}), **more}
        request = json.dumps({"execute": name, "arguments": words}).encode() + b"\n"
        socket.send_fds(self.channel, [request], [file.fileno() for file in files])
        deadline = Deadline(QMP_SECONDS, f"QEMU's answer to {name}")
        while True:
            message = self.receive(deadline)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise GuestError(f"QEMU refuses {name}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_for_event(self, chosen, deadline):
        """The first event that `chosen(event)` accepts."""
        while True:
            for index, event in enumerate(self.events):
                if chosen(event):
                    return self.events.pop(index)
            message = self.receive(deadline)
            if "event" in message:
                self.events.append(message)


class Command:
    """A command in the guest. What it prints collects in `out` and `err`, or goes to `on_output`."""

    def __init__(self, machine, words, on_output=None):
        self.machine = machine
        self.words = words
        self.on_output = on_output
        self.out, self.err = bytearray(), bytearray()
        self.code = None

    def take(self, kind, payload):
        if kind == EXIT:
            (self.code,) = struct.unpack("<I", payload)
        elif self.on_output:
            self.on_output(kind == ERR, payload)
        elif kind in (OUT, ERR):
            (self.err if kind == ERR else self.out).extend(payload)

    def wait(self, timeout=60):
        deadline = Deadline(timeout, f"the guest's command {' '.join(self.words)!r}")
        while self.code is None:
            self.machine.pump(deadline)
        return self

    def wait_for_output(self, text, timeout=60):
        """Until it has printed the text, on either output."""
        deadline = Deadline(timeout, f"{text!r} from the guest's command {' '.join(self.words)!r}")
        while text.encode() not in self.out + self.err:
            if self.code is not None:
                raise GuestError(f"{' '.join(self.words)!r} ended with {self.code} and did not print "
                                 f"{text!r}: {self.text()}")
            self.machine.pump(deadline)
        return self

    def kill(self, number=signal.SIGTERM):
        self.machine.send(KILL, bytes([number]))

    def text(self):
        """Both outputs, for people."""
        return (self.out + self.err).decode(errors="replace")


def end_with(parent):
    """This process ends when its parent, known by its id, does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def tail(file):
    """The last lines, for a message."""
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return " | ".join(lines[-5:]) or "nothing"


class Qemu:
    """The process."""

    def __init__(self, words, files, log):
        self.log = log
        parent = os.getpid()
        # A terminal's interrupt is for us, who then end it.
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=files,
            preexec_fn=lambda: end_with(parent), start_new_session=True)

    def why_it_ended(self):
        return f"QEMU ended with {self.process.wait()} and said: {tail(self.log)}"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Machine:
    """A running guest. Use it in a `with` statement.

    network      the guest reaches this machine's loopback as 10.0.2.2, and what else this user
                 reaches; without it, nothing
    host, here   folders for mount_host(): all files, and those that are changed; None: none are
    """

    def __init__(self, guest, state=None, network=False, host="/", here=None):
        # Files without names, so that nothing is left whatever happens.
        self.log, self.console = (tempfile.TemporaryFile() for _ in range(2))
        self.incoming, self.outgoing = bytearray(), bytearray()
        self.command = None
        self.pongs = []
        self.here = here or ""
        self.has_host = False
        try:
            self.start(guest, state, network, host, here)
        except BaseException:
            self.close()
            raise

    def start(self, guest, state, network, host, here):
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)))
        # QEMU takes a file for a console only when it is open for writing alone.
        console = open(f"/proc/self/fd/{self.console.fileno()}", "wb")
        words = [*guest.command_line(network, host, here, *(end.fileno() for end in theirs)),
                 "-add-fd", f"set=1,fd={console.fileno()}"]
        passed = [file.fileno() for file in (console, *theirs)]
        if state:
            words += ["-incoming", f"fd:{state.fileno()}"]
            passed.append(state.fileno())
        self.qemu = Qemu(words, passed, self.log)
        for file in (console, *theirs):
            file.close()
        self.monitor = Monitor(ours[0], self.qemu)
        self.channel = ours[1]
        self.channel.setblocking(False)
        self.monitor.greet()
        deadline = Deadline(RESTORE_SECONDS if state else BOOT_SECONDS, "the guest's start")
        if state and self.monitor.do("query-status")["status"] != "running":
            self.monitor.wait_for_event(lambda event: event["event"] == "RESUME", deadline)
        self.ping(deadline)
        if state:
            self.run("date", "-s", f"@{int(time.time())}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if hasattr(self, "qemu"):
            self.qemu.close()
        self.log.close()
        self.console.close()

    # --- the agent ---

    def send(self, kind, payload=b""):
        """Queues a frame. It leaves as the guest takes it, while somebody waits for the guest."""
        self.outgoing += HEADER.pack(kind, len(payload)) + payload
        self.transmit()

    def transmit(self):
        with contextlib.suppress(BlockingIOError):
            while self.outgoing:
                del self.outgoing[:self.channel.send(self.outgoing[:65536])]

    def pump(self, deadline, others=()):
        """Waits a while for the guest or for `others`; the readable ones of these."""
        readable, writable, _ = select.select([self.channel, *others],
                                              [self.channel] if self.outgoing else [], [],
                                              min(deadline.left(), 1))
        if writable:
            self.transmit()
        if self.channel in readable:
            self.receive()
        return [other for other in readable if other is not self.channel]

    def receive(self):
        received = received_from(self.channel)
        if not received:
            raise GuestError(f"{self.qemu.why_it_ended()}; the guest said: {tail(self.console)}")
        self.incoming += received
        size = HEADER.size
        while len(self.incoming) >= size:
            kind, length = HEADER.unpack_from(self.incoming)
            if length > PAYLOAD_MAX:
                raise GuestError(f"the guest announces a frame of {length} bytes")
            if len(self.incoming) < size + length:
                break
            payload = bytes(self.incoming[size:size + length])
            del self.incoming[:size + length]
            self.take_frame(kind, payload)

    def take_frame(self, kind, payload):
        if kind == PONG:
            self.pongs.append(payload)
        elif self.command:
            self.command.take(kind, payload)

    def ping(self, deadline):
        """Until the agent has answered."""
        mark = os.urandom(8)
        self.send(PING, mark)
        while mark not in self.pongs:
            self.pump(deadline)
        self.pongs.clear()

    def begin(self, *words, on_output=None):
        """Starts a command; there is one at a time."""
        self.command = Command(self, [str(word) for word in words], on_output)
        self.send(RUN, b"".join(word.encode() + b"\0" for word in self.command.words))
        return self.command

    def feed(self, data):
        """For the command's standard input; nothing ends it."""
        for start in range(0, len(data) or 1, INPUT_CHUNK):
            self.send(INPUT, data[start:start + INPUT_CHUNK])

    def run(self, *words, stdin=b"", timeout=60):
        command = self.begin(*words)
        self.feed(stdin)
        if stdin:
            self.feed(b"")
        return command.wait(timeout)

    def sh(self, script, timeout=60):
        return self.run("sh", "-c", script, timeout=timeout)

    def put(self, path, content):
        """Writes a file in the guest."""
        if self.run("dd", f"of={path}", stdin=content).code != 0:
            raise GuestError(f"cannot write {path}: {self.command.text()}")

    # --- plugging ---

    def plug(self, name, driver, **properties):
        """Puts a device of QEMU's into the guest's USB controller."""
        self.monitor.do("device_add", driver=driver, id=name, bus="xhci.0", **properties)

    def plug_redir(self, name, peer, **properties):
        """Plugs in what a usbredir host serves: at a path, or on a connected socket."""
        if isinstance(peer, socket.socket):
            self.monitor.do("getfd", files=[peer], fdname=name)
            address = {"type": "fd", "data": {"str": name}}
        else:
            address = {"type": "unix", "data": {"path": str(peer)}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        self.monitor.do("chardev-add", id=f"{name}.link", backend=backend)
        self.plug(name, "usb-redir", chardev=f"{name}.link", **properties)

    def unplug(self, name):
        self.monitor.do("device_del", id=name)
        self.monitor.wait_for_event(
            lambda event: event["event"] == "DEVICE_DELETED" and event["data"].get("device") == name,
            Deadline(QMP_SECONDS, f"the unplugging of {name}"))

    def wait_for_devices(self, count, timeout=30):
        """Until so many USB devices are configured and their serial ports have a driver."""
        script = """
            ready() {
                set -- $(cat /sys/bus/usb/devices/[0-9]*-*[0-9]/bConfigurationValue 2>/dev/null)
                [ $# -ge "$wanted" ] || return 1
                for class in /sys/bus/usb/devices/*:*/bInterfaceClass; do
                    [ "$(cat "$class")" != 02 ] || [ -e "${class%/*}/tty" ] || return 1
                done
            }
            wanted=$1 tries=$(($2 * 50))
            until ready; do
                tries=$((tries - 1))
                [ $tries -gt 0 ] || exit 1
                usleep 20000
            done"""
        if self.run("sh", "-c", script, "sh", count, timeout, timeout=timeout + 30).code != 0:
            log = self.run("sh", "-c", "dmesg | tail -n 5").text().strip().replace("\n", " | ")
            raise GuestError(f"{count} USB devices are not there after {timeout} s; the kernel's "
                             f"latest lines: {log}")

    # --- folders ---

    def mount_host(self):
        """This machine's files at /host. What is written there vanishes with the guest, except in
        the folder `here`."""
        if self.has_host:
            return
        script = """set -e
            share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$3" "$1" "$2"; }
            mkdir -p /run/host /run/over
            mount -t tmpfs over /run/over
            mkdir /run/over/upper /run/over/work
            share host /run/host cache=loose,ro
            mount -t overlay -o lowerdir=/run/host,upperdir=/run/over/upper,workdir=/run/over/work \
                host /host
            for own in proc sys dev; do mount -o rbind "/$own" "/host/$own"; done
            mount -t tmpfs run /host/run
            mkdir -p /host/dev/shm
            mount -t tmpfs shm /host/dev/shm
            if [ -n "$1" ]; then
                mkdir -p "/host$1"
                share here "/host$1" cache=mmap
            fi"""
        if self.run("sh", "-c", script, "sh", self.here).code != 0:
            raise GuestError(f"cannot mount this machine's files: {self.command.text().strip()}")
        self.has_host = True


class Guest:
    """What machines are made of: kernel, initramfs, saved state."""

    def __init__(self, cache=None, say=lambda text: None):
        self.cache = cache or default_cache()
        self.say = say
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise packages.Missing(f"{self.cache}: cannot make this folder, where guests are kept: "
                                   f"{error.strerror}; VPHOTON_CACHE names another") from None
        self.qemu = shutil.which(QEMU)
        if not self.qemu:
            raise packages.Missing(f"{QEMU} is missing: apt-get install {QEMU_PACKAGE}")
        self.archive = packages.Archive(self.cache)
        self.folder = self.cache / self.key()

    def key(self):
        stamp = [self.qemu, os.stat(self.qemu).st_mtime_ns, os.stat(self.qemu).st_size,
                 self.archive.versions(), KERNEL_LINE]
        digest = hashlib.sha256(json.dumps(stamp).encode())
        for name in INGREDIENTS:
            digest.update((HERE / name).read_bytes())
        return f"guest-{digest.hexdigest()[:16]}"

    def command_line(self, network, host, here, monitor, agent):
        """`monitor` and `agent` are descriptors of connected sockets."""
        share = "security_model=none,multidevs=remap"
        return [
            self.qemu, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
            # KVM does not boot everywhere; what is emulated is the same everywhere.
            "-machine", "q35", "-accel", "tcg", "-smp", "1", "-m", "512",
            "-kernel", str(self.folder / "vmlinux"), "-initrd", str(self.folder / "initramfs"),
            "-append", KERNEL_LINE,
            "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
            "-chardev", f"socket,id=agent,fd={agent}", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=vphoton.agent",
            "-device", "qemu-xhci,id=xhci,p2=8,p3=8",
            "-netdev", f"user,id=net,ipv6=off,restrict={'off' if network else 'on'}",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-fsdev", f"local,id=host,path={quoted(host)},readonly=on,{share}",
            "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
            "-fsdev", f"local,id=here,path={quoted(here or host)},{share}"
            + ("" if here else ",readonly=on"),
            "-device", "virtio-9p-pci,fsdev=here,mount_tag=here",
            "-chardev", "file,id=console,path=/dev/fdset/1", "-serial", "chardev:console"]

    def machine(self, **options):
        """A running Machine; the first one of a key takes a quarter of a minute."""
        state = self.folder / "state"
        if not state.exists():
            with open(self.cache / "lock", "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not state.exists():
                    self.make()
        with open(state, "rb") as saved:
            return Machine(self, saved, **options)

    def make(self):
        """Builds, boots, saves."""
        versions = self.archive.versions()
        kernel = next(name for name in versions if name.startswith("linux-image-"))
        self.say(f"making the guest, once: {kernel} {versions[kernel]}")
        for old in self.cache.glob("guest-*"):
            shutil.rmtree(old)
        self.folder.mkdir()
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="packages-") as folder:
            debs = self.archive.download(versions, pathlib.Path(folder))
            image.build(debs, self.folder)
        with Machine(self) as machine:
            self.save(machine)

    def save(self, machine):
        unfinished = self.folder / "state.new"
        monitor = machine.monitor
        with open(unfinished, "w+b") as file:
            monitor.do("migrate-set-capabilities",
                       capabilities=[{"capability": "events", "state": True}])
            monitor.do("migrate-set-parameters", arguments={"max-bandwidth": 1 << 40})
            monitor.do("getfd", files=[file], fdname="state")
            monitor.do("migrate", uri="fd:state")
            done = monitor.wait_for_event(
                lambda event: event["event"] == "MIGRATION" and
                event["data"]["status"] in ("completed", "failed", "cancelled"),
                Deadline(BOOT_SECONDS, "saving the machine"))
        if done["data"]["status"] != "completed":
            raise GuestError(f"QEMU could not save the machine: {tail(machine.log)}")
        unfinished.replace(self.folder / "state")


def main():
    """machine.py: makes the guest when there is none, for tests that want it there. Exit code 77: it
    cannot be made here."""
    try:
        guest = Guest(say=lambda text: print(text, file=sys.stderr))
        with guest.machine() as machine:
            print(machine.run("uname", "-r").text().strip())
    except packages.Missing as error:
        print(f"skipped: {error}")
        return EXIT_SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
