#!/bin/bash
# A client that is killed in the middle of a transfer frees the board for the next one; a killed
# server's files go with the next run.
. "$SOURCE_DIR/tests/tools/lib.sh"
[ -x "${CLIENTS:?}/client_usbfs" ] || skip "no libusb-1.0-0-dev"

# Interfaces claimed and transfers in flight of a dead client are gone.
cat >killed.sh <<'END'
set -e
mkfifo said
"$CLIENTS/client_usbfs" hang >said &
client=$!
read -r line <said
[ "$line" = hanging ]
kill -9 "$client"
wait "$client" || [ $? = 137 ]
"$CLIENTS/client_usbfs" claims
"$CLIENTS/client_usbfs" urbs
END
run_ok vphoton run --dfu -- bash killed.sh

# Clients outlive the server: their device is gone, and nothing hangs.
mkdir place
cat >orphan.sh <<'END'
mkfifo said_too
"$CLIENTS/client_usbfs" unplug >said_too 2>orphan.err &
client=$!
read -r line <said_too
kill -9 "$PPID"
wait "$client"
echo "$?" >orphan.status
END
XDG_RUNTIME_DIR=$WORK/place vphoton run --dfu -- bash orphan.sh || true
for _ in $(seq 500); do
    [ -s orphan.status ] && break
    sleep 0.01
done
[ "$(cat orphan.status)" = 1 ] || fail "a client of a dead server: $(cat orphan.err)"
grep -q 'No such device' orphan.err || fail "not the loss of its device: $(cat orphan.err)"
[ -n "$(ls -A place)" ] || fail "the killed server was expected to leave its folder"
XDG_RUNTIME_DIR=$WORK/place run_ok vphoton run --dfu -- true
[ -z "$(ls -A place)" ] || fail "left behind: $(ls -A place)"
