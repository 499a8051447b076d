#!/bin/bash
# cli_update.sh [ROUNDS]: what `particle update` costs with a board of a release build, beside the same CLI
# with a dfu-util that finds a Photon and does nothing: its own start and pauses. The best of some rounds
# (3). The difference is all of ours, and dfu-util's: `vphoton run`, the board, each download.
root=$(cd "$(dirname "$0")/../.." && pwd)
rounds=${1:-3}
export SOURCE_DIR=$root BUILD_DIR=$root/build/release FIRMWARE=$root/build/firmware
export VPHOTON=$BUILD_DIR/emulator/vphoton CLIENTS=$BUILD_DIR/tests/tools
if [ ! -x "$VPHOTON" ]; then
    echo "cli_update.sh: no $VPHOTON; build the release preset first" >&2
    exit 3
fi
. "$root/tests/tools/lib.sh"
. "$root/tests/tools/particle_cli.sh"
particle_cli 1.16.0 2.16.0 3.0.0

mkdir nothing
cat >nothing/dfu-util <<'END'
#!/bin/sh
case $* in
-l) echo 'Found DFU: [2b04:d006] ver=0200, devnum=2, cfg=1, intf=0, path="1-1", alt=0, name="@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg", serial="1"' ;;
*) echo 'File downloaded successfully' ;;
esac
END
chmod +x nothing/dfu-util

# seconds COMMAND...: how long it takes; it must succeed.
seconds() {
    local start=$EPOCHREALTIME
    run_ok "$@"
    expect_text 'System firmware update successfully completed!'
    awk -v from="$start" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }'
}

with_board() {
    rm -rf board
    vphoton new board --release "$2" >/dev/null
    seconds vphoton run -t "$3" -d board --dfu -- "particle-$1" update
}
with_nothing() {
    seconds env PATH="$WORK/nothing:$PATH" "particle-$1" update
}

# best COMMAND...: the least of its results.
best() {
    local round
    for ((round = 0; round < rounds; round++)); do "$@"; done | sort -n | head -n 1
}

printf '%-8s %-7s %-5s %12s %12s %12s\n' CLI board time whole 'CLI alone' difference
while read -r version release time; do
    whole=$(best with_board "$version" "$release" "$time") || exit
    alone=$(best with_nothing "$version") || exit
    awk -v v="$version" -v r="$release" -v t="$time" -v whole="$whole" -v alone="$alone" 'BEGIN {
        printf "%-8s %-7s %-5s %10.2f s %10.2f s %10.2f s\n", v, r, t, whole, alone, whole - alone }'
done <<END
1.16.0 0.4.9 warp
2.16.0 1.5.0 fast
3.0.0 1.5.0 fast
3.0.0 1.5.0 warp
END
