#!/bin/bash
# Sectors that the memory string offers but the bootloader protects: silent up to 0.4.8, a STALL
# that dfu-util reports from 0.4.9 on. What the string does not offer dfu-util refuses by itself.
. "$(dirname "$0")/lib.sh"

head -c 4096 /dev/urandom >block
head -c 65537 /dev/zero >64k-and-one

below_parts() {
    head -c $((0x20000)) "$1/flash.bin"
}

for release in 0.4.0 0.4.3 0.4.5; do
    vphoton new "board-$release" --release $release
    below_parts "board-$release" >before
    for address in 0x0800C000 0x08010000; do
        dfu_ok "board-$release" -a 0 -s $address -D block
        expect_line 'File downloaded successfully'
    done
    flash_same_but_flags() {
        below_parts "$1" | tail -c +$((0xC001)) | cmp - <(tail -c +$((0xC001)) before)
    }
    flash_same_but_flags "board-$release" || fail "release $release wrote a protected sector"
done

for release in 0.4.9 0.5.2 0.6.3 0.7.0 1.5.0 2.2.0; do
    vphoton new "board-$release" --release $release
    below_parts "board-$release" >before
    for address in 0x0800C000 0x08010000; do
        dfu "board-$release" -a 0 -s $address -D block
        expect_status 74
        expect_text 'dfu-util: Error during special command "ERASE_PAGE" get_status'
    done
    below_parts "board-$release" | tail -c +$((0xC001)) | cmp - <(tail -c +$((0xC001)) before) ||
        fail "release $release wrote a protected sector"
done

for release in 0.4.3 2.2.0; do
    cp "board-$release/flash.bin" before.bin
    for address in 0x08000000 0x08004000 0x08008000; do
        dfu "board-$release" -a 0 -s $address -D block
        expect_status 64
        expect_text 'is not writeable'
    done
    # A Core's address.
    dfu "board-$release" -a 0 -s 0x08005000 -D block
    expect_status 64
    expect_text 'at 0x08005fff is not writeable'
    # Too long for the flash.
    head -c 131072 /dev/zero >long
    dfu "board-$release" -a 0 -s 0x080F0000 -D long
    expect_status 64
    expect_text 'Last page at 0x0810ffff is not writeable'
done
