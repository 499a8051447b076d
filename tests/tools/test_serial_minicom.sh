#!/bin/bash
# A person at minicom: the console's answers on the screen, and the port comes back after a replug.
. "$(dirname "$0")/lib.sh"
[ -n "$(command -v minicom)" ] || skip 'no minicom'

# Its lock files are for all of the machine otherwise.
export HOME=$WORK TERM=vt100
echo "pu lock $WORK" >.minirc.dfl
# minicom opens the port again by itself: the driver sets its rate then.
cat >replug <<'SH'
rates() { grep -c SET_LINE_CODING trace; }
before=$(rates)
vphoton ctl plug
i=0
while [ "$(rates)" = "$before" ]; do
    i=$((i + 1))
    [ $i -lt 1000 ] || { echo 'replug: not opened again' >&2; exit 1; }
    sleep 0.02
done
SH
for release in 0.4.4 2.2.0; do
    rm -f trace
    vphoton new board-$release --release $release --id 1f00a2000b47abcdef323032
    run_ok vphoton run -d board-$release --events=trace -- "$SOURCE_DIR/tests/tools/in_terminal.py" \
        minicom -D /dev/ttyACM0 -b 115200 -- \
        'Z for help' i \
        '1f00a2000b47abcdef323032' '!vphoton ctl unplug' \
        'Cannot open /dev/ttyACM0' '!sh replug' \
        '' v \
        $release '\x01x' \
        'Leave Minicom?' '\r'
    expect_text 'Your device id is 1f00a2000b47abcdef323032'
    expect_text "system firmware version: $release"
    grep -q 'SET_LINE_CODING.* 00 C2 01 00 00 00 08' trace || fail 'no SET_LINE_CODING 115200 8N1 in the trace'
done
