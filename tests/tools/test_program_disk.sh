#!/bin/bash
# A full disk: nothing half made, nothing lost, and it is said.
. "$SOURCE_DIR/tests/tools/lib.sh"

# A limit on the size of files makes writes fail as a full disk does, and needs no rights.
limited() {
    (ulimit -f "$1" && shift && exec "$@")
}

# Making a board: nothing is left.
run limited 512 vphoton new board
expect_status 3
expect_line 'vphoton: board/flash.bin: cannot write 1048576 bytes: File too large'
[ ! -e board ] || fail 'half a board was left'
mkdir board
run limited 512 vphoton new board
expect_status 3
rmdir board || fail 'half a board was left'

# A run: what could be written is an operation boundary, the board dies there, and we say so.
run_ok vphoton new board --release 2.2.0
run_ok vphoton module build -o user --release 0.5.2 --part user
cp -a board before
run limited 512 vphoton run -d board --dfu -- dfu-util -a 0 -s 0x080A0000 -D user
expect_status 3
expect_text 'vphoton: board/'
expect_text 'cannot write: File too large; the directory keeps the last complete flash operation'
expect_lines 1 'vphoton: '
rm -rf written && cp -a board written
run_ok vphoton run -d board --dfu -- dfu-util -a 0 -s 0x080A0000 -D user
flash_holds board 0x080A0000 user

# The same with a disk that is really full, where a namespace of our own lets us have one.
# shellcheck disable=SC2016 # variables of the shell in the namespace
script='
mount -t tmpfs -o size=1200k tmpfs small &&
cp -a before small/board &&
{ dd if=/dev/zero of=small/ballast bs=4k status=none 2>/dev/null; true; } &&
{ "$VPHOTON" run -d small/board --dfu -- dfu-util -a 0 -s 0x080A0000 -D user >out 2>&1; echo $? >code; } &&
rm small/ballast && cp -a small/board after'
mkdir small
if unshare -rm true 2>/dev/null; then
    unshare -rm sh -c "$script" || fail 'the full disk'
    said='a run on a full disk' status=$(cat code)
    expect_status 3
    expect_text 'No space left on device; the directory keeps the last complete flash operation'
    run_ok vphoton run -d after --dfu -- dfu-util -a 0 -s 0x080A0000 -D user
    flash_holds after 0x080A0000 user
fi
