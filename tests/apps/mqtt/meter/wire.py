"""What goes over the wire: bytes as they are, or in a websocket's frames; MQTT's fields."""

import base64
import hashlib
import struct

WEBSOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Plain:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def read(self, size):
        data = self.reader.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def write(self, data):
        self.writer.write(data)


class Websocket(Plain):
    def __init__(self, reader, writer):
        super().__init__(reader, writer)
        self.unread = b""
        lines = [line.strip() for line in iter(reader.readline, b"\r\n")]
        keys = [line.partition(b": ")[2] for line in lines if line.startswith(b"Sec-WebSocket-Key")]
        accept = base64.b64encode(hashlib.sha1(keys[0] + WEBSOCKET_KEY).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def read(self, size):
        while len(self.unread) < size:
            opcode, length = super().read(2)
            length &= 127
            if length == 126:
                (length,) = struct.unpack("!H", super().read(2))
            mask = super().read(4)
            data = super().read(length)
            if opcode & 15 == 8:
                raise EOFError
            self.unread += bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    def write(self, data):
        size = len(data)
        head = bytes([0x82, size]) if size < 126 else struct.pack("!BBH", 0x82, 126, size)
        super().write(head + data)


class Fields:
    """The body of a packet, read from its start."""

    def __init__(self, data):
        self.data = data

    def __bool__(self):
        return bool(self.data)

    def take(self, size):
        data, self.data = self.data[:size], self.data[size:]
        return data

    def byte(self):
        return self.take(1)[0]

    def short(self):
        return int.from_bytes(self.take(2), "big")

    def binary(self):
        return self.take(self.short())

    def text(self):
        return self.binary().decode()

    def number(self):
        return number(self.byte)

    def properties(self, version):
        return self.take(self.number()) if version == 5 else b""


def number(byte):
    """Seven bits in each byte, the lowest first."""
    value = shift = 0
    while True:
        part = byte()
        value |= (part & 127) << shift
        shift += 7
        if part < 128:
            return value


def packet(kind, flags, body):
    size, head = len(body), bytearray([kind << 4 | flags])
    while True:
        size, part = divmod(size, 128)
        head.append(part | (128 if size else 0))
        if not size:
            return bytes(head) + body
