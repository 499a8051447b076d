#!/bin/bash
# `vphoton run` without -d: a fresh board that vanishes with the run.
. "$(dirname "$0")/lib.sh"

mkdir empty
cd empty
run_ok vphoton run --dfu -- dfu-util -l
expect_lines 2 'Found DFU: [2b04:d006]'
[ -z "$(ls -A)" ] || fail "something was left behind: $(ls -A)"

# The program is as if it ran alone: exit code, input, output, arguments.
run vphoton run --dfu -- sh -c 'exit 42'
expect_status 42
[ "$(echo hello | vphoton run -- tr a-z A-Z)" = HELLO ] || fail 'input or output does not pass'
run_ok vphoton run -- printf '%s|' 'a b' '' '*'
expect_line 'a b||*|'
run vphoton run -- no-such-program
[ "$status" != 0 ] || fail 'a program that does not exist was run'
expect_text 'no-such-program'
run vphoton run --dfu -- sh -c 'kill -TERM $$'
expect_status 143
