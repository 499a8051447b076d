#!/bin/bash
# `module show` and `verify` on files that are no module, or not a whole one: one clear line.
. "$(dirname "$0")/lib.sh"

# no CODE FILE TEXT: both say this one line.
no() {
    local part
    for part in show verify; do
        run vphoton module "$part" "$2"
        expect_status "$1"
        expect_line "vphoton: $2: $3"
        [ "$(wc -l <"$WORK/out")" = 1 ] || fail 'one line expected'
    done
}

# refused FILE TEXT: can be shown, but no board takes it.
refused() {
    run_ok vphoton module show "$1"
    run vphoton module verify "$1"
    expect_status 1
    expect_line "vphoton: $1: $2"
}

# patch FILE OFFSET BYTES: as printf writes them
patch() {
    # shellcheck disable=SC2059 # the bytes are written as escapes
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

vphoton module build -r 0.4.3 -p part1 -o part1.bin
vphoton module build -p user --size 1024 -o user.bin

: >empty
no 1 empty '0 bytes found, at least 64 expected of a module'
head -c 16 user.bin >sixteen
no 1 sixteen '16 bytes found, at least 64 expected of a module'
head -c 447 part1.bin >short
no 1 short '447 bytes found, at least 452 expected of a module with a vector table'
head -c 1023 user.bin >truncated
no 1 truncated 'offset 0: start 0x080A0000 and end 0x080A03FC found, which do not fit a module in a file of 1023 bytes'
head -c 1024 /dev/zero >zeros
no 1 zeros 'offset 0: start 0x00000000 and end 0x00000000 found, which do not fit a module in a file of 1024 bytes'
tr '\0' '\377' <zeros >ones
no 1 ones 'offset 0: start 0xFFFFFFFF and end 0xFFFFFFFF found, which do not fit a module in a file of 1024 bytes'
cp user.bin suffix
patch suffix 1018 '\x29'
no 1 suffix 'offset 1018: suffix size 41 found, 36 or 40 expected'

truncate -s 4G sparse
no 3 sparse '4294967296 bytes found, at most 1048576 expected (the whole flash)'
mkdir directory
no 3 directory 'directory found, a file with a firmware module expected'
mkfifo fifo
no 3 fifo 'no regular file found, a file with a firmware module expected'
no 3 missing 'cannot open: No such file or directory'
no 3 /dev/zero 'no regular file found, a file with a firmware module expected'
if [ "$(id -u)" != 0 ]; then
    cp user.bin secret
    chmod 0 secret
    no 3 secret 'cannot open: Permission denied'
fi

# crc FILE: of its body; gzip's trailer holds the same kind of CRC.
crc() {
    head -c 1020 "$1" | gzip -c | tail -c 8 | od -An -tx4 -N4 --endian=little | tr -d ' '
}

# The program says which CRC the file has.
cp user.bin crc
patch crc 500 '\xa5\x5a\xa5\x5a'
computed=$(crc crc)
stored=$(tail -c 4 crc | od -An -v -tx1 | tr -d ' \n')
refused crc "offset 1020: CRC ${stored^^} found, ${computed^^} expected"
expect_line 'vphoton: crc: note: the SHA-256 is not that of this file'
run_ok vphoton module show crc
expect_line "  CRC       ${stored^^}, BAD: the file has ${computed^^}"
expect_text 'not that of this file (no board asks)'

vphoton module build -p part1 --platform 8 -o p1
refused p1 'offset 400: platform 8 found, 6 (Photon) expected'
vphoton module build -f system -i 3 -s 0x08020000 -o part3
refused part3 'offset 402: function 4 index 3 found, a bootloader (2/0), system part (4/1, 4/2) or user part (5/1) expected'
vphoton module build -f system -i 2 -s 0x08020000 -o misplaced
refused misplaced 'offset 388: start 0x08020000 found, 0x08060000 expected of a system-part2'
vphoton module build -p user --size 131076 -o large
refused large '131076 bytes found, at most 131072 expected of a user part'

# The SHA-256 alone is no reason, nor is what follows the module.
cp user.bin digest
patch digest 1000 '\xa5\x5a\xa5\x5a'
patch digest 1020 "$(crc digest | sed 's/../\\x&/g')"
run_ok vphoton module verify digest
expect_line 'vphoton: digest: note: the SHA-256 is not that of this file'
expect_text 'digest: good: user part 1, 1024 bytes, needs nothing'
{ cat user.bin && printf '\0'; } >padded
run_ok vphoton module verify padded
expect_line 'vphoton: padded: note: 1 bytes follow the module'
run_ok vphoton module show padded
expect_line '  behind it 1 bytes that do not belong to the module'

run vphoton module show
expect_status 2
expect_text '0 names found, one module file expected'
run vphoton module verify user.bin part1.bin
expect_status 2
expect_text '2 names found, one module file expected'
run vphoton module verify --json user.bin
expect_status 2
# A name that is no UTF-8 is shown all the same.
cp user.bin $'\xff.bin'
run_ok vphoton module show --json $'\xff.bin'
expect_text '"filename": null'
