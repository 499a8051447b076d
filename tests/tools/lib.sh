# shellcheck shell=bash
# shellcheck disable=SC2034 # some variables are for the tests
#
# For the tests of real tools. Sourced first by every test_*.sh; what ctest sets for them:
#
#   VPHOTON     the program of this build       FIRMWARE    real firmware (fixtures/fetch.sh)
#   SOURCE_DIR  the project                     BUILD_DIR   this build
#   CLIENTS     programs of tests/tools/client_*.c
#
# A test runs in an empty folder that vanishes with it, and `vphoton` is on its PATH.
set -euo pipefail
: "${VPHOTON:?run this through ctest}" "${FIRMWARE:?}" "${SOURCE_DIR:?}" "${BUILD_DIR:?}"

WORK=$(mktemp -d)
trap 'chmod -R u+rwX "$WORK"; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$WORK"
cd "$WORK"
mkdir bin
ln -s "$VPHOTON" bin/vphoton
PATH=$WORK/bin:$PATH
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
# What Particle's parts need from a host: nothing of the user's own settings.
unset VPHOTON_CONTROL LIBUSB_DEBUG

fail() {
    echo "FAILED: $*" >&2
    if [ -n "${said:-}" ]; then
        printf 'exit code %s of: %s\n' "$status" "$said" >&2
        sed 's/^/| /' "$WORK/out" >&2
    fi
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# firmware PATTERN: the path of one file of real firmware, or the test cannot run here.
firmware() {
    local found
    found=$(find "$FIRMWARE" -name "$1" 2>/dev/null | sort | head -n 1)
    if [ -z "$found" ]; then
        echo "skipped: no $1 in $FIRMWARE; fixtures/fetch.sh brings it" >&2
        return 77
    fi
    echo "$found"
}

# run COMMAND...: keeps the exit code in $status and both outputs in $WORK/out.
run() {
    said=$*
    status=0
    "$@" >"$WORK/out" 2>&1 </dev/null || status=$?
}

expect_status() {
    [ "$status" = "$1" ] || fail "expected exit code $1"
}

# expect_text TEXT: the last run printed it, as a part of a line.
expect_text() {
    grep -qF -e "$1" "$WORK/out" || fail "expected the text: $1"
}

# expect_line LINE: the last run printed just this line.
expect_line() {
    grep -qxF -e "$1" "$WORK/out" || fail "expected the line: $1"
}

expect_no_text() {
    ! grep -qF -e "$1" "$WORK/out" || fail "did not expect the text: $1"
}

# expect_lines N TEXT: the text stands on so many lines.
expect_lines() {
    local count
    count=$(grep -cF -e "$2" "$WORK/out" || true)
    [ "$count" = "$1" ] || fail "expected $1 lines with: $2, found $count"
}

# expect_same FILE FILE
expect_same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# run_ok COMMAND...: it must end with exit code 0.
run_ok() {
    run "$@"
    expect_status 0
}

# size FILE
size() {
    stat -c %s "$1"
}

# flash_holds DIR ADDRESS FILE: the board's flash at an address is the file's content.
flash_holds() {
    local offset=$(($2 - 0x08000000))
    cmp -i "$offset:0" -n "$(size "$3")" "$1/flash.bin" "$3" ||
        fail "the flash of $1 at $2 is not $3"
}

# flash_bytes DIR ADDRESS COUNT: hexadecimal, no spaces.
flash_bytes() {
    xxd_plain "$1/flash.bin" $(($2 - 0x08000000)) "$3"
}

xxd_plain() {
    od -An -v -tx1 -j "$2" -N "$3" "$1" | tr -d ' \n'
}

# as_user COMMAND...: as an ordinary user with no capabilities, also when the suite runs as root.
as_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
            --no-new-privs env HOME=/nonexistent "$@"
    else
        "$@"
    fi
}

# transfers TRACE: a trace's control transfers, without their times.
transfers() {
    sed -n 's/^ *[0-9.]* ms *\(.*SETUP.*\)/\1/p' "$1"
}

# raw_possible WHO...: `run --raw` works for all of them (root: as the test runs; as_user), or the test
# cannot run here.
raw_possible() {
    local who
    for who in "$@"; do
        [ "$who" != root ] || who=
        # shellcheck disable=SC2086 # nobody is no word
        run $who vphoton run --raw -- true
        [ "$status" != 3 ] || skip "$(cat "$WORK/out")"
        expect_status 0
    done
}

# installed: from now on the program is an installation inside the test's folder, and the clients
# and scripts of the tests are there as well.
installed() {
    [ ! -e "$WORK/stage" ] || return 0
    cmake --install "$BUILD_DIR" --prefix "$WORK/stage" >"$WORK/install.log"
    VPHOTON=$WORK/stage/bin/vphoton
    ln -sf "$VPHOTON" "$WORK/bin/vphoton"
    find "$CLIENTS" -maxdepth 1 -name 'client_*' -type f -executable -exec cp -t "$WORK/stage" {} +
    CLIENTS=$WORK/stage
    mkdir -p "$WORK/stage/source/tests"
    cp -r "$SOURCE_DIR/tests/tools" "$WORK/stage/source/tests"
    cp -r "$SOURCE_DIR/fixtures" "$WORK/stage/source"
    SOURCE_DIR=$WORK/stage/source
}

# dfu DIR DFU-UTIL-OPTION...: the real dfu-util against one board that is in DFU mode.
dfu() {
    local board=$1
    shift
    # Warped, because the bootloaders up to 0.6.4 ask for 50 ms before every block.
    run vphoton run -t warp -d "$board" --dfu -- dfu-util "$@"
}

# dfu_ok DIR DFU-UTIL-OPTION...: it must end with exit code 0.
dfu_ok() {
    dfu "$@"
    expect_status 0
}

# newer_npm: the npm of Debian 12 breaks off where a package that is an archive from outside the registry
# is to be replaced, so there one comes first that can.
newer_npm() {
    local place=$BUILD_DIR/npm/newer lock
    [ "$(npm --version | cut -d . -f 1)" -lt 10 ] || return 0
    mkdir -p "$place"
    exec {lock}>"$place.lock"
    flock "$lock"
    if [ ! -e "$place/complete" ]; then
        run npm install --prefix "$place" --cache "$place.cache" --no-package-lock --no-audit \
            --no-fund --fetch-retries=0 --fetch-timeout=30000 npm@10.9.4
        [ "$status" = 0 ] || skip "npm cannot install a newer npm: $(tail -n 1 "$WORK/out")"
        rm -rf "$place.cache"
        touch "$place/complete"
    fi
    exec {lock}>&-
    PATH=$place/node_modules/.bin:$PATH
}

# npm_packages NAME [NPM-OPTION...]: installs what npm/NAME.json asks for, once a build, and lets node
# find it. Tests that need the same at the same time wait for each other. Its script `build`, where it
# has one, comes last. Without npm the test cannot run here.
npm_packages() {
    local name=$1 wanted=$SOURCE_DIR/tests/tools/npm/$1.json place=$BUILD_DIR/npm/$1 lock program
    shift
    for program in node npm; do
        [ -n "$(command -v $program)" ] || skip "no $program"
    done
    newer_npm
    mkdir -p "$place"
    exec {lock}>"$place.lock"
    flock "$lock"
    if ! cmp -s "$wanted" "$place/complete"; then
        rm -rf "$place"
        mkdir "$place"
        cp "$wanted" "$place/package.json"
        # A cache of its own, as the home folder may be read-only; one try, as a test has its time.
        # What a package has to build needs the headers that node came with.
        run env npm_config_nodedir="$(node -p 'path.resolve(process.execPath, "../..")')" \
            npm install --prefix "$place" --cache "$place.cache" --no-package-lock --no-audit \
            --no-fund --fetch-retries=0 --fetch-timeout=30000 "$@"
        [ "$status" = 0 ] || skip "npm cannot install $name: $(grep -m 1 -i 'err' "$WORK/out")"
        run_ok npm run --prefix "$place" --cache "$place.cache" --if-present build
        rm -rf "$place.cache"
        cp "$wanted" "$place/complete"
    fi
    exec {lock}>&-
    export NODE_PATH=$place/node_modules
}

# json FILE EXPRESSION: a value of a JSON document, with the document as `d`.
json() {
    /usr/bin/python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
value = eval(sys.argv[2])
print(value if isinstance(value, str) else json.dumps(value))' "$1" "$2"
}

# Where only root reaches the project's folder, an ordinary user needs all of it elsewhere.
as_user test -x "$VPHOTON" || installed
