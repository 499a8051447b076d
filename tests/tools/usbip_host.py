"""A USB/IP host without a kernel: it lists and imports, and its transfers are what the tests say.

Numbers: Linux, Documentation/usb/usbip_protocol.rst; requests: DFU 1.1 and DfuSe 1.1a.
"""
import collections
import errno
import socket
import struct

PATIENCE = 60
HEADER = struct.Struct(">IIIII")
DEVICE = struct.Struct(">256s32sIIIHHHBBBBBB")
OUT, IN = 0, 1
SUBMIT, UNLINK, RETURN_SUBMIT, RETURN_UNLINK = 1, 2, 3, 4
STATUS = {0: "ok", 1: "not available", 2: "busy", 3: "error", 4: "no device"}

Device = collections.namedtuple("Device", "path busid busnum devnum speed vendor product release "
                                "cls subclass protocol configuration configurations interfaces")
Return = collections.namedtuple("Return", "code seqnum status data")


class Gone(Exception):
    """The server hung up."""


class Refused(Exception):
    """The server does not do it; the reason is a value of STATUS."""


def device(data):
    fields = DEVICE.unpack(data)
    return Device(*(field.split(b"\0")[0].decode() for field in fields[:2]), *fields[2:])


class Host:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.seqnum = 0
        self.wanted = {}  # by seqnum: is it an IN transfer?
        self.devid = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def receive(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError as error:
                raise Gone from error
            if not part:
                raise Gone
            data += part
        return data

    def is_gone(self):
        """Reads to the end."""
        try:
            while True:
                self.receive(1)
        except Gone:
            return True

    # --- operations ---

    def operation(self, code, body=b""):
        self.socket.sendall(struct.pack(">HHI", 0x0111, 0x8000 | code, 0) + body)
        version, reply, status = struct.unpack(">HHI", self.receive(8))
        assert (version, reply) == (0x0111, code), (version, reply)
        if status:
            raise Refused(STATUS[status])

    def devices(self):
        self.operation(5)
        count, = struct.unpack(">I", self.receive(4))
        found = []
        for _ in range(count):
            found.append(device(self.receive(DEVICE.size)))
            self.receive(4 * found[-1].interfaces)
        return found

    def attach(self, busid):
        self.operation(3, busid.encode().ljust(32, b"\0"))
        found = device(self.receive(DEVICE.size))
        self.devid = found.busnum << 16 | found.devnum
        return found

    # --- transfers ---

    def command(self, code, direction, endpoint, rest, data=b""):
        self.seqnum += 1
        head = HEADER.pack(code, self.seqnum, self.devid, direction, endpoint)
        self.socket.sendall((head + rest).ljust(48, b"\0") + data)
        return self.seqnum

    def submit(self, direction, endpoint, length, setup=bytes(8), data=b""):
        rest = struct.pack(">IIIII", 0x200 * direction, length, 0, 0, 0) + setup
        seqnum = self.command(SUBMIT, direction, endpoint, rest, data)
        self.wanted[seqnum] = direction == IN
        return seqnum

    def unlink(self, victim):
        return self.command(UNLINK, OUT, 0, struct.pack(">I", victim))

    def next(self):
        code, seqnum, *_ = HEADER.unpack(self.receive(20))
        status, actual = struct.unpack(">iI", self.receive(8))
        self.receive(20)
        data = b""
        if code == RETURN_SUBMIT and self.wanted.pop(seqnum):
            data = self.receive(actual)
        return Return(code, seqnum, status, data)

    def control(self, setup, data=None):
        """A whole control transfer: its status and, of an IN transfer, the data."""
        direction = IN if setup[0] & 0x80 else OUT
        seqnum = self.submit(direction, 0, setup[6] | setup[7] << 8, bytes(setup), data or b"")
        answer = self.next()
        assert (answer.code, answer.seqnum) == (RETURN_SUBMIT, seqnum), answer
        return answer.status, answer.data

    # --- DFU ---

    def get_status(self):
        return self.control([0xA1, 3, 0, 0, 0, 0, 6, 0])

    def download_block(self, number, data):
        length = len(data)
        return self.control([0x21, 1, number & 0xFF, number >> 8, 0, 0, length & 0xFF,
                             length >> 8], data)[0]

    def until_idle(self):
        """Polls until dfuDNLOAD-IDLE."""
        while True:
            status, data = self.get_status()
            assert status == 0 and data[0] == 0, (status, data)
            if data[4] == 5:
                return

    def dfuse(self, command, address):
        assert self.download_block(0, bytes([command]) + address.to_bytes(4, "little")) == 0
        self.until_idle()

    def download(self, address, data):
        """Erases and writes, 4 KiB a block."""
        for sector in range(address, address + len(data), 0x20000):
            self.dfuse(0x41, sector)
        self.dfuse(0x21, address)
        for index in range(0, len(data), 4096):
            assert self.download_block(2 + index // 4096, data[index:index + 4096]) == 0
            self.until_idle()

    def leave(self, address):
        """:leave; what the last GETSTATUS brings."""
        assert self.control([0x21, 6, 0, 0, 0, 0, 0, 0])[0] == 0  # ABORT: back to dfuIDLE
        self.dfuse(0x21, address)
        assert self.download_block(2, b"") == 0
        return self.get_status()


def errno_name(status):
    return errno.errorcode[-status] if status else "0"
