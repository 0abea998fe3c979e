"""What mosquitto's test library gets of ours: sockets that keep a record of packets, and comparisons by meaning.

`install` puts them in. Beside what conformance_packets.py says, messages may come before an acknowledgement that the
test waits for (MQTT orders messages of a topic, and acknowledgements, each for themselves); nothing may be left over
before a PINGRESP or at the end.

Two things are translated that the tests ask of mosquitto: a client's Maximum Packet Size, which mosquitto counts without
the packet's first byte, and user names without a password, which Riser does not have. Memory is what the broker has come
to take, not what it has mapped.
"""

import atexit
import os
import re
import signal
import socket
import sys
import time
import types

from conformance_packets import (
    ACKNOWLEDGEMENTS,
    CONNECT,
    MAXIMUM_PACKET_SIZE,
    NAMES,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    SUBACK,
    UNSUBACK,
    Reader,
    Truncated,
    is_riser,
    note,
    same,
    strict,
    tells_why_it_ends,
    write,
)

EARLIER_THAN = (*ACKNOWLEDGEMENTS, SUBACK, UNSUBACK)
CLEAN, PASSWORD, NAME = 0x02, 0x40, 0x80
MOSQUITTO_PORT = 1888
WITHOUT_PASSWORD = "04-retain-check-source-persist"
# The packet identifiers of each client's session: the test's, and the broker's.
IDS = {}
began, left_over = time.monotonic(), []


class Socket(socket.socket):
    """Knows its client, and writes down what goes through it."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        # `early`: messages that came before an acknowledgement for which the test waited.
        self.version, self.ids, self.early = None, {}, []

    def connect(self, address):
        # Some of the tests know mosquitto's port only.
        if address[1] == MOSQUITTO_PORT and len(sys.argv) == 2:
            address = (address[0], int(sys.argv[1]), *address[2:])
        super().connect(address)

    def send(self, data, *rest):
        sent = self.translated(data)
        self.write_down("->", sent)
        count = super().send(sent, *rest)
        return len(data) if sent != data and count == len(sent) else count

    def translated(self, data):
        """What the test sends, in the identifiers of the broker."""
        kind = data[0] >> 4
        if kind == CONNECT:
            return self.introduced(data)
        if kind in (PUBACK, PUBREC, PUBCOMP) and data[2:4] in self.ids:
            return data[:2] + self.ids[data[2:4]] + data[4:]
        return data

    def introduced(self, data):
        """A CONNECT, as Riser can be asked it."""
        try:
            reader = Reader(data)
            reader.take(1)
            length = reader.variable()
            reader.text()
            self.version = reader.number(1) & 127
            flags, _ = reader.number(1), reader.number(2)
            at = reader.at
            properties = reader.take(reader.variable()) if self.version == 5 else b""
            client = reader.text()
        except Truncated:
            # Some tests mean to send such a packet.
            return data
        if flags & CLEAN:
            IDS.pop(client, None)
        self.ids = IDS.setdefault(client, {})
        if strict() or not is_riser():
            return data
        if properties[:1] == bytes([MAXIMUM_PACKET_SIZE]):
            note("a client's Maximum Packet Size counts the first byte, too")
            more = int.from_bytes(properties[1:5], "big") + 1
            data = data[: at + 2] + more.to_bytes(4, "big") + data[at + 6 :]
        if flags & (NAME | PASSWORD) == NAME and os.path.basename(sys.argv[0]).startswith(WITHOUT_PASSWORD):
            note("with a password")
            end = data.index(client) - 2 if client else len(data)
            body = data[len(data) - length : end] + data[end:] + b"\x00\x08password"
            at = body.index(bytes([self.version, flags]))
            body = body[: at + 1] + bytes([flags | PASSWORD]) + body[at + 2 :]
            data = data[:1] + bytes([len(body)]) + body
        return data

    def recv(self, count, *rest):
        """For the tests that do not leave it to the library; what they get they may compare or cut."""
        if strict():
            data = super().recv(count, *rest)
            self.write_down("<-", data)
            return data
        if count == 1:
            # Whether the connection has ended.
            packet = self.whole_packet()
            return b"" if self.version == 5 and tells_why_it_ends(packet) else packet[:1]
        packet = Received(self.early.pop(0) if self.early else self.whole_packet())
        packet.version = self.version
        return packet

    def whole_packet(self):
        """The next packet, or what there is of it."""
        data = super().recv(1)
        for _ in range(4 if data else 0):
            byte = super().recv(1)
            data += byte
            if not byte or byte[0] < 128:
                break
        length = sum((byte & 127) << 7 * index for index, byte in enumerate(data[1:]))
        while length and (part := super().recv(length)):
            data, length = data + part, length - len(part)
        self.write_down("<-", data)
        return data

    def next_packet(self, expected):
        """The packet to compare with the expected one."""
        wanted = expected[0] >> 4
        if self.early and wanted in (PUBLISH, PINGRESP):
            return self.early.pop(0)
        packet = self.whole_packet()
        while wanted in EARLIER_THAN and packet and packet[0] >> 4 == PUBLISH:
            self.early.append(packet)
            packet = self.whole_packet()
        return packet

    def close(self):
        if self.early:
            left_over.append(self.early[0])
        super().close()

    def write_down(self, way, data):
        kind = NAMES[data[0] >> 4] if data else "end"
        shown = data[:200].hex(" ") + (f" … {len(data)} bytes" if len(data) > 200 else "")
        write({"packet": f"{time.monotonic() - began:8.3f}  {self.fileno():3} {way} {kind:11} {shown}"})


class Received(bytes):
    """A packet that equals what means the same; so does its beginning."""

    version, whole = None, None

    def __eq__(self, other):
        return same(self.whole or bytes(self), bytes(other), self.version, {})

    def __ne__(self, other):
        return not self == other

    __hash__ = bytes.__hash__

    def __getitem__(self, key):
        if not isinstance(key, slice) or key.start:
            return super().__getitem__(key)
        part = Received(super().__getitem__(key))
        part.version, part.whole = self.version, bytes(self)
        return part


@atexit.register
def nothing_left_over():
    if left_over:
        print(f"FAIL: a message came that no test expected: {left_over[0].hex(' ')}", flush=True)
        os._exit(1)


# --- in place of the test library's own -------------------------------------------------------------------------------


def install(library):
    socket.socket = Socket
    sys.modules["psutil"] = types.SimpleNamespace(Process=Process)
    start_of_library = library.start_broker

    def start_broker(*arguments, **options):
        broker = start_of_library(*arguments, **options)
        resting[broker.pid] = memory(broker.pid, "VmRSS")
        send_signal = broker.send_signal

        def signal_and_wait(number):
            send_signal(number)
            # Mosquitto reads its files again in the loop that serves clients, Riser beside it.
            if number == signal.SIGHUP:
                time.sleep(0.5)

        broker.send_signal = signal_and_wait
        return broker

    library.start_broker = start_broker
    if not strict():
        install_comparisons(library)


def install_comparisons(library):
    def expect_packet(sock, name, expected):
        if expected:
            received = sock.next_packet(expected)
        else:
            received = sock.early.pop(0) if sock.early else sock.whole_packet()
        if same(received, expected, sock.version, sock.ids):
            return True
        library.packet_matches(name, received, expected)
        raise library.TestError

    def receive_unordered(sock, one, other, error_string):
        first, second = sock.next_packet(one), sock.next_packet(other)
        for pair in ((one, other), (other, one)):
            if same(first, pair[0], sock.version, sock.ids) and same(second, pair[1], sock.version, sock.ids):
                return
        library.packet_matches(error_string, first + second, other + one)
        raise ValueError(error_string)

    library.expect_packet, library.receive_unordered = expect_packet, receive_unordered


# --- memory -----------------------------------------------------------------------------------------------------------

resting = {}


class Process:
    """For `psutil.Process`, as far as it is used."""

    def __init__(self, pid):
        self.pid = pid

    def memory_info(self):
        return types.SimpleNamespace(vms=memory(self.pid, "VmHWM") - resting[self.pid])


def memory(pid, row):
    """Of a process, or of its child where it has one."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        child = (file.read().split() or [pid])[0]
    with open(f"/proc/{child}/status") as file:
        return int(re.search(rf"{row}:\s+(\d+) kB", file.read())[1]) * 1024
