#!/bin/bash
# node's serialport, of today and of the time of particle-cli 2: lists the port, talks to the console,
# sets rates that are no constants of the C library, hears of unplugging.
. "$(dirname "$0")/lib.sh"
talk=$SOURCE_DIR/tests/tools/node_serial.js

for version in 12.0.0 8.0.8; do
    npm_packages serialport-$version
    board=board-$version
    vphoton new $board --release 2.2.0 --id 1f00a2000b47abcdef323032
    run_ok vphoton run -d $board --events=trace -- sh -c "timeout 60 node $talk && dfu-util -w -l -d 2b04:d006"
    expect_line '/dev/ttyACM0 2b04 c006 Particle 1f00a2000b47abcdef323032'
    expect_lines 2 '"system firmware version: 2.2.0\n\r\n"'
    expect_line '"Your device id is 1f00a2000b47abcdef323032\r\n"'
    expect_line 'unplugged: disconnected'
    expect_line 'ports left: 0'
    expect_lines 2 'Found DFU: [2b04:d006]'
    grep -q 'SET_LINE_CODING.* 00 C2 01 00 00 00 08' trace || fail 'no SET_LINE_CODING 115200 8N1 in the trace'
    grep -q 'SET_LINE_CODING.* 40 38 00 00 00 00 08' trace || fail 'no SET_LINE_CODING 14400 8N1 in the trace'
    grep -q 'SET_CONTROL_LINE_STATE' trace || fail 'no SET_CONTROL_LINE_STATE in the trace'
done
