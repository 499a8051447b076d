#!/bin/bash
# Under --raw a device node answers as the kernel's usbfs does, whatever the program does with the
# descriptor.
. "$(dirname "$0")/lib.sh"
[ -x "${CLIENTS:?}/client_usbfs" ] || skip "no libusb-1.0-0-dev"
installed
raw_possible root as_user

for who in '' as_user; do
    for case in node claims urbs edges reapers discard timeout interrupted many forks threads inherit; do
        # shellcheck disable=SC2086 # nobody is no word
        run_ok $who vphoton run --raw --dfu -- "$CLIENTS/client_usbfs" "$case"
    done
    # shellcheck disable=SC2086
    run_ok $who vphoton run --raw --dfu --events -- "$CLIENTS/client_usbfs" alarms
    expect_lines 400 GETSTATUS # 200 rounds of two requests
    # shellcheck disable=SC2086
    run_ok $who vphoton run --raw -- "$CLIENTS/client_usbfs" disconnect
done
