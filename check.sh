#!/bin/bash
#
# Builds everything and runs every test. Steps write to build/check/*.log; one line each here, and
# the totals on the last line. With CI=true in the environment a skipped test is a failure.
set -u
cd "$(dirname "$0")" || exit 3
. scripts/setup.sh

usage() {
    cat <<END
usage: ./check.sh [--bench] [--long] [--fuzz-seconds N]
  --bench            also run the benchmarks and print their tables
  --long             let tests that take a sample of their cases take many more
  --fuzz-seconds N   time for each fuzz harness (60; 0 leaves them out); those that few inputs
                     reach get half of it
END
}

bench=false
fuzz_seconds=60
while [ $# -gt 0 ]; do
    case $1 in
    --bench) bench=true ;;
    --long) export VPHOTON_LONG=1 ;;
    --fuzz-seconds)
        fuzz_seconds=${2:-}
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
case $fuzz_seconds in
'' | *[!0-9]*)
    usage >&2
    exit 2
    ;;
esac

require "$NEEDS_BUILD" "$NEEDS_DEMO" "$NEEDS_CHECK"

LOGS=build/check
JOBS=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1 CMAKE_BUILD_PARALLEL_LEVEL=$JOBS
mkdir -p $LOGS || exit 3
passed=0 failed=0 skipped=0

# report RESULT SECONDS TITLE
report() {
    printf '%-7s %6.1f s  %s\n' "$1" "$2" "$3"
}

elapsed_since() {
    awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'
}

# What to show of a failed step: the lines that say so, or the end of its log.
excerpt() {
    grep -nE 'error|Error|FAILED|Failed|ERROR|SUMMARY|warning:' "$1" | head -n 30
    echo "--- the end of $1:"
    tail -n 25 "$1"
}

# step NAME TITLE COMMAND...: one check; exit code 77 says that it cannot run here.
step() {
    local name=$1 title=$2 start=$EPOCHREALTIME code
    shift 2
    "$@" >"$LOGS/$name.log" 2>&1 </dev/null
    code=$?
    account "$name" "$title" "$(elapsed_since "$start")" $code
}

# account NAME TITLE SECONDS CODE: counts and prints the outcome of a step.
account() {
    local name=$1 title=$2 seconds=$3 code=$4
    case $code in
    0)
        passed=$((passed + 1))
        report ok "$seconds" "$title$(note "$name")"
        ;;
    77)
        skipped=$((skipped + 1))
        report skipped "$seconds" "$title"
        tail -n 3 "$LOGS/$name.log"
        ;;
    *)
        failed=$((failed + 1))
        report FAILED "$seconds" "$title (exit code $code)"
        excerpt "$LOGS/$name.log"
        ;;
    esac
    [ "$code" = 0 ]
}

# A step may end its log with "note: ..." to have it shown behind its title.
note() {
    tail -n 1 "$LOGS/$1.log" | sed -n 's/^note: /: /p'
}

# tests NAME TITLE PRESET LABEL [CTEST OPTION...]: a label of the tests; each test counts.
tests() {
    local name=$1 title=$2 preset=$3 label=$4 start=$EPOCHREALTIME junit counts all bad skips
    shift 4
    junit=$PWD/$LOGS/$name.xml
    rm -f "$junit"
    ctest --test-dir "build/$preset" -L "^$label\$" --no-tests=error --output-junit "$junit" "$@" \
        >"$LOGS/$name.log" 2>&1 </dev/null
    counts=$(sed -n '/<testsuite/,/>/p' "$junit" 2>/dev/null | tr '\n\t' '  ' | sed 's/>.*//')
    all=$(attribute tests "$counts")
    bad=$(attribute failures "$counts")
    skips=$(($(attribute skipped "$counts") + $(attribute disabled "$counts")))
    [ "$all" != 0 ] || bad=1 all=1
    passed=$((passed + all - bad - skips))
    failed=$((failed + bad))
    skipped=$((skipped + skips))
    if [ "$bad" != 0 ]; then
        report FAILED "$(elapsed_since "$start")" "$title: $bad of $all tests"
        grep -E '\*\*\*' "$LOGS/$name.log"
        excerpt "$LOGS/$name.log"
    elif [ "$skips" != 0 ]; then
        report ok "$(elapsed_since "$start")" "$title: $((all - skips)) tests, $skips skipped"
        grep -E '\*\*\*' "$LOGS/$name.log"
    else
        report ok "$(elapsed_since "$start")" "$title: $all tests"
    fi
}

attribute() {
    local value
    value=$(printf '%s' "$2" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p")
    echo "${value:-0}"
}

build() {
    cmake --preset "$1" && cmake --build --preset "$1"
}

# The programs in a folder whose names begin so.
programs() {
    find "$1" -maxdepth 1 -name "$2*" -type f -executable 2>/dev/null | sort
}

# Fuzz harnesses, as many at a time as there are processors.
fuzz() {
    local harness name seconds code
    for harness in $(programs build/fuzz/tests/fuzz fuzz_); do
        fuzz_one "$harness" "$(basename "$harness")" &
        while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
    done
    wait
    for harness in $(programs build/fuzz/tests/fuzz fuzz_); do
        name=$(basename "$harness")
        read -r code seconds <"$LOGS/$name.code"
        account "$name" "fuzzing: $name" "$seconds" "$code"
    done
}

# What every program, file and host reaches, by whichever link.
MOST_REACHED='fuzz_control fuzz_device_dir fuzz_module fuzz_preload'

fuzz_one() {
    local start=$EPOCHREALTIME seconds=$fuzz_seconds code
    case " $MOST_REACHED " in
    *" $2 "*) ;;
    *) seconds=$(((seconds + 1) / 2)) ;;
    esac
    scripts/fuzz.sh "$1" "$seconds" >"$LOGS/$2.log" 2>&1 </dev/null
    code=$?
    echo "$code $(elapsed_since "$start")" >"$LOGS/$2.code"
}

benchmarks() {
    step bench 'benchmarks' tests/bench/run.sh
    cat "$LOGS/bench.log"
}

start_of_all=$EPOCHREALTIME
released=false
step format 'formatting as .clang-format has it' scripts/format.sh --check
step rooms 'no include against the arrows between the rooms' scripts/rooms.sh
step shell 'shellcheck of the scripts' scripts/shell.sh
step firmware 'real firmware for the tests, from npm packages' fixtures/fetch.sh build/firmware

step build-release 'release build' build release && released=true
if step build-debug 'debug build with ASan and UBSan' build debug; then
    tests unit 'unit tests' debug unit -j "$JOBS"
    # They sleep for most of their time, as the tools do.
    tests tools 'real tools, debug build' debug tools -j $((2 * JOBS))
    tests vm 'a real kernel in QEMU, debug build' debug vm -j "$JOBS"
fi
! $released || tests every 'power cuts at every flash operation, release build' release every \
    -j "$JOBS"
! $released || step install 'installation: program, library, manual' scripts/install_test.sh
! $released || ! $bench || benchmarks
step build-coverage 'coverage build' build coverage &&
    step coverage 'branch coverage of devmodel from the unit tests, above 90 %' scripts/coverage.sh
if step build-fuzz 'fuzz build with clang' build fuzz && [ "$fuzz_seconds" != 0 ]; then
    fuzz
fi
step tidy 'clang-tidy' scripts/tidy.py build/debug build/fuzz

echo "All of it took $(elapsed_since "$start_of_all") s; logs are in $LOGS/."
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && { [ "${CI:-}" != true ] || [ "$skipped" = 0 ]; }
