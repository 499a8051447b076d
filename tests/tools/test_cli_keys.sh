#!/bin/bash
# Particle's CLI and the keys of a board in DFU mode: saves the board's own, makes and writes a new pair,
# writes a server's key and reads its address. What goes to the cloud goes to a stand-in.
. "$(dirname "$0")/lib.sh"
. "$SOURCE_DIR/tests/tools/particle_cli.sh"
particle_cli 1.16.0 2.16.0 3.0.0
[ -n "$(command -v openssl)" ] || skip 'no openssl'
id=1f00a2000b47abcdef323032
# Where the DCT's second field begins, and the size that the CLI reads of it.
private_key_offset=34 private_key_size=612

# keys DIR VERSION ARGUMENT...
keys() {
    run vphoton run -t warp -d "$1" --dfu --report report -- "particle-$2" keys "${@:3}"
}

# dct DIR: a file with the board's DCT as DFU shows it.
dct() {
    rm -f dct
    vphoton run -t warp -d "$1" --dfu -- dfu-util -a 1 -s 0:16384 -U dct >/dev/null 2>&1 ||
        fail "cannot read the DCT of $1"
}

# key_in_dct FILE: it begins where the private key is.
key_in_dct() {
    cmp -i "$private_key_offset:0" -n "$(size "$1")" dct "$1" || fail "the DCT does not hold $1"
}

# The wrong things first: a board that runs, of which only the old CLI tells with its exit code, and a file
# that is there already.
vphoton new photon --release 1.5.0 --id $id
run vphoton run -d photon -- particle-1.16.0 keys save key
expect_status 1
expect_line '!!! I was unable to detect any devices in DFU mode...'
run vphoton run -d photon -- particle-2.16.0 keys save key
expect_status 0
expect_line '!!! I was unable to detect any devices in DFU mode...'
[ ! -e key.der ] || fail 'a key came from nowhere'
touch key.der
keys photon 3.0.0 save key
expect_status 1
expect_text 'This file already exists'
rm key.der

for case in '1.16.0 0.4.9' '2.16.0 1.5.0' '3.0.0 2.2.0'; do
    read -r version release <<<"$case"
    board=photon-$version
    vphoton new "$board" --release "$release" --id $id
    keys "$board" "$version" save key
    expect_status 0
    expect_line 'Saved!'
    [ "$(size key.der)" = $private_key_size ] || fail 'key.der has not the size of the field'
    dct "$board"
    key_in_dct key.der
    openssl rsa -pubin -in key.pub.pem -noout -text | grep -q 'Public-Key: (1024 bit)' ||
        fail 'key.pub.pem is no RSA key of 1024 bits'
    mv key.der "$board.der"
    rm key.pub.pem

    run with_cloud $id vphoton run -t warp -d "$board" --dfu --report report -- \
        "particle-$version" keys doctor $id
    expect_status 0
    expect_line 'New Key Created!'
    expect_line 'Okay!  New keys in place, your device should restart.'
    [ "$(cat requests)" = "POST /v1/provisioning/$id BEGIN PUBLIC KEY algorithm=rsa" ] ||
        fail "the cloud was asked: $(cat requests)"
    expect_same "backup_rsa_${id}_rsa_new.der" "$board.der"
    dct "$board"
    key_in_dct ${id}_rsa_new.der
    [ "$(json report 'd["boards"][0]["last_boot"]')" = 'system runs: listening' ] ||
        fail 'the board does not run after keys doctor'
    rm ${id}_* backup_*
done

# Without the cloud the key is in the board all the same, and the CLI says what is missing.
keys photon-3.0.0 3.0.0 doctor $id
expect_status 1
expect_text 'Make sure your device is in DFU mode (blinking yellow), and that your computer is online.'
dct photon-3.0.0
key_in_dct ${id}_rsa_new.der

# A server's key, with an address and without.
keys photon-3.0.0 3.0.0 address
expect_status 0
expect_text 'tcp://device.spark.io:5683'
openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -outform DER -out server.der 2>/dev/null
keys photon-3.0.0 3.0.0 server server.der --host 192.168.1.20
expect_status 0
expect_line 'Okay!  New keys in place, your device will not restart.'
keys photon-3.0.0 3.0.0 address
expect_status 0
expect_text 'tcp://192.168.1.20:5683'
