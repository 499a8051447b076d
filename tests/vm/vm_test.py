"""For the tests with a real kernel. ctest sets for them:

  VPHOTON        the program of this build        FIRMWARE    real firmware (fixtures/fetch.sh)
  GUEST          this build's guest               SOURCE_DIR  the project
  VPHOTON_CACHE  where guests are kept

A test script defines functions test_NAME(), each of which runs in an empty folder that vanishes with
it, and ends with vm_test.main(globals()). With names as arguments only these run.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

VPHOTON = os.environ["VPHOTON"]
GUEST = pathlib.Path(os.environ["GUEST"])
FIRMWARE = pathlib.Path(os.environ["FIRMWARE"])
sys.path.insert(0, str(GUEST))
sys.dont_write_bytecode = True

import machine  # noqa: E402  the guest of this build
import packages  # noqa: E402

EXIT_SKIPPED = 77
_guest = None


class Skipped(Exception):
    """Something that the test needs is not there."""


def guest():
    """A fresh machine's maker: guest().machine(...)."""
    global _guest
    _guest = _guest or machine.Guest(say=print)
    return _guest


def firmware(pattern):
    """The path of one file of real firmware."""
    found = sorted(FIRMWARE.glob(f"**/{pattern}"))
    if not found:
        raise Skipped(f"no {pattern} in {FIRMWARE}; fixtures/fetch.sh brings it")
    return found[0]


def vphoton(*words, code=0, **options):
    """Runs the program to its end; its standard output."""
    result = subprocess.run([VPHOTON, *words], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, check=False, timeout=120, **options)
    if result.returncode != code:
        raise AssertionError(f"vphoton {' '.join(words)} ended with {result.returncode}, not {code}:"
                             f"\n{result.stdout}{result.stderr}")
    return result.stdout


def equal(found, expected, what="value"):
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def holds(text, part):
    """The text has the part in it."""
    if part not in text:
        raise AssertionError(f"expected {part!r} in:\n{text}")


def wait_until(condition, what, seconds=60):
    """Looks until the condition is true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {seconds} s")
        time.sleep(0.01)


@contextlib.contextmanager
def scratch_folder():
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="vm_test-") as folder:
        os.chmod(folder, 0o755)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def main(names):
    """Runs the tests of a script and leaves with the code that ctest knows."""
    chosen = sys.argv[1:] or [name for name in names if name.startswith("test_")]
    failed = skipped = 0
    for name in chosen:
        start = time.monotonic()
        outcome = "ok"
        try:
            with scratch_folder():
                names[name]()
        except (Skipped, packages.Missing) as reason:
            skipped += 1
            outcome = f"skipped: {reason}"
        except Exception:  # whatever it is, the others are run
            traceback.print_exc()
            failed += 1
            outcome = "FAILED"
        print(f"{time.monotonic() - start:6.2f} s  {name}: {outcome}", flush=True)
    sys.exit(1 if failed else EXIT_SKIPPED if skipped == len(chosen) else 0)
