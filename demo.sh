#!/bin/bash
#
# The main job in a page: a board of release 0.4.3 is flashed by the real dfu-util, the error that
# everybody met in 2015 appears, and the board's events say why.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/setup.sh
require "$NEEDS_BUILD" "$NEEDS_DEMO"

mkdir -p build
if ! { cmake --preset release &&
    cmake --build --preset release --target vphoton vphoton-preload; } >build/demo.log 2>&1; then
    tail -n 30 build/demo.log >&2
    echo "$0: the build failed, its whole log is build/demo.log" >&2
    exit 1
fi
PATH=$PWD/build/release/emulator:$PATH
rm -rf build/demo
mkdir build/demo
cd build/demo

# A paragraph, a line an argument.
say() {
    echo
    printf '%s\n' "$@"
}

# show COMMAND [CODE]: prints it, runs it, and says how it ended unless well; any other code than
# the one that belongs to the story (0) ends the story.
show() {
    local code=0
    printf '$ %s\n' "$1"
    # Lines as they come, so that both outputs stay in order, and of a progress bar its last state.
    # What dfu-util says of itself and of each step before it begins is left out.
    stdbuf -oL bash -c "$1" 2>&1 </dev/null | sed -E 's/.*\r//; /^$/d
        /^(dfu-util 0|Copyright|This program|Please report|Opening|Device|Claiming|Setting)/d
        /^(Determining|DFU state|DFU mode|DfuSe interface)/d' || code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || echo "[exit code $code]"
    if [ "$code" != "${2:-0}" ]; then
        echo "$0: that should have ended with exit code ${2:-0}" >&2
        exit 1
    fi
}

say 'A Photon as the factory sold it in 2015, with release 0.4.3:'
show 'vphoton new photon --release 0.4.3 --id 2c0039001047343136333736'

say 'dfu-util, as Debian has it, finds it when SETUP is held over the start:'
show 'vphoton run -d photon --dfu -- dfu-util -l'

say 'Release 0.4.4 for it. These parts have the addresses, versions and checksums that real ones' \
    'have; the code in them is noise.'
show 'vphoton module build --release 0.4.4 --part part1 -o part1.bin'
show 'vphoton module build --release 0.4.4 --part part2 -o part2.bin'

say 'The two commands of its release notes. (-t warp: the pauses that the board asks for pass at' \
    'once.)'
show 'vphoton run -d photon --dfu -t warp -- dfu-util -a 0 -s 0x08020000 -D part1.bin'
echo
show 'vphoton run -d photon --dfu -t warp --events=events.txt -- \
    dfu-util -a 0 -s 0x08060000:leave -D part2.bin' 74

say 'There it is. What was on the wire then, in milliseconds of the board'"'"'s time:'
show 'grep -B 4 -A 4 "no answer" events.txt'

say 'The host asked for the status, got six bytes - OK, dfuMANIFEST - and acknowledged them. Then' \
    'the bootloader was off the bus, before the status stage that ends every control transfer:' \
    'dfu-util has all it needs and must still call that an error. Both parts are in the flash:'
show 'cmp -i 0x20000:0 -n 247000 photon/flash.bin part1.bin'
show 'cmp -i 0x60000:0 -n 155000 photon/flash.bin part2.bin'
show 'vphoton inspect photon | grep -A 10 ^address'

say 'And the board runs:'
show 'vphoton run -d photon -- vphoton ctl status'

say 'The bootloader of 0.4.5 resets half a second later instead, and there is no error:'
show 'vphoton run --release 0.4.5 --dfu -t warp -- dfu-util -a 0 -s 0x08060000:leave -D part2.bin'
