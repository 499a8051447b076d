#!/bin/bash
# Keys and flags are read and written in the DCT through alternate setting 1.
. "$(dirname "$0")/lib.sh"

# Reproducible noise that stands for a key.
noise() {
    openssl enc -aes-128-ctr -K "$(printf '%032d' "$1")" -iv "$(printf '%032d' 0)" -in /dev/zero \
        2>/dev/null | head -c "$2" || true
}

noise 1 612 >device_key
noise 2 512 >server_key
printf '\245' >flag

for release in 0.4.0 0.4.3 0.4.9 0.6.3 0.7.0 1.5.0 2.2.0; do
    board=board-$release
    vphoton new "$board" --release $release
    dfu_ok "$board" -d 2b04:d006 -a 1 -s 34 -D device_key
    dfu_ok "$board" -d 2b04:d006 -a 1 -s 2082 -D server_key
    # A byte is too short for a suffix, which dfu-util says and goes on.
    dfu_ok "$board" -d 2b04:d006 -a 1 -s 1753 -D flag
    expect_text 'File too short for DFU suffix'

    rm -f key server byte
    dfu_ok "$board" -a 1 -s 34:612 -U key
    dfu_ok "$board" -a 1 -s 2082:512 -U server
    dfu_ok "$board" -a 1 -s 1753:1 -U byte
    expect_same key device_key
    expect_same server server_key
    expect_same byte flag

    # Offset 34 of the table's application section, in one of its two copies.
    dct1=$(flash_bytes "$board" $((0x08004000 + 7548 + 34)) 612)
    dct2=$(flash_bytes "$board" $((0x08008000 + 7548 + 34)) 612)
    wanted=$(xxd_plain device_key 0 612)
    [ "$dct1" = "$wanted" ] || [ "$dct2" = "$wanted" ] ||
        fail "release $release: the key is in neither copy of the table"
done
