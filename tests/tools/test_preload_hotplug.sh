#!/bin/bash
# Programs that are told of devices hear of boards that come and go, by libusb's udev and by
# udevadm, and what they hold open is lost with its board and for good.
. "$SOURCE_DIR/tests/tools/lib.sh"
[ -x "${CLIENTS:?}/client_hotplug" ] || skip "no libusb-1.0-0-dev"

cat >replug.sh <<'END'
set -e
rm -f said && mkfifo said
"$CLIENTS/client_hotplug" 3 >said &
client=$!
exec 3<said
hears() {
    local line
    read -r -t 20 line <&3
    [ "$line" = "$1" ] || [ "$line" = "${2:-$1}" ] || { echo "found $line, expected $*"; exit 1; }
}
hears "added 1-1 2b04:d006"
vphoton ctl unplug
# libusb looks at both in one round, in an order of its own.
hears "transfer lost its device" "removed 1-1 2b04:d006"
hears "removed 1-1 2b04:d006" "transfer lost its device"
vphoton ctl plug
hears "added 1-1 2b04:c006"
wait "$client"
END
run_ok vphoton run --dfu -- bash replug.sh

cat >unplug.sh <<'END'
set -e
rm -f said && mkfifo said
"$CLIENTS/client_usbfs" unplug >said &
client=$!
read -r line <said
vphoton ctl unplug
vphoton ctl plug # another board at the same place must not revive the old handle
wait "$client"
END
run_ok vphoton run --dfu -- bash unplug.sh

# A chain of numbers: every attach is a new device.
# shellcheck disable=SC2016 # for the shell inside
run_ok vphoton run --dfu -- bash -c '
    cat /sys/bus/usb/devices/1-1/devnum
    vphoton ctl reset
    until [ "$(cat /sys/bus/usb/devices/1-1/devnum 2>/dev/null)" = 3 ]; do sleep 0.01; done
    ls /dev/bus/usb/001'
expect_line 2
expect_lines 1 003
expect_no_text 002

if command -v udevadm >/dev/null; then
    cat >monitor.sh <<'END'
set -e
rm -f said && mkfifo said
udevadm monitor --kernel --udev --property --subsystem-match=usb >said &
monitor=$!
exec 3<said
while read -r -t 20 line <&3; do [ "$line" = "KERNEL - the kernel uevent" ] && break; done
vphoton ctl unplug
while read -r -t 20 line <&3; do
    echo "$line"
    case $line in "UDEV "*" remove "*"/usb1/1-1 (usb)") break ;; esac
done
kill "$monitor"
END
    run_ok vphoton run --dfu -- bash monitor.sh
    expect_text '/devices/platform/vphoton.0/usb1/1-1 (usb)'
    expect_line 'ACTION=remove'
    expect_line 'DEVTYPE=usb_device'
    expect_line 'DEVTYPE=usb_interface'
    expect_line 'PRODUCT=2b04/d006/200'
fi
