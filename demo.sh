#!/bin/bash
#
# The main job in a page: a board of release 0.4.3 is flashed by the real dfu-util, the error that
# everybody met in 2015 appears, and the trace says why.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/setup.sh
require "$NEEDS_BUILD" "$NEEDS_DEMO"

mkdir -p build
if ! { cmake --preset release && cmake --build --preset release; } >build/demo.log 2>&1; then
    tail -n 30 build/demo.log >&2
    echo "$0: the build failed, its whole log is build/demo.log" >&2
    exit 1
fi
