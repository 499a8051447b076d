#!/bin/sh
# run.sh [FOLDER]: runs every benchmark of a release build and prints one table.
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-build/release/tests/bench}
found=false
for program in "$folder"/bench_*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then
        continue
    fi
    if $found; then
        "$program" | tail -n +2 # one heading is enough
    else
        "$program"
    fi
    found=true
done
if ! $found; then
    echo "run.sh: no benchmarks in $folder; build the release preset first" >&2
    exit 3
fi
