#!/bin/bash
# lrzsz sends an application by YMODEM, and the board installs it. sb wants to hear a C before each
# header, which the board says only after five seconds of silence; up to 0.4.7 it says none at all, and
# sb gives up after thirty.
. "$(dirname "$0")/lib.sh"
[ -n "$(command -v sb)" ] || skip 'no sb (lrzsz)'

cat >send <<'SH'
set -e
exec 3<>/dev/ttyACM0
stty -F /dev/ttyACM0 raw -echo
printf f >&3
head -n 1 <&3
sb "$1" app.bin <&3 >&3
cat <&3
SH
for release in 0.4.9 0.5.2 2.2.0; do
    board=board-$release
    vphoton new $board --release $release
    vphoton module build -o app.bin --part user --version 9 --dependency system,2,1 --seed 99 --size 9000
    # Packets of 1024 bytes to one board, of 128 to the other.
    [ $release = 0.5.2 ] && packets=--1k || packets=--binary
    run_ok vphoton run -d $board -- sh send "$packets"
    expect_text 'Transfer complete'
    expect_text "Waiting for the binary file to be sent ... (press 'a' to abort)"
    expect_text 'Restarting system to apply firmware update...'
    flash_holds $board 0x080A0000 app.bin
done

vphoton new board-0.4.4 --release 0.4.4
run vphoton run -d board-0.4.4 -- sh send --1k
expect_status 128
expect_text 'Timeout on pathname'
