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
mkdir "$stage/work"
"$stage/bin/vphoton" new "$stage/work/board"
"$stage/bin/vphoton" run -d "$stage/work/board" --dfu -- dfu-util -l | grep -F 'Found DFU: [2b04:d006]'

pc=$(find "$stage" -name libphoton.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
# The folder of the installation is in the file, so that it works from where it was installed to.
pkg-config --exists --print-errors libphoton
cat >"$stage/work/harness.c" <<'END'
#include <photon.h>
#include <release.h>
#include <stdio.h>

int main(void)
{
    const struct release *release = release_find("0.4.3");

    if (release == NULL) {
        return 1;
    }
    printf("release %s\n", release->name);
    return 0;
}
END
# shellcheck disable=SC2046 # options are words
gcc -std=c11 -Wall -Wextra -Werror -o "$stage/work/harness" "$stage/work/harness.c" \
    $(pkg-config --cflags --libs libphoton)
test "$("$stage/work/harness")" = 'release 0.4.3'

test -s "$stage/share/man/man1/vphoton.1"
if command -v mandoc >/dev/null; then
    find "$stage/share/man" -name '*.[1-9]' -exec mandoc -T lint -W error {} +
fi
