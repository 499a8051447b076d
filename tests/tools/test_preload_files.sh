#!/bin/bash
# What programs see of /sys, /dev and /run/udev: the boards beside all that the host has there.
# shellcheck disable=SC2016 # for the shells inside
. "$SOURCE_DIR/tests/tools/lib.sh"

run_ok vphoton run --dfu -- sh -c 'cd /sys/bus/usb/devices/1-1 && pwd -P && cd -P .. && ls &&
    cat 1-1/product && ls -l /dev/bus/usb/001'
expect_line '1-1'
expect_line 'Photon DFU Mode'
expect_line '/sys/devices/platform/vphoton.0/usb1/1-1'
expect_text '189, 1'
expect_no_text vphoton-

# The host's own names stay, each once.
for folder in / /dev /sys /sys/bus /sys/class /etc; do
    ls -A -I bus -I usb "$folder" >host
    vphoton run --dfu -- ls -A -I bus -I usb "$folder" >ours
    expect_same host ours
done
run_ok vphoton run -- ls /dev
expect_lines 1 bus
run_ok vphoton run -- ls /sys/bus
[ "$(grep -cx usb out)" = 1 ] || fail "/sys/bus/usb is not there once"

# Nothing of ours is open in the command, and what it opens is numbered as ever.
run_ok vphoton run -- ls -l /proc/self/fd
expect_no_text usb
# Without its variable the library does nothing at all.
run vphoton run -- env -u VPHOTON_PRELOAD ls /dev/bus/usb/001
ls /dev/bus/usb/001 >/dev/null 2>&1 || expect_status 2

# What a program writes into a file is in that one alone, and what the kernel lets nobody write to
# is not for writing. It all goes with tools that copy folders.
run_ok vphoton run --dfu -- sh -c 'cd /sys/devices/platform/vphoton.0 &&
    find . -type f ! -name authorized -exec grep -a . {} + | sort >"$0/before" && cp -a . "$0/copy" &&
    tar -cf "$0/copy.tar" . && for switch in $(find . -name authorized); do echo 5 >"$switch" || exit; done &&
    find . -type f ! -name authorized -exec grep -a . {} + | sort >"$0/after" &&
    cat usb1/1-1/authorized && stat -c %a usb1/1-1/authorized usb1/1-1/idVendor usb1/1-1/urbnum' "$PWD"
printf '5\n644\n444\n444\n' >expected
expect_same expected out
[ "$(wc -l <before)" -gt 50 ] || fail 'few attributes were found'
expect_same before after
mkdir untarred
tar -xf copy.tar -C untarred
for folder in copy untarred; do
    (cd $folder && find . -type f ! -name authorized -exec grep -a . {} + | sort) >copied
    expect_same before copied
done

if command -v udevadm >/dev/null; then
    run_ok vphoton run --dfu -- udevadm info -q all -n /dev/bus/usb/001/002
    expect_line 'P: /devices/platform/vphoton.0/usb1/1-1'
    expect_line 'E: ID_VENDOR_ID=2b04'
    expect_line 'E: ID_MODEL=Photon_DFU_Mode'
    run_ok vphoton run --dfu -- udevadm info -a -p /sys/bus/usb/devices/1-1
    expect_text 'ATTR{idProduct}=="d006"'
    expect_text 'ATTR{speed}=="12"'
    expect_text 'ATTR{version}==" 2.00"'
    expect_text 'ATTR{bNumInterfaces}==" 1"'
    expect_text 'ATTR{bMaxPower}=="100mA"'
fi
if command -v lsusb >/dev/null; then
    run_ok vphoton run --dfu -- lsusb
    expect_text 'Bus 001 Device 001: ID 1d6b:0002'
    expect_text 'Bus 001 Device 002: ID 2b04:d006'
    run_ok vphoton run --dfu -- lsusb -v
    expect_text '@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg'
    expect_text 'wTransferSize                    4096 bytes'
    expect_text '   Port 1: 0000.0103 power enable connect'
fi
