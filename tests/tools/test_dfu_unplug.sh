#!/bin/bash
# The plug is pulled while dfu-util writes: dfu-util reports it, the board survives, and a second
# attempt succeeds.
. "$(dirname "$0")/lib.sh"

# A command for the run: dfu-util in the background; once the board's events show PATTERN, the plug
# is pulled. Ends as dfu-util does.
cat >pull.sh <<'END'
pattern=$1
dfu-util -a 0 -d 2b04:d006 -s 0x08020000 -D part1.bin &
until grep -qE "$pattern" events; do sleep 0.01; done
vphoton ctl unplug
wait $!
END

# pull RELEASE TIME PATTERN: what of part1 is there afterwards must not be all of it.
pull() {
    rm -rf board events
    vphoton new board --release "$1"
    : >events
    run vphoton run -t "$2" -d board --dfu --events=events -- sh pull.sh "$3"
    expect_status 74
    expect_text 'dfu-util: Error'
    expect_no_text 'File downloaded successfully'
    ! cmp -s -i $((0x20000)):0 -n "$(size part1.bin)" board/flash.bin part1.bin ||
        fail 'the whole file got there'

    dfu_ok board -a 0 -d 2b04:d006 -s 0x08020000 -D part1.bin
    flash_holds board 0x08020000 part1.bin
    run_ok vphoton run -d board --report report.json -- true
    [ "$(json report.json 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail 'the board does not run after the second attempt'
}

for release in 0.4.3 2.2.0; do
    vphoton module build -o part1.bin --release $release --part part1
    # In real time an erase takes a second, all of it inside one GETSTATUS.
    pull $release real 'erase sector 6'
    # Some blocks into the file.
    pull $release real 'program 0x0802[4-9A-F]000, 4096 bytes'
done
