#!/usr/bin/env python3
"""Signals, the terminal and job control: the command sees what it would see without vphoton."""
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

VPHOTON = os.environ["VPHOTON"]
PATIENCE = 30

# A command that says which signals it gets, one line each, until SIGTERM ends it.
TELLER = r"""
import os, signal, sys
def tell(number, frame):
    os.write(1, (signal.Signals(number).name + "\n").encode())
    if number == signal.SIGTERM:
        sys.exit(7)
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1,
               signal.SIGUSR2, signal.SIGCONT, signal.SIGWINCH):
    signal.signal(number, tell)
print("ready", os.isatty(0), os.isatty(1), flush=True)
while True:
    signal.pause()
"""


def check(condition, what):
    if not condition:
        sys.exit("FAILED: " + what)


def command(*options):
    return [VPHOTON, "run", *options, "--", sys.executable, "-c", TELLER]


class Lines:
    """Lines from a file descriptor, each with a limit of patience."""

    def __init__(self, fd):
        self.fd = fd
        self.rest = b""

    def next(self, patience=PATIENCE):
        end = time.monotonic() + patience
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return None
            try:
                more = os.read(self.fd, 4096)
            except OSError:
                more = b""
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().strip()


def wait(process, patience=PATIENCE):
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit("FAILED: it did not end")


def test_signals_sent_to_vphoton_reach_the_command_once():
    with subprocess.Popen(command(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        lines = Lines(process.stdout.fileno())
        check(lines.next() == "ready False False", "the command started")
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
            line = lines.next()
            check(line == number.name, f"{number.name}: the command got {line}")
        process.terminate()
        check(lines.next() == "SIGTERM", "SIGTERM reached the command")
        check(lines.next() is None, "nothing else reached the command")
        check(wait(process) == 7, "the command's own exit code after SIGTERM")


def test_a_command_killed_by_a_forwarded_signal_gives_128_and_its_number():
    arguments = [VPHOTON, "run", "--", "sh", "-c", "echo ready; exec sleep 60"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            check(Lines(process.stdout.fileno()).next() == "ready", "the command started")
            process.send_signal(number)
            check(wait(process) == 128 + number, f"128+{number}")


def test_the_command_dies_with_the_terminal_or_lives_on_as_it_likes():
    """nohup's promise: an ignored SIGHUP stays ignored in the command."""
    arguments = [VPHOTON, "run", "--", "sh", "-c", "echo ready; read x; exit 9"]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        signal.signal(signal.SIGHUP, before)
        check(Lines(process.stdout.fileno()).next() == "ready", "the command started")
        process.send_signal(signal.SIGHUP)
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        check(wait(process) == 9, "SIGHUP stayed ignored")


class Terminal:
    """vphoton as a job leader's foreground job on a terminal of its own."""

    def __init__(self, arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(arguments[0], arguments)
        self.lines = Lines(self.fd)

    def type(self, character):
        """As the keyboard: the terminal turns it into a signal."""
        where = {"c": termios.VINTR, "\\": termios.VQUIT, "z": termios.VSUSP}[character]
        os.write(self.fd, termios.tcgetattr(self.fd)[6][where])

    def next(self):
        """The next line that is not the terminal's echo."""
        while True:
            line = self.lines.next()
            if line is None or not line.startswith("^"):
                return line
            if line[2:]:
                return line[2:]

    def end(self):
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def test_keys_of_the_terminal_reach_the_command_once():
    terminal = Terminal(command())
    check(terminal.next() == "ready True True", "the command has the terminal")
    terminal.type("c")
    check(terminal.next() == "SIGINT", "Ctrl-C reached the command")
    terminal.type("\\")
    check(terminal.next() == "SIGQUIT", "Ctrl-\\ reached the command, and Ctrl-C only once")
    os.kill(terminal.pid, signal.SIGTERM)
    check(terminal.next() == "SIGTERM", "the command lives on after both")
    check(terminal.end() == 7, "the command's exit code")


def test_ctrl_c_ends_what_does_not_handle_it():
    terminal = Terminal([VPHOTON, "run", "--", "sh", "-c", "echo ready; exec sleep 60"])
    check(terminal.next() == "ready", "the command started")
    terminal.type("c")
    check(terminal.end() == 130, "130 as from a shell")


# A shell with job control: starts the job, waits until it stops, continues it, waits for its end.
SHELL = r"""
import os, signal, sys, time
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
status = os.waitpid(child, os.WUNTRACED)[1]
os.tcsetpgrp(0, os.getpgrp())
print("stopped", os.WIFSTOPPED(status) and signal.Signals(os.WSTOPSIG(status)).name, flush=True)
os.tcsetpgrp(0, child)
os.killpg(child, signal.SIGCONT)
status = os.waitpid(child, 0)[1]
os.tcsetpgrp(0, os.getpgrp())
print("ended", os.waitstatus_to_exitcode(status), flush=True)
"""


def under_a_shell(script):
    terminal = Terminal([sys.executable, "-c", SHELL, VPHOTON, "run", "--", "sh", "-c", script])
    return terminal


def test_ctrl_z_stops_the_job_and_fg_continues_it():
    terminal = under_a_shell("echo ready; read x; exit 5")
    check(terminal.next() == "ready", "the command started")
    terminal.type("z")
    check(terminal.next() == "stopped SIGTSTP", "the job stopped")
    os.write(terminal.fd, b"on\n")
    line = terminal.next()
    line = terminal.next() if line == "on" else line
    check(line == "ended 5", f"the job went on to its end: {line}")
    terminal.end()


def test_a_command_that_stops_itself_stops_the_job():
    """As `less` and `suspend` do: only the command gets the signal."""
    terminal = under_a_shell("echo ready; kill -TSTP $$; exit 6")
    check(terminal.next() == "ready", "the command started")
    check(terminal.next() == "stopped SIGTSTP", "the job stopped")
    check(terminal.next() == "ended 6", "the job went on to its end")
    terminal.end()


def test_a_command_stopped_by_hand_can_be_continued_by_hand():
    script = "echo $$; read x; echo went on; exit 4"
    with subprocess.Popen([VPHOTON, "run", "--", "sh", "-c", script], stdout=subprocess.PIPE,
                          stdin=subprocess.PIPE) as process:
        lines = Lines(process.stdout.fileno())
        child = int(lines.next())
        os.kill(child, signal.SIGSTOP)
        process.stdin.write(b"x\n")
        process.stdin.flush()
        check(lines.next(0.3) is None, "the command stands still")
        os.kill(child, signal.SIGCONT)
        check(lines.next() == "went on", "the command goes on")
        check(wait(process) == 4, "its exit code")


def main():
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            print(name, flush=True)
            test()


main()
