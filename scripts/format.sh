#!/bin/sh
# Formats every C file of the project in place; with --check only says which are not formatted.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
--check) mode='--dry-run --Werror' ;;
'') mode=-i ;;
*)
    echo 'usage: scripts/format.sh [--check]' >&2
    exit 2
    ;;
esac
# shellcheck disable=SC2086 # two options
find devmodel usb-gadget emulator guest fixtures tests -name '*.[ch]' -print0 |
    xargs -0 clang-format --style=file $mode
