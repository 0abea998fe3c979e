"""Compares packets by what they mean, where mosquitto's tests compare bytes. MQTT leaves to a broker:
- when a message comes among the acknowledgements (4.6 orders messages of a topic, and acknowledgements, each for
  themselves; 3.8.4 lets messages come before SUBACK); nothing may be left over before a PINGRESP or at the end;
- the packet identifiers of its messages (2.2.1); those that the test expects stand for them, in acknowledgements too;
- which of the reasons is told where a name or password is wrong (CONNACK 4 or 5, 0x86 or 0x87), and what counts as
  malformed, as an error of protocol or as a bad topic name (0x81, 0x82, 0x90; 4.13);
and in MQTT 5
- the order of properties (2.2.2.2), but for user properties; the reason code 0 and an empty list of properties may be
  left out at the end of an acknowledgement (3.4.2.1);
- whether PUBREC says that nobody subscribes (3.5.2.1);
- the limits that it tells in CONNACK (3.2.2.3): here they need not be mosquitto's defaults, and more may be told;
- the text of an assigned client id (3.2.2.3.7), and a reason string wherever the client may have one;
- whether a connection that ends for an error ends with DISCONNECT or CONNACK and its reason (4.13).
Everything else must be what the test says.
"""

import json
import os
import threading

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH = 9, 11, 13, 14, 15
ACKNOWLEDGEMENTS = (PUBACK, PUBREC, PUBREL, PUBCOMP)
WORDS = "0 CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP"
NAMES = [*WORDS.split(), "DISCONNECT", "AUTH"]

ASSIGNED_ID, REASON_STRING, RECEIVE_MAXIMUM, ALIASES, USER_PROPERTY, MAXIMUM_QOS = 0x12, 0x1F, 0x21, 0x22, 0x26, 0x24
SUBSCRIPTION_ID, MAXIMUM_PACKET_SIZE = 0x0B, 0x27
# What a broker may tell of itself: session expiry, server keep-alive, receive maximum, aliases, QoS, retain, packet size,
# wildcards, subscription ids, shared subscriptions.
LIMITS = {0x11, 0x13, 0x21, 0x22, 0x24, 0x25, 0x27, 0x28, 0x29, 0x2A}
DEFAULTS = {(ALIASES, b"\x00\x0a"), (RECEIVE_MAXIMUM, b"\x00\x14")}
QOS_NOT_SUPPORTED = b"\x9b"
# Of each kind of packet, reasons for which another does as well.
CHOICES = {
    CONNACK: {b"\x04": b"\x05", b"\x86": b"\x87"},
    PUBREC: {b"\x10": b"\x00"},
    DISCONNECT: {b"\x82": b"\x81", b"\x90": b"\x81"},
}
ID_AT = {PUBLISH: 1, PUBREL: 0}
LENGTHS = {0x01: 1, 0x17: 1, 0x19: 1, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1, 0x13: 2, 0x21: 2, 0x22: 2, 0x23: 2}
LENGTHS |= {0x02: 4, 0x11: 4, 0x18: 4, 0x27: 4}


class Truncated(Exception):
    """The packet ends too soon."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Truncated
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def variable(self):
        value = 0
        for index in range(4):
            byte = self.number(1)
            value |= (byte & 127) << 7 * index
            if byte < 128:
                return value
        raise Truncated

    def text(self):
        return self.take(self.number(2))

    def reason(self):
        """A reason code, which may be left out."""
        return self.take(1) if self.at < len(self.data) else b"\x00"

    def properties(self):
        """Pairs of identifier and bytes; those that may come in any order are sorted."""
        if self.at == len(self.data):
            return []
        inner, found = Reader(self.take(self.variable())), []
        while inner.at < len(inner.data):
            found.append(inner.property())
        return in_order(found)

    def property(self):
        kind = self.variable()
        if kind in LENGTHS:
            return kind, self.take(LENGTHS[kind])
        if kind == SUBSCRIPTION_ID:
            return kind, self.variable().to_bytes(4, "big")
        if kind == USER_PROPERTY:
            return kind, (self.text(), self.text())
        return kind, self.text()


def in_order(properties):
    return sorted(properties, key=lambda row: (row[0], row[1] if row[0] == SUBSCRIPTION_ID else b""))


def meaning(packet, version):
    """The packet's first byte, its fields, its properties."""
    reader = Reader(packet)
    first = reader.number(1)
    kind, reader = first >> 4, Reader(reader.take(reader.variable()) if packet[1:] else b"")
    fields, properties = [], []
    if kind == CONNACK:
        fields = [reader.take(1), reader.take(1)]
    elif kind == PUBLISH:
        fields = [reader.text(), reader.take(2) if first & 6 else b""]
    elif kind in ACKNOWLEDGEMENTS:
        fields = [reader.take(2), reader.reason()]
    elif kind in (SUBACK, UNSUBACK):
        fields = [reader.take(2)]
    elif kind in (DISCONNECT, AUTH):
        fields = [reader.reason()]
    if version == 5 and fields:
        properties = reader.properties()
    return first, [*fields, reader.rest()] if kind not in (CONNACK, DISCONNECT) else fields, properties


def same(received, expected, version, ids=None):
    """Whether the broker's packet is as good as the expected one. `ids`: its packet identifiers for those of the test."""
    if received == expected:
        return True
    if not expected:
        return version == 5 and tells_why_it_ends(received)
    try:
        first, fields, properties = meaning(received, version)
    except Truncated:
        return False
    try:
        wanted_first, wanted_fields, wanted = meaning(expected, version)
    except Truncated:
        # A test cuts its CONNACK where the client id begins that mosquitto makes up.
        return first == expected[0] == CONNACK << 4 and fields[:1] == [expected[2:3]] and has(ASSIGNED_ID, properties)
    kind = wanted_first >> 4
    if without_setting(kind, wanted_fields, wanted):
        wanted = [row for row in wanted if row[0] != MAXIMUM_QOS]
        if kind == DISCONNECT:
            return first >> 4 == PUBREC
    told = [row for row in properties if row[0] != REASON_STRING or row in wanted]
    if kind == CONNACK and fields[1:] == [b"\x00"]:
        wanted = [row for row in wanted if row not in DEFAULTS]
        told = [row for row in told if row[0] not in LIMITS or has(row[0], wanted)]
    if ids is not None and kind in (PUBLISH, PUBREL) and first == wanted_first:
        fields = in_test_ids(kind, fields, wanted_fields, bool(first & 8), ids)
    alike = [*map(plain(kind), fields)] == [*map(plain(kind), wanted_fields)]
    if alike and fields != wanted_fields and kind in (CONNACK, DISCONNECT):
        note(f"reason {hexadecimal(fields)} instead of {hexadecimal(wanted_fields)}")
    return first == wanted_first and alike and told == wanted


def in_test_ids(kind, fields, wanted, again, ids):
    """The fields with the test's packet identifier, if it may stand for the broker's."""
    ours, theirs = wanted[ID_AT[kind]], fields[ID_AT[kind]]
    if kind == PUBLISH and theirs and not again:
        ids[ours] = theirs
    if ids.get(ours, ours) != theirs:
        return fields
    return [ours if index == ID_AT[kind] else field for index, field in enumerate(fields)]


def plain(kind):
    """For reasons among which MQTT leaves the choice: one of them."""
    return lambda field: CHOICES.get(kind, {}).get(field, field)


def hexadecimal(fields):
    return fields[-1].hex() or "00"


def has(kind, properties):
    return any(row[0] == kind for row in properties)


def without_setting(kind, fields, properties):
    """Whether the test wants mosquitto to offer less QoS, which Riser cannot be told."""
    if not (kind == CONNACK and has(MAXIMUM_QOS, properties) or kind == DISCONNECT and fields == [QOS_NOT_SUPPORTED]):
        return False
    if not is_riser():
        return False
    note("without `maximum_qos`")
    return True


def tells_why_it_ends(packet):
    kind = packet[0] >> 4 if packet else 0
    return (kind == CONNACK and packet[3:4] >= b"\x80") or (kind == DISCONNECT and packet[2:3] >= b"\x80")


# --- notes ------------------------------------------------------------------------------------------------------------

lock = threading.Lock()


def note(text):
    """Something to say beside the test's result."""
    write({"note": text})


def write(row):
    with lock, open(os.environ["CONFORMANCE_NOTES"], "a") as file:
        file.write(json.dumps(row) + "\n")


def strict():
    return os.environ.get("CONFORMANCE_STRICT") == "1"


def is_riser():
    return os.environ["CONFORMANCE_BROKER"] == "riser"
