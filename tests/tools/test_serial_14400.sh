#!/bin/bash
# A board keeps its lives within one run: console, 14400 baud, DFU mode, flash, leave, console again.
. "$(dirname "$0")/lib.sh"
ask=$SOURCE_DIR/tests/tools/serial_ask.py
wait_for=$SOURCE_DIR/tests/tools/wait_for.sh

for release in 0.4.3 0.5.2 0.6.3 2.2.0; do
    board=board-$release
    vphoton new "$board" --release $release
    vphoton module build -o app.bin --part user --version 9 --dependency system,2,1 --seed 99
    cat >session <<SH
set -e
$ask /dev/ttyACM0 i
$ask /dev/ttyACM0 baud=14400 || true
dfu-util -w -d 2b04:d006 -a 0 -s 0x080A0000:leave -D app.bin || echo "dfu-util ended with \$?"
$wait_for /dev/ttyACM0
$ask /dev/ttyACM0 i
SH
    run_ok vphoton run -d "$board" -- sh session
    expect_lines 2 'Your device id is'
    expect_line 'File downloaded successfully'
    flash_holds "$board" 0x080A0000 app.bin
done

# Who opened the port hears of the loss: from the next request on it is hung up, however soon that
# comes, and never just a terminal that does not know modem lines, which pyserial would overlook.
cat >touch.py <<'PY'
import serial
try:
    serial.Serial("/dev/ttyACM0", 14400)
    print("nothing happened")
except OSError as error:
    print("lost:", error)
PY
cat >touches <<SH
set -e
for _ in 1 2 3 4 5 6 7 8; do
    $wait_for /dev/ttyACM0
    /usr/bin/python3 touch.py
    dfu-util -w -l >list
    vphoton ctl reset
done
SH
run_ok vphoton run --release 0.5.2 -- sh touches
expect_lines 8 'lost: '
