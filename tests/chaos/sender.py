"""Sensors that never stop: they send again without a PUBACK, and remember the acknowledged readings.

Each sender's last device is one that sleeps and sends what it has gathered every few seconds: late, and all at once.
"""

import threading
import time
from collections import deque

import paho.mqtt.client as mqtt

from chaos.reading import SLOTS, WINDOW_MS, Reading
from peers import HOST, wait_until

KEEP_ALIVE = 5
BACKLOG = 400
"""A sensor with this many unacknowledged readings skips a reading: it is never sent, so it is not expected."""
GATHERED = 3 * SLOTS


class Sender:
    """One MQTT client for several devices."""

    def __init__(self, name, port, version, devices):
        self.devices = [f"{name}-{i}" for i in range(devices)]
        self._gathered = []
        self.sent = set()
        self.acked = set()
        self._under_way = {}
        """message id -> reading"""
        self._reported = deque()
        """Message ids with a PUBACK, from the client's thread."""
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
        self.client.on_publish = lambda client, userdata, mid, *_: self._reported.append(mid)
        self.client.reconnect_delay_set(0.1, 0.5)
        self.client.max_inflight_messages_set(50)
        self.client.connect_timeout = 3.0
        self.client.connect_async(HOST, port, keepalive=KEEP_ALIVE)
        self.client.loop_start()

    def send_or_gather(self, reading):
        if reading.device != self.devices[-1]:
            return self.send(reading)
        self._gathered.append(reading)
        if len(self._gathered) == GATHERED:
            for gathered in self._gathered:
                self.send(gathered)
            self._gathered.clear()

    def send(self, reading):
        self.collect()
        if len(self._under_way) >= BACKLOG:
            return
        self.sent.add(reading)
        self._under_way[self.client.publish(reading.topic, reading.payload, qos=1).mid] = reading

    def collect(self):
        """Notes what was acknowledged; returns how many readings are not."""
        while self._reported:
            self.acked.add(self._under_way.pop(self._reported.popleft()))
        return len(self._under_way)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Senders:
    """All sensors on one thread: each device one reading a slot, in real time."""

    def __init__(self, senders):
        self.all = senders
        self._stop = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self._send_until_stopped()
        except Exception as error:  # For `finish` to raise.
            self._error = error

    def _send_until_stopped(self):
        slot = time.time_ns() // 1_000_000 // (WINDOW_MS // SLOTS)
        while not self._stop.wait(max(0.0, slot * WINDOW_MS / SLOTS / 1000 - time.time())):
            window, place = divmod(slot, SLOTS)
            for sender in self.all:
                for device in sender.devices:
                    sender.send_or_gather(Reading(device, window * WINDOW_MS, place))
            slot += 1

    def finish(self, timeout):
        """Sends no more, and waits until everything is acknowledged."""
        self._end()
        if self._error:
            raise self._error
        left = lambda: sum(sender.collect() for sender in self.all)  # noqa: E731
        wait_until(lambda: left() == 0, timeout, lambda: f"{left()} readings that the sensors got no PUBACK for")

    def _end(self):
        self._stop.set()
        self._thread.join(10)

    def close(self):
        self._end()
        for sender in self.all:
            sender.close()

    def sent(self):
        return set().union(*(sender.sent for sender in self.all))

    def acked(self):
        return set().union(*(sender.acked for sender in self.all))

    def send_last(self):
        """One more reading from each sensor, behind all others; returns them."""
        window = (time.time_ns() // 1_000_000 // WINDOW_MS + 1) * WINDOW_MS
        last = [(sender, Reading(sender.devices[0], window, 0)) for sender in self.all]
        for sender, reading in last:
            sender.send(reading)
        return {reading for _, reading in last}
