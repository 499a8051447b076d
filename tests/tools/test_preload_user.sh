#!/bin/bash
# An ordinary user with no capabilities finds, reads and claims boards, and leaves nothing behind.
. "$SOURCE_DIR/tests/tools/lib.sh"
command -v dfu-util >/dev/null || skip "no dfu-util"
[ -x "${CLIENTS:?}/client_usbfs" ] || skip "no libusb-1.0-0-dev"
installed
mkdir -m 777 place

user() {
    as_user env XDG_RUNTIME_DIR="$WORK/place" "$@"
}

run_ok user vphoton run --dfu -- dfu-util -l
expect_lines 2 'Found DFU: [2b04:d006]'
run_ok user vphoton run --dfu -- "$CLIENTS/client_usbfs" claims
# shellcheck disable=SC2016 # for the shell inside
run_ok user vphoton run --dfu -- sh -c 'stat -c %a:%u "$XDG_RUNTIME_DIR"/vphoton-*'
expect_line "700:$(user id -u)"
[ -z "$(ls -A place)" ] || fail "left behind: $(ls -A place)"
