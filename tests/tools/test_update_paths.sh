#!/bin/bash
# Real system firmware from release to release by dfu-util: 1.5.0 to 2.2.0 as `particle update` does it,
# the bootloader through the OTA slot and a flag, then both parts. And 0.5.2 to 2.2.0 with the parts
# alone, which ends in safe mode with a bootloader that part2 does not take.
. "$(dirname "$0")/lib.sh"

bootloader=$(firmware bootloader-2.2.0.bin)
part1=$(firmware system-part1-2.2.0.bin)
part2=$(firmware system-part2-2.2.0.bin)
tinker=$(firmware photon_tinker-0.5.2.bin)
printf '\245' >flag

# download BOARD ALTERNATE:ADDRESS:FILE...: in DFU mode; leaves with the last and asks what starts then
# for `v` and `s`.
download() {
    local board=$1 alternate address file
    shift
    {
        echo 'set -e'
        while [ $# -gt 0 ]; do
            IFS=: read -r alternate address file <<<"$1"
            [ $# -gt 1 ] || address=$address:leave
            echo "dfu-util -d 2b04:d006 -a $alternate -s $address -D $file"
            shift
        done
        echo "$SOURCE_DIR/tests/tools/wait_for.sh /dev/ttyACM0"
        echo "$SOURCE_DIR/tests/tools/serial_ask.py /dev/ttyACM0 v s >answers"
    } >session
    run_ok vphoton run -d "$board" --dfu -t warp --events=events -- sh session
}

# expect_module LETTER INDEX VERSION VERDICT: in the answer to `s`.
expect_module() {
    /usr/bin/python3 - "$@" <<'END' || fail "module $1 $2: expected version $3, verdict $4"
import ast, json, sys
listing = json.loads(ast.literal_eval(open("answers").read().split("\n")[1]))
found = [(m["v"], m["vv"]) for m in listing["m"]
         if (m["l"], m["f"], m["n"]) == ("m", sys.argv[1], sys.argv[2])]
if found != [(int(sys.argv[3]), int(sys.argv[4]))]:
    sys.exit(f"found {found}")
END
}

expect_version() {
    grep -qF "system firmware version: $1\\n" answers || fail "no $1: $(head -n 1 answers)"
}

expect_event() {
    grep -qF "$1" events || fail "no event \"$1\""
}

vphoton new board --release 1.5.0 -m "$(firmware bootloader-1.5.0.bin)" \
    -m "$(firmware system-part1-1.5.0.bin)" -m "$(firmware system-part2-1.5.0.bin)" -m "$tinker"
download board "0:0x080C0000:$bootloader" 1:1753:flag
expect_version 1.5.0
expect_event 'reset: update from the OTA slot'
expect_module b 0 1006 30
download board "0:0x08020000:$part1" "0:0x08060000:$part2"
expect_version 2.2.0
expect_module b 0 1006 30
expect_module s 1 2202 30
expect_module s 2 2202 30
expect_module u 1 2 30
expect_event 'boot: application runs'

vphoton new old --release 0.5.2 -m "$(firmware system-part1-0.5.2-photon.bin)" \
    -m "$(firmware system-part2-0.5.2-photon.bin)" -m "$tinker"
download old "0:0x08020000:$part1" "0:0x08060000:$part2"
expect_version 2.2.0
expect_module b 0 7 30
expect_module s 1 2202 30
expect_module s 2 2202 26
expect_event 'boot: safe mode: system modules do not belong together'

# The system that came in that way knows the flag, and gets its bootloader by it.
download old "0:0x080C0000:$bootloader" 1:1753:flag
expect_module b 0 1006 30
expect_module s 2 2202 30
expect_event 'boot: application runs'
