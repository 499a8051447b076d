#!/bin/bash
# A YMODEM sender of our own, well-behaved and not, to four generations of boards: what the board says,
# and what is in its flash afterwards.
. "$(dirname "$0")/lib.sh"

vphoton module build -o app.bin --part user --version 9 --dependency system,2,1 --seed 99 --size 9000
cp app.bin bad.bin
printf '\x5a' | dd of=bad.bin bs=1 seek=5000 conv=notrunc status=none
erased=$(head -c 1024 /dev/zero | tr '\0' '\377' | od -An -v -tx1 | tr -d ' \n')

# scenario RELEASE NAME FILE: on a fresh board. Its pauses pass at once.
scenario() {
    board=board-$1-$2
    vphoton new "$board" --release "$1" >/dev/null
    cp "$board/flash.bin" before
    run_ok timeout 100 vphoton run -t warp -d "$board" -- \
        "$SOURCE_DIR/tests/tools/ymodem.py" /dev/ttyACM0 "$1" "$2" "$3"
}

# The application is the one of before.
not_installed() {
    cmp -i 0xA0000 -n 0x20000 before "$board/flash.bin" || fail "another application in $board"
}

slot_begins() {
    [ "$(flash_bytes "$board" 0x080C0000 1024)" = "$1" ] || fail "the slot of $board does not begin with $1"
}

for release in 0.4.4 0.5.2 1.5.0 2.2.0; do
    for way in send missequence; do
        scenario $release $way app.bin
        flash_holds "$board" 0x080A0000 app.bin
    done
    scenario $release send_damaged bad.bin
    not_installed
    flash_holds "$board" 0x080C0000 bad.bin
    for way in cancel abort; do
        scenario $release $way app.bin
        not_installed
        slot_begins "$(xxd_plain app.bin 0 1024)"
    done
    for way in oversize silence; do
        scenario $release $way app.bin
        not_installed
        slot_begins "$erased"
    done
done

# The last kilobyte of the flash is the last that a board can be made to write.
scenario 0.5.2 overrun app.bin
not_installed
[ "$(xxd_plain "$board/flash.bin" $((0x100000 - 1024)) 8)" = "$(printf 'too much' | od -An -tx1 | tr -d ' ')" ] ||
    fail "the end of the flash of $board is not what was sent"
