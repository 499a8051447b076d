#!/bin/bash
# A host that sends what it should not, and does not hear what it asked for: the board lives, answers
# afterwards, and `vphoton run` does not grow.
. "$(dirname "$0")/lib.sh"
tools=$SOURCE_DIR/tests/tools
id=1f00a2000b47abcdef323032
# What a sanitizer keeps of freed memory is no growth.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1

vphoton new board --release 2.2.0 --id $id
# Warped, as the console's and YMODEM's pauses would be hours.
run_ok timeout 110 vphoton run -t warp -d board -- "$tools/hostile_serial.py"
expect_lines 4 ': answers,'
cat out
for release in 0.5.2 0.6.3 2.2.0; do
    vphoton new board-$release --release $release --id $id
    run_ok timeout 110 vphoton run -d board-$release -- "$tools/hostile_usb.py" $release $id
    expect_text 'anything: answers,'
    cat out
    run_ok vphoton run -d board-$release -- "$tools/serial_ask.py" /dev/ttyACM0 v
    expect_line "b'system firmware version: $release\\n\\r\\n'"
done
