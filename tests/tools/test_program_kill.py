#!/usr/bin/env python3
"""kill -9 of vphoton at random instants of a download: the device directory then holds the state of
a flash operation boundary, opens again, and the next download succeeds.

The seed is printed; VPHOTON_SEED replays it. VPHOTON_LONG=1 kills many more times."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

VPHOTON = os.environ["VPHOTON"]
PART1, USER = 0x20000, 0xA0000
SECTORS = [(0x20000, 0x20000), (0x40000, 0x20000), (0xA0000, 0x20000)]
KILLS = 200 if os.environ.get("VPHOTON_LONG") else 12


def run(*arguments, **options):
    return subprocess.run([VPHOTON, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)


def made(*arguments):
    result = run(*arguments)
    if result.returncode != 0:
        sys.exit(f"FAILED: {arguments}: {result.stdout}")


def flash(board):
    with open(f"{board}/flash.bin", "rb") as image:
        return image.read()


def is_between(sector, before, after):
    """Old, erased, or erased and programmed up to some word."""
    if sector == before:
        return True
    programmed = 0
    while programmed < len(sector) and sector[programmed] == after[programmed]:
        programmed += 1
    programmed -= programmed % 4
    return sector[programmed:] == b"\xff" * (len(sector) - programmed)


def check_boundary(board, before, after, what):
    now = flash(board)
    changed = [(s, n) for s, n in SECTORS if now[s:s + n] != before[s:s + n]]
    for start, size in changed:
        if not is_between(now[start:start + size], before[start:start + size],
                          after[start:start + size]):
            sys.exit(f"FAILED: {what}: sector at {start:#x} is torn")
    # The settings sectors are the bootloader's; all the rest nobody touches.
    for start, end in ((0, 0x4000), (0xC000, 0x20000), (0x60000, 0xA0000), (0xC0000, 0x100000)):
        if now[start:end] != before[start:end]:
            sys.exit(f"FAILED: {what}: {start:#x} was never written, but changed")


def download(board, **options):
    # Warp, so that the kills fall into flash operations and not into dfu-util's sleeps.
    script = ("dfu-util -a 0 -s 0x08020000 -D part1 && dfu-util -a 0 -s 0x080A0000 -D user")
    return subprocess.Popen([VPHOTON, "run", "--time", "warp", "-d", board, "--dfu", "--", "sh",
                             "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True, **options)


def journal_is_whole(board):
    """The directory must open; looking does not write, so do it first. A child that was killed
    before it became dfu-util keeps the lock until it is really gone."""
    end = time.monotonic() + 30
    look = run("inspect", board)
    while "in use by process" in look.stdout and time.monotonic() < end:
        look = run("inspect", board)
    if look.returncode != 0:
        sys.exit(f"FAILED: the directory does not open: {look.stdout}")


def main():
    seed = int(os.environ.get("VPHOTON_SEED", time.time_ns() % 1000000))
    print(f"VPHOTON_SEED={seed}", flush=True)
    chance = random.Random(seed)
    made("new", "board", "--release", "2.2.0")
    made("module", "build", "-o", "part1", "--release", "2.0.0", "--part", "part1")
    made("module", "build", "-o", "user", "--release", "0.5.2", "--part", "user")
    before = flash("board")
    shutil.copytree("board", "whole")
    start = time.monotonic()
    if download("whole").wait() != 0:
        sys.exit("FAILED: an undisturbed download")
    duration = time.monotonic() - start
    after = flash("whole")
    reached = 0
    for turn in range(KILLS):
        shutil.copytree("board", "victim")
        process = download("victim")
        time.sleep(chance.uniform(0, duration))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        journal_is_whole("victim")
        # Opening completes what the journal holds.
        made("run", "-d", "victim", "--dfu", "--", "true")
        check_boundary("victim", before, after, f"turn {turn}")
        reached += flash("victim") != before
        if turn == KILLS - 1 and download("victim").wait() != 0:
            sys.exit("FAILED: a second download")
        shutil.rmtree("victim")
    print(f"{KILLS} kills, {reached} of them with changed flash")
    if reached == 0:
        sys.exit("FAILED: no kill hit the download")


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    main()
