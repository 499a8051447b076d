#!/usr/bin/python3
"""Asks the serial port of a run as if it were a UART's, and says what it hears."""
import fcntl
import os
import struct
from termios import TIOCGSERIAL, TIOCSSERIAL, TIOCMGET

LAYOUT = "iiIiiiiiHbbiHHQHIQ"  # struct serial_struct
fd = os.open("/dev/ttyACM0", os.O_RDWR | os.O_NOCTTY)
info = list(struct.unpack(LAYOUT, fcntl.ioctl(fd, TIOCGSERIAL, bytes(struct.calcsize(LAYOUT)))))
print("line %d, base %d, close delay %d, closing wait %d" % (info[1], info[7], info[8], info[12]))
info[4] |= 0x30  # ASYNC_SPD_CUST
info[6] = 7
fcntl.ioctl(fd, TIOCSSERIAL, struct.pack(LAYOUT, *info))
info = struct.unpack(LAYOUT, fcntl.ioctl(fd, TIOCGSERIAL, bytes(struct.calcsize(LAYOUT))))
print("flags %#x, divisor %d" % (info[4], info[6]))
lines = struct.unpack("i", fcntl.ioctl(fd, TIOCMGET, bytes(4)))[0]
print("modem lines %#x" % lines)
