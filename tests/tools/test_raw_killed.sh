#!/bin/bash
# Under --raw, programs that die in the middle leave nothing stuck, and programs that outlive the
# command go on without boards.
. "$(dirname "$0")/lib.sh"
[ -x "${CLIENTS:?}/client_usbfs" ] || skip "no libusb-1.0-0-dev"
raw_possible root

# Killed with a transfer in flight, and within one: the next program has the board to itself.
cat >killed.sh <<'END'
set -e
for program in "$CLIENTS/client_usbfs hang" "$BUILD_DIR/tests/tools/static_dfu 1-1 hang"; do
    rm -f said && mkfifo said
    $program >said &
    read -r line <said
    [ "$line" = hanging ]
    kill -9 $!
    wait $! || [ $? = 137 ]
    "$CLIENTS/client_usbfs" claims
    "$CLIENTS/client_usbfs" urbs
done
END
run_ok vphoton run --raw --dfu -- bash killed.sh

# Many at once, killed wherever they are.
cat >storm.sh <<'END'
for round in $(seq 20); do
    for client in 1 2 3; do
        "$CLIENTS/client_usbfs" urbs 2>/dev/null & pids[client]=$!
    done
    sleep "0.0$((round % 10))"
    kill -9 "${pids[@]}"
done 2>/dev/null
wait
"$CLIENTS/client_usbfs" claims
END
run_ok vphoton run --raw --dfu -- bash storm.sh

# A command that ends leaves its descendants what the system has, and nobody waits for them.
mkdir place
cat >daemon.sh <<'END'
(
    exec </dev/null >daemon.out 2>&1
    "$BUILD_DIR/tests/tools/static_dfu" 1-1 hang
    while [ ! -e over ]; do sleep 0.01; done
    cat /etc/passwd >/dev/null && echo "opens files"
    echo x >/dev/null && echo "has its devices"
    touch done
) &
while ! grep -q hanging daemon.out 2>/dev/null; do sleep 0.01; done
END
XDG_RUNTIME_DIR=$WORK/place run_ok vphoton run --raw --dfu -- bash daemon.sh
[ ! -e "done" ] || fail 'it was waited for'
touch over
for _ in $(seq 1000); do
    [ -z "$(ls -A place)" ] && break
    sleep 0.01
done
[ -z "$(ls -A place)" ] || fail "left behind: $(ls -A place)"
mv daemon.out out
expect_text 'hang: No such device'
expect_line 'opens files'
expect_line 'has its devices'

# vphoton itself killed: its programs do not hang.
cat >orphan.sh <<'END'
mkfifo said
"$CLIENTS/client_usbfs" unplug >said 2>/dev/null &
exec 3>orphan.status
read -r line <said
kill -9 "$PPID"
wait $!
echo "$?" >&3
END
vphoton run --raw --dfu -- bash orphan.sh || true
for _ in $(seq 1000); do
    [ -s orphan.status ] && break
    sleep 0.01
done
[ "$(cat orphan.status)" = 1 ] || fail 'the program of a dead vphoton hangs'
