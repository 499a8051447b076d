#!/bin/bash
# Files that should not have been flashed: dfu-util takes them all, and what the board does at its
# next start is what the firmware's own checks make of them.
. "$(dirname "$0")/lib.sh"

part1=0x08020000
part2=0x08060000
user=0x080A0000

# flip FILE OFFSET: one bit of one byte.
flip() {
    local byte
    byte=$(xxd_plain "$1" "$2" 1)
    printf '%b' "\\x$(printf '%02x' $((0x$byte ^ 1)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# flash RELEASE FILE ADDRESS: a new board with just this done to it.
flash() {
    rm -rf board
    vphoton new board --release "$1"
    dfu_ok board -a 0 -d 2b04:d006 -s "$3" -D "$2"
}

# starts WHAT: what the board does at its next start, with nobody at the button.
starts() {
    local wanted
    run_ok vphoton run -d board --report report.json -- true
    case $1 in
    dfu) wanted='DFU mode|true|yellow, toggles every 100 ms|0' ;;
    dead) wanted='jump to system-part1|false|off|1' ;;
    *) wanted="$1|true|blue, toggles every 250 ms|0" ;;
    esac
    found=$(json report.json '"|".join([
        next(b["text"] for b in reversed(d["boards"][0]["boots"]["list"])
             if b["text"] != "system runs: listening"),
        str(d["boards"][0]["attached"]).lower(), d["boards"][0]["led"],
        str(d["boards"][0]["hangs"]["count"])])')
    [ "$found" = "$wanted" ] || fail "the board did: $found
expected:     $wanted"
}

for release in 0.4.3 2.2.0; do
    for part in part1 part2 user; do
        vphoton module build -o $part.bin --release $release --part $part
        size=$(size $part.bin)
        cp $part.bin $part-flipped.bin
        flip $part-flipped.bin $((size / 2))
        vphoton module build -o $part-p1.bin --part $part --platform 8 --version 3 --size "$size"
        head -c 16 $part.bin >$part-16.bin
    done

    # The control: whole files.
    flash $release part1.bin $part1
    starts 'application runs'
    flash $release part2.bin $part2
    starts 'application runs'
    flash $release user.bin $user
    starts 'application runs'

    # Another platform's: only part1 is checked by the bootloader, only the application by the
    # system.
    flash $release part1-p1.bin $part1
    starts dfu
    flash $release part2-p1.bin $part2
    starts dead
    flash $release user-p1.bin $user
    starts 'safe mode: no application'

    # Right files at the wrong place.
    flash $release part2.bin $part1
    starts dfu
    flash $release user.bin $part1
    starts dfu
    flash $release part1.bin $part2
    starts dead
    flash $release part1.bin $user
    starts 'safe mode: no application'

    # Truncated: with the prefix there, the bootloader jumps into what is not there.
    head -c 4096 part1.bin >short.bin
    flash $release short.bin $part1
    starts dead
    head -c 256 part1.bin >short.bin
    flash $release short.bin $part1
    starts dfu
    head -c 4096 part2.bin >short.bin
    flash $release short.bin $part2
    starts dead
    head -c 512 user.bin >short.bin
    flash $release short.bin $user
    starts "safe mode: application's CRC is wrong"
    # The button still reaches DFU mode, and whole files mend it.
    head -c 4096 part1.bin >short.bin
    flash $release short.bin $part1
    dfu_ok board -a 0 -s $part1 -D part1.bin
    starts 'application runs'

    # A flipped bit: nobody checks part1.
    flash $release part1-flipped.bin $part1
    starts 'application runs'
    flash $release user-flipped.bin $user
    starts "safe mode: application's CRC is wrong"
    flash $release part2-flipped.bin $part2
    case $release in
    0.4.3) starts 'application runs' ;;
    *) starts 'safe mode: system modules do not belong together' ;;
    esac

    # 16 bytes take the sector with them. Of an application they are all that is looked at before
    # the CRC; of a system part they are vectors.
    flash $release part1-16.bin $part1
    starts dfu
    flash $release part2-16.bin $part2
    starts dead
    flash $release user-16.bin $user
    starts "safe mode: application's CRC is wrong"

    # Odd sizes: what is missing to a word is programmed as FF.
    { cat user.bin && printf x; } >odd.bin
    flash $release odd.bin $user
    [ "$(flash_bytes board $((user + $(size user.bin))) 4)" = 78ffffff ] ||
        fail "release $release: the odd byte did not get there"
    starts 'application runs'

    # More than fits before the application: dfu-util does not mind, the application does.
    { cat part2.bin && head -c $((262144 + 4096 - $(size part2.bin))) /dev/zero; } >long.bin
    flash $release long.bin $part2
    starts 'safe mode: no application'

    # An empty file changes nothing.
    rm -rf board
    vphoton new board --release $release
    cp board/flash.bin before.bin
    : >empty.bin
    dfu board -a 0 -d 2b04:d006 -s $user -D empty.bin
    expect_text 'File too short for DFU suffix'
    starts 'application runs'
    cmp <(tail -c +$((0x20001)) before.bin) <(tail -c +$((0x20001)) board/flash.bin) ||
        fail "release $release: an empty file changed the flash"
done
