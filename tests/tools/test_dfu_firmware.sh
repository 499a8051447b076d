#!/bin/bash
# Real system firmware goes in through dfu-util, lies in the flash byte for byte, and comes back.
. "$(dirname "$0")/lib.sh"

# round_trip RELEASE VERSION: the parts of a version into a board that left the factory with a
# release.
round_trip() {
    local board=board-$1-$2 part1 part2
    part1=$(firmware "*system-part1?$2*.bin")
    part2=$(firmware "*system-part2?$2*.bin")
    vphoton new "$board" --release "$1"
    dfu_ok "$board" -d 2b04:d006 -a 0 -s 0x08020000 -D "$part1"
    expect_line 'File downloaded successfully'
    dfu_ok "$board" -d 2b04:d006 -a 0 -s 0x08060000 -D "$part2"
    expect_line 'File downloaded successfully'
    flash_holds "$board" 0x08020000 "$part1"
    flash_holds "$board" 0x08060000 "$part2"

    rm -f back1 back2
    dfu_ok "$board" -a 0 -s "0x08020000:$(size "$part1")" -U back1
    dfu_ok "$board" -a 0 -s "0x08060000:$(size "$part2")" -U back2
    expect_same back1 "$part1"
    expect_same back2 "$part2"
}

round_trip 0.4.3 0.5.2
round_trip 0.5.2 0.5.2
round_trip 0.7.0 1.5.0
round_trip 1.5.0 1.5.0
round_trip 1.5.0 2.2.0
round_trip 2.2.0 2.2.0
# Down again, as people do.
round_trip 2.2.0 0.5.2
