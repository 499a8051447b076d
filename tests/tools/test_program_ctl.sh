#!/bin/bash
# `vphoton ctl`: fingers on a board of a run.
. "$SOURCE_DIR/tests/tools/lib.sh"

# Without a run, and with wrong orders.
run vphoton ctl status
expect_status 3
expect_line 'vphoton: ctl: no control socket: VPHOTON_CONTROL is not set, as it is under vphoton run'
run vphoton ctl --control @nobody-listens-here status
expect_status 3
expect_text 'cannot connect: Connection refused'
run vphoton ctl --control ./nothing status
expect_status 3
expect_text 'cannot connect: No such file or directory'
for order in '' 'jump' 'press' 'press reset' 'press mode 0s' 'press mode 3' 'press mode -1s' \
    'press mode 2h' 'power' 'power up' 'reset now' 'led on' 'plug in'; do
    # shellcheck disable=SC2086 # words of a command line
    run vphoton ctl --control @x $order
    expect_status 2
    expect_lines 1 'vphoton: ctl: '
done

# under [OPTION...] -- SCRIPT: a script beside a board.
under() {
    local script=${!#}
    run vphoton run "${@:1:$#-2}" -- bash -euc "$script"
}

# The reset button and SETUP held over it: DFU mode, and the LED says so.
under -- '
    vphoton ctl led
    vphoton ctl press mode
    vphoton ctl reset
    vphoton ctl led
    vphoton ctl press mode 4s
    vphoton ctl led
    dfu-util -l | grep -c "Found DFU"'
expect_status 0
[ "$(tr '\n' '|' <out)" = 'blue, toggles every 250 ms|off|yellow, toggles every 100 ms|2|' ] ||
    fail 'holding SETUP over a reset'

# Held for 3 s while the application runs: listening mode; released in between: nothing new.
under -- 'vphoton ctl status; vphoton ctl press mode 500ms; vphoton ctl release mode'
expect_status 0
expect_text '1  board  release 0.4.3, bootloader 3b'
expect_text 'power on, USB attached, button released'
expect_text 'system runs'

# No power: nobody on the bus, no LED; then it comes back.
under --dfu -- '
    vphoton ctl power off
    vphoton ctl status
    dfu-util -l | grep -c "Found DFU" || true
    vphoton ctl power on
    vphoton ctl led
    vphoton ctl unplug
    vphoton ctl led
    vphoton ctl plug
    vphoton ctl power cycle
    vphoton ctl led'
expect_status 0
expect_text 'power off, USB not attached, button released'
expect_lines 2 'blue, toggles every 250 ms'
expect_line off
expect_line 0

# JSON for scripts.
under -- 'vphoton ctl status --json >status.json'
expect_status 0
python3 - <<'END' || fail 'the JSON of status'
import json
status = json.load(open("status.json"))
board, = status["boards"]
assert status["time"] == "fast"
assert board["number"] == 1 and board["name"] == "board" and board["release"] == "0.4.3"
assert board["powered"] and board["attached"] and not board["button"] and board["hung"] is None
assert board["led"] == {"words": "blue, toggles every 250 ms", "colour": "#0000FF"}
END

# Several boards: one must be named, by number, by path, or by its last part.
run_ok vphoton new one
run_ok vphoton new two --release 2.2.0
under -d one -d "$PWD/two" -- '
    ! vphoton ctl reset 2>&1
    ! vphoton ctl -b 3 reset 2>&1
    vphoton ctl -b one power off
    vphoton ctl -b 2 power off
    vphoton ctl -b two power on
    vphoton ctl status | grep power'
expect_status 0
expect_line 'vphoton: ctl: several boards: which one?'
expect_line 'vphoton: ctl: 3: there is no such board'
expect_lines 1 'power off'
expect_lines 1 'power on'

# Real time: 500 ms of holding take as long.
under --time real -- 'time vphoton ctl press mode 500ms; vphoton ctl status'
expect_status 0
expect_text 'button released'
! grep -q 'real.*0m0\.[0-4]' out || fail 'the button was not held for 500 ms'

# A socket at a place of the caller's, gone afterwards; a stale one is taken over.
under --control ./socket -- 'test -S socket && cd / && vphoton ctl led'
expect_status 3
under --control "$PWD/socket" -- 'test -S socket && cd / && vphoton ctl led'
expect_status 0
[ ! -e socket ] || fail 'the socket was left'
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
under --control "$PWD/socket" -- 'vphoton ctl led'
expect_status 0
touch precious
under --control "$PWD/precious" -- true
expect_status 3
[ -f precious ] || fail 'a file was taken for a socket'

# Whatever comes over the socket, the run goes on.
under --control "$PWD/socket" -- '
    python3 - <<END
import socket
def ask(data, answers=1):
    s = socket.socket(socket.AF_UNIX)
    s.connect("socket")
    s.settimeout(10)
    got = b""
    try:
        s.sendall(data)
        while got.count(b"\n") < answers:
            more = s.recv(65536)
            if not more:
                break
            got += more
    except ConnectionError:
        pass
    return got
for bad in (b"\n", b"{\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b"{\"command\": 1}\n",
            b"{\"command\": \"fly\"}\n", b"{\"command\": \"press\", \"ms\": -1}\n",
            b"{\"command\": \"press\", \"ms\": \"x\"}\n", b"{\"command\": \"power\"}\n",
            b"{\"command\": \"reset\", \"board\": 1}\n",
            b"{\"command\": \"reset\", \"board\": \"nobody\"}\n"):
    answer = ask(bad)
    assert answer.startswith(b"{\"ok\":false,\"error\":"), (bad, answer)
assert ask(b"x" * 100000) == b"", "an endless line is not kept"
assert ask(b"{\"command\":\"status\"}\n" * 20, 20).count(b"\"ok\":true") == 20
idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for s in idle:
    s.connect("socket")
for s in idle:
    s.close()
END
    vphoton ctl led'
expect_status 0
expect_line 'blue, toggles every 250 ms'
