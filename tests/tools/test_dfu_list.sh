#!/bin/bash
# dfu-util -l names a board of each era as it named the real ones.
. "$(dirname "$0")/lib.sh"

flash_name='@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg'
dct_name='@DCT Flash   /0x00000000/01*016Kg'
id=3D0021000B47343138333038

# listed RELEASE VERSION SERIAL
listed() {
    vphoton new "board-$1" --release "$1" --id $id
    dfu_ok "board-$1" -l
    grep '^Found DFU: ' out | sed -E 's/devnum=[0-9]+/devnum=N/' >found
    cat >expected <<END
Found DFU: [2b04:d006] ver=$2, devnum=N, cfg=1, intf=0, path="1-1", alt=1, name="$dct_name", serial="$3"
Found DFU: [2b04:d006] ver=$2, devnum=N, cfg=1, intf=0, path="1-1", alt=0, name="$flash_name", serial="$3"
END
    diff expected found || fail "release $1 is not listed as it should be"
}

fixed=00000000010C
lower=$(echo $id | tr A-F a-f)

# Which bootloader image a release's boards carry decides: v2 to v7, v11, 101 and later.
for release in 0.4.0 0.4.2 0.4.3 0.4.4 0.4.5 0.4.9 0.5.2 0.6.0; do
    listed $release 0200 $fixed
done
listed 0.6.3 0250 $id
for release in 0.7.0 1.5.0 2.2.0; do
    listed $release 0250 "$lower"
done
