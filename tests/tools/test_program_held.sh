#!/bin/bash
# The system loads a command while its boards are still being made: of the command itself nothing
# runs before they are there, whatever kind of program it is.
. "$SOURCE_DIR/tests/tools/lib.sh"

# The run waits where it opens the file for its events, until somebody reads them. Each command says
# something as soon as it runs; the static one how it is used.
mkfifo events
printf '#!/bin/sh\necho said\n' >script
chmod +x script
cp "$BUILD_DIR/tests/tools/forbid" static
cp "$(type -P echo)" privileged
chmod u+s privileged

# A run that waits for its reader would outlive a test that fails.
waiting=
trap '[ -z "$waiting" ] || kill -9 $waiting; rm -rf "$WORK"' EXIT

# still: the command's process is there and waits; at most 10 s.
still() {
    local child
    for _ in $(seq 500); do
        child=$(cat "/proc/$1/task/$1/children" 2>/dev/null || true)
        if [ -n "$child" ] && grep -q '^State:.*sleeping' "/proc/${child% }/status"; then
            return
        fi
        sleep 0.02
    done
    fail "the command of run $1 is not there"
}

# ended PID: at most 10 s.
ended() {
    for _ in $(seq 500); do
        if [ ! -e "/proc/$1" ] || grep -q '^State:.*zombie' "/proc/$1/status" 2>/dev/null; then
            return
        fi
        sleep 0.02
    done
    fail "process $1 did not end"
}

for command in 'echo said' ./script ./static './privileged said'; do
    said=$command
    # shellcheck disable=SC2086 # words of a command line
    vphoton run --events=events -- $command >out 2>&1 & waiting=$!
    still $waiting
    [ ! -s out ] || fail 'it ran before the board was there'
    cat events >told
    status=0
    wait $waiting || status=$?
    waiting=
    case $command in
    ./static) expect_status 2 && expect_text 'usage: forbid' ;;
    *) expect_status 0 && expect_line said ;;
    esac
    grep -q 'LED' told || fail 'no events'

    # A run that is killed takes the command with it.
    # shellcheck disable=SC2086
    vphoton run --events=events -- $command >out 2>&1 & waiting=$!
    still $waiting
    child=$(cat /proc/$waiting/task/$waiting/children)
    kill -9 $waiting
    wait $waiting 2>/dev/null || true
    waiting=
    ended "${child% }"
    [ ! -s out ] || fail 'it ran without a board'

    # So does one that fails.
    # shellcheck disable=SC2086
    run vphoton run --release 9.9 -- $command
    expect_status 2
    [ "$(wc -l <out)" = 1 ] || fail 'expected one line'
    # shellcheck disable=SC2086
    run vphoton run --report /no/where -- $command
    expect_status 3
    [ "$(wc -l <out)" = 1 ] || fail 'expected one line'
done

# The command sees nothing of it: neither in its environment nor among its files.
env | sort | cut -d= -f1 >plainly
vphoton run -- env | sort | cut -d= -f1 >under
comm -13 plainly under >ours
printf 'LD_PRELOAD\nVPHOTON_CONTROL\nVPHOTON_PRELOAD\n' >expected
expect_same expected ours
ls /proc/self/fd >plainly
vphoton run -- ls /proc/self/fd >under
expect_same plainly under
