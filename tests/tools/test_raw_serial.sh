#!/bin/bash
# The running Photon's serial port under --raw: node, links, console, rates, modem lines, hang-up.
. "$(dirname "$0")/lib.sh"
ask=$SOURCE_DIR/tests/tools/serial_ask.py
raw_possible root

vphoton new board --release 0.5.2 --id 1f00a2000b47abcdef323032
link=/dev/serial/by-id/usb-Particle_Photon_with_WiFi_00000000050C-if00
run_ok vphoton run --raw -d board -- test -c /dev/ttyACM0
run_ok vphoton run --raw -d board -- /usr/bin/python3 -m serial.tools.list_ports -v
expect_text 'USB VID:PID=2B04:C006 SER=00000000050C LOCATION=1-1'
run_ok vphoton run --raw -d board -- udevadm info -q property -p /class/tty/ttyACM0
expect_line ID_USB_DRIVER=cdc_acm
for port in /dev/ttyACM0 $link; do
    run_ok vphoton run --raw -d board -- "$ask" "$port" i v m
    expect_line "b'Your device id is 1f00a2000b47abcdef323032\\r\\n'"
    expect_line "b'system firmware version: 0.5.2\\n\\r\\n'"
    expect_line "b'Your device MAC address is\\r\\n'"
done
# By a path that begins where the program is.
run_ok vphoton run --raw -d board -- sh -c 'cd /dev && exec 3<>./ttyACM0 && stty -F ttyACM0 raw -echo && printf v >&3 && head -n 1 <&3'
expect_line 'system firmware version: 0.5.2'

# What the board hears of the terminal's settings, and of the lines that a pty does not have.
cat >lines.py <<'PY'
import fcntl
import termios

import serial

port = serial.Serial("/dev/ttyACM0", 115200)
port.dtr = False
print("CTS", port.cts)
port.rts = False
port.dtr = True
port.break_condition = True
port.break_condition = False
port.send_break(0.01)
fcntl.ioctl(port, termios.TCSBRKP, 1)
termios.tcdrain(port)
PY
run_ok vphoton run --raw -d board --events=raw.trace -- /usr/bin/python3 lines.py
expect_line 'CTS True'
grep -q 'SET_LINE_CODING.* 00 C2 01 00 00 00 08' raw.trace || fail 'no SET_LINE_CODING 115200 8N1 in the trace'
# To the last request what it hears without --raw.
run_ok vphoton run -d board --events=plain.trace -- /usr/bin/python3 lines.py
transfers plain.trace >plain
transfers raw.trace >raw
grep -q SEND_BREAK plain || fail 'no break in the trace'
expect_same plain raw

run_ok vphoton run --raw -d board -- "$SOURCE_DIR/tests/tools/serial_uart.py"
expect_line 'line 0, base 0, close delay 50, closing wait 3000'
expect_line 'flags 0x0, divisor 0'
expect_line 'modem lines 0x26' # DTR, RTS, CTS

run_ok vphoton run --raw -d board -- "$SOURCE_DIR/tests/tools/serial_unplug.py"
expect_line 'hung up'
expect_line 'node is gone'
expect_line "b'system firmware version: 0.5.2\\n\\r\\n'"
