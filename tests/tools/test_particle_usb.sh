#!/bin/bash
# Particle's own library finds a running Photon, updates it, sends it to DFU mode and flashes it there.
. "$(dirname "$0")/lib.sh"

npm_packages particle-usb-4.1.0
id=1f00a2000b47abcdef323032

vphoton new board --release 2.2.0 --id $id
vphoton module build -o app.bin --part user --version 7 --dependency system,2,2202 --size 20000 --seed 5
run_ok vphoton run -d board -- node "$SOURCE_DIR/tests/tools/particle_usb.js" $id app.bin
expect_line "found photon $id with 2.2.0"
expect_line 'mode LISTENING'
expect_line 'modules BOOTLOADER0:1006 SYSTEM_PART1:2202 SYSTEM_PART2:2202 USER_PART1:6'
expect_line 'modules BOOTLOADER0:1006 SYSTEM_PART1:2202 SYSTEM_PART2:2202 USER_PART1:7'
expect_line 'in DFU mode: true'
expect_line 'read back what was written: true'
flash_holds board 0x080A0000 app.bin
