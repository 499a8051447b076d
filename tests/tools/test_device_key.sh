#!/bin/bash
# The device key: every new board has one of its own, a board that lost it makes another at its next
# start, and what is read through DFU is a key to openssl.
. "$(dirname "$0")/lib.sh"

# read_key BOARD FILE: as `particle keys save` reads it.
read_key() {
    rm -f "$2"
    dfu_ok "$1" -d 2b04:d006 -a 1 -s 34:612 -U "$2"
}

expect_key() {
    run openssl rsa -inform DER -in "$1" -check -noout
    expect_status 0
    expect_text 'RSA key ok'
    openssl rsa -inform DER -in "$1" -noout -text 2>/dev/null | grep -q '^Private-Key: (1024 bit' ||
        fail "$1 is no RSA key of 1024 bits"
}

expect_other() {
    ! cmp -s "$1" "$2" || fail "$1 and $2 are the same key"
}

head -c 612 /dev/zero | tr '\0' '\377' >none
for release in 0.4.3 0.6.3 2.2.0; do
    board=board-$release
    vphoton new "$board" --release $release --seed 7
    read_key "$board" first-$release
    expect_key first-$release

    # Without it the board makes one at its start, and starts again.
    dfu_ok "$board" -a 1 -s 34 -D none
    vphoton run -d "$board" --events=events -- true
    grep -q 'boot: no device key: makes one' events || fail "release $release makes no key"
    grep -q 'reset: device key made' events || fail "release $release does not start again"
    read_key "$board" second-$release
    expect_key second-$release
    expect_other first-$release second-$release

    # That was the first start: the next one is like any other.
    vphoton run -d "$board" --events=events -- true
    ! grep -q 'makes one' events || fail "release $release makes a key at every start"
done

# A new board's key follows from its seed; the board of a run without a directory has one, too.
expect_same first-0.4.3 first-2.2.0
vphoton new other --seed 8
read_key other other_key
expect_key other_key
expect_other other_key first-0.4.3
vphoton new same --seed 1
read_key same same_key
run vphoton run --dfu -t warp -- dfu-util -a 1 -s 34:612 -U fresh_key
expect_status 0
expect_key fresh_key
expect_same fresh_key same_key
