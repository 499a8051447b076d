#!/usr/bin/python3 -B
"""What `vphoton vm` starts: a guest with boards plugged in, and a command in it.

usage: vm.py [--board FD]... [--] COMMAND [ARGUMENT]...

FD is a connected socket behind which a board is served by usbredir. The command sees this machine's
files; what it writes outside the current folder vanishes with the guest. Its input, outputs and exit
code are ours, and so are the signals that reach us.
"""
import os
import signal
import socket
import sys

import machine
import packages

EXIT_ENVIRONMENT = 3
FOREVER = 10 * 365 * 86400
# What is true of this machine only.
NOT_FOR_THE_GUEST = ("LD_PRELOAD", "LD_LIBRARY_PATH", "VPHOTON_CONTROL")
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
BY_SIGNAL = 128


def say(text):
    print(f"vphoton: vm: {text}", file=sys.stderr, flush=True)


def words_in_the_guest(command, here):
    """The command as it is in this machine's files inside the guest."""
    environment = [f"{name}={value}" for name, value in os.environ.items()
                   if name not in NOT_FOR_THE_GUEST]
    return ["chroot", "/host", "/usr/bin/env", "-i", "-C", here, *environment, *command]


def print_output(is_error, payload):
    stream = sys.stderr.buffer if is_error else sys.stdout.buffer
    stream.write(payload)
    stream.flush()


def attend(guest, command, signals):
    """Feeds the command and hands signals on until it ends; its exit code."""
    deadline = machine.Deadline(FOREVER, "the command")
    stdin = sys.stdin.buffer.raw if sys.stdin else None
    while command.code is None:
        hungry = stdin and len(guest.outgoing) < machine.INPUT_CHUNK
        ready = guest.pump(deadline, [signals, stdin] if hungry else [signals])
        if signals in ready:
            for number in signals.recv(64):
                command.kill(number)
        if stdin in ready:
            data = os.read(stdin.fileno(), machine.INPUT_CHUNK)
            guest.feed(data)
            stdin = data and stdin
    return command.code


def watch_signals():
    """A socket that gets the number of each signal that is to be handed on."""
    watched, written = socket.socketpair()
    written.setblocking(False)
    signal.set_wakeup_fd(written.detach())
    for number in HANDED_ON:
        signal.signal(number, lambda *_: None)
    return watched


def run(boards, command):
    here = os.getcwd()
    # All of the machine is not to be written to.
    with machine.Guest(say=say).machine(here=here if here != "/" else None) as guest:
        guest.mount_host()
        for number, board in enumerate(boards, 1):
            guest.plug_redir(f"board{number}", board, port=str(number))
        guest.wait_for_devices(len(boards))
        signals = watch_signals()
        running = guest.begin(*words_in_the_guest(command, here), on_output=print_output)
        return attend(guest, running, signals)


def stop(number, _):
    """A signal before the command runs: everything is taken down on the way out."""
    sys.exit(BY_SIGNAL + number)


def main(words):
    machine.end_with(os.getppid())
    boards = []
    while words[:1] == ["--board"]:
        boards.append(socket.socket(fileno=int(words[1])))
        words = words[2:]
    for number in HANDED_ON:
        signal.signal(number, stop)
    try:
        return run(boards, words[1:] if words[:1] == ["--"] else words)
    except (machine.GuestError, packages.Missing) as error:
        say(str(error))
    except OSError as error:
        say(f"{error.filename or 'the guest'}: {error.strerror}")
    return EXIT_ENVIRONMENT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
