#!/bin/bash
# What `module show --json` says of real and of built modules, Particle's own parser says too.
. "$(dirname "$0")/lib.sh"

npm_packages binary-version-reader-1.3.0
real=$(firmware system-part1-2.2.0.bin)

mkdir built
vphoton new --release list | while read -r release system _; do
    case $system in [0-9]*) ;; *) continue ;; esac
    for part in bootloader part1 part2 user; do
        vphoton module build --release "$release" --part $part -o "built/$release-$part.bin"
    done
done
vphoton module build -p user -d system,2,17 -d bootloader,0,3 --product-id 6 --product-version 2 \
    -o built/product.bin
vphoton module build -p user --suffix 36 --size 64 -o built/smallest.bin
vphoton module build -p user --platform 8 --size 5324 -v 65535 --seed 7 -o built/p1.bin
vphoton module build -f resource -s 0x080C0000 -i 200 -o built/resource.bin
vphoton module build -f monolithic -s 0x08020000 --size 0x60000 -o built/monolithic.bin

# Bits flipped in the body, in the SHA-256 and in the CRC.
for at in 1000 5290 5322; do
    cp "$FIRMWARE/tinker-0.4.5-photon.bin" "built/flipped-$at.bin"
    printf '\x5a' | dd of="built/flipped-$at.bin" bs=1 seek=$at conv=notrunc status=none
done

run_ok node "$SOURCE_DIR/tests/tools/module_parser.js" "$(dirname "$real")"/*.bin built/*.bin
compared=$(sed -n 's/ files compared$//p' "$WORK/out")
[ "$compared" -gt 180 ] || fail "too few files compared: $compared"
