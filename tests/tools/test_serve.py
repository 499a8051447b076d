#!/usr/bin/python3 -B
"""`vphoton serve` as a daemon: how it starts, who it tells, what it refuses, how it stops."""
import os
import signal
import socket
import subprocess

import served as program
from served import PATIENCE, Served, check, content, equal, vphoton
from usbip_host import Host


def refused(*arguments):
    """Exit code and error line of a `vphoton serve` that does not start."""
    result = subprocess.run([program.VPHOTON, "serve", *arguments], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False, timeout=PATIENCE)
    equal(result.stdout, "", f"output of {arguments}")
    equal(result.stderr.count("\n"), 1, f"error lines of {arguments}: {result.stderr}")
    return result.returncode, result.stderr


def test_wrong_words_are_usage_errors(_):
    for arguments, text in (
            ([], "--usbip, --usbredir or --vhci-local expected"),
            (["--usbip", "0", "-t", "warp"], "that is `run`; real or fast expected"),
            (["--usbip", "0", "word"], "unexpected word \"word\""),
            (["--usbip", "0", "-n", "0"], "a number from 1 to"),
            (["--usbip", "0", "--ready-fd", "77"], "an open descriptor expected"),
            (["--usbip", "0", "-d", "x", "-r", "0.4.3"], "--release is for a fresh board")):
        code, error = refused(*arguments)
        equal(code, 2, f"exit code of {arguments}")
        check(text in error, error)


def test_it_listens_elsewhere_only_when_that_is_asked_for(_):
    for where in ("0.0.0.0:0", "[::]:0"):
        code, error = refused("--usbip", where)
        equal(code, 3, f"exit code for {where}")
        check("--allow-remote permits that" in error, error)
    for where in ("127.0.0.1", "nonsense:1", "::1:3240", "127.0.0.1:", ":1", "127.0.0.1:99999"):
        code, error = refused("--usbip", where)
        equal(code, 3, f"exit code for {where}")
        check("ADDRESS:PORT expected" in error, error)
    with Served("--usbip", "0.0.0.0:0", "--allow-remote") as served:
        check(served.told[0].startswith("USB/IP at 0.0.0.0:"), served.told[0])


def test_a_port_in_use_is_named(_):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = f"127.0.0.1:{other.getsockname()[1]}"
        equal(refused("--usbip", where),
              (3, f"vphoton: --usbip: cannot listen at {where}: Address already in use\n"), "error")


def test_a_manager_is_told_of_start_and_stop(_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("notify")
        manager.settimeout(PATIENCE)
        os.environ["NOTIFY_SOCKET"] = os.path.abspath("notify")
        try:
            with Served("--usbip", "0") as served:
                equal(manager.recv(100), b"READY=1", "what the manager hears at the start")
                served.stop()
                equal(manager.recv(100), b"STOPPING=1", "what the manager hears at the stop")
        finally:
            del os.environ["NOTIFY_SOCKET"]


def start_activated(listener, *arguments):
    """As a service manager does: the socket as descriptor 3, and the process's own id."""
    script = 'exec 3<&$1; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=usbip; shift; exec "$@"'
    return subprocess.Popen(["bash", "-c", script, "bash", str(listener.fileno()), program.VPHOTON,
                             "serve", *arguments], pass_fds=[listener.fileno()], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def test_a_manager_may_open_the_port(_):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with start_activated(listener) as process:
            equal(process.stdout.readline(), f"USB/IP at 127.0.0.1:{port}\n", "where it listens")
            with Host(port) as host:  # waits in the backlog until it is served
                equal(len(host.devices()), 1, "boards")
            process.terminate()
            equal(process.wait(PATIENCE), 0, "exit code")


def test_a_managers_port_must_be_a_loopback_one_too(_):
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        with start_activated(listener) as process:
            equal(process.wait(PATIENCE), 3, "exit code")
            error = process.stderr.read()
            check("--allow-remote permits that" in error, error)


def test_boards_are_saved_at_the_stop(_):
    for number in (signal.SIGTERM, signal.SIGINT):
        vphoton("new", number.name, "--release", "0.4.3")
        with Served("-d", number.name, "--dfu", "--usbip", "0", "--report", "report") as served:
            with Host(int(served.told[0].rsplit(":", 1)[1])) as host:
                host.attach("1-1")
                host.download(0x080A0000, b"kept" * 100)
                served.process.send_signal(number)  # with the host still there
                equal(served.process.wait(PATIENCE), 0, f"exit code after {number.name}")
        equal(content(f"{number.name}/flash.bin")[0xA0000:0xA0000 + 400], b"kept" * 100, "flash")
        check(b'"exit_code": 0' in content("report"), content("report"))


def test_one_program_has_a_board(_):
    vphoton("new", "board")
    with Served("-d", "board", "--usbip", "0"):
        code, error = refused("-d", "board", "--usbip", "0")
        equal(code, 3, "exit code")
        check("board" in error, error)


def test_many_boards_are_served(_):
    with Served("-n", "100", "--usbip", "0") as served:
        with Host(int(served.told[0].rsplit(":", 1)[1])) as host:
            found = host.devices()
        equal([device.busid for device in found], [f"1-{n}" for n in range(1, 101)], "bus ids")
        equal((found[0].path, found[99].path), ("board", "board-100"), "names")


program.main(globals())
