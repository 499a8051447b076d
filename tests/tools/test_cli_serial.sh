#!/bin/bash
# Particle's CLI at the serial port: what it lists, who the board is, which modules it has.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 1.16.0 2.16.0 3.0.0
id=1f00a2000b47abcdef323032

# particle DIR VERSION ARGUMENT...: on a running board.
particle() {
    run vphoton run -d "$1" -- "particle-$2" "${@:3}"
}

# What `inspect` makes of a board: two spaces before the modules, four before what is said of one.
module() {
    echo "  $1 module #$2 - version $3, main location, $4 bytes max size"
    [ $# -lt 5 ] || echo "    UUID: $5"
    printf '    %s: PASS\n' Integrity 'Address Range' Platform Dependencies
}
needs() {
    echo "      $1 module #$2 - version $3"
}

expected_0_5_2() {
    printf 'Platform: 6 - Photon\nModules\n'
    module Bootloader 0 7 16384
    module System 1 17 262144
    module System 2 17 262144
    needs System 1 17
    module User 1 2 131072 2BA4E71E840F596B812003882AAE7CA6496F1590CA4A049310AF76EAF11C943A
    needs System 2 1
    echo '  empty - factory location, 131072 bytes max size'
}

expected_2_2_0() {
    printf 'Platform: 6 - Photon\nModules\n'
    module Bootloader 0 1006 16384
    module System 1 2202 262144
    needs System 2 207
    module System 2 2202 262144
    needs System 1 2202
    needs Bootloader 0 1003
    module User 1 3 131072 B3A6DCD529BE70FBE24EE959C7305D58E3BC9A04ACDCE8F093C7A1F759097D09
    needs System 2 6
}
expected_0_5_2 >inspected-0.5.2
expected_2_2_0 >inspected-2.2.0

application=$(firmware photon_tinker-0.5.2.bin) || exit
vphoton new photon-0.5.2 --release 0.5.2 --id $id --module "$application"
application=$(firmware tinker-0.4.5-photon.bin) || exit
vphoton new photon-2.2.0 --release 2.2.0 --id $id --module "$application"

# No port: the board is unplugged, or in DFU mode.
run vphoton run -d photon-0.5.2 -- sh -c 'vphoton ctl unplug && particle-1.16.0 serial identify'
expect_status 1
expect_line '! serial: No devices available via serial'
run vphoton run -d photon-0.5.2 -- sh -c 'vphoton ctl unplug && particle-3.0.0 serial identify'
expect_status 1
expect_line 'Could not identify device: No serial port identified'
run_ok vphoton run -d photon-2.2.0 --dfu -- particle-2.16.0 serial list
expect_line 'No devices available via serial'

# Before 0.6.0 the serial number says nothing; since 2.x the CLI shows it.
while read -r version release port; do
    particle "photon-$release" "$version" serial list
    expect_status 0
    expect_line 'Found 1 device connected via serial:'
    expect_line "$port"
    particle "photon-$release" "$version" serial identify
    expect_status 0
    expect_line "Your device id is $id"
    expect_line "Your system firmware version is $release"
    particle "photon-$release" "$version" serial inspect
    expect_status 0
    sed -i '/^$/d' out # some releases end with an empty line
    expect_same out "inspected-$release"
done <<END
1.16.0 0.5.2 /dev/ttyACM0 - Photon
2.16.0 0.5.2 /dev/ttyACM0 - Photon - 00000000050C
3.0.0 2.2.0 /dev/ttyACM0 - Photon - $id
END

# Before 0.4.4 there is no `v`, and the braces of the modules' JSON are missing.
vphoton new photon-0.4.3 --release 0.4.3 --id $id
particle photon-0.4.3 2.16.0 serial identify
expect_status 0
expect_line "Your device id is $id"
expect_line 'Unable to determine system firmware version'
particle photon-0.4.3 2.16.0 serial inspect
expect_status 1
expect_text 'Could not get inspect device: Unexpected '
expect_text 'JSON at position 3'
