#!/bin/bash
# A flasher in a web page: Chromium finds a board over WebUSB, webdfu writes and reads it, and the page
# hears of it when the board leaves.
. "$(dirname "$0")/lib.sh"
command -v chromium >/dev/null || skip 'chromium is not installed'
npm_packages webdfu-1.0.5
id=2c0039001047343136333736
part1=$(firmware 'system-part1-1.5.0.bin') || exit 77

# An ordinary user needs a folder for everything, and the packages where they can be read.
mkdir -m 777 home
chmod 777 .
if ! as_user test -r "$NODE_PATH/webdfu/package.json"; then
    cp -r "$NODE_PATH" modules
    NODE_PATH=$WORK/modules
fi
cp "$part1" part1.bin
chmod 644 part1.bin

# sandbox COMMAND...: whether Chromium gets its own when it is started so.
sandbox() {
    if [ "$("$@" id -u)" != 0 ] && "$@" unshare -Ur true 2>/dev/null; then echo true; else echo false; fi
}

# in_page RUN-OPTION... -- FILE ADDRESS SERIALS: what the page did is the last run's output.
in_page() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    run "${who[@]}" env HOME="$WORK/home" vphoton run "${options[@]}" --dfu -- \
        timeout 100 node "$SOURCE_DIR/tests/tools/web_flash.js" "$@" "$(sandbox "${who[@]}")" ${SCREENSHOT:+"$SCREENSHOT"}
}

# flashes: the whole way of a flasher, as whoever is in `who`.
flashes() {
    "${who[@]}" vphoton new board --release 1.5.0 --id $id
    in_page -d board -- part1.bin 0x08020000 $id,$id
    expect_status 0
    expect_line "boards: 2b04:d006 Photon DFU Mode $id"
    expect_line "wrote $(size part1.bin) bytes to 0x08020000"
    expect_line "read $(size part1.bin) bytes back: identical"
    expect_line 'left with status 0, state 5'
    expect_line "disconnect: 2b04:d006 Photon DFU Mode $id"
    expect_line "connect: 2b04:c006 Photon $id"
    expect_no_text 'failed'
    flash_holds board 0x08020000 part1.bin
    rm -rf board
}

who=(as_user)
flashes
if [ "$(id -u)" = 0 ]; then
    who=(env)
    flashes
fi

# 0.4.3 has gone before the host can end its question: an error in the page as well, and the flash is
# right all the same.
run_ok vphoton module build -o user --release 0.4.4 --part user
chmod 644 user
who=(as_user)
in_page --release 0.4.3 -- user 0x080A0000 00000000010C,00000000050C
expect_line "read $(size user) bytes back: identical"
expect_text 'left with an error: '
expect_line 'disconnect: 2b04:d006 Photon DFU Mode 00000000010C'
