#!/bin/bash
# `module build` makes what was asked for, always the same, and judges what cannot be.
. "$(dirname "$0")/lib.sh"

# wrong TEXT OPTION...: refused with exit code 2, one line, and no file
wrong() {
    local text=$1
    shift
    run vphoton module build -o refused.bin "$@"
    expect_status 2
    expect_text "$text"
    [ "$(wc -l <"$WORK/out")" = 1 ] || fail 'one line expected'
    [ ! -e refused.bin ] || fail 'a file was made'
}

run_ok vphoton module build -o user.bin -p user -v 4 -d system,2,17 -d 2,0,0x190 --size 5324 \
    --product-id 6 --product-version 2 --seed 1
run_ok vphoton module show user.bin
expect_line 'user.bin: user part 4, needs system-part2 17 and bootloader 400'
expect_line '  size      5324 bytes'
expect_line '  place     0x080A0000 to 0x080A14C8, prefix at offset 0x0'
expect_line '  platform  6 (Photon)'
expect_line '  suffix    40 bytes, product 6 version 2'
expect_text ', good'
run_ok vphoton module verify user.bin

# The same again is the same, another seed is not.
vphoton module build -o again.bin -p user -v 4 -d system,2,17 -d 2,0,0x190 --size 5324 \
    --product-id 6 --product-version 2 --seed 1
expect_same user.bin again.bin
vphoton module build -o again.bin -p user -v 4 -d system,2,17 -d 2,0,0x190 --size 5324 \
    --product-id 6 --product-version 2 --seed 2
! cmp -s user.bin again.bin || fail 'the seed does not matter'

# A release settles everything; part2 0.5.2 has its bootloader where the real one has it.
vphoton module build -r 0.5.2 -p part2 -o part2.bin
[ "$(size part2.bin)" = 187492 ] || fail 'part2 0.5.2 has another size'
vphoton module build -r 0.5.2 -p bootloader -o bootloader.bin
cmp -i 165120:0 -n 14052 part2.bin bootloader.bin || fail 'the bootloader is not in part2'
run_ok vphoton module verify part2.bin
run_ok vphoton module verify bootloader.bin

# What is written goes over what was there, through a link, and only when it is whole.
echo old >old.bin
ln -s old.bin link.bin
vphoton module build -p user -o link.bin
[ -L link.bin ] || fail 'the link is gone'
[ "$(size old.bin)" = 4096 ] || fail 'the file behind the link was not written'
(umask 027 && vphoton module build -p user -o mode.bin)
[ "$(stat -c %a mode.bin)" = 640 ] || fail "mode $(stat -c %a mode.bin)"
run vphoton module build -p user -o /dev/full
expect_status 3
expect_text '/dev/full: cannot write 4096 bytes: No space left on device'
run vphoton module build -p user -o none/user.bin
expect_status 3
expect_text 'none/user.bin: cannot write 4096 bytes: No such file or directory'
run vphoton module build -p user -o .
expect_status 3
[ -c /dev/full ] || fail '/dev/full is gone'
vphoton module build -p user -o /dev/stdout | cmp - mode.bin || fail 'not the same through a pipe'
[ -z "$(find . -name '*.bin.*')" ] || fail "left behind: $(find . -name '*.bin.*')"

wrong 'part "core" found; bootloader, part1, part2 or user expected' -p core
wrong 'unknown release "0.4.8"; known: 0.4.0' -r 0.4.8 -p user
wrong '--release needs --part' -r 0.4.3
wrong '--size does not go with --release' -r 0.4.3 -p user --size 64
wrong '--part settles function, index and start' -p user -i 2
wrong '--part, or --function and --start expected' -f user
wrong 'function "app" found' -f app -s 0x080A0000
wrong 'function "256" found' -f 256 -s 0x080A0000
wrong 'index "256" found, a number from 0 to 255 expected' -f user -s 0x080A0000 -i 256
wrong 'version "65536" found, a number from 0 to 65535 expected' -p user -v 65536
wrong 'version "-1" found' -p user -v -1
wrong 'start "0x1080A0000" found' -f user -s 0x1080A0000
wrong 'start "0x" found' -f user -s 0x
wrong 'start "0x80G" found' -f user -s 0x80G
wrong 'size 60 found, a multiple of 4 from 68 on expected' -p user --size 60
wrong 'size 70 found, a multiple of 4 from 68 on expected' -p user --size 70
wrong 'size 452 found, a multiple of 4 from 456 on expected' -p part1 --size 452
wrong 'size "1048577" found' -p user --size 1048577
wrong 'suffix 38 found, 36 or 40 expected' -p user --suffix 38
wrong 'reach behind the address space' -f user -s 0xFFFFFF00
wrong 'looks like a stack pointer' -f user -s 0x20000000
wrong 'dependency "system,2" found, one like system,2,17 expected' -p user -d system,2
wrong 'dependency "system,2,x" found' -p user -d system,2,x
wrong 'dependency "system,256,1" found' -p user -d system,256,1
wrong 'more than two dependencies' -p user -d 4,1,1 -d 4,2,1 -d 2,0,1
wrong '"more" found, no more words expected' -p user more
wrong "unknown option '--nonsense'" --nonsense
run vphoton module build -p user
expect_status 2
expect_text 'no --output given'
run vphoton module
expect_status 2
expect_text 'build, show or verify expected'
run vphoton module make
expect_status 2
expect_text '"make" found; build, show or verify expected'
for part in '' build show verify; do
    # shellcheck disable=SC2086 # nothing, or a word
    run_ok vphoton module $part --help
    expect_text 'usage: vphoton module'
done
