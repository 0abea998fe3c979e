"""A small MQTT 3.1.1 client that publishes at QoS 1: `publish` returns once the broker has acknowledged. Whatever goes wrong,
also silence, raises OSError; no call waits for more than one timeout without feeding the watchdog.

umqtt.simple is not used because its `publish` waits without a limit for an acknowledgement that was lost.
"""

import socket
import struct
import time


class Client:
    def __init__(self, host, port, name, user, password, watchdog, timeout=5):
        address = socket.getaddrinfo(host, port)[0][-1]
        self._number = 0
        self._timeout = timeout
        self._watchdog = watchdog
        self._socket = socket.socket()
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(address)
            self._connect(name, user, password)
        except Exception:
            self._socket.close()
            raise

    def _connect(self, name, user, password):
        # MQTT 3.1.1 section 3.1: protocol name and level, flags (clean session), keep-alive 0: the connection is short.
        flags = 0x02 | (0x80 if user else 0) | (0x40 if user and password else 0)
        body = _text("MQTT") + struct.pack("!BBH", 4, flags, 0) + _text(name)
        if user:
            body += _text(user)
            if password:
                body += _text(password)
        self._send(0x10, body)
        kind, answer = self._receive()
        if kind != 0x20 or len(answer) != 2 or answer[1] != 0:
            raise OSError("the MQTT broker refused the connection: %r" % answer)

    def publish(self, topic, payload):
        self._number = self._number % 0xFFFF + 1
        number = struct.pack("!H", self._number)
        self._send(0x32, _text(topic) + number + payload)
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < self._timeout * 1000:
            kind, answer = self._receive()
            if kind == 0x40 and answer == number:
                return
        raise OSError("no acknowledgement of the MQTT broker")

    def close(self):
        """Says goodbye; never raises."""
        try:
            self._socket.write(b"\xe0\x00")
        except OSError:
            pass
        self._socket.close()

    def _send(self, kind, body):
        # MQTT 3.1.1 section 2.2.3: the length, seven bits a byte, the lowest first.
        head = bytearray([kind])
        length = len(body)
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        head.append(length)
        packet = bytes(head) + body
        self._watchdog.feed()
        if self._socket.write(packet) != len(packet):
            raise OSError("the MQTT broker takes nothing")

    def _receive(self):
        """The next packet: its first byte and its body."""
        self._watchdog.feed()
        kind = self._read(1)[0]
        length = shift = 0
        while True:
            byte = self._read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 21:
                raise OSError("what answers is not an MQTT broker")
        # A broker sends this client acknowledgements only.
        if length > 256:
            raise OSError("what answers is not an MQTT broker")
        return kind, self._read(length)

    def _read(self, count):
        data = self._socket.read(count) if count else b""
        if data is None or len(data) < count:
            raise OSError("the MQTT broker is silent or has closed the connection")
        return data


def _text(text):
    data = text.encode()
    return struct.pack("!H", len(data)) + data
