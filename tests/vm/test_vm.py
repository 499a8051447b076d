#!/usr/bin/python3 -B
"""`vphoton vm` as its users have it."""
import os
import pathlib
import shutil
import signal
import subprocess

import vm_test
from vm_test import equal, holds, wait_until

SECONDS = 120


def run(*words, code=0, stdin=b"", program=(vm_test.VPHOTON,), **options):
    """Both outputs of `vphoton vm`."""
    result = subprocess.run([*program, "vm", *words], input=stdin, capture_output=True, check=False,
                            timeout=SECONDS, **options)
    out, err = result.stdout.decode(), result.stderr.decode()
    if result.returncode != code:
        raise AssertionError(f"vphoton vm {words} ended with {result.returncode}, not {code}:\n"
                             f"{out}{err}")
    return out, err


def test_a_command_flashes_a_board_with_files_of_the_current_folder():
    vm_test.vphoton("new", "photon", "--release", "1.5.0")
    vm_test.vphoton("module", "build", "--release", "1.5.0", "--part", "user", "-o", "user.bin")
    script = """set -e
        dfu-util -a 0 -s 0x080A0000 -D user.bin
        dfu-util -a 0 -s 0x080A0000:$(stat -c %s user.bin) -U back.bin"""
    out, _ = run("-d", "photon", "--dfu", "--report", "report.json", "--", "sh", "-c", script)
    holds(out, "File downloaded successfully")
    user = pathlib.Path("user.bin").read_bytes()
    equal(pathlib.Path("back.bin").read_bytes() == user, True, "what was read back")
    flash = pathlib.Path("photon/flash.bin").read_bytes()
    equal(flash[0xA0000:0xA0000 + len(user)] == user, True, "the flash")
    equal(os.path.exists("report.json"), True)


def test_a_running_board_is_a_serial_port():
    script = """stty -F /dev/ttyACM0 raw -echo
        exec 3<>/dev/ttyACM0
        printf v >&3
        head -n 1 <&3"""
    out, _ = run("--release", "0.5.2", "--", "sh", "-c", script)
    equal(out.strip(), "system firmware version: 0.5.2")


def test_input_outputs_and_exit_code_are_the_commands():
    data = bytes(range(256)) * 8192
    result = subprocess.run([vm_test.VPHOTON, "vm", "--", "sh", "-c", "cat; echo err >&2; exit 7"],
                            input=data, capture_output=True, check=False, timeout=SECONDS)
    equal((result.returncode, result.stdout == data, result.stderr), (7, True, b"err\n"))
    equal(run("--", "no-such-program", code=127)[0], "")


def test_the_command_has_the_callers_folder_and_environment():
    environment = dict(os.environ, GREETING="hello there")
    out, _ = run("--", "sh", "-c", 'pwd; echo "$GREETING"', env=environment)
    equal(out, f"{os.getcwd()}\nhello there\n")


def test_any_folder_may_be_the_current_one_and_the_root_is_not_written_to():
    os.mkdir("with, commas = and spaces")
    run("--", "touch", "made", cwd="with, commas = and spaces")
    equal(os.listdir("with, commas = and spaces"), ["made"])
    out, _ = run("--", "sh", "-c", "echo there >vphoton-test && cat vphoton-test", cwd="/")
    equal((out, os.path.exists("/vphoton-test")), ("there\n", False))


def test_a_signal_reaches_the_command():
    script = "trap 'echo asked to end; exit 5' TERM; echo started; while :; do sleep 0.1; done"
    with subprocess.Popen([vm_test.VPHOTON, "vm", "--", "sh", "-c", script],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        equal(process.stdout.readline(), "started\n")
        process.send_signal(signal.SIGTERM)
        equal((process.stdout.read(), process.wait(SECONDS)), ("asked to end\n", 5))


def children(process):
    return [int(word) for path in pathlib.Path(f"/proc/{process}/task").glob("*/children")
            for word in path.read_text(encoding="ascii").split()]


def test_nothing_is_left_when_it_is_killed():
    vm_test.vphoton("new", "photon")
    with subprocess.Popen([vm_test.VPHOTON, "vm", "-d", "photon", "--", "sh", "-c",
                           "echo started; sleep 1000"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        equal(process.stdout.readline(), b"started\n")
        helpers = children(process.pid)
        machines = [machine for helper in helpers for machine in children(helper)]
        equal((len(helpers), len(machines)), (1, 1), "processes")
        process.kill()
    for left in (*helpers, *machines):
        wait_until(lambda left=left: not os.path.exists(f"/proc/{left}"), f"the end of {left}")
    vm_test.vphoton("inspect", "photon")


def test_what_is_missing_is_named_with_what_to_install():
    _, err = run("--", "true", code=3, env=dict(os.environ, PATH="/usr/bin/none:/tmp/none"))
    equal(err, "vphoton: python3 is missing: apt-get install python3\n")
    os.mkdir("bin")
    os.symlink("/usr/bin/python3", "bin/python3")
    _, err = run("--", "true", code=3, env=dict(os.environ, PATH=os.path.abspath("bin")))
    equal(err, "vphoton: vm: qemu-system-x86_64 is missing: apt-get install qemu-system-x86\n")


def test_wrong_words_are_refused_before_anything_starts():
    _, err = run("--time", "warp", "--", "true", code=2)
    holds(err, "time warp cannot shorten the sleeps of a virtual machine")
    _, err = run(code=2)
    holds(err, "no command given")
    _, err = run("-d", "nowhere", "--", "true", code=3)
    holds(err, "nowhere: no such device directory")


def as_ordinary_user(*words):
    if os.getuid() != 0:
        return words
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all", "--no-new-privs", *words)


def test_an_ordinary_user_needs_no_rights():
    """With the guest that is there; with VPHOTON_LONG also makes one of their own."""
    vm_test.guest().machine().close()
    cache = pathlib.Path(os.environ["VPHOTON_CACHE"])
    # All of it where such a user reaches it: the program's place in a build folder, and the guest.
    os.makedirs("emulator")
    shutil.copy(vm_test.VPHOTON, "emulator/vphoton")
    shutil.copytree(vm_test.GUEST, "guest", ignore=shutil.ignore_patterns("CMakeFiles"))
    shutil.copytree(cache, "cache")
    os.mkdir("empty")
    os.chmod("empty", 0o777)
    program = as_ordinary_user(os.path.abspath("emulator/vphoton"))
    for folder in ["cache", *(["empty"] if os.environ.get("VPHOTON_LONG") else [])]:
        environment = dict(os.environ, VPHOTON_CACHE=os.path.abspath(folder))
        out, _ = run("--dfu", "--", "sh", "-c", "dfu-util -l; id -u", program=program,
                     env=environment)
        holds(out, "Found DFU: [2b04:d006]")
        equal(out.splitlines()[-1], "0", "the command's user in the guest")
    environment = dict(os.environ, HOME="/nonexistent")
    for name in ("VPHOTON_CACHE", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    _, err = run("--", "true", code=3, program=program, env=environment)
    holds(err, "VPHOTON_CACHE names another")


vm_test.main(globals())
