#!/bin/bash
# Several programs at once and several boards in one run: each finds what is its own.
. "$SOURCE_DIR/tests/tools/lib.sh"
command -v dfu-util >/dev/null || skip "no dfu-util"

for board in one two three; do
    run_ok vphoton new "$board" --release 0.7.0
done
head -c 40000 /dev/urandom >one.bin
head -c 40000 /dev/urandom >two.bin
head -c 40000 /dev/urandom >three.bin

cat >together.sh <<'END'
port=0
for board in one two three; do
    port=$((port + 1))
    dfu-util -p "1-$port" -d 2b04:d006 -a 0 -s 0x080A0000 -D "$board.bin" >"$board.out" 2>&1 &
done
for _ in 1 2 3 4 5; do
    dfu-util -l >/dev/null || exit 1
    lsusb >/dev/null || exit 1
done
wait
END
run_ok vphoton run --dfu -d one -d two -d three -- bash together.sh
for board in one two three; do
    grep -q 'File downloaded successfully' "$board.out" || fail "$(cat "$board.out")"
    flash_holds "$board" 0x080A0000 "$board.bin"
done

# Their serials tell them apart, and the paths do.
run_ok vphoton run --dfu -d one -d two -- dfu-util -l
expect_lines 2 'path="1-1"'
expect_lines 2 'path="1-2"'
for board in one two; do
    expect_lines 2 "serial=\"$(sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' "$board/device.json")\""
done

# Two that want the same interface: the second hears that it is busy.
# shellcheck disable=SC2016 # for the shell inside
run_ok vphoton run --dfu -- bash -c '
    rm -f said && mkfifo said
    "$CLIENTS/client_usbfs" hang >said &
    read -r line <said
    "$CLIENTS/client_usbfs" threads; echo "code $?"
    kill $!'
expect_text 'errno 16'
expect_line 'code 1'

# Functions that stand before the C library's get by with as little as it does.
run_ok "$CLIENTS/client_sandbox"
run_ok vphoton run -- "$CLIENTS/client_sandbox"
