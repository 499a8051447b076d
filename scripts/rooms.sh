#!/bin/sh
# Holds the arrows of the house: emulator -> usb-gadget -> devmodel, and devmodel asks nothing of the
# operating system. Prints each #include that points the other way.
set -eu
cd "$(dirname "$0")/.."
wrong=false

# includes FOLDER: file:line:#include ... of all its sources
includes() {
    grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' "$1"
}

# forbid FOLDER PATTERN WHY
forbid() {
    if includes "$1" | grep -E "$2"; then
        echo "error: $3"
        wrong=true
    fi
}

forbid devmodel '[<"](usb-gadget|emulator|tests)/' 'devmodel knows nothing of the rooms above it'
forbid usb-gadget '"(emulator|tests)/' 'usb-gadget knows nothing of the program'
forbid emulator '"tests/' 'the program knows nothing of its tests'

library='assert|errno|inttypes|limits|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|zlib'
if includes devmodel | grep '<' | grep -vE "<($library|pb|pb_decode|pb_encode)\.h>"; then
    echo 'error: devmodel includes the C library, zlib, nanopb and itself, nothing else'
    wrong=true
fi
# Of the C library it may format text and take memory, but not reach out.
if grep -rnwE --include='*.[ch]' '(printf|fprintf|fopen|puts|perror|getenv|system|exit|time|clock)[[:space:]]*\(' \
    devmodel | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)'; then
    echo 'error: devmodel does no input or output and asks for no time'
    wrong=true
fi
! $wrong
