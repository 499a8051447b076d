#!/bin/sh
# wait_for.sh PATH: until it is there, at most 10 s.
i=0
while [ ! -e "$1" ]; do
    i=$((i + 1))
    [ $i -lt 500 ] || { echo "wait_for.sh: no $1 after 10 s" >&2; exit 1; }
    sleep 0.02
done
