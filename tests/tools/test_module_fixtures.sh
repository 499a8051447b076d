#!/bin/bash
# The modules built with the project are the same on every machine, and what `module build` makes.
. "$(dirname "$0")/lib.sh"

modules=$BUILD_DIR/fixtures/modules
list=$SOURCE_DIR/fixtures/modules.sha256
(cd "$modules" && sha256sum --quiet --check "$list") || fail 'other modules than listed were built'
built=$(find "$modules" -name '*.bin' | wc -l)
[ "$built" = "$(wc -l <"$list")" ] || fail "$built modules found, $(wc -l <"$list") listed"

for file in "$modules"/*.bin; do
    name=$(basename "$file" .bin)
    part=${name%-*}
    run_ok vphoton module build --release "${name##*-}" --part "${part#system-}" -o again.bin
    expect_same "$file" again.bin
done
