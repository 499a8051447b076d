#!/bin/bash
# What a machine forbids is said in one line, with what to use instead, before a board has power.
. "$(dirname "$0")/lib.sh"
installed
raw_possible root as_user
cp "$BUILD_DIR/tests/tools/forbid" .
chmod 777 .
vphoton new board
instead='; without --raw, dynamic programs need none of this'

# refused TEXT COMMAND...
refused() {
    local text="vphoton: --raw: $1$instead"
    shift
    run "$@"
    expect_status 3
    expect_line "$text"
    expect_lines 1 ''
}

# refuses WHO CALL=ERRNO TEXT
refuses() {
    # shellcheck disable=SC2086 # nobody is no word
    refused "$3" $1 ./forbid $2 -- vphoton run --raw --events -- true
}

refuses as_user userns=EPERM 'this machine or container forbids user namespaces (unshare: Operation not permitted)'
refuses as_user userns=ENOSPC 'no user namespaces (more) are allowed here, see /proc/sys/user/max_user_namespaces (unshare: No space left on device)'
refuses as_user userns=EUSERS 'user namespaces are nested too deep here (unshare: Too many users)'
refuses as_user mount=EPERM 'this machine or container forbids mounts (/: Operation not permitted)'
for who in '' as_user; do
    refuses "$who" unshare=EPERM 'this machine or container forbids user namespaces (unshare: Operation not permitted)'
    refuses "$who" mount=EACCES 'this machine or container forbids mounts (/: Permission denied)'
    refuses "$who" seccomp=EPERM 'this machine or container forbids seccomp filters (seccomp: Operation not permitted)'
    refuses "$who" seccomp=EINVAL "this kernel's seccomp is older than 5.19's (seccomp: Invalid argument)"
    refuses "$who" process_vm_readv=EPERM "this machine or container forbids reading another process' memory (process_vm_readv: Operation not permitted)"
    refuses "$who" pidfd_getfd=EPERM "this machine or container forbids borrowing another process' files (pidfd_getfd: Operation not permitted)"
done
# Root does without user namespaces.
if [ "$(id -u)" = 0 ]; then
    run_ok ./forbid userns=EPERM -- vphoton run --raw -- true
fi
refused 'another supervisor answers system calls here already: --raw within --raw, or a container'"'"'s (seccomp: Device or resource busy)' \
    vphoton run --raw -- vphoton run --raw -- true

run vphoton run -- vphoton run --raw -- true
expect_status 3
expect_line 'vphoton: --raw: not within a run whose library is loaded; ask for --raw there'
run_ok vphoton run --raw -- vphoton run --dfu -- dfu-util -l
expect_lines 2 'Found DFU: [2b04:d006]'

# A board that nobody will see gets no power.
cp -r board before
refused 'this machine or container forbids mounts (/: Operation not permitted)' \
    ./forbid mount=EPERM -- vphoton run --raw -d board --events=events -- true
expect_same board/flash.bin before/flash.bin
[ ! -e events ] || fail 'the board had power'

# Without --raw none of this is needed.
run_ok as_user ./forbid unshare=EPERM mount=EPERM seccomp=EPERM process_vm_readv=EPERM pidfd_getfd=EPERM -- \
    vphoton run --dfu -- dfu-util -l
expect_lines 2 'Found DFU: [2b04:d006]'

run vphoton run --raw --time warp -- true
expect_status 2
expect_text '--time warp is for programs that can do without --raw'
