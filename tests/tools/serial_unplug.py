#!/usr/bin/python3
"""Opens the serial port of a run, unplugs the board, plugs it in again, and says what it saw."""
import os
import subprocess
import time

import serial

port = serial.Serial("/dev/ttyACM0", timeout=10)
subprocess.check_call(["vphoton", "ctl", "unplug"])
try:
    left = port.read(1)
except serial.SerialException:
    left = b""
print("hung up" if left == b"" else "still there")
port.close()
end = time.time() + 10
while os.path.exists("/dev/ttyACM0") and time.time() < end:
    time.sleep(0.01)
print("node is", "there" if os.path.exists("/dev/ttyACM0") else "gone")
subprocess.check_call(["vphoton", "ctl", "plug"])
while not os.path.exists("/dev/ttyACM0") and time.time() < end:
    time.sleep(0.01)
again = serial.Serial("/dev/ttyACM0", timeout=10)
again.write(b"v")
print(again.read_until(b"\r\n"))
