#!/bin/bash
# The story this program was made for: a Photon is brought from 0.4.2 to 0.4.3 to 0.4.4 by hand. Each
# time dfu-util ends with an error although all went well, and only 0.4.4 has `v` and whole JSON.
. "$(dirname "$0")/lib.sh"
ask=$SOURCE_DIR/tests/tools/serial_ask.py
wait_for=$SOURCE_DIR/tests/tools/wait_for.sh

# update RELEASE: SETUP held over a reset for 4 s, both parts by DFU, the second with :leave.
update() {
    vphoton module build -o part1.bin --release "$1" --part part1
    vphoton module build -o part2.bin --release "$1" --part part2
    cat >session <<SH
vphoton ctl press mode && vphoton ctl reset && vphoton ctl press mode 4s
dfu-util -w -d 0x2B04:0xD006 -a 0 -s 0x8020000 -D part1.bin || exit 1
dfu-util -d 0x2B04:0xD006 -a 0 -s 0x8060000:leave -D part2.bin
echo "dfu-util ended with \$?"
$wait_for /dev/ttyACM0
$ask /dev/ttyACM0 s i >answers
SH
    run_ok vphoton run -t warp -d board -- sh session
    expect_line 'dfu-util: Error during download get_status'
    expect_line 'dfu-util ended with 74'
    flash_holds board 0x08020000 part1.bin
    flash_holds board 0x08060000 part2.bin
}

# parses: the first answer is a JSON document.
parses() {
    /usr/bin/python3 -c 'import ast, json; json.loads(ast.literal_eval(open("answers").readline()))' 2>/dev/null
}

# versions N: part1 and part2 have module version N in the answer to `s`.
versions() {
    local count
    count=$(grep -o "\"f\":\"s\",\"n\":\"[12]\",\"v\":$1,\"d\"" answers | wc -l)
    [ "$count" = 2 ] || fail "expected both system parts in version $1: $(head -n 1 answers)"
}

vphoton new board --release 0.4.2
update 0.4.3
versions 3
parses && fail 'the JSON of 0.4.3 has its braces'
run_ok vphoton run -d board -- "$ask" /dev/ttyACM0 i
expect_text 'Your device id is'

update 0.4.4
versions 5
parses || fail "the JSON of 0.4.4 does not parse: $(head -n 1 answers)"
run_ok vphoton run -d board -- "$ask" /dev/ttyACM0 v
expect_line "b'system firmware version: 0.4.4\\n\\r\\n'"
