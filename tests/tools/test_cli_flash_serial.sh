#!/bin/bash
# Particle's CLI flashes a listening board through the serial port: YMODEM, at the rate that starts it.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 1.16.0 2.16.0 3.0.0
id=1f00a2000b47abcdef323032

# flash DIR VERSION FILE: 1.16.0 wants a key for an answer, its successors take --yes.
flash() {
    case $2 in
    1.*)
        run vphoton run -d "$1" --events=events --report report -- "$SOURCE_DIR/tests/tools/in_terminal.py" \
            "particle-$2" flash --serial "$3" -- 'Press ENTER when your device is blinking BLUE' '\r'
        ;;
    *)
        run vphoton run -d "$1" --events=events --report report -- \
            "particle-$2" flash --serial "$3" --yes
        ;;
    esac
}

# installed_application DIR RATE: the file went over the port at that rate, two bytes as on the wire, into
# the slot, and from there into place.
installed_application() {
    expect_status 0
    expect_text 'sending file: app.bin'
    expect_text 'Flash success!'
    flash_holds "$1" 0x080A0000 app.bin
    flash_holds "$1" 0x080C0000 app.bin
    grep -q "SET_LINE_CODING.* $2 00 00 00 00 08" events || fail "no SET_LINE_CODING $2"
    [ "$(json report 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail 'the board does not run afterwards'
}

vphoton module build -o app.bin --part user --version 7 --dependency system,2,3 --size 20004 --seed 5
vphoton module build -o p1.bin --part user --platform 8 --version 7 --dependency system,2,3 --size 4096
for case in '1.16.0 0.4.4' '2.16.0 0.5.2' '2.16.0 1.5.0' '3.0.0 2.2.0'; do
    read -r version release <<<"$case"
    board=photon-$version-$release
    vphoton new "$board" --release "$release" --id $id
    flash "$board" "$version" app.bin
    # The CLI asks for 28800 baud. serialport 3 does that with 38400 baud and a divisor for a UART,
    # of which the kernel's driver for such ports makes 38400.
    case $version in
    1.*) installed_application "$board" '00 96' ;;
    *) installed_application "$board" '80 70' ;;
    esac
done

# The wrong things: no such file, no board, and a file for another platform. Of that a system before
# 0.7.0 tells the host nothing: it starts again with what it had.
run vphoton run -d photon-3.0.0-2.2.0 -- particle-3.0.0 flash --serial nothing.bin --yes
expect_status 1
expect_text 'File does not exist and no known app found'
run vphoton run -d photon-3.0.0-2.2.0 --dfu -- particle-3.0.0 flash --serial app.bin --yes
expect_status 1
expect_text 'No serial port identified'
flash photon-2.16.0-0.5.2 2.16.0 p1.bin
expect_status 0
expect_text 'Flash success!'
flash_holds photon-2.16.0-0.5.2 0x080A0000 app.bin
