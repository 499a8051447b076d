#!/usr/bin/python3
"""serial_ask.py PORT KEY...: sends each key to a Photon's console by pyserial and prints the answer as
Python shows bytes, one line a key. A key of the form baud=N sets the rate instead."""
import sys

import serial

port = serial.Serial(sys.argv[1], 9600, timeout=5)
for key in sys.argv[2:]:
    if key.startswith("baud="):
        port.baudrate = int(key[5:])
    else:
        port.write(key.encode())
        print(port.read_until(b"\r\n"))
        if key == "m":
            print(port.read_until(b"\r\n"))
port.close()
