#!/bin/bash
# python3-usb speaks DFU with a board of each era, every byte as on a real one.
. "$(dirname "$0")/lib.sh"

id=3d0021000b47343138333038
client=$SOURCE_DIR/tests/tools/pyusb_dfu.py

# speak RELEASE MANUFACTURER SERIAL
speak() {
    vphoton new "board-$1" --release "$1" --id $id
    run_ok vphoton run -d "board-$1" --dfu -- /usr/bin/python3 "$client" "$2" "$3"
    expect_line 'all as on a board'
}

speak 0.4.3 'Spark Devices' 00000000010C
speak 0.4.9 'Particle' 00000000010C
speak 0.6.3 'Particle' ${id^^}
speak 2.2.0 'Particle' $id
