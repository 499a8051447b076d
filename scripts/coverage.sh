#!/bin/sh
# Runs the unit tests of the coverage build and holds the branch coverage of devmodel against
# the floor. What is not covered is listed in build/coverage/branches.txt.
set -eu
cd "$(dirname "$0")/.."
floor=90
build=build/coverage

find $build -name '*.gcda' -delete
ctest --test-dir $build -L '^unit$' --no-tests=error -j "$(nproc)" --output-on-failure
gcovr --root . --object-directory $build --filter devmodel/ --branches --print-summary \
    --txt $build/branches.txt --json-summary $build/summary.json
cat $build/branches.txt

# The first "branch_percent" of the summary may belong to a file; the total is at its top level.
/usr/bin/python3 - $build/summary.json $floor <<'END'
import json
import sys

summary = json.load(open(sys.argv[1], encoding="utf-8"))
covered, total = summary["branch_covered"], summary["branch_total"]
percent = 100.0 * covered / total if total else 0.0
if percent <= float(sys.argv[2]):
    sys.exit(f"error: {percent:.1f} % of {total} branches are covered, {sys.argv[2]} % is too few")
print(f"note: {percent:.1f} % of {total} branches")
END
