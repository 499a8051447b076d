#!/bin/bash
# Particle's CLI sends a board about over USB: lists it, to DFU mode and back, to listening and out of it.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 2.16.0 3.0.0
id=1f00a2000b47abcdef323032

# last_boot: where the board was at the end of the last run.
last_boot() {
    json report 'd["boards"][0]["last_boot"]'
}

# usb VERSION ARGUMENT...: on a running board; usb_cloud: with a cloud that knows it as my-photon.
usb() {
    run vphoton run -d photon --events=events --report report -- "particle-$1" usb "${@:2}"
}
usb_cloud() {
    run with_cloud $id vphoton run -d photon --events=events --report report -- "particle-$1" usb "${@:2}"
}


# new_board RELEASE
new_board() {
    rm -rf photon
    vphoton new photon --release "$1" --id $id
}

# to_dfu_and_back VERSION
to_dfu_and_back() {
    usb "$1" dfu $id
    expect_status 0
    expect_line Done.
    [ "$(last_boot)" = 'DFU mode' ] || fail 'the board is not in DFU mode'
    run vphoton run -d photon --dfu --report report -- "particle-$1" usb reset
    expect_status 0
    expect_line Done.
    [ "$(last_boot)" = 'system runs: listening' ] || fail 'the reset did not lead out of DFU mode'
}

# The wrong things first: no board, no cloud, no such name.
new_board 1.5.0
run_ok vphoton run -d photon -- sh -c 'vphoton ctl unplug && particle-2.16.0 usb list'
expect_line 'No devices found.'
usb 2.16.0 list
expect_status 1
expect_line "Network error from http://127.0.0.1:1/v1/devices/$id"
usb_cloud 2.16.0 dfu nobodys-photon
expect_status 1
expect_line 'Device not found: nobodys-photon'

usb_cloud 2.16.0 list
expect_status 0
expect_line "my-photon [$id] (Photon, LISTENING)"
to_dfu_and_back 2.16.0

new_board 2.2.0
usb_cloud 3.0.0 list
expect_status 0
expect_line "my-photon [$id] (Photon, LISTENING)"
run with_cloud $id vphoton run -d photon --dfu -- particle-3.0.0 usb list
expect_status 0
expect_line "my-photon [$id] (Photon, DFU)"
to_dfu_and_back 3.0.0

usb_cloud 3.0.0 reset my-photon
expect_status 0
expect_line Done.
grep -q 'reset: reset requested over USB' events || fail 'no reset'
[ "$(last_boot)" = 'system runs: listening' ] || fail 'the board does not run'
usb 3.0.0 start-listening
expect_status 0
expect_line Done.
grep -q 'request C0 01 wValue 0000 wIndex 0046 .* 03 00 00 00 00 00 01 00' events ||
    fail 'no request to listen'
usb 3.0.0 stop-listening
expect_status 0
expect_line Done.
grep -q 'LED: blue, breathes' events || fail 'it went on listening'
usb 3.0.0 safe-mode
expect_status 0
expect_line Done.
grep -q 'boot: safe mode: requested' events || fail 'no safe mode'

# Before 0.6.0 a running board knows no such requests, and its serial number is nobody's id.
new_board 0.5.2
usb 3.0.0 dfu
expect_status 1
expect_line 'IN control transfer failed'
run with_cloud $id vphoton run -d photon --dfu -- particle-3.0.0 usb list
expect_status 0
expect_line '<no name> [00000000010c] (Photon, DFU)'
