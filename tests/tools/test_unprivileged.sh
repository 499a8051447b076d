#!/bin/bash
# All of it as an ordinary user: no root, no capability, no home folder, from an installation.
. "$(dirname "$0")/lib.sh"

installed
mkdir user
[ "$(id -u)" != 0 ] || chown 65534:65534 user
cd user

run_ok as_user vphoton new board --release 1.5.0
run_ok as_user vphoton module build --release 1.5.0 --part user -o app.bin
run_ok as_user vphoton run -d board --dfu -- dfu-util -l
expect_lines 2 'Found DFU: [2b04:d006]'
run_ok as_user vphoton run -t warp -d board --dfu -- dfu-util -a 0 -s 0x080A0000:leave -D app.bin
expect_line 'File downloaded successfully'
flash_holds board 0x080A0000 app.bin
run_ok as_user vphoton run -d board -- lsusb -d 2b04:c006
run_ok as_user vphoton run -d board -- vphoton ctl status
expect_text 'USB attached'
# The command of the run has no more rights than the user.
run_ok as_user vphoton run -d board -- sh -c 'id -u; grep CapEff /proc/self/status'
if [ "$(id -u)" = 0 ]; then
    expect_line 65534
    expect_text 0000000000000000
fi
