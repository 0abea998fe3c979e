"""As much MQTT as a proxy needs: where a packet ends, and what PUBLISH, PUBACK and CONNECT say (5 and 3.1.1)."""

from dataclasses import dataclass

CONNECT, PUBLISH, PUBACK = 1, 3, 4


@dataclass(slots=True)
class Packet:
    raw: bytes
    body: bytes
    """What comes after the fixed header."""

    @property
    def kind(self):
        return self.raw[0] >> 4

    @property
    def version(self):
        """Of a CONNECT: 4 is MQTT 3.1.1."""
        return self.body[6]


@dataclass(slots=True)
class Publish:
    packet_id: int
    """0 at QoS 0."""
    dup: bool
    topic: str
    payload: bytes


class Splitter:
    """Cuts a stream into packets."""

    def __init__(self):
        self._rest = b""

    def feed(self, data):
        self._rest += data
        packets = []
        while (packet := self._first()) is not None:
            packets.append(packet)
            self._rest = self._rest[len(packet.raw) :]
        return packets

    def _first(self):
        length, begin = varint(self._rest, 1)
        if length is None or len(self._rest) < begin + length:
            return None
        raw = self._rest[: begin + length]
        return Packet(raw, raw[begin:])


def varint(data, at):
    """A variable byte integer at this place, and where it ends; None where it is not all there."""
    value = 0
    for i in range(4):
        if at + i >= len(data):
            return None, at
        value |= (data[at + i] & 0x7F) << 7 * i
        if not data[at + i] & 0x80:
            return value, at + i + 1
    raise ValueError("not MQTT: a length of more than four bytes")


def publish(packet, version):
    length = int.from_bytes(packet.body[:2])
    topic = packet.body[2 : 2 + length].decode()
    assert topic, "topic aliases are not for this proxy"
    at, packet_id = 2 + length, 0
    if packet.raw[0] & 0b110:
        packet_id = int.from_bytes(packet.body[at : at + 2])
        at += 2
    if version == 5:
        properties, at = varint(packet.body, at)
        at += properties
    return Publish(packet_id, bool(packet.raw[0] & 0b1000), topic, packet.body[at:])


def puback(packet):
    """The packet id, and whether it says yes: MQTT 5 can refuse with a reason code."""
    refused = len(packet.body) > 2 and packet.body[2] >= 0x80
    return int.from_bytes(packet.body[:2]), not refused
