#!/bin/bash
# A device node answers as the kernel's usbfs does, whatever the program does with the descriptor.
. "$SOURCE_DIR/tests/tools/lib.sh"
[ -x "${CLIENTS:?}/client_usbfs" ] || skip "no libusb-1.0-0-dev"

for time in fast warp; do
    for case in node claims urbs edges discard timeout interrupted many forks threads inherit; do
        run_ok vphoton run --dfu --time "$time" -- "$CLIENTS/client_usbfs" "$case"
    done
    # Threads that wait with a limit run the time away in warp.
    [ "$time" = warp ] || run_ok vphoton run --dfu -- "$CLIENTS/client_usbfs" reapers
    run_ok vphoton run --time "$time" --dfu --events=trace -- "$CLIENTS/client_usbfs" alarms
    [ "$(grep -c GETSTATUS trace)" = 400 ] || fail "200 rounds of two requests: $(grep -c GETSTATUS trace)"
    run_ok vphoton run --time "$time" -- "$CLIENTS/client_usbfs" disconnect
done
