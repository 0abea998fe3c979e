"""Datagrams that no good device sends, and what a CoAP port may answer to each: a reset, an error, or nothing.

Datagrams are parsed by a separate parser (RFC 7252, 3), so that the gateway's parser does not judge itself.
"""

import collections
import enum
import itertools
import socket

import aiocoap

from coap import CON, NON, message
from peers import HOST

ACK, RST = aiocoap.ACK, aiocoap.RST
PING = b"\x40\x00\x00\x00"
# So many at a time, between two questions that show that all before were read: what a socket's buffer surely holds.
BATCH = 40


class Kind(enum.Enum):
    FOREIGN = "no CoAP: never answered"
    BROKEN = "breaks the format: a reset where it is a CON, else nothing"
    REQUEST = "a request: any answer"
    OTHER = "a ping, a response, a reserved code: a reset or nothing"


def judge(datagram):
    if len(datagram) < 4 or datagram[0] >> 6 != 1:
        return Kind.FOREIGN
    code, token_length, rest = datagram[1], datagram[0] & 0b1111, datagram[4:]
    if code == 0:
        return Kind.OTHER if token_length == 0 and not rest else Kind.BROKEN
    if token_length > min(8, len(rest)) or not options_hold(rest[token_length:]):
        return Kind.BROKEN
    # A request in an ACK or RST is none.
    return Kind.REQUEST if code >> 5 == 0 and type_of(datagram) in (CON, NON) else Kind.OTHER


def options_hold(rest):
    """Whether options and payload keep the format (RFC 7252, 3.1)."""
    number = 0
    while rest:
        if rest[0] == 0xFF:
            return len(rest) > 1
        nibbles, rest, sizes = divmod(rest[0], 16), rest[1:], []
        for nibble in nibbles:
            width = {13: 1, 14: 2}.get(nibble, 0)
            if nibble == 15 or len(rest) < width:
                return False
            sizes.append(int.from_bytes(rest[:width]) + {13: 13, 14: 269}.get(nibble, nibble))
            rest = rest[width:]
        number += sizes[0]
        if number > 0xFFFF or len(rest) < sizes[1]:
            return False
        rest = rest[sizes[1] :]
    return True


def type_of(datagram):
    return datagram[0] >> 4 & 0b11


def strings(lengths):
    """Every byte string of these lengths."""
    return (bytes(string) for length in lengths for string in itertools.product(range(256), repeat=length))


def seeds():
    """Datagrams that mean something, for all that the gateway serves: to be spoiled."""
    path = ("sensors", "victim")
    body = b'{"temperature":21.5}'
    block = {"uri_path": path, "content_format": 50, "payload": b"7" * 16}
    last = (1 << 20) - 1
    packets = [
        (aiocoap.POST, {"uri_path": path, "content_format": 50, "payload": body}),
        (aiocoap.PUT, {"uri_path": (*path, "co2"), "payload": b"412"}),
        (aiocoap.POST, {"uri_path": path, "content_format": 110, "payload": b'[{"bn":"a:","n":"t","v":1}]'}),
        (aiocoap.POST, {"uri_path": path, "content_format": 112, "payload": b"\x81\xa2\x00\x61t\x02\x01"}),
        (aiocoap.POST, {"uri_path": path, "content_format": 60, "payload": b"\xa1\x61t\x01"}),
        (aiocoap.GET, {"uri_path": path, "accept": 50, "etags": (b"\x01\x02",)}),
        (aiocoap.GET, {"uri_path": (*path, "co2"), "observe": 0}),
        (aiocoap.GET, {"uri_path": (*path, "co2"), "observe": 1}),
        (aiocoap.GET, {"uri_path": (".well-known", "core"), "uri_query": ("rt=co2",), "block2": (1, False, 0)}),
        (aiocoap.GET, {"uri_path": (".well-known", "core"), "block2": (last, False, 6)}),
        (aiocoap.POST, block | {"block1": (0, True, 0), "size1": 32}),
        (aiocoap.POST, block | {"block1": (1, False, 0)}),
        (aiocoap.POST, block | {"block1": (last, True, 6), "size1": 0xFFFF_FFFF}),
        (aiocoap.POST, block | {"block1": (last, False, 0), "request_tag": (b"\x01",)}),
        (aiocoap.GET, {"uri_path": path, "uri_host": "gateway.local", "uri_port": 1, "echo": b"12345678"}),
        (aiocoap.GET, {"proxy_uri": "coap://192.0.2.1/"}),
        (aiocoap.POST, {"uri_path": path, "if_none_match": True, "payload": body, "no_response": 26}),
    ]
    whole = [with_header(code, kind, **options) for code, options in packets for kind in (CON, NON)]
    others = [message(kind, code, 0) for kind in range(4) for code in ((0, 0), (2, 5), (1, 1), (7, 31))]
    unknown = b"\x40\x01\x00\x00\xe1\x26\x02\x00\xffA"  # critical and unknown
    return [*whole, *others, unknown]


def with_header(code, kind, **options):
    return aiocoap.Message(code=code, _mtype=kind, _mid=0, _token=b"\xaa\xbb", **options).encode()


def spoil(chance, seeds):
    """One of the seeds with one to three mistakes in it."""
    datagram = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(datagram) + 1)
        match chance.randrange(8):
            case 0 if at < len(datagram):
                datagram[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(datagram):
                datagram[at] = chance.randrange(256)
            case 2 if at < len(datagram):
                # Nibbles that stand for a longer length, or for none.
                datagram[at] = chance.choice((0x0F, 0xF0, 0xFF, 0x0E, 0xE0, 0x0D, 0xD0, 0xEE, 0xDD))
            case 3 if datagram:
                datagram[0] = datagram[0] & 0xF0 | chance.randrange(9, 16)
            case 4:
                del datagram[at:]
            case 5:
                datagram.insert(at, chance.randrange(256))
            case 6:
                del datagram[at : at + chance.randrange(1, 4)]
            case _:
                other = chance.choice(seeds)
                datagram += other[chance.randrange(len(other)) :]
    return bytes(datagram[:1400])


def open_socket(address, port):
    """A socket at this address, for this port of the gateway."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, 0))
    opened.connect((HOST, port))
    opened.settimeout(10)
    return opened


class Attacker:
    """A socket that sends what it likes, checks every answer, and never acknowledges one."""

    def __init__(self, port, address=HOST):
        self.socket = open_socket(address, port)
        # Answers and silence, by what was sent.
        self.answers = collections.Counter()
        self.sent = 0
        self._mid = 0
        self._last = {}
        self._waiting = {}
        self._tokens = set()

    def send(self, datagrams):
        """Sends them, each with a message id of its own where it has one, and reads answers until all are read there."""
        for number, datagram in enumerate(datagrams):
            self._send(datagram)
            if number % BATCH == 0:
                self._ping()
        self._ping()

    def _send(self, datagram):
        self.sent += 1
        if len(datagram) >= 4:
            self._mid = (self._mid + 1) & 0xFFFF
            datagram = datagram[:2] + self._mid.to_bytes(2) + datagram[4:]
            kind = judge(datagram)
            self._last[self._mid] = (kind, datagram)
            if kind is not Kind.FOREIGN and type_of(datagram) == CON:
                self._waiting[self._mid] = datagram
            if kind is Kind.REQUEST:
                self._tokens.add(datagram[4 : 4 + (datagram[0] & 0b1111)])
        self.socket.send(datagram)

    def _ping(self):
        self._send(PING)
        mid = self._mid
        while mid in self._waiting:
            self._receive()

    def finish(self):
        """Waits until every confirmable message has its answer."""
        while self._waiting:
            self._receive()

    def _receive(self):
        try:
            datagram = self.socket.recv(2000)
        except TimeoutError:
            raise AssertionError(f"not answered: {[d.hex() for d in self._waiting.values()][:5]}") from None
        answer = aiocoap.Message.decode(datagram)
        assert judge(datagram) in (Kind.REQUEST, Kind.OTHER), datagram.hex()
        if answer.mtype in (ACK, RST):
            self._confirmed(answer, datagram)
        else:
            # A response in a message of its own, or a notification.
            assert answer.code.is_response() and answer.token in self._tokens, datagram.hex()
        assert answer.code in (aiocoap.SERVICE_UNAVAILABLE, aiocoap.PROXYING_NOT_SUPPORTED) or (
            answer.code.class_ in (0, 2, 4)
        ), f"{answer.code} to {self._last.get(answer.mid)}"
        name = "RST" if answer.mtype is RST else "ACK" if answer.code == aiocoap.EMPTY else answer.code.dotted
        self.answers[name] += 1

    def _confirmed(self, answer, datagram):
        kind, asked = self._last.get(answer.mid, (Kind.FOREIGN, b""))
        what = f"{datagram.hex()} to {asked.hex()}, which is {kind}"
        if type_of(asked or b"\0") == CON:
            assert self._waiting.pop(answer.mid, None) is not None, f"a second answer: {what}"
        else:
            assert answer.mtype is RST and kind in (Kind.REQUEST, Kind.OTHER), what
        match kind:
            case Kind.REQUEST if type_of(asked) == CON:
                assert answer.mtype is ACK, what
            case _:
                assert answer.mtype is RST, what
        assert len(datagram) == 4 or answer.code.is_response() and answer.mtype is ACK, what

    def close(self):
        self.socket.close()
