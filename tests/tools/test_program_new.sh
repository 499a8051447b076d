#!/bin/bash
# `vphoton new` and `vphoton inspect`: what they make and show, and what they say to bad input.
. "$SOURCE_DIR/tests/tools/lib.sh"

expect_error() {
    local code=$1 text=$2
    shift 2
    run vphoton "$@"
    expect_status "$code"
    expect_lines 1 'vphoton: '
    [ "$(wc -l <"$WORK/out")" = 1 ] || fail "expected one line"
    expect_text "$text"
}

# Without arguments, with wrong ones.
expect_error 2 'no command given'
expect_error 2 'unknown command "neww"' neww
expect_error 2 'unknown option "--neww"' --neww
expect_error 2 "unknown option '--no'" new --no
expect_error 2 "unknown option '-x'" new -x
expect_error 2 "option '--release' needs a value" new --release
expect_error 2 '0 names found' new
expect_error 2 '2 names found' new a b
expect_error 2 'unknown release "0.4.99"; known: 0.4.0' new --release 0.4.99 a
expect_error 2 'id "xyz" found, 24 hexadecimal digits expected' new --id xyz a
expect_error 2 'Wi-Fi address "1:2" found' new --mac 1:2 a
expect_error 2 'seed "-1" found' new --seed=-1 a
[ ! -e a ] || fail 'a refused board left something'

# Help and version are answers, not errors.
run_ok vphoton --version
grep -qE '^vphoton [0-9]+\.[0-9]+\.[0-9]+$' out || fail 'no version'
for command in '' new run ctl inspect module; do
    # shellcheck disable=SC2086 # no word for the program itself
    run_ok vphoton $command --help
    expect_text 'usage: vphoton'
done
run_ok vphoton new --release list
for release in 0.4.0 0.4.2 0.4.3 0.4.4 0.4.5 0.4.9 0.5.2 0.6.0 0.6.3 0.7.0 1.5.0 2.2.0; do
    grep -q "^$release " out || fail "no release $release"
done

# A board as asked for.
run_ok vphoton new a --id 2E001F000347343233323032 --mac 6C:0B:84:01:02:03 --release 0.4.4 --vbat
expect_line 'a: a Photon with 0.4.4, id 2e001f000347343233323032'
run_ok vphoton inspect a
expect_text 'made from 0.4.4, id 2e001f000347343233323032, Wi-Fi 6c:0b:84:01:02:03'
expect_text 'with backup battery'
expect_text 'USB 2b04:c006'
[ "$(size a/flash.bin)" = 1048576 ] || fail 'flash.bin is not 1 MiB'
[ "$(size a/backup.bin)" = 132 ] || fail 'backup.bin is not 132 bytes'
run_ok vphoton inspect a/flash.bin
expect_text 'a/flash.bin: the flash of a Photon'

# JSON says the same to scripts.
run_ok vphoton inspect --json a
python3 - out <<'END' || fail 'the JSON of inspect'
import json, sys
board = json.load(open(sys.argv[1]))
assert board["format"] == 1 and board["release"] == "0.4.4"
assert board["identity"]["id"] == "2e001f000347343233323032"
modules = {r["name"]: r["module"] for r in board["regions"]}
assert modules["system-part2"]["version"] == 5 and modules["system-part2"]["validity"] == 30
assert modules["bootloader"]["version"] == 3 and modules["factory"] is None
assert board["at_power_on"]["product"] == 0xC006
END

# Output that cannot be written is an error.
status=0
vphoton inspect --json a >/dev/full 2>out || status=$?
said='inspect >/dev/full'
expect_status 3
expect_line 'vphoton: cannot write the output: No space left on device'

# A board is never overwritten, nor is anybody's directory.
cp -a a before
expect_error 3 'a: already holds a board; nothing was changed' new a
diff -r a before || fail 'a board was changed'
mkdir other && touch other/thesis
expect_error 3 'other: holds "thesis"' new other
expect_error 3 'a/flash.bin: not a directory' new a/flash.bin
expect_error 3 'none/b: cannot make the directory: No such file' new none/b
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod 500 locked
    expect_error 3 'Permission denied' new locked/b
fi

# Without the right to read or write: said, not done.
chmod 755 a
chmod 600 a/flash.bin
run as_user "$VPHOTON" inspect a
if [ "$(id -u)" = 0 ]; then
    expect_status 3
    expect_line 'vphoton: a/flash.bin: cannot open: Permission denied'
fi
chmod 644 a/flash.bin
chmod 555 a
run_ok as_user "$VPHOTON" inspect a
chmod 755 a

# Two boards of the same release differ in their ids and their keys, in nothing else.
run_ok vphoton new b
run_ok vphoton new c
! cmp -s b/device.json c/device.json || fail 'two boards are one'
key=$((0x4000 + 7548 + 34)) key_size=612
! cmp -s -i $key -n $key_size b/flash.bin c/flash.bin || fail 'two boards have one key'
cmp -n $key b/flash.bin c/flash.bin || fail 'two boards differ below the key'
cmp -i $((key + key_size)) b/flash.bin c/flash.bin || fail 'two boards differ above the key'

# Modules go where their prefixes say, if they are whole.
run_ok vphoton module build -o part1 --release 0.5.2 --part part1
run_ok vphoton module build -o user --release 0.5.2 --part user
run_ok vphoton module build -o p1 --part user --platform 8
run_ok vphoton new d --module part1 --factory user
flash_holds d 0x08020000 part1
flash_holds d 0x080E0000 user
head -c 100000 part1 >short
{ cat part1 && printf xxxx; } >long
{ head -c 5000 part1 && printf x && tail -c +5002 part1; } >flipped
printf '' >empty
expect_error 3 'short: offset 388: start 0x08020000 and end 0x0805D448 found, which do not fit' \
    new e --module short
expect_error 3 'long: 250960 bytes found, 250956 expected' new e --module long
expect_error 3 'flipped: offset 250952: CRC' new e --module flipped
expect_error 3 'empty: 0 bytes found' new e --module empty
expect_error 3 'p1: offset 12: platform 8 found, 6 (Photon) expected' new e --module p1
expect_error 3 'part1: a system-part1 found, a user part expected' new e --factory part1
expect_error 3 'nothing: cannot open: No such file' new e --module nothing
expect_error 3 'other: directory found, a file with a firmware module expected' new e --module other
expect_error 3 'a/flash.bin: 1048576 bytes found, 13672 expected by its prefix' new e --module a/flash.bin
[ ! -e e ] || fail 'a refused board left something'

# A damaged directory is named, by every command that reads one, and kept as it is.
damage() {
    rm -rf e && cp -a a e
    "$@"
    cp -a e before.e
}
damaged() {
    expect_error 3 "$1" inspect e
    expect_error 3 "$1" run -d e -- true
    rm -f e/lock before.e/lock
    diff -r e before.e || fail 'a damaged board was changed'
    rm -rf before.e
}
damage truncate -s 1048575 e/flash.bin
damaged 'e/flash.bin: 1048575 bytes found, 1048576 expected'
damage truncate -s 0 e/backup.bin
damaged 'e/backup.bin: 0 bytes found, 132 expected'
damage rm e/backup.bin
damaged 'e/backup.bin: cannot open: No such file'
damage rm e/device.json
damaged 'e/device.json: missing'
damage sed -i 's/"format": 1/"format": 9/' e/device.json
damaged 'e/device.json: field "format": 9 found, 1 expected'
damage cp user e/device.json
damaged 'e/device.json: offset'
damage cp user e/journal.bin
damaged 'e/journal.bin: offset 0: not a journal'
expect_error 3 'no such device directory' run -d nowhere -- true
expect_error 3 'nowhere: cannot open' inspect nowhere
run_ok vphoton module build -o user2 --release 0.4.3 --part user
expect_error 3 'bytes found, a flash image of 1048576 expected' inspect user2
