#!/bin/bash
# --events and --report: why the famous error appears, and what a run came to.
. "$SOURCE_DIR/tests/tools/lib.sh"
run_ok vphoton module build -o user --release 0.5.2 --part user

# 0.4.3: the answer to GETSTATUS is taken, its status stage finds nobody any more.
run_ok vphoton new old
run vphoton run -d old --dfu --events=events --report report -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x080A0000:leave -D user
expect_status 74
expect_text 'dfu-util: Error during download get_status'
cp events out
expect_text 'DNLOAD block 0, 5 bytes (erase 0x080A0000): SETUP ACK, OUT DATA 41 00 00 0A 08 ACK, IN status stage ACK'
expect_text 'flash: erase sector 9, 0x080A0000, 128 KiB'
expect_text 'GETSTATUS: SETUP ACK, IN DATA 00 32 00 00 04 00 ACK, OUT status stage NAK, after 1000.0 ms ACK'
expect_text 'flash: program 0x080A0000, 4096 bytes'
expect_text 'flash: program 0x080A1000, 1228 bytes'
expect_text 'USB: off the bus (soft-disconnect, pull-up off)'
expect_text 'GETSTATUS: SETUP ACK, IN DATA 00 01 00 00 07 00 ACK, OUT status stage: no answer (soft-disconnect)'
expect_text 'reset: update finished'
expect_text 'reset: watchdog flag cleared'
python3 - <<'END' || fail 'the report'
import json
report = json.load(open("report"))
board, = report["boards"]
assert report["format"] == 1 and report["time"] == "fast" and report["exit_code"] == 74
assert report["early_polls"] == 0
assert board["name"] == "old" and board["saved"]
assert board["before"]["release"] == board["after"]["release"] == "0.4.3"
assert board["before"]["bootloader"] == "3b"
user = lambda when: board[when]["modules"]["user"]["version"]
assert user("before") == 2 and user("after") == 4
# Power-on, the end of the update, and the flag of the watchdog.
assert [r["text"] for r in board["resets"]["list"]] == \
    ["power on", "update finished", "watchdog flag cleared"]
assert board["usb"]["attaches"] == 2 and board["usb"]["unanswered"] == 1
assert board["dfu"]["errors"] == 0 and board["hangs"]["count"] == 0
assert board["powered"] and board["attached"]
END
# Times never go back.
awk '{ if ($1 + 0 < last) exit 1; last = $1 + 0 }' events || fail 'a time went back'

# 0.4.5: the same, and clean.
run_ok vphoton run --release 0.4.5 --dfu --events=events -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x080A0000:leave -D user
cp events out
expect_text 'GETSTATUS: SETUP ACK, IN DATA 00 00 00 00 05 00 ACK, OUT status stage ACK'
expect_no_text 'no answer'

# 0.4.9: a protected erase is a status stage that is STALLed.
run vphoton run --release 0.4.9 --dfu --events=events -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x0800C000 -D user
[ "$status" != 0 ] || fail 'a protected address was written'
cp events out
expect_text 'ACK, OUT status stage STALL'

# Without a file: on standard error, beside the command's own; with several boards each has a name.
vphoton run --events -- echo mine >out 2>err
expect_line mine
[ "$(wc -l <out)" = 1 ] || fail 'events on standard output'
cp err out
expect_text 'ms  power on'
run_ok vphoton new other
run_ok vphoton run -e -d old -d other -- true
expect_text 'ms  old: power on'
expect_text 'ms  other: power on'

# The three time modes: real waits for the erase, warp never asks too early.
seconds() {
    awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { print int(b - a) }'
}
start=$EPOCHREALTIME
run_ok vphoton run --time real --dfu --report report -- dfu-util -a 0 -s 0x080A0000 -D user
[ "$(seconds "$start")" -ge 1 ] || fail 'an erase took less than a second'
run_ok vphoton run --time warp --dfu --report report -- dfu-util -a 0 -s 0x080A0000 -D user
cp report out
expect_text '"early_polls": 0'
expect_text '"time": "warp"'
# The same inputs make the same trace, also when the machine has no time for the client.
run_ok vphoton run --time warp --dfu --events=events.1 -- dfu-util -a 0 -s 0x080A0000 -D user
# shellcheck disable=SC2016 # it is the command's shell that counts
run_ok vphoton run --time warp --dfu --events=events.2 -- \
    bash -c 'until [ $SECONDS -ge 2 ]; do :; done; exec dfu-util -a 0 -s 0x080A0000 -D user'
expect_same events.1 events.2
