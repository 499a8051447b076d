#!/bin/bash
# Two boards in one run are told apart by path, and by serial where their release has one.
. "$(dirname "$0")/lib.sh"

one=111111111111111111111111
two=222222222222222222222222
head -c 4096 /dev/zero | tr '\0' a >a.bin
head -c 4096 /dev/zero | tr '\0' b >b.bin
user=0x080A0000

# By path: boards of 0.4.3 have one serial for all.
vphoton new old1 --release 0.4.3 --id $one
vphoton new old2 --release 0.4.3 --id $two
run_ok vphoton run -d old1 -d old2 --dfu -- dfu-util -l
expect_lines 2 'path="1-1"'
expect_lines 2 'path="1-2"'
expect_lines 4 'serial="00000000010C"'
run vphoton run -d old1 -d old2 --dfu -- dfu-util -a 0 -s $user -D a.bin
expect_text 'More than one DFU capable USB device found!'
run_ok vphoton run -d old1 -d old2 --dfu -- dfu-util -p 1-2 -a 0 -s $user -D b.bin
run_ok vphoton run -d old1 -d old2 --dfu -- dfu-util -p 1-1 -a 0 -s $user -D a.bin
flash_holds old1 $user a.bin
flash_holds old2 $user b.bin

# By serial.
vphoton new new1 --release 2.2.0 --id $one
vphoton new new2 --release 2.2.0 --id $two
run_ok vphoton run -d new1 -d new2 --dfu -- dfu-util -S $two -a 0 -s $user -D a.bin
run_ok vphoton run -d new1 -d new2 --dfu -- dfu-util -S $one -a 0 -s $user -D b.bin
flash_holds new1 $user b.bin
flash_holds new2 $user a.bin

# Both at once, from one script.
# shellcheck disable=SC2016 # for the inner shell
run_ok vphoton run -d new1 -d new2 --dfu -- sh -ec '
    dfu-util -S '$one' -a 0 -s '$user' -D a.bin >one.log 2>&1 & first=$!
    dfu-util -S '$two' -a 0 -s '$user' -D b.bin >two.log 2>&1 & second=$!
    wait $first
    wait $second'
flash_holds new1 $user a.bin
flash_holds new2 $user b.bin
