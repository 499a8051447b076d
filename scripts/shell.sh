#!/bin/sh
# Runs shellcheck over every shell script of the project, found by its first line.
set -eu
cd "$(dirname "$0")/.."
find . -path ./build -prune -o -path ./.git -prune -o -type f -size -200k -print |
    while IFS= read -r file; do
        case $(head -n 1 "$file" | tr -d '\0') in
        '#!/bin/sh' | '#!/bin/bash' | '# shellcheck shell='*) echo "$file" ;;
        esac
    done | xargs shellcheck -x -P SCRIPTDIR -P .
