#!/bin/bash
# With --raw in every run, tests of runs without it hold as well: libusb's and udev's hotplug, pyusb,
# node, particle's library, fwupd, 14400 baud, and the command's signals, terminal and job control.
. "$(dirname "$0")/lib.sh"
raw_possible root

cat >raw_vphoton <<END
#!/bin/sh
if [ "\$1" = run ]; then
    shift
    set -- run --raw "\$@"
fi
exec '$VPHOTON' "\$@"
END
chmod +x raw_vphoton

for test in preload_hotplug.sh preload_programs.sh preload_python.sh preload_node_usb.sh pyusb.sh \
    particle_usb.sh fwupd.sh serial_14400.sh program_signals.py; do
    code=0
    VPHOTON=$WORK/raw_vphoton "$SOURCE_DIR/tests/tools/test_$test" >"$test.log" 2>&1 || code=$?
    case $code in
    0) ;;
    77) tail -n 1 "$test.log" ;;
    *)
        cat "$test.log" >&2
        fail "$test with --raw"
        ;;
    esac
done
