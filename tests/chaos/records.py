"""What the proxies saw: each message to Riser with Riser's acknowledgement, and what Riser sent to the cloud."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

from chaos.reading import Reading, parse


@dataclass(slots=True)
class Delivery:
    """One message towards Riser, with all its repetitions. By decision 0003 it may be counted once."""

    reading: Reading
    way: str
    packet_id: int
    forwarded: bool = False
    """All its bytes were passed on at least once."""
    acked: bool = False
    """Riser has sent its PUBACK."""
    history: list = field(default_factory=list)
    """(seconds since the epoch, connection, event)"""

    def __str__(self):
        steps = ", ".join(f"{at:.3f} {event} on {link}" for at, link, event in self.history)
        return f"{self.way} packet id {self.packet_id}: {steps}"


class Deliveries:
    """The messages on one way to Riser.

    `marks_repetition`: what is sent again carries DUP and its old packet id, and Riser knows it again. Without, each
    try is a delivery of its own: the embedded broker does not report DUP.
    """

    def __init__(self, way, *, marks_repetition):
        self.way = way
        self.of = defaultdict(list)
        """reading -> its deliveries"""
        self.problems = []
        self._marks_repetition = marks_repetition
        self._open = {}
        self._acked = set()
        self._lock = threading.Lock()

    def publish(self, link, message, forwarded):
        if message.packet_id == 0:
            return
        with self._lock:
            reading = parse(message.topic, message.payload)
            delivery = self._known(reading, message) or self._new(reading, message)
            delivery.forwarded |= forwarded
            self._open[link, message.packet_id] = delivery
            event = ("DUP " if message.dup else "") + ("PUBLISH" if forwarded else "PUBLISH lost")
            delivery.history.append((time.time(), link, event))

    def puback(self, link, packet_id, forwarded):
        with self._lock:
            delivery = self._open.get((link, packet_id))
            if delivery is None or not delivery.forwarded:
                self.problems.append(f"{self.way}: Riser acknowledged packet id {packet_id}, which it was not sent")
                return
            delivery.acked = True
            delivery.history.append((time.time(), link, "PUBACK" if forwarded else "PUBACK lost"))
            self._acked.add(delivery.reading)

    def acked(self):
        """The readings that Riser has acknowledged so far."""
        with self._lock:
            return set(self._acked)

    def _known(self, reading, message):
        if not (self._marks_repetition and message.dup):
            return None
        same = (d for d in reversed(self.of[reading]) if d.packet_id == message.packet_id)
        return next(same, None)

    def _new(self, reading, message):
        delivery = Delivery(reading, self.way, message.packet_id)
        self.of[reading].append(delivery)
        return delivery


@dataclass(slots=True)
class Upload:
    """One PUBLISH of Riser's to the cloud."""

    at: float
    topic: str
    payload: bytes
    acked: bool = False


class Uploads:
    """All that Riser sent to the cloud, in order, and what the cloud's broker acknowledged."""

    def __init__(self):
        self.all = []
        self.problems = []
        self._open = {}

    def publish(self, link, message, forwarded):
        upload = Upload(time.time(), message.topic, message.payload)
        self.all.append(upload)
        self._open[link, message.packet_id] = upload

    def puback(self, link, packet_id, forwarded):
        self._open[link, packet_id].acked = True
