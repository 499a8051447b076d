#!/bin/bash
# --trace: what Wireshark makes of a capture. tshark is its dissectors without the window.
. "$(dirname "$0")/lib.sh"
command -v tshark >/dev/null || skip 'tshark is not installed'
# It keeps settings in the home folder, and says so when it runs as root.
export HOME=$WORK
# Ids on the DFU decoder's own list only; Wireshark's name for this is "Decode As".
photon_is_dfu=usb.product==0x2b04d006,usbdfu

# shark FILE TSHARK-OPTION...: decodes without a complaint about the file.
shark() {
    local file=$1
    shift
    tshark -r "$file" -d "$photon_is_dfu" "$@" 2>tshark.err || fail "tshark: $(cat tshark.err)"
    ! grep -q 'cut short\|damaged\|isn.t a' tshark.err || fail "tshark: $(cat tshark.err)"
}

# fields FILE FILTER FIELD...: one line a record, fields with a comma between them, into $WORK/out.
fields() {
    local file=$1 filter=$2 field options=()
    shift 2
    for field in "$@"; do options+=(-e "$field"); done
    said="fields $* of $filter in $file" status=0
    shark "$file" -Y "$filter" -T fields -E separator=, "${options[@]}" >out
}

count() {
    shark "$1" -Y "$2" | wc -l
}

run_ok vphoton module build -o user --release 0.5.2 --part user

# A list, a download, and the leave of 0.4.3.
run vphoton run -t warp --dfu --trace leave.pcap --events=events -- sh -c \
    'dfu-util -l && dfu-util -d 2b04:d006 -a 0 -s 0x080A0000:leave -D user'
expect_status 74
run_ok capinfos -E leave.pcap
expect_text 'USB packets with Linux header and padding'

# The hub driver's conversation: at address 0, then at the one that programs see.
fields leave.pcap 'frame.number <= 6' usb.urb_type usb.bus_id usb.device_address usb.setup.bRequest
expect_lines 1 "'S',1,0,6"
expect_lines 1 "'S',1,0,2,5"
expect_lines 2 "'C',1,0,"
expect_lines 1 "'S',1,2,6"
fields leave.pcap 'usb.idVendor' usb.idVendor usb.idProduct usb.bcdDevice
expect_lines 1 '0x2b04,0xd006,0x0200'
# Both alternate settings, and the functional descriptor behind them.
fields leave.pcap 'usb.bNumInterfaces && usb.bInterfaceClass' usb.bInterfaceClass usb.bAlternateSetting
expect_text '0xfe,0xfe,0,1'

# What goes where, and that each answer belongs to its request.
[ "$(count leave.pcap "usb.urb_type == 'S'")" = "$(count leave.pcap "usb.urb_type == 'C'")" ] ||
    fail 'submissions and completions differ in number'
fields leave.pcap "usb.urb_type == 'C'" usb.request_in
! grep -qx '' out || fail 'tshark finds no request for a completion'
[ "$(sort -u out | wc -l)" = "$(wc -l <out)" ] || fail 'two completions of one request'
[ "$(count leave.pcap usbdfu)" -gt 40 ] || fail 'the DFU requests are not decoded'

# The file: 4096 and 1228 bytes as block 2, and then nothing, which is the leave.
fields leave.pcap 'usbdfu.command == 1 && usbdfu.block_number == 2' \
    usb.urb_status usb.urb_len usb.data_len usbdfu.length
printf '%s\n' -115,4096,4096,4096 -115,1228,1228,1228 -115,0,0,0 >expected
expect_same expected out

# Its GETSTATUS has all six bytes, dfuMANIFEST, and ends unanswered: not STALLed.
fields leave.pcap 'usb.urb_status < 0 && usb.urb_status != -115' \
    usb.urb_type usb.urb_status usb.urb_len usbdfu.response usbdfu.status usbdfu.poll_timeout usbdfu.state
expect_line "'C',-71,6,3,0x00,1,7"
[ "$(wc -l <out)" = 1 ] || fail 'more than one transfer failed'

# Times are those of --events.
at=$(awk '/GETSTATUS.*no answer/ { print $1 * 1000 }' events)
ended=$(shark leave.pcap -Y 'usb.urb_status == -71' -T fields -e usb.urb_ts_sec -e usb.urb_ts_usec |
    awk '{ print $1 * 1000000 + $2 }')
distance=$((ended - at))
[ "${distance#-}" -le 1000 ] || fail "the error at $ended us, $at us in the events"

# 0.4.5 says the same without an error; a protected sector of 0.4.9 is a STALL.
run_ok vphoton run -t warp --dfu -r 0.4.5 --trace clean.pcap -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x080A0000:leave -D user
[ "$(count clean.pcap 'usb.urb_status < 0 && usb.urb_status != -115')" = 0 ] || fail 'an error in 0.4.5'
run vphoton run -t warp --dfu -r 0.4.9 --trace stall.pcap -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x0800C000 -D user
fields stall.pcap 'usb.urb_status == -32' usb.urb_type usb.request_in
[ "$(wc -l <out)" = 1 ] || fail 'a protected erase is one STALL'

# The same inputs make the same transfers; times are those of a machine that may be busy.
run vphoton run -t warp --dfu -r 0.4.9 --trace again.pcap -- \
    dfu-util -d 2b04:d006 -a 0 -s 0x0800C000 -D user
for capture in stall again; do
    shark $capture.pcap -T fields -e usb.urb_id -e usb.urb_type -e usb.device_address -e usb.endpoint_address \
        -e usb.urb_status -e usb.data_len -e usbdfu.command -e usbdfu.state >$capture
done
expect_same stall again

# A serial session: requests of the CDC class, bulk data both ways, reads that are given up.
run_ok vphoton run --release 0.5.2 --trace serial.pcap -- \
    "$SOURCE_DIR/tests/tools/serial_ask.py" /dev/ttyACM0 v
fields serial.pcap usbcom.control.request_code usbcom.control.request_code
expect_line 0x20
expect_line 0x22
fields serial.pcap "usb.endpoint_address == 0x01 && usb.urb_type == 'S'" usb.transfer_type usb.capdata
expect_line 0x03,76
shark serial.pcap -Y "usb.endpoint_address == 0x81 && usb.urb_type == 'C' && usb.capdata" \
    -T fields -e usb.capdata | tr -d '\n' | sed 's/../\\x&/g' >text
# shellcheck disable=SC2059 # it is to be a format
[ "$(printf "$(cat text)" | tr -d '\r')" = 'system firmware version: 0.5.2' ] || fail 'the answer'
fields serial.pcap 'usb.endpoint_address == 0x81 && usb.urb_status == -2' usb.urb_len
expect_text 0

# An interrupt endpoint that never has anything: its interval, and the read that was given up.
cat >wait.py <<'END'
import usb.core
device = usb.core.find(idVendor=0x2B04)
device.detach_kernel_driver(0)
try:
    device.read(0x82, 8, timeout=50)
except usb.core.USBTimeoutError:
    print("nothing")
END
run_ok vphoton run --release 0.5.2 --trace interrupt.pcap -- /usr/bin/python3 wait.py
expect_line nothing
fields interrupt.pcap 'usb.endpoint_address == 0x82' usb.transfer_type usb.interval usb.urb_status
[ "$(tr '\n' ' ' <out)" = '0x01,16,-115 0x01,16,-2 ' ] || fail "the interrupt: $(cat out)"

# Two boards at once: each at its own address.
run_ok vphoton new one
run_ok vphoton new two
run_ok vphoton run -d one -d two --dfu --trace two.pcap -- dfu-util -l
fields two.pcap 'usb.idVendor' usb.device_address
expect_line 2
expect_line 3

# Boards that are served: here it is the list of them for which they are asked who they are.
cat >list.py <<'END'
import re, signal, socket, subprocess
serve = subprocess.Popen(["vphoton", "serve", "--usbip", "127.0.0.1:0", "--trace", "serve.pcap"],
                         stdout=subprocess.PIPE, text=True)
port = int(re.fullmatch(r"USB/IP at .*:(\d+)\n", serve.stdout.readline()).group(1))
with socket.create_connection(("127.0.0.1", port), timeout=30) as host:
    host.sendall(bytes.fromhex("0111800500000000"))
    reply = host.makefile("rb").read(12)
serve.send_signal(signal.SIGTERM)
assert reply == bytes.fromhex("011100050000000000000001"), reply
assert serve.wait(30) == 0
END
run_ok /usr/bin/python3 list.py
fields serve.pcap usb.idVendor usb.bus_id usb.idProduct
expect_line 1,0xc006

# A run that is killed leaves what has happened so far.
cat >die.sh <<'END'
dfu-util -l >list
kill -9 "$PPID"
END
run vphoton run --dfu --trace killed.pcap -- sh die.sh
expect_status 137
[ -s list ] || fail 'dfu-util -l under --trace'
[ "$(count killed.pcap "usb.urb_type == 'S'")" = "$(count killed.pcap "usb.urb_type == 'C'")" ] ||
    fail 'the capture of a killed run'

# What cannot be written is said in one line; before the work where that is possible.
run vphoton run --trace /dev/full -- echo ran
expect_status 3
expect_line 'vphoton: /dev/full: cannot write: No space left on device'
expect_no_text ran
run vphoton run --trace nowhere/file -- echo ran
expect_status 3
expect_line 'vphoton: nowhere/file: cannot write: No such file or directory'
run vphoton run --trace
expect_status 2
expect_text "option '--trace' needs a value"
# shellcheck disable=SC2016 # the shell inside is to expand it
run sh -c 'ulimit -f 8; exec vphoton run --dfu --trace short.pcap -- dfu-util -a 0 -s 0x08020000:20000 -U up'
expect_status 3
expect_text 'File too large'
expect_lines 1 'vphoton: short.pcap: cannot write all of the capture: File too large'
