#!/bin/bash
# python3-usb finds, resets and talks to boards, and hears the board's refusals as its own errors.
. "$SOURCE_DIR/tests/tools/lib.sh"
# Debian's python, whichever comes first in PATH.
python=/usr/bin/python3
"$python" -c 'import usb.core' 2>/dev/null || skip "no python3-usb"

cat >talk.py <<'END'
import errno
import usb.core
import usb.util

boards = sorted(usb.core.find(find_all=True, idVendor=0x2B04), key=lambda b: b.port_numbers)
assert [b.port_numbers for b in boards] == [(1,), (2,)], boards
for board in boards:
    assert (board.bus, board.idProduct, board.speed) == (1, 0xD006, usb.util.SPEED_FULL)
    assert board.manufacturer == "Particle" and board.product == "Photon DFU Mode"
    assert not board.is_kernel_driver_active(0)
    assert [i.bAlternateSetting for i in board.get_active_configuration()] == [0, 1]
    usb.util.claim_interface(board, 0)
    assert bytes(board.ctrl_transfer(0xA1, 3, 0, 0, 6)) == bytes([0, 0, 0, 0, 2, 0])
    board.set_interface_altsetting(0, 1)
    assert bytes(board.ctrl_transfer(0x81, 10, 0, 0, 1)) == b"\1"
    for setup, number in (((0x80, 6, 0x0600, 0, 10), errno.EPIPE),
                          ((0xC1, 3, 0, 0, 6, 50), errno.ETIMEDOUT),
                          ((0xA1, 3, 0, 0, 1), errno.EOVERFLOW)):
        try:
            board.ctrl_transfer(*setup)
        except usb.core.USBError as error:
            assert error.errno == number, error
        else:
            raise AssertionError(setup)
    usb.util.release_interface(board, 0)
    board.reset()
    assert bytes(board.ctrl_transfer(0xA1, 3, 0, 0, 6)) == bytes([0, 0, 0, 0, 2, 0])
    try:
        board.set_configuration(1)
    except usb.core.USBError as error:
        assert error.errno == errno.EBUSY, error  # its interface is claimed
    else:
        raise AssertionError("a configuration set under a claimed interface")
    usb.util.dispose_resources(board)
    board.set_configuration(1)
    usb.util.dispose_resources(board)
assert boards[0].serial_number != boards[1].serial_number
print("talked")
END
run_ok vphoton new one --release 0.7.0
run_ok vphoton new two --release 0.7.0
run_ok vphoton run --dfu -d one -d two -- "$python" talk.py
expect_line talked
