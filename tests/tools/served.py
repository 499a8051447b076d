"""For tests of `vphoton serve`: the running program, checks that say what was found, and a main() that
runs a script's tests, each in an empty folder that vanishes with it.

The seed is printed; VPHOTON_SEED replays it.
"""
import os
import random
import select
import subprocess
import sys
import tempfile
import time

VPHOTON = os.environ["VPHOTON"]
PATIENCE = 60


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def equal(found, expected, what):
    check(found == expected, f"{what}: {found!r:.500} found, {expected!r:.500} expected")


def vphoton(*arguments):
    result = subprocess.run([VPHOTON, *arguments], stdin=subprocess.DEVNULL, text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    check(result.returncode == 0, f"{arguments}: {result.stdout}")


class Served:
    """A running `vphoton serve`: `told` is what it printed by the time that it was ready."""

    def __init__(self, *arguments):
        ready, writer = os.pipe()
        self.errors = open("errors", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [VPHOTON, "serve", *arguments, "--ready-fd", str(writer)], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
            pass_fds=[writer])
        os.close(writer)
        if not select.select([ready], [], [], PATIENCE)[0] or os.read(ready, 1) != b"\n":
            self.process.kill()
            sys.exit(f"FAILED: {arguments}: not ready: {self.said()}")
        os.close(ready)
        self.told = []
        while not self.told or not self.told[-1].startswith("control socket"):
            self.told.append(self.process.stdout.readline())

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def resident(self):
        """KiB of memory."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.terminate()
        equal(self.process.wait(PATIENCE), 0, "exit code after SIGTERM")
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def content(path):
    with open(path, "rb") as file:
        return file.read()


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < end, f"not within {PATIENCE} s: {what}")
        time.sleep(0.01)


def main(names):
    """Runs every test_NAME(chance) of a script's globals(), or those named as arguments."""
    seed = int(os.environ.get("VPHOTON_SEED", time.time_ns() % 1000000))
    print(f"VPHOTON_SEED={seed}", flush=True)
    for name, test in list(names.items()):
        if name.startswith("test_") and (len(sys.argv) == 1 or name in sys.argv):
            print(name, flush=True)
            with tempfile.TemporaryDirectory() as work:
                os.chdir(work)
                test(random.Random(seed))
                os.chdir("/")
