#!/bin/bash
# `particle device doctor`: a person does what it says, and puts the board into DFU mode each time it
# asks. The steps that talk to its own app are skipped, as the model runs nobody's application.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 2.16.0 3.0.0
id=1f00a2000b47abcdef323032

# Reset with SETUP held until it is yellow, and on when the host sees it.
cat >to_dfu <<'SH'
vphoton ctl press mode && vphoton ctl reset && vphoton ctl press mode 4s && dfu-util -w -l >/dev/null
SH
dfu='!sh to_dfu' continue='\r' skip='\x1b[B\r' skip_third='\x1b[B\x1b[B\r'

# doctor VERSION: a text that it shows, and what is typed then or done.
doctor() {
    run with_cloud $id vphoton run -d photon --events=events --report report -- \
        "$SOURCE_DIR/tests/tools/in_terminal.py" "particle-$1" device doctor -- \
        'Put the device in' "$dfu" 'Select Continue when ready' "$continue" \
        'Flashing the Device Doctor app' "$dfu" 'Select Continue when ready' "$continue" \
        'Select the antenna' "$skip_third" \
        'Select how the device will be assigned' "$skip_third" \
        'Reset Wi-Fi hotspot name' '' 'Select Continue when ready' "$skip" \
        'Clear all data in EEPROM' '' 'Select Continue when ready' "$skip" \
        'Clearing and setting up Wi-Fi' '' 'Select Continue when ready' "$skip" \
        'Put the device in' "$dfu" 'Select Continue when ready' "$continue" \
        'Flashing the default Particle Tinker app' "$dfu" 'Select Continue when ready' "$continue"
}

tinker=$(firmware tinker-0.4.5-photon.bin) || exit

# Without a board it says so; 1.16.0 has no doctor yet.
vphoton new photon --release 2.2.0 --id $id
run vphoton run -d photon -- sh -c 'vphoton ctl unplug && particle-3.0.0 device doctor'
expect_text 'Connect a Particle device to a USB port and run the command again.'

# visit VERSION RELEASE: with a board of that release.
visit() {
    rm -rf photon backup_* ./*_rsa_new* key
    vphoton new photon --release "$2" --id $id
    doctor "$1"
}

for case in '2.16.0 2.2.0' '3.0.0 1.5.0'; do
    read -r version release <<<"$case"
    visit "$version" "$release"
    # A board that leaves the bus just while it looks is one that it may not open, it thinks, and it
    # asks for rules of udev. Whoever sees that begins anew.
    if grep -q 'missing the permissions' out; then
        visit "$version" "$release"
    fi
    expect_status 0
    expect_text 'The Doctor has restored your device!'
    flash_holds photon 0x08000000 "$FIRMWARE/bootloader-2.2.0.bin"
    flash_holds photon 0x08020000 "$FIRMWARE/system-part1-2.2.0.bin"
    flash_holds photon 0x08060000 "$FIRMWARE/system-part2-2.2.0.bin"
    flash_holds photon 0x080A0000 "$tinker"
    [ "$(grep -c 'flash: erase sector 9' events)" = 2 ] ||
        fail 'the doctor and tinker: not two applications'
    [ "$(json report 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail 'the board does not run'
    grep -qxF "POST /v1/provisioning/$id BEGIN PUBLIC KEY algorithm=rsa" requests ||
        fail 'the cloud got no key'
    run_ok vphoton run -t warp -d photon --dfu -- dfu-util -a 1 -s 34:612 -U key
    cmp -n 612 key ${id}_rsa_new.der || fail 'the new key is not in the board'
done
