#!/bin/bash
# In warp a tool's waits pass at once, no poll comes before the time that the board asked for, and
# the clocks agree.
. "$SOURCE_DIR/tests/tools/lib.sh"
[ -x "${CLIENTS:?}/client_usbfs" ] || skip "no libusb-1.0-0-dev"
command -v dfu-util >/dev/null || skip "no dfu-util"
head -c 250956 /dev/urandom >part1.bin

early_polls() {
    python3 -c 'import json; print(json.load(open("report.json"))["early_polls"])'
}

# Board time at the end, ms.
board_time() {
    python3 -c 'import json; print(int(json.load(open("report.json"))["boards"][0]["time_ms"]))'
}

# More than a hundred polls of 50 ms.
begin=$(date +%s%N)
run_ok vphoton run --dfu --time warp --report report.json -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x08020000 -D part1.bin
end=$(date +%s%N)
expect_text 'File downloaded successfully'
[ "$(early_polls)" = 0 ] || fail "$(early_polls) early polls"
[ $(((end - begin) / 1000000)) -lt 3000 ] || fail "it took $(((end - begin) / 1000000)) ms"
[ "$(board_time)" -gt 6000 ] || fail "board time moved by $(board_time) ms only"

# A client that does not wait is counted.
run_ok vphoton run --dfu --time warp --report report.json -- "$CLIENTS/client_usbfs" impatient
[ "$(early_polls)" = 1 ] || fail "$(early_polls) early polls of 1"

# shellcheck disable=SC2016 # for the shell inside
run_ok vphoton run --time warp -- bash -c '
    a=$(date +%s); sleep 1000; b=$(date +%s)
    echo "slept $((b - a >= 1000 && b - a < 1005))"'
expect_line 'slept 1'
