#!/bin/sh
# fuzz.sh HARNESS SECONDS: runs one libFuzzer harness over its seeds in tests/fuzz/corpus/NAME and
# what earlier runs found (build/corpus/NAME). A crash is kept in build/crashes.
set -eu
cd "$(dirname "$0")/.."
harness=$1
seconds=$2
name=$(basename "$harness")
corpus=build/corpus/$name
mkdir -p "$corpus" build/crashes
seeds=tests/fuzz/corpus/$name
[ -d "$seeds" ] || seeds=
# An input that keeps the harness busy for ten seconds is a hang, and as wrong as a crash. A crash
# gets an exit code that says "failed", for libFuzzer's own means "cannot run here" to check.sh.
# shellcheck disable=SC2086 # no word when there are no seeds
exec "$harness" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -error_exitcode=1 -timeout_exitcode=1 -artifact_prefix="build/crashes/$name-" "$corpus" $seeds
