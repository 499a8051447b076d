#!/bin/bash
# `particle update` brings a board to the release that the CLI carries, from releases that take it.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 1.16.0 2.16.0 3.0.0
id=1f00a2000b47abcdef323032

# update DIR VERSION: on a board in DFU mode; the pauses that old bootloaders ask of dfu-util pass at once.
update() {
    run vphoton run -t warp -d "$1" --dfu --events=events --report report -- "particle-$2" update
    [ "$(json report 'd["boards"][0]["hangs"]["count"]')" = 0 ] || fail 'the board hung'
}

updated() {
    expect_status 0
    expect_text 'System firmware update successfully completed!'
}

# holds_0_5_2 DIR, holds_2_2_0 DIR: the real files are in place, and the board runs with them.
holds_0_5_2() {
    flash_holds "$1" 0x08020000 "$FIRMWARE/system-part1-0.5.2-photon.bin"
    flash_holds "$1" 0x08060000 "$FIRMWARE/system-part2-0.5.2-photon.bin"
    runs "$1" 0.5.2
}
holds_2_2_0() {
    flash_holds "$1" 0x08020000 "$FIRMWARE/system-part1-2.2.0.bin"
    flash_holds "$1" 0x08060000 "$FIRMWARE/system-part2-2.2.0.bin"
    flash_holds "$1" 0x08000000 "$FIRMWARE/bootloader-2.2.0.bin"
    runs "$1" 2.2.0
}
runs() {
    [ "$(json report 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail 'the board does not run after the update'
    vphoton inspect "$1" | grep -q "^release $2," || fail "$1 is not at $2"
}
firmware system-part1-0.5.2-photon.bin >/dev/null || exit

# Without a board in DFU mode nothing happens.
vphoton new photon --release 0.4.9 --id $id
for version in 1.16.0 3.0.0; do
    run vphoton run -d photon -- sh -c "vphoton ctl unplug && particle-$version update"
    expect_status 1
    expect_line '!!! I was unable to detect any devices in DFU mode...'
done

# From 0.4.9 to 0.5.2.
update photon 1.16.0
updated
holds_0_5_2 photon

# From 0.5.2 to 2.2.0 in one go: the bootloader comes over the OTA region and the flag for it.
update photon 2.16.0
updated
holds_2_2_0 photon
grep -q 'boot: update accepted' events || fail 'no update from the OTA region'

# From 2.2.0 to 2.2.0, and all of it again.
update photon 3.0.0
updated
holds_2_2_0 photon

# The old bootloader of 0.4.3 ends the update with an error that means nothing: see cli_flash_usb.
vphoton new old --release 0.4.3 --id $id
update old 1.16.0
expect_status 0
expect_text 'An error occurred while attempting to update the system firmware of your device:'
expect_text 'Error during download get_status'
holds_0_5_2 old
flash_holds old 0x08000000 "$FIRMWARE/bootloader-0.5.2.bin" # part2 brought it along
