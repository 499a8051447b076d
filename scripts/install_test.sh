#!/bin/sh
# Installs the release build into an empty folder and uses it from there as a stranger would: the
# program runs, a harness finds libphoton with pkg-config, the manual pages are in place.
set -eu
cd "$(dirname "$0")/.."
stage=$PWD/build/stage
rm -rf "$stage"
cmake --install build/release --prefix "$stage"

test -x "$stage/bin/vphoton"
"$stage/bin/vphoton" --version
mkdir "$stage/scratch"
"$stage/bin/vphoton" new "$stage/scratch/board"
"$stage/bin/vphoton" run -d "$stage/scratch/board" --dfu -- dfu-util -l | grep -F 'Found DFU: [2b04:d006]'
VPHOTON_CACHE=$PWD/build/guest "$stage/bin/vphoton" vm -d "$stage/scratch/board" --dfu -- dfu-util -l |
    grep -F 'Found DFU: [2b04:d006]'

pc=$(find "$stage" -name libphoton.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
# The folder of the installation is in the file, so that it works from where it was installed to.
pkg-config --exists --print-errors libphoton
# shellcheck disable=SC2046 # options are words
gcc -std=c11 -Wall -Wextra -Werror -o "$stage/scratch/leave" docs/examples/leave.c \
    $(pkg-config --cflags --libs libphoton)
"$stage/scratch/leave" 0.4.3 | tail -n 2 | diff - /dev/fd/3 3<<END
GETSTATUS, data:   ACK, bState 7 of 6 bytes
GETSTATUS, status: no answer
END
"$stage/scratch/leave" 0.4.5 | tail -n 2 | diff - /dev/fd/3 3<<END
GETSTATUS, data:   ACK, bState 5 of 6 bytes
GETSTATUS, status: ACK
END

test -s "$stage/share/man/man1/vphoton.1"
if command -v mandoc >/dev/null; then
    find "$stage/share/man" -name '*.[1-9]' -exec mandoc -T lint -W error {} +
fi
