"""The same for a DTLS port: handshakes with mistakes in them, from a socket that has no key."""

import collections
import os
import struct

from hostile import BATCH, open_socket
from peers import HOST

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, VERIFY_REQUEST, CLIENT_KEY_EXCHANGE = 1, 2, 3, 16
PSK_AES_128_CCM_8 = 0xC0A8
# Sequence numbers from here on mark a question that shows that all before were read: its answer has the same.
MARK = 1 << 40


def record(kind, body, epoch=0, sequence=0):
    return struct.pack("!BHH", kind, 0xFEFD, epoch) + sequence.to_bytes(6) + struct.pack("!H", len(body)) + body


def handshake(kind, body, message_seq=0, sequence=0):
    header = bytes([kind]) + len(body).to_bytes(3) + message_seq.to_bytes(2) + bytes(3) + len(body).to_bytes(3)
    return record(HANDSHAKE, header + body, sequence=sequence)


def client_hello(random, cookie=b"", sequence=0):
    body = struct.pack("!H", 0xFEFD) + random + b"\0" + bytes([len(cookie)]) + cookie
    body += struct.pack("!HHH", 2, PSK_AES_128_CCM_8, 0x0100)
    body += struct.pack("!HHH", 4, 0x0017, 0)  # extended master secret
    return handshake(CLIENT_HELLO, body, message_seq=int(bool(cookie)), sequence=sequence)


def records(datagram):
    """Content type, sequence number and body of each; fails where they do not fill the datagram."""
    found = []
    while datagram:
        kind, version, _epoch = struct.unpack("!BHH", datagram[:5])
        length = int.from_bytes(datagram[11:13])
        assert kind in (CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE) and version in (0xFEFD, 0xFEFF), datagram.hex()
        assert 0 < length == len(datagram[13 : 13 + length]), datagram.hex()
        found.append((kind, int.from_bytes(datagram[5:11]), datagram[13 : 13 + length]))
        datagram = datagram[13 + length :]
    return found


class Attacker:
    """A socket that goes as far into a handshake as one can without a key, and sends what it likes meanwhile."""

    def __init__(self, port, address=HOST):
        self.socket = open_socket(address, port)
        self.answers = collections.Counter()
        self.sent = 0
        self._mark = MARK

    def seeds(self, chance):
        """What a client would send next, with a cookie that is good for this socket."""
        random = chance.randbytes(32)
        cookie = self._ping(random)
        identity = b"one"
        exchange = struct.pack("!H", len(identity)) + identity
        hello = client_hello(random, cookie, sequence=1)
        key = handshake(CLIENT_KEY_EXCHANGE, exchange, message_seq=2, sequence=2)
        change = record(CHANGE_CIPHER_SPEC, b"\1", sequence=3)
        finished = record(HANDSHAKE, chance.randbytes(40), epoch=1)
        return [
            client_hello(random),
            hello,
            hello,
            key,
            key + change + finished,
            finished,
            record(DATA, chance.randbytes(30), epoch=1, sequence=1),
            record(ALERT, b"\2\x28", sequence=4),
        ]

    def send(self, datagrams):
        """Sends them, and reads answers until all are read there."""
        for number, datagram in enumerate(datagrams):
            self.sent += 1
            self.socket.send(datagram)
            if number % BATCH == 0:
                self._ping(os.urandom(32))
        self._ping(os.urandom(32))

    def _ping(self, random):
        """Says hello, and returns the cookie that comes back."""
        self._mark += 1
        self.socket.send(client_hello(random, sequence=self._mark))
        while True:
            for kind, sequence, body in records(self.socket.recv(2000)):
                self.answers["alert" if kind == ALERT else f"handshake {body[0]}"] += 1
                if sequence == self._mark and body[0] == VERIFY_REQUEST:
                    return body[15 : 15 + body[14]]

    def close(self):
        self.socket.close()
