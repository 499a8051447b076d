#!/bin/bash
# Programs that no library reaches flash a board under --raw and read it back: a static one, one in Go
# with system calls of its own, and dfu-util from an installation without the library. As root and
# as an ordinary user, who stays who they are.
. "$(dirname "$0")/lib.sh"
installed
chmod 777 .
raw_possible root as_user

# The board hears the same from dfu-util with the library and without it.
head -c 5000 /dev/urandom >short
for raw in '' --raw; do
    # shellcheck disable=SC2086
    run_ok vphoton run $raw --dfu --release 1.5.0 --events=trace -- \
        dfu-util -d 2b04:d006 -a 0 -s 0x080A0000:leave -D short
    transfers trace >"transfers$raw"
done
grep -q 'DNLOAD block 2, 904 bytes' transfers || fail 'no second block in the trace'
expect_same transfers transfers--raw

rm "$WORK"/stage/lib*/vphoton/libvphoton-preload.so "$WORK"/stage/lib/*/vphoton/libvphoton-preload.so 2>/dev/null || true
run vphoton run -- true
expect_status 3 # there is no library any more

slot=0x080A0000
head -c 100000 /dev/urandom >first
head -c 70001 /dev/urandom >second
cp "$BUILD_DIR/tests/tools/static_dfu" static_dfu
programs=(./static_dfu)
# A static program has no interpreter that would load a library.
! readelf -l static_dfu | grep -q INTERP || fail 'static_dfu is dynamic'
if command -v go >/dev/null; then
    CGO_ENABLED=0 GO111MODULE=off GOCACHE=$WORK/cache GOPATH=$WORK/go \
        go build -o raw_dfu "$SOURCE_DIR/tests/tools/raw/raw_dfu.go"
    ! readelf -l raw_dfu | grep -q INTERP || fail 'raw_dfu is dynamic'
    programs+=(./raw_dfu)
else
    echo "no go here: a program in C only"
fi

for program in "${programs[@]}"; do
    for who in '' as_user; do
        rm -f back
        # shellcheck disable=SC2086 # nobody is no word
        run_ok $who vphoton run --raw --dfu --release 1.5.0 -- sh -ec "
            $program 1-1 download $slot first
            $program 1-1 upload $slot 100000 back"
        expect_same first back
    done
done

# Two boards at once, told apart by their ports.
vphoton new one --release 1.5.0
vphoton new two --release 0.4.3
for program in "${programs[@]}"; do
    run_ok vphoton run --raw -d one -d two --dfu -- sh -ec "
        $program 1-1 download $slot first & pid=\$!
        $program 1-2 download $slot second
        wait \$pid"
    flash_holds one $slot first
    flash_holds two $slot second
    run_ok vphoton run --raw -d one -d two --dfu -- sh -ec "
        $program 1-1 download $slot second
        $program 1-2 download $slot first"
    flash_holds one $slot second
    flash_holds two $slot first
done

# A dynamic program with nothing loaded into it.
for who in '' as_user; do
    rm -f back
    # shellcheck disable=SC2086
    run_ok $who vphoton run --raw --dfu --release 1.5.0 -- sh -ec "
        dfu-util -d 2b04:d006 -a 0 -s $slot -D first
        dfu-util -d 2b04:d006 -a 0 -s $slot:100000 -U back
        echo \"preloaded: \${LD_PRELOAD:-nothing}\""
    expect_line 'File downloaded successfully'
    expect_line 'preloaded: nothing'
    expect_same first back
done

# Who the command is, and what it may do, is as without --raw.
run_ok as_user vphoton run --raw -- sh -c 'id -u; id -g; grep CapEff /proc/self/status; : >/dev/null'
if [ "$(id -u)" = 0 ]; then
    expect_lines 2 65534
fi
expect_text 0000000000000000
