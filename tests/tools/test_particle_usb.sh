#!/bin/bash
# Particle's own library, of three ages, finds a running Photon, makes it listen, resets and updates
# it, sends it to DFU mode and back; what has a DFU client writes and reads the flash with it.
. "$(dirname "$0")/lib.sh"
id=1f00a2000b47abcdef323032

# use LIBRARY BOARD RELEASE MODULE-VERSION: all of it, with an application for that release.
use() {
    npm_packages "particle-usb-$1"
    vphoton new "$2" --release "$3" --id $id
    vphoton module build -o "$2.bin" --part user --version 7 --dependency "system,2,$4" --size 20000 --seed 5
    run_ok vphoton run -d "$2" -- "$SOURCE_DIR/tests/tools/serial_wifi.py" /dev/ttyACM0 a-network password
    run_ok vphoton run -d "$2" --events=trace -- node "$SOURCE_DIR/tests/tools/particle_usb.js" $id "$2.bin"
    expect_line "found photon $id with $3"
    expect_line 'in DFU mode: true'
    expect_line 'found photon again'
    [ "$(grep -c 'reset: reset requested over USB' trace)" = 1 ] || fail 'no reset in the trace'
}

# modes WORDS: what the library made of its answers before, while and after listening.
modes() {
    local found
    found=$(sed -n 's/^mode //p' out | tr '\n' ' ')
    [ "$found" = "$* " ] || fail "expected the modes: $*"
}

# The oldest ones do not know what an empty answer stands for. 0.4.4 names a message that its
# protocol lacks, and so sends updates without data.
use 0.4.4 oldest 1.5.0 1502
modes UNKNOWN LISTENING UNKNOWN
expect_line 'not updated: Out of range'

use 1.0.0 old 2.2.0 2202
modes UNKNOWN LISTENING UNKNOWN
expect_line updated
flash_holds old 0x080A0000 old.bin

use 4.1.0 new 2.2.0 2202
modes NORMAL LISTENING NORMAL
expect_line "asked for its id it says $id"
expect_line 'modules BOOTLOADER0:1006 SYSTEM_PART1:2202 SYSTEM_PART2:2202 USER_PART1:6'
expect_line updated
expect_line 'modules BOOTLOADER0:1006 SYSTEM_PART1:2202 SYSTEM_PART2:2202 USER_PART1:7'
flash_holds new 0x080A0000 new.bin
expect_line 'read back what was written: true'
flash_holds new 0x080C0000 new.bin
