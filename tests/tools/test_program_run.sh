#!/bin/bash
# `vphoton run` stands between a command and its caller as if it were not there.
. "$SOURCE_DIR/tests/tools/lib.sh"

# Exit codes: the command's own, 128+n for a signal, 127 and 126 when it cannot be run.
for code in 0 1 2 3 42 74 255; do
    run vphoton run -- sh -c "exit $code"
    expect_status "$code"
done
run vphoton run -- sh -c 'kill -9 $$'
expect_status 137
run vphoton run -- sh -c 'kill -SEGV $$'
expect_status 139
run vphoton run -- no-such-command-anywhere
expect_status 127
expect_line 'vphoton: no-such-command-anywhere: cannot run: No such file or directory'
touch plain
run vphoton run -- ./plain
expect_status 126
expect_line 'vphoton: ./plain: cannot run: Permission denied'
run vphoton run -- /
expect_status 126

# A script without an interpreter line runs as from a shell.
printf 'echo a plain script\n' >plain && chmod +x plain
run_ok vphoton run -- ./plain
expect_line 'a plain script'

# Wrong usage.
for arguments in '' '--' '--time slow true' '--bogus true' '-d' '--release 9.9 true' \
    '--release 0.4.3 -d x true'; do
    # shellcheck disable=SC2086 # words of a command line
    run vphoton run $arguments
    expect_status 2
    [ "$(wc -l <"$WORK/out")" = 1 ] || fail "expected one line"
done

# Options of the command are its own, with and without "--".
run_ok vphoton run echo --time slow -d x
expect_line '--time slow -d x'
run_ok vphoton run --time fast -- echo x --help
expect_line "x --help"

# Standard input, output and error are the caller's.
[ "$(printf 'some text' | vphoton run -- cat)" = 'some text' ] || fail 'standard input'
vphoton run -- sh -c 'echo out; echo err >&2' >o 2>e
[ "$(cat o) $(cat e)" = "out err" ] || fail 'standard output and error'
vphoton run -- sh -c 'exec <&-; exit 5' <&- || [ $? = 5 ] || fail 'a closed standard input'
[ "$(vphoton run -- sh -c 'cat <&7' 7<<<'another file')" = 'another file' ] || fail 'further files'

# Its environment, folder, umask and signal settings too.
# shellcheck disable=SC2016 # the inner shell's variable
[ "$(A='b c' vphoton run -- sh -c 'echo "$A"')" = 'b c' ] || fail 'the environment'
[ "$(vphoton run -- pwd)" = "$PWD" ] || fail 'the folder'
# shellcheck disable=SC2016 # the inner shell's variables
signals='grep -E "^Sig(Blk|Ign|Cgt)" /proc/self/status'
sh -c "exec $signals" >plainly
vphoton run -- sh -c "exec $signals" >under
expect_same plainly under
(trap '' INT HUP CHLD && sh -c "exec $signals" >plainly && vphoton run -- sh -c "exec $signals" >under)
expect_same plainly under
# Nothing of ours is open in the command, but what the preload library needs.
# shellcheck disable=SC2016
vphoton run -- sh -c 'ls -l /proc/$$/fd' >fds
! grep -E 'lock|flash|signalfd|eventpoll' fds || fail 'files leak into the command'

# Standard files that are closed stay closed for the command, and are nobody else's for us.
run_ok vphoton new closed
# shellcheck disable=SC2016 # the inner shell's variables
vphoton run -d closed -- sh -c 'exec 9>fds
    for f in 0 1 2; do [ ! -e /proc/self/fd/$f ] || echo $f >&9; done' <&- >&- 2>&-
[ ! -s fds ] || fail "open in the command: $(cat fds)"
vphoton run -d closed -d closed -- true <&- >&- 2>&- || [ $? = 3 ] || fail 'closed files'
run_ok vphoton inspect closed

# One run within another: the inner one's boards hide the outer one's.
run_ok vphoton run --dfu -- vphoton run --release 2.2.0 --dfu -- dfu-util -l
expect_lines 2 'Found DFU'
expect_no_text 'serial="00000000010C"'

# A board from a directory is locked while it runs.
run_ok vphoton new board
run vphoton run -d board -- vphoton run -d board -- true
expect_status 3
grep -qE '^vphoton: board: in use by process [0-9]+$' out || fail 'no word of the lock'
run vphoton run -d board -d ./board -- true
expect_status 3
expect_text './board: in use by process'
run vphoton run -d board -- vphoton inspect board
expect_status 3
run_ok vphoton run -d board -- true

# Several boards: told apart by path, and by serial number where the release has one.
run_ok vphoton new old
run_ok vphoton new new --release 2.2.0 --id 2e001f000347343233323032
run_ok vphoton run -d old -d new --dfu -- dfu-util -l
expect_lines 4 'Found DFU'
expect_lines 2 'path="1-1"'
expect_lines 2 'serial="2e001f000347343233323032"'

# A descendant that outlives the command holds nothing up.
start=$EPOCHREALTIME
run_ok vphoton run -- sh -c 'sleep 60 >/dev/null 2>&1 & echo $! >pid'
kill "$(cat pid)"
awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { exit !(b - a < 30) }' || fail 'waited for it'

# A board that did not get to DFU says why; nothing is run.
cp -a board broken
head -c 16384 /dev/zero | tr '\0' '\377' | dd of=broken/flash.bin conv=notrunc status=none
run vphoton run -d broken --dfu -- touch ran
expect_status 3
expect_text 'broken: did not reach DFU mode: no whole bootloader in sector 0'
[ ! -e ran ] || fail 'the command ran'

# Reports and events that cannot be written are said before or after, never lost in silence.
run vphoton run --events=/no/where -- touch ran
expect_status 3
expect_text '/no/where: cannot write'
run vphoton run --report /no/where -- touch ran
expect_status 3
expect_text '/no/where: cannot write'
[ ! -e ran ] || fail 'the command ran'
run vphoton run --report /dev/full -- true
expect_status 3
expect_text '/dev/full: cannot write the report: No space left on device'
run vphoton run --events=/dev/full -- true
expect_status 3
expect_text 'cannot write all of the events'

# Nothing is left behind, however the command ends.
for end in 'exit 0' 'exit 1' 'kill -9 $$'; do
    run vphoton run -- sh -c "echo \"\$VPHOTON_PRELOAD\" >folder; ls -d \"\$VPHOTON_PRELOAD\"; $end"
    expect_line "$(cat folder)"
    [ ! -e "$(cat folder)" ] || fail 'the folder of the virtual bus was left'
done
