#!/bin/bash
# The running Photon's serial port, as programs see it: node, sysfs, udev, console, hang-up.
. "$(dirname "$0")/lib.sh"
ask=$SOURCE_DIR/tests/tools/serial_ask.py

vphoton new board --release 0.5.2 --id 1f00a2000b47abcdef323032
run_ok vphoton run -d board -- ls -l /dev/ttyACM0
expect_text '166, 0'
run_ok vphoton run -d board -- readlink -f /dev/serial/by-id/usb-Particle_Photon_with_WiFi_00000000050C-if00
expect_line /dev/ttyACM0
run_ok vphoton run -d board -- udevadm info -q property -n /dev/ttyACM0
expect_line SUBSYSTEM=tty
expect_line ID_VENDOR_ID=2b04
expect_line ID_MODEL_ID=c006
expect_line ID_USB_DRIVER=cdc_acm
expect_line ID_USB_INTERFACE_NUM=00
run_ok vphoton run -d board -- /usr/bin/python3 -m serial.tools.list_ports -v
expect_text 'USB VID:PID=2B04:C006 SER=00000000050C LOCATION=1-1'
# The kernel's driver has the interfaces: a program must take them away first.
run_ok vphoton run -d board -- cat /sys/bus/usb/devices/1-1:1.0/uevent
expect_line DRIVER=cdc_acm

# The console answers whoever opens the port, by whichever name.
for port in /dev/ttyACM0 /dev/serial/by-id/usb-Particle_Photon_with_WiFi_00000000050C-if00; do
    run_ok vphoton run -d board -- "$ask" $port i v m
    expect_line "b'Your device id is 1f00a2000b47abcdef323032\\r\\n'"
    expect_line "b'system firmware version: 0.5.2\\n\\r\\n'"
    expect_line "b'Your device MAC address is\\r\\n'"
done

# stty, and what the board hears of it: the rate of the terminal reaches it as SET_LINE_CODING.
# shellcheck disable=SC2016 # the shell inside is to expand it
run_ok vphoton run -d board --events=trace -- sh -c 'stty -F /dev/ttyACM0 115200 raw -echo && stty -F /dev/ttyACM0 speed'
expect_line 115200
grep -q 'SET_LINE_CODING.* 00 C2 01 00 00 00 08' trace || fail 'no SET_LINE_CODING 115200 8N1 in the trace'
grep -q 'SET_CONTROL_LINE_STATE' trace || fail 'no SET_CONTROL_LINE_STATE in the trace'

# A break begins and ends, however it is asked for.
cat >break.py <<'PY'
import fcntl, serial, termios
port = serial.Serial("/dev/ttyACM0")
port.send_break(0.01)
fcntl.ioctl(port, termios.TCSBRKP, 1)
port.break_condition = True
port.break_condition = False
termios.tcdrain(port)
PY
run_ok vphoton run -d board --events=trace -- /usr/bin/python3 break.py
[ "$(grep -c 'SEND_BREAK.*status stage ACK' trace)" = 6 ] || fail 'not three breaks in the trace'

# What cdc_acm answers a program that takes the port for a UART: the number, how it closes, and no base
# for a divisor; it takes one without a word. "Clear to send" is always set.
run_ok vphoton run -d board -- "$SOURCE_DIR/tests/tools/serial_uart.py"
expect_line 'line 0, base 0, close delay 50, closing wait 3000'
expect_line 'flags 0x0, divisor 0'
expect_line 'modem lines 0x26' # DTR, RTS, CTS

# A descriptor that goes over exec is still the port.
# shellcheck disable=SC2016
run_ok vphoton run -d board -- sh -c 'exec 3<>/dev/ttyACM0; stty -F /dev/ttyACM0 raw -echo; printf v >&3; head -n 1 <&3'
expect_line 'system firmware version: 0.5.2'

# An unprivileged user has the port, too.
chmod 777 .
run_ok as_user vphoton run --release 0.5.2 -- "$ask" /dev/ttyACM0 v
expect_line "b'system firmware version: 0.5.2\\n\\r\\n'"

# Who waits for something to read when it is unplugged hears of an end, not of an error.
cat >waiting <<'SH'
cat /dev/ttyACM0 &
while ! grep -q SET_CONTROL_LINE_STATE waiting.trace; do sleep 0.02; done
vphoton ctl unplug
wait $! && echo 'cat is content'
SH
run_ok timeout 60 vphoton run -d board --events=waiting.trace -- sh waiting
expect_line 'cat is content'

# Unplugged, the port hangs up and its node is gone; plugged in again both are back.
run_ok vphoton run -d board -- "$SOURCE_DIR/tests/tools/serial_unplug.py"
expect_line 'hung up'
expect_line 'node is gone'
expect_line "b'system firmware version: 0.5.2\\n\\r\\n'"
