#!/usr/bin/python3
"""in_terminal.py COMMAND... -- [TEXT KEYS]...: runs a command in a terminal of its own and, for each pair,
waits until it shows TEXT and then types KEYS, in which \\r and such stand for what they do in C. KEYS that
begin with ! are a command of the shell instead. What the terminal showed is printed, NULs left out.
Exit code: that of the command."""
import os
import pty
import select
import subprocess
import sys
import time

PATIENCE = 30


def read_some(terminal, seconds):
    """What is shown next, or nothing: in time, or at all."""
    if not select.select([terminal], [], [], seconds)[0]:
        return b""
    try:
        some = os.read(terminal, 4096)
    except OSError:  # its last program has ended
        return b""
    sys.stdout.buffer.write(some.replace(b"\0", b""))
    sys.stdout.buffer.flush()
    return some


def wait_for(terminal, text, shown):
    """What came after `text`; `shown` has come already."""
    end = time.monotonic() + PATIENCE
    while text not in shown:
        some = read_some(terminal, max(0, end - time.monotonic()))
        if not some:
            sys.exit("in_terminal.py: it does not show %r, but: %r" % (text, shown))
        shown += some
    return shown[shown.index(text) + len(text) :]


def act(terminal, keys):
    if keys.startswith("!"):
        subprocess.check_call(keys[1:], shell=True)
    else:
        os.write(terminal, keys.encode().decode("unicode_escape").encode("latin1"))


def main():
    split = sys.argv.index("--")
    steps = sys.argv[split + 1 :]
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[1], sys.argv[1:split])
    shown = b""
    for text, keys in zip(steps[::2], steps[1::2]):
        shown = wait_for(terminal, text.encode(), shown)
        act(terminal, keys)
    while read_some(terminal, PATIENCE):
        pass
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
