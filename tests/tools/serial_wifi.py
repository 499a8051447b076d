#!/usr/bin/python3
"""serial_wifi.py PORT SSID PASSWORD: tells a Photon in listening mode of a WPA2 network, as a person
at a terminal does: each answer after its question."""
import sys

import serial

ANSWERS = (
    (b"SSID: ", sys.argv[2]),
    (b"Enterprise: ", "3"),
    (b"3=WPA2: ", "3"),
    (b"AES+TKIP: ", "1"),
    (b"Password: ", sys.argv[3]),
)
port = serial.Serial(sys.argv[1], 9600, timeout=20)
port.write(b"w")
heard = b""
while not heard.endswith(b"<3 you!\r\n\r\n"):
    byte = port.read(1)
    if not byte:
        sys.exit("serial_wifi.py: it says no more: %r" % heard)
    heard += byte
    for question, answer in ANSWERS:
        if heard.endswith(question):
            port.write(answer.encode() + b"\r")
