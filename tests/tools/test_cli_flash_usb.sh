#!/bin/bash
# Particle's CLI flashes a board in DFU mode: a file and an app that it knows. After each the board runs.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 1.16.0 2.16.0 3.0.0
id=1f00a2000b47abcdef323032

# flash DIR VERSION ARGUMENT...: on a board in DFU mode. dfu-util has no threads, so it may be warped.
flash() {
    run vphoton run -t warp -d "$1" --dfu --events=events --report report -- \
        "particle-$2" flash "${@:3}"
}

# runs: the last run left a board that has left DFU mode and runs.
runs() {
    [ "$(json report 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail "the board does not run after: $said"
    [ "$(json report 'd["boards"][0]["hangs"]["count"]')" = 0 ] || fail "the board hung after: $said"
}

# refused DIR MESSAGE: the last run failed with the message, and nothing was erased or programmed.
refused() {
    expect_status 1
    expect_text "$2"
    expect_same "$1/flash.bin" before
}

application2=$(firmware photon_tinker-0.5.2.bin) || exit
application3=$(firmware tinker-0.4.5-photon.bin) || exit
vphoton module build -o app.bin --part user --version 7 --dependency system,2,3 --size 20004 --seed 5
vphoton module build -o p1.bin --part user --platform 8 --version 7 --size 4096
head -c 5000 app.bin >cut.bin

# The wrong things first: a board that runs, no such file, half a file, a file for another platform.
vphoton new photon --release 2.2.0 --id $id
run vphoton run -d photon -- particle-1.16.0 flash --usb app.bin
expect_status 1
expect_line '!!! I was unable to detect any devices in DFU mode...'
expect_line 'Error writing firmware...No DFU device found'
cp photon/flash.bin before
flash photon 1.16.0 --usb cut.bin
refused photon 'CRC is invalid, use --force to override'
flash photon 2.16.0 --usb nothing.bin
refused photon 'file does not exist and no known app found'
flash photon 3.0.0 --usb p1.bin
refused photon 'Incorrect platform id (expected 6, parsed 8), use --force to override'

for case in '1.16.0 0.4.9' '2.16.0 0.5.2' '3.0.0 2.2.0'; do
    read -r version release <<<"$case"
    rm -rf photon
    vphoton new photon --release "$release" --id $id
    flash photon "$version" --usb app.bin
    expect_status 0
    expect_line 'Flash success!'
    runs
    flash_holds photon 0x080A0000 app.bin
    flash photon "$version" --usb tinker
    expect_status 0
    expect_line 'Flash success!'
    runs
    case $version in
    1.*) flash_holds photon 0x080A0000 "$application2" ;;
    *) flash_holds photon 0x080A0000 "$application3" ;;
    esac
done

# Into the factory slot; the application stays.
flash photon 3.0.0 --usb --factory app.bin
expect_status 0
expect_line 'Flash success!'
flash_holds photon 0x080E0000 app.bin
flash_holds photon 0x080A0000 "$application3"

# The bootloader of 0.4.3 ends a leave with the famous error. The CLI means to overlook it, but looks for
# a text where it has buffers: all is in place, the board runs, and the CLI calls it a failure.
vphoton new old --release 0.4.3 --id $id
for version in 1.16.0 3.0.0; do
    flash old $version --usb app.bin
    expect_status 1
    expect_text 'Error writing firmware'
    # The CLI prints each piece that it reads, and where pieces end depends on the moment.
    expect_text 'Error during download get_status'
    runs
    flash_holds old 0x080A0000 app.bin
    grep -q 'OUT status stage: no answer' events || fail 'the leave was answered'
done
